/* tests/rules_test.c - each rule of the core (node/core/rules.h) as a table, every row a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "node/core/rules.h"

#define RUNS 64
#define ENTRIES_MAX 16

/* "1 1 4" -> terms; returns how many. */
static uint32_t read_terms(const char *text, uint64_t terms[ENTRIES_MAX])
{
    uint32_t count = 0;
    for (char *end; text != NULL && *text != '\0'; text = end) {
        CHECK(count < ENTRIES_MAX);
        terms[count++] = strtoull(text, &end, 10);
    }
    return count;
}

static struct log make_log(const char *text)
{
    static struct term_run runs[RUNS];
    uint64_t terms[ENTRIES_MAX];
    struct log log;
    log_init(&log, runs, RUNS);
    uint32_t count = read_terms(text, terms);
    for (uint32_t i = 0; i < count; i++) log_append(&log, terms[i]);
    return log;
}

/* ---- elections ---- */

static const struct contact_row {
    const char *name;
    enum message_kind kind;
    uint64_t term; /* of the request; ours is 5 */
    bool granted, contact;
} contact_rows[] = {
    { "an append of this term resets the timer", MESSAGE_APPEND_REQUEST, 5, false, true },
    { "an append of an earlier term does not", MESSAGE_APPEND_REQUEST, 4, false, false },
    { "granting a vote resets the timer", MESSAGE_VOTE_REQUEST, 5, true, true },
    { "being asked for a vote does not", MESSAGE_VOTE_REQUEST, 5, false, false },
    { "being asked in an earlier term does not", MESSAGE_VOTE_REQUEST, 4, false, false },
};

static void contact_holds(void **state)
{
    const struct contact_row *row = *state;
    struct raft raft = { .current_term = 5 };
    struct message request = { .kind = (uint8_t)row->kind, .term = row->term };
    assert_int_equal(rules_raft.is_contact(&raft, &request, row->granted), row->contact);
}

static void timeouts_differ_within_their_range(void **state)
{
    UNUSED(state);
    struct raft_config config = { .election_min_ns = 150, .election_max_ns = 300 };
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t timeout = rules_raft.election_timeout(&config, i * (UINT64_MAX / 999));
        lowest = MIN_OF(lowest, timeout);
        highest = MAX_OF(highest, timeout);
    }
    assert_int_equal(lowest, 150); /* [R §5.2] */
    assert_int_equal(highest, 300);
}

static const struct vote_kept_row {
    const char *name;
    uint64_t current_term, new_term;
    uint32_t voted_for, kept;
} vote_kept_rows[] = {
    { "vote kept in the same term", 3, 3, 2, 2 }, /* [R Fig.2 State] */
    { "vote gone in a later term", 3, 4, 2, PEER_NONE },
    { "vote gone in a much later term", 3, 90, 2, PEER_NONE },
    { "no vote stays no vote", 3, 3, PEER_NONE, PEER_NONE },
};

static void vote_kept_holds(void **state)
{
    const struct vote_kept_row *row = *state;
    struct raft raft = { .current_term = row->current_term, .voted_for = row->voted_for };
    assert_int_equal(rules_raft.vote_kept(&raft, row->new_term), row->kept);
}

static const struct may_vote_row {
    const char *name;
    uint64_t term; /* of the request; ours is 5 */
    uint32_t voted_for;
    const char *log;
    struct log_id last; /* of the candidate, which is 2 */
    enum vote_verdict verdict;
} may_vote_rows[] = {
    { "vote given when free and equal", 5, PEER_NONE, "1 2", { 2, 2 }, VOTE_YES },
    { "vote given again to the same", 5, 2, "1 2", { 2, 2 }, VOTE_YES },
    { "vote given with two empty logs", 5, PEER_NONE, "", { 0, 0 }, VOTE_YES },
    { "no vote: the term is over", 4, PEER_NONE, "1 2", { 2, 2 }, VOTE_TERM_OVER },
    { "no vote: the term is over, even to the same", 4, 2, "1 2", { 2, 2 }, VOTE_TERM_OVER },
    { "no vote: given to another", 5, 3, "1 2", { 2, 2 }, VOTE_GIVEN },
    { "no vote: given to another, however good the log", 5, 3, "1", { 4, 9 }, VOTE_GIVEN },
    { "no vote: log behind in term", 5, PEER_NONE, "1 2", { 1, 9 }, VOTE_LOG_BEHIND },
    { "no vote: log behind in length", 5, PEER_NONE, "1 2 2", { 2, 2 }, VOTE_LOG_BEHIND },
    { "no vote: candidate's log is empty", 5, PEER_NONE, "1", { 0, 0 }, VOTE_LOG_BEHIND },
};

static void may_vote_holds(void **state)
{
    const struct may_vote_row *row = *state;
    struct raft raft = { .current_term = 5,
                         .voted_for = row->voted_for,
                         .log = make_log(row->log) };
    raft.config.rules = &rules_raft;
    struct message request = { .from = 2, .to = 1, .term = row->term, .prev = row->last };
    assert_int_equal(rules_raft.may_vote(&raft, &request), row->verdict);
}

static const struct up_to_date_row {
    const char *name;
    struct log_id theirs, ours; /* term, index */
    bool granted;
} up_to_date_rows[] = {
    { "equal logs", { 2, 5 }, { 2, 5 }, true },
    { "longer wins in one term", { 2, 6 }, { 2, 5 }, true }, /* [R §5.4.1] */
    { "shorter loses in one term", { 2, 4 }, { 2, 5 }, false },
    { "later term wins, longer", { 3, 6 }, { 2, 5 }, true },
    { "later term wins, though shorter", { 3, 1 }, { 2, 9 }, true },
    { "earlier term never wins", { 1, 9 }, { 2, 1 }, false },
    { "anything beats an empty log", { 1, 1 }, { 0, 0 }, true },
    { "an empty log beats nothing", { 0, 0 }, { 1, 1 }, false },
    { "two empty logs", { 0, 0 }, { 0, 0 }, true },
};

static void up_to_date_holds(void **state)
{
    const struct up_to_date_row *row = *state;
    assert_int_equal(rules_raft.log_up_to_date(row->theirs, row->ours), row->granted);
}

static const struct vote_counts_row {
    const char *name;
    enum role role;
    uint64_t term; /* of the reply; ours is 5 */
    bool counts;
} vote_counts_rows[] = {
    { "a vote counts for a candidate in its term", CANDIDATE, 5, true },
    { "a vote of an earlier term does not", CANDIDATE, 4, false }, /* [R §5.2] */
    { "a vote does not count for a follower", FOLLOWER, 5, false },
    { "a vote does not count for a leader", LEADER, 5, false },
};

static void vote_counts_holds(void **state)
{
    const struct vote_counts_row *row = *state;
    struct raft raft = { .current_term = 5, .role = row->role };
    struct message reply = { .from = 2, .to = 1, .term = row->term, .granted = true };
    assert_int_equal(rules_raft.vote_counts(&raft, &reply), row->counts);
}

/* [R §5.2] a majority of all, and any two of them have a peer in common */
static void quorums_are_majorities(void **state)
{
    UNUSED(state);
    for (uint32_t peers = 1; peers <= PEER_MAX; peers++)
        for (uint32_t have = 0; have <= peers; have++)
            assert_int_equal(rules_raft.is_quorum(peer_first(have), peers), 2 * have > peers);
    for (peer_set a = 0; a < 64; a += 2) /* all sets of peers 1..5 */
        for (peer_set b = 0; b < 64; b += 2)
            if (rules_raft.is_quorum(a, 5) && rules_raft.is_quorum(b, 5)) assert_true((a & b) != 0);
    assert_false(rules_raft.is_quorum(~peer_first(3), 3)); /* strangers do not count */
    assert_false(rules_raft.is_quorum(peer_bit(0) | peer_bit(1), 3));
}

/* ---- replication ---- */

static const struct prev_row {
    const char *name, *log;
    struct log_id prev;
    bool matches;
} prev_rows[] = {
    { "prev 0 always matches", "1 1", { 0, 0 }, true },
    { "prev 0 matches an empty log", "", { 0, 0 }, true },
    { "prev is the last entry", "1 1 2", { 2, 3 }, true },
    { "prev is in the middle", "1 1 2", { 1, 1 }, true },
    { "prev has another term", "1 1 2", { 2, 2 }, false }, /* [R Fig.2 AppendEntries 2] */
    { "prev is past the end", "1 1 2", { 2, 4 }, false },
    { "prev is past the end of an empty log", "", { 1, 1 }, false },
    { "prev 0 with a term is nonsense", "1", { 1, 0 }, false },
    { "prev past the end with term 0 is nonsense", "1", { 0, 2 }, false },
};

static void prev_holds(void **state)
{
    const struct prev_row *row = *state;
    struct log log = make_log(row->log);
    assert_int_equal(rules_raft.prev_matches(&log, row->prev), row->matches);
}

static const struct truncate_row {
    const char *name, *log;
    uint64_t prev; /* index */
    const char *terms;
    uint64_t from; /* 0: nothing */
} truncate_rows[] = {
    { "nothing to delete behind the end", "1 1", 2, "2 2", 0 },
    { "an empty append deletes nothing", "1 1 1", 0, "", 0 }, /* [R Fig.2 AppendEntries 3] */
    { "an empty append in the middle deletes nothing", "1 1 1", 1, "", 0 },
    { "equal entries stay, and what is behind them", "1 1 1", 0, "1", 0 },
    { "all equal", "1 1 2", 0, "1 1 2", 0 },
    { "overlap and more, no conflict", "1 1 2", 1, "1 2 2", 0 },
    { "conflict at the first entry", "1 1 1", 1, "2", 2 },
    { "conflict at a later entry", "1 1 2 2", 1, "1 3", 3 },
    { "conflict at the last entry", "1 1 2", 0, "1 1 3 3", 3 },
    { "an earlier term conflicts as well", "1 1 3 3", 2, "2", 3 },
    { "an empty log has nothing to delete", "", 0, "1 2", 0 },
};

static void truncate_holds(void **state)
{
    const struct truncate_row *row = *state;
    uint64_t terms[ENTRIES_MAX];
    struct log log = make_log(row->log);
    struct message append = { .prev = { .index = row->prev }, .terms = terms };
    append.count = read_terms(row->terms, terms);
    assert_int_equal(rules_raft.truncate_from(&log, &append), row->from);
}

static const struct acknowledged_row {
    const char *name, *log;
    uint64_t prev;
    uint32_t count;
    uint64_t acknowledged;
} acknowledged_rows[] = {
    { "entries are acknowledged", "1 1 1", 1, 2, 3 },
    { "an empty append proves prev", "1 1 1", 2, 0, 2 },
    { "what is behind the entries is not acknowledged", "1 1 1 1 1", 1, 1, 2 }, /* [R §5.3] */
    { "an empty append after 0 proves nothing", "1 1 1", 0, 0, 0 },
};

static void acknowledged_holds(void **state)
{
    const struct acknowledged_row *row = *state;
    struct raft raft = { .log = make_log(row->log) };
    struct message append = { .prev = { .index = row->prev }, .count = row->count };
    assert_int_equal(rules_raft.acknowledged(&raft, &append), row->acknowledged);
}

static const struct match_row {
    const char *name;
    uint64_t before, acknowledged, after;
} match_rows[] = {
    { "match_index grows", 3, 5, 5 },
    { "a repeated reply changes nothing", 5, 5, 5 },
    { "a late reply takes nothing back", 5, 3, 5 }, /* [R Fig.2 volatile state on leaders] */
    { "a reply to the first probe", 0, 0, 0 },
};

static void match_holds(void **state)
{
    const struct match_row *row = *state;
    struct follower follower = { .match_index = row->before };
    assert_int_equal(rules_raft.match_after(&follower, row->acknowledged), row->after);
}

static const struct next_row {
    const char *name, *log; /* of the leader */
    uint64_t match, prev;
    struct log_id conflict; /* term 0: the follower's log ends before index */
    uint64_t next;
} next_rows[] = {
    { "to the end of a short log", "1 1 1 1 1", 0, 5, { 0, 3 }, 3 },
    { "to the beginning of an empty log", "1 1 1", 0, 3, { 0, 1 }, 1 },
    { "over a term that the leader lacks", "1 1 4 4 4", 0, 5, { 3, 3 }, 3 }, /* [R §5.3] */
    { "to the leader's end of a term that both have", "4 4 4 6 6 6", 0, 6, { 4, 2 }, 4 },
    { "both have the term, the leader's end is earlier", "2 4 6 6 6", 0, 5, { 4, 2 }, 3 },
    { "never forward: at least one step back", "1 1 1 1", 0, 3, { 0, 9 }, 3 },
    { "never to match_index or before", "1 1 1 1 1 1", 3, 5, { 0, 1 }, 4 },
    { "nor with a term", "1 1 1 4 4 4", 3, 6, { 3, 2 }, 4 },
    { "no hint: back to what is sure", "1 1 1 4 4 4", 2, 6, { 0, 0 }, 3 },
    { "a hint that cannot be does no harm", "1 1 2 2 2", 0, 3, { 2, 3 }, 3 },
};

static void next_holds(void **state)
{
    const struct next_row *row = *state;
    struct raft raft = { .log = make_log(row->log) };
    struct follower follower = { .match_index = row->match, .next_index = row->prev + 1 };
    struct message refusal = { .prev = { .index = row->prev }, .conflict = row->conflict };
    uint64_t next = rules_raft.next_after(&raft, &follower, &refusal);
    assert_int_equal(next, row->next);
    assert_true(next > row->match); /* I5 */
}

/* ---- commitment ---- */

static const struct commit_row {
    const char *name, *log; /* the leader's; it is peer 1 in term 4 */
    uint32_t peers;
    uint64_t commit, durable, match[6]; /* of peers 2.. */
    uint64_t after;
} commit_rows[] = {
    { "a majority has it", "4 4 4", 3, 0, 3, { 3, 0 }, 3 },
    { "all have it", "4 4 4", 3, 0, 3, { 3, 3 }, 3 },
    { "the majority's part", "4 4 4", 3, 0, 3, { 2, 1 }, 2 },
    { "one of three is none", "4 4 4", 3, 0, 3, { 0, 0 }, 0 },
    { "commit_index stays", "4 4 4", 3, 2, 3, { 2, 2 }, 2 },
    { "never back", "4 4 4", 3, 3, 3, { 1, 1 }, 3 },
    { "old terms are not counted", "1 2 2", 3, 0, 3, { 3, 3 }, 0 }, /* [R §5.4.2] */
    { "old terms come with an entry of the own term", "1 2 4", 3, 0, 3, { 3, 0 }, 3 },
    { "the own entry is not on a majority yet", "1 2 4", 3, 0, 3, { 2, 2 }, 0 },
    { "two of four are no majority", "4 4", 4, 0, 2, { 2, 0, 0 }, 0 },
    { "three of four are", "4 4", 4, 0, 2, { 2, 1, 0 }, 1 },
    { "one of two is none", "4 4", 2, 0, 2, { 0 }, 0 },
    { "two of two", "4 4", 2, 0, 2, { 1 }, 1 },
    { "a single peer has all that its disk has", "4 4 4", 1, 0, 2, { 0 }, 2 },
    { "its own disk is behind: not counted", "4 4 4", 3, 0, 0, { 3, 0 }, 0 }, /* [T §10.2.1] */
    { "its own disk is behind: others are enough", "4 4 4", 3, 0, 0, { 3, 3 }, 3 },
    { "its own disk has a part", "4 4 4", 3, 0, 1, { 3, 0 }, 1 },
    { "five peers, median", "4 4 4 4 4", 5, 0, 5, { 4, 3, 2, 1 }, 3 },
    { "six peers need four", "4 4 4 4 4", 6, 0, 5, { 4, 3, 2, 1, 0 }, 2 },
    { "seven peers, median", "4 4 4 4 4 4", 7, 0, 6, { 6, 5, 4, 3, 2, 1 }, 4 },
};

static void commit_holds(void **state)
{
    const struct commit_row *row = *state;
    struct raft raft = { .current_term = 4, .role = LEADER, .log = make_log(row->log) };
    raft.config = (struct raft_config){ .self = 1, .peers = row->peers, .rules = &rules_raft };
    raft.commit_index = row->commit;
    raft.durable_index = row->durable;
    for (uint32_t id = 2; id <= row->peers; id++)
        raft.followers[id].match_index = row->match[id - 2];
    raft.followers[1].match_index =
        99; /* nobody may ask what a leader knows of itself as follower */
    assert_int_equal(rules_raft.leader_commit(&raft), row->after);
}

static const struct learn_row {
    const char *name, *log;
    uint64_t commit, leader_commit, prev;
    uint32_t count;
    uint64_t after;
} learn_rows[] = {
    { "the leader's commit_index", "1 1 1", 0, 2, 3, 0, 2 },
    { "no more than what was verified", "1 1 1", 0, 3, 1, 0, 1 }, /* [R Fig.2 AppendEntries 5] */
    { "no more than what was verified, with entries", "1 1 1 1 1", 0, 5, 1, 2, 3 },
    { "nothing was verified", "1 1 1", 0, 3, 0, 0, 0 },
    { "never back with an older message", "1 1 1", 3, 1, 3, 0, 3 },
    { "never back with a shorter one", "1 1 1", 3, 3, 1, 1, 3 },
};

static void learn_holds(void **state)
{
    const struct learn_row *row = *state;
    struct raft raft = { .commit_index = row->commit, .log = make_log(row->log) };
    struct message append = { .commit_index = row->leader_commit,
                              .prev = { .index = row->prev },
                              .count = row->count };
    assert_int_equal(rules_raft.follower_commit(&raft, &append), row->after);
}

static void limits_are_what_they_say(void **state)
{
    UNUSED(state);
    struct raft raft = {
        .commit_index = 3, .last_applied = 1, .durable_index = 4, .log = make_log("1 1 1 1 1")
    };
    assert_int_equal(rules_raft.apply_limit(&raft), 3); /* [R Fig.2 All servers 1] */
    assert_int_equal(rules_raft.own_match(&raft), 4);
    assert_int_equal(rules_raft.kept_as_follower(&raft), 5);
}

static void one_term_is_for_all(void **state)
{
    UNUSED(state);
    struct raft raft = { .current_term = 5, .log = make_log("1 2") };
    for (uint64_t term = 1; term <= 5; term++) {
        struct message append = { .kind = MESSAGE_APPEND_REQUEST, .term = term };
        assert_int_equal(rules_raft.append_term(&raft, &append), 5);
    }
}

static void nobody_reads_beside_the_log(void **state)
{
    UNUSED(state);
    for (uint32_t role = FOLLOWER; role < ROLE_COUNT; role++) {
        struct raft raft = { .current_term = 1,
                             .role = (enum role)role,
                             .commit_index = 1,
                             .last_applied = 1,
                             .log = make_log("1") };
        assert_false(rules_raft.may_read(&raft));
    }
}

/* ---- all of them ---- */

#define ROWS(rows, holds)                                                                          \
    for (size_t i = 0; i < COUNT(rows); i++) tests[count++] = (struct CMUnitTest)                  \
        {                                                                                          \
            .name = (rows)[i].name, .test_func = (holds),                                          \
            .initial_state = (void *)(uintptr_t) & (rows)[i]                                       \
        }
#define ONE(holds) tests[count++] = (struct CMUnitTest)cmocka_unit_test(holds)

int main(void)
{
    static struct CMUnitTest tests[200];
    size_t count = 0;
    ROWS(contact_rows, contact_holds);
    ONE(timeouts_differ_within_their_range);
    ROWS(vote_kept_rows, vote_kept_holds);
    ROWS(may_vote_rows, may_vote_holds);
    ROWS(up_to_date_rows, up_to_date_holds);
    ROWS(vote_counts_rows, vote_counts_holds);
    ONE(quorums_are_majorities);
    ROWS(prev_rows, prev_holds);
    ROWS(truncate_rows, truncate_holds);
    ROWS(acknowledged_rows, acknowledged_holds);
    ROWS(match_rows, match_holds);
    ROWS(next_rows, next_holds);
    ROWS(commit_rows, commit_holds);
    ROWS(learn_rows, learn_holds);
    ONE(limits_are_what_they_say);
    ONE(one_term_is_for_all);
    ONE(nobody_reads_beside_the_log);
    CHECK(count <= COUNT(tests));
    return _cmocka_run_group_tests("rules", tests, count, NULL, NULL);
}
