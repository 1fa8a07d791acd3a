/* ctl/asked.h - put, get, del, append and cas of a plan: asked, answered, and kept for the history.
 * Owns   every such operation of one run until it ends.
 * Leaves sending to ctl/carry.h. They belong to the history like those of a load: without them
 *        their effects would look like nobody's. */
#ifndef CTL_ASKED_H
#define CTL_ASKED_H

#include "ctl/carry.h"
#include "sim/stage.h"

struct asked {
    struct question question;
    struct command command;
    uint64_t call_ns, return_ns; /* real time */
    bool done, timed_out, found;
    enum result_status status; /* once done */
    uint32_t reply;            /* enum reply_status */
    char *output;              /* get: the value; NULL: absent */
    struct asked *next;
};
struct asked_list {
    struct asked *first;
};

/* Ask. On an error nothing was asked; ERR_FULL: later, perhaps. The command's texts must outlive
 * `list`. */
err_t asked_new(struct asked_list *list, struct supervisor *supervisor,
                const struct command *command, struct asked **asked);
/* False while there is none. */
bool asked_answer(const struct asked *asked, struct answer *answer);
/* Add all of them; what is still open is unknown. */
err_t asked_history(const struct asked_list *list, struct history *history);
/* Forget all. Not before the supervisor's client was closed: it would answer into freed memory. */
void asked_free(struct asked_list *list);

#endif
