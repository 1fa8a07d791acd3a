/* node/core/log.h - the shape of a Raft log: which term each index has, without any payload.
 * Owns   runs of equal terms. A log of millions of entries is a few dozen runs.
 * Leaves the bytes of entries to the host; durability to the turn. Memory for runs is the host's,
 *        too.
 * Holds  (G1) runs[0].first_index is the first index that is kept; first indexes and terms both
 *        increase
 *        (G2) an empty log has no runs and last_index = first_index - 1.
 * Room is left for snapshots: first_index need not be 1, base_term is the term just before it. */
#ifndef NODE_CORE_LOG_H
#define NODE_CORE_LOG_H

#include "base/base.h"

struct log_id { /* names an entry: two logs with the same (term, index) agree up to it [R §5.3] */
    uint64_t term, index;
};
struct term_run {
    uint64_t first_index, term;
};
struct log {
    struct term_run *runs; /* the host's memory */
    uint32_t count, capacity;
    uint64_t first_index, last_index;
    uint64_t base_term; /* of index first_index - 1; 0 when that is 0 */
};

void log_init(struct log *log, struct term_run *memory, uint32_t capacity);
/* Larger memory; the runs are copied. The caller frees the old one afterwards. */
void log_give(struct log *log, struct term_run *memory, uint32_t capacity);
/* Runs that can still be added. Each appended entry needs at most one. */
uint32_t log_room(const struct log *log);

/* Term of `index`; 0 for index 0 and for indexes that the log does not have. */
uint64_t log_term(const struct log *log, uint64_t index);
struct log_id log_last(const struct log *log);
/* First index with the term that `index` has, as far as the log is kept. */
uint64_t log_first_of_run(const struct log *log, uint64_t index);
/* Last index with exactly `term`; 0 when there is none. */
uint64_t log_last_of_term(const struct log *log, uint64_t term);

/* Add one entry; `term` is not smaller than the last one's. Needs log_room() >= 1. */
void log_append(struct log *log, uint64_t term);
/* Remove the entries from `from` on; `from` may be last_index + 1. */
void log_truncate(struct log *log, uint64_t from);

#endif
