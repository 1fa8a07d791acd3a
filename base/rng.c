/* base/rng.c - splitmix64 (Steele, Lea, Flood 2014) and uniform draws from it. */
#include "base/rng.h"

__extension__ typedef unsigned __int128 wide;

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *rng, uint64_t seed, uint64_t a, uint64_t b)
{
    rng->state = mix(mix(mix(seed + 0x9e3779b97f4a7c15ull) + a) + b);
}

uint64_t rng_next(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15ull;
    return mix(rng->state);
}

uint64_t rng_scale(uint64_t bits, uint64_t low, uint64_t high)
{
    CHECK(low <= high);
    if (high - low == UINT64_MAX) return bits;
    return low + (uint64_t)(((wide)bits * (high - low + 1)) >> 64);
}

uint64_t rng_range(struct rng *rng, uint64_t low, uint64_t high)
{
    return rng_scale(rng_next(rng), low, high);
}

bool rng_chance(struct rng *rng, uint32_t ppm)
{
    if (ppm == 0) return false;
    return rng_range(rng, 0, PPM - 1) < ppm;
}
