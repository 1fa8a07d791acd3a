/* shm/latch.c - every word is stored with release and loaded with acquire, so a reader that sees
 * one word of copy n+1 also sees that the counter may have moved: it tries again. Costs nothing on
 * x86, and ThreadSanitizer understands it, which it does not of fences. */
#include "shm/latch.h"

#include <string.h>

enum { READ_TRIES = 8 };

size_t latch_bytes(size_t words)
{
    return sizeof(struct latch) + 2 * words * sizeof(uint64_t);
}

void latch_init(struct latch *latch, size_t words)
{
    atomic_store_explicit(&latch->version, 0, memory_order_relaxed);
    latch->unused = 0;
    for (size_t i = 0; i < 2 * words; i++)
        atomic_store_explicit(&latch->copy[i], 0, memory_order_relaxed);
}

void latch_write(struct latch *latch, const void *from, size_t words)
{
    uint64_t next = atomic_load_explicit(&latch->version, memory_order_relaxed) + 1; /* L1 */
    _Atomic uint64_t *copy = latch->copy + (next & 1) * words;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + i * sizeof(word), sizeof(word));
        atomic_store_explicit(&copy[i], word, memory_order_release);
    }
    atomic_store_explicit(&latch->version, next, memory_order_release); /* L2 */
}

uint64_t latch_version(const struct latch *latch)
{
    return atomic_load_explicit(&latch->version, memory_order_acquire);
}

bool latch_read(const struct latch *latch, void *to, size_t words, uint64_t *version)
{
    for (int try = 0; try < READ_TRIES; try++) {
        uint64_t before = atomic_load_explicit(&latch->version, memory_order_acquire);
        const _Atomic uint64_t *copy = latch->copy + (before & 1) * words;
        for (size_t i = 0; i < words; i++) {
            uint64_t word = atomic_load_explicit(&copy[i], memory_order_acquire);
            memcpy((uint8_t *)to + i * sizeof(word), &word, sizeof(word));
        }
        uint64_t after = atomic_load_explicit(&latch->version, memory_order_relaxed);
        if (before != after) continue; /* copy before+2 may already be under way in this slot */
        if (version != NULL) *version = before;
        return true;
    }
    return false;
}
