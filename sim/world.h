/* sim/world.h - whole peers (node/turn.h) in one process: a network, disks, crashes and
 * virtual time around the code that runs live.
 * Owns   the two seams in memory, who takes a turn when, what breaks when it is told to.
 * Leaves what happens when to its caller, clients to sim/callers.h, the verdict to
 *        sim/ledger.h.
 * Holds  (W1) packets travel as the bytes of node/wire.h, under the rules of fault/link.h
 *        (W2) a peer that crashes, also in the middle of a turn, keeps its disk and no more: what
 *             it had sent is under way, nothing that it does after that moment is seen
 *        (W3) the same calls with the same seed give the same run. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "fault/link.h"
#include "sim/bug.h"
#include "sim/ledger.h"

enum { WORLD_CALLERS = 5, WORLD_ENDPOINTS = 1 + LEDGER_PEERS + WORLD_CALLERS };
/* where a crash may wait for a peer, beside the named points of a turn */
enum { CRASH_AMONG_SENDS = KILL_AFTER_SEND + 1, CRASH_POINTS };

/* What really happened: a run that is never short of anything is not worth much. */
#define TALLY_LIST(X)                                                                              \
    X(CRASHED, "crashes between turns")                                                            \
    X(CRASHED_BEFORE_SEND, "crashes before the sends")                                             \
    X(CRASHED_BEFORE_COMMIT, "crashes before a commit")                                            \
    X(CRASHED_AFTER_COMMIT, "crashes after a commit")                                              \
    X(CRASHED_AFTER_SEND, "crashes after the sends")                                               \
    X(CRASHED_AMONG_SENDS, "crashes among the sends")                                              \
    X(RESTARTED, "restarts")                                                                       \
    X(REFUSED_START, "starts that the disk refused")                                               \
    X(PAUSED, "pauses")                                                                            \
    X(COMMIT_FAILED, "commits that failed")                                                        \
    X(COMMIT_SLOW, "commits that took long")                                                       \
    X(READ_FAILED, "reads that failed")                                                            \
    X(READ, "reads of the log from disk")                                                          \
    X(CUT, "packets lost on a cut link")                                                           \
    X(LOST, "packets lost by chance")                                                              \
    X(DUPLICATED, "packets delivered twice")                                                       \
    X(OVERTOOK, "packets that overtook others")                                                    \
    X(CORRUPT, "packets refused as corrupt")                                                       \
    X(FULL, "packets lost at a full inbox")                                                        \
    X(DOWN, "packets to a peer that was down")                                                     \
    X(FORCED, "forced timeouts")                                                                   \
    X(LED, "elections won")                                                                        \
    X(TRUNCATED, "logs cut back")                                                                  \
    X(STEPPED_DOWN, "leaders that stepped down")                                                   \
    X(FRAME_FULL, "frames with as many entries as one takes")                                      \
    X(FRAME_LARGE, "frames above the soft limit")                                                  \
    X(FRAMES_SPLIT, "frames that begin where another ended")                                       \
    X(TURN_FULL, "turns that left packets for the next")                                           \
    X(APPLY_FULL, "turns that left entries to apply for the next")                                 \
    X(TURNS, "turns")
#define TALLY_ENUM(name, text) TALLY_##name,
enum tally { TALLY_LIST(TALLY_ENUM) TALLY_COUNT };
#undef TALLY_ENUM

struct node { /* one peer and what it stands on */
    struct world *world;
    uint32_t id;
    struct peer peer;
    struct bug_seams *seams; /* of the bug that it has; NULL: none */
    bool up;
    bool dead;  /* it has crashed in the middle of this turn */
    bool saved; /* this turn has stored what it had to */
    bool took;  /* this turn has taken packets in */
    uint32_t crash_at, crash_sends;
    uint32_t notes_alive;                /* notes of this turn before it crashed */
    int disk_errno, read_errno;          /* commits and reads, or just reads, fail with it */
    uint64_t disk_ns;                    /* time that a commit takes */
    uint64_t wake_ns;                    /* its next turn, unless it sleeps or works */
    uint64_t paused_ns, working_ns;      /* until then */
    uint64_t late_ns;                    /* by how much this turn's sends are late: a slow disk */
    uint32_t rate_ppm;                   /* of its clock */
    uint64_t commit_seen;                /* in this life */
    bool led;                            /* seen as leader, and not yet seen to have let go */
    uint64_t end_sent[LEDGER_PEERS + 1]; /* where the last frame with entries ended, this turn */
    struct parcel *first, *last, *open;  /* inbox; the packet handed out last */
    uint32_t waiting;
    uint64_t bytes_sent[LEDGER_PEERS + 1], bytes_read; /* this turn */
    struct wire_scratch scratch;
};

struct world {
    struct peer_config config; /* `self` is set for each */
    const struct bug *bug;     /* of all peers, from their next start on; NULL: none */
    uint32_t peers;
    uint64_t now_ns, order;
    uint64_t lag_ns; /* at most so long after an arrival the turn begins */
    struct rng rng;
    struct ledger ledger;
    struct node nodes[LEDGER_PEERS + 1];
    struct link_rule rules[WORLD_ENDPOINTS][WORLD_ENDPOINTS];
    struct link_state links[WORLD_ENDPOINTS][WORLD_ENDPOINTS];
    uint64_t latest_ns[WORLD_ENDPOINTS][WORLD_ENDPOINTS]; /* deliveries decided so far */
    struct parcel **flights;                              /* a heap, earliest first */
    size_t flights_count, flights_capacity;
    uint64_t tally[TALLY_COUNT];
    /* clients: called when their time has come, and for what arrives at them */
    uint64_t guests_due_ns;
    void (*guests_act)(void *guests);
    void (*guests_take)(void *guests, const struct packet *packet);
    void *guests;
};

/* All peers are up, with empty disks; config->raft needs no `self`. `bug`: all have it; NULL: none
 * has any. */
void world_open_bug(struct world *world, const struct peer_config *config, const struct bug *bug,
                    uint64_t seed);
void world_open(struct world *world, const struct peer_config *config, uint64_t seed);
void world_close(struct world *world);
/* Let things happen until then, or until the ledger has found something. */
void world_run(struct world *world, uint64_t until_ns);
/* Send a packet of a client or of the supervisor. */
void world_send(struct world *world, struct packet *packet);

void world_crash(struct world *world, uint32_t id);
/* Crash at the next chance: an enum kill_point, or at the send after so many others. */
void world_crash_at(struct world *world, uint32_t id, uint32_t where, uint32_t sends);
void world_restart(struct world *world, uint32_t id);
void world_pause(struct world *world, uint32_t id, uint64_t until_ns);
/* All links, clocks of peers aside, are perfect, disks are well, all peers run. */
void world_heal(struct world *world);
/* The leader of the highest term among those up; 0: none. */
uint32_t world_leader(const struct world *world);
/* One leader whom all follow, equal logs, all of it stored, committed and applied. */
bool world_agrees(const struct world *world);

#endif
