/* tests/linear_large_test.c - histories of a store that works, and of one that is wrong once: the
 * verdict, the stretch, how long it took (printed, not judged), and what limits do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/recipe.h"

#include <stdlib.h>
#include <string.h>

static const struct linear_limits plenty = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS };

/* (Z3) */
static void assert_contradiction(const struct history *history, const struct linear_result *result)
{
    struct history alone;
    struct linear_result again;
    assert_true(result->stretch_count > 0);
    assert_true(result->stretch_count <= history->count);
    history_init(&alone);
    for (size_t i = 0; i < result->stretch_count; i++)
        history_add(&alone, &history->operations[result->stretch[i]]);
    linear_check(&alone, &plenty, &again);
    assert_int_equal(again.verdict, LINEAR_NO);
    free(again.stretch);
    history_free(&alone);
}

static void recipe_holds(void **state)
{
    const struct recipe *recipe = *state;
    struct history history;
    struct linear_result result;
    recipe_make(recipe, &history);
    uint64_t begin_ns = real_now_ns();
    linear_check(&history, &plenty, &result);
    double ms = (double)(real_now_ns() - begin_ns) / (double)NS_PER_MS;
    printf("%.1f ms, stretch of %zu\n", ms, result.stretch_count);
    assert_int_equal(result.verdict, recipe->verdict);
    assert_int_equal(result.operations, recipe->operations);
    assert_int_equal(result.keys, recipe->keys);
    if (result.verdict == LINEAR_NO) assert_contradiction(&history, &result);
    free(result.stretch);
    history_free(&history);
}

#define MIX(gets, puts, appends, cas, dels) gets, puts, appends, cas, dels
static const struct recipe recipes[] = {
    { "20 clients on 50 keys, 100000 operations", 1, 100000, 20, 50, 0, 0, MIX(4, 3, 0, 2, 1),
      false, LINEAR_YES },
    { "20 clients on 50 keys, some unknown", 2, 100000, 20, 50, 0, 10000, MIX(4, 3, 0, 2, 1), false,
      LINEAR_YES },
    { "10 clients on one key", 3, 10000, 10, 1, 0, 0, MIX(1, 1, 0, 0, 0), false, LINEAR_YES },
    { "10 clients on one key, writes only", 4, 10000, 10, 1, 0, 0, MIX(0, 1, 0, 0, 0), false,
      LINEAR_YES },
    { "10 clients on one key, few values, cas", 5, 10000, 10, 1, 5, 0, MIX(2, 1, 0, 3, 0), false,
      LINEAR_YES },
    { "10 clients on one key, all operations", 6, 10000, 10, 1, 5, 0, MIX(3, 2, 0, 2, 1), false,
      LINEAR_YES },
    { "10 clients on one key, appends", 7, 5000, 10, 1, 0, 0, MIX(1, 0, 5, 0, 0), false,
      LINEAR_YES },
    { "10 clients on one key, unknown", 8, 10000, 10, 1, 0, 20000, MIX(2, 1, 0, 1, 0), false,
      LINEAR_YES },
    { "10 clients on one key, unknown, few values", 9, 2000, 10, 1, 5, 10000, MIX(2, 1, 0, 1, 0),
      false, LINEAR_YES },
    { "15 clients on one key", 10, 10000, 15, 1, 0, 0, MIX(1, 1, 0, 0, 0), false, LINEAR_YES },
    { "20 clients on one key", 10, 10000, 20, 1, 0, 0, MIX(1, 1, 0, 0, 0), false, LINEAR_YES },
    { "a stale read among 20000, 10 clients, one key", 11, 20000, 10, 1, 0, 0, MIX(1, 1, 0, 0, 0),
      true, LINEAR_NO },
    { "a stale read among 20000, 20 clients, 5 keys", 12, 20000, 20, 5, 0, 0, MIX(4, 3, 0, 2, 1),
      true, LINEAR_NO },
    { "a stale read among 20000, some unknown", 13, 20000, 20, 5, 0, 5000, MIX(4, 3, 0, 2, 0), true,
      LINEAR_NO },
};

/* --- limits ---------------------------------------------------------------------------------- */

static const struct limit_row {
    const char *name;
    struct linear_limits limits;
    bool contradiction; /* on another, short key */
    enum linear_verdict verdict;
} limit_rows[] = {
    { "too little memory to begin", { 1000, LINEAR_TIMEOUT_NS }, false, LINEAR_UNDECIDED },
    { "too little memory to end", { 3000000, LINEAR_TIMEOUT_NS }, false, LINEAR_UNDECIDED },
    { "no time", { LINEAR_MEMORY_BYTES, 0 }, false, LINEAR_UNDECIDED },
    { "little time", { LINEAR_MEMORY_BYTES, 50 * NS_PER_MS }, false, LINEAR_UNDECIDED },
    { "one key too hard, another wrong", { 100000, LINEAR_TIMEOUT_NS }, true, LINEAR_NO },
};

static void limit_holds(void **state)
{
    static const struct recipe hard = {
        .seed = 10, .operations = 10000, .clients = 40, .keys = 1, .gets = 1, .puts = 1
    };
    const struct limit_row *row = *state;
    struct history history;
    struct linear_result result;
    recipe_make(&hard, &history);
    struct operation wrong = { .op = HISTORY_GET, .key = "short", .output = "air" };
    if (row->contradiction) history_add(&history, &wrong);
    linear_check(&history, &row->limits, &result);
    assert_int_equal(result.verdict, row->verdict);
    assert_string_equal(result.key, row->contradiction ? "short" : "key1");
    free(result.stretch);
    history_free(&history);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(recipes) + COUNT(limit_rows)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(recipes); i++)
        tests[n++] = (struct CMUnitTest){ recipes[i].name, recipe_holds, NULL, NULL,
                                          (void *)(uintptr_t)&recipes[i] };
    for (size_t i = 0; i < COUNT(limit_rows); i++)
        tests[n++] = (struct CMUnitTest){ limit_rows[i].name, limit_holds, NULL, NULL,
                                          (void *)(uintptr_t)&limit_rows[i] };
    return _cmocka_run_group_tests("linear_large", tests, n, NULL, NULL);
}
