/* sim/recipe.h - histories of a store that works, or is wrong once: for tests and the bench.
 * Owns   clients whose operations overlap, each with a moment between call and return when the
 *        store does it; values as the operations asked for them.
 * Leaves the verdict to sim/linear.h.
 * Holds  (B1) the same recipe gives the same history
 *        (B2) without `stale` it is linearizable; with it, it is not. */
#ifndef SIM_RECIPE_H
#define SIM_RECIPE_H

#include "sim/linear.h"

struct recipe {
    const char *name;
    uint64_t seed, operations, clients, keys;
    uint64_t values;                         /* different ones; 0: each write has its own */
    uint32_t unknown_ppm;                    /* of them, half take effect */
    uint32_t gets, puts, appends, cas, dels; /* weights */
    bool stale; /* one read late in the history sees a value long overwritten; values is 0 */
    enum linear_verdict verdict; /* what is to be found */
};

/* Into `history`, which it begins. Aborts without memory. */
void recipe_make(const struct recipe *recipe, struct history *history);

#endif
