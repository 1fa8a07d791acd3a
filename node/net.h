/* node/net.h - the seam to the network: packets out, packets in. Rings live (node/net_live.c),
 * memory in sim/.
 * Holds  (M1) nothing here blocks: what cannot be sent is lost, and Raft sends it again when it
 *        matters. */
#ifndef NODE_NET_H
#define NODE_NET_H

#include "node/wire.h"

struct net {
    void *state;
    /* Send to packet->frame.to. Lost without a word when the way is full or cut. */
    void (*send)(void *state, struct packet *packet);
    /* The next packet that has arrived; false when there is none. It lives until the next call. */
    bool (*receive)(void *state, struct packet *packet);
    /* End of a turn's sends: wake the receivers, each once. */
    void (*flush)(void *state);
};

#endif
