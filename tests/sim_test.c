/* tests/sim_test.c - `ringside sim`: plans and seeds in virtual time, to the bit; what it says of a
 * failure; ranges in shards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/commands.h"
#include "sim/runner.h"
#include "sim/swarm.h"
#include "tests/harness/arena.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- running it ---- */

struct said {
    int code;
    char *out, *err;
};

static struct said run(const char *const *words)
{
    struct program program;
    struct said said;
    program_start(&program, words);
    said.code = program_wait(&program);
    said.out = program_text(program.out);
    said.err = program_text(program.err);
    program_close(&program);
    return said;
}
#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static void forget(struct said *said)
{
    free(said->out);
    free(said->err);
}

/* The text behind `key` up to the end of its line; the next call overwrites it. */
static const char *value_of(const char *text, const char *key)
{
    static char value[512];
    const char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\n"), at);
    return value;
}

static int in_arena(void **state)
{
    UNUSED(state);
    arena_open();
    return 0;
}

static int leave_arena(void **state)
{
    UNUSED(state);
    /* traces and smallest plans stay on purpose; nothing else, and no process */
    glob_t kept;
    char pattern[512];
    snprintf(pattern, sizeof(pattern), "%s/ringside-*", getenv("TMPDIR"));
    if (glob(pattern, 0, NULL, &kept) == 0) {
        for (size_t i = 0; i < kept.gl_pathc; i++) unlink(kept.gl_pathv[i]);
        globfree(&kept);
    }
    return arena_close();
}

/* ---- plans ---- */

/* What failed once holds now. */
static void every_kept_seed_holds(void **state)
{
    UNUSED(state);
    const char *words[WORDS_MAX] = { "sim" };
    glob_t plans;
    assert_int_equal(glob("tests/seeds/*.plan", 0, NULL, &plans), 0);
    assert_true(plans.gl_pathc + 2 < WORDS_MAX);
    for (size_t i = 0; i < plans.gl_pathc; i++) words[1 + i] = plans.gl_pathv[i];
    struct said said = run(words);
    if (said.code != EXIT_WELL) fail_msg("%s", said.out);
    globfree(&plans);
    forget(&said);
}

/* What is in plans/ holds in virtual time as well, with twenty seeds each. */
static void every_plan_holds(void **state)
{
    UNUSED(state);
    const char *words[WORDS_MAX] = { "sim", "--seeds", "1..20" };
    glob_t plans;
    assert_int_equal(glob("plans/*.plan", 0, NULL, &plans), 0);
    assert_true(plans.gl_pathc > 10 && plans.gl_pathc + 4 < WORDS_MAX);
    for (size_t i = 0; i < plans.gl_pathc; i++) words[3 + i] = plans.gl_pathv[i];
    struct said said = run(words);
    if (said.code != EXIT_WELL) fail_msg("%s", said.out);
    globfree(&plans);
    forget(&said);
}

static void outcome_of(const char *text, const struct bug *bug, struct outcome *outcome)
{
    struct parse_error error;
    struct plan plan;
    assert_int_equal(plan_parse(text, strlen(text), &plan, &error), ERR_OK);
    runner_run(&(struct runner_config){ .bug = bug }, &plan, NULL, outcome);
    plan_free(&plan);
}

static const struct verdict_row {
    const char *name, *plan;
    enum player_end end;
    const char *says;
} verdict_rows[] = {
    { "a leader is elected", "cluster 3\nexpect leader within 5s\n", PLAYER_DONE, "" },
    { "one peer", "cluster 1\nput k v\nexpect value k v within 5s\n", PLAYER_DONE, "" },
    { "sixty-three peers", "cluster 63\nexpect leader within 9s\nput k v\nexpect commit 2\n",
      PLAYER_DONE, "" },
    { "no majority, no leader",
      "cluster 4\nkill 1 2\nwait 3s\nexpect no leader\nrestart all\n"
      "expect leader within 5s\n",
      PLAYER_DONE, "" },
    { "what is not so", "cluster 3\nwait leader\nexpect commit 99 within 1s\n", PLAYER_UNMET,
      "the highest commit index is" },
    { "who is dead is not killed again", "cluster 3\nwait leader\nkill 2\nkill 2\n", PLAYER_UNMET,
      "dead already" },
    { "nothing happened", "cluster 3\nwait 1ms\n", PLAYER_UNMET, "nothing was exercised" },
    { "a power cut of all",
      "cluster 3\nput k v\npower-cut all\nwait 1s\nrestart all\n"
      "expect value k v within 5s\n",
      PLAYER_DONE, "" },
    { "a clock that stands still", "cluster 3\nwait leader\nrate 0\nput k v\n", PLAYER_UNMET,
      "no answer in time" },
    { "a disk that fails", "cluster 3\nwait leader\nfail-disk eio on all\nput k v\n", PLAYER_UNMET,
      "no answer in time" },
    { "a disk that is slow",
      "cluster 3\nslow-disk 40ms on all\nput k v\n"
      "expect logs equal within 5s\n",
      PLAYER_DONE, "" },
    { "more questions than a session remembers",
      "cluster 3\nwait leader\npause all\nevery 1ms until 6s put k v\nwait 6s\nresume all\n"
      "wait 2s\nexpect linearizable\n",
      PLAYER_DONE, "" },
    { "contention",
      "cluster 5\nload put+get+del+append+cas 200/s keys 1 clients 4\n"
      "drop 10% delay 0ms..20ms on all\nwait 5s\nexpect linearizable\n",
      PLAYER_DONE, "" },
};

static void verdict_holds(void **state)
{
    const struct verdict_row *row = *state;
    struct outcome outcome;
    outcome_of(row->plan, NULL, &outcome);
    if (strstr(outcome.failure, row->says) == NULL) fail_msg("says: %s", outcome.failure);
    assert_int_equal(outcome.end, row->end);
}

/* ---- seeds ---- */

static void seeds_are_the_same_twice(void **state)
{
    UNUSED(state);
    struct said one = RUN("sim", "--seeds", "1..150", "--twice", "--jobs", "1");
    struct said two = RUN("sim", "--seeds", "1..150", "--jobs", "2");
    struct said other = RUN("sim", "--seeds", "2..151");
    char hash[64];
    if (one.code != EXIT_WELL) fail_msg("%s", one.out);
    assert_int_equal(two.code, EXIT_WELL);
    snprintf(hash, sizeof(hash), "%s", value_of(one.out, "  hash: "));
    assert_string_equal(value_of(two.out, "  hash: "), hash);
    assert_string_not_equal(value_of(other.out, "  hash: "), hash);
    forget(&one);
    forget(&two);
    forget(&other);
}

/* Each kind of fault fires, or the range would prove little. */
static void nothing_is_left_out(void **state)
{
    UNUSED(state);
    struct said said = RUN("sim", "--seeds", "1..300");
    if (said.code != EXIT_WELL) fail_msg("%s", said.out);
    for (uint32_t i = 0; i < COUNT_COUNT; i++) {
        char key[64];
        snprintf(key, sizeof(key), "  %s: ", count_label((enum count)i));
        uint64_t value = strtoull(value_of(said.out, key), NULL, 10);
        /* a full inbox takes a flood, a command that is refused a large one */
        if (value == 0 && i != COUNT_FULL && i != COUNT_OPERATIONS_FAIL) fail_msg("no %s", key);
    }
    forget(&said);
}

/* Every size, both presets, uniform and by rank: the draw is as wide as it says. */
static void the_swarm_is_wide(void **state)
{
    UNUSED(state);
    static const char *const words[] = { "preset fast", "preset lab", "power-cut", "partition",
                                         "cut ",        "isolate",    "skew",      "enospc",
                                         "before-send", "after-send", "> 1",       "cas" };
    uint32_t sizes = 0, seen = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        char *text = swarm_plan(seed), *again = swarm_plan(seed);
        assert_string_equal(text, again); /* (D1) */
        sizes |= 1u << (text[8] - '0');
        for (uint32_t i = 0; i < COUNT(words); i++)
            if (strstr(text, words[i]) != NULL) seen |= 1u << i;
        free(text);
        free(again);
    }
    assert_int_equal(sizes, 0x3fe);
    assert_int_equal(seen, (1u << COUNT(words)) - 1);
}

/* ---- failures ---- */

/* The path behind "for `ringside sim ... PATH`:". */
static char *smallest_of(const char *out)
{
    const char *at = strstr(out, "/ringside-smallest-"), *end;
    assert_non_null(at);
    while (at[-1] != ' ') at--;
    end = strchr(at, '`');
    assert_non_null(end);
    return strndup(at, (size_t)(end - at));
}

static void a_failure_is_told_whole(void **state)
{
    UNUSED(state);
    struct said said = RUN("sim", "--seeds", "1..2000", "--jobs", "1", "--bug", "vote-forgotten");
    assert_int_equal(said.code, EXIT_UNSAFE);
    assert_non_null(strstr(said.out, "votes for")); /* both sides of it */
    assert_non_null(strstr(said.out, "# trace: "));
    assert_non_null(strstr(said.out, "# cluster "));
    char *path = smallest_of(said.out);
    struct said again = RUN("sim", "--bug", "vote-forgotten", path);
    struct said right = RUN("sim", path);
    assert_int_equal(again.code, EXIT_UNSAFE);
    char invariant[16];
    snprintf(invariant, sizeof(invariant), "%.2s", value_of(said.out, "still breaks "));
    assert_memory_equal(value_of(again.out, "  invariant: \""), invariant, 2);
    assert_int_not_equal(right.code, EXIT_UNSAFE);
    forget(&said);
    forget(&again);
    forget(&right);
    free(path);
}

/* A liveness failure has another exit code. */
static void a_plan_that_fails_shrinks(void **state)
{
    UNUSED(state);
    const char *path = arena_path("long.plan");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("cluster 5\nload put 20/s\ndrop 5% on all\nwait leader\nkill follower\nwait 300ms\n"
          "restart all\nheal\nexpect commit 100000 within 1s\n",
          file);
    fclose(file);
    struct said said = RUN("sim", "--shrink", path);
    assert_int_equal(said.code, EXIT_UNMET);
    char *smallest = smallest_of(said.out);
    struct said again = RUN("sim", smallest);
    assert_int_equal(again.code, EXIT_UNMET);
    assert_null(strstr(again.out, "kill follower"));
    forget(&said);
    forget(&again);
    free(smallest);
}

/* ---- shards ---- */

static void shards_add_up(void **state)
{
    UNUSED(state);
    char whole_hash[64], path[3][256];
    struct said whole = RUN("sim", "--seeds", "10..100");
    snprintf(whole_hash, sizeof(whole_hash), "%s", value_of(whole.out, "  hash: "));
    for (int i = 0; i < 3; i++) {
        char shard[16];
        snprintf(path[i], sizeof(path[i]), "%s", arena_path("shard"));
        snprintf(path[i] + strlen(path[i]), 16, "-%d.json", i + 1);
        snprintf(shard, sizeof(shard), "%d/3", i + 1);
        struct said part = RUN("sim", "--seeds", "10..100", "--shard", shard, "--json", path[i]);
        assert_int_equal(part.code, EXIT_WELL);
        forget(&part);
    }
    struct said sum = RUN("sim", "--merge", path[1], path[2], path[0]);
    assert_int_equal(sum.code, EXIT_WELL);
    assert_string_equal(value_of(sum.out, "  seeds: "), "91");
    assert_string_equal(value_of(sum.out, "  hash: "), whole_hash);
    struct said none = RUN("sim", "--seeds", "5..6", "--shard", "3/3"); /* more shards than seeds */
    assert_int_equal(none.code, EXIT_WELL);
    forget(&none);
    struct said missing = RUN("sim", "--merge", path[0], path[2]);
    assert_int_equal(missing.code, EXIT_INPUT);
    assert_non_null(strstr(missing.err, "shard 2 of 3 is missing"));
    struct said doubled = RUN("sim", "--merge", path[0], path[0]);
    assert_int_equal(doubled.code, EXIT_INPUT);
    assert_non_null(strstr(doubled.err, "there twice"));
    forget(&whole);
    forget(&sum);
    forget(&missing);
    forget(&doubled);
}

static void an_array_job_knows_its_shard(void **state)
{
    UNUSED(state);
    char one[64];
    struct said said = RUN("sim", "--seeds", "1..40", "--shard", "2/4");
    snprintf(one, sizeof(one), "%s", value_of(said.out, "  hash: "));
    forget(&said);
    setenv("SLURM_ARRAY_TASK_ID", "11", 1);
    setenv("SLURM_ARRAY_TASK_MIN", "10", 1);
    setenv("SLURM_ARRAY_TASK_COUNT", "4", 1);
    said = RUN("sim", "--seeds", "1..40");
    assert_string_equal(value_of(said.out, "  hash: "), one);
    forget(&said);
    unsetenv("SLURM_ARRAY_TASK_ID");
    unsetenv("SLURM_ARRAY_TASK_COUNT");
    setenv("JOB_COMPLETION_INDEX", "1", 1);
    said = RUN("sim", "--seeds", "1..40", "--shard", "/4");
    assert_string_equal(value_of(said.out, "  hash: "), one);
    forget(&said);
    said = RUN("sim", "--seeds", "1..40");
    assert_int_equal(said.code, EXIT_INPUT);
    assert_non_null(strstr(said.err, "--shard /N"));
    forget(&said);
    unsetenv("JOB_COMPLETION_INDEX");
}

/* The line of the README, with fewer seeds. */
static void gnu_parallel_runs_shards(void **state)
{
    UNUSED(state);
    char script[1024], *folder = strdup(arena_path("parallel"));
    const char *program =
        getenv("RINGSIDE") != NULL ? getenv("RINGSIDE") : "build/release/ringside";
    if (system("parallel --version >/dev/null 2>&1") != 0)
        fail_msg("GNU parallel is missing: apt-get install parallel");
    snprintf(script, sizeof(script),
             "mkdir -p %s && "
             "parallel -j 2 %s sim --seeds 1..60 --shard {}/3 --jobs 1 --json %s/result-{}.json "
             "::: 1 2 3 >/dev/null && %s sim --merge %s/result-*.json | grep -q 'seeds: 60'",
             folder, program, folder, program, folder);
    assert_int_equal(system(script), 0);
    free(folder);
}

/* ---- bad input ---- */

static const struct bad_row {
    const char *words[6], *says;
} bad_rows[] = {
    { { "sim" }, "which plan?" },
    { { "sim", "--seeds", "9..1" }, "is no range" },
    { { "sim", "--seeds", "x" }, "is no range" },
    { { "sim", "--seeds", "-3" }, "is no range" },
    { { "sim", "--seeds", "1..2..3" }, "is no range" },
    { { "sim", "--seeds", "1..9", "--shard", "5/4" }, "is no I/N" },
    { { "sim", "--seeds", "1..9", "--shard", "0/4" }, "is no I/N" },
    { { "sim", "--seeds", "1..9", "--shard", "1" }, "is no I/N" },
    { { "sim", "--seeds", "1..9", "--bug", "none-such" }, "is no bug" },
    { { "sim", "--seeds", "1..9", "--history", "x" }, "one plan" },
    { { "sim", "--merge" }, "which files?" },
    { { "sim", "--merge", "/nowhere.json" }, "nowhere.json" },
    { { "sim", "--merge", "README.md" }, "README.md" },
    { { "sim", "/nowhere.plan" }, "nowhere.plan" },
    { { "sim", "--seeds", "1..3", "--json", "/nowhere/x" }, "--json /nowhere/x" },
    { { "sim", "plans/election.plan", "--log", "/nowhere/x" }, "--log /nowhere/x" },
};

static void bad_input_is_one_line(void **state)
{
    const struct bad_row *row = *state;
    struct said said = run(row->words);
    assert_int_equal(said.code, EXIT_INPUT);
    if (strstr(said.err, row->says) == NULL) fail_msg("says: %s", said.err);
    assert_int_equal(strcspn(said.err, "\n") + 1, strlen(said.err));
    forget(&said);
}

int main(void)
{
    static struct CMUnitTest tests[64];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(verdict_rows); i++)
        tests[n++] = (struct CMUnitTest){ verdict_rows[i].name, verdict_holds, NULL, NULL,
                                          (void *)(uintptr_t)&verdict_rows[i] };
    for (size_t i = 0; i < COUNT(bad_rows); i++)
        tests[n++] = (struct CMUnitTest){ bad_rows[i].says, bad_input_is_one_line, in_arena,
                                          leave_arena, (void *)(uintptr_t)&bad_rows[i] };
    const struct CMUnitTest others[] = {
        cmocka_unit_test_setup_teardown(every_kept_seed_holds, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(every_plan_holds, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(seeds_are_the_same_twice, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(nothing_is_left_out, in_arena, leave_arena),
        cmocka_unit_test(the_swarm_is_wide),
        cmocka_unit_test_setup_teardown(a_failure_is_told_whole, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(a_plan_that_fails_shrinks, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(shards_add_up, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(an_array_job_knows_its_shard, in_arena, leave_arena),
        cmocka_unit_test_setup_teardown(gnu_parallel_runs_shards, in_arena, leave_arena),
    };
    for (size_t i = 0; i < COUNT(others); i++) tests[n++] = others[i];
    return _cmocka_run_group_tests("sim", tests, n, NULL, NULL);
}
