/* sim/visited.h - the set of fingerprints seen so far: 8 bytes each, and at most a third on top.
 * Owns   an open-addressed table in shelves; they grow one after another, so that growing takes
 *        little more memory than there is in the end.
 * Leaves what a fingerprint stands for to sim/canon.h; how much memory there is to its caller.
 * Holds  (V1) no shelf is fuller than 3/4   (V2) what is in stays in. */
#ifndef SIM_VISITED_H
#define SIM_VISITED_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { VISITED_SHELVES = 64 };
struct shelf {
    uint64_t *slots; /* 0: empty */
    uint64_t capacity, count;
};
struct visited {
    struct shelf shelves[VISITED_SHELVES];
    uint64_t count, bytes;
    uint64_t bytes_max; /* may be changed at any time */
};

/* ERR_SYSTEM: no memory. */
err_t visited_init(struct visited *visited, uint64_t bytes_max);
void visited_free(struct visited *visited);
/* Bring the fingerprint's place into the cache: visited_add comes soon. */
void visited_expect(const struct visited *visited, uint64_t fingerprint);
/* ERR_OK, and *added tells whether it is new. ERR_FULL: it would take more than bytes_max;
 * nothing has changed. */
err_t visited_add(struct visited *visited, uint64_t fingerprint, bool *added);

#endif
