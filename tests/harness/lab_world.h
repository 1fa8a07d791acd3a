/* tests/harness/lab_world.h - the lab's tests in virtual time, on a world of whole peers.
 * Owns   a world per test, drawn from a seed; clients that ask its peers.
 * Leaves what may happen to a peer, and the verdict of the ledger, to sim/world.h.
 * Holds  (S1) one seed gives one run, to the bit   (S2) the ledger's verdict and a failed CHECK end
 *        a test as its own checks do. */
#ifndef TESTS_HARNESS_LAB_WORLD_H
#define TESTS_HARNESS_LAB_WORLD_H

#include "sim/world.h"
#include "tests/harness/lab.h"

#define LAB_CLIENTS 8 /* that may ask at once */

struct lab_world {
    struct lab lab;
    struct world world;
    const char *failure; /* NULL: passed */
    /* the questions under way, numbered from first_request on */
    uint64_t first_request;
    size_t asked, answered;
    struct started *results; /* NULL: they ask what was applied */
    bool news;
    char wrong[600]; /* "": nothing yet */
};

/* Run `test` with this seed, all peers having `bug` (NULL: none). The world stays to be looked at
 * until lab_world_close. */
void lab_world_run(struct lab_world *lab_world, const struct lab_test *test, uint64_t seed,
                   const struct bug *bug);
void lab_world_close(struct lab_world *lab_world);

#endif
