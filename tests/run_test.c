/* tests/run_test.c - `ringside run` as people and machines meet it: exit codes, TAP, where an error
 * stands, what repeats, and that nothing is left behind. Exit code 3 needs a broken cluster: see
 * tests/stage_live_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/arena.h"
#include "tests/harness/control.h"
#include "tests/harness/tap.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct program program;
static char *out, *err; /* of the last run */

static int open_world(void **state)
{
    UNUSED(state);
    arena_open();
    program = (struct program){ 0 };
    return 0;
}

static int close_world(void **state)
{
    UNUSED(state);
    free(out);
    free(err);
    out = err = NULL;
    program_close(&program);
    return arena_close();
}

/* ---- running ---- */

static const char *plan_file(const char *name, const char *text)
{
    const char *path = arena_path(name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return path;
}

static int finish(void)
{
    int code = program_wait(&program);
    out = program_text(program.out);
    err = program_text(program.err);
    return code;
}

static int run(const char *const *words)
{
    program_start(&program, words);
    return finish();
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) return;
    fprintf(stderr, "%s%s", text, err); /* longer than cmocka's messages can be */
    fail_msg("'%s' is not in the above", part);
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) found++;
    return found;
}

/* The number behind `key`. */
static long long number(const char *text, const char *key)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "\n  %s: ", key);
    const char *at = strstr(text, wanted);
    if (at == NULL) fail_msg("no %s in:\n%s", key, text);
    return atoll(at + strlen(wanted));
}

static void tap_is_whole(const char *text)
{
    char problem[256];
    if (!tap_check(text, problem, sizeof(problem))) fail_msg("%s in:\n%s", problem, text);
}

/* A failed run names a trace, the only file that it leaves; it goes now. */
static void remove_trace(void)
{
    char path[512];
    const char *at = strstr(out, "\n# trace: ");
    assert_non_null(at);
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 10, "\n"), at + 10);
    FILE *file = fopen(path, "re");
    if (file == NULL) fail_msg("no trace at '%s'", path);
    fclose(file);
    assert_int_equal(unlink(path), 0);
}

/* ---- one plan, its exit code, what it says ---- */

static const struct plan_row {
    const char *name, *plan;
    int code;
    const char *says[4]; /* in this order or any */
} plan_rows[] = {
    { "a plan that holds",
      "cluster 3 seed 5\n"
      "wait leader\n"
      "load put+get+cas+del+append 200/s keys 4 clients 2\n"
      "wait 1s\n"
      "load off\n"
      "expect logs equal within 10s\n"
      "expect linearizable\n",
      0,
      { "\nok 1 - ", "line 7: expect linearizable: ", "\n  linearizable: \"yes\"\n",
        "\n  seed: 5\n" } },
    { "a history is judged unasked",
      "cluster 3\nwait leader\nput a b\nexpect value a b within 10s\n",
      0,
      { "ok 3 - all operations of the run: " } },
    { "one peer is a cluster",
      "cluster 1\nexpect leader within 10s\nput a b\n",
      0,
      { "put a b: ok" } },
    { "nobody leads when all are dead",
      "cluster 3\nwait leader\nkill all\nexpect leader within 300ms\n",
      2,
      { "    not ok 2 - line 4: expect leader within 300ms\n",
        "seen: \"no leader: 3 dead or paused\"", "\nnot ok 1 - ",
        "failure: \"line 4: expect leader within 300ms: no leader: 3 dead or paused\"" } },
    { "a leader whom nobody hears is no leader",
      "cluster 3\nwait leader\ncut leader > rest\nkill follower\nexpect leader within 200ms\n",
      2,
      { "not ok 2 - line 5: expect leader within 200ms" } },
    { "another value",
      "cluster 3\nwait leader\nput a b\nexpect value a c\n",
      2,
      { "seen: \"value: b\"" } },
    { "no value",
      "cluster 3\nwait leader\nexpect value a c within 200ms\n",
      2,
      { "seen: \"absent\"" } },
    { "too few commits",
      "cluster 3\nwait leader\nexpect commit 1000 within 100ms\n",
      2,
      { "seen: \"the highest commit index is " } },
    { "too many RPCs",
      "cluster 3\nwait leader\nwait 300ms\nexpect rpcs < 1\n",
      2,
      { "line 4: expect rpcs < 1" } },
    { "a dead peer cannot be killed",
      "cluster 3\nwait leader\nkill 2\nkill 2\nput never done\n",
      2,
      { "not ok 2 - line 4: kill 2\n", "peer 2 is dead already" } },
    { "a word may name nobody",
      "cluster 3\nwait leader\nkill all\nkill leader\nrestart all\nexpect leader within 10s\n",
      0,
      { "line 4: kill leader: kill nobody", "\n  kills: 3\n", "\n  restarts: 3\n" } },
    { "nothing is done",
      "cluster 3\nwait 1ms\n",
      2,
      { "the plan neither does nor expects anything" } },
    { "an empty plan", "", 2, { "the plan neither does nor expects anything" } },
    { "nobody ever led",
      "cluster 3 preset watch\nkill all\nexpect no leader\n",
      2,
      { "nothing was exercised: no leader was ever elected" } },
    { "text is escaped",
      "cluster 1\nwait leader\nsay \"one\\ntwo # three\"\nput \"a#b\" \"c\\\\d\"\n"
      "expect value \"a#b\" x\n",
      2,
      { "# say: one\n    # two # three\n", "line 5: expect value a\\#b x" } },
};

static void plan_row_holds(void **state)
{
    const struct plan_row *row = *state;
    const char *words[] = { "run", plan_file("a.plan", row->plan), NULL };
    int code = run(words);
    if (code != row->code) fprintf(stderr, "%s%s", out, err);
    assert_int_equal(code, row->code);
    tap_is_whole(out);
    for (size_t i = 0; i < COUNT(row->says) && row->says[i] != NULL; i++) has(out, row->says[i]);
    if (strstr(out, "# trace: ") != NULL) remove_trace();
}

/* A value grows to 1 MiB and no further. */
static void a_refused_write_fails_the_plan(void **state)
{
    UNUSED(state);
    enum { VALUE = 65000 };
    static char plan[VALUE + 128];
    int used = snprintf(plan, sizeof(plan), "cluster 1\nwait leader\nrepeat 20\nappend k ");
    memset(plan + used, 'x', VALUE);
    snprintf(plan + used + VALUE, sizeof(plan) - VALUE - (size_t)used, "\nend\n");
    const char *words[] = { "run", plan_file("a.plan", plan), NULL };
    assert_int_equal(run(words), 2);
    tap_is_whole(out);
    has(out, "(round 17)");
    has(out, "seen: \"fail: the entry is larger than 1 MiB\"");
    assert_int_equal(number(out, "operations_ok"), 16);
    assert_int_equal(number(out, "operations_fail"), 1);
    remove_trace();
}

/* ---- bad input: nothing is run ---- */

static const struct input_row {
    const char *name, *plan; /* NULL: no file */
    const char *option[2], *says;
} input_rows[] = {
    { "an unknown word", "cluster 3\n  kil leader\n", { NULL }, "b.plan:2:3: expected " },
    { "a peer that is not there", "cluster 3\nkill 4\n", { NULL }, "b.plan:2:6: " },
    { "a repeat without an end",
      "repeat 2\nsay x\n",
      { NULL },
      "b.plan:1:1: this repeat has no end" },
    { "no such file", NULL, { NULL }, "b.plan: No such file or directory" },
    { "a log that cannot be",
      "wait leader\n",
      { "--log", "/no/such/folder/log" },
      "/no/such/folder" },
    { "no such topic", "wait leader\n", { "--topics", "votes" }, "'votes' is no topic" },
    { "a bad seed", "wait leader\n", { "--seed", "x" }, "--seed is 'x'" },
    { "no such option", "wait leader\n", { "--sed" }, "not understood" },
    { "one history for two plans", "wait leader\n", { "--history", "/dev/null" }, "one plan" },
};

static void input_row_holds(void **state)
{
    const struct input_row *row = *state;
    const char *good = plan_file("a.plan", "cluster 3\nwait leader\n");
    const char *bad = row->plan != NULL ? plan_file("b.plan", row->plan) : arena_path("b.plan");
    const char *words[] = { "run", good, bad, row->option[0], row->option[1], NULL };
    assert_int_equal(run(words), 1);
    assert_string_equal(out, "");
    has(err, row->says);
    assert_int_equal(count(err, "\n"), 1);
}

/* ---- repeat, every, at, rate ---- */

static void runs_well(const char *plan)
{
    const char *words[] = { "run", plan_file("a.plan", plan), NULL };
    int code = run(words);
    if (code != 0) fprintf(stderr, "%s%s", out, err);
    assert_int_equal(code, 0);
    tap_is_whole(out);
}

static void repeats_nest(void **state)
{
    UNUSED(state);
    runs_well("cluster 1\nwait leader\n"
              "repeat 3\n say outer\n repeat 2\n  put k v\n end\nend\nsay after\n");
    assert_int_equal(count(out, "# say: outer\n"), 3);
    assert_int_equal(count(out, "line 6: put k v (round "), 6);
    has(out, "(round 3.2): ok");
    assert_int_equal(count(out, "# say: after\n"), 1);
    assert_int_equal(number(out, "operations_ok"), 6);
}

static void every_ends_at_its_time(void **state)
{
    UNUSED(state);
    runs_well("cluster 3\nwait leader\nkill 2\n"
              "every 100ms until 900ms delay 1ms on all\n"
              "every 100ms until 900ms kill 2\n"
              "at 1s say later\nrestart all\nexpect leader within 10s\n");
    has(out, "line 4: every 100ms until 900ms delay 1ms on all: ");
    has(out, "of them could not be (peer 2 is dead already)");
    assert_true(number(out, "link_changes") >= 2);
    assert_true(number(out, "delayed") > 0);
    /* it begins when the leader is known, so that its count is not; but it ended before this */
    assert_true(strstr(out, "until 900ms delay") < strstr(out, "# say: later"));
}

static void every_ends_with_its_round(void **state)
{
    UNUSED(state);
    runs_well("cluster 1\nwait leader\nrepeat 2\n every 10ms skew +1% on all\n wait 100ms\nend\n"
              "every 10ms skew +2% on all\nwait 100ms\n");
    has(out, "line 4: every 10ms skew +1% on all (round 1): ");
    has(out, "line 4: every 10ms skew +1% on all (round 2): ");
    has(out, "line 7: every 10ms skew +2% on all: ");
    assert_true(number(out, "clocks_skewed") >= 6);
}

/* When a command was carried out, in milliseconds of the plan's clock. */
static long when(const char *line)
{
    const char *at = strstr(out, line);
    if (at == NULL) fail_msg("no '%s' in:\n%s", line, out);
    while (at > out && at[-1] != '#') at--;
    return (long)(atof(at) * 1000 + 0.5);
}

static void at_counts_from_the_round(void **state)
{
    UNUSED(state);
    runs_well("cluster 1\nwait leader\nat 400ms put a 1\nrepeat 2\n at 200ms put a 2\nend\n");
    assert_true(when("line 3: put a 1") >= 400);
    assert_true(when("(round 1)") >= 600);
    assert_true(when("(round 2)") >= 800);
    assert_true(when("(round 2)") < 60000); /* not: from the start of the plan, minutes of it */
}

/* At 100 times the speed minutes are over soon; a clock that stands still holds nobody. */
static void the_clock_is_the_clusters(void **state)
{
    UNUSED(state);
    runs_well("cluster 1\nwait leader\nrate 100\nwait 100s\nrate 0\nwait 50ms\nstep 10s\nrate 1\n"
              "put a b\n");
    assert_true(when("line 5: rate 0") >= 100000);
    assert_true(when("line 9: put a b") >= 110000);
    assert_true(number(out, "duration_ms") < 90000);
    assert_int_equal(number(out, "rate_changes"), 3);
}

/* ---- files ---- */

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) fail_msg("no file %s", path);
    char *text = program_text(fileno(file));
    fclose(file);
    return text;
}

static void log_has_its_topics(void **state)
{
    UNUSED(state);
    char path[512];
    snprintf(path, sizeof(path), "%s", arena_path("log"));
    const char *plan = plan_file("a.plan", "cluster 3\nwait leader\nput a b\nkill leader\n");
    const char *words[] = { "run", plan, "--log", path, "--topics", "leader,fault", NULL };
    assert_int_equal(run(words), 0);
    char *log = file_text(path);
    has(log, "leader of term ");
    has(log, "ringside kills ");
    assert_null(strstr(log, "candidate in term"));
    assert_null(strstr(log, "commits up to"));
    free(log);
}

static void log_on_standard_output(void **state)
{
    UNUSED(state);
    const char *plan = plan_file("a.plan", "cluster 3\nwait leader\n");
    const char *words[] = { "run", "--log", "-", plan, NULL };
    assert_int_equal(run(words), 0);
    has(out, "TAP version 14\n1..1\n");
    has(out, " candidate in term ");
    has(out, "\nok 1 - ");
}

static void trace_holds_everything(void **state)
{
    UNUSED(state);
    const char *plan = plan_file("a.plan", "cluster 3\nwait leader\nput a b\nexpect value a c\n");
    const char *words[] = { "run", plan, NULL };
    assert_int_equal(run(words), 2);
    char path[512];
    const char *at = strstr(out, "\n# trace: ");
    assert_non_null(at);
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 10, "\n"), at + 10);
    assert_int_equal(strncmp(path, getenv("TMPDIR"), strlen(getenv("TMPDIR"))), 0);
    char *trace = file_text(path);
    has(trace, "candidate in term");
    has(trace, "commits up to");
    free(trace);
    remove_trace();
}

static void history_can_be_checked(void **state)
{
    UNUSED(state);
    char path[512];
    snprintf(path, sizeof(path), "%s", arena_path("history"));
    const char *plan = plan_file("a.plan", "cluster 3 seed 2\nwait leader\nput k1 own\n"
                                           "load put+get+cas+del+append 300/s keys 3 clients 3\n"
                                           "wait 500ms\nkill leader\nwait 1s\n");
    const char *words[] = { "run", "--history", path, plan, NULL };
    assert_int_equal(run(words), 0);
    char *history = file_text(path);
    long long operations = number(out, "operations_ok") + number(out, "operations_fail") +
                           number(out, "operations_unknown");
    assert_int_equal(count(history, "\n"), operations);
    has(history, "\"own\"");
    free(history);
    program_close(&program);
    free(out);
    free(err);
    const char *check[] = { "check", path, NULL };
    assert_int_equal(run(check), 0);
}

static void seed_from_the_command_line(void **state)
{
    UNUSED(state);
    const char *plan = plan_file("a.plan", "cluster 1 seed 3\nwait leader\n");
    const char *words[] = { "run", plan, "--seed", "12345678901", plan, NULL };
    assert_int_equal(run(words), 0);
    tap_is_whole(out);
    assert_int_equal(count(out, "\n  seed: 12345678901\n"), 2);
    has(out, "\n1..2\n");
    has(out, "\nok 2 - ");
}

static void the_worst_plan_gives_the_code(void **state)
{
    UNUSED(state);
    const char *good = plan_file("a.plan", "cluster 1\nwait leader\n");
    const char *bad = plan_file("b.plan", "cluster 1\nwait leader\nexpect commit 99\n");
    const char *words[] = { "run", good, bad, good, NULL };
    assert_int_equal(run(words), 2);
    tap_is_whole(out);
    has(out, "\nok 1 - ");
    has(out, "\nnot ok 2 - ");
    has(out, "\nok 3 - ");
    remove_trace();
}

/* ---- broken off ---- */

static bool says(const char *part)
{
    char *text = program_text(program.out);
    bool found = strstr(text, part) != NULL;
    free(text);
    return found;
}

static void start_long(const char *option, const char *value)
{
    const char *plan = plan_file("a.plan", "cluster 5\nwait leader\n"
                                           "load put+get 500/s\npause follower\nkill follower\n"
                                           "say here\nwait 1h\n");
    const char *words[] = { "run", plan, option, value, NULL };
    program_start(&program, words);
    WAIT_UNTIL(says("# say: here"));
}

static void killed_in_the_middle(void **state)
{
    UNUSED(state);
    start_long(NULL, NULL);
    assert_int_equal(kill(program.pid, SIGKILL), 0);
    assert_int_equal(finish(), -SIGKILL);
} /* and close_world finds nothing */

static void interrupted(void **state)
{
    UNUSED(state);
    start_long(NULL, NULL);
    assert_int_equal(kill(program.pid, SIGINT), 0);
    assert_int_equal(finish(), 1);
    has(out, "\nBail out! interrupted: ");
    has(err, "ringside run: interrupted: ");
    assert_int_equal(arena_children(), 0);
}

static void a_named_run_can_be_talked_to(void **state)
{
    UNUSED(state);
    struct control control;
    start_long("--name", "run-test");
    assert_true(control_open(&control, "run-test"));
    json_decref(control_must(&control, "status"));
    json_decref(control_must(&control, "down"));
    control_close(&control);
    assert_int_equal(finish(), 1);
    has(err, "ended by `down`");
}

/* ---- the test's own eyes ---- */

static const struct tap_row {
    const char *name, *text, *problem; /* NULL: none */
} tap_rows[] = {
    { "a run",
      "TAP version 14\n1..1\n# Subtest: x\n    # a\n    ok 1 - y\n    1..1\nok 1 - x\n  ---\n"
      "  a: 1\n  ...\n",
      NULL },
    { "no version", "1..1\nok 1 - x\n", "version" },
    { "no plan", "TAP version 14\nok 1 - x\n", "plan" },
    { "a point too few", "TAP version 14\n1..2\nok 1 - x\n", "planned" },
    { "a number is left out", "TAP version 14\n1..2\nok 1 - x\nok 3 - x\n", "number" },
    { "ok over a failed subtest", "TAP version 14\n1..1\n    not ok 1 - y\n    1..1\nok 1 - x\n",
      "subtest" },
    { "a subtest without a plan", "TAP version 14\n1..1\n    ok 1 - y\nok 1 - x\n", "subtest" },
    { "an open block", "TAP version 14\n1..1\nok 1 - x\n  ---\n", "block" },
    { "something else", "TAP version 14\n1..1\nhello\nok 1 - x\n", "line" },
};

static void tap_row_holds(void **state)
{
    const struct tap_row *row = *state;
    char problem[256];
    bool whole = tap_check(row->text, problem, sizeof(problem));
    if (row->problem == NULL) {
        if (!whole) fail_msg("%s", problem);
    } else {
        assert_false(whole);
        if (strstr(problem, row->problem) == NULL)
            fail_msg("'%s' is not why: %s", row->problem, problem);
    }
}

static struct CMUnitTest tests[64];
static size_t tests_count;

static void add(const char *name, void (*test)(void **), const void *row)
{
    CHECK(tests_count < COUNT(tests));
    tests[tests_count++] =
        (struct CMUnitTest){ name, test, open_world, close_world, (void *)(uintptr_t)row };
}
#define ADD(test) add(#test, test, NULL)

int main(void)
{
    for (size_t i = 0; i < COUNT(tap_rows); i++) add(tap_rows[i].name, tap_row_holds, &tap_rows[i]);
    for (size_t i = 0; i < COUNT(plan_rows); i++)
        add(plan_rows[i].name, plan_row_holds, &plan_rows[i]);
    for (size_t i = 0; i < COUNT(input_rows); i++)
        add(input_rows[i].name, input_row_holds, &input_rows[i]);
    ADD(a_refused_write_fails_the_plan);
    ADD(repeats_nest);
    ADD(every_ends_at_its_time);
    ADD(every_ends_with_its_round);
    ADD(at_counts_from_the_round);
    ADD(the_clock_is_the_clusters);
    ADD(log_has_its_topics);
    ADD(log_on_standard_output);
    ADD(trace_holds_everything);
    ADD(history_can_be_checked);
    ADD(seed_from_the_command_line);
    ADD(the_worst_plan_gives_the_code);
    ADD(killed_in_the_middle);
    ADD(interrupted);
    ADD(a_named_run_can_be_talked_to);
    return _cmocka_run_group_tests("run", tests, tests_count, NULL, NULL);
}
