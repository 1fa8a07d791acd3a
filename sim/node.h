/* sim/node.h - one peer of a world: its seams in memory, its turn, and what it stands on.
 * Owns   the disk and the network as one peer sees them; a turn that a crash can end anywhere; what
 *        is checked of each turn beside what the ledger judges.
 * Leaves when it happens to sim/world.h.
 * Holds  (D1) with a slow disk nothing that a turn does after its commit is seen before that commit
 *             is done; a crash before then has it done or not, and nothing else of it. */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "sim/world.h"

struct node {
    struct world *world;
    uint32_t id;
    struct peer peer;
    struct bug_seams *seams; /* of the bug that it has; NULL: none */
    bool up;
    bool dead;  /* it has crashed in the middle of this turn */
    bool saved; /* this turn has stored what it had to */
    bool cut;   /* this turn has cut its log back: it reads what goes, for the log's hash */
    bool took;  /* this turn has taken packets in */
    uint32_t crash_at, crash_sends;
    uint32_t notes_alive;                 /* notes of this turn before it crashed */
    int disk_errno, read_errno;           /* commits and reads, or just reads, fail with it */
    uint64_t disk_ns;                     /* time that a commit takes */
    uint64_t wake_ns;                     /* its next turn, unless it sleeps or works */
    uint64_t paused_ns;                   /* until then */
    uint64_t done_ns;                     /* a slow commit is; TIME_NEVER: there is none */
    struct disk_save *held;               /* what that commit stores */
    struct parcel *outbox, *outbox_last;  /* what leaves after it */
    uint64_t clock_own_ns, clock_from_ns; /* its clock showed the one at the other, */
    uint32_t rate_ppm;                    /* and runs at this rate since */
    uint64_t commit_seen;                 /* in this life */
    uint64_t match_term;                  /* match_seen is of its leadership of that term */
    uint64_t match_seen[PEER_MAX + 1];
    uint64_t end_sent[PEER_MAX + 1];    /* where the last frame with entries ended, this turn */
    struct parcel *first, *last, *open; /* inbox; the packet handed out last */
    uint32_t waiting;
    uint64_t bytes_sent[PEER_MAX + 1], bytes_read; /* this turn */
    struct wire_scratch *scratch;
};

/* Start it from its disk, if it is down and the disk allows it. */
void node_start(struct node *node);
/* It is gone, at once. */
void node_bury(struct node *node);
/* A packet has arrived; takes the parcel. */
void node_deliver(struct node *node, struct parcel *parcel);
/* When it has something to do. */
uint64_t node_due_ns(const struct node *node);
/* Do it: a turn, or the end of a slow commit. */
void node_act(struct node *node);
/* Decode into `scratch`; false: it is corrupt, and counted. */
bool node_decode(struct world *world, const struct parcel *parcel, struct wire_scratch *scratch,
                 struct packet *packet);

#endif
