/* sim/linear.h - is a history linearizable?
 * Owns   the verdict, and the shortest stretch of a history that cannot be explained.
 * Leaves recording and reading to sim/history.h, one key's search to sim/search.h.
 * Holds  (Z1) complete: NO only when no order explains the history, YES only when one does
 *        (Z2) iterative, and bounded: past `memory_bytes` or `timeout_ns` it answers UNDECIDED
 *        (Z3) what is in `stretch`, taken alone, is not linearizable either.
 *
 * Keys are judged one by one, because a history is linearizable when what happened to each key is
 * (Herlihy and Wing 1990, locality); short ones first, so that a hard one does not take their time.
 *
 * The stretch: first the shortest prefix, by time of return, that cannot be explained. Then
 * operations are excused, in ever smaller groups, as long as the rest still cannot be explained:
 * reads are left out, writes may happen or not, at any later time. Excusing never turns YES into
 * NO, so what cannot be excused is the contradiction. Excused writes of values that it saw are
 * shown with it, since a reader would miss them. When time is short the stretch may stay longer
 * than it need be; (Z3) holds in any case. */
#ifndef SIM_LINEAR_H
#define SIM_LINEAR_H

#include "sim/history.h"

enum linear_verdict { LINEAR_YES, LINEAR_NO, LINEAR_UNDECIDED };
struct linear_limits {
    uint64_t memory_bytes; /* of the search, beside the history itself */
    uint64_t timeout_ns;
};
#define LINEAR_MEMORY_BYTES (1ull << 30) /* where nobody says otherwise */
#define LINEAR_TIMEOUT_NS (60 * NS_PER_S)

struct linear_result {
    enum linear_verdict verdict;
    const char *key; /* NO, UNDECIDED: whose operations; owned by the history, or NULL */
    size_t *stretch; /* NO: indexes of what cannot be explained, by call; to be freed */
    size_t stretch_count;
    size_t operations, keys; /* looked at */
};
void linear_check(const struct history *history, const struct linear_limits *limits,
                  struct linear_result *result);

#endif
