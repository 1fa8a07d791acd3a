/* sim/world.h - whole peers (node/turn.h) in one process: a network, disks, crashes and virtual
 * time around the code that runs live.
 * Owns   who takes a turn when, what breaks when it is told to, what really happened (TALLY_LIST).
 * Leaves what happens when to its caller, one peer's seams and turn to sim/node.h, packets under
 *        way to sim/network.h, clients to sim/callers.h, the verdict to sim/ledger.h.
 * Judges (ST) no follower runs out of patience while nothing is wrong: no fault for some election
 *             timeouts, and a leader for as long. Plain Raft promises no more: who was away comes
 *             back with a higher term (pre-vote, [T §9.6], would change that).
 * Holds  (W2) a peer that crashes, also in the middle of a turn or of a slow commit, keeps its disk
 *             and no more: what it had sent is under way, nothing that it does after that moment is
 *             seen
 *        (W3) the same calls with the same seed give the same run, to the bit: world->hash. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/bug.h"
#include "sim/ledger.h"
#include "sim/network.h"

/* where a crash may wait for a peer, beside the named points of a turn */
enum { CRASH_AMONG_SENDS = KILL_OFF + 1, CRASH_POINTS };

/* What really happened: a run that is never short of anything is not worth much. */
#define TALLY_LIST(X)                                                                              \
    X(CRASHED, "crashes between turns")                                                            \
    X(CRASHED_BEFORE_SEND, "crashes before the sends")                                             \
    X(CRASHED_BEFORE_COMMIT, "crashes before a commit")                                            \
    X(CRASHED_AFTER_COMMIT, "crashes after a commit")                                              \
    X(CRASHED_AFTER_SEND, "crashes after the sends")                                               \
    X(CRASHED_AMONG_SENDS, "crashes among the sends")                                              \
    X(CRASHED_IN_COMMIT, "crashes in the middle of a slow commit")                                 \
    X(COMMIT_UNDONE, "commits that such a crash undid")                                            \
    X(POWER_CUT, "peers that lost their power")                                                    \
    X(RESTARTED, "restarts")                                                                       \
    X(REFUSED_START, "starts that the disk refused")                                               \
    X(PAUSED, "pauses")                                                                            \
    X(COMMIT_FAILED, "commits that failed")                                                        \
    X(COMMIT_SLOW, "commits that took long")                                                       \
    X(READ_FAILED, "reads that failed")                                                            \
    X(READ, "reads of the log from disk")                                                          \
    X(CORRUPT, "packets refused as corrupt")                                                       \
    X(FULL, "packets lost at a full inbox")                                                        \
    X(DOWN, "packets to a peer that was down")                                                     \
    X(SKEWED, "clocks set to another rate")                                                        \
    X(FORCED, "forced timeouts")                                                                   \
    X(LED, "elections won")                                                                        \
    X(CANDIDATE, "candidacies")                                                                    \
    X(TRUNCATED, "logs cut back")                                                                  \
    X(STEPPED_DOWN, "leaders that stepped down")                                                   \
    X(FRAME_FULL, "frames with as many entries as one takes")                                      \
    X(FRAME_LARGE, "frames above the soft limit")                                                  \
    X(FRAMES_SPLIT, "frames that begin where another ended")                                       \
    X(TURN_FULL, "turns that left packets for the next")                                           \
    X(APPLY_FULL, "turns that left entries to apply for the next")                                 \
    X(REQUESTS, "RPCs delivered")                                                                  \
    X(TURNS, "turns")
#define TALLY_ENUM(name, text) TALLY_##name,
enum tally { TALLY_LIST(TALLY_ENUM) TALLY_COUNT };
#undef TALLY_ENUM

struct node;
struct world_guests { /* clients: called when their time has come, and for what arrives at them */
    uint64_t due_ns;
    void (*act)(void *state);
    void (*take)(void *state, const struct packet *packet);
    void *state;
};
struct world {
    struct peer_config config; /* `self` is set for each */
    const struct bug *bug;     /* of all peers, from their next start on; NULL: none */
    uint32_t peers;
    uint64_t now_ns;
    uint64_t lag_ns; /* at most so long after an arrival the turn begins */
    uint64_t hash;   /* of all that has happened */
    /* Nothing is wrong since then, as far as its caller knows; TIME_NEVER: something is. */
    uint64_t calm_since_ns;
    uint64_t led_since_ns; /* the last election was won then */
    struct rng rng;
    struct ledger ledger;
    struct network network;
    struct node *nodes; /* by id */
    uint64_t tally[TALLY_COUNT];
    struct world_guests guests;
    /* Each transition of a peer as it becomes known, its time being the world's; NULL: nobody
     * looks. */
    void (*each_note)(void *context, const struct note *note);
    void *context;
};

/* All peers are down, with empty disks, clocks up to `skew_ppm` from true; config->raft needs no
 * `self`. `clients` endpoints follow those of the peers. */
void world_open(struct world *world, const struct peer_config *config, uint32_t clients,
                uint32_t skew_ppm, uint64_t seed);
void world_close(struct world *world);
/* Start all that are down. */
void world_start(struct world *world);
/* Let things happen until then, or until the ledger has found something. */
void world_run(struct world *world, uint64_t until_ns);
/* When the next thing happens; TIME_NEVER: nothing ever does. */
uint64_t world_next_ns(const struct world *world);
/* Send a packet of a client or of the supervisor. */
void world_send(struct world *world, struct packet *packet);
/* Let a peer's election timer run out. */
void world_timeout(struct world *world, uint32_t id);

void world_crash(struct world *world, uint32_t id);
/* Crash at the next chance: an enum kill_point, or at the send after so many others. */
void world_crash_at(struct world *world, uint32_t id, uint32_t where, uint32_t sends);
/* A crash that also forgets some of what its disk had not synced, the newest first. */
void world_power_cut(struct world *world, uint32_t id);
void world_restart(struct world *world, uint32_t id);
/* Until then, or TIME_NEVER; until now_ns resumes it. */
void world_pause(struct world *world, uint32_t id, uint64_t until_ns);
/* Commits and reads, or just reads, fail with an errno; 0: none. */
void world_fail_disk(struct world *world, uint32_t id, int disk_errno, int read_errno);
/* Time that a commit takes. */
void world_slow_disk(struct world *world, uint32_t id, uint64_t disk_ns);
/* The rate of its clock from now on. */
void world_skew(struct world *world, uint32_t id, uint32_t rate_ppm);
/* All links are perfect, disks are well, all peers run; clocks stay as they are. */
void world_heal(struct world *world);

/* Have the ledger look at a peer as it is now, in the middle of a turn or not. */
void world_look(struct world *world, uint32_t id);
/* NULL while it is down. */
const struct peer *world_peer(const struct world *world, uint32_t id);
bool world_paused(const struct world *world, uint32_t id);
/* The leader of the highest term among those up; 0: none. */
uint32_t world_leader(const struct world *world);
/* One leader whom all follow, equal logs, all of it stored, committed and applied. */
bool world_agrees(const struct world *world);
/* A majority runs, and the disks and links of those who do are well; a constant delay that is short
 * against an election timeout is no fault. */
bool world_is_well(struct world *world);
/* Something happened: into the hash. */
static inline void world_mix(struct world *world, uint64_t what)
{
    world->hash = (world->hash ^ what) * 0x9e3779b97f4a7c15ull;
    world->hash ^= world->hash >> 29;
}

#endif
