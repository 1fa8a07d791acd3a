/* sim/callers.h - clients of the peers in a world: sessions that retry, and a history of
 * what they saw.
 * Owns   one operation at a time for each client: which, to whom, when again, when given up.
 * Leaves the peers to sim/world.h, the verdict over the history to sim/linear.h. */
#ifndef SIM_CALLERS_H
#define SIM_CALLERS_H

#include "sim/history.h"
#include "sim/world.h"

enum { CALLERS_KEYS = 4, CALLER_TEXT = 48 };

#define SAID_LIST(X)                                                                               \
    X(OK, "operations answered ok")                                                                \
    X(FAILED, "operations refused for good")                                                       \
    X(UNKNOWN, "operations given up")                                                              \
    X(AGAIN, "operations sent again for want of an answer")                                        \
    X(NOT_LEADER, "answers: not the leader")                                                       \
    X(LEADERSHIP_LOST, "answers: leadership lost")                                                 \
    X(LATE, "answers to what was over")                                                            \
    X(STARTED, "opaque entries taken")                                                             \
    X(APPLIED, "answers: what is applied")                                                         \
    X(LARGE, "values above 256 KiB written")
#define SAID_ENUM(name, text) SAID_##name,
enum said { SAID_LIST(SAID_ENUM) SAID_COUNT };
#undef SAID_ENUM

struct caller {
    uint32_t endpoint;
    uint64_t session, sequence;
    bool busy;
    uint32_t target;
    uint64_t due_ns; /* begin the next operation, or send this one again */
    uint64_t give_up_ns;
    uint8_t *body; /* of the operation under way */
    uint32_t body_bytes;
    struct operation operation;
    char key[4], value[CALLER_TEXT], expect[CALLER_TEXT];
    char seen[CALLERS_KEYS][CALLER_TEXT]; /* short values that this client has met */
    uint32_t reads_left;                  /* at the end: keys that are still to be read */
};
struct callers {
    struct world *world;
    struct rng rng;
    uint32_t count;
    uint64_t think_ns, patience_ns; /* between operations at most; for one answer */
    uint32_t large_ppm;             /* values about as large as they may be */
    bool ending;
    struct caller caller[WORLD_CALLERS];
    struct history history;
    uint64_t said[SAID_COUNT];
};

/* Clients of `world`, which they become the guests of. */
void callers_open(struct callers *callers, struct world *world, uint64_t seed);
void callers_close(struct callers *callers);
/* One sends `count` proposals of opaque bytes to a peer, and a question what it has applied. */
void callers_flood(struct callers *callers, uint32_t to, uint32_t count);
void callers_ask(struct callers *callers, uint32_t to, uint64_t from_index);
/* Give up no more; after the operation under way each client reads all keys, then rests. */
void callers_end(struct callers *callers);
bool callers_rest(const struct callers *callers);

#endif
