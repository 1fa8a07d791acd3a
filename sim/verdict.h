/* sim/verdict.h - what is said of a history: the verdict as text for a person.
 * Owns   the sentences, and how the operations of a contradiction are shown.
 * Leaves the verdict itself to sim/linear.h. */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

#include "sim/linear.h"

/* Judge the history and write one or more lines: "120 operations on 4 keys are linearizable". */
enum linear_verdict verdict_write(FILE *file, const struct history *history,
                                  const struct linear_limits *limits);

#endif
