/* node/core/rules.c - the table that is Raft. Each function is one sentence of the paper. */
#include "node/core/rules.h"

#include "base/rng.h"

/* [R §5.2] "election timeouts are chosen randomly from a fixed interval" */
static uint64_t election_timeout(const struct raft_config *config, uint64_t bits)
{
    return rng_scale(bits, config->election_min_ns, config->election_max_ns);
}

/* [R Fig.2 Followers 2] "receiving AppendEntries RPC from current leader or granting vote to
 * candidate"; being asked for a vote does not count, nor does a leader of the past */
static bool is_contact(const struct raft *raft, const struct message *request, bool granted)
{
    bool append = request->kind == MESSAGE_APPEND_REQUEST;
    return granted || (append && request->term == raft->current_term);
}

/* [R Fig.2] "votedFor: candidateId that received vote in current term (or null if none)" */
static uint32_t vote_kept(const struct raft *raft, uint64_t new_term)
{
    return new_term > raft->current_term ? PEER_NONE : raft->voted_for;
}

/* [R Fig.2 RequestVote 1, 2] */
static enum vote_verdict may_vote(const struct raft *raft, const struct message *request)
{
    if (request->term < raft->current_term) return VOTE_TERM_OVER;
    if (raft->voted_for != PEER_NONE && raft->voted_for != request->from) return VOTE_GIVEN;
    if (!raft->config.rules->log_up_to_date(request->prev, log_last(&raft->log)))
        return VOTE_LOG_BEHIND;
    return VOTE_YES;
}

/* [R §5.4.1] the later last term wins; in one term the longer log does */
static bool log_up_to_date(struct log_id theirs, struct log_id ours)
{
    if (theirs.term != ours.term) return theirs.term > ours.term;
    return theirs.index >= ours.index;
}

/* [R §5.2] votes "from a majority of the servers in the full cluster for the same term" */
static bool vote_counts(const struct raft *raft, const struct message *reply)
{
    return raft->role == CANDIDATE && reply->term == raft->current_term;
}

/* [R §5.2] more than half of all servers, up or down */
static bool is_quorum(peer_set set, uint32_t peers)
{
    return peer_count(set & peer_first(peers)) > peers / 2;
}

/* [R Fig.2 AppendEntries 1, results] the one term that votes are held against, too */
static uint64_t append_term(const struct raft *raft, const struct message *append)
{
    UNUSED(append);
    return raft->current_term;
}

/* [R Fig.2 AppendEntries 2] "log doesn't contain an entry at prevLogIndex whose term matches
 * prevLogTerm" */
static bool prev_matches(const struct log *log, struct log_id prev)
{
    if (prev.index > log->last_index) return false;
    return log_term(log, prev.index) == prev.term;
}

/* [R Fig.2 AppendEntries 3] only an entry that "conflicts with a new one (same index but different
 * terms)" goes */
static uint64_t truncate_from(const struct log *log, const struct message *append)
{
    for (uint32_t i = 0; i < append->count; i++) {
        uint64_t index = append->prev.index + 1 + i;
        if (index > log->last_index) return 0;
        if (log_term(log, index) != append->terms[i]) return index;
    }
    return 0;
}

/* [R §5.3] what this message has proved equal, not whatever else the follower happens to have */
static uint64_t acknowledged(const struct raft *raft, const struct message *append)
{
    UNUSED(raft);
    return append->prev.index + append->count;
}

/* [R Fig.2] matchIndex "increases monotonically": replies may be late or repeated */
static uint64_t match_after(const struct follower *follower, uint64_t acked)
{
    return MAX_OF(follower->match_index, acked);
}

/* [R §5.3] one round trip per conflicting term, not per entry: go to the end of that term where the
 * leader has it, else to its beginning at the follower. Never to or below match_index. */
static uint64_t next_after(const struct raft *raft, const struct follower *follower,
                           const struct message *refusal)
{
    uint64_t next = refusal->conflict.index;
    if (refusal->conflict.term != 0) {
        uint64_t ours = log_last_of_term(&raft->log, refusal->conflict.term);
        if (ours != 0 && ours < refusal->prev.index) next = ours + 1;
    }
    next = MIN_OF(next, refusal->prev.index);
    return MAX_OF(next, follower->match_index + 1);
}

/* [R §5.3] a follower deletes what conflicts with a leader, and nothing before it meets one: what
 * it has acknowledged may be committed by now */
static uint64_t kept_as_follower(const struct raft *raft)
{
    return raft->log.last_index;
}

/* [T §10.2.1] a leader counts itself only for what its own disk has */
static uint64_t own_match(const struct raft *raft)
{
    return raft->durable_index;
}

/* [R §5.3, §5.4.2] the highest index that a majority has and whose term is the current one; else no
 * change */
static uint64_t leader_commit(const struct raft *raft)
{
    uint32_t peers = raft->config.peers;
    uint64_t best = raft->commit_index;
    for (uint32_t candidate = 1; candidate <= peers; candidate++) {
        uint64_t index = candidate == raft->config.self ? raft->config.rules->own_match(raft)
                                                        : raft->followers[candidate].match_index;
        if (index <= best || log_term(&raft->log, index) != raft->current_term) continue;
        peer_set have = 0;
        for (uint32_t id = 1; id <= peers; id++) {
            uint64_t match = id == raft->config.self ? raft->config.rules->own_match(raft)
                                                     : raft->followers[id].match_index;
            if (match >= index) have |= peer_bit(id);
        }
        if (raft->config.rules->is_quorum(have, peers)) best = index;
    }
    return best;
}

/* [R Fig.2 AppendEntries 5] "min(leaderCommit, index of last new entry)", never back */
static uint64_t follower_commit(const struct raft *raft, const struct message *append)
{
    uint64_t verified = append->prev.index + append->count;
    return MAX_OF(raft->commit_index, MIN_OF(append->commit_index, verified));
}

/* [R Fig.2 All servers 1] "If commitIndex > lastApplied: increment lastApplied, apply" */
static uint64_t apply_limit(const struct raft *raft)
{
    return raft->commit_index;
}

/* [R §8] a leader may have been deposed without knowing it, and a new one does not know yet what is
 * committed: reads take the way of the log */
static bool may_read(const struct raft *raft)
{
    UNUSED(raft);
    return false;
}

const struct rules rules_raft = {
    .election_timeout = election_timeout,
    .is_contact = is_contact,
    .vote_kept = vote_kept,
    .may_vote = may_vote,
    .log_up_to_date = log_up_to_date,
    .vote_counts = vote_counts,
    .is_quorum = is_quorum,
    .append_term = append_term,
    .prev_matches = prev_matches,
    .truncate_from = truncate_from,
    .acknowledged = acknowledged,
    .match_after = match_after,
    .next_after = next_after,
    .kept_as_follower = kept_as_follower,
    .own_match = own_match,
    .leader_commit = leader_commit,
    .follower_commit = follower_commit,
    .apply_limit = apply_limit,
    .may_read = may_read,
};
