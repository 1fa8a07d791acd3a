/* tests/linear_test.c - verdicts: a table by hand, thousands of tiny histories against brute
 * force, and the stretch that a NO shows. Large ones print how long they took. */
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

/* --- histories as a line: "put 1 @1-2; get 1 @3-4"
 * ------------------------------------------------ put V, get V, append V, del [yes|no], cas OLD
 * NEW yes|no; `-` is absent, `''` the empty string. @CALL-RETURN is ok, @CALL-? is unknown,
 * @CALL-RETURN! failed. A word first that ends in / is the key. */

static const char *text_of(const char *word)
{
    if (strcmp(word, "-") == 0) return NULL;
    return strcmp(word, "''") == 0 ? "" : word;
}

static void parse_when(struct operation *operation, const char *word)
{
    char *end;
    assert_int_equal(word[0], '@');
    operation->call_ns = strtoull(word + 1, &end, 10);
    assert_int_equal(*end, '-');
    operation->return_ns = TIME_NEVER;
    operation->status = HISTORY_UNKNOWN;
    if (end[1] == '?') return;
    operation->return_ns = strtoull(end + 1, &end, 10);
    operation->status = *end == '!' ? HISTORY_FAIL : HISTORY_OK;
}

static void parse_operation(struct history *history, char *from)
{
    char *words[8] = { NULL }, *state = NULL;
    size_t count = 0;
    for (char *word = strtok_r(from, " ", &state); word != NULL && count < COUNT(words);
         word = strtok_r(NULL, " ", &state))
        words[count++] = word;
    struct operation operation = { .client = history->count + 1, .key = "k", .op = HISTORY_CAS };
    char **word = words;
    if ((*word)[strlen(*word) - 1] == '/') operation.key = *word++;
    for (uint32_t op = HISTORY_PUT; op <= HISTORY_CAS; op++)
        if (strcmp(*word, history_op_name(op)) == 0) operation.op = (enum history_op)op;
    assert_string_equal(history_op_name(operation.op), *word);
    const char *last = words[count - 2];
    switch (operation.op) {
    case HISTORY_PUT:
    case HISTORY_APPEND: operation.value = text_of(word[1]); break;
    case HISTORY_GET: operation.output = text_of(word[1]); break;
    case HISTORY_DEL: operation.done_known = last != *word; break;
    case HISTORY_CAS:
        operation.expect = text_of(word[1]);
        operation.value = text_of(word[2]);
        break;
    }
    operation.done = strcmp(last, "yes") == 0;
    parse_when(&operation, words[count - 1]);
    assert_int_equal(history_add(history, &operation), ERR_OK);
}

static void parse_history(struct history *history, const char *line)
{
    char copy[1024], *state = NULL;
    assert_true(strlen(line) < sizeof(copy));
    strcpy(copy, line);
    history_init(history);
    for (char *part = strtok_r(copy, ";", &state); part != NULL; part = strtok_r(NULL, ";", &state))
        parse_operation(history, part);
}

/* --- the table
 * ----------------------------------------------------------------------------------- */

static const struct verdict_row {
    const char *name, *history;
    enum linear_verdict verdict;
    const char *stretch; /* of a NO: the operations by number from 1; NULL: all of them */
} verdict_rows[] = {
    { "nothing happened", "", LINEAR_YES, NULL },
    { "a read of an absent key", "get - @1-2", LINEAR_YES, NULL },
    { "a read out of thin air", "get 1 @1-2", LINEAR_NO, NULL },
    { "a read after a write", "put 1 @1-2; get 1 @3-4", LINEAR_YES, NULL },
    { "a lost write", "put 1 @1-2; get - @3-4", LINEAR_NO, NULL },
    { "a stale read", "put 1 @1-2; put 2 @3-4; get 1 @5-6", LINEAR_NO, NULL },
    { "a stale read among others",
      "put 1 @1-2; get 1 @2-3; put 2 @4-5; get 2 @6-7; get 1 @8-9; get 2 @9-10", LINEAR_NO,
      "1 3 5" },
    { "a read beside a write sees the old", "put 1 @1-2; put 2 @3-9; get 1 @4-5", LINEAR_YES,
      NULL },
    { "a read beside a write sees the new", "put 1 @1-2; put 2 @3-9; get 2 @4-5", LINEAR_YES,
      NULL },
    { "new, then old", "put 1 @1-2; put 2 @3-9; get 2 @4-5; get 1 @6-7", LINEAR_NO, "1 2 3 4" },
    { "old, then new", "put 1 @1-2; put 2 @3-9; get 1 @4-5; get 2 @6-7", LINEAR_YES, NULL },
    { "two reads at once may differ", "put 1 @1-2; put 2 @3-9; get 2 @4-7; get 1 @5-8", LINEAR_YES,
      NULL },
    { "a return and a call in one moment are concurrent", "put 1 @1-3; get - @3-4", LINEAR_YES,
      NULL },
    { "a moment later they are not", "put 1 @1-3; get - @4-5", LINEAR_NO, NULL },
    { "writes at once end in one order", "put 1 @1-5; put 2 @1-5; get 1 @6-7; get 2 @8-9",
      LINEAR_NO, NULL },
    { "a write is buried by another", "put 1 @1-5; put 2 @1-5; get 2 @6-7; get 2 @8-9", LINEAR_YES,
      NULL },
    { "a buried write may still be seen", "put 1 @1-9; put 2 @1-3; get 2 @4-5; get 1 @6-7",
      LINEAR_YES, NULL },
    { "but not after its return", "put 1 @1-5; put 2 @1-3; get 2 @6-7; get 1 @8-9", LINEAR_NO,
      NULL },
    { "seen twice, with another between",
      "put 1 @1-20; put 2 @2-3; get 1 @4-5; get 2 @6-7; get 1 @8-9", LINEAR_NO, "1 2 3 4" },
    { "an unknown write took effect", "put 1 @1-?; get 1 @5-6", LINEAR_YES, NULL },
    { "an unknown write had none", "put 1 @1-?; get - @5-6", LINEAR_YES, NULL },
    { "an unknown write takes effect late", "put 1 @1-?; put 2 @3-4; get 2 @5-6; get 1 @7-8",
      LINEAR_YES, NULL },
    { "an unknown write takes effect once",
      "put 1 @1-?; put 2 @3-4; get 1 @5-6; put 2 @7-8; get 1 @9-10", LINEAR_NO, "1 3 4 5" },
    { "two equal unknown writes, twice",
      "put 1 @1-?; put 1 @2-?; put 2 @3-4; get 1 @5-6; put 2 @7-8; "
      "get 1 @9-10",
      LINEAR_YES, NULL },
    { "not before its call", "get 1 @1-2; put 1 @3-?", LINEAR_NO, "1" },
    { "an unknown read says nothing", "put 1 @1-2; get 7 @3-?; get 1 @5-6", LINEAR_YES, NULL },
    { "a failed write had no effect", "put 1 @1-2; put 2 @3-4!; get 1 @5-6", LINEAR_YES, NULL },
    { "a failed write is seen", "put 1 @1-2; put 2 @3-4!; get 2 @5-6", LINEAR_NO, "3" },
    { "del, blind", "put 1 @1-2; del @3-4; get - @5-6", LINEAR_YES, NULL },
    { "a deleted value is seen", "put 1 @1-2; del @3-4; get 1 @5-6", LINEAR_NO, NULL },
    { "del finds nothing", "del no @1-2; put 1 @3-4; del yes @5-6; del no @7-8", LINEAR_YES, NULL },
    { "del finds what is not there", "put 1 @1-2; del yes @3-4; del yes @5-6", LINEAR_NO, NULL },
    { "del misses what is there", "put 1 @1-2; del no @3-4", LINEAR_NO, NULL },
    { "an unknown del explains absence", "put 1 @1-2; del @3-?; get 1 @4-5; get - @6-7", LINEAR_YES,
      NULL },
    { "an unknown del deletes once", "put 1 @1-2; del @3-?; get - @4-5; put 1 @6-7; get - @8-9",
      LINEAR_NO, NULL },
    { "appends add up", "append a @1-2; append b @3-4; get ab @5-6", LINEAR_YES, NULL },
    { "appends keep their order", "append a @1-2; append b @3-4; get ba @5-6", LINEAR_NO, NULL },
    { "appends at once, either order", "append a @1-4; append b @1-4; get ba @5-6", LINEAR_YES,
      NULL },
    { "a lost append", "append a @1-2; append b @3-4; append c @5-6; get ac @7-8", LINEAR_NO,
      NULL },
    { "an append counted twice", "append a @1-2; get aa @3-4", LINEAR_NO, NULL },
    { "an unknown append counts once", "append a @1-?; get aa @3-4", LINEAR_NO, NULL },
    { "an unknown append in the middle",
      "append a @1-?; append b @2-3; get b @4-5; append c @6-7; "
      "get bac @8-9",
      LINEAR_YES, NULL },
    { "different cuts, same content",
      "append ab @1-2; append c @3-4; get abc @5-6; put a @7-8; "
      "append bc @9-10; get abc @11-12",
      LINEAR_YES, NULL },
    { "an empty append makes a key", "append '' @1-2; get '' @3-4", LINEAR_YES, NULL },
    { "empty is not absent", "put '' @1-2; get - @3-4", LINEAR_NO, NULL },
    { "cas replaces", "put 1 @1-2; cas 1 2 yes @3-4; get 2 @5-6", LINEAR_YES, NULL },
    { "cas succeeds on another value", "put 1 @1-2; cas 3 2 yes @3-4", LINEAR_NO, "2" },
    { "cas refuses what is there", "put 1 @1-2; cas 1 2 no @3-4", LINEAR_NO, NULL },
    { "cas refuses another value", "put 1 @1-2; cas 3 2 no @3-4; get 1 @5-6", LINEAR_YES, NULL },
    { "two cas, one winner", "put 1 @1-2; cas 1 2 yes @3-9; cas 1 3 no @3-9; get 2 @10-11",
      LINEAR_YES, NULL },
    { "two cas, two winners", "put 1 @1-2; cas 1 2 yes @3-9; cas 1 3 yes @3-9", LINEAR_NO, NULL },
    { "cas makes a key", "cas - 1 yes @1-2; cas - 2 no @3-4; get 1 @5-6", LINEAR_YES, NULL },
    { "cas never expects an absent key by a string", "cas 1 2 yes @1-2", LINEAR_NO, NULL },
    { "an unknown cas explains a value", "put 1 @1-2; cas 1 2 x @3-?; get 2 @4-5", LINEAR_YES,
      NULL },
    { "an unknown cas without its value", "put 1 @1-2; cas 3 2 x @3-?; get 2 @4-5", LINEAR_NO,
      "2 3" },
    { "an unseen unknown write explains a refusal", "put 1 @1-2; put 9 @3-?; cas 1 2 no @4-5",
      LINEAR_YES, NULL },
    { "but only from its call on", "put 1 @1-2; cas 1 2 no @3-4; put 9 @5-?", LINEAR_NO, "1 2" },
    { "a chain of cas at once",
      "put 0 @1-2; cas 2 3 yes @3-9; cas 1 2 yes @3-9; cas 0 1 yes @3-9; get 3 @10-11", LINEAR_YES,
      NULL },
    { "a chain of cas with a link too late", "put 0 @1-2; cas 1 2 yes @3-5; cas 0 1 yes @6-9",
      LINEAR_NO, "2" },
    { "keys are independent", "a/ put 1 @1-2; b/ get - @3-4; a/ get 1 @5-6", LINEAR_YES, NULL },
    { "the wrong key is found", "a/ put 1 @1-2; b/ put 2 @1-2; a/ get 1 @5-6; b/ get 1 @5-6",
      LINEAR_NO, "4" },
};

static bool in_stretch(const char *stretch, size_t number)
{
    for (char *end; stretch != NULL && *stretch != '\0'; stretch = end)
        if (strtoull(stretch, &end, 10) == number) return true;
    return stretch == NULL;
}

static void verdict_holds(void **state)
{
    const struct verdict_row *row = *state;
    struct history history;
    struct linear_result result;
    parse_history(&history, row->history);
    linear_check(&history, &plenty, &result);
    assert_int_equal(result.verdict, row->verdict);
    if (result.verdict == LINEAR_NO) {
        size_t next = 0;
        for (size_t i = 0; i < history.count; i++) {
            bool shown = next < result.stretch_count && result.stretch[next] == i;
            next += shown;
            assert_int_equal(shown, in_stretch(row->stretch, i + 1));
        }
    }
    free(result.stretch);
    history_free(&history);
}

/* --- brute force
 * ---------------------------------------------------------------------------------- */

#define TINY_MAX 7
#define TINY_BYTES 64

/* Do one operation on a register of text; NULL is absent. False: it could not have answered so. */
static bool do_one(const struct operation *o, const char *before, char after[TINY_BYTES],
                   bool *absent)
{
    bool known = o->status == HISTORY_OK;
    *absent = before == NULL;
    after[0] = '\0';
    if (before != NULL) strcpy(after, before);
    bool equal =
        before == NULL ? o->expect == NULL : o->expect != NULL && strcmp(before, o->expect) == 0;
    switch (o->op) {
    case HISTORY_PUT: strcpy(after, o->value); break;
    case HISTORY_APPEND: strcat(after, o->value); break;
    case HISTORY_GET:
        if (!known) return true;
        return before == NULL ? o->output == NULL
                              : o->output != NULL && strcmp(before, o->output) == 0;
    case HISTORY_DEL:
        if (known && o->done_known && o->done != (before != NULL)) return false;
        *absent = true;
        return true;
    case HISTORY_CAS:
        if (known && o->done != equal) return false;
        if (!equal) return true;
        strcpy(after, o->value);
        break;
    }
    *absent = false;
    return true;
}

/* Try each operation that may come next. `left`: bit per operation that has not happened. */
static bool brute(const struct history *history, uint32_t left, const char *before)
{
    uint64_t first_return = TIME_NEVER;
    bool must = false;
    for (size_t i = 0; i < history->count; i++) {
        const struct operation *o = &history->operations[i];
        if ((left >> i & 1) == 0 || o->status != HISTORY_OK) continue;
        must = true;
        first_return = MIN_OF(first_return, o->return_ns);
    }
    if (!must) return true;
    for (size_t i = 0; i < history->count; i++) {
        const struct operation *o = &history->operations[i];
        char after[TINY_BYTES];
        bool absent;
        if ((left >> i & 1) == 0 || o->status == HISTORY_FAIL || o->call_ns > first_return)
            continue;
        if (!do_one(o, before, after, &absent)) continue;
        if (brute(history, left & ~(1u << i), absent ? NULL : after)) return true;
    }
    return false;
}

/* Random operations on one key, of clients that overlap a lot, with answers that are often
 * possible. */
static void tiny_history(struct history *history, struct rng *rng)
{
    static const char *const values[] = { "a", "b", "ab", "", "ba", "c" };
    uint64_t choice = rng_range(rng, 2, COUNT(values)), span = rng_range(rng, 3, 30);
    uint64_t ops =
        rng_range(rng, 0, 3); /* registers alone, with appends, with cas and del, or all */
    history_init(history);
    for (uint64_t n = rng_range(rng, 2, TINY_MAX); n > 0; n--) {
        struct operation o = { .client = n, .key = "k" };
        enum history_op all[] = { HISTORY_PUT,    HISTORY_GET, HISTORY_GET,
                                  HISTORY_APPEND, HISTORY_CAS, HISTORY_DEL };
        o.op = all[rng_range(rng, 0, 5)];
        if (o.op == HISTORY_APPEND && ops != 1 && ops != 3) o.op = HISTORY_PUT;
        if ((o.op == HISTORY_CAS || o.op == HISTORY_DEL) && ops < 2) o.op = HISTORY_GET;
        o.call_ns = rng_range(rng, 0, span);
        o.return_ns = o.call_ns + rng_range(rng, 0, 8);
        o.status = rng_chance(rng, 250000) ? HISTORY_UNKNOWN : HISTORY_OK;
        if (rng_chance(rng, 50000)) o.status = HISTORY_FAIL;
        const char *value = values[rng_range(rng, 0, choice - 1)];
        if (o.op != HISTORY_GET && o.op != HISTORY_DEL) o.value = value;
        if (o.op == HISTORY_GET && o.status == HISTORY_OK)
            o.output = rng_chance(rng, 150000) ? NULL : value;
        if (o.op == HISTORY_CAS && !rng_chance(rng, 200000))
            o.expect = values[rng_range(rng, 0, choice - 1)];
        o.done_known = o.op == HISTORY_DEL && rng_chance(rng, 500000);
        o.done = (o.op == HISTORY_CAS || o.done_known) && rng_chance(rng, 500000);
        assert_int_equal(history_add(history, &o), ERR_OK);
    }
}

static void show(const struct history *history)
{
    for (size_t i = 0; i < history->count; i++) history_write(stderr, &history->operations[i]);
}

static void tiny_histories_agree_with_brute_force(void **state)
{
    UNUSED(state);
    size_t verdicts[3] = { 0 };
    const char *rounds = getenv("ROUNDS");
    uint64_t count = rounds != NULL ? strtoull(rounds, NULL, 10) : 30000;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct rng rng;
        struct history history, stretch;
        struct linear_result result;
        rng_seed(&rng, seed, 0, 0);
        tiny_history(&history, &rng);
        bool explained = brute(&history, (1u << history.count) - 1, NULL);
        linear_check(&history, &plenty, &result);
        verdicts[result.verdict]++;
        if (result.verdict != (explained ? LINEAR_YES : LINEAR_NO)) {
            fprintf(stderr, "seed %" PRIu64 ": brute force says %d\n", seed, explained);
            show(&history);
        }
        assert_int_equal(result.verdict, explained ? LINEAR_YES : LINEAR_NO);
        history_init(&stretch); /* (Z3) */
        for (size_t i = 0; i < result.stretch_count; i++)
            history_add(&stretch, &history.operations[result.stretch[i]]);
        if (!explained) assert_false(brute(&stretch, (1u << stretch.count) - 1, NULL));
        free(result.stretch);
        history_free(&stretch);
        history_free(&history);
    }
    assert_true(verdicts[LINEAR_YES] > count / 5);
    assert_true(verdicts[LINEAR_NO] > count / 5);
}

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
    static struct CMUnitTest tests[COUNT(verdict_rows) + COUNT(recipes) + COUNT(limit_rows) + 1] = {
        cmocka_unit_test(tiny_histories_agree_with_brute_force),
    };
    size_t n = 1;
    for (size_t i = 0; i < COUNT(verdict_rows); i++)
        tests[n++] = (struct CMUnitTest){ verdict_rows[i].name, verdict_holds, NULL, NULL,
                                          (void *)(uintptr_t)&verdict_rows[i] };
    for (size_t i = 0; i < COUNT(recipes); i++)
        tests[n++] = (struct CMUnitTest){ recipes[i].name, recipe_holds, NULL, NULL,
                                          (void *)(uintptr_t)&recipes[i] };
    for (size_t i = 0; i < COUNT(limit_rows); i++)
        tests[n++] = (struct CMUnitTest){ limit_rows[i].name, limit_holds, NULL, NULL,
                                          (void *)(uintptr_t)&limit_rows[i] };
    return _cmocka_run_group_tests("linear", tests, n, NULL, NULL);
}
