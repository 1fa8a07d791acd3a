/* sim/act.h - the events of an exploration: which are possible, and what each makes of a state.
 * Owns   one turn of one peer around raft_step, the network as a bag of messages, crashes.
 * Leaves invariants to sim/facts.h; which states to visit to sim/explore.h.
 * Holds  (A1) an event at a peer is one whole turn (node/turn.c): the event, EVENT_FLUSH, early
 *             sends, the save, EVENT_STORED, late sends, EVENT_APPLIED for all there is to apply
 *        (A2) a crash between turns loses what is volatile. A torn turn ends between the early
 *             sends and the save: what was sent is under way, the disk is as before
 *        (A3) messages to a peer that is down stay under way: they arrive after its restart, or are
 *             dropped, or never arrive
 *        (A4) a heartbeat also tells what the notice of a new commit_index would tell: there is no
 *             event for that
 *        (A5) the network holds so many messages and no more: when a turn sends more, so many are
 *             lost, old ones or new ones, in all ways. A bound on messages is thus a bound on those
 *             that are under way and will arrive. */
#ifndef SIM_ACT_H
#define SIM_ACT_H

#include "base/err.h"
#include "node/core/rules.h"
#include "sim/facts.h"

/* ACT(name, what a summary counts) */
#define ACT_LIST(X)                                                                                \
    X(DELIVER, "messages delivered")                                                               \
    X(DROP, "dropped")                                                                             \
    X(DUPLICATE, "duplicated")                                                                     \
    X(TIMEOUT, "election timeouts")                                                                \
    X(HEARTBEAT, "heartbeats")                                                                     \
    X(PROPOSE, "proposals")                                                                        \
    X(CRASH, "crashes")                                                                            \
    X(RESTART, "restarts")
#define ACT_ENUM(name, text) ACT_##name,
enum act_kind { ACT_LIST(ACT_ENUM) ACT_KINDS };
#undef ACT_ENUM

struct act {
    uint8_t kind;  /* enum act_kind */
    uint8_t which; /* the message, by its place in the state; else the peer */
    bool torn;     /* A2: the peer crashes before the save */
    uint16_t loss; /* A5: which of the ways to lose what is too much */
};
enum { ACTS_MAX = 4 * STATE_MESSAGES + 6 * STATE_PEERS };

struct bounds {
    uint32_t peers, messages; /* 1..STATE_PEERS; so many under way at once, 1..STATE_MESSAGES */
    uint32_t budgets[BUDGET_COUNT];
    bool noop; /* a new leader appends an entry at once */
    bool torn; /* crashes before the save of a turn, too */
};
/* Does it all fit into a state? ERR_INPUT says what does not. */
err_t bounds_check(const struct bounds *bounds);

struct rig { /* what a peer is stepped on; one for each thread */
    struct bounds bounds;
    struct rules rules;
    struct raft raft;
    struct update update;
    struct term_run runs[STATE_ENTRIES + 2];
    struct finding finding;
    const struct state *before; /* the turn that is being taken */
};
void rig_init(struct rig *rig, const struct bounds *bounds, const struct rules *rules);

/* The possible events, in an order that depends on the state only. Returns how many. */
uint32_t acts_of(const struct rig *rig, const struct state *state, struct act acts[ACTS_MAX]);

enum played { PLAYED, PLAYED_NOTHING, PLAYED_BROKEN };
/* One of them, without A5. NOTHING: a torn turn that sends nothing, which is but a crash; *after is
 * garbage. BROKEN: rig->finding says which invariant; *after is what came of it. A CHECK of the
 * core that fails does not return: who wants to survive it uses check_catch and act_blame. */
enum played act_play(struct rig *rig, const struct state *before, struct act act,
                     struct state *after);

/* A CHECK of the core has failed in the turn that was being played: fill rig->finding. That a
 * commit_index went back is CM, though the core sees it first. */
void act_blame(struct rig *rig, const char *file, int line, const char *condition);

/* A5: one of the ways. `lost` is a mask of messages of `after`, as many as are too many;
 * losses_first gives the first such mask (0: nothing is too much), losses_next the one after it
 * (0: that was the last). */
uint32_t losses_first(const struct rig *rig, const struct state *after);
uint32_t losses_next(const struct state *after, uint32_t lost);
void state_lose(struct state *after, uint32_t lost);

/* Three bytes each, for keeping. */
enum { ACT_BYTES = 3 };
void act_pack(struct act act, uint8_t *bytes);
struct act act_unpack(const uint8_t *bytes);

#endif
