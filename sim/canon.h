/* sim/canon.h - one fingerprint for all states that differ only in the names of peers.
 * Owns   the permutations of peers, and what each makes of a word of sim/state.h.
 * Leaves remembering fingerprints to sim/visited.h.
 * Holds  (C1) a state and its renamings have one fingerprint: the least of those renamings that put
 *             peers in the order of what can be said of them without naming any
 *        (C2) two other states have the same fingerprint with a chance of 2^-64: among n states
 *             some two have it with a chance of n * n / 2^65, 0.03 % for 10^8. */
#ifndef SIM_CANON_H
#define SIM_CANON_H

#include "sim/state.h"

enum { CANON_RENAMINGS = 120 }; /* of STATE_PEERS peers */
struct canon {
    uint32_t peers, renamings;                    /* 1: only the one that renames nobody */
    uint8_t old_of[CANON_RENAMINGS][STATE_PEERS]; /* from 0 */
    uint16_t ids[CANON_RENAMINGS][512];           /* three ids of 3 bits */
    uint8_t votes[CANON_RENAMINGS][32];
    uint8_t ends[CANON_RENAMINGS][64]; /* of a message */
    uint8_t about[STATE_PEERS][512];   /* three ids as: nobody, itself, another */
};
/* symmetry false: a fingerprint of the state as it is. */
void canon_init(struct canon *canon, uint32_t peers, bool symmetry);
uint64_t canon_fingerprint(const struct canon *canon, const struct state *state);

#endif
