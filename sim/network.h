/* sim/network.h - the network of a world: packets under way, as bytes, in the order of their
 * arrival.
 * Owns   the heap of what is under way; the rule and the memory of each link, clients' included.
 * Leaves who sends and who is there to receive to sim/world.h, fates to fault/link.h.
 * Holds  (W1) packets travel as the bytes of node/wire.h, under the rules of fault/link.h
 *        (B1) of two packets for one moment the one that was sent first arrives first. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "fault/link.h"
#include "node/wire.h"

struct parcel { /* a packet as bytes */
    uint64_t deliver_at_ns, order;
    struct parcel *next; /* in an inbox or an outbox */
    uint32_t from, to;
    size_t length;
    uint64_t bytes[];
};

struct network_counts {
    uint64_t sent, cut, lost, duplicated, overtook, corrupted, delayed;
};

struct network {
    uint32_t endpoints; /* 0 the supervisor, then peers, then clients */
    struct rng rng;     /* which bits are flipped */
    struct link_rule *rules;
    struct link_state *links;
    uint64_t *latest_ns;  /* deliveries decided so far, by link */
    uint64_t *sent_bytes; /* whatever became of them, by link */
    struct parcel **heap;
    size_t count, capacity;
    uint64_t order;
    struct network_counts counts;
};

void network_open(struct network *network, uint32_t endpoints, uint64_t seed);
void network_close(struct network *network);
/* The rule of a link, to be read or set. */
struct link_rule *network_rule(struct network *network, uint32_t from, uint32_t to);
/* Bytes sent so far on a link. */
uint64_t network_sent_bytes(const struct network *network, uint32_t from, uint32_t to);
/* All links become perfect. */
void network_heal(struct network *network);
/* The packet as bytes; the caller owns it. */
struct parcel *parcel_new(struct network *network, struct packet *packet, uint64_t now_ns);
/* It leaves now; takes the parcel. */
void network_send(struct network *network, struct parcel *parcel, uint64_t now_ns);
/* When the next packet arrives; TIME_NEVER: none is under way. */
uint64_t network_due_ns(const struct network *network);
/* That packet; the caller frees it. */
struct parcel *network_take(struct network *network);

#endif
