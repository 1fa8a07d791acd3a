/* sim/facts.h - the invariants of Raft over one event of an exploration and all history before it.
 * Owns   ES one leader per term, ever                        V1 one vote per peer and term, ever
 *        TM terms of a peer never go back, crashes included
 *        LA a leader deletes nothing of its own log
 *        LM logs with the same (term, index) are equal up to it
 *        LC a new leader has all that leaders of earlier terms have committed
 *        SM nobody applies another entry at the same index than others committed or applied
 *        CM commit_index never goes back in a life; a peer deletes nothing that it knew to be
 *           committed in any life, nor, from the term on in which a leader has committed it,
 *           anything committed
 *        CQ what a leader commits is on a majority of disks and of its own term
 *        MI match_index never goes back within a leadership, and a follower of that term has the
 *           leader's log up to it.
 * Leaves the events to sim/act.h. Keeps history in the state: its `leaders`, `committed`,
 *        `commit_terms`, PROMISED and KNOWN. */
#ifndef SIM_FACTS_H
#define SIM_FACTS_H

#include "sim/state.h"

struct finding {
    const char *invariant;        /* "ES" ... or "CHECK" */
    char first[160], second[160]; /* both sides of the contradiction: what was, what has come */
};

/* Peer `from` sends `message`, a word of sim/state.h: V1. False: broken. */
bool facts_send(struct state *after, uint64_t message, struct finding *finding);
/* Peer `id` has become leader of `term`: ES. False: broken. */
bool facts_lead(struct state *after, uint32_t id, uint32_t term, struct finding *finding);
/* Peer `id` has had its turn: compare, and remember. False: broken. */
bool facts_turn(const struct state *before, struct state *after, uint32_t peers, uint32_t id,
                struct finding *finding);

#endif
