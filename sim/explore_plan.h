/* sim/explore_plan.h - what a search has found, as a plan for whole peers in virtual time.
 * Owns   the translation of events into verbs and times.
 * Leaves the plan language to fault/plan.h, running to its runner.
 *
 * Links lose everything but what the run delivers: just before a turn that sends such a message its
 * link is opened, with the delay after which it is to arrive. Clocks go at a hundredth of their
 * speed, so that no timer runs out by itself; a leader whose heartbeat is due goes faster for a
 * moment. What plans cannot say is told in a comment: copies of one message that arrive apart, and
 * proposals to a leader that is not the one of the highest term. And a client whose leader steps
 * down asks the next one: one entry more than in the run that was found. */
#ifndef SIM_EXPLORE_PLAN_H
#define SIM_EXPLORE_PLAN_H

#include "sim/explore.h"

/* The plan's text, to be freed; NULL: out of memory. `bug` is NULL or its name. The result is
 * BROKEN. */
char *explore_plan(const struct explore_options *options, const struct explore_result *result,
                   const char *bug);

#endif
