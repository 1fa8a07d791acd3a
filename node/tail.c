/* node/tail.c - a ring of entries that grows by doubling. */
#include "node/tail.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 256, ENTRY_OVERHEAD = 64 };

static struct entry *slot(const struct tail *tail, uint64_t index)
{
    return &tail->slots[index & (tail->capacity - 1)];
}

void tail_init(struct tail *tail, uint64_t last_index)
{
    *tail = (struct tail){ .capacity = CAPACITY_FIRST,
                           .first_index = last_index + 1,
                           .last_index = last_index };
    tail->slots = calloc(tail->capacity, sizeof(*tail->slots));
    CHECK(tail->slots != NULL);
}

static void drop(struct tail *tail, uint64_t index)
{
    struct entry *entry = slot(tail, index);
    tail->bytes -= entry->bytes + ENTRY_OVERHEAD;
    free((void *)(uintptr_t)entry->data); /* owned here, const for readers */
    entry->data = NULL;
}

void tail_free(struct tail *tail)
{
    tail_truncate(tail, tail->first_index);
    free(tail->slots);
    tail->slots = NULL;
}

static void grow(struct tail *tail)
{
    struct tail larger = *tail;
    larger.capacity *= 2;
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    CHECK(larger.slots != NULL);
    for (uint64_t i = tail->first_index; i <= tail->last_index; i++)
        *slot(&larger, i) = *slot(tail, i);
    free(tail->slots);
    *tail = larger;
}

void tail_append(struct tail *tail, const struct entry *entry)
{
    if (tail->last_index + 1 - tail->first_index == tail->capacity) grow(tail);
    uint8_t *copy = malloc(entry->bytes + 1u);
    CHECK(copy != NULL);
    if (entry->bytes > 0) memcpy(copy, entry->data, entry->bytes);
    tail->last_index++;
    *slot(tail, tail->last_index) = (struct entry){ entry->term, entry->kind, entry->bytes, copy };
    tail->bytes += entry->bytes + ENTRY_OVERHEAD;
}

void tail_truncate(struct tail *tail, uint64_t from)
{
    CHECK(from <= tail->last_index + 1);
    while (tail->last_index >= from && tail->last_index >= tail->first_index)
        drop(tail, tail->last_index--);
    if (from < tail->first_index) {
        tail->first_index = from;
        tail->last_index = from - 1;
    }
}

const struct entry *tail_get(const struct tail *tail, uint64_t index)
{
    if (index < tail->first_index || index > tail->last_index) return NULL;
    return slot(tail, index);
}

void tail_trim(struct tail *tail, uint64_t limit, uint64_t keep_bytes)
{
    while (tail->bytes > keep_bytes && tail->first_index <= MIN_OF(limit, tail->last_index))
        drop(tail, tail->first_index++);
}
