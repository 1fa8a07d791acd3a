/* sim/explore.h - breadth-first search over the pure core: every order of events, within bounds.
 * Owns   the frontier, what has been seen, the way back to the beginning.
 * Leaves events to sim/act.h, invariants to sim/facts.h, the telling to sim/explore_tell.h.
 * Holds  (X1) depth by depth: what is found is found with as few events as are possible, up to C2
 *             (sim/canon.h)
 *        (X2) the same options give the same search, state for state
 *        (X3) it takes no more than memory_bytes, and stops when that is too little.
 *
 * A frontier holds states in their short form, about 40 bytes each, in the names of peers that led
 * to them; only fingerprints are those of all renamings. The way back takes 4 bytes a state: states
 * are numbered in the order in which they are found, so that for each of them, in that order, the
 * number of its children and the events that led to those tell the parent of each. */
#ifndef SIM_EXPLORE_H
#define SIM_EXPLORE_H

#include "sim/act.h"

enum { EXPLORE_DEPTH_MAX = 255 };

struct explore_progress {
    uint32_t depth; /* of the states that are being looked for */
    uint64_t states, frontier, events;
    uint64_t bytes, elapsed_ns;
};
struct explore_options {
    struct bounds bounds;
    struct rules rules;
    uint32_t depth; /* 1..EXPLORE_DEPTH_MAX */
    bool symmetry;  /* states that are equal but for the names of peers are one */
    uint64_t memory_bytes;
    uint64_t progress_ns; /* how often progress is told; 0: never */
    void (*progress)(const struct explore_progress *progress, void *context);
    void *context;
};

/* WITHIN: all states within the bounds. DEPTH: all up to the depth asked for. */
enum explore_end { EXPLORED_WITHIN, EXPLORED_DEPTH, EXPLORED_BROKEN, EXPLORED_FULL };
struct explore_result {
    enum explore_end end;
    uint32_t depth; /* all runs of so many events have been tried; BROKEN: the run's length */
    uint64_t states, events; /* distinct ones found; events played */
    uint64_t played[ACT_KINDS];
    uint64_t lost;               /* messages that the network had no room for, by event */
    uint64_t elections, commits; /* events by which a peer began to lead, or learned a commit */
    uint64_t bytes, visited_bytes, frontier_most, elapsed_ns;
    struct finding finding; /* BROKEN */
    struct act acts[EXPLORE_DEPTH_MAX];
};
/* ERR_INPUT: bad bounds. ERR_SYSTEM: not even memory to begin. One thread at a time. */
err_t explore(const struct explore_options *options, struct explore_result *result);

/* act_play and the loss that the act names; a CHECK of the core that fails is a finding, too. */
enum played explore_play(struct rig *rig, const struct state *before, struct act act,
                         struct state *after);

#endif
