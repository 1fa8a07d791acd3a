/* tests/bug_test.c - the museum's table: whole, one difference a bug, and each wrong rule wrong in
 * the way that its story says. The steps of the turn: tests/bug_steps_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/plan.h"
#include "sim/bug_story.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ---- */

static void names_and_numbers_are_unique(void **state)
{
    char number[16], other[16];
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        const struct bug *bug = &bugs[i];
        for (const char *c = bug->name; *c != '\0'; c++) assert_true(islower(*c) || *c == '-');
        assert_true(strlen(bug->name) < 32); /* struct region_config */
        assert_true(i == 0 || bugs[i - 1].group <= bug->group);
        assert_ptr_equal(bug_find(bug->name), bug);
        if (bug->number == 0) continue;
        assert_ptr_equal(bug_find(bug_number(bug, number)), bug);
        for (size_t j = 0; j < bugs_count; j++) {
            if (j == i || bugs[j].number != bug->number) continue;
            assert_true(bug->form != 0);
            assert_string_not_equal(number, bug_number(&bugs[j], other));
        }
    }
    assert_null(bug_find("no-such-bug"));
    assert_null(bug_find(""));
    assert_null(bug_find("0"));
    assert_ptr_equal(bug_find("4"), bug_find("term-not-stored")); /* the first of that number */
}

static const char *const invariants[] = { "ES", "V1", "TM", "LA", "LM", "LC", "SM", "CM",
                                          "CQ", "MI", "PR", "LZ", "X1", "LV", "ST", "CHECK" };

static void invariants_are_known(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        char words[64], *rest = words;
        snprintf(words, sizeof(words), "%s", bugs[i].breaks);
        for (char *word; (word = strsep(&rest, " ")) != NULL;) {
            bool known = false;
            for (size_t n = 0; n < COUNT(invariants); n++)
                known |= strcmp(word, invariants[n]) == 0;
            if (!known) fail_msg("%s breaks '%s'", bugs[i].name, word);
        }
    }
}

static size_t sentences(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        bool ends = i + 1 == text.bytes || isspace((unsigned char)text.text[i + 1]);
        if (strchr(".!?", text.text[i]) != NULL && ends) count++;
    }
    return count;
}

static void stories_are_told(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        struct span story, source;
        if (!bug_story(&bugs[i], &story, &source)) fail_msg("%s has no story", bugs[i].name);
        if (sentences(story) < 3) fail_msg("the story of %s is short", bugs[i].name);
        if (memmem(story.text, story.bytes, "§", 2) == NULL &&
            memmem(story.text, story.bytes, "Figure 2", 8) == NULL)
            fail_msg("the story of %s cites no paper", bugs[i].name);
        if (strncmp(source.text, "Source: ", 8) != 0) fail_msg("%s: no source", bugs[i].name);
        assert_true(source.bytes > 20);
        assert_true(strlen(bugs[i].title) > 10 && strlen(bugs[i].title) <= 60);
    }
}

static size_t count_functions(const struct bug *bug, const char *code)
{
    size_t count = 0;
    struct span function;
    const char *at = code;
    while (code_next(code, &at, &function)) {
        count++;
        assert_true(function.text[function.bytes - 1] == '}');
        if (memmem(function.text, function.bytes, "\n{\n", 3) == NULL)
            fail_msg("%s: no function in '%s'", bug->name, code);
    }
    if (at != NULL) fail_msg("%s: '%s' is not in the source, at '%s'", bug->name, code, at);
    return count;
}

static void code_is_found(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        assert_true(count_functions(&bugs[i], bugs[i].right) > 0);
        assert_true(count_functions(&bugs[i], bugs[i].wrong) > 0);
    }
    struct span code;
    assert_true(source_function("sim/wrong_rules.c", "any_vote_counts", &code));
    assert_memory_equal(code.text, "/* a vote is a vote */\nbool any_vote_counts(", 44);
    assert_false(source_function("sim/wrong_rules.c", "vote_counts", &code)); /* part of a name */
    assert_false(source_function("sim/wrong_rules.c", "", &code));
    assert_false(source_function("nowhere.c", "any_vote_counts", &code));
}

static void plans_are_there(void **state)
{
    glob_t found;
    UNUSED(state);
    size_t named = 0;
    for (size_t i = 0; i < bugs_count; i++) {
        char path[128];
        struct plan plan;
        struct parse_error error;
        if (bugs[i].plan == NULL) continue;
        named++;
        snprintf(path, sizeof(path), "plans/bugs/%s", bugs[i].plan);
        if (plan_load(path, &plan, &error) != ERR_OK) fail_msg("%s", err_context());
        bool expects = false;
        for (size_t s = 0; s < plan.count; s++) expects |= plan.steps[s].kind == STEP_EXPECT;
        if (!expects) fail_msg("%s expects nothing", path);
        plan_free(&plan);
    }
    assert_int_equal(glob("plans/bugs/*", 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, named); /* and no other */
    globfree(&found);
}

/* ---- one difference ---- */

#define RULES(X)                                                                                   \
    X(election_timeout)                                                                            \
    X(is_contact)                                                                                  \
    X(vote_kept)                                                                                   \
    X(may_vote)                                                                                    \
    X(log_up_to_date)                                                                              \
    X(vote_counts)                                                                                 \
    X(is_quorum)                                                                                   \
    X(append_term)                                                                                 \
    X(prev_matches)                                                                                \
    X(truncate_from)                                                                               \
    X(acknowledged)                                                                                \
    X(match_after)                                                                                 \
    X(next_after)                                                                                  \
    X(kept_as_follower)                                                                            \
    X(own_match)                                                                                   \
    X(leader_commit)                                                                               \
    X(follower_commit)                                                                             \
    X(apply_limit)                                                                                 \
    X(may_read)
#define STEPS(X) X(pack) X(apply) X(lost)

/* How many entries differ; *name is the last of them. */
static size_t rules_changed(const struct rules *rules, const char **name)
{
    size_t count = 0;
#define LOOK(rule)                                                                                 \
    if (rules->rule != rules_raft.rule) {                                                          \
        count++;                                                                                   \
        *name = #rule;                                                                             \
    }
    RULES(LOOK)
#undef LOOK
#define COUNT_ENTRY(entry) +1
    assert_int_equal(sizeof(*rules), (RULES(COUNT_ENTRY)) * sizeof(void (*)(void))); /* all */
    return count;
}

static size_t steps_changed(const struct steps *steps, const char **name)
{
    size_t count = 0;
#define LOOK(step)                                                                                 \
    if (steps->step != steps_raft.step) {                                                          \
        count++;                                                                                   \
        *name = #step;                                                                             \
    }
    STEPS(LOOK)
#undef LOOK
    assert_int_equal(sizeof(*steps), (STEPS(COUNT_ENTRY)) * sizeof(void (*)(void)));
    return count;
}

static void each_bug_is_one_difference(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        const struct bug *bug = &bugs[i];
        const char *changed = NULL, *shown = strchr(bug->right, ' ') + 1;
        struct rules rules;
        struct steps steps;
        bug_rules(bug, &rules);
        bug_steps(bug, &steps);
        size_t differences = rules_changed(&rules, &changed) + steps_changed(&steps, &changed);
        assert_int_equal(differences + (bug->seams != NULL), 1); /* B1 */
        /* and what is shown as right is what was replaced */
        if (bug->seams == NULL) assert_string_equal(changed, shown);
    }
    struct rules rules;
    struct steps steps;
    const char *changed = NULL;
    bug_rules(NULL, &rules);
    bug_steps(NULL, &steps);
    assert_int_equal(rules_changed(&rules, &changed) + steps_changed(&steps, &changed), 0);
}

/* ---- each wrong rule, asked what it gets wrong ---- */

enum { RUNS = 16 };
struct ask { /* what the rules are asked with */
    struct raft raft;
    struct term_run runs[RUNS];
    struct message message;
    uint64_t terms[4];
};

/* A peer 3 of 5 in term 5 with the log 1 1 2 4, all of it durable, two entries committed. */
static void open_ask(struct ask *ask, const struct rules *rules)
{
    memset(ask, 0, sizeof(*ask));
    log_init(&ask->raft.log, ask->runs, RUNS);
    static const uint64_t log[] = { 1, 1, 2, 4 };
    for (size_t i = 0; i < COUNT(log); i++) log_append(&ask->raft.log, log[i]);
    ask->raft.config = (struct raft_config){
        .self = 3, .peers = 5, .election_min_ns = 100, .election_max_ns = 200, .rules = rules
    };
    ask->raft.current_term = 5;
    ask->raft.durable_index = 4;
    ask->raft.commit_index = ask->raft.last_applied = 2;
    ask->message = (struct message){ .from = 2, .to = 3, .term = 5, .terms = ask->terms };
}

static uint64_t timeout_of_high_bits(const struct rules *rules, struct ask *ask)
{
    return rules->election_timeout(&ask->raft.config, UINT64_MAX) > 150;
}

static uint64_t old_append_is_contact(const struct rules *rules, struct ask *ask)
{
    ask->message.kind = MESSAGE_APPEND_REQUEST;
    ask->message.term = 4;
    return rules->is_contact(&ask->raft, &ask->message, false);
}

static uint64_t refused_request_is_contact(const struct rules *rules, struct ask *ask)
{
    ask->message.kind = MESSAGE_VOTE_REQUEST;
    return rules->is_contact(&ask->raft, &ask->message, false);
}

static uint64_t vote_in_the_same_term(const struct rules *rules, struct ask *ask)
{
    ask->raft.voted_for = 1;
    return rules->vote_kept(&ask->raft, 5);
}

static uint64_t second_vote_after_the_first_peer(const struct rules *rules, struct ask *ask)
{
    ask->raft.voted_for = 1;
    ask->message.kind = MESSAGE_VOTE_REQUEST;
    ask->message.prev = (struct log_id){ 4, 4 };
    return rules->may_vote(&ask->raft, &ask->message);
}

static uint64_t longer_log_of_an_earlier_term(const struct rules *rules, struct ask *ask)
{
    UNUSED(ask);
    return rules->log_up_to_date((struct log_id){ 1, 9 }, (struct log_id){ 2, 3 });
}

static uint64_t shorter_log_of_a_later_term(const struct rules *rules, struct ask *ask)
{
    UNUSED(ask);
    return rules->log_up_to_date((struct log_id){ 2, 3 }, (struct log_id){ 1, 9 });
}

static uint64_t vote_of_an_earlier_term(const struct rules *rules, struct ask *ask)
{
    ask->raft.role = CANDIDATE;
    ask->message.kind = MESSAGE_VOTE_REPLY;
    ask->message.term = 4;
    return rules->vote_counts(&ask->raft, &ask->message);
}

static uint64_t vote_for_a_follower(const struct rules *rules, struct ask *ask)
{
    ask->message.kind = MESSAGE_VOTE_REPLY;
    return rules->vote_counts(&ask->raft, &ask->message);
}

static uint64_t two_of_four(const struct rules *rules, struct ask *ask)
{
    UNUSED(ask);
    return rules->is_quorum(peer_bit(1) | peer_bit(4), 4);
}

static uint64_t term_of_an_old_leader(const struct rules *rules, struct ask *ask)
{
    ask->message.term = 4; /* as the last entry; this peer has voted in 5 */
    return rules->append_term(&ask->raft, &ask->message);
}

static uint64_t prev_of_another_term(const struct rules *rules, struct ask *ask)
{
    return rules->prev_matches(&ask->raft.log, (struct log_id){ 3, 4 });
}

static uint64_t late_heartbeat_truncates(const struct rules *rules, struct ask *ask)
{
    ask->message.prev = (struct log_id){ 1, 2 };
    return rules->truncate_from(&ask->raft.log, &ask->message);
}

static uint64_t repeated_old_entry_truncates(const struct rules *rules, struct ask *ask)
{
    ask->message.prev = (struct log_id){ 1, 1 };
    ask->message.count = 1;
    ask->terms[0] = 1; /* the same entry, from a leader of term 5 */
    return rules->truncate_from(&ask->raft.log, &ask->message);
}

static uint64_t acknowledged_of_a_short_append(const struct rules *rules, struct ask *ask)
{
    ask->message.prev = (struct log_id){ 1, 1 };
    ask->message.count = 1;
    return rules->acknowledged(&ask->raft, &ask->message);
}

static uint64_t match_after_a_late_reply(const struct rules *rules, struct ask *ask)
{
    UNUSED(ask);
    struct follower follower = { .next_index = 5, .match_index = 4 };
    return rules->match_after(&follower, 2);
}

static uint64_t next_after_a_late_refusal(const struct rules *rules, struct ask *ask)
{
    struct follower follower = { .next_index = 5, .match_index = 3 };
    ask->message.prev.index = 4;
    ask->message.conflict = (struct log_id){ .term = 0, .index = 2 }; /* its log was short then */
    return rules->next_after(&ask->raft, &follower, &ask->message);
}

static uint64_t kept_when_deposed(const struct rules *rules, struct ask *ask)
{
    return rules->kept_as_follower(&ask->raft);
}

static uint64_t own_match_before_the_write(const struct rules *rules, struct ask *ask)
{
    ask->raft.durable_index = 3;
    return rules->own_match(&ask->raft);
}

/* Figure 8 (c): a majority has the entry of term 4, the leader's own term is 5. */
static uint64_t majority_of_an_old_entry(const struct rules *rules, struct ask *ask)
{
    ask->raft.role = LEADER;
    ask->raft.followers[1].match_index = ask->raft.followers[2].match_index = 4;
    return rules->leader_commit(&ask->raft);
}

/* An entry of its own term, which it and one of three followers have. */
static uint64_t two_of_four_have_it(const struct rules *rules, struct ask *ask)
{
    ask->raft.role = LEADER;
    ask->raft.config.peers = 4;
    log_append(&ask->raft.log, 5);
    ask->raft.durable_index = 5;
    ask->raft.followers[1].match_index = 5;
    return rules->leader_commit(&ask->raft);
}

static uint64_t heartbeat_below_the_own_tail(const struct rules *rules, struct ask *ask)
{
    ask->message.prev = (struct log_id){ 2, 3 };
    ask->message.commit_index = 4;
    return rules->follower_commit(&ask->raft, &ask->message);
}

static uint64_t heartbeat_that_knows_less(const struct rules *rules, struct ask *ask)
{
    ask->message.prev = (struct log_id){ 4, 4 };
    ask->message.commit_index = 1;
    return rules->follower_commit(&ask->raft, &ask->message);
}

static uint64_t applies_up_to(const struct rules *rules, struct ask *ask)
{
    return rules->apply_limit(&ask->raft);
}

static uint64_t new_leader_reads(const struct rules *rules, struct ask *ask)
{
    ask->raft.role = LEADER;
    for (uint32_t id = 1; id <= 5; id++) ask->raft.followers[id].probing = true;
    return rules->may_read(&ask->raft);
}

static uint64_t followed_leader_reads(const struct rules *rules, struct ask *ask)
{
    ask->raft.role = LEADER; /* all followers have answered; nothing of term 5 is committed */
    return rules->may_read(&ask->raft);
}

static uint64_t settled_leader_reads(const struct rules *rules, struct ask *ask)
{
    ask->raft.role = LEADER; /* it may have been deposed since */
    log_append(&ask->raft.log, 5);
    ask->raft.durable_index = ask->raft.commit_index = ask->raft.last_applied = 5;
    return rules->may_read(&ask->raft);
}

static struct row {
    const char *name; /* of the bug */
    uint64_t (*answer)(const struct rules *rules, struct ask *ask);
    uint64_t right, wrong;
} rows[] = {
    { "same-timeout", timeout_of_high_bits, true, false },
    { "old-leader-heard", old_append_is_contact, false, true },
    { "asked-is-contact", refused_request_is_contact, false, true },
    { "vote-forgotten", vote_in_the_same_term, 1, PEER_NONE },
    { "first-peer-is-nobody", second_vote_after_the_first_peer, VOTE_GIVEN, VOTE_YES },
    { "longer-log-wins", longer_log_of_an_earlier_term, false, true },
    { "both-must-be-newer", shorter_log_of_a_later_term, true, false },
    { "stale-vote-reply", vote_of_an_earlier_term, false, true },
    { "votes-for-a-follower", vote_for_a_follower, false, true },
    { "votes-for-a-follower", vote_of_an_earlier_term, false, true },
    { "half-is-enough", two_of_four, false, true },
    { "two-terms", term_of_an_old_leader, 5, 4 },
    { "prev-by-index", prev_of_another_term, false, true },
    { "truncate-on-overlap", late_heartbeat_truncates, 0, 3 },
    { "conflict-by-leader-term", repeated_old_entry_truncates, 0, 2 },
    { "ack-own-last", acknowledged_of_a_short_append, 2, 4 },
    { "match-goes-back", match_after_a_late_reply, 4, 2 },
    { "next-below-match", next_after_a_late_refusal, 4, 2 },
    { "rollback-on-step-down", kept_when_deposed, 4, 2 },
    { "leader-counts-memory", own_match_before_the_write, 3, 4 },
    { "commit-by-counting", majority_of_an_old_entry, 2, 4 },
    { "upper-median", two_of_four_have_it, 2, 5 },
    { "commit-own-tail", heartbeat_below_the_own_tail, 3, 4 },
    { "commit-goes-back", heartbeat_that_knows_less, 2, 1 },
    { "apply-all", applies_up_to, 2, 4 },
    { "read-while-replaying", new_leader_reads, false, true },
    { "read-before-own-commit", followed_leader_reads, false, true },
    { "read-before-own-commit", new_leader_reads, false, false }, /* it waits for a majority */
    { "read-without-quorum", settled_leader_reads, false, true },
    { "read-without-quorum", followed_leader_reads, false, false }, /* it waits for its own entry */
};

static void wrong_is_wrong(void **state)
{
    const struct row *row = *state;
    static struct ask ask;
    struct rules rules;
    bug_rules(bug_find(row->name), &rules);
    open_ask(&ask, &rules_raft);
    assert_int_equal(row->answer(&rules_raft, &ask), row->right);
    open_ask(&ask, &rules);
    assert_int_equal(row->answer(&rules, &ask), row->wrong);
}

static void every_wrong_rule_has_a_row(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        bool differs = bugs[i].swap == NULL;
        for (size_t r = 0; r < COUNT(rows); r++)
            differs |= strcmp(rows[r].name, bugs[i].name) == 0 && rows[r].right != rows[r].wrong;
        if (!differs) fail_msg("%s is never asked", bugs[i].name);
    }
}

/* ---- what the core does with an answer that it never gets from the right rules ---- */

static void feed(struct raft *raft, enum event_kind kind, const struct message *message)
{
    static struct update update;
    struct event event = { .kind = kind, .now_ns = 1, .message = message, .index = 4 };
    update_reset(&update);
    raft_step(raft, &event, &update);
    if (message == NULL || message->kind != MESSAGE_VOTE_REQUEST) return;
    bool deletes = raft->log.last_index < 4; /* then the disk has to, as well, and all are told */
    assert_int_equal(update.save_from, deletes ? raft->log.last_index + 1 : 0);
    bool told = false;
    for (uint32_t i = 0; i < update.notes_count; i++)
        told |= update.notes[i].kind == NOTE_TRUNCATED;
    assert_int_equal(told, deletes);
}

/* Peer 3 leads with the votes of 1 and 2 and is deposed; how long is its log? */
static uint64_t length_when_deposed(const struct rules *rules)
{
    static struct ask ask;
    struct raft raft;
    struct message vote = { .kind = MESSAGE_VOTE_REPLY, .to = 3, .granted = true, .term = 6 };
    struct message request = { .kind = MESSAGE_VOTE_REQUEST, .from = 1, .to = 3, .term = 9 };
    open_ask(&ask, rules);
    ask.raft.config.window = 1;
    raft_init(&raft, &ask.raft.config, 5, PEER_NONE, &ask.raft.log, 0, 0);
    feed(&raft, EVENT_TIMEOUT_NOW, NULL);
    feed(&raft, EVENT_STORED, NULL);
    for (vote.from = 1; vote.from <= 2; vote.from++) feed(&raft, EVENT_MESSAGE, &vote);
    assert_int_equal(raft.role, LEADER);
    feed(&raft, EVENT_MESSAGE, &request);
    assert_int_equal(raft.role, FOLLOWER);
    assert_int_equal(raft.durable_index, raft.log.last_index);
    return raft.log.last_index;
}

static void a_deposed_leader_rolls_back(void **state)
{
    UNUSED(state);
    struct rules wrong;
    bug_rules(bug_find("rollback-on-step-down"), &wrong);
    assert_int_equal(length_when_deposed(&rules_raft), 4);
    assert_int_equal(length_when_deposed(&wrong), 0);
}

int main(void)
{
    static const struct CMUnitTest table[] = {
        cmocka_unit_test(names_and_numbers_are_unique),
        cmocka_unit_test(invariants_are_known),
        cmocka_unit_test(stories_are_told),
        cmocka_unit_test(code_is_found),
        cmocka_unit_test(plans_are_there),
        cmocka_unit_test(each_bug_is_one_difference),
        cmocka_unit_test(every_wrong_rule_has_a_row),
        cmocka_unit_test(a_deposed_leader_rolls_back),
    };
    static struct CMUnitTest tests[COUNT(table) + COUNT(rows)];
    memcpy(tests, table, sizeof(table));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(table) + i] =
            (struct CMUnitTest){ rows[i].name, wrong_is_wrong, NULL, NULL, &rows[i] };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
