/* node/turn.h - one peer behind two seams, and its turn: the same code live and in the simulator.
 *
 *   drain the network into the core (many steps, one update) -> send what may go early -> one
 *   transaction -> send what promises it -> apply -> answer            then the host publishes and
 *   sleeps
 *
 * Owns   the order of those, the newest entries' bytes, the answers that clients wait for.
 * Leaves decisions to node/core, bytes to node/wire.h, storage and transport to disk and net, time
 *        to the host.
 * Holds  (U1) one write transaction a turn at most, and everything in update.late leaves after it
 *        (U2) no call here waits for another process: a dead, paused or slow peer costs nothing
 *        (U3) after a failed commit the peer takes in nothing, promises nothing and tries that
 *        commit again. */
#ifndef NODE_TURN_H
#define NODE_TURN_H

#include "node/core/raft.h"
#include "node/disk.h"
#include "node/kv.h"
#include "node/net.h"
#include "node/tail.h"
#include "shm/board.h" /* enum kill_point */

struct pending { /* a client waits for this entry */
    uint64_t index, term, request;
    uint32_t client; /* endpoint. index 0: nobody waits */
};

struct peer;
enum packing { PACK_TAKE, PACK_STOP, PACK_SKIP };

/* The decisions of a turn that published bugs get wrong, as struct rules holds the core's. The
 * right ones: node/steps.c. */
struct steps {
    /* a frame holds `count` entries of `bytes` in all: is `next` put behind them? */
    enum packing (*pack)(uint32_t count, size_t bytes, const struct entry *next);
    /* a committed command takes effect. Errors are those of kv_apply */
    err_t (*apply)(struct peer *peer, const struct entry *entry, struct kv_answer *answer);
    /* what a client is told whose command was in the log when its leader was deposed */
    enum reply_status (*lost)(const struct peer *peer);
};
extern const struct steps steps_raft;

struct peer_config {
    struct raft_config raft;
    const struct steps *steps; /* NULL: steps_raft */
    uint64_t retry_ns; /* between two attempts of a failed commit, or of a failed read to apply */
    /* of durable and applied entries in memory, for followers a little behind; 0: 4 MiB */
    uint64_t tail_keep_bytes;
};

struct peer {
    struct peer_config config;
    struct disk disk;
    struct net net;
    /* Called at the named points of a turn (kill at a point); NULL in a world that has none. */
    void (*at_point)(void *context, enum kill_point point);
    void *context;

    struct raft raft;
    struct update update;
    struct tail tail;
    struct kv *kv;
    /* on disk: */
    uint64_t disk_term, disk_last; /* the current term; the last index */
    uint32_t disk_vote;
    uint64_t disk_hash;   /* of the log (base/words.h) */
    bool disk_hashed;     /* false: what was deleted could not be read, so it is not known */
    uint64_t state_hash;  /* of all that was applied, in order */
    int disk_errno;       /* 0: well. Else U3 holds */
    uint64_t failed_ns;   /* since when */
    uint64_t retry_at_ns; /* the next attempt, however often turns are taken till then */
    uint64_t disk_commits, disk_ns; /* disk_ns is the host's to add */
    uint64_t proposals, answers;
    struct pending *pending; /* by index & (pending_capacity - 1) */
    uint32_t pending_capacity, pending_count;
    /* for entries that are read from the disk or gathered for a send */
    struct wire_scratch *scratch;
    uint8_t *bytes; /* their data */
};

/* Load the disk, replay nothing yet (commit_index is not known), begin to follow. Memory until
 * peer_close. */
err_t peer_open(struct peer *peer, const struct peer_config *config, const struct disk *disk,
                const struct net *net, uint64_t now_ns, uint64_t random);
/* One turn at the peer's time `now_ns`. Returns when the next one is due at the latest; 0: at once,
 * more waits. The update's notes stay until the next turn, for the host to publish. */
uint64_t peer_turn(struct peer *peer, uint64_t now_ns, uint64_t random);
void peer_close(struct peer *peer);

/* node/serve.c: clients, part of the turn */
void serve_request(struct peer *peer, const struct packet *packet, const struct event *event);
/* apply what is committed and reply; false: the disk has failed before the end of it */
bool serve_applied(struct peer *peer);
void serve_lost(struct peer *peer); /* no longer leader: nobody waits any more */
/* node/turn.c, for serve.c: entries first..last or as many as one frame takes, at least one;
 * returns how many. They live until the next call. 0: the disk has failed. */
uint32_t peer_gather(struct peer *peer, uint64_t first, uint64_t last,
                     const struct entry **entries);

#endif
