/* sim/bug.h - the museum: bugs that were published, each as one swapped rule or one wrong step of
 * the turn.
 * Owns   the table of bugs, and what each is told with.
 * Leaves the right rules to node/core/rules.c, running them to sim/world.h, sim/explore.h and the
 *        live peers (node/live.h). */
#ifndef SIM_BUG_H
#define SIM_BUG_H

#include "node/core/rules.h"

struct bug {
    uint32_t number;    /* in the catalogue of published bugs; 0: none there */
    const char *name;   /* "stale-vote-reply" */
    const char *title;  /* one line */
    const char *story;  /* what went wrong, and how it showed; some sentences */
    const char *source; /* whose software, where it is told */
    const char *breaks; /* invariants, the one that shows it first at the front: "ES V1" */
    const char *plan;   /* its published schedule: a file of plans/bugs; NULL: there is none */
    void (*swap)(struct rules *rules); /* puts the wrong rule in the right one's place */
};
extern const struct bug bugs[];
extern const size_t bugs_count;

/* By name or by number ("6"). NULL, and the context says which are near, for one that is none. */
const struct bug *bug_find(const char *name);
/* Raft's rules with the bug's wrong one; without a bug (NULL) Raft's. */
void bug_rules(const struct bug *bug, struct rules *rules);

#endif
