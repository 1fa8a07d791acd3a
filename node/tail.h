/* node/tail.h - the newest entries of a log in memory: what the disk does not have yet, and what
 * will be asked next.
 * Owns   copies of the entries first_index..last_index; a bounded amount of durable ones is kept.
 * Leaves older entries to node/disk.h, terms of all entries to the core.
 * Holds  (N1) the indexes are contiguous   (N2) an entry that is not both durable and applied is
 *        never trimmed. */
#ifndef NODE_TAIL_H
#define NODE_TAIL_H

#include "node/disk.h"

struct tail {
    struct entry *slots; /* by index & (capacity - 1); each owns its data */
    uint64_t capacity;
    uint64_t first_index, last_index; /* empty: last_index = first_index - 1 */
    uint64_t bytes;
};

/* An empty tail behind the entry `last_index`. Aborts when memory ends, as do all others here. */
void tail_init(struct tail *tail, uint64_t last_index);
void tail_free(struct tail *tail);
/* Copy an entry to last_index + 1. */
void tail_append(struct tail *tail, const struct entry *entry);
/* Forget the entries from `from` on; from below first_index makes it empty at `from`. */
void tail_truncate(struct tail *tail, uint64_t from);
/* NULL when it is not (or no longer) here. Lives until the next change. */
const struct entry *tail_get(const struct tail *tail, uint64_t index);
/* Forget the oldest entries up to `limit` while more than `keep_bytes` are held. */
void tail_trim(struct tail *tail, uint64_t limit, uint64_t keep_bytes);

#endif
