/* base/base.h - the words everybody uses: CHECK, sizes, units of time, sets of peers.
 * Owns   what happens when our own code is wrong (CHECK); the bound on peers.
 * Leaves errors of the world to base/err.h, Raft's vocabulary to base/words.h. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Our own fault, in every build: print file, line and condition, then abort. One condition each. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
/* Documents that both outcomes happen; costs nothing. */
#define MAYBE(condition) ((void)sizeof((condition) ? 1 : 0))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define UNUSED(x) ((void)(x))

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define TIME_NEVER UINT64_MAX /* a deadline that does not come */
#define PPM 1000000u          /* parts per million: probabilities, clock rates */

_Noreturn void check_failed(const char *file, int line, const char *condition);
/* For who runs wrong code on purpose (the bug museum): called first, and may leave by longjmp. NULL
 * takes it back. */
void check_catch(void (*caught)(const char *file, int line, const char *condition));
/* CLOCK_MONOTONIC in ns. Not for node/core, which gets the time with each event. */
uint64_t real_now_ns(void);

/* Peers are numbered from 1; a set of peers is a mask with bit `id` set (bit 0 is unused). */
#define PEER_MAX 63
#define PEER_NONE 0
typedef uint64_t peer_set;
static inline peer_set peer_bit(uint32_t id)
{
    return (peer_set)1 << id;
}
static inline bool peer_in(peer_set set, uint32_t id)
{
    return (set >> id) & 1;
}
static inline uint32_t peer_count(peer_set set)
{
    return (uint32_t)__builtin_popcountll(set);
}
/* {1..n} */
static inline peer_set peer_first(uint32_t n)
{
    return n == 0 ? 0 : (~(peer_set)0 >> (63 - n)) & ~(peer_set)1;
}

#endif
