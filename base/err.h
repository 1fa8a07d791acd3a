/* base/err.h - errors of the world: one list, returned, with context added once per floor.
 * Holds (E1) a function that returns err_t has either done its job (OK) or undone what it began.
 *       (E2) the context belongs to the last error of this thread; it is text for a person only. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_LIST(X)                                                                                \
    X(OK, "ok")                                                                                    \
    X(EMPTY, "nothing there")                                                                      \
    X(FULL, "ring is full")                                                                        \
    X(CORRUPT, "bytes make no sense")                                                              \
    X(TOO_LARGE, "too large")                                                                      \
    X(INPUT, "bad input")                                                                          \
    X(SYSTEM, "the system refused")                                                                \
    X(STORAGE, "storage failed")                                                                   \
    X(VERSION, "not a Ringside region of this build")                                              \
    X(NOT_LEADER, "not the leader")                                                                \
    X(TIMEOUT, "timed out")                                                                        \
    X(DOWN, "peer is down")

#define ERR_ENUM(name, text) ERR_##name,
typedef enum { ERR_LIST(ERR_ENUM) } err_t;
#undef ERR_ENUM

/* The list's text for `err`. */
const char *err_text(err_t err);
/* Put a formatted sentence before the context of this thread ("path: ...: why"), return `err`. */
err_t err_note(err_t err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forget older context, note the sentence. For the floor where the error begins. */
err_t err_begin(err_t err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Everything noted since err_begin, outermost first; "" when nothing was. */
const char *err_context(void);

#endif
