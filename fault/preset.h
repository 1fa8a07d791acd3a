/* fault/preset.h - named sets of timing: one word instead of five options. */
#ifndef FAULT_PRESET_H
#define FAULT_PRESET_H

#include "base/base.h"

/* PRESET(name, election from .. to, heartbeat, commit notice, no-op at election, help); times in
 * ms. lab: at most ten heartbeats a second, a leader well within 5 s, and no entry that the
 * course's tests did not start, so that indexes match. fast: the paper's timeouts [R §9.3]. watch:
 * slow enough for eyes. */
#define PRESET_LIST(X)                                                                             \
    X(LAB, "lab", 300, 600, 100, 10, false,                                                        \
      "a course's lab: 10 heartbeats a second, no no-op entries")                                  \
    X(WATCH, "watch", 1500, 3000, 300, 20, true, "slow enough to follow by eye")                   \
    X(FAST, "fast", 150, 300, 50, 5, true, "the paper's timeouts, 150 to 300 ms")

struct preset {
    const char *name, *help;
    uint64_t election_min_ns, election_max_ns, heartbeat_ns, notify_ns;
    bool noop_on_election;
};
/* NULL when there is no such preset; the context lists those that there are. */
const struct preset *preset_find(const char *name);
#define PRESET_COUNT 3
extern const struct preset presets[PRESET_COUNT];

#endif
