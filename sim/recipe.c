/* sim/recipe.c - plan all operations in time, then let the store do them in the order of effect. */
#include "sim/recipe.h"

#include "base/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    CHECK(all != NULL);
    CHECK(free_ns != NULL);
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
    CHECK(asprintf(&value, "%s%s", head, tail) >= 0);
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
            snprintf(planned->expect, sizeof(planned->expect), "%s", cell->value);
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
    CHECK(false); /* no place for a stale read */
}

void recipe_make(const struct recipe *recipe, struct history *history)
{
    struct rng rng;
    rng_seed(&rng, recipe->seed, 1, 1);
    struct planned *all = plan_all(recipe, &rng);
    struct cell *cells = calloc(recipe->keys, sizeof(*cells));
    CHECK(cells != NULL);
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
        CHECK(history_add(history, o) == ERR_OK);
    }
    if (recipe->stale) plant_stale_read(history);
    for (uint64_t i = 0; i < recipe->keys; i++) free(cells[i].value);
    free(cells);
    free(all);
}
