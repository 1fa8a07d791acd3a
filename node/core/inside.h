/* node/core/inside.h - what the files of the core share among themselves. Nobody else includes it.
 * raft.c owns the step, the roles and time; election.c votes; replication.c logs and commitment. */
#ifndef NODE_CORE_INSIDE_H
#define NODE_CORE_INSIDE_H

#include "base/rng.h"
#include "node/core/rules.h"

/* raft.c: every change of role or term goes through these three */
void become_follower(struct raft *raft, struct update *update, uint64_t term, uint32_t because_of);
void become_candidate(struct raft *raft, struct update *update);
void become_leader(struct raft *raft, struct update *update);

void reset_election_timer(struct raft *raft);
struct note *note_add(struct raft *raft, struct update *update, enum note_kind kind,
                      uint32_t other);
struct message *send_late(const struct raft *raft, struct update *update, enum message_kind kind,
                          uint32_t to);
void append_entry(struct raft *raft, struct update *update, uint64_t term);
void delete_from(struct raft *raft, struct update *update, uint64_t from, uint32_t because_of);
void set_commit(struct raft *raft, struct update *update, uint64_t index, enum note_kind how);

/* election.c */
void on_vote_request(struct raft *raft, const struct message *request, struct update *update);
void on_vote_reply(struct raft *raft, const struct message *reply, struct update *update);
void count_vote(struct raft *raft, uint32_t from, struct update *update);

/* replication.c */
void on_append_request(struct raft *raft, const struct message *append, struct update *update);
void on_append_reply(struct raft *raft, const struct message *reply, struct update *update);
void advance_commit(struct raft *raft, struct update *update);
void flush_appends(struct raft *raft, struct update *update);
void on_unsent(struct raft *raft, const struct message *append, uint64_t sent_to);

#endif
