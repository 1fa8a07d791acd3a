/* shm/latch.h - a page of words that one process publishes and any process reads, at any time.
 * Owns   two copies and a counter: copy n lives in slot n & 1. No system calls, no locks, no
 *        fences.
 * Leaves the meaning of the words to its users: board, cluster clock, link rules, orders.
 * Holds  (L1) one writer
 *        (L2) the copy that the counter names is complete: a writer killed at any instruction
 *             leaves it readable (a plain seqlock does not)
 *        (L3) readers write nothing. */
#ifndef SHM_LATCH_H
#define SHM_LATCH_H

#include "base/base.h"
#include <stdatomic.h>

struct latch {
    _Atomic uint64_t version; /* number of finished writes; the good copy is version & 1 */
    uint64_t unused;
    _Atomic uint64_t copy[]; /* 2 * words */
};

/* Bytes of a latch whose copy has `words` words. */
size_t latch_bytes(size_t words);
/* All zero, which is what fresh memory is: a region needs no call. */
void latch_init(struct latch *latch, size_t words);
/* Publish `words` words. Writer only. Wait-free. */
void latch_write(struct latch *latch, const void *from, size_t words);
/* Number of finished writes: unchanged means that the copy read last is still the newest. */
uint64_t latch_version(const struct latch *latch);
/* Copy the newest page into `to`. True when whole; false when the writer overtook 8 tries (keep
 * the old). */
bool latch_read(const struct latch *latch, void *to, size_t words, uint64_t *version);

#endif
