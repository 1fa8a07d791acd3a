/* sim/explore_tell.h - what a search has found, in sentences.
 * Owns   words for events, messages and findings. Leaves the finding to sim/explore.h. */
#ifndef SIM_EXPLORE_TELL_H
#define SIM_EXPLORE_TELL_H

#include "sim/explore.h"
#include <stdio.h>

/* "1->2 append term 2 after 1, entries 2..3, commit 1"; cut to `size`. */
void message_tell(uint64_t message, char *text, size_t size);
/* "peer 2 times out: candidate in term 1 ...": `act`, which has just been played on `rig` from
 * `before`. For one that does not return: what came of it until then. */
void act_tell(FILE *file, const struct rig *rig, const struct state *before, struct act act);
/* The finding, and the events that lead to it, one a line. */
void explore_tell(FILE *file, const struct explore_options *options,
                  const struct explore_result *result);

#endif
