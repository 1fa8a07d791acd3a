/* fault/selector.h - names for peers: numbers, and words that are looked up when a command runs.
 * Owns   the words, their text, and the set they name at a moment. Pure.
 * Leaves what is done to those peers to fault/verb.h. */
#ifndef FAULT_SELECTOR_H
#define FAULT_SELECTOR_H

#include "base/rng.h"
#include "fault/line.h"

#define SELECT_LIST(X)                                                                             \
    X(SET, "")                                                                                     \
    X(LEADER, "leader")                                                                            \
    X(FOLLOWER, "follower")                                                                        \
    X(CANDIDATE, "candidate")                                                                      \
    X(RANDOM, "random")                                                                            \
    X(MINORITY, "minority")                                                                        \
    X(MAJORITY, "majority")                                                                        \
    X(ALL, "all")                                                                                  \
    X(REST, "rest")
#define SELECT_ENUM(name, word) SELECT_##name,
enum select { SELECT_LIST(SELECT_ENUM) SELECT_COUNT };
#undef SELECT_ENUM
#define SELECT_BIT(name) (1u << SELECT_##name)

/* "leader 1 3": the union, looked up anew each time a command runs.
 *   leader     believes to be it, in the highest term; nobody where there is none
 *   follower   one living follower, at random. candidate: likewise
 *   random     one peer at random, dead or alive
 *   minority   floor((n-1)/2) peers at random, dead or alive. majority: floor(n/2)+1
 *   all        every peer
 *   rest       the peers that no earlier group of the command named; not for the first group. */
struct selector {
    uint32_t words; /* bit per enum select; bit SELECT_SET is never set */
    peer_set peers; /* the numbers */
};

/* What selectors are looked up in. */
struct cluster_view {
    uint32_t peers;
    uint32_t leader; /* 0: none */
    peer_set candidates, alive;
};
/* The set that a selector names now. `named` are the peers of earlier groups (for rest). Empty is
 * possible: then there is nothing to do. Draws from `rng` only for words that choose. */
peer_set selector_resolve(const struct selector *selector, const struct cluster_view *view,
                          peer_set named, struct rng *rng);

/* One or more names. `peers` as in verb_parse. `first`: of the command, so `rest` makes no sense.
 * The names end at the line's end, at | or >, and before each word of `after`. */
void selector_parse(struct line *line, uint32_t peers, bool first, const char *const *after,
                    size_t after_count, struct selector *selector);
void selector_print(struct out *out, const struct selector *selector);

#endif
