/* tests/explore_test.c - `ringside explore`: the smallest runs that break wrong rules, and that the
 * right ones hold within the same bounds.
 *
 * How deep the bugs are, in events, beside what was published for other systems [SandTable,
 * EuroSys '24]. Depths do not depend on --messages from 2 to 10, nor on symmetry.
 *
 *   bug                      here  published
 *    6 stale-vote-reply         7   8 (Xraft): the published schedule in our events; a candidate's
 *                                   requests and a leader's first messages leave with the event
 *                                   that makes them
 *   24 truncate-on-overlap     10   9 (RaftOS): the published schedule would be 7 events here, were
 *                                   entries sent at once. But our leaders first have one empty
 *                                   append answered, so the late empty append is a heartbeat's:
 *                                   deliver, answer, heartbeat are three more
 *   27 commit-goes-back        12   13 (PySyncObj): the published schedule in our events; the event
 *                                   that is a proposal also sends it
 *   28 commit-by-counting      12   14 (PySyncObj): of Figure 8 what leads to the wrong commit; the
 *                                   answer to the new leader's first append, which is empty, is
 *                                   enough for it.
 *
 * Published depths come without lists of events: what those systems' models count as events of
 * their own (a client's request, sending, becoming leader) belongs to another event here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/commands.h"
#include "fault/plan.h"
#include "sim/bug.h"
#include "sim/explore_plan.h"
#include "sim/explore_tell.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct explore_result result; /* large */

/* "2 1 1 0 0 1": timeouts, heartbeats, proposals, drops, duplicates, crashes */
static struct explore_options options_of(uint32_t peers, const char *budgets)
{
    struct explore_options options = { .bounds = { .peers = peers, .messages = 2 },
                                       .rules = rules_raft,
                                       .depth = EXPLORE_DEPTH_MAX,
                                       .symmetry = true,
                                       .memory_bytes = 512u << 20 };
    for (uint32_t i = 0; i < BUDGET_COUNT; i++, budgets += 2)
        options.bounds.budgets[i] = (uint32_t)(*budgets - '0');
    return options;
}

static void run(const struct explore_options *options)
{
    assert_int_equal(explore(options, &result), ERR_OK);
}

/* What was found is told, and its plan is one. */
static void assert_plan_parses(const struct explore_options *options)
{
    struct plan plan;
    struct parse_error error;
    char *text = explore_plan(options, &result, "some-bug");
    assert_non_null(text);
    if (plan_parse(text, strlen(text), &plan, &error) != ERR_OK)
        fail_msg("%s\n%s", error.text, text);
    assert_int_equal(plan.peers, options->bounds.peers);
    assert_string_equal(plan.preset, options->bounds.noop ? "fast" : "lab");
    plan_free(&plan);
    free(text);
}

/* ---- the published bugs ---- */

static const struct depth_row {
    const char *bug, *budgets;
    uint32_t peers, messages;
    const char *invariant;
    uint32_t depth;
} depth_rows[] = {
    { "stale-vote-reply", "3 0 0 0 0 0", 3, 2, "ES", 7 },
    { "stale-vote-reply", "3 0 0 0 0 0", 3, 10, "ES", 7 },
    { "stale-vote-reply", "3 1 1 1 1 1", 3, 2, "ES", 7 },
    { "truncate-on-overlap", "1 1 1 0 0 0", 3, 2, "CQ", 10 },
    { "truncate-on-overlap", "1 1 1 0 0 0", 2, 2, "CQ", 10 },
    { "truncate-on-overlap", "1 1 1 0 0 0", 3, 4, "CQ", 10 },
    { "truncate-on-overlap", "1 0 1 0 1 0", 2, 2, "CQ", 10 },
    { "commit-goes-back", "2 0 1 0 0 0", 3, 2, "CM", 12 },
    { "commit-goes-back", "1 2 1 0 0 0", 2, 2, "CM", 12 },
    { "commit-goes-back", "2 1 1 0 0 0", 3, 4, "CM", 12 },
    { "commit-by-counting", "2 0 1 0 0 0", 3, 2, "CQ", 12 },
    { "commit-by-counting", "2 1 1 0 0 0", 3, 4, "CQ", 12 },
};

static void depth_holds(void **state)
{
    const struct depth_row *row = *state;
    struct explore_options options = options_of(row->peers, row->budgets);
    options.bounds.messages = row->messages;
    options.depth = row->depth;
    run(&options);
    assert_int_equal(result.end, EXPLORED_DEPTH); /* the right rules, just as deep */
    assert_int_equal(result.depth, row->depth);
    bug_rules(bug_find(row->bug), &options.rules);
    run(&options);
    assert_int_equal(result.end, EXPLORED_BROKEN);
    assert_string_equal(result.finding.invariant, row->invariant);
    assert_int_equal(result.depth, row->depth);
    assert_plan_parses(&options);
    if (row->messages > 2) return;
    options.symmetry = false;
    run(&options);
    assert_int_equal(result.end, EXPLORED_BROKEN);
    assert_string_equal(result.finding.invariant, row->invariant);
    assert_int_equal(result.depth, row->depth);
}

/* ---- one wrong rule for each invariant ---- */

static uint32_t forget_vote(const struct raft *raft, uint64_t new_term)
{
    UNUSED(raft);
    UNUSED(new_term);
    return PEER_NONE;
}
static bool any_log(struct log_id theirs, struct log_id ours)
{
    UNUSED(theirs);
    UNUSED(ours);
    return true;
}
static uint64_t commit_unverified(const struct raft *raft, const struct message *append)
{
    return MAX_OF(raft->commit_index, MIN_OF(append->commit_index, raft->log.last_index));
}
static uint64_t last_reply(const struct follower *follower, uint64_t acked)
{
    UNUSED(follower);
    return acked;
}
static bool long_enough(const struct log *log, struct log_id prev)
{
    return prev.index <= log->last_index;
}
static bool anybody(peer_set set, uint32_t peers)
{
    UNUSED(peers);
    return set != 0;
}
static uint64_t own_end(const struct raft *raft, const struct message *append)
{
    UNUSED(append);
    return raft->log.last_index;
}
static uint64_t apply_all(const struct raft *raft)
{
    return raft->log.last_index;
}

static const struct wrong_row {
    const char *name, *budgets;
    struct rules rules; /* what is not NULL replaces the right one */
    const char *invariant;
    uint32_t depth;
} wrong_rows[] = {
    { "a vote forgotten", "2 0 0 0 0 0", { .vote_kept = forget_vote }, "V1", 6 },
    { "leaders without the log", "2 1 1 0 0 0", { .log_up_to_date = any_log }, "LC", 11 },
    { "commit what is not verified",
      "3 1 2 0 0 0",
      { .follower_commit = commit_unverified },
      "SM",
      14 },
    { "the last reply counts", "1 1 2 0 0 0", { .match_after = last_reply }, "MI", 11 },
    { "previous term ignored", "3 1 2 0 0 0", { .prev_matches = long_enough }, "CQ", 13 },
    { "a quorum of one", "2 0 0 0 0 0", { .is_quorum = anybody }, "ES", 2 },
    { "acknowledge the own end", "3 0 2 0 0 0", { .acknowledged = own_end }, "CQ", 10 },
    { "apply before commit", "1 0 1 0 0 0", { .apply_limit = apply_all }, "CHECK", 4 },
};

static void wrong_holds(void **state)
{
    const struct wrong_row *row = *state;
    struct explore_options options = options_of(3, row->budgets);
    const char *from = (const char *)&row->rules;
    for (size_t at = 0; at < sizeof(struct rules); at += sizeof(void *)) {
        static const char none[sizeof(void *)];
        if (memcmp(from + at, none, sizeof(none)) != 0)
            memcpy((char *)&options.rules + at, from + at, sizeof(none));
    }
    run(&options);
    assert_int_equal(result.end, EXPLORED_BROKEN);
    assert_plan_parses(&options);
    assert_string_equal(result.finding.invariant, row->invariant);
    assert_int_equal(result.depth, row->depth);
}

/* ---- searches ---- */

static const struct right_row {
    const char *name, *budgets;
    uint32_t peers, messages;
    bool noop, torn;
} right_rows[] = {
    { "one peer", "3 3 3 3 3 3", 1, 2, true, true },
    { "two peers", "2 1 1 1 1 1", 2, 2, false, true },
    { "two peers, no-op", "2 1 1 0 1 0", 2, 2, true, false },
    { "three peers", "2 0 1 0 0 1", 3, 2, false, true },
    { "three peers, no-op", "2 0 1 0 0 0", 3, 2, true, false },
    { "four peers", "2 0 1 0 0 0", 4, 2, false, false },
    { "five peers", "1 1 1 0 0 0", 5, 2, false, false },
};

/* All states within the bounds; the same ones again; and the same with symmetric ones apart. */
static void right_holds(void **state)
{
    const struct right_row *row = *state;
    struct explore_options options = options_of(row->peers, row->budgets);
    options.bounds.messages = row->messages;
    options.bounds.noop = row->noop;
    options.bounds.torn = row->torn;
    run(&options);
    uint64_t states = result.states, events = result.events, all = 1;
    uint32_t depth = result.depth;
    assert_int_equal(result.end, EXPLORED_WITHIN);
    assert_true(result.elections > 0 && result.commits > 0);
    run(&options);
    assert_true(result.states == states && result.events == events && result.depth == depth);
    if (row->peers > 3) return; /* 24 and 120 times as many */
    options.symmetry = false;
    run(&options);
    for (uint32_t i = 2; i <= row->peers; i++) all *= i;
    assert_int_equal(result.end, EXPLORED_WITHIN);
    assert_int_equal(result.depth, depth);
    assert_true(row->peers == 1 ? result.states == states : result.states > states);
    assert_true(result.states <= states * all);
}

static void memory_is_bounded(void **state)
{
    struct explore_options options = options_of(3, "3 1 1 0 0 1");
    uint32_t depth = 0;
    UNUSED(state);
    for (uint64_t megabytes = 1; megabytes <= 4; megabytes *= 2) {
        options.memory_bytes = megabytes << 20;
        run(&options);
        assert_int_equal(result.end, EXPLORED_FULL);
        assert_true(result.bytes <= options.memory_bytes);
        assert_true(result.bytes > options.memory_bytes / 2);
        assert_true(result.depth > depth); /* more memory, more depth */
        depth = result.depth;
    }
    options.memory_bytes = 100u << 20;
    options.depth = depth;
    run(&options);
    assert_int_equal(result.end, EXPLORED_DEPTH); /* what was said to be complete can be */
    options.memory_bytes = 1000;
    assert_int_equal(explore(&options, &result), ERR_INPUT);
}

/* ---- the command ---- */

static const struct command_row {
    const char *name, *arguments;
    int code;
    const char *says; /* a part of what is printed, on either stream */
} command_rows[] = {
    { "nothing found", "-n 2 --timeouts 1 --crashes 0", EXIT_WELL, "these are all states" },
    { "up to a depth", "--depth 6", EXIT_WELL, "nothing found in all runs of up to 6 events" },
    { "memory is full", "--memory 1M", EXIT_WELL, "incomplete: memory is full (1 MiB" },
    { "a bug", "--bug 6 --drops 0", EXIT_UNSAFE,
      "ES is broken by 7 events, and by no fewer:\n"
      "  peer 1 has become leader of term 2\n"
      "  peer 2 becomes leader of term 2\n\n"
      "  1. peer 1 times out: candidate in term 1" },
    { "a plan", "--bug stale-vote-reply --plan -", EXIT_UNSAFE, "\ncluster 3 seed 1 preset lab\n" },
    { "a bug with no-ops", "--bug commit-by-counting --noop --proposals 0", EXIT_UNSAFE,
      "CQ is broken by" },
    { "no such bug", "--bug nothing", EXIT_INPUT, "'nothing' is no bug of the museum" },
    { "a step of the turn", "--bug sync-rpc", EXIT_INPUT, "a wrong step of the turn" },
    { "too many peers", "-n 6", EXIT_INPUT,
      "--peers is '6'; it must be a whole number from 1 to 5" },
    { "a bad budget", "--crashes many", EXIT_INPUT, "--crashes is 'many'" },
    { "a bad size", "--memory much", EXIT_INPUT, "--memory: 'much' is no size" },
    { "not enough to begin", "--memory 1", EXIT_INPUT, "not even enough to begin" },
    { "too many entries", "--noop --timeouts 9", EXIT_INPUT, "10 entries" },
    { "an argument", "leader", EXIT_INPUT, "'leader' is too much" },
    { "no such option", "--sideways", EXIT_INPUT, "'--sideways' is not understood" },
    { "a plan nowhere", "--bug 6 --drops 0 --plan /nowhere/plan", EXIT_INPUT,
      "/nowhere/plan: No such file" },
};

/* Both streams of this process go to a memory file meanwhile. */
static int run_command(const char *arguments, char *said, size_t size)
{
    char line[160], name[] = "explore", *argv[16] = { name };
    int argc = 1;
    snprintf(line, sizeof(line), "%s", arguments);
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    int to = memfd_create("said", MFD_CLOEXEC), out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    assert_true(to >= 0 && out >= 0 && err >= 0);
    fflush(NULL);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    int code = explore_main(argc, argv);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    ssize_t length = pread(to, said, size - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    close(to);
    close(out);
    close(err);
    return code;
}

static void command_holds(void **state)
{
    const struct command_row *row = *state;
    static char said[65536];
    assert_int_equal(run_command(row->arguments, said, sizeof(said)), row->code);
    if (strstr(said, row->says) == NULL) assert_string_equal(said, row->says);
    if (row->code == EXIT_INPUT && strstr(row->arguments, "--plan") == NULL)
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

static struct CMUnitTest row_test(const char *name, CMUnitTestFunction holds, const void *row)
{
    return (struct CMUnitTest){ name, holds, NULL, NULL, (void *)(uintptr_t)row };
}

int main(void)
{
    static struct CMUnitTest
        tests[COUNT(depth_rows) + COUNT(wrong_rows) + COUNT(right_rows) + COUNT(command_rows) + 1];
    size_t n = 0;
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(memory_is_bounded);
    for (size_t i = 0; i < COUNT(depth_rows); i++)
        tests[n++] = row_test(depth_rows[i].bug, depth_holds, &depth_rows[i]);
    for (size_t i = 0; i < COUNT(wrong_rows); i++)
        tests[n++] = row_test(wrong_rows[i].name, wrong_holds, &wrong_rows[i]);
    for (size_t i = 0; i < COUNT(right_rows); i++)
        tests[n++] = row_test(right_rows[i].name, right_holds, &right_rows[i]);
    for (size_t i = 0; i < COUNT(command_rows); i++)
        tests[n++] = row_test(command_rows[i].name, command_holds, &command_rows[i]);
    return _cmocka_run_group_tests("explore", tests, n, NULL, NULL);
}
