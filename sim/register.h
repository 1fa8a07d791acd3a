/* sim/register.h - one key as a register, and what each operation asks of it and does to it.
 * Owns   states as numbers, and the step from one to the next.
 * Leaves time, order and what may be left out to sim/search.h, whose top explains states.
 * Holds  (G1) two contents that some operation can tell apart are two states. */
#ifndef SIM_REGISTER_H
#define SIM_REGISTER_H

#include "sim/history.h"

/* The key is absent; it has a value that nobody claims to have seen; no state at all. Others: see
 * register_find. */
enum { STATE_ABSENT, STATE_OTHER, STATE_NONE };

/* What the state must be for an operation to take effect as it did. */
enum need { NEED_NOTHING, NEED_EQUAL, NEED_DIFFERENT };
enum effect { EFFECT_KEEP, EFFECT_SET, EFFECT_APPEND };
struct move {
    enum need need;
    enum effect effect;
    bool optional;      /* may also never happen */
    uint64_t expect;    /* NEED_EQUAL, NEED_DIFFERENT: to this state */
    uint64_t result;    /* EFFECT_SET: this state */
    const char *suffix; /* EFFECT_APPEND */
    size_t suffix_bytes;
    uint64_t call_ns, return_ns;
    size_t place;        /* in the caller's list of operations */
    uint32_t slot, twin; /* its bit, and that of its equal before it: sim/search.c */
};

/* All values that somebody claims to have seen, sorted. */
struct registry {
    const char **values;
    size_t *bytes;
    size_t count;
    bool appends;   /* some operation appends: beginnings of values count, too */
    bool negatives; /* some operation needs a state to be DIFFERENT (search.h Q7) */
};

/* Turn `count` operations of one key into moves, leaving out those that say nothing (failed ones,
 * unknown reads, unknown writes that nobody can tell from others, search.h Q7). `optional[i]`: as
 * if unknown; NULL: none. False: out of memory. `moves` has room for `count`; registry_free in any
 * case. */
bool registry_build(struct registry *registry, const struct operation **operations, size_t count,
                    const bool *optional, struct move *moves, size_t *move_count);
void registry_free(struct registry *registry);

/* Can `move` take effect in `state`? */
bool move_fits(const struct move *move, uint64_t state);
/* The state after it. It fits. */
uint64_t move_result(const struct registry *registry, const struct move *move, uint64_t state);
/* Is move_result(state) certain to be `state`? Cheap. */
bool move_keeps(const struct move *move, uint64_t state);
static inline bool move_is_blind(const struct move *move)
{
    return move->need == NEED_NOTHING;
}
static inline bool move_overwrites(const struct move *move)
{
    return move->need == NEED_NOTHING && move->effect == EFFECT_SET;
}

#endif
