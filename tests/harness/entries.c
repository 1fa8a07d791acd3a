/* tests/harness/entries.c - a growing array of entries, each chained to the one before. */
#include "tests/harness/entries.h"
#include "base/rng.h"

#include <stdlib.h>

void entries_free(struct entries *entries)
{
    free(entries->at);
    *entries = (struct entries){ 0 };
}

void entries_push(struct entries *entries, uint64_t term, uint64_t id)
{
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity == 0 ? 32 : 2 * entries->capacity;
        entries->at = realloc(entries->at, entries->capacity * sizeof(*entries->at));
        CHECK(entries->at != NULL);
    }
    uint64_t before = entries->count == 0 ? 0 : entries->at[entries->count - 1].chain;
    struct rng rng;
    rng_seed(&rng, before, term, id);
    entries->at[entries->count++] = (struct entry){ .term = term, .id = id, .chain = rng.state };
}

void entries_cut(struct entries *entries, uint64_t from)
{
    CHECK(from >= 1);
    if (from <= entries->count) entries->count = from - 1;
}

void entries_copy(struct entries *to, const struct entries *of, uint64_t from)
{
    entries_cut(to, from);
    while (to->count < of->count) entries_push(to, of->at[to->count].term, of->at[to->count].id);
}

bool entries_agree(const struct entries *a, const struct entries *b, uint64_t index)
{
    if (index == 0) return true;
    if (index > a->count || index > b->count) return false;
    return a->at[index - 1].chain == b->at[index - 1].chain;
}
