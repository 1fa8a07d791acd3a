/* ctl/carry.h - carries out verbs on a live cluster. */
#ifndef CTL_CARRY_H
#define CTL_CARRY_H

#include "ctl/supervisor.h"

/* Carry out everything but put, get, del, append and cas, which have an answer to wait for
 * (carry_ask). `done` says in one line what was done, e.g. "kills 3". ERR_INPUT, ERR_DOWN, ...:
 * nothing was done, or the peers named first were served and the context names the one that was
 * not. */
err_t carry_out(struct supervisor *supervisor, const struct command *command, char *done,
                size_t size);
/* Submit put, get, del, append, cas: question->done gets the result. */
err_t carry_ask(struct supervisor *supervisor, const struct command *command,
                struct question *question);

#endif
