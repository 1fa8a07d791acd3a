/* sim/swarm.h - a seed becomes a plan: which faults there are at all, how often, and on whom.
 * Owns   the draw: cluster size, load, network, the deeds of a safety phase, the end.
 * Leaves running to sim/runner.h. The plan is text: it can be printed, shrunk and run on real
 *        processes, too.
 * Holds  (D1) the same seed gives the same plan
 *        (D2) right Raft keeps every promise of every such plan.
 *
 * A seed is not a little of everything: of each kind of fault it has none or plenty (swarm testing:
 * Groce et al. 2012), for some bugs need the absence of a fault as much as others its presence.
 * Schedules are uniform (all links alike) or by priority (peers have ranks, whose messages come the
 * later the lower the rank is, and ranks change now and then; after Burckhardt et al. 2010).
 * Safety phase: anything may happen. Liveness phase: a majority is healed, every other fault
 * becomes permanent, and the healed ones have to elect, commit and agree within a bound. */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "base/base.h"

/* The plan of a seed, to be freed. */
char *swarm_plan(uint64_t seed);

#endif
