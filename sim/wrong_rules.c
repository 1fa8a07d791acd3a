/* sim/wrong_rules.c - what published bugs did instead of node/core/rules.c. All of this is wrong.
 * A comment says what somebody may have thought. */
#include "sim/wrong_rules.h"

/* ---- elections ---- */

/* one constant for everybody: simpler than chance */
uint64_t always_the_shortest(const struct raft_config *config, uint64_t bits)
{
    UNUSED(bits);
    return config->election_min_ns;
}

/* a leader is alive, so there is no need for an election: its term is looked at later */
bool any_append_is_contact(const struct raft *raft, const struct message *request, bool granted)
{
    UNUSED(raft);
    return granted || request->kind == MESSAGE_APPEND_REQUEST;
}

/* somebody else runs for leader already: wait, whatever comes of it */
bool any_request_is_contact(const struct raft *raft, const struct message *request, bool granted)
{
    bool current = request->term == raft->current_term;
    return granted || current || request->kind == MESSAGE_VOTE_REQUEST;
}

/* every way to the role of a follower begins with a clean slate, also within a term */
uint32_t vote_forgotten(const struct raft *raft, uint64_t new_term)
{
    UNUSED(raft);
    UNUSED(new_term);
    return PEER_NONE;
}

/* peers are numbered from 0, and 0 is what voted_for begins with */
enum vote_verdict first_peer_is_nobody(const struct raft *raft, const struct message *request)
{
    uint32_t voted_for = raft->voted_for == PEER_NONE ? 0 : raft->voted_for - 1;
    uint32_t candidate = request->from - 1u;
    if (request->term < raft->current_term) return VOTE_TERM_OVER;
    if (voted_for != 0 && voted_for != candidate) return VOTE_GIVEN;
    if (!raft->config.rules->log_up_to_date(request->prev, log_last(&raft->log)))
        return VOTE_LOG_BEHIND;
    return VOTE_YES;
}

/* who has more entries has seen more */
bool longer_log_wins(struct log_id theirs, struct log_id ours)
{
    return theirs.index >= ours.index;
}

/* at least as up to date: in both, to be sure */
bool both_must_be_newer(struct log_id theirs, struct log_id ours)
{
    return theirs.term >= ours.term && theirs.index >= ours.index;
}

/* a vote is a vote */
bool any_vote_counts(const struct raft *raft, const struct message *reply)
{
    UNUSED(reply);
    return raft->role == CANDIDATE;
}

/* only a leader has no use for votes */
bool all_but_leaders_count(const struct raft *raft, const struct message *reply)
{
    UNUSED(reply);
    return raft->role != LEADER;
}

/* more than (peers - 1) / 2: for odd numbers that is a majority */
bool half_is_enough(peer_set set, uint32_t peers)
{
    return peer_count(set & peer_first(peers)) >= (peers + 1) / 2;
}

/* ---- replication ---- */

/* the term of a log is the term of its last leader; elections have a counter of their own */
uint64_t term_of_the_log(const struct raft *raft, const struct message *append)
{
    return MAX_OF(log_last(&raft->log).term, append->term);
}

/* there is an entry at prevLogIndex: good enough */
bool prev_by_index(const struct log *log, struct log_id prev)
{
    return prev.index <= log->last_index;
}

/* the leader's log is the truth: what follows prevLogIndex goes, then the entries are appended */
uint64_t truncate_always(const struct log *log, const struct message *append)
{
    return append->prev.index < log->last_index ? append->prev.index + 1 : 0;
}

/* an entry that is not of the leader's own term conflicts with it */
uint64_t truncate_other_terms(const struct log *log, const struct message *append)
{
    for (uint32_t i = 0; i < append->count; i++) {
        uint64_t index = append->prev.index + 1 + i;
        if (index > log->last_index) return 0;
        if (log_term(log, index) != append->term) return index;
    }
    return 0;
}

/* the reply says how long the log is now */
uint64_t own_last_index(const struct raft *raft, const struct message *append)
{
    UNUSED(append);
    return raft->log.last_index;
}

/* the newest reply tells the newest state */
uint64_t match_of_the_reply(const struct follower *follower, uint64_t acknowledged)
{
    UNUSED(follower);
    return acknowledged;
}

/* a refusal says where to go on, and the leader goes on there */
uint64_t next_of_the_reply(const struct raft *raft, const struct follower *follower,
                           const struct message *refusal)
{
    UNUSED(follower);
    uint64_t next = refusal->conflict.index;
    if (refusal->conflict.term != 0) {
        uint64_t ours = log_last_of_term(&raft->log, refusal->conflict.term);
        if (ours != 0 && ours < refusal->prev.index) next = ours + 1;
    }
    return MIN_OF(next, refusal->prev.index);
}

/* what a deposed leader had not committed failed */
uint64_t back_to_commit(const struct raft *raft)
{
    return raft->commit_index;
}

/* ---- commitment ---- */

/* a leader has its own entries, of course */
uint64_t own_log_in_memory(const struct raft *raft)
{
    return raft->log.last_index;
}

static uint64_t match_of(const struct raft *raft, uint32_t id)
{
    return id == raft->config.self ? raft->config.rules->own_match(raft)
                                   : raft->followers[id].match_index;
}

/* a majority has the entry: what does it matter who wrote it? */
uint64_t commit_any_term(const struct raft *raft)
{
    uint64_t best = raft->commit_index;
    for (uint64_t index = best + 1; index <= raft->log.last_index; index++) {
        peer_set have = 0;
        for (uint32_t id = 1; id <= raft->config.peers; id++)
            if (match_of(raft, id) >= index) have |= peer_bit(id);
        if (!raft->config.rules->is_quorum(have, raft->config.peers)) break;
        best = index;
    }
    return best;
}

/* sorted match indexes: the one in the middle is on a majority. For 3 and 5 it is, for 4 it is the
 * third of four, which two have */
uint64_t upper_median(const struct raft *raft)
{
    uint64_t sorted[PEER_MAX] = { 0 }, index;
    uint32_t peers = raft->config.peers;
    for (uint32_t count = 0; count < peers; count++) {
        uint32_t at = count;
        uint64_t match = match_of(raft, count + 1);
        for (; at > 0 && sorted[at - 1] > match; at--) sorted[at] = sorted[at - 1];
        sorted[at] = match;
    }
    index = sorted[peers / 2];
    if (index <= raft->commit_index || log_term(&raft->log, index) != raft->current_term)
        return raft->commit_index;
    return index;
}

/* min(leaderCommit, index of the last entry): of the last entry that there is */
uint64_t commit_own_tail(const struct raft *raft, const struct message *append)
{
    return MAX_OF(raft->commit_index, MIN_OF(append->commit_index, raft->log.last_index));
}

/* min(leaderCommit, index of last new entry), whatever it was before */
uint64_t commit_without_max(const struct raft *raft, const struct message *append)
{
    UNUSED(raft);
    return MIN_OF(append->commit_index, append->prev.index + append->count);
}

/* apply what is in the log */
uint64_t apply_all(const struct raft *raft)
{
    return raft->log.last_index;
}

/* a leader has everything, so it may answer */
bool leader_may_read(const struct raft *raft)
{
    return raft->role == LEADER;
}

/* a leader that a majority has answered in this term is the leader, so it may answer */
bool followed_leader_may_read(const struct raft *raft)
{
    peer_set heard = peer_bit(raft->config.self);
    if (raft->role != LEADER) return false;
    for (uint32_t id = 1; id <= raft->config.peers; id++)
        if (id != raft->config.self && !raft->followers[id].probing) heard |= peer_bit(id);
    return raft->config.rules->is_quorum(heard, raft->config.peers);
}

/* a leader that has committed an entry of its own term knows all that is committed */
bool settled_leader_may_read(const struct raft *raft)
{
    return raft->role == LEADER && raft->last_applied == raft->commit_index &&
           log_term(&raft->log, raft->commit_index) == raft->current_term;
}
