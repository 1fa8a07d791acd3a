/* tests/harness/witness.h - an observer who believes no peer: safety over all history.
 * Owns   the verdict. It is told what each peer holds, has on disk, sends and applies, and judges
 *        ES one leader per term, ever
 *        V1 one vote per peer and term, over votes sent, across restarts
 *        TM terms never go back in a life
 *        LA a leader neither overwrites nor deletes its own entries
 *        LM equal (index, term): equal prefix
 *        LC a new leader holds what earlier terms have committed
 *        CM commit index never goes back
 *        SM what is committed or applied is the same everywhere
 *        CQ a leader's commit is of its term, is on the disks of a majority, and stays there
 *        MI match_index only grows, and the follower has it on disk
 *        PR what a message promises was on disk when it left
 * Leaves the running of peers to tests/harness/cores.h. Shares no code with node/core's rules. */
#ifndef TESTS_HARNESS_WITNESS_H
#define TESTS_HARNESS_WITNESS_H

#include "node/core/raft.h"
#include "tests/harness/entries.h"

struct image { /* what a peer has on disk */
    uint64_t term;
    uint32_t voted_for;
    struct entries log;
};

struct witness_peer {
    uint64_t term, commit_index, applied; /* seen last in this life */
    bool led;                             /* was leader then */
    uint64_t length;                      /* of its log then */
    uint64_t match[PEER_MAX + 1];         /* as leader of `term` */
    uint32_t *votes; /* by term: whom it voted for, in messages that left; over all lives */
    uint64_t votes_count;
};
struct witness {
    uint32_t peers;
    const struct image *disks; /* of peers 1..peers */
    struct witness_peer peer[PEER_MAX + 1];
    uint32_t *leaders; /* by term; 0: none yet */
    uint64_t leaders_count;
    struct entries committed;
    uint64_t *committed_in; /* by index - 1: term of the leader that committed it first */
    uint64_t committed_in_count;
    struct known *known; /* hash table: (index, term) -> hash of the prefix */
    uint64_t elections;  /* terms that had a leader */
    const char *broken;  /* NULL, or the invariant that was violated first */
    char text[256];      /* the sentence that says how */
};

void witness_open(struct witness *witness, uint32_t peers, const struct image *disks);
void witness_close(struct witness *witness);
/* A life begins with what the disk has. */
void witness_started(struct witness *witness, uint32_t id);
/* A step is done; the log is changed from index `changed` on (past the end: nowhere). */
void witness_stepped(struct witness *witness, const struct raft *raft, const struct entries *log,
                     uint64_t changed);
/* The disk of peer `id` was written from index `from` on. */
void witness_saved(struct witness *witness, uint32_t id, uint64_t from);
/* A message leaves, now. */
void witness_sent(struct witness *witness, const struct message *message);
/* Peer `id` has applied its log up to `index`. */
void witness_applied(struct witness *witness, uint32_t id, const struct entries *log,
                     uint64_t index);

#endif
