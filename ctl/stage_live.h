/* ctl/stage_live.h - a live cluster as the stage of a plan (sim/stage.h).
 * Owns   the plan's clock, the plan's own operations, the judging of the history, who died.
 * Leaves carrying out to ctl/carry.h, the search for an order to a process of ctl/judge.h, the loop
 *        to ctl/supervisor.h: the stage is polled after each supervisor_poll.
 * Holds  (T1) the plan's clock is the cluster's, so `rate 0.1` stretches a plan as well; while that
 *             one stands still (rate 0) real time passes. */
#ifndef CTL_STAGE_LIVE_H
#define CTL_STAGE_LIVE_H

#include "ctl/asked.h"
#include "ctl/judge.h"
#include "sim/stage.h"

struct stage_live {
    struct stage stage;
    struct supervisor *supervisor;
    uint64_t plan_ns, cluster_ns, real_ns; /* at the last look at the clock */
    struct asked_list asked;
    enum { JUDGE_IDLE, JUDGE_DRAINING, JUDGE_WORKING } judging;
    struct judge judge;
    uint64_t kills;  /* deaths by SIGKILL */
    char crash[128]; /* a peer died that nobody had killed; or "" */
};

/* Takes supervisor->each_note. Stays where it is until stage_live_close. */
void stage_live_open(struct stage_live *live, struct supervisor *supervisor);
/* After supervisor_close. */
void stage_live_close(struct stage_live *live);
/* Real time at which the plan's clock will show `plan_ns`, as the rate is now; at most a second
 * ahead. */
uint64_t stage_live_real_ns(const struct stage_live *live, uint64_t plan_ns);
/* Add all operations: of loads, and the plan's own. The load must have ended, as at the end. */
err_t stage_live_history(const struct stage_live *live, struct history *history);

#endif
