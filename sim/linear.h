/* sim/linear.h - is a history linearizable? Wing and Gong's search with memoization (Lowe 2017), per key.
 * Owns   the verdict, and the shortest stretch of a history that cannot be explained.
 * Leaves recording and reading to sim/history.h.
 * Holds  (Z1) complete: it answers NOT only when no order explains the history, YES only when one does
 *        (Z2) iterative, and bounded: past `memory_bytes` or `timeout_ns` it answers UNDECIDED. */
#ifndef SIM_LINEAR_H
#define SIM_LINEAR_H

#include "sim/history.h"

enum linear_verdict { LINEAR_YES, LINEAR_NO, LINEAR_UNDECIDED };
struct linear_limits {
    uint64_t memory_bytes; /* default of callers: 1 GiB */
    uint64_t timeout_ns;   /* default of callers: 60 s */
};
struct linear_result {
    enum linear_verdict verdict;
    const char *key;          /* NO, UNDECIDED: whose operations; owned by the history */
    size_t *stretch;          /* NO: indexes of the operations that cannot be explained; to be freed */
    size_t stretch_count;
    size_t operations, keys;  /* looked at */
};
void linear_check(const struct history *history, const struct linear_limits *limits,
                  struct linear_result *result);

#endif
