/* sim/player.h - runs one plan on a stage: an interpreter that is polled and never waits.
 * Owns   where the plan is, what repeats in the background, what became of each step.
 * Leaves the plan's clock, carrying out, asking and judging histories to the stage (sim/stage.h),
 *        expectations to sim/expect.h, the loop around it and the summary of a run to its caller.
 * Holds  (X1) the first failure ends the plan; the history is judged all the same
 *        (X2) broken safety ends it at once, with all peers as they were at that instant
 *        (X3) the same stage and the same plan give the same calls: it knows no other clock
 *        (X4) it ends one poll after its last step: what that step saw is noted and judged by then.
 *
 * A command that cannot be carried out as it stands (kill 3 when 3 is dead) fails the plan; a word
 * that names nobody (kill leader, when there is none) does not. What `every` does in the background
 * is counted and not judged. `expect linearizable` ends the load first. */
#ifndef SIM_PLAYER_H
#define SIM_PLAYER_H

#include "fault/plan.h"
#include "sim/stage.h"
#include "sim/tap.h"

struct player;

enum player_end { PLAYER_GOING, PLAYER_DONE, PLAYER_UNMET, PLAYER_UNSAFE };
struct player_result {
    enum player_end end;
    char failure[1024]; /* the first: "line 12: expect leader: no leader: 5 follower t0"; or "" */
    bool judged;        /* was there a history? then: */
    enum linear_verdict linearizable;
};

/* Points and comments go to `tap`; NULL: nobody reads, nothing is written. Stage, plan and tap
 * outlive the player. */
struct player *player_open(const struct stage *stage, const struct plan *plan, struct tap *tap);
/* Go on as far as possible. Call it until it is not GOING any more: at player_wake_ns at the
 * latest, sooner as often as one likes (when an answer has come, say). Costs next to nothing while
 * a step only waits for its time. */
enum player_end player_poll(struct player *player);
/* Time of the plan's clock at which player_poll has something to do. */
uint64_t player_wake_ns(const struct player *player);
const struct player_result *player_result(const struct player *player);
void player_close(struct player *player);

#endif
