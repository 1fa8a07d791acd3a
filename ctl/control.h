/* ctl/control.h - the control socket: lines of verbs in, one JSON object a line out, in order.
 * Owns   connections, their buffers, the order of answers, subscriptions.
 * Leaves carrying out to ctl/carry.c, the shape of status to ctl/status.c, the directory to
 * ctl/runtime.c. Beside the verbs of fault/verb.h it takes the words of CONTROL_WORDS.
 * Holds  (T1) answers leave in the order of the lines   (T2) a client that does not read costs a
 *        bounded amount of memory and is then cut off   (T3) a line that is no verb changes nothing
 *        and is answered with its error. */
#ifndef CTL_CONTROL_H
#define CTL_CONTROL_H

#include "ctl/supervisor.h"
#include <poll.h>

#define CONTROL_WORDS(X)                                                                           \
    X("status", "", "everything known of the cluster")                                             \
    X("start", "PEER COMMAND",                                                                     \
      "the lab's Start: append COMMAND if PEER leads; index, term, isLeader at once")              \
    X("state", "PEER", "the lab's GetState: term and isLeader")                                    \
    X("applied", "PEER FROM", "what PEER has applied from index FROM on, in order")                \
    X("subscribe", "", "every transition as a JSON line until the connection is closed")           \
    X("down", "", "end the cluster")                                                               \
    X("help", "", "all verbs")

err_t control_open(struct supervisor *supervisor, const char *name, struct control **control);
/* Its descriptors for poll(); at most `most`. */
size_t control_fds(const struct control *control, struct pollfd *fds, size_t most);
void control_poll(struct control *control, const struct pollfd *fds, size_t count);
/* A transition, for subscribers. */
void control_note(struct control *control, const struct note *note);
void control_close(struct control *control);

#endif
