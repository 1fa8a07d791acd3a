/* tests/cli_test.c - the command line: what it answers, what it refuses in one line, exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ringside cluster;

static int open_cluster(void **state)
{
    static const char *const words[] = { "--preset", "lab", NULL };
    UNUSED(state);
    arena_open();
    memset(&cluster, 0, sizeof(cluster));
    ringside_up(&cluster, 3, words);
    return 0;
}

static int close_cluster(void **state)
{
    UNUSED(state);
    ringside_close(&cluster);
    return arena_close();
}

#define PEERS "(1..3, leader, follower, candidate, random, minority, majority, all, rest)"
#define NOBODY "no cluster 'main' is running"
static const struct words_row {
    const char *words[9];
    int code;
    const char *out, *err; /* NAME stands for the running cluster */
} words_rows[] = {
    { { "put", "key", "some value", "--name", "NAME" }, 0, "ok\n", "" },
    { { "get", "key", "--name", "NAME" }, 0, "some value\n", "" },
    { { "get", "nothing", "--name", "NAME" }, 2, "", "ringside get: there is no key 'nothing'\n" },
    { { "append", "key", "!", "--name", "NAME" }, 0, "ok\n", "" },
    { { "cas", "key", "wrong", "x", "--name", "NAME" }, 0, "false\n", "" },
    { { "cas", "key", "some value!", "x", "--name", "NAME" }, 0, "true\n", "" },
    { { "del", "key", "--name", "NAME" }, 0, "true\n", "" },
    { { "put", "quo\"te", "back\\slash", "--name", "NAME" }, 0, "ok\n", "" },
    { { "get", "quo\"te", "--name", "NAME" }, 0, "back\\slash\n", "" },
    { { "put", "empty", "", "--name", "NAME" }, 0, "ok\n", "" },
    { { "get", "empty", "--name", "NAME" }, 0, "\n", "" },
    { { "put", "#", "# no comment", "--name", "NAME" }, 0, "ok\n", "" },
    { { "get", "#", "--name", "NAME" }, 0, "# no comment\n", "" },
    { { "do", "pause", "2", "--name", "NAME" }, 0, "pause 2\n", "" },
    { { "do", "resume", "all", "--name", "NAME" }, 0, "resume 2\n", "" },
    { { "do", "kill 3", "--name", "NAME" }, 0, "kill 3\n", "" },
    { { "do", "kill", "3", "--name", "NAME" }, 1, "", "ringside do: peer 3 is dead already\n" },
    { { "do", "restart", "all", "--name", "NAME" }, 0, "restart 3\n", "" },
    { { "do", "partition", "1", "|", "rest", "--name", "NAME" },
      0,
      "4 links changed, 4 cut\n",
      "" },
    { { "do", "heal", "--name", "NAME" }, 0, "4 links changed, 0 cut\n", "" },
    { { "do", "kill", "4", "--name", "NAME" },
      1,
      "",
      "ringside do: column 6: expected a peer " PEERS ", found '4'\n" },
    { { "up", "--headless", "-n", "0" },
      1,
      "",
      "ringside up: -n is '0'; it must be a whole number from 1 to 63\n" },
    { { "up", "--headless", "-n", "64" },
      1,
      "",
      "ringside up: -n is '64'; it must be a whole number from 1 to 63\n" },
    { { "up", "--headless", "-n", "3x" },
      1,
      "",
      "ringside up: -n is '3x'; it must be a whole number from 1 to 63\n" },
    { { "up", "-n" },
      1,
      "",
      "ringside up: '-n' is not understood or lacks its value; see: ringside up --help\n" },
    { { "up", "--bogus" },
      1,
      "",
      "ringside up: '--bogus' is not understood or lacks its value; see: ringside up --help\n" },
    { { "up", "extra" }, 1, "", "ringside up: 'extra' is too much: up takes options only\n" },
    { { "up", "--headless", "--name", "a/b" },
      1,
      "",
      "ringside up: 'a/b' is no cluster name; use 1 to 32 letters, digits, - or _\n" },
    { { "up", "--headless", "--name", "" },
      1,
      "",
      "ringside up: '' is no cluster name; use 1 to 32 letters, digits, - or _\n" },
    { { "up", "--headless", "--preset", "slow" },
      1,
      "",
      "ringside up: 'slow' is no preset; there are: lab watch fast\n" },
    { { "up", "--headless", "--for", "soon" },
      1,
      "",
      "ringside up: --for is 'soon'; it must be a time such as 300ms, 1.5s or 2m\n" },
    { { "up", "--headless", "--seed", "-1" },
      1,
      "",
      "ringside up: --seed is '-1'; it must be a whole number from 0 to 18446744073709551615\n" },
    { { "up", "--headless", "--data", "" },
      1,
      "",
      "ringside up: --data is ''; it must name a directory\n" },
    { { "up", "--headless", "--data", "/proc/nowhere" },
      1,
      "",
      "ringside up: /proc/nowhere: cannot make the data directory: No such file or directory\n" },
    { { "up", "--headless", "--log", "/nowhere/log" },
      1,
      "",
      "ringside up: --log /nowhere/log: No such file or directory\n" },
    { { "up" }, 1, "", "ringside up: the dashboard needs a terminal: try --headless\n" },
    { { "status" }, 1, "", NULL },
    { { "down" }, 1, "", NULL },
    { { "down", "x y" },
      1,
      "",
      "ringside down: 'x y' is no cluster name; use 1 to 32 letters, digits, - or _\n" },
    { { "do", "--name", "NAME" },
      1,
      "",
      "ringside do: expected a verb; list them with: ringside do help\n" },
    { { "put", "key" }, 1, "", "ringside put: expected: ringside put KEY VALUE\n" },
    { { "get" }, 1, "", "ringside get: expected: ringside get KEY\n" },
    { { "cas", "a", "b" }, 1, "", "ringside cas: expected: ringside cas KEY EXPECTED VALUE\n" },
    { { "bogus" }, 1, "", "ringside: 'bogus' is no command; they are: " },
};

/* NULL for err: the line names the clusters that do run. */
static void check_words(const struct words_row *row)
{
    const char *words[COUNT(row->words) + 1] = { NULL };
    char nobody[256];
    for (size_t i = 0; i < COUNT(row->words) && row->words[i] != NULL; i++)
        words[i] = strcmp(row->words[i], "NAME") == 0 ? cluster.name : row->words[i];
    snprintf(nobody, sizeof(nobody),
             "ringside %s: " NOBODY "; these are: %s (choose with --name)\n", words[0],
             cluster.name);
    const char *expected = row->err != NULL ? row->err : nobody;
    struct program program;
    program_start(&program, words);
    int code = program_wait(&program);
    char *out = program_text(program.out), *err = program_text(program.err);
    program_close(&program);
    if (expected[0] == '\0' || strchr(expected, '\n') != NULL) assert_string_equal(err, expected);
    else assert_memory_equal(err, expected, strlen(expected)); /* how it begins */
    assert_string_equal(out, row->out);
    assert_int_equal(code, row->code);
    size_t length = strlen(err); /* one line */
    assert_true(length == 0 || strchr(err, '\n') == err + length - 1);
    free(out);
    free(err);
}

static void words_are_answered(void **unused)
{
    UNUSED(unused);
    for (size_t i = 0; i < COUNT(words_rows); i++) check_words(&words_rows[i]);
    assert_int_equal(ringside_down(&cluster), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_are_answered, open_cluster, close_cluster),
    };
    return cmocka_run_group_tests_name("command line", tests, NULL, NULL);
}
