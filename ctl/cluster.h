/* ctl/cluster.h - the processes of a cluster: forked, watched, killed, paused, started again, all
 * ended.
 * Owns   the region, the peers' pids and pidfds, their unnamed or named storage, what the
 *        supervisor publishes.
 * Leaves what to do when to ctl/carry.c (verbs) and ctl/supervisor.c (the loop).
 * Holds  (C1) when the process that called cluster_start ends, in whatever way, so do all peers
 *        (death signal)
 *        (C2) without a data directory nothing of a cluster has a name in a file system
 *        (C3) a peer is started again only after its former process was reaped: one writer per
 *        database. */
#ifndef CTL_CLUSTER_H
#define CTL_CLUSTER_H

#include "base/rng.h"
#include "ctl/preset.h"
#include "fault/verb.h"
#include "shm/region.h"
#include <sys/types.h>

struct bug;
struct cluster_config {
    const char *name;
    uint32_t peers, clients;
    uint64_t seed;
    uint64_t ring_bytes; /* 0: RING_BYTES */
    /* directory for all peers' databases, durable; NULL: thrown away at the end */
    const char *data;
    bool durable;        /* fdatasync at each commit; set with data, or by the bench alone */
    const char *scratch; /* where unnamed files live; NULL: $TMPDIR, else /tmp */
    const struct preset *preset;
    /* what peers write to stderr is kept until the end: a dashboard has the terminal */
    bool quiet;
    uint64_t election_min_ns, election_max_ns; /* 0: the preset's */
    const struct bug *bug;                     /* that all peers have (sim/bug.h); NULL: none */
};

struct child {
    pid_t pid; /* 0: none */
    int pidfd; /* -1: none */
    bool paused;
    uint64_t starts;
    uint64_t started_ns; /* real: what was published before is of a former life */
    int file_fd;         /* unnamed database, -1 with a data directory */
};

struct cluster {
    struct cluster_config config;
    struct region *region;
    int eventfd;   /* wakes the supervisor */
    int errors_fd; /* unnamed file: what peers write to stderr */
    off_t errors_read;
    struct child children[PEER_MAX + 1];
    struct child clients[CLIENT_MAX]; /* forked by cluster_fork_client */
    struct link_table links;
    struct peer_orders orders[PEER_MAX + 1];
    struct cluster_facts facts;
    struct rng rng;    /* for random selectors */
    uint64_t began_ns; /* real time */
    uint64_t exits;    /* deaths of peers that nobody asked for */
};

/* Create the region, fork all peers, wait until each has opened its database. On an error nothing
 * is left. */
err_t cluster_start(const struct cluster_config *config, struct cluster **cluster);
/* Kill and reap everything, free everything. */
void cluster_stop(struct cluster *cluster);

/* Process faults; ERR_DOWN with a context when the peer is not in a state for it. */
err_t cluster_kill(struct cluster *cluster, uint32_t peer);
err_t cluster_pause(struct cluster *cluster, uint32_t peer);
err_t cluster_resume(struct cluster *cluster, uint32_t peer);
err_t cluster_restart(struct cluster *cluster, uint32_t peer);
/* Take note of children that have died, stopped or continued. Call when a pidfd is readable, or
 * often. */
void cluster_reap(struct cluster *cluster);

/* Fork a client process (load) that may write the area of client endpoint `client` only;
 * run(context) is its whole life and its exit code. Of the supervisor's files it keeps stdio and
 * `keep`. */
err_t cluster_fork_client(struct cluster *cluster, uint32_t client, int (*run)(void *context),
                          void *context, const int *keep, size_t keep_count);
void cluster_kill_client(struct cluster *cluster, uint32_t client);
static inline uint32_t cluster_client_endpoint(const struct cluster *cluster, uint32_t client)
{
    return 1 + cluster->config.peers + client;
}

/* What the peers publish, read now. False for a peer that has never published. Of a life that has
 * published nothing yet: what its former life left on disk, as a follower. */
bool cluster_board(const struct cluster *cluster, uint32_t peer, struct board *board);
bool cluster_alive(const struct cluster *cluster, uint32_t peer);
/* Alive, and it has published something in this life: its rings are open. */
bool cluster_has_spoken(const struct cluster *cluster, uint32_t peer);
/* Who leads, who is a candidate, who is alive: what selectors need. The leader is the live one of
 * the highest term. */
void cluster_view(const struct cluster *cluster, struct cluster_view *view);
uint64_t cluster_now_ns(const struct cluster *cluster);
/* Publish cluster->links, orders, facts after a change. */
void cluster_publish_links(struct cluster *cluster);
void cluster_publish_orders(struct cluster *cluster, uint32_t peer);
void cluster_publish_facts(struct cluster *cluster);
/* Write a note to the supervisor's trail. */
void cluster_note(struct cluster *cluster, enum note_kind kind, uint32_t other, uint64_t a,
                  uint64_t b);
/* Ring every bell: time or orders have changed. */
void cluster_ring_all(struct cluster *cluster);

#endif
