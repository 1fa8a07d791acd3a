/* tests/linear_test.c - verdicts: a table by hand, and thousands of tiny histories against brute
 * force. Large ones are in tests/linear_large_test.c. */
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

int main(void)
{
    static struct CMUnitTest tests[COUNT(verdict_rows) + 1] = {
        cmocka_unit_test(tiny_histories_agree_with_brute_force),
    };
    size_t n = 1;
    for (size_t i = 0; i < COUNT(verdict_rows); i++)
        tests[n++] = (struct CMUnitTest){ verdict_rows[i].name, verdict_holds, NULL, NULL,
                                          (void *)(uintptr_t)&verdict_rows[i] };
    return _cmocka_run_group_tests("linear", tests, n, NULL, NULL);
}
