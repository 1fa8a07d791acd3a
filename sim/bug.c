/* sim/bug.c - the table of the museum, and the wrong rules. */
#include "sim/bug.h"

#include "base/err.h"
#include <stdlib.h>
#include <string.h>

/* ---- the wrong rules ---- */

static bool any_vote_counts(const struct raft *raft, const struct message *reply)
{
    UNUSED(reply);
    return raft->role == CANDIDATE;
}

static void stale_vote_reply(struct rules *rules)
{
    rules->vote_counts = any_vote_counts;
}

static uint64_t truncate_always(const struct log *log, const struct message *append)
{
    return append->prev.index < log->last_index ? append->prev.index + 1 : 0;
}

static void truncate_on_overlap(struct rules *rules)
{
    rules->truncate_from = truncate_always;
}

static uint64_t commit_without_max(const struct raft *raft, const struct message *append)
{
    UNUSED(raft);
    return MIN_OF(append->commit_index, append->prev.index + append->count);
}

static void commit_goes_back(struct rules *rules)
{
    rules->follower_commit = commit_without_max;
}

static uint64_t commit_any_term(const struct raft *raft)
{
    uint64_t best = raft->commit_index;
    for (uint64_t index = best + 1; index <= raft->log.last_index; index++) {
        peer_set have = 0;
        for (uint32_t id = 1; id <= raft->config.peers; id++) {
            uint64_t match = id == raft->config.self ? raft->config.rules->own_match(raft)
                                                     : raft->followers[id].match_index;
            if (match >= index) have |= peer_bit(id);
        }
        if (!raft->config.rules->is_quorum(have, raft->config.peers)) break;
        best = index;
    }
    return best;
}

static void commit_by_counting(struct rules *rules)
{
    rules->leader_commit = commit_any_term;
}

/* ---- the table ---- */

const struct bug bugs[] = {
    { .number = 6,
      .name = "stale-vote-reply",
      .title = "a vote of an earlier term is counted",
      .breaks = "ES",
      .swap = stale_vote_reply },
    { .number = 24,
      .name = "truncate-on-overlap",
      .title = "entries behind prevLogIndex are deleted without a conflict",
      .breaks = "CM CQ",
      .swap = truncate_on_overlap },
    { .number = 27,
      .name = "commit-goes-back",
      .title = "commitIndex is set without max",
      .breaks = "CM",
      .swap = commit_goes_back },
    { .number = 28,
      .name = "commit-by-counting",
      .title = "entries of earlier terms are committed by counting replicas",
      .breaks = "CQ LC SM",
      .swap = commit_by_counting },
};
const size_t bugs_count = COUNT(bugs);

const struct bug *bug_find(const char *name)
{
    for (size_t i = 0; i < bugs_count; i++) {
        if (strcmp(bugs[i].name, name) == 0) return &bugs[i];
        char *end;
        unsigned long number = strtoul(name, &end, 10);
        if (end != name && *end == '\0' && number == bugs[i].number) return &bugs[i];
    }
    err_begin(ERR_INPUT, "'%.64s' is no bug of the museum; `ringside bugs` lists them", name);
    return NULL;
}

void bug_rules(const struct bug *bug, struct rules *rules)
{
    *rules = rules_raft;
    if (bug != NULL && bug->swap != NULL) bug->swap(rules);
}
