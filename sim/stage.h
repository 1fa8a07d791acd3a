/* sim/stage.h - the seam between a plan and what it runs on: real processes (ctl/stage_live.c), or
 * a world in virtual time.
 * Owns   the struct of functions, and what passes through it.
 * Leaves the plan's steps, and when to look and to ask, to sim/player.h; what an expectation means
 *        to sim/expect.h.
 * Holds  (G1) nothing here blocks: what takes time is begun, and polled until it is over
 *        (G2) at a violation all peers stand still from that instant on
 *        (G3) an err_t other than OK leaves its sentence in err_context(). */
#ifndef SIM_STAGE_H
#define SIM_STAGE_H

#include "fault/verb.h"
#include "sim/expect.h"
#include "sim/linear.h"
#include "sim/safety.h"

struct asked; /* an operation that a plan has begun: the stage's, for as long as there is a stage */

struct answer {
    enum history_status status;
    bool found;         /* get, del: the key was there; cas: it was replaced */
    const char *output; /* get that found one: the value. Lives as long as the stage */
    const char *why;    /* where status is not OK: "no answer in time" ... */
};
struct verdict {
    err_t err; /* none could be reached; the rest is empty then */
    enum linear_verdict linear;
    char *report; /* one or more lines, to be freed; NULL: nobody reads, and it is a YES */
};

struct stage {
    void *state;
    /* The plan's clock in ns: never goes back, and goes on for ever (or `wait 1s` would wait for
     * ever where a plan says `rate 0`). Begins anywhere. */
    uint64_t (*now)(void *state);
    /* Carry out everything but put, get, del, append and cas. `done` says in one line what was
     * done; size 0: nobody reads it. Refused: nothing was done, or not all of it. */
    err_t (*carry)(void *state, const struct command *command, char *done, size_t size);
    /* Begin put, get, del, append or cas; the command is copied, its texts stay the plan's.
     * ERR_FULL: later, perhaps. It is in the history from then on, answered or not. */
    err_t (*ask)(void *state, const struct command *command, struct asked **asked);
    /* False while it has no answer. Sooner or later each gets one, be it that time ran out. */
    bool (*answer)(void *state, const struct asked *asked, struct answer *answer);
    void (*look)(void *state, struct expect_view *view);
    /* Let the load end, what it had begun included, then have the history of all operations so far
     * judged. False while that goes on; after true the next call begins anew. */
    bool (*judge)(void *state, struct verdict *verdict);
    /* NULL, or the first violation of safety; notes with self 0 tell nothing, the text tells all.
     * Called at each poll. */
    const struct violation *(*violated)(void *state);
    /* NULL, or the sentence about the first peer that died and that nobody had killed. Called at
     * each poll. */
    const char *(*crashed)(void *state);
};

#endif
