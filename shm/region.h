/* shm/region.h - the one sealed memory region of a cluster: its network and its window.
 * Owns   the layout: what lies where, who writes it. Mapping, sealing, attaching, protecting.
 * Leaves the parts to ring, bell, latch, board, trail, clock; the link rules' meaning to
 *        fault/link.h.
 * Holds  (G1) every endpoint's words lie together in its own area: it writes there and nowhere
 *             else, but for the bells, which everybody may raise and which lie in pages of their
 *             own
 *        (G2) magic, version and layout are checked before anything else is believed
 *        (G3) nothing has a name in a file system: when the last process ends, the memory is gone.
 * Endpoint 0 is the supervisor, 1..peers are the peers, then come the clients. */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include "base/err.h"
#include "shm/bell.h"
#include "shm/board.h"
#include "shm/clock.h"
#include "shm/ring.h"
#include "shm/trail.h"

#define CLIENT_MAX 16
#define ENDPOINT_MAX (1 + PEER_MAX + CLIENT_MAX)
#define SUPERVISOR 0
#define RULE_WORDS 6          /* room for a struct link_rule */
#define RING_BYTES (4u << 20) /* a record of 1 MiB and its header fits twice */

struct region_config {
    uint32_t peers;      /* 1 .. PEER_MAX */
    uint32_t clients;    /* 0 .. CLIENT_MAX */
    uint64_t ring_bytes; /* of each ring, a power of two, 4096 or more */
    uint64_t seed;
    char name[64];
    /* what a viewer wants to know of the cluster */
    uint64_t election_min_ns, election_max_ns, heartbeat_ns;
    char bug[32]; /* that all peers have on purpose; "": none */
};
struct region; /* private to this process: where the mapping is */

/* A new region, mapped read-write, sealed against shrinking, growing and further writers. */
err_t region_create(const struct region_config *config, struct region **region);
/* Map another process's region read-only, by path (/proc/PID/fd/N). ERR_VERSION: wrong magic,
 * version, layout or size, said in the context. */
err_t region_attach(const char *path, struct region **region);
/* After fork: everything but the area of `endpoint` becomes read-only for this process (G1). */
err_t region_protect(struct region *region, uint32_t endpoint);
void region_close(struct region *region);
int region_fd(const struct region *region);

const struct region_config *region_config(const struct region *region);
uint32_t region_endpoints(const struct region *region);
/* Which ordered pairs have a ring: at least one side is a peer, and they differ. */
bool region_linked(const struct region *region, uint32_t from, uint32_t to);

/* The parts; CHECKed ids. Writers: ring parts by their side, trails by their endpoint,
 * board and held slots by their peer, clock, rules, lives and orders by the supervisor. */
struct ring region_ring(const struct region *region, uint32_t from, uint32_t to);
struct bell *region_bell(const struct region *region, uint32_t endpoint);
/* supervisor and peers */
struct trail *region_trail(const struct region *region, uint32_t endpoint);
struct latch *region_board(const struct region *region, uint32_t peer);
struct latch *region_held(const struct region *region, uint32_t peer, uint32_t slot);
struct link_counts *region_link(const struct region *region, uint32_t from, uint32_t to);
struct latch *region_clock(const struct region *region);
struct latch *region_rule(const struct region *region, uint32_t from, uint32_t to); /* peers */
struct latch *region_life(const struct region *region, uint32_t peer);
struct latch *region_orders(const struct region *region, uint32_t peer);
struct latch *region_facts(const struct region *region);

/* What the link model did to peer-to-peer messages; written by the receiver `to`, read by
 * anybody. */
struct link_counts {
    _Atomic uint64_t delivered, lost, cut, corrupted, duplicated, delayed, held, delay_ns;
    _Atomic uint64_t requests; /* of delivered: vote and append requests, i.e. RPCs that came in */
};

#endif
