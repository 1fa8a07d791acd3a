/* sim/safety.h - safety invariants over the notes that all peers left, over all history, restarts
 * included.
 * Owns   ES one leader per term, ever [R §5.2]
 *        V1 one vote per peer and term, its own candidacy included [R §5.2]
 *        TM the term of a peer never goes back, restarts included [R Fig.2]
 *        LA a leader does not delete entries of its own log [R §5.3]
 *        CM the commit index of a peer never goes back within a life, and what it knew to be
 *           committed is never deleted, restarts included [R §5.4]
 *        SM peers that applied the same index have the same state [R §5.4.3]
 * Leaves where the notes come from to its users: trails live, updates in the simulator.
 * Holds  (Y1) cost per note does not grow with the log. Memory: elections are kept for ever; of
 *             applied indexes those that some known peer has yet to pass, at most
 *             SAFETY_APPLIED_MAX
 *        (Y2) a violation names both sides, and is told once: after it the later note counts
 *        (Y3) notes of one peer come in their order; those of different peers in any
 *        (Y4) what a peer said in a turn (notes of one time) that its disk refused (DISK_FAILED)
 *             counts for nothing if it starts again before DISK_RESUMED: it promised nothing. */
#ifndef SIM_SAFETY_H
#define SIM_SAFETY_H

#include "base/words.h"

#define SAFETY_APPLIED_MAX 65536u

struct safety;
struct violation {
    const char *invariant;     /* "ES" ... */
    struct note first, second; /* the two contradicting notes */
    char text[256];            /* one sentence with both sides */
};
/* NULL: out of memory. */
struct safety *safety_new(void);
void safety_free(struct safety *safety);
/* Take one note. True, and *violation filled, when it contradicts an earlier one. Notes of the
 * supervisor (self 0) say nothing about Raft. */
bool safety_note(struct safety *safety, const struct note *note, struct violation *violation);

#endif
