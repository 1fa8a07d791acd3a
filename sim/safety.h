/* sim/safety.h - safety invariants over the notes that all peers left, over all history and restarts.
 * Owns   ES (one leader per term, ever), V1 (one vote per peer and term), TM (terms never go back), LA (a leader
 *        does not delete), CM (commit index never back within a life), SM (equal index, equal state hash).
 * Leaves where the notes come from to its users: trails live, updates in the simulator.
 * Holds  (Y1) cost per note does not grow with the log   (Y2) a violation names both sides. */
#ifndef SIM_SAFETY_H
#define SIM_SAFETY_H

#include "base/words.h"

struct safety;
struct violation {
    const char *invariant; /* "ES" ... */
    struct note first, second; /* the two contradicting notes */
    char text[256];        /* one sentence with both sides */
};
struct safety *safety_new(void);
void safety_free(struct safety *safety);
/* Take one note. True, and *violation filled, when it contradicts an earlier one. */
bool safety_note(struct safety *safety, const struct note *note, struct violation *violation);

#endif
