/* base/rng.h - seeded random numbers (splitmix64): the same seed gives the same run, anywhere.
 * Not for secrets. State is one word, so that a generator per link costs nothing. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "base/base.h"

struct rng {
    uint64_t state;
};

/* A generator of its own for each (seed, a, b), e.g. (seed, from, to). */
void rng_seed(struct rng *rng, uint64_t seed, uint64_t a, uint64_t b);
uint64_t rng_next(struct rng *rng);
/* Uniform in [low, high], both inclusive; low <= high. */
uint64_t rng_range(struct rng *rng, uint64_t low, uint64_t high);
/* True with `ppm` parts per million; 0 never, PPM always. */
bool rng_chance(struct rng *rng, uint32_t ppm);
/* One round of mixing: random bits -> uniform in [low, high] without a generator. */
uint64_t rng_scale(uint64_t bits, uint64_t low, uint64_t high);

#endif
