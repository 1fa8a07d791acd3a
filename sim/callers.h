/* sim/callers.h - clients of the peers in a world: sessions that retry, and a history of what they
 * saw.
 * Owns   clients with one operation at a time each: which, to whom, when again, when given up; the
 *        single operations that somebody asks for beside them.
 * Leaves the peers to sim/world.h, the verdict over the history to sim/linear.h. */
#ifndef SIM_CALLERS_H
#define SIM_CALLERS_H

#include "fault/verb.h"
#include "sim/history.h"
#include "sim/world.h"

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

struct load_shape { /* of clients that work */
    uint32_t clients, keys, bytes;
    uint32_t ops;         /* enum load_op mask */
    uint64_t period_ns;   /* of one client, between two calls; 0: */
    uint64_t think_ns;    /*   after an operation it waits up to so long */
    uint64_t patience_ns; /* for one answer */
    uint64_t give_up_ns;  /* an operation is unknown after that */
    uint32_t patient_ppm; /* operations that are never given up */
    uint32_t large_ppm;   /* values about as large as they may be */
    /* No link of theirs duplicates: an operation that was refused as often as it was sent has
     * failed, not just no known outcome. */
    bool believes_refusals;
};

struct call { /* one operation, from its call until it is known or given up */
    uint32_t endpoint, target;
    uint64_t session, sequence;
    bool open, told; /* told: an answer names its target */
    uint64_t due_ns; /* begin the next one, or send this one again; TIME_NEVER: rest */
    uint64_t patience_ns, give_up_ns;
    uint32_t unrefused; /* how often it was sent without being refused since */
    uint8_t *body;
    uint32_t body_bytes;
    struct operation operation; /* its texts belong to the history */
    uint32_t key;               /* of a client */
    uint64_t next_ns;           /* a client's next call by its period */
    uint32_t reads_left;        /* at the end: keys that are still to be read */
};
struct callers {
    struct world *world;
    struct rng rng;
    struct load_shape shape;
    struct call *calls; /* clients */
    uint32_t count;     /* of them */
    bool ending;
    const char **seen;              /* by key: a value that was met; the history's */
    struct call **asked;            /* single operations, by sequence; all are kept */
    size_t asked_count, asked_from; /* before asked_from none is open */
    uint64_t sessions;              /* given out */
    struct history history;
    uint64_t said[SAID_COUNT];
};

/* Nobody calls yet. Becomes the guest of `world`. */
void callers_open(struct callers *callers, struct world *world, uint64_t seed);
void callers_close(struct callers *callers);

/* New clients begin to work in place of those of before: what they had open is unknown. At most as
 * many as the world has endpoints for. */
void callers_work(struct callers *callers, const struct load_shape *shape);
/* No further operations; those under way are finished. */
void callers_stop(struct callers *callers);
/* Give up no more; after the operation under way each client reads all keys, then rests. */
void callers_read_all(struct callers *callers);
/* Nothing of the clients is open any more, after callers_stop or callers_read_all. */
bool callers_rest(const struct callers *callers);

/* One put, get, del, append or cas beside the clients. It lives as long as the callers; its
 * operation's status counts once it is no longer open. ERR_TOO_LARGE: no entry takes it. ERR_FULL:
 * so many wait that the session would forget the oldest. */
err_t callers_ask(struct callers *callers, const struct command *command,
                  const struct call **asked);

/* The first client sends `count` proposals of opaque bytes to a peer, and a question what it has
 * applied. */
void callers_flood(struct callers *callers, uint32_t to, uint32_t count);
void callers_query(struct callers *callers, uint32_t to, uint64_t from_index);

#endif
