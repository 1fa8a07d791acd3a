/* sim/bug.c - the table of the museum. Its rows name everything else: wrong functions, stories,
 * plans. */
#include "sim/bug.h"

#include "base/err.h"
#include "sim/wrong_rules.h"
#include "sim/wrong_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a row's one difference ---- */

/* Puts `wrong` in the place of `rule`; the compiler looks that it fits. */
#define RULE(rule, wrong_rule)                                                                     \
    static void rule_##wrong_rule(struct rules *rules)                                             \
    {                                                                                              \
        rules->rule = wrong_rule;                                                                  \
    }
#define STEP(step, wrong_step)                                                                     \
    static void step_##wrong_step(struct steps *steps)                                             \
    {                                                                                              \
        steps->step = wrong_step;                                                                  \
    }
RULE(election_timeout, always_the_shortest)
RULE(is_contact, any_append_is_contact)
RULE(is_contact, any_request_is_contact)
RULE(vote_kept, vote_forgotten)
RULE(may_vote, first_peer_is_nobody)
RULE(log_up_to_date, longer_log_wins)
RULE(log_up_to_date, both_must_be_newer)
RULE(vote_counts, any_vote_counts)
RULE(vote_counts, all_but_leaders_count)
RULE(is_quorum, half_is_enough)
RULE(append_term, term_of_the_log)
RULE(prev_matches, prev_by_index)
RULE(truncate_from, truncate_always)
RULE(truncate_from, truncate_other_terms)
RULE(acknowledged, own_last_index)
RULE(match_after, match_of_the_reply)
RULE(next_after, next_of_the_reply)
RULE(kept_as_follower, back_to_commit)
RULE(own_match, own_log_in_memory)
RULE(leader_commit, commit_any_term)
RULE(leader_commit, upper_median)
RULE(follower_commit, commit_own_tail)
RULE(follower_commit, commit_without_max)
RULE(apply_limit, apply_all)
RULE(may_read, leader_may_read)
RULE(may_read, followed_leader_may_read)
RULE(may_read, settled_leader_may_read)
STEP(pack, skip_what_does_not_fit)
STEP(apply, apply_again)
STEP(apply, apply_at_the_leader)
STEP(lost, lost_is_refused)

static const struct wrong_seams no_term = { .commit = term_with_entries_only },
                                no_vote = { .commit = without_the_vote },
                                two_writes = { .commit = vote_then_term },
                                late_writes = { .commit = commit_later,
                                                .receive = receive_after_commit },
                                no_sync = { .commit = commit_unsynced },
                                no_sync_of_less = { .commit = truncate_unsynced },
                                beats_without_disk = { .commit = heartbeats_all_the_same },
                                no_failure = { .commit = failure_unsaid },
                                broken_rounds = { .send = send_until_one_fails,
                                                  .receive = hear_answers,
                                                  .flush = begin_new_round },
                                calls = { .send = call_in_turn,
                                          .receive = return_from_call,
                                          .flush = go_on_calling };

#define WITH_RULE(rule, wrong_rule)                                                                \
    .right = "node/core/rules.c " #rule, .wrong = "sim/wrong_rules.c " #wrong_rule,                \
    .swap = rule_##wrong_rule
#define WITH_STEP(step, wrong_step)                                                                \
    .right = "node/steps.c " #step, .wrong = "sim/wrong_steps.c " #wrong_step,                     \
    .swap_step = step_##wrong_step
#define WITH_SEAM(right_code, wrong_code, wrong_seam)                                              \
    .right = (right_code), .wrong = "sim/wrong_steps.c " wrong_code, .seams = &(wrong_seam)

/* ---- the table ---- */

const struct bug bugs[] = {
    { BUG_ELECTIONS, 1, 0, "vote-forgotten", "the vote is forgotten on a change of role", "V1 ES",
      "vote-forgotten.plan", WITH_RULE(vote_kept, vote_forgotten) },
    { BUG_ELECTIONS, 6, 0, "stale-vote-reply", "a vote of an earlier term is counted", "ES",
      "stale-vote-reply.plan", WITH_RULE(vote_counts, any_vote_counts) },
    { BUG_ELECTIONS, 7, 0, "votes-for-a-follower", "who does not run any more counts votes, too",
      "ES", NULL, WITH_RULE(vote_counts, all_but_leaders_count) },
    { BUG_ELECTIONS, 8, 'a', "longer-log-wins", "logs are compared by length alone", "LC SM CQ",
      "longer-log-wins.plan", WITH_RULE(log_up_to_date, longer_log_wins) },
    { BUG_ELECTIONS, 8, 'b', "both-must-be-newer", "a vote needs a later term and a longer log",
      "LV", NULL, WITH_RULE(log_up_to_date, both_must_be_newer) },
    { BUG_ELECTIONS, 9, 0, "first-peer-is-nobody", "a vote for the first peer reads as no vote",
      "V1 ES", "first-peer-is-nobody.plan", WITH_RULE(may_vote, first_peer_is_nobody) },
    { BUG_ELECTIONS, 21, 'a', "stop-at-first-failure", "requests stop at the first peer that fails",
      "LV", "stop-at-first-failure.plan",
      WITH_SEAM("node/turn.c send_all", "send_until_one_fails,hear_answers,begin_new_round",
                broken_rounds) },
    { BUG_ELECTIONS, 21, 'b', "sync-rpc", "requests are calls, and each waits for its answer", "LV",
      "sync-rpc.plan",
      WITH_SEAM("node/turn.c send_all", "call_in_turn,return_from_call,go_on_calling", calls) },
    { BUG_ELECTIONS, 22, 0, "two-terms", "elections and appends have a term each", "LC SM CQ",
      "two-terms.plan", WITH_RULE(append_term, term_of_the_log) },
    { BUG_ELECTIONS, 30, 'b', "half-is-enough", "half of an even cluster counts as its majority",
      "ES CQ", "half-is-enough.plan", WITH_RULE(is_quorum, half_is_enough) },
    { BUG_ELECTIONS, 0, 0, "same-timeout", "all peers wait equally long", "LV", "same-timeout.plan",
      WITH_RULE(election_timeout, always_the_shortest) },
    { BUG_ELECTIONS, 0, 0, "old-leader-heard", "a leader of the past keeps its followers quiet",
      "LV", "old-leader-heard.plan", WITH_RULE(is_contact, any_append_is_contact) },
    { BUG_ELECTIONS, 0, 0, "asked-is-contact", "who is asked for a vote waits anew", "LV",
      "asked-is-contact.plan", WITH_RULE(is_contact, any_request_is_contact) },

    { BUG_REPLICATION, 24, 0, "truncate-on-overlap",
      "entries behind prevLogIndex are deleted without a conflict", "CM CQ",
      "truncate-on-overlap.plan", WITH_RULE(truncate_from, truncate_always) },
    { BUG_REPLICATION, 25, 0, "commit-own-tail", "a follower commits what nobody has compared",
      "SM", "commit-own-tail.plan", WITH_RULE(follower_commit, commit_own_tail) },
    { BUG_REPLICATION, 26, 0, "apply-all", "entries are applied before they are committed",
      "CHECK SM", NULL, WITH_RULE(apply_limit, apply_all) },
    { BUG_REPLICATION, 27, 0, "commit-goes-back", "commitIndex is set without max", "CM CHECK",
      "commit-goes-back.plan", WITH_RULE(follower_commit, commit_without_max) },
    { BUG_REPLICATION, 28, 0, "commit-by-counting",
      "entries of earlier terms are committed by counting replicas", "CQ LC SM",
      "commit-by-counting.plan", WITH_RULE(leader_commit, commit_any_term) },
    { BUG_REPLICATION, 30, 'a', "upper-median", "with four peers two are taken for a majority",
      "CQ", NULL, WITH_RULE(leader_commit, upper_median) },
    { BUG_REPLICATION, 34, 0, "match-goes-back", "matchIndex follows late replies back", "MI", NULL,
      WITH_RULE(match_after, match_of_the_reply) },
    { BUG_REPLICATION, 35, 0, "next-below-match", "nextIndex falls to what is known to match",
      "CHECK MI", NULL, WITH_RULE(next_after, next_of_the_reply) },
    { BUG_REPLICATION, 36, 0, "ack-own-last", "a follower acknowledges whatever it has", "MI CQ",
      "ack-own-last.plan", WITH_RULE(acknowledged, own_last_index) },
    { BUG_REPLICATION, 38, 'a', "conflict-by-leader-term",
      "entries of earlier terms are taken for conflicts", "CM CQ", "conflict-by-leader-term.plan",
      WITH_RULE(truncate_from, truncate_other_terms) },
    { BUG_REPLICATION, 38, 'b', "rollback-on-step-down",
      "a deposed leader deletes what it had not committed", "CQ LC", "rollback-on-step-down.plan",
      WITH_RULE(kept_as_follower, back_to_commit) },
    { BUG_REPLICATION, 40, 0, "skip-large-entry", "a frame leaves out what does not fit", "LM SM",
      "skip-large-entry.plan", WITH_STEP(pack, skip_what_does_not_fit) },
    { BUG_REPLICATION, 0, 0, "prev-by-index", "prevLogTerm is not compared", "LM CQ SM",
      "prev-by-index.plan", WITH_RULE(prev_matches, prev_by_index) },

    { BUG_PERSISTENCE, 4, 'a', "term-not-stored", "the term is saved with entries only", "TM PR V1",
      "term-not-stored.plan",
      WITH_SEAM("node/turn.c save,commit_update", "term_with_entries_only", no_term) },
    { BUG_PERSISTENCE, 4, 'b', "vote-not-stored", "the vote is not saved", "PR V1 ES",
      "vote-not-stored.plan", WITH_SEAM("node/turn.c commit_update", "without_the_vote", no_vote) },
    { BUG_PERSISTENCE, 5, 0, "vote-then-term", "vote and term are saved one after the other", "V1",
      "vote-then-term.plan", WITH_SEAM("node/turn.c commit_update", "vote_then_term", two_writes) },
    { BUG_PERSISTENCE, 20, 0, "heartbeats-without-disk",
      "a leader that cannot write keeps its followers quiet", "LV", "heartbeats-without-disk.plan",
      WITH_SEAM("node/turn.c peer_turn", "heartbeats_all_the_same", beats_without_disk) },
    { BUG_PERSISTENCE, 42, 0, "failed-write-unsaid", "a write that failed counts as done",
      "PR CQ V1", "failed-write-unsaid.plan",
      WITH_SEAM("node/turn.c save", "failure_unsaid", no_failure) },
    { BUG_PERSISTENCE, 46, 0, "leader-counts-memory",
      "a leader counts itself before its disk has the entry", "CQ", NULL,
      WITH_RULE(own_match, own_log_in_memory) },
    { BUG_PERSISTENCE, 47, 'a', "ack-before-write", "answers leave before the write", "PR V1 CQ",
      "ack-before-write.plan",
      WITH_SEAM("node/turn.c peer_turn", "commit_later,receive_after_commit", late_writes) },
    { BUG_PERSISTENCE, 47, 'b', "ack-before-sync", "answers leave before fdatasync", "PR LC", NULL,
      WITH_SEAM("node/store.c save_once", "commit_unsynced", no_sync) },
    { BUG_PERSISTENCE, 50, 0, "truncation-not-synced", "what is deleted comes back", "PR LM", NULL,
      WITH_SEAM("node/store.c save_once", "truncate_unsynced", no_sync_of_less) },

    { BUG_CLIENTS, 67, 0, "read-before-own-commit",
      "a new leader reads before it has committed anything", "LZ", "read-before-own-commit.plan",
      WITH_RULE(may_read, followed_leader_may_read) },
    { BUG_CLIENTS, 68, 0, "read-without-quorum", "a leader reads without asking whether it leads",
      "LZ", "read-without-quorum.plan", WITH_RULE(may_read, settled_leader_may_read) },
    { BUG_CLIENTS, 72, 0, "retry-executed-twice", "a repeated command is executed again", "X1 LZ",
      "retry-executed-twice.plan", WITH_STEP(apply, apply_again) },
    { BUG_CLIENTS, 73, 0, "failed-yet-committed", "a command is refused that is committed later",
      "X1 LZ", "failed-yet-committed.plan", WITH_STEP(lost, lost_is_refused) },
    { BUG_CLIENTS, 74, 0, "read-while-replaying", "a leader reads a state that lacks its own log",
      "LZ", "read-while-replaying.plan", WITH_RULE(may_read, leader_may_read) },
    { BUG_CLIENTS, 75, 0, "followers-do-not-apply", "only a leader applies what is committed", "LZ",
      "followers-do-not-apply.plan", WITH_STEP(apply, apply_at_the_leader) },
};
const size_t bugs_count = COUNT(bugs);

const char *bug_group_name(enum bug_group group)
{
#define BUG_GROUP_TEXT(name, text) text,
    static const char *const names[] = { BUG_GROUP_LIST(BUG_GROUP_TEXT) };
#undef BUG_GROUP_TEXT
    CHECK(group < BUG_GROUP_COUNT);
    return names[group];
}

const char *bug_number(const struct bug *bug, char text[16])
{
    if (bug->number == 0) snprintf(text, 16, "-");
    else snprintf(text, 16, "%u%.1s", bug->number, bug->form == 0 ? "" : &bug->form);
    return text;
}

const struct bug *bug_find(const char *name)
{
    char number[16];
    const struct bug *first = NULL; /* of those with this number, whatever their form */
    char *end;
    unsigned long wanted = strtoul(name, &end, 10);
    for (size_t i = 0; i < bugs_count; i++) {
        const struct bug *bug = &bugs[i];
        if (strcmp(bug->name, name) == 0) return bug;
        if (bug->number == 0) continue;
        if (strcmp(bug_number(bug, number), name) == 0) return bug;
        if (first == NULL && *end == '\0' && bug->number == wanted) first = bug;
    }
    if (first != NULL) return first;
    err_begin(ERR_INPUT, "'%.64s' is no bug of the museum; `ringside bugs` lists them", name);
    return NULL;
}

void bug_rules(const struct bug *bug, struct rules *rules)
{
    *rules = rules_raft;
    if (bug != NULL && bug->swap != NULL) bug->swap(rules);
}

void bug_steps(const struct bug *bug, struct steps *steps)
{
    *steps = steps_raft;
    if (bug != NULL && bug->swap_step != NULL) bug->swap_step(steps);
}
