/* sim/wrong_rules.h - rules as published bugs had them, each in the place of one of
 * node/core/rules.c.
 * Owns   the wrong functions, named for what they do. The museum shows them beside the right ones.
 * Leaves which bug has which to sim/bug.c. */
#ifndef SIM_WRONG_RULES_H
#define SIM_WRONG_RULES_H

#include "node/core/rules.h"

/* elections */
uint64_t always_the_shortest(const struct raft_config *config, uint64_t bits);
bool any_append_is_contact(const struct raft *raft, const struct message *request, bool granted);
bool any_request_is_contact(const struct raft *raft, const struct message *request, bool granted);
uint32_t vote_forgotten(const struct raft *raft, uint64_t new_term);
enum vote_verdict first_peer_is_nobody(const struct raft *raft, const struct message *request);
bool longer_log_wins(struct log_id theirs, struct log_id ours);
bool both_must_be_newer(struct log_id theirs, struct log_id ours);
bool any_vote_counts(const struct raft *raft, const struct message *reply);
bool all_but_leaders_count(const struct raft *raft, const struct message *reply);
bool half_is_enough(peer_set set, uint32_t peers);
/* replication */
uint64_t term_of_the_log(const struct raft *raft, const struct message *append);
bool prev_by_index(const struct log *log, struct log_id prev);
uint64_t truncate_always(const struct log *log, const struct message *append);
uint64_t truncate_other_terms(const struct log *log, const struct message *append);
uint64_t own_last_index(const struct raft *raft, const struct message *append);
uint64_t match_of_the_reply(const struct follower *follower, uint64_t acknowledged);
uint64_t next_of_the_reply(const struct raft *raft, const struct follower *follower,
                           const struct message *refusal);
uint64_t back_to_commit(const struct raft *raft);
/* commitment */
uint64_t own_log_in_memory(const struct raft *raft);
uint64_t commit_any_term(const struct raft *raft);
uint64_t upper_median(const struct raft *raft);
uint64_t commit_own_tail(const struct raft *raft, const struct message *append);
uint64_t commit_without_max(const struct raft *raft, const struct message *append);
uint64_t apply_all(const struct raft *raft);
bool leader_may_read(const struct raft *raft);
bool followed_leader_may_read(const struct raft *raft);
bool settled_leader_may_read(const struct raft *raft);

#endif
