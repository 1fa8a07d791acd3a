/* node/net_live.h - the network of one live endpoint: rings and doorbells, and the link model at
 * the receiver.
 * Owns   this endpoint's ring ends; the messages that the link rules hold back; who has to be rung.
 * Leaves what a packet means to node/turn.c; what a rule does to fault/link.c.
 * Holds  (L1) link rules act between peers only: clients and the supervisor have perfect links
 *        (L2) what is held back is visible in the region (as far as its slots reach). */
#ifndef NODE_NET_LIVE_H
#define NODE_NET_LIVE_H

#include "node/net.h"
#include "shm/region.h"

struct net_live;

/* Endpoint `self` of `region` begins a life: what is in its rings is gone (R5). Its peers' eventfd
 * wakes a supervisor that waits in poll(); -1 where there is none. Seeds the links with the
 * region's seed. */
struct net_live *net_live_open(struct region *region, uint32_t self, int supervisor_eventfd);
void net_live_close(struct net_live *live);
struct net net_live_seam(struct net_live *live);

/* Begin a turn at cluster time `now_ns`: take over changed rules. */
void net_live_turn(struct net_live *live, uint64_t now_ns);
/* Cluster time when the next held message is due; TIME_NEVER when none is. */
uint64_t net_live_deadline(const struct net_live *live);
/* True when receive would find something in a ring. */
bool net_live_pending(struct net_live *live);
uint64_t net_live_held(const struct net_live *live);
/* Sleep until rung or until real time `deadline_ns` (see bell_wait), unless something has
 * arrived. */
void net_live_sleep(struct net_live *live, uint64_t deadline_ns);
/* The same for a peer that takes nothing in: what has arrived keeps it from no sleep. */
void net_live_rest(struct net_live *live, uint64_t deadline_ns);

#endif
