/* node/core/rules.h - the decisions that published bugs get wrong, as a table of named predicates.
 * Owns   struct rules; rules_raft, which is the paper. A bug museum swaps one entry for a wrong
 *        one.
 * Leaves when they are asked to the handlers of node/core. Every rule is a pure function of what it
 *        is given. */
#ifndef NODE_CORE_RULES_H
#define NODE_CORE_RULES_H

#include "node/core/raft.h"

enum vote_verdict { VOTE_YES, VOTE_TERM_OVER, VOTE_GIVEN, VOTE_LOG_BEHIND };

struct rules {
    /* Elections */
    /* how long to wait for a leader, with `bits` uniform ones */
    uint64_t (*election_timeout)(const struct raft_config *config, uint64_t bits);
    /* does this request reset the election timer? `granted`: it has just got this peer's vote */
    bool (*is_contact)(const struct raft *raft, const struct message *request, bool granted);
    /* my vote when I enter new_term */
    uint32_t (*vote_kept)(const struct raft *raft, uint64_t new_term);
    enum vote_verdict (*may_vote)(const struct raft *raft, const struct message *request);
    bool (*log_up_to_date)(struct log_id theirs, struct log_id ours);
    bool (*vote_counts)(const struct raft *raft, const struct message *reply);
    bool (*is_quorum)(peer_set set, uint32_t peers);
    /* Replication */
    /* the term that an append is held against, and that its reply carries */
    uint64_t (*append_term)(const struct raft *raft, const struct message *append);
    bool (*prev_matches)(const struct log *log, struct log_id prev);
    uint64_t (*truncate_from)(const struct log *log, const struct message *append); /* 0: nothing */
    uint64_t (*acknowledged)(const struct raft *raft, const struct message *append);
    uint64_t (*match_after)(const struct follower *follower, uint64_t acknowledged);
    uint64_t (*next_after)(const struct raft *raft, const struct follower *follower,
                           const struct message *refusal);
    uint64_t (*kept_as_follower)(const struct raft *raft); /* last index a deposed leader keeps */
    /* Commitment */
    uint64_t (*own_match)(const struct raft *raft);     /* up to where a leader counts itself */
    uint64_t (*leader_commit)(const struct raft *raft); /* how far may a leader commit now */
    uint64_t (*follower_commit)(const struct raft *raft, const struct message *append);
    uint64_t (*apply_limit)(const struct raft *raft);
    /* may this peer answer a read from its state as it is, without the log? */
    bool (*may_read)(const struct raft *raft);
};

extern const struct rules rules_raft;

#endif
