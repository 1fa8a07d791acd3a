/* tests/linear_large_test.c - histories of a store that works, and of one that is wrong once: the
 * verdict, the stretch, how long it took (printed, not judged), and what limits do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct linear_limits plenty = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS };

/* --- histories of a store that works
 * ------------------------------------------------------------- */

struct recipe {
    const char *name;
    uint64_t seed, operations, clients, keys;
    uint64_t values;                         /* different ones; 0: each write has its own */
    uint32_t unknown_ppm;                    /* of them, half take effect */
    uint32_t gets, puts, appends, cas, dels; /* weights */
    bool stale; /* one read late in the history sees a value long overwritten */
    enum linear_verdict verdict;
};

/* An operation and the moment when the store does it. */
struct planned {
    struct operation operation;
    uint64_t effect_ns;
    char key[16], value[24], expect[24];
    bool happens;
};

static int by_effect(const void *a, const void *b)
{
    const struct planned *left = a, *right = b;
    if (left->effect_ns != right->effect_ns) return left->effect_ns < right->effect_ns ? -1 : 1;
    return left->operation.client < right->operation.client ? -1 : 1;
}

static void random_value(char *text, const struct recipe *recipe, struct rng *rng, uint64_t number)
{
    if (recipe->values > 0) number = rng_range(rng, 1, recipe->values);
    snprintf(text, 24, "v%" PRIu64 ".", number);
}

static struct planned *plan_all(const struct recipe *recipe, struct rng *rng)
{
    struct planned *all = calloc(recipe->operations, sizeof(*all));
    uint64_t *free_ns = calloc(recipe->clients, sizeof(*free_ns));
    uint32_t weights[] = { recipe->puts, recipe->gets, recipe->dels, recipe->appends, recipe->cas };
    uint32_t sum = recipe->puts + recipe->gets + recipe->dels + recipe->appends + recipe->cas;
    assert_non_null(all);
    assert_non_null(free_ns);
    for (uint64_t i = 0; i < recipe->operations; i++) {
        struct planned *planned = &all[i];
        struct operation *o = &planned->operation;
        uint64_t client = i % recipe->clients, op = 0;
        for (uint64_t draw = rng_range(rng, 0, sum - 1); draw >= weights[op]; op++)
            draw -= weights[op];
        o->client = client + 1;
        o->op = (enum history_op)op;
        o->call_ns = free_ns[client] + rng_range(rng, 1, 100);
        planned->effect_ns = o->call_ns + rng_range(rng, 1, 1000);
        o->return_ns = planned->effect_ns + rng_range(rng, 1, 1000);
        free_ns[client] = o->return_ns;
        planned->happens = true;
        if (rng_chance(rng, recipe->unknown_ppm)) {
            o->status = HISTORY_UNKNOWN;
            planned->happens = rng_chance(rng, PPM / 2);
            planned->effect_ns += rng_range(rng, 0, 5000);
        }
        snprintf(planned->key, sizeof(planned->key), "key%" PRIu64,
                 rng_range(rng, 1, recipe->keys));
        random_value(planned->value, recipe, rng, i + 1);
        random_value(planned->expect, recipe, rng, rng_range(rng, 1, i + 1));
    }
    free(free_ns);
    qsort(all, recipe->operations, sizeof(*all), by_effect);
    return all;
}

/* One key of the store. */
struct cell {
    char key[16];
    char *value; /* NULL: absent */
};

static void cell_set(struct cell *cell, const char *head, const char *tail)
{
    char *value = NULL;
    assert_true(asprintf(&value, "%s%s", head, tail) >= 0);
    free(cell->value);
    cell->value = value;
}

static void cell_do(struct cell *cell, struct planned *planned, struct rng *rng)
{
    struct operation *o = &planned->operation;
    switch (o->op) {
    case HISTORY_GET: o->output = cell->value; break;
    case HISTORY_PUT: cell_set(cell, planned->value, ""); break;
    case HISTORY_APPEND:
        cell_set(cell, cell->value != NULL ? cell->value : "", planned->value);
        break;
    case HISTORY_DEL:
        o->done = cell->value != NULL;
        o->done_known = rng_chance(rng, PPM / 2);
        free(cell->value);
        cell->value = NULL;
        break;
    case HISTORY_CAS: /* half of them know what is there: it does not matter how */
        if (cell->value != NULL && strlen(cell->value) < 24 && rng_chance(rng, PPM / 2))
            strcpy(planned->expect, cell->value);
        o->done = cell->value != NULL && strcmp(cell->value, planned->expect) == 0;
        if (o->done) cell_set(cell, planned->value, "");
        break;
    }
}

/* Give a get of the last quarter what a put of the first half of its key wrote. Values are unique,
 * so that is never right. */
static void plant_stale_read(struct history *history)
{
    for (size_t i = history->count / 4 * 3; i < history->count; i++) {
        struct operation *get = &history->operations[i];
        if (get->op != HISTORY_GET || get->status != HISTORY_OK) continue;
        for (size_t j = history->count / 2; j > 0; j--) {
            const struct operation *put = &history->operations[j - 1];
            if (put->op != HISTORY_PUT || put->status != HISTORY_OK || put->key != get->key)
                continue;
            get->output = put->value;
            return;
        }
    }
    fail_msg("no place for a stale read");
}

static void make_history(struct history *history, const struct recipe *recipe)
{
    struct rng rng;
    rng_seed(&rng, recipe->seed, 1, 1);
    struct planned *all = plan_all(recipe, &rng);
    struct cell *cells = calloc(recipe->keys, sizeof(*cells));
    assert_non_null(cells);
    history_init(history);
    for (uint64_t i = 0; i < recipe->operations; i++) {
        struct planned *planned = &all[i];
        struct operation *o = &planned->operation;
        struct cell *cell = &cells[strtoull(planned->key + 3, NULL, 10) - 1];
        if (planned->happens) cell_do(cell, planned, &rng);
        o->key = planned->key;
        if (o->op != HISTORY_GET && o->op != HISTORY_DEL) o->value = planned->value;
        if (o->op == HISTORY_CAS) o->expect = planned->expect;
        if (o->status == HISTORY_UNKNOWN) {
            o->output = NULL;
            o->done = o->done_known = false;
        }
        assert_int_equal(history_add(history, o), ERR_OK);
    }
    if (recipe->stale) plant_stale_read(history);
    for (uint64_t i = 0; i < recipe->keys; i++) free(cells[i].value);
    free(cells);
    free(all);
}

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
    make_history(&history, recipe);
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
    make_history(&history, &hard);
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
