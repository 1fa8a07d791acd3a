/* sim/visited.c - linear probing; the high half of a fingerprint says where, the low bits on which
 * shelf. */
#include "sim/visited.h"

#include "base/base.h"
#include <stdlib.h>

enum { SHELF_FIRST = 1024 };

err_t visited_init(struct visited *visited, uint64_t bytes_max)
{
    *visited = (struct visited){ .bytes_max = bytes_max };
    for (uint32_t i = 0; i < VISITED_SHELVES; i++) {
        struct shelf *shelf = &visited->shelves[i];
        shelf->slots = calloc(SHELF_FIRST, sizeof(*shelf->slots));
        if (shelf->slots == NULL) {
            visited_free(visited);
            return ERR_SYSTEM;
        }
        shelf->capacity = SHELF_FIRST;
        visited->bytes += SHELF_FIRST * sizeof(*shelf->slots);
    }
    return ERR_OK;
}

void visited_free(struct visited *visited)
{
    for (uint32_t i = 0; i < VISITED_SHELVES; i++) free(visited->shelves[i].slots);
    *visited = (struct visited){ 0 };
}

static uint64_t place(const struct shelf *shelf, uint64_t fingerprint)
{
    return (fingerprint >> 32) * shelf->capacity >> 32;
}

void visited_expect(const struct visited *visited, uint64_t fingerprint)
{
    const struct shelf *shelf = &visited->shelves[fingerprint % VISITED_SHELVES];
    __builtin_prefetch(&shelf->slots[place(shelf, fingerprint)]);
}

/* The slot that holds it, or the empty one where it belongs. */
static uint64_t *look(const struct shelf *shelf, uint64_t fingerprint)
{
    uint64_t at = place(shelf, fingerprint);
    while (shelf->slots[at] != 0 && shelf->slots[at] != fingerprint)
        at = at + 1 < shelf->capacity ? at + 1 : 0;
    return &shelf->slots[at];
}

static err_t grow(struct visited *visited, struct shelf *shelf)
{
    struct shelf larger = { .capacity = shelf->capacity + shelf->capacity / 2,
                            .count = shelf->count };
    uint64_t more = (larger.capacity - shelf->capacity) * sizeof(*shelf->slots);
    if (visited->bytes + more > visited->bytes_max) return ERR_FULL;
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (larger.slots == NULL) return ERR_FULL;
    for (uint64_t i = 0; i < shelf->capacity; i++)
        if (shelf->slots[i] != 0) *look(&larger, shelf->slots[i]) = shelf->slots[i];
    free(shelf->slots);
    *shelf = larger;
    visited->bytes += more;
    return ERR_OK;
}

err_t visited_add(struct visited *visited, uint64_t fingerprint, bool *added)
{
    struct shelf *shelf = &visited->shelves[fingerprint % VISITED_SHELVES];
    if (fingerprint == 0) fingerprint = VISITED_SHELVES; /* 0 is an empty slot; on the same shelf */
    uint64_t *slot = look(shelf, fingerprint);
    *added = *slot == 0;
    if (!*added) return ERR_OK;
    if ((shelf->count + 1) * 4 > shelf->capacity * 3) { /* V1 */
        err_t err = grow(visited, shelf);
        if (err != ERR_OK) return err;
        slot = look(shelf, fingerprint);
    }
    *slot = fingerprint;
    shelf->count++;
    visited->count++;
    return ERR_OK;
}
