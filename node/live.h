/* node/live.h - a peer as a process: the turn on rings, LMDB, the cluster clock and a doorbell.
 * Owns   the life of the forked child: what it may write to, when it sleeps, what it publishes.
 * Leaves forking and reaping to ctl/cluster.c. */
#ifndef NODE_LIVE_H
#define NODE_LIVE_H

#include "node/turn.h"
#include "shm/region.h"

struct live_config {
    struct region *region;
    uint32_t self;
    uint64_t life; /* incarnation: 1 when this peer is started for the first time, then 2 ... */
    struct peer_config peer;
    struct store_config store;
    int supervisor_eventfd;
    /* called before peer_open, with the seams and the config that it is about to get, which it may
     * change; NULL: nobody wants to. `peer` is where the peer will be */
    void (*wrap)(const void *context, const struct peer *peer, struct disk *disk, struct net *net,
                 struct peer_config *config);
    const void *wrap_context;
    uint64_t random; /* for this life's timeouts; another one for each life */
};

/* What the child's exit code tells the supervisor; a signal tells the rest. */
enum live_exit { LIVE_EXIT_OK = 0, LIVE_EXIT_STORE = 10, LIVE_EXIT_REGION = 11 };

/* Run until killed. Called in the child right after fork; returns only with an exit code, the
 * reason is on stderr. */
int live_run(const struct live_config *config);

#endif
