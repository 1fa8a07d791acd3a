/* tests/fault_plan_test.c - plans: what they parse to, how they print, what bad ones are answered,
 * and that size and nesting are no danger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/plan.h"
#include "tests/fault_equal.h"

#define PLANS_MIN 12 /* in plans/ */

/* design.md §6, as it stands there. */
static const char example[] =
    "cluster 5 seed 7                       # header\n"
    "at 0s    load put+get+cas 200/s keys 16\n"
    "at 2s    partition leader 1 | rest     # one way: cut 1 > 2 · whole peer: isolate 3\n"
    "at 4s    kill leader                   # pause, resume, restart, slow-disk 20ms, skew +5%\n"
    "every 300ms until 6s  drop 5% delay 1ms..20ms dup 1% reorder on all\n"
    "at 8s    heal\n"
    "at 8s    restart all\n"
    "expect   leader within 2s\n"
    "expect   linearizable\n"
    "expect   logs equal within 3s\n";
static const char example_printed[] =
    "cluster 5 seed 7 preset fast\n"
    "at 0s load put+get+cas 200/s\n"
    "at 2s partition leader 1 | rest\n"
    "at 4s kill leader\n"
    "every 300ms until 6s drop 5% delay 1ms..20ms dup 1% reorder 100% on all\n"
    "at 8s heal\n"
    "at 8s restart all\n"
    "expect leader within 2s\n"
    "expect linearizable\n"
    "expect logs equal within 3s\n";

#define HEADER "cluster 5 seed 1 preset fast\n"
static const struct good_row {
    const char *name, *text, *printed;
} good_rows[] = {
    { "the example", example, example_printed },
    { "an empty plan", "", HEADER },
    { "only comments", "# one\n\n  # two", HEADER },
    { "no newline at the end", "kill 1", HEADER "kill 1\n" },
    { "lines of other systems",
      "\xef\xbb\xbf"
      "cluster 3\r\nkill 3\r\n\r\nput k v\r\n",
      "cluster 3 seed 1 preset fast\nkill 3\nput k v\n" },
    { "all of a header", "cluster 63 seed 18446744073709551615 preset watch",
      "cluster 63 seed 18446744073709551615 preset watch\n" },
    { "half a header", "cluster 1 preset lab", "cluster 1 seed 1 preset lab\n" },
    { "waiting", "wait 500ms\nwait leader\nwait no leader within 1m\nwait value k \"\" within 1s",
      HEADER "wait 500ms\nwait leader\nwait no leader within 1m\nwait value k \"\" within 1s\n" },
    { "the usual patience goes without saying", "wait leader within 30s", HEADER "wait leader\n" },
    { "expecting",
      "expect leader\nexpect one leader\nexpect no leader within 0\nexpect value k v\n"
      "expect commit 7 within 1s\nexpect rpcs < 30\nexpect rpcs<0\nexpect linearizable\n"
      "expect logs equal within 1s",
      HEADER "expect leader\nexpect one leader\nexpect no leader\nexpect value k v\n"
             "expect commit 7 within 1s\nexpect rpcs < 30\nexpect rpcs < 0\nexpect linearizable\n"
             "expect logs equal within 1s\n" },
    { "words of the language as texts", "put within 1s\nexpect value value within within 2s",
      HEADER "put within 1s\nexpect value value within within 2s\n" },
    { "repeating", "repeat 2\nrepeat 3\nkill leader\nend\nat 1s\nend\nat 1s\nrepeat 1\nend",
      HEADER
      "repeat 2\n    repeat 3\n        kill leader\n    end\n    at 1s\nend\nat 1s\nrepeat 1\n"
      "end\n" },
    { "times begin again in a round", "at 5s\nrepeat 2\nat 1s\nend\nat 5s say x",
      HEADER "at 5s\nrepeat 2\n    at 1s\nend\nat 5s say x\n" },
    { "a time alone and a time before the next", "at 1s\nat 2s\nkill 1",
      HEADER "at 1s\nat 2s kill 1\n" },
    { "everything after a time", "at 1s every 1ms drop 1%\nat 1s wait 1s\nat 1s expect leader",
      HEADER "at 1s every 1ms drop 1% on all\nat 1s wait 1s\nat 1s expect leader\n" },
    { "saying", "say hello\nsay \"two words\\n\"\nsay \"\"",
      HEADER "say hello\nsay \"two words\\n\"\nsay \"\"\n" },
};

static struct plan parse(const char *text, size_t length)
{
    struct plan plan;
    struct parse_error error;
    char *copy = malloc(length + 1); /* of its own, so that asan sees a byte too far */
    memcpy(copy, text, length);
    err_t err = plan_parse(copy, length, &plan, &error);
    free(copy);
    if (err != ERR_OK) fail_msg("%u:%u: %s", error.line, error.column, error.text);
    return plan;
}

/* P1 */
static void assert_prints_and_parses(const struct plan *plan, const char *wanted)
{
    char *printed = plan_print(plan);
    struct plan again = parse(printed, strlen(printed));
    if (wanted != NULL) assert_string_equal(printed, wanted);
    assert_true(plan_equal(plan, &again));
    plan_free(&again);
    free(printed);
}

static void good_row_holds(void **state)
{
    const struct good_row *row = *state;
    struct plan plan = parse(row->text, strlen(row->text));
    assert_prints_and_parses(&plan, row->printed);
    plan_free(&plan);
    assert_null(plan.steps);
}

static void steps_of_the_example(void **unused)
{
    struct plan plan = parse(example, strlen(example));
    static const enum step_kind kinds[] = { STEP_AT,      STEP_COMMAND, STEP_AT,      STEP_COMMAND,
                                            STEP_AT,      STEP_COMMAND, STEP_EVERY,   STEP_AT,
                                            STEP_COMMAND, STEP_AT,      STEP_COMMAND, STEP_EXPECT,
                                            STEP_EXPECT,  STEP_EXPECT };
    assert_int_equal(plan.peers, 5);
    assert_int_equal(plan.seed, 7);
    assert_string_equal(plan.preset, "fast");
    assert_int_equal(plan.count, COUNT(kinds));
    for (size_t i = 0; i < COUNT(kinds); i++) assert_int_equal(plan.steps[i].kind, kinds[i]);
    assert_true(plan.steps[2].at_ns == 2 * NS_PER_S);
    assert_int_equal(plan.steps[3].line, 3);
    assert_int_equal(plan.steps[3].command->verb, VERB_PARTITION);
    assert_true(plan.steps[6].at_ns == 300 * NS_PER_MS);
    assert_true(plan.steps[6].until_ns == 6 * NS_PER_S);
    assert_int_equal(plan.steps[6].command->rule.loss_ppm, 50000);
    assert_int_equal(plan.steps[11].expect, EXPECT_LEADER);
    assert_true(plan.steps[11].within_ns == 2 * NS_PER_S);
    assert_true(plan.steps[12].within_ns == 0);
    plan_free(&plan);
    UNUSED(unused);
}

static void repeats_find_their_ends(void **unused)
{
    static const char text[] = "repeat 2\nrepeat 3\nkill 1\nend\nend\nrepeat 4\nend";
    static const uint32_t matches[] = { 4, 3, 0, 1, 0, 6, 5 };
    struct plan plan = parse(text, strlen(text));
    assert_int_equal(plan.count, COUNT(matches));
    for (size_t i = 0; i < COUNT(matches); i++) assert_int_equal(plan.steps[i].match, matches[i]);
    assert_int_equal(plan.steps[1].number, 3);
    plan_free(&plan);
    UNUSED(unused);
}

static void steps_print_alone(void **unused)
{
    static const char text[] =
        "at 2s kill leader\nevery 1s drop 1%\nwait leader\nexpect value a b\n"
        "say \"a b\"\nrepeat 2\nend";
    static const char *const lines[] = { "at 2s",
                                         "kill leader",
                                         "every 1s drop 1% on all",
                                         "wait leader",
                                         "expect value a b",
                                         "say \"a b\"",
                                         "repeat 2",
                                         "end" };
    struct plan plan = parse(text, strlen(text));
    char line[64];
    for (size_t i = 0; i < COUNT(lines); i++) {
        size_t length = step_print(&plan.steps[i], line, sizeof(line));
        assert_string_equal(line, lines[i]);
        assert_int_equal(length, strlen(lines[i]));
        assert_int_equal(step_print(&plan.steps[i], NULL, 0), length);
        assert_int_equal(step_print(&plan.steps[i], line, 4), length);
        assert_int_equal(strlen(line), 3);
    }
    plan_free(&plan);
    UNUSED(unused);
}

#define VERB_WORDS                                                                                 \
    "kill, power-cut, restart, pause, resume, timeout, cut, isolate, partition, heal, drop, "      \
    "delay, dup, "                                                                                 \
    "reorder, corrupt, unreliable, slow-disk, fail-disk, skew, rate, step, put, get, del, "        \
    "append, cas, load"
#define EXPECT_WORDS                                                                               \
    "leader, one leader, no leader, logs equal, value, commit, rpcs <, linearizable"

static const struct bad_row {
    const char *text;
    uint32_t line, column;
    const char *error;
} bad_rows[] = {
    { "kill 1\n\n  kil 2\n", 3, 3,
      "expected a verb or statement (at, every, wait, expect, say, repeat, end, " VERB_WORDS
      "), found 'kil'; did you mean 'kill'?" },
    { "expct leader", 1, 1,
      "expected a verb or statement (at, every, wait, expect, say, repeat, end, " VERB_WORDS
      "), found 'expct'; did you mean 'expect'?" },
    { "\"kill\" 1", 1, 1,
      "expected a verb or statement (at, every, wait, expect, say, repeat, end, " VERB_WORDS
      "), found \"kill\"" },
    { "kill 6", 1, 6,
      "expected a peer (1..5, leader, follower, candidate, random, minority, majority, all, rest), "
      "found '6'" },
    { "cluster 3\nkill 4", 2, 6,
      "expected a peer (1..3, leader, follower, candidate, random, minority, majority, all, rest), "
      "found '4'" },
    { "cluster", 1, 8, "expected a number of peers (1 to 63), found the end of the line" },
    { "cluster 64", 1, 9, "expected a number of peers (1 to 63), found '64'" },
    { "cluster 5 seed -1", 1, 16, "expected a seed (0 to 18446744073709551615), found '-1'" },
    { "cluster 5 seed 18446744073709551616", 1, 16,
      "expected a seed (0 to 18446744073709551615), found '18446744073709551616'" },
    { "cluster 5 preset slow", 1, 18, "expected a preset (lab, watch, fast), found 'slow'" },
    { "cluster 5 preset fats", 1, 18,
      "expected a preset (lab, watch, fast), found 'fats'; did you mean 'fast'?" },
    { "cluster 5 5", 1, 11, "expected the end of the line, found '5'" },
    { "cluster 5\ncluster 5", 2, 1, "'cluster' can only be the first statement" },
    { "kill 1\ncluster 5", 2, 1, "'cluster' can only be the first statement" },
    { "at", 1, 3, "expected a time like 300ms, 1.5s or 2m, found the end of the line" },
    { "at 5 kill 1", 1, 4, "expected a time with its unit (ns, us, ms, s, m, h), found '5'" },
    { "at 5s at 6s", 1, 7, "expected a verb, every, wait, expect or say, found 'at'" },
    { "at 5s repeat 2", 1, 7, "expected a verb, every, wait, expect or say, found 'repeat'" },
    { "at 5s kill 1\nat 4s kill 2", 2, 4,
      "expected a time of 5s or more (the `at` above), found '4s'" },
    { "repeat 2\nat 2s\nat 1s\nend", 3, 4,
      "expected a time of 2s or more (the `at` above), found '1s'" },
    { "at 99999999999999999999s", 1, 4,
      "expected a time of whole nanoseconds, 1000h at most, found '99999999999999999999s'" },
    { "every 0s kill 1", 1, 7, "expected a period of 1ms or more, found '0s'" },
    { "every 1s", 1, 9, "expected a verb (" VERB_WORDS "), found the end of the line" },
    { "every 1s until kill 1", 1, 16, "expected a time like 300ms, 1.5s or 2m, found 'kill'" },
    { "every 1s expect leader", 1, 10, "expected a verb (" VERB_WORDS "), found 'expect'" },
    { "wait", 1, 5,
      "expected a time, or an expectation (leader, one leader, no leader, logs equal, value, "
      "commit), found the end of the line" },
    { "wait linearizable", 1, 6,
      "expected a time, or an expectation (leader, one leader, no leader, logs equal, value, "
      "commit), found 'linearizable'" },
    { "wait 0s", 1, 6, "expected a time of 1ns or more, found '0s'" },
    { "expect", 1, 7, "expected an expectation (" EXPECT_WORDS "), found the end of the line" },
    { "expect leadr", 1, 8,
      "expected an expectation (" EXPECT_WORDS "), found 'leadr'; did you mean 'leader'?" },
    { "expect logs", 1, 12, "expected 'equal', found the end of the line" },
    { "expect one ledger", 1, 12, "expected 'leader', found 'ledger'" },
    { "expect rpcs 5", 1, 13, "expected '<', found '5'" },
    { "expect rpcs < many", 1, 15, "expected a number (0 to 9223372036854775807), found 'many'" },
    { "expect leader in 2s", 1, 15,
      "expected 'within' and a time, or the end of the line, found 'in'" },
    { "expect leader within", 1, 21,
      "expected a time like 300ms, 1.5s or 2m, found the end of the line" },
    { "expect linearizable within 2s", 1, 21, "expected the end of the line, found 'within'" },
    { "expect value k v 2s", 1, 18,
      "expected the end of the line, found '2s'; a text with blanks needs double quotes" },
    { "say two words", 1, 9,
      "expected the end of the line, found 'words'; a text with blanks needs double quotes" },
    { "repeat 0", 1, 8, "expected how many times (1 to 4294967295), found '0'" },
    { "repeat 4294967296", 1, 8, "expected how many times (1 to 4294967295), found '4294967296'" },
    { "kill 1\nrepeat 2\nkill 1", 2, 1, "this repeat has no end" },
    { "repeat 2\nrepeat 2\nend", 1, 1, "this repeat has no end" },
    { "end", 1, 1, "'end' without a repeat" },
    { "repeat 1\nend\nend", 3, 1, "'end' without a repeat" },
    { "repeat 1\nend 1", 2, 5, "expected the end of the line, found '1'" },
    { "put k \"v\nkill 1\"", 1, 7, "this quote has no end" },
    { "kill 1\rkill 2\r\n", 1, 7, "expected text, found the control byte \\x0d" },
};

static void assert_refused(const char *text, size_t length, uint32_t line, uint32_t column,
                           const char *wanted)
{
    struct plan plan;
    struct parse_error error;
    memset(&plan, 0x5a, sizeof(plan));
    assert_int_equal(plan_parse(text, length, &plan, &error), ERR_INPUT);
    assert_string_equal(error.text, wanted);
    assert_int_equal(error.line, line);
    assert_int_equal(error.column, column);
    assert_null(plan.steps); /* P2 */
    assert_int_equal(plan.count, 0);
}

static void bad_row_holds(void **state)
{
    const struct bad_row *row = *state;
    assert_refused(row->text, strlen(row->text), row->line, row->column, row->error);
}

static void byte_0_is_an_error(void **unused)
{
    assert_refused("kill 1\nki\0ll 1\n", 15, 2, 3, "expected text, found the control byte \\x00");
    assert_refused("put k \"a\0b\"", 11, 1, 9, "a text cannot hold the byte 0");
    assert_refused("put k a\0b", 9, 1, 8, "expected text, found the control byte \\x00");
    UNUSED(unused);
}

static void nesting_has_a_bound(void **unused)
{
    enum { DEEP = 100000 };
    char *text = malloc(DEEP * 9 + 1);
    for (size_t i = 0; i < DEEP; i++) strcpy(text + i * 9, "repeat 2\n");
    assert_refused(text, DEEP * 9, REPEAT_DEPTH_MAX + 1, 9,
                   "more than 16 repeats inside each other");
    for (size_t i = 0; i < REPEAT_DEPTH_MAX; i++)
        strcpy(text + REPEAT_DEPTH_MAX * 9 + i * 4, "end\n");
    struct plan plan = parse(text, REPEAT_DEPTH_MAX * (9 + 4));
    assert_int_equal(plan.steps[0].match, 2 * REPEAT_DEPTH_MAX - 1);
    plan_free(&plan);
    free(text);
    UNUSED(unused);
}

static void million_lines_parse_and_print(void **unused)
{
    enum { LINES = 1000000 };
    static const char line[] = "put key value\n";
    size_t length = strlen(line);
    char *text = malloc(LINES * length + 1);
    for (size_t i = 0; i < LINES; i++) memcpy(text + i * length, line, length + 1);
    struct plan plan = parse(text, LINES * length);
    assert_int_equal(plan.count, LINES);
    assert_int_equal(plan.steps[LINES - 1].line, LINES);
    assert_string_equal(plan.steps[LINES - 1].command->value, "value");
    char *printed = plan_print(&plan);
    assert_int_equal(strlen(printed), strlen(HEADER) + LINES * length);
    assert_string_equal(printed + strlen(HEADER), text);
    free(printed);
    plan_free(&plan);
    free(text);
    UNUSED(unused);
}

static void endless_plans_are_refused(void **unused)
{
    size_t length = PLAN_BYTES_MAX + 1;
    char *text = malloc(length);
    struct plan plan;
    struct parse_error error;
    memset(text, ' ', length);
    assert_refused(text, length, 1, 1, "a plan has at most 67108864 bytes");
    assert_int_equal(plan_parse(text, length - 1, &plan, &error), ERR_OK); /* one long line */
    plan_free(&plan);
    memset(text, 'x', length);
    assert_int_equal(plan_parse(text, length - 1, &plan, &error), ERR_INPUT);
    assert_non_null(strstr(error.text, "xxx...'"));
    for (size_t i = 0; i + 6 <= length; i += 6) memcpy(text + i, "at 1s\n", 6);
    assert_refused(text, length - 1, PLAN_STEPS_MAX + 1, 6, "a plan has at most 2097152 steps");
    free(text);
    UNUSED(unused);
}

static void every_plan_that_we_ship_parses(void **unused)
{
    glob_t found;
    assert_int_equal(glob("plans/*.plan", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= PLANS_MIN);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct plan plan;
        struct parse_error error;
        if (plan_load(found.gl_pathv[i], &plan, &error) != ERR_OK) fail_msg("%s", err_context());
        bool judged = false;
        for (size_t s = 0; s < plan.count; s++) judged |= plan.steps[s].kind == STEP_EXPECT;
        if (!judged) fail_msg("%s expects nothing", found.gl_pathv[i]);
        assert_int_equal(plan.text[0], '#'); /* what it shows */
        assert_prints_and_parses(&plan, NULL);
        plan_free(&plan);
    }
    globfree(&found);
    UNUSED(unused);
}

static void loading_says_what_is_wrong(void **unused)
{
    struct plan plan;
    struct parse_error error;
    char path[] = "/tmp/fault_plan_test.XXXXXX", wanted[128];
    assert_int_equal(plan_load("/nowhere/at/all", &plan, &error), ERR_SYSTEM);
    assert_string_equal(err_context(), "/nowhere/at/all: No such file or directory");
    assert_int_equal(plan_load("/", &plan, &error), ERR_SYSTEM);
    assert_string_equal(err_context(), "/: Is a directory");
    assert_int_equal(plan_load("/dev/zero", &plan, &error), ERR_INPUT); /* endless */
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "kill 1\nkill 9\n", 14), 14);
    close(fd);
    assert_int_equal(plan_load(path, &plan, &error), ERR_INPUT);
    unlink(path);
    snprintf(wanted, sizeof(wanted), "%s:2:6: expected a peer (1..5, leader", path);
    assert_int_equal(strncmp(err_context(), wanted, strlen(wanted)), 0);
    assert_null(plan.steps);
    UNUSED(unused);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(good_rows) + COUNT(bad_rows) + 16];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(good_rows); i++)
        tests[n++] = (struct CMUnitTest){ .name = good_rows[i].name,
                                          .test_func = good_row_holds,
                                          .initial_state = (void *)(uintptr_t)&good_rows[i] };
    for (size_t i = 0; i < COUNT(bad_rows); i++)
        tests[n++] = (struct CMUnitTest){ .name = bad_rows[i].error,
                                          .test_func = bad_row_holds,
                                          .initial_state = (void *)(uintptr_t)&bad_rows[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(steps_of_the_example);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(repeats_find_their_ends);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(steps_print_alone);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(byte_0_is_an_error);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(nesting_has_a_bound);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(million_lines_parse_and_print);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(endless_plans_are_refused);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_plan_that_we_ship_parses);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(loading_says_what_is_wrong);
    return _cmocka_run_group_tests("fault_plan", tests, n, NULL, NULL);
}
