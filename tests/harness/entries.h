/* tests/harness/entries.h - a log as a test keeps it: entries have identities, prefixes hashes.
 * Owns   struct entries, a growing array; index i is at[i - 1]. The core's own log has terms only.
 * Leaves what may be in a log to tests/harness/witness.h. */
#ifndef TESTS_HARNESS_ENTRIES_H
#define TESTS_HARNESS_ENTRIES_H

#include "base/base.h"

struct entry {
    uint64_t term;
    uint64_t id;    /* unlike for each entry that a leader has created: stands for its payload */
    uint64_t chain; /* hash of this entry and of all before it */
};
struct entries {
    struct entry *at;
    uint64_t count, capacity;
};

void entries_free(struct entries *entries);
void entries_push(struct entries *entries, uint64_t term, uint64_t id);
/* Remove the entries from `from` on; `from` may be past the end. */
void entries_cut(struct entries *entries, uint64_t from);
/* Make `to` equal to `of`, knowing that they are equal before `from`. */
void entries_copy(struct entries *to, const struct entries *of, uint64_t from);
/* True when both have `index`, and are equal up to it. */
bool entries_agree(const struct entries *a, const struct entries *b, uint64_t index);

#endif
