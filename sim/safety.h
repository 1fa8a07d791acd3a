/* sim/safety.h - safety invariants over the notes that all peers left, over all history, restarts
 * included.
 * Owns   ES one leader per term, ever, and by a majority of votes [R §5.2]
 *        V1 one vote per peer and term, its own candidacy included, restarts included [R §5.2]
 *        TM the term of a peer never goes back, restarts included [R Fig.2]
 *        LA a leader does not delete entries of its own log [R §5.3]
 *        CM the commit index of a peer never goes back within a life, and what it knew to be
 *           committed stays on its disk, restarts included [R §5.4]
 *        SM peers that applied the same index have the same state [R §5.4.3]; a peer applies each
 *           index once in a life, in order, and only what it knows to be committed
 *        LM logs that end with the same index and term are alike from the beginning [R §5.3],
 *           compared wherever a commit of a disk or a restart ends one
 *        LC who is elected has a log that can hold what was committed in earlier terms [R §5.4.1]
 *        CQ a leader commits an entry of its own term, knowing a majority to have it, itself only
 *           with what it has stored [R §5.4.2]; and each of those peers has it in all later terms
 *        MI within a term a leader never takes back how far a follower's log is known [R Fig.2]
 *        PR what a peer promises (a vote, its own candidacy, an acknowledgement, a term) is on its
 *           disk before that leaves, and still there after a restart [R §5.1, Fig.2].
 * Leaves where the notes come from to its users: trails live, updates in the simulator. To
 *        sim/ledger.h, which sees disks and packets in their true order: that a majority has an
 *        entry at the very moment of its commit, that a match index is what was acknowledged, that
 *        each single entry is alike (LM above compares ends). Notes of different peers have no
 *        order that could prove these (Y3). That no term changes while a leader reaches a majority
 *        (ST) is not judged: Raft without pre-vote does not promise it.
 * Holds  (Y1) cost per note does not grow with the log. Memory: elections are kept for ever; of
 *             applied indexes and ends of logs the newest, SAFETY_APPLIED_MAX and as many as pass
 *             for each index modulo 16384
 *        (Y2) a violation names both sides, and is told once: after it the later note counts
 *        (Y3) notes of one peer come in their order; those of different peers in any
 *        (Y4) what a peer said in a turn (notes of one time) that its disk refused (DISK_FAILED)
 *             counts for nothing if it starts again before DISK_RESUMED: it promised nothing
 *        (Y5) after notes of a peer were missed nothing is concluded from what it did not say. The
 *             last turn before a death may be unseen in any case. */
#ifndef SIM_SAFETY_H
#define SIM_SAFETY_H

#include "base/words.h"

#define SAFETY_APPLIED_MAX 65536u

struct safety;
struct violation {
    const char *invariant; /* "ES" ... */
    struct note first,
        second;     /* the two contradicting notes; one that contradicts itself is both */
    char text[256]; /* one sentence with both sides */
};
/* NULL: out of memory. */
struct safety *safety_new(void);
void safety_free(struct safety *safety);
/* Take one note. True, and *violation filled, when it contradicts an earlier one. Notes of the
 * supervisor (self 0) say nothing about Raft. */
bool safety_note(struct safety *safety, const struct note *note, struct violation *violation);
/* Notes of this peer were missed, between the last one taken and the next (Y5). */
void safety_missed(struct safety *safety, uint32_t self);

#endif
