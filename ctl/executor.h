/* ctl/executor.h - runs one plan on a live cluster: an interpreter that is polled and never waits.
 * Owns   where the plan is, its clock, what repeats in the background, what became of each step.
 * Leaves carrying out to ctl/carry.h, judging to ctl/expect.h and ctl/judge.h, the loop around it
 *        and the summary of a run to ctl/run.c.
 * Holds  (X1) the first failure ends the plan; the history is judged all the same
 *        (X2) broken safety ends it at once, with all peers stopped as they were (SIGSTOP).
 *
 * The plan's clock is the cluster's, so `rate 0.1` stretches a plan as well; while that one stands
 * still (rate 0) real time passes, or `wait 1s` would wait for ever.
 * A command that cannot be carried out as it stands (kill 3 when 3 is dead) fails the plan; a word
 * that names nobody (kill leader, when there is none) does not. What `every` does in the background
 * is counted and not judged. `expect linearizable` ends the load first. */
#ifndef CTL_EXECUTOR_H
#define CTL_EXECUTOR_H

#include "ctl/judge.h"
#include "ctl/supervisor.h"
#include "sim/tap.h"
#include "fault/plan.h"

struct executor;

enum executor_end { EXECUTOR_GOING, EXECUTOR_DONE, EXECUTOR_UNMET, EXECUTOR_UNSAFE };
struct executor_result {
    enum executor_end end;
    char failure[1024]; /* the first: "line 12: expect leader: no leader: 5 follower t0"; or "" */
    bool judged;        /* was there a history? then: */
    enum linear_verdict linearizable;
    uint64_t kills; /* deaths by SIGKILL */
};

/* Takes supervisor->each_note. Points and comments go to `tap`. */
struct executor *executor_open(struct supervisor *supervisor, const struct plan *plan,
                               struct tap *tap);
/* Go on as far as possible. Call after each supervisor_poll until it is not GOING any more. */
enum executor_end executor_poll(struct executor *executor);
/* Real time at which executor_poll has something to do of its own accord. */
uint64_t executor_wake_ns(const struct executor *executor);
const struct executor_result *executor_result(const struct executor *executor);
/* Add all operations: of loads, and the plan's own. The load must have ended, as at the end. */
err_t executor_history(const struct executor *executor, struct history *history);
/* After supervisor_close. */
void executor_close(struct executor *executor);

#endif
