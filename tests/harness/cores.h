/* tests/harness/cores.h - a cluster of pure cores in one process: no sockets, files, or real time.
 * Owns   the host's part: turns, messages in flight, a disk in memory per peer, virtual time, one
 *        generator.
 * Leaves what happens when to its caller (a transcript, a soak), the verdict to witness.h.
 * Holds  (C1) a late message leaves after the save before it
 *        (C2) a peer that crashes keeps its disk, and no more
 *        (C3) the same calls with the same seed give the same run. */
#ifndef TESTS_HARNESS_CORES_H
#define TESTS_HARNESS_CORES_H

#include "base/rng.h"
#include "node/core/raft.h"
#include "tests/harness/witness.h"

#define CORES_WINDOW_MAX 64

struct flight { /* a message under way, with the entries it carries */
    struct message message;
    struct entry entries[];
};
struct core {
    struct raft raft;
    struct update *update;
    struct term_run *runs;
    struct entries log; /* what raft.log is the shape of */
    bool up;
    bool disk_held;       /* its disk does not answer: nothing is saved, nothing late leaves */
    bool dies_after_save; /* crashes between its next save and the messages after it */
};
struct cores {
    struct raft_config config; /* `self` is set for each */
    uint64_t now_ns, next_id;
    struct rng rng;
    struct core core[PEER_MAX + 1];
    struct image disks[PEER_MAX + 1];
    peer_set cut[PEER_MAX + 1]; /* cut[from]: receivers that hear nothing */
    struct flight **flights;    /* in the order of sending */
    size_t flights_count, flights_capacity;
    struct witness witness;
    void (*on_note)(void *context, const struct note *note); /* may be NULL */
    void *context;
};

/* config->peers cores with empty disks, all up. `config` needs no `self`. */
void cores_open(struct cores *cores, const struct raft_config *config, uint64_t seed);
void cores_close(struct cores *cores);
/* Begin peer `id` anew with this disk. Before anything else has happened. */
void cores_load(struct cores *cores, uint32_t id, uint64_t term, uint32_t voted_for,
                const uint64_t *terms, uint64_t count);

/* Events of a turn; a peer that is down takes none. Then cores_turn, which ends it. */
void cores_event(struct cores *cores, uint32_t id, enum event_kind kind);
struct log_id cores_propose(struct cores *cores, uint32_t id);
/* Message `n` of those in flight arrives. False: link cut or receiver down, it is lost. */
bool cores_deliver(struct cores *cores, size_t n);
void cores_turn(struct cores *cores, uint32_t id);

void cores_lose(struct cores *cores, size_t n);
/* Message `n` is in flight once more, behind all others. */
void cores_copy(struct cores *cores, size_t n);
void cores_crash(struct cores *cores, uint32_t id);
void cores_restart(struct cores *cores, uint32_t id);
void cores_hold_disk(struct cores *cores, uint32_t id);
void cores_release_disk(struct cores *cores, uint32_t id);
/* Let time pass; timers run out in their order. */
void cores_advance(struct cores *cores, uint64_t ns);
/* When the next timer runs out; TIME_NEVER is possible. */
uint64_t cores_deadline(const struct cores *cores);
/* The leader of the highest term among those up; 0: none. */
uint32_t cores_leader(const struct cores *cores);

#endif
