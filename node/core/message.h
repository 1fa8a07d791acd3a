/* node/core/message.h - the paper's RPCs (Figure 2) as one flat struct: requests and replies are
 * messages.
 * Owns   what the core says to other cores.
 * Leaves bytes on a wire, and the payload of entries, to the host (node/wire.h). */
#ifndef NODE_CORE_MESSAGE_H
#define NODE_CORE_MESSAGE_H

#include "base/words.h"
#include "node/core/log.h"

struct message {
    uint8_t kind; /* MESSAGE_VOTE_REQUEST .. MESSAGE_TIMEOUT_NOW */
    uint8_t from, to;
    bool granted;   /* vote reply: voteGranted; append reply: success */
    uint32_t count; /* append request: entries prev.index + 1 .. prev.index + count */
    uint64_t term;  /* of the sender */
    /* vote request: the candidate's last entry. append request: prevLogIndex and prevLogTerm.
     * append reply: the request's prev, so that the leader knows what is answered */
    struct log_id prev;
    uint64_t commit_index; /* append request: leaderCommit */
    uint64_t match_index;  /* append reply, success: the logs are equal up to here */
    /* append reply, refused: the term at prev.index and the first index of that term; term 0: the
     * log is too short, index is its end + 1 [R §5.3, fast back-off] */
    struct log_id conflict;
    const uint64_t *terms; /* append request, received: terms[count]; sent: NULL, the host knows */
};

#endif
