/* sim/runner.h - one plan in virtual time, from its beginning to its verdict.
 * Owns   the world, the stage and the player of that run; what it counted (COUNT_LIST).
 * Leaves who runs how many plans to sim/swarm.h and ctl/sim.c.
 * Holds  (W3) the same plan, seed and bug give the same outcome, to the bit: outcome.hash
 *        (N1) a CHECK that fails in the middle of a run is the verdict of that run: the code that
 *             ran was wrong. */
#ifndef SIM_RUNNER_H
#define SIM_RUNNER_H

#include "fault/plan.h"
#include "fault/preset.h"
#include "sim/bug.h"
#include "sim/player.h"
#include "sim/world.h"

/* COUNT(name, label): what a run exercised. */
#define COUNT_LIST(X)                                                                              \
    X(VIRTUAL_MS, "virtual_ms")                                                                    \
    X(TURNS, "turns")                                                                              \
    X(ELECTIONS, "elections")                                                                      \
    X(CANDIDACIES, "candidacies")                                                                  \
    X(STEPPED_DOWN, "leaders_stepped_down")                                                        \
    X(COMMITS, "commits")                                                                          \
    X(TRUNCATIONS, "truncations")                                                                  \
    X(OPERATIONS_OK, "operations_ok")                                                              \
    X(OPERATIONS_FAIL, "operations_fail")                                                          \
    X(OPERATIONS_UNKNOWN, "operations_unknown")                                                    \
    X(RPCS, "rpcs")                                                                                \
    X(LOST, "dropped_loss")                                                                        \
    X(CUT, "dropped_cut")                                                                          \
    X(CORRUPT, "dropped_corrupt")                                                                  \
    X(FULL, "dropped_full")                                                                        \
    X(DOWN, "dropped_down")                                                                        \
    X(DUPLICATED, "duplicated")                                                                    \
    X(DELAYED, "delayed")                                                                          \
    X(OVERTOOK, "overtook")                                                                        \
    X(LINK_CHANGES, "link_changes")                                                                \
    X(KILLS, "kills")                                                                              \
    X(KILLS_IN_TURN, "kills_in_turn")                                                              \
    X(KILLS_IN_COMMIT, "kills_in_commit")                                                          \
    X(POWER_CUTS, "power_cuts")                                                                    \
    X(RESTARTS, "restarts")                                                                        \
    X(PAUSES, "pauses")                                                                            \
    X(FORCED, "timeouts_forced")                                                                   \
    X(DISK_SLOW, "commits_slowed")                                                                 \
    X(DISK_FAILED, "commits_failed")                                                               \
    X(DISK_UNDONE, "commits_undone")                                                               \
    X(SKEWED, "clocks_skewed")
#define COUNT_ENUM(name, label) COUNT_##name,
enum count { COUNT_LIST(COUNT_ENUM) COUNT_COUNT };
#undef COUNT_ENUM
const char *count_label(enum count count);

struct runner_config {
    const struct bug *bug; /* NULL: Raft */
    /* Each transition, with the world's time; NULL: nobody looks. */
    void (*each_note)(void *context, const struct note *note);
    void *context;
    /* Given all operations before the end; NULL: nobody asks. The history lives during the call. */
    void (*each_history)(void *context, const struct history *history);
};
struct outcome {
    enum player_end end;
    char invariant[16]; /* "ES" ..., "LZ" not linearizable, "LV" an expectation, "CHECK" */
    char failure[1024]; /* the sentence with both sides; "" */
    enum linear_verdict linearizable;
    bool judged; /* was there a history? */
    uint64_t hash;
    uint64_t counts[COUNT_COUNT];
};

/* Points and comments go to `tap`; NULL: nobody reads. */
void runner_run(const struct runner_config *config, const struct plan *plan, struct tap *tap,
                struct outcome *outcome);
/* The timing of a preset as peers want it, live and simulated. */
void runner_timing(const struct preset *preset, uint32_t peers, struct peer_config *config);

#endif
