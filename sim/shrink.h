/* sim/shrink.h - the smallest plan that still fails.
 * Owns   the search: lines are left out, then what is left is made weaker (fewer peers, clients,
 *        kinds of faults, shorter waits), as long as the same invariant breaks.
 * Leaves running to sim/runner.h.
 * Holds  (S1) what it returns fails as the plan did; where that is an expectation, the same one,
 *             and without the bug it is met, or all lines that mend the cluster are still there
 *        (S2) it ends: after `runs_max` runs, or when nothing more can go. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/runner.h"

/* `text` is a plan whose outcome was `failed`. Returns a plan as text, to be freed. */
char *shrink_plan(const struct runner_config *config, const char *text,
                  const struct outcome *failed, uint32_t runs_max);

#endif
