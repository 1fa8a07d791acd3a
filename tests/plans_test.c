/* tests/plans_test.c - each plan in plans/ on real processes: it holds, and it really did to the
 * cluster what it is there for. Two at a time, since they mostly wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/arena.h"
#include "tests/harness/tap.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AT_ONCE = 2, RUNS_MAX = 64 };
static const uint64_t RUN_NS = 240 * NS_PER_S; /* a plan may wait for many things in turn */

static struct run {
    const char *path;
    struct program program;
    bool started;
} runs[RUNS_MAX];
static size_t runs_count;

/* What a plan is there for: a counter of its summary, and what it has to reach. */
static const struct claim {
    const char *plan, *counter;
    long long least;
} claims[] = {
    { "clock-skew", "clocks_skewed", 3 },
    { "deaf-follower", "dropped_cut", 1 },
    { "election", "timeouts_forced", 3 },
    { "figure-8", "kills", 8 },
    { "leader-dies", "kills", 2 },
    { "leader-dies", "elections", 3 },
    { "lossy-network", "dropped_loss", 1 },
    { "lossy-network", "dropped_corrupt", 1 },
    { "lossy-network", "duplicated", 1 },
    { "lossy-network", "delayed", 1 },
    { "no-majority", "kills", 3 },
    { "old-leader-returns", "truncations", 1 },
    { "old-leader-returns", "elections", 4 },
    { "one-way-cut", "dropped_cut", 1 },
    { "one-way-cut", "elections", 2 },
    { "partition-heal", "dropped_cut", 1 },
    { "paused-leader", "pauses", 3 },
    { "paused-leader", "elections", 4 },
    { "rolling-restart", "restarts", 10 },
    { "slow-disk", "disks_slowed", 5 },
    { "slow-disk", "disk_failures", 1 },
    { "split-vote", "candidacies", 10 },
    { "sync-rpc-trap", "pauses", 4 },
    { "tour", "kills", 1 },
    { "tour", "delayed", 1 },
};

static void start_some(void)
{
    size_t running = 0;
    for (size_t i = 0; i < runs_count; i++) {
        if (runs[i].started && !program_ended(&runs[i].program)) running++;
        if (runs[i].started || running >= AT_ONCE) continue;
        const char *words[] = { "run", runs[i].path, NULL };
        program_start(&runs[i].program, words);
        runs[i].started = true;
        running++;
    }
}

static long long counter(const char *out, const char *key)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "\n  %s: ", key);
    const char *at = strstr(out, wanted);
    if (at == NULL) fail_msg("no %s in:\n%s", key, out);
    return atoll(at + strlen(wanted));
}

static bool is_claim_of(const struct claim *claim, const char *path)
{
    char name[128];
    snprintf(name, sizeof(name), "/%s.plan", claim->plan);
    return strstr(path, name) != NULL;
}

static void plan_holds(void **state)
{
    char problem[256];
    struct run *run = *state;
    uint64_t end_ns = real_now_ns() + RUN_NS;
    while (start_some(), !run->started || !program_ended(&run->program)) {
        struct timespec moment = { 0, 20 * (long)NS_PER_MS };
        if (real_now_ns() >= end_ns) fail_msg("%s does not end", run->path);
        nanosleep(&moment, NULL);
    }
    int code = program_wait(&run->program);
    char *out = program_text(run->program.out), *err = program_text(run->program.err);
    program_close(&run->program);
    if (code != 0) fprintf(stderr, "%s%s", out, err); /* longer than cmocka's messages can be */
    assert_int_equal(code, 0);
    if (!tap_check(out, problem, sizeof(problem))) fail_msg("%s\n%s", problem, out);
    assert_true(counter(out, "elections") > 0);
    assert_true(counter(out, "commits") > 0);
    assert_int_equal(counter(out, "notes_missed"), 0);
    for (size_t i = 0; i < COUNT(claims); i++) {
        if (!is_claim_of(&claims[i], run->path)) continue;
        long long reached = counter(out, claims[i].counter);
        if (reached < claims[i].least)
            fail_msg("%s: %lld, not %lld or more\n%s", claims[i].counter, reached, claims[i].least,
                     out);
    }
    free(out);
    free(err);
}

static void every_claim_has_a_plan(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < COUNT(claims); i++) {
        bool found = false;
        for (size_t r = 0; r < runs_count; r++) found |= is_claim_of(&claims[i], runs[r].path);
        if (!found) fail_msg("there is no plans/%s.plan", claims[i].plan);
    }
}

static int open_world(void **state)
{
    UNUSED(state);
    arena_open();
    return 0;
}

static int close_world(void **state)
{
    UNUSED(state);
    return arena_close();
}

int main(void)
{
    static struct CMUnitTest tests[RUNS_MAX + 1];
    glob_t found;
    if (glob("plans/*.plan", 0, NULL, &found) != 0 || found.gl_pathc > RUNS_MAX) {
        print_error("no plans/*.plan here, or too many: run this in the source folder\n");
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        runs[runs_count] = (struct run){ .path = found.gl_pathv[i] };
        tests[i] =
            (struct CMUnitTest){ found.gl_pathv[i], plan_holds, NULL, NULL, &runs[runs_count++] };
    }
    tests[runs_count] = (struct CMUnitTest)cmocka_unit_test(every_claim_has_a_plan);
    int failed = _cmocka_run_group_tests("plans", tests, runs_count + 1, open_world, close_world);
    globfree(&found);
    return failed;
}
