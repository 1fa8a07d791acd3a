/* sim/stage_world.h - the stage of a plan in virtual time: a world and its clients.
 * Owns   the seam of sim/stage.h for a world: verbs, questions, looking, judging.
 * Leaves time to its caller (stage_world_run), the peers to sim/world.h.
 * Holds  (T1) the plan's clock is the world's; while the cluster's clock stands still (rate 0) the
 *             plan's goes on and nothing happens, but that who waits gives up. Other rates change
 *             nothing here: they stretch real time only. */
#ifndef SIM_STAGE_WORLD_H
#define SIM_STAGE_WORLD_H

#include "sim/callers.h"
#include "sim/stage.h"

enum { STAGE_CALLERS = 4 }; /* operations that one client of a load has open, as live */

struct stage_world {
    struct stage stage;
    struct world *world;
    struct callers callers;
    struct link_table table; /* the rules between peers */
    struct rng rng;          /* for words that choose */
    struct violation violation;
    bool read;          /* somebody reads: verdicts have a text */
    uint64_t frozen_ns; /* by how much the plan's clock is ahead of the world's */
    bool frozen;
    uint64_t frozen_since_ns; /* plan's clock */
    uint64_t kills, link_changes;
    uint64_t judged; /* operations that the last verdict was about */
};

/* The world is open and has endpoints for the plan's clients. */
void stage_world_open(struct stage_world *stage, struct world *world, uint64_t seed);
void stage_world_close(struct stage_world *stage);
/* Let time pass until the plan's clock shows `plan_ns`. */
void stage_world_run(struct stage_world *stage, uint64_t plan_ns);

#endif
