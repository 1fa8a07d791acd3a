/* tests/museum_test.c - the museum in short: each bug is caught by random seeds of the simulator
 * and by its own plan, and the same seed and the same plan pass without it. The long form, with
 * all layers, is `make museum`.
 *   museum_test NAME    one bug, with what is found */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "sim/runner.h"
#include "sim/swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 3000
#define PLAN_SEEDS_MAX 300

static void run_text(const char *text, const struct bug *bug, struct outcome *outcome)
{
    struct parse_error error;
    struct plan plan;
    assert_int_equal(plan_parse(text, strlen(text), &plan, &error), ERR_OK);
    runner_run(&(struct runner_config){ .bug = bug }, &plan, NULL, outcome);
    plan_free(&plan);
}

static void seeds_catch_it(const struct bug *bug)
{
    struct outcome wrong = { .end = PLAYER_DONE }, right;
    uint64_t seed = 0;
    char *text = NULL;
    while (wrong.end == PLAYER_DONE && seed < SEEDS_MAX) {
        free(text);
        text = swarm_plan(++seed);
        run_text(text, bug, &wrong);
    }
    if (wrong.end == PLAYER_DONE) fail_msg("%s: not caught in %d seeds", bug->name, SEEDS_MAX);
    print_message("%-24s seed %4u: %s: %.100s\n", bug->name, (unsigned)seed, wrong.invariant,
                  wrong.failure);
    run_text(text, NULL, &right);
    if (right.end != PLAYER_DONE)
        fail_msg("seed %u fails without %s, too: %s", (unsigned)seed, bug->name, right.failure);
    free(text);
}

/* A schedule that needs some luck gets several seeds. */
static void its_plan_shows_it(const struct bug *bug)
{
    char path[256];
    struct parse_error error;
    struct plan plan;
    struct outcome wrong = { .end = PLAYER_DONE }, right;
    if (bug->plan == NULL) return;
    snprintf(path, sizeof(path), "plans/bugs/%s", bug->plan);
    if (plan_load(path, &plan, &error) != ERR_OK) fail_msg("%s", err_context());
    uint64_t first = plan.seed, last = first + PLAN_SEEDS_MAX;
    for (; wrong.end == PLAYER_DONE && plan.seed < last; plan.seed++) {
        runner_run(&(struct runner_config){ .bug = NULL }, &plan, NULL, &right);
        if (right.end != PLAYER_DONE)
            fail_msg("%s fails without the bug, with seed %u: %s", path, (unsigned)plan.seed,
                     right.failure);
        runner_run(&(struct runner_config){ .bug = bug }, &plan, NULL, &wrong);
    }
    print_message("%-24s plan %4u: %s: %.100s\n", bug->name, (unsigned)(plan.seed - first),
                  wrong.invariant, wrong.failure);
    plan_free(&plan);
    if (wrong.end == PLAYER_DONE) fail_msg("%s passes with the bug", path);
}

static void bug_is_caught(void **state)
{
    const struct bug *bug = *state;
    seeds_catch_it(bug);
    its_plan_shows_it(bug);
}

int main(int count, char **words)
{
    struct CMUnitTest tests[128];
    size_t n = 0;
    CHECK(bugs_count <= COUNT(tests));
    for (size_t i = 0; i < bugs_count; i++)
        if (count < 2 || strcmp(words[1], bugs[i].name) == 0)
            tests[n++] = (struct CMUnitTest){ bugs[i].name, bug_is_caught, NULL, NULL,
                                              (void *)(uintptr_t)&bugs[i] };
    return _cmocka_run_group_tests("museum", tests, n, NULL, NULL);
}
