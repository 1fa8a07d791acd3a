/* tests/lab_sim_test.c - MIT 6.824 labs 2A, 2B and 2C in virtual time: the scenes that run on real
 * processes, over many seeds each; and bugs that they catch.
 *   lab_sim_test                          the test
 *   lab_sim_test SCENE [SEED [N [BUG]]]   N seeds of one of the lab's tests (TestBackup2B), each
 *                                         that fails with its reason; all peers have a bug */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/harness/group.h"
#include "tests/harness/lab_scenes.h"
#include "tests/harness/lab_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U(x) ((unsigned long long)(x))

#if defined(__SANITIZE_THREAD__) /* one thread, slow */
#define SEEDS 10
#elif defined(__SANITIZE_ADDRESS__)
#define SEEDS 20
#else
#define SEEDS 200
#endif

static const struct {
    const struct lab_test *tests;
    size_t count;
} groups[] = { { lab_2a, COUNT(lab_2a) }, { lab_2b, COUNT(lab_2b) }, { lab_2c, COUNT(lab_2c) } };

static struct lab_world run; /* large */

static const struct lab_test *find_scene(const char *name)
{
    for (size_t lab = 0; lab < COUNT(groups); lab++)
        for (size_t i = 0; i < groups[lab].count; i++)
            if (strcmp(groups[lab].tests[i].name, name) == 0) return &groups[lab].tests[i];
    return NULL;
}

/* ---- what was exercised ---- */

struct sum {
    uint64_t tally[TALLY_COUNT], committed, virtual_ns, real_ns;
    uint64_t cut, lost, delayed, overtook;
};
static struct sum total; /* of all scenes */

static void add(struct sum *sum)
{
    const struct world *world = &run.world;
    for (size_t i = 0; i < TALLY_COUNT; i++) sum->tally[i] += world->tally[i];
    sum->cut += world->network.counts.cut;
    sum->lost += world->network.counts.lost;
    sum->delayed += world->network.counts.delayed;
    sum->overtook += world->network.counts.overtook;
    sum->committed += world->ledger.committed.count;
    sum->virtual_ns += world->now_ns;
}

static void show(const struct sum *sum, uint64_t seeds)
{
    print_message("  %llu seeds, %llu virtual s, %.2f s: %llu elections, %llu entries, %llu RPCs, "
                  "%llu crashes, %llu logs cut back\n",
                  U(seeds), U(sum->virtual_ns / NS_PER_S), (double)sum->real_ns / NS_PER_S,
                  U(sum->tally[TALLY_LED]), U(sum->committed), U(sum->tally[TALLY_REQUESTS]),
                  U(sum->tally[TALLY_CRASHED]), U(sum->tally[TALLY_TRUNCATED]));
}

/* ---- the scenes ---- */

static void scene_passes(void **state)
{
    const struct lab_test *scene = *state;
    struct sum sum = { 0 };
    uint64_t began_ns = real_now_ns();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        lab_world_run(&run, scene, seed, NULL);
        if (run.failure != NULL)
            fail_msg("%s, seed %llu, after %.1f virtual s: %s", scene->name, U(seed),
                     (double)run.world.now_ns / NS_PER_S, run.failure);
        assert_true(run.world.tally[TALLY_LED] > 0);
        add(&sum);
        add(&total);
        lab_world_close(&run);
    }
    sum.real_ns = real_now_ns() - began_ns;
    total.real_ns += sum.real_ns;
    show(&sum, SEEDS);
}

/* What the lab's tests are about has happened, in the middle of which too. */
static void it_was_not_empty(void **state)
{
    static const enum tally needed[] = {
        TALLY_CRASHED,   TALLY_CRASHED_IN_COMMIT, TALLY_COMMIT_UNDONE, TALLY_RESTARTED,
        TALLY_CANDIDATE, TALLY_STEPPED_DOWN,      TALLY_TRUNCATED,     TALLY_COMMIT_SLOW,
    };
    UNUSED(state);
    show(&total, SEEDS * (COUNT(lab_2a) + COUNT(lab_2b) + COUNT(lab_2c)));
    for (size_t i = 0; i < COUNT(needed); i++) assert_true(total.tally[needed[i]] > 0);
    assert_true(total.cut > 0);
    assert_true(total.lost > 0);
    assert_true(total.delayed > 0);
    assert_true(total.overtook > 0);
}

static uint64_t fingerprint(const struct lab_test *scene, uint64_t seed)
{
    lab_world_run(&run, scene, seed, NULL);
    uint64_t hash = run.world.hash ^ run.lab.agreed.count;
    lab_world_close(&run);
    return hash;
}

static void same_seed_same_run(void **state)
{
    UNUSED(state);
    for (size_t lab = 0; lab < COUNT(groups); lab++)
        for (size_t i = 0; i < groups[lab].count; i++) {
            const struct lab_test *scene = &groups[lab].tests[i];
            uint64_t hash = fingerprint(scene, 11);
            assert_true(hash == fingerprint(scene, 11));
            assert_true(hash != fingerprint(scene, 12));
        }
}

/* ---- bugs ---- */

/* The scene finds the bug, and what it then says begins like this. */
static struct bug_row {
    const char *bug, *scene, *says;
} bug_rows[] = {
    { "sync-rpc", "TestReElection2A", "expected one leader, got none" },
    { "both-must-be-newer", "TestBackup2B", "one(" }, /* no agreement */
    { "longer-log-wins", "TestRejoin2B", "LC: " },
    { "truncation-not-synced", "TestPersist22C", "PR: " },
    { "commit-by-counting", "TestFigure82C", "CQ: " },
    { "conflict-by-leader-term", "TestFigure8Unreliable2C", "CM: " },
    { "rollback-on-step-down", "TestUnreliableChurn2C", "CQ: " },
};

static void bug_is_caught(void **state)
{
    const struct bug_row *row = *state;
    const struct lab_test *scene = find_scene(row->scene);
    const struct bug *bug = bug_find(row->bug);
    assert_non_null(scene);
    assert_non_null(bug);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        lab_world_run(&run, scene, seed, bug);
        char failure[sizeof(run.lab.failure)];
        snprintf(failure, sizeof(failure), "%s", run.failure != NULL ? run.failure : "");
        lab_world_close(&run);
        if (failure[0] == '\0') continue;
        print_message("  %s, seed %llu: %s\n", row->scene, U(seed), failure);
        if (strncmp(failure, row->says, strlen(row->says)) != 0)
            fail_msg("expected '%s...'", row->says);
        return;
    }
    fail_msg("%s does not find %s in %d seeds", row->scene, row->bug, SEEDS);
}

/* ---- the hunt ---- */

static int hunt(const char *name, uint64_t seed, uint64_t count, const char *bug_name)
{
    const struct lab_test *scene = find_scene(name);
    const struct bug *bug = bug_name != NULL ? bug_find(bug_name) : NULL;
    struct sum sum = { 0 };
    int failed = 0;
    if (scene == NULL || (bug_name != NULL && bug == NULL)) {
        fprintf(stderr, "lab_sim_test: %s\n",
                scene == NULL ? "expected a test of the lab, e.g. TestBackup2B" : err_context());
        return 1;
    }
    uint64_t began_ns = real_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        lab_world_run(&run, scene, seed + i, bug);
        if (run.failure != NULL) {
            printf("seed %llu, after %.1f virtual s: %s\n", U(seed + i),
                   (double)run.world.now_ns / NS_PER_S, run.failure);
            fflush(stdout);
            failed = 1;
        }
        add(&sum);
        lab_world_close(&run);
    }
    sum.real_ns = real_now_ns() - began_ns;
    show(&sum, count);
    return failed;
}

int main(int count, char **words)
{
    static char names[COUNT(bug_rows)][80];
    if (count > 1)
        return hunt(words[1], count > 2 ? strtoull(words[2], NULL, 10) : 1,
                    count > 3 ? strtoull(words[3], NULL, 10) : 1, count > 4 ? words[4] : NULL);
    for (size_t lab = 0; lab < COUNT(groups); lab++)
        for (size_t i = 0; i < groups[lab].count; i++) {
            const struct lab_test *scene = &groups[lab].tests[i];
            group_add(scene->name, scene_passes, (void *)(uintptr_t)scene);
        }
    group_add("it was not empty", it_was_not_empty, NULL);
    group_add("same seed, same run", same_seed_same_run, NULL);
    for (size_t i = 0; i < COUNT(bug_rows); i++) {
        snprintf(names[i], sizeof(names[i]), "%s by %s", bug_rows[i].bug, bug_rows[i].scene);
        group_add(names[i], bug_is_caught, &bug_rows[i]);
    }
    return group_run("lab 2A to 2C in virtual time");
}
