/* tests/kv_test.c - the key-value store: what commands answer, and that retries are harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "node/kv.h"
#include "tests/harness/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables: one conversation a row ---- */

/* Apply a command of texts; its answer as text: "yes", "no", "=VALUE", "stale", "too large". */
static const char *say(struct kv *kv, uint64_t client, uint64_t sequence, enum kv_op op,
                       const char *key, const char *value, const char *expected)
{
    static char text[64];
    struct kv_command command = { .client = client,
                                  .sequence = sequence,
                                  .op = op,
                                  .key = (const uint8_t *)key,
                                  .key_bytes = (uint32_t)strlen(key),
                                  .value = (const uint8_t *)value,
                                  .value_bytes = value == NULL ? 0 : (uint32_t)strlen(value),
                                  .expected = (const uint8_t *)expected,
                                  .expected_bytes =
                                      expected == NULL ? 0 : (uint32_t)strlen(expected) };
    uint8_t bytes[256];
    size_t length = kv_encode(&command, bytes, sizeof(bytes));
    struct kv_answer answer;
    err_t err = kv_apply(kv, bytes, length, &answer);
    if (err == ERR_TOO_LARGE) return "too large";
    if (err != ERR_OK) return err_text(err);
    if (answer.stale) return "stale";
    if (op != KV_GET || !answer.found) return answer.found ? "yes" : "no";
    snprintf(text, sizeof(text), "=%.*s", (int)answer.value_bytes, (const char *)answer.value);
    return text;
}

struct step {
    uint64_t client, sequence;
    enum kv_op op;
    const char *key, *value, *expected, *answer; /* answer NULL: the end */
};
static struct row {
    const char *name;
    struct step steps[10];
} rows[] = {
    { "put replaces",
      { { 0, 0, KV_PUT, "a", "1", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=1" },
        { 0, 0, KV_PUT, "a", "22", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=22" },
        { 0, 0, KV_GET, "b", NULL, NULL, "no" } } },
    { "del tells whether the key existed",
      { { 0, 0, KV_DEL, "a", NULL, NULL, "no" },
        { 0, 0, KV_PUT, "a", "1", NULL, "yes" },
        { 0, 0, KV_DEL, "a", NULL, NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "no" },
        { 0, 0, KV_DEL, "a", NULL, NULL, "no" } } },
    { "append makes a key, then grows it",
      { { 0, 0, KV_APPEND, "a", "x", NULL, "yes" },
        { 0, 0, KV_APPEND, "a", "yz", NULL, "yes" },
        { 0, 0, KV_APPEND, "a", "", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=xyz" } } },
    { "cas replaces what it expects",
      { { 0, 0, KV_PUT, "a", "1", NULL, "yes" },
        { 0, 0, KV_CAS, "a", "2", "1", "yes" },
        { 0, 0, KV_CAS, "a", "3", "1", "no" },
        { 0, 0, KV_CAS, "a", "3", "", "no" },
        { 0, 0, KV_CAS, "a", "3", "22", "no" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=2" } } },
    { "cas does not replace an absent key",
      { { 0, 0, KV_CAS, "a", "1", "", "no" }, { 0, 0, KV_GET, "a", NULL, NULL, "no" } } },
    { "an empty value is not an absent one",
      { { 0, 0, KV_PUT, "a", "", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=" },
        { 0, 0, KV_CAS, "a", "1", "", "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=1" } } },
    { "an empty key is a key",
      { { 0, 0, KV_PUT, "", "1", NULL, "yes" },
        { 0, 0, KV_GET, "", NULL, NULL, "=1" },
        { 0, 0, KV_DEL, "", NULL, NULL, "yes" } } },
    { "a retry is not applied again",
      { { 7, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 7, 2, KV_APPEND, "a", "y", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=xy" } } },
    { "a retry gets the first answer",
      { { 7, 1, KV_PUT, "a", "1", NULL, "yes" },
        { 7, 2, KV_DEL, "a", NULL, NULL, "yes" },
        { 7, 3, KV_CAS, "a", "2", "1", "no" },
        { 0, 0, KV_PUT, "a", "1", NULL, "yes" },
        { 7, 2, KV_DEL, "a", NULL, NULL, "yes" },
        { 7, 3, KV_CAS, "a", "2", "1", "no" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=1" } } },
    { "clients do not share sequences",
      { { 7, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 8, 1, KV_APPEND, "a", "y", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=xy" } } },
    { "without a session all is applied",
      { { 0, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 0, 1, KV_APPEND, "a", "x", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=xx" } } },
    { "sequences may come in any order",
      { { 7, 3, KV_APPEND, "a", "3", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "1", NULL, "yes" },
        { 7, 2, KV_APPEND, "a", "2", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "1", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=312" } } },
    { "the window ends KV_WINDOW before the newest",
      { { 7, KV_WINDOW + 1, KV_APPEND, "a", "n", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "1", NULL, "stale" },
        { 7, 2, KV_APPEND, "a", "2", NULL, "yes" },
        { 7, KV_WINDOW + 2, KV_APPEND, "a", "m", NULL, "yes" },
        { 7, 2, KV_APPEND, "a", "2", NULL, "stale" },
        { 7, 3, KV_APPEND, "a", "3", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=n2m3" } } },
    { "a far jump forgets all",
      { { 7, 1, KV_APPEND, "a", "1", NULL, "yes" },
        { 7, UINT64_MAX, KV_APPEND, "a", "n", NULL, "yes" },
        { 7, 1, KV_APPEND, "a", "1", NULL, "stale" },
        { 7, UINT64_MAX, KV_APPEND, "a", "n", NULL, "yes" },
        { 7, UINT64_MAX - 1, KV_APPEND, "a", "m", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=1nm" } } },
    { "a slot that is used again has not been applied",
      { { 7, 5, KV_APPEND, "a", "1", NULL, "yes" },
        { 7, KV_WINDOW + 6, KV_APPEND, "a", "2", NULL, "yes" },
        { 7, KV_WINDOW + 5, KV_APPEND, "a", "3", NULL, "yes" },
        { 7, KV_WINDOW + 5, KV_APPEND, "a", "3", NULL, "yes" },
        { 0, 0, KV_GET, "a", NULL, NULL, "=123" } } },
    { "a get is read again, and moves no window",
      { { 7, 1, KV_PUT, "a", "1", NULL, "yes" },
        { 7, 9999, KV_GET, "a", NULL, NULL, "=1" },
        { 7, 2, KV_PUT, "a", "2", NULL, "yes" },
        { 7, 9999, KV_GET, "a", NULL, NULL, "=2" },
        { 7, 1, KV_GET, "a", NULL, NULL, "=2" } } },
    { "sequence 0 is none",
      { { 7, 0, KV_PUT, "a", "1", NULL, "bytes make no sense" },
        { 0, 0, KV_GET, "a", NULL, NULL, "no" } } },
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    struct kv *kv = kv_new();
    for (const struct step *step = row->steps; step->answer != NULL; step++) {
        const char *answer =
            say(kv, step->client, step->sequence, step->op, step->key, step->value, step->expected);
        assert_string_equal(answer, step->answer);
    }
    kv_free(kv);
}

/* ---- sizes ---- */

static err_t apply_sized(struct kv *kv, uint64_t client, uint64_t sequence, enum kv_op op,
                         size_t value_bytes)
{
    uint8_t *value = calloc(1, value_bytes + 1);
    struct kv_command command = { .client = client,
                                  .sequence = sequence,
                                  .op = op,
                                  .key = (const uint8_t *)"k",
                                  .key_bytes = 1,
                                  .value = value,
                                  .value_bytes = (uint32_t)value_bytes };
    size_t size = kv_encoded_bytes(&command);
    uint8_t *bytes = malloc(size);
    kv_encode(&command, bytes, size);
    struct kv_answer answer;
    err_t err = kv_apply(kv, bytes, size, &answer);
    free(bytes);
    free(value);
    return err;
}

static void value_stays_within_its_limit(void **state)
{
    UNUSED(state);
    struct kv *kv = kv_new();
    assert_int_equal(apply_sized(kv, 0, 0, KV_PUT, KV_VALUE_MAX), ERR_OK);
    assert_int_equal(apply_sized(kv, 0, 0, KV_PUT, KV_VALUE_MAX + 1), ERR_TOO_LARGE);
    assert_int_equal(apply_sized(kv, 0, 0, KV_APPEND, 1), ERR_TOO_LARGE);
    assert_int_equal(apply_sized(kv, 0, 0, KV_APPEND, 0), ERR_OK);
    assert_int_equal(apply_sized(kv, 0, 0, KV_PUT, 1), ERR_OK);
    for (size_t bytes = 1; bytes < KV_VALUE_MAX; bytes++)
        assert_int_equal(apply_sized(kv, 0, 0, KV_APPEND, 1), ERR_OK);
    assert_int_equal(apply_sized(kv, 0, 0, KV_APPEND, 1), ERR_TOO_LARGE);
    kv_free(kv);
}

/* A client that was told "too large" must not see it happen after all when a copy comes later. */
static void refusal_is_remembered(void **state)
{
    UNUSED(state);
    struct kv *kv = kv_new();
    assert_int_equal(apply_sized(kv, 0, 0, KV_PUT, KV_VALUE_MAX), ERR_OK);
    assert_int_equal(apply_sized(kv, 7, 1, KV_APPEND, 1), ERR_TOO_LARGE);
    assert_int_equal(apply_sized(kv, 0, 0, KV_DEL, 0), ERR_OK);
    assert_int_equal(apply_sized(kv, 7, 1, KV_APPEND, 1), ERR_TOO_LARGE);
    assert_int_equal(kv_count(kv), 0);
    kv_free(kv);
}

/* ---- against a model ---- */

enum { KEYS = 6, CLIENTS = 3, SEQUENCES = 20000, VALUE_BYTES = 24 };
struct model {
    bool present[KEYS];
    char value[KEYS][VALUE_BYTES];
    uint64_t newest[CLIENTS + 1];
    char answers[CLIENTS + 1][SEQUENCES]; /* 0: not applied */
    bool forgets;                         /* planted fault: no sessions */
    bool no_window;                       /* planted fault: nothing is ever stale */
};
struct drawn {
    uint64_t client, sequence;
    enum kv_op op;
    int key;
    char value[4], expected[4];
};

static bool model_change(struct model *m, const struct drawn *d)
{
    char *value = m->value[d->key];
    bool present = m->present[d->key];
    if (d->op == KV_DEL) {
        m->present[d->key] = false;
        return present;
    }
    if (d->op == KV_CAS && (!present || strcmp(value, d->expected) != 0)) return false;
    m->present[d->key] = true;
    if (d->op != KV_APPEND || !present) value[0] = '\0';
    strcat(value, d->value);
    return true;
}

static const char *model_say(struct model *m, const struct drawn *d)
{
    static char text[VALUE_BYTES + 1];
    if (d->op == KV_GET) {
        if (!m->present[d->key]) return "no";
        snprintf(text, sizeof(text), "=%s", m->value[d->key]);
        return text;
    }
    if (d->client == 0 || m->forgets) return model_change(m, d) ? "yes" : "no";
    if (d->sequence > m->newest[d->client]) m->newest[d->client] = d->sequence;
    if (m->newest[d->client] - d->sequence >= KV_WINDOW && !m->no_window) return "stale";
    char *answer = &m->answers[d->client][d->sequence];
    if (*answer == '\0') *answer = model_change(m, d) ? 'y' : 'n';
    return *answer == 'y' ? "yes" : "no";
}

static void draw(struct rng *rng, uint64_t *newest, const struct model *m, struct drawn *d)
{
    *d = (struct drawn){ .client = rng_range(rng, 0, CLIENTS),
                         .op = (enum kv_op)rng_range(rng, 0, KV_OP_COUNT - 1),
                         .key = (int)rng_range(rng, 0, KEYS - 1) };
    uint64_t back = rng_chance(rng, 50000) ? 2 * KV_WINDOW : 8; /* mostly a near retry */
    uint64_t *top = &newest[d->client];
    if (rng_chance(rng, 500000)) *top += rng_range(rng, 1, rng_chance(rng, 10000) ? 2000 : 3);
    if (*top >= SEQUENCES) *top = SEQUENCES - 1;
    d->sequence = *top < 2 ? 1 : *top - rng_range(rng, 0, MIN_OF(back, *top - 1));
    snprintf(d->value, sizeof(d->value), "%u", (unsigned)rng_range(rng, 0, 12));
    snprintf(d->expected, sizeof(d->expected), "%u", (unsigned)rng_range(rng, 0, 12));
    if (d->op == KV_APPEND && strlen(m->value[d->key]) > VALUE_BYTES - 4) d->op = KV_PUT;
}

/* Step at which the store and the model answer differently; 0: never. */
static int divergence(uint64_t seed, bool forgets, bool no_window)
{
    struct model *m = calloc(1, sizeof(*m));
    m->forgets = forgets;
    m->no_window = no_window;
    struct kv *kv = kv_new();
    struct rng rng;
    rng_seed(&rng, seed, 0, 0);
    uint64_t newest[CLIENTS + 1] = { 0 };
    int at = 0;
    for (int i = 1; i <= 30000 && at == 0; i++) {
        struct drawn d;
        draw(&rng, newest, m, &d);
        char key[4];
        snprintf(key, sizeof(key), "k%d", d.key);
        const char *answer = say(kv, d.client, d.sequence, d.op, key, d.value, d.expected);
        if (strcmp(answer, model_say(m, &d)) != 0) at = i;
    }
    kv_free(kv);
    free(m);
    return at;
}

static void store_does_as_the_model(void **state)
{
    UNUSED(state);
    for (uint64_t seed = 1; seed <= 20; seed++) assert_int_equal(divergence(seed, false, false), 0);
    assert_int_not_equal(divergence(1, true, false), 0);
    assert_int_not_equal(divergence(1, false, true), 0);
}

/* ---- any bytes ---- */

enum { BYTES_MAX = 64 };

/* One entry: mostly a command, mostly sound, with a few keys and clients so that they meet. */
static size_t random_entry(struct rng *rng, uint8_t bytes[BYTES_MAX])
{
    uint8_t noise[BYTES_MAX];
    for (size_t i = 0; i < sizeof(noise); i++) noise[i] = (uint8_t)rng_range(rng, 0, 3);
    struct kv_command command = { .client = rng_range(rng, 0, 2),
                                  .sequence = rng_range(rng, 1, 2 * KV_WINDOW),
                                  .op = (uint32_t)rng_range(rng, 0, KV_OP_COUNT - 1),
                                  .key = noise,
                                  .key_bytes = (uint32_t)rng_range(rng, 0, 2),
                                  .value = noise + 8,
                                  .value_bytes = (uint32_t)rng_range(rng, 0, 8),
                                  .expected = noise + 16,
                                  .expected_bytes = (uint32_t)rng_range(rng, 0, 2) };
    size_t length = kv_encode(&command, bytes, BYTES_MAX);
    if (rng_chance(rng, 300000)) bytes[rng_range(rng, 0, length - 1)] ^= (uint8_t)rng_next(rng);
    if (rng_chance(rng, 100000)) memset(bytes + 20, 0xff, rng_range(rng, 1, 12)); /* lengths */
    if (rng_chance(rng, 100000)) length = rng_range(rng, 0, length);
    return length;
}

/* Apply an entry from memory that ends where the entry ends, so that AddressSanitizer sees more. */
static uint64_t apply_tight(struct kv *kv, const uint8_t *bytes, size_t length, err_t *err)
{
    uint8_t *tight = malloc(length + (length == 0));
    memcpy(tight, bytes, length);
    struct kv_answer answer;
    *err = kv_apply(kv, tight, length, &answer);
    char text[32];
    assert_true(kv_text(tight, length, text, 1 + length % sizeof(text)) < sizeof(text));
    free(tight);
    uint64_t digest = (uint64_t)*err << 8 | answer.found << 1 | answer.stale;
    for (uint32_t i = 0; i < answer.value_bytes; i++) digest = digest * 31 + answer.value[i];
    return digest;
}

static void any_bytes_do_no_harm(void **state)
{
    UNUSED(state);
    struct kv *all = kv_new(), *sound = kv_new(), *lossy = kv_new();
    struct rng rng;
    rng_seed(&rng, 1, 2, 3);
    uint64_t corrupt = 0, differences = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[BYTES_MAX];
        size_t length = random_entry(&rng, bytes);
        err_t err, other;
        uint64_t digest = apply_tight(all, bytes, length, &err);
        if (err == ERR_CORRUPT) corrupt++; /* the second store does not see these (K3) */
        else assert_int_equal(apply_tight(sound, bytes, length, &other), digest); /* (K1) */
        if (i % 100 != 0) differences += apply_tight(lossy, bytes, length, &other) != digest;
    }
    assert_int_equal(kv_count(all), kv_count(sound));
    assert_true(corrupt > 1000);
    assert_true(differences > 0); /* a store that misses entries is found out */
    kv_free(all);
    kv_free(sound);
    kv_free(lossy);
}

static void decode_gives_what_was_encoded(void **state)
{
    UNUSED(state);
    struct kv_command command = { 1,
                                  2,
                                  KV_CAS,
                                  3,
                                  4,
                                  5,
                                  (const uint8_t *)"key",
                                  (const uint8_t *)"val\0",
                                  (const uint8_t *)"expec" };
    uint8_t bytes[64];
    size_t length = kv_encode(&command, bytes, sizeof(bytes));
    assert_int_equal(length, kv_encoded_bytes(&command));
    struct kv_command decoded;
    assert_int_equal(kv_decode(bytes, length, &decoded), ERR_OK);
    assert_true(decoded.client == 1 && decoded.sequence == 2 && decoded.op == KV_CAS);
    assert_true(decoded.key_bytes == 3 && memcmp(decoded.key, "key", 3) == 0);
    assert_true(decoded.value_bytes == 4 && memcmp(decoded.value, "val", 4) == 0);
    assert_true(decoded.expected_bytes == 5 && memcmp(decoded.expected, "expec", 5) == 0);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(kv_decode(bytes, cut, &decoded), ERR_CORRUPT);
    assert_int_equal(kv_decode(bytes, length + 1, &decoded), ERR_CORRUPT);
}

/* ---- for people ---- */

static struct text_row {
    const char *name;
    enum kv_op op;
    const char *key, *value, *expected;
    size_t size;
    const char *text;
} text_rows[] = {
    { "text of a put", KV_PUT, "k", "v", "", 99, "put k v" },
    { "text of a get", KV_GET, "k", "", "", 99, "get k" },
    { "text of a del", KV_DEL, "k", "", "", 99, "del k" },
    { "text of an append", KV_APPEND, "k", "more", "", 99, "append k more" },
    { "text of a cas", KV_CAS, "k", "new", "old", 99, "cas k old new" },
    { "text shows bytes", KV_PUT, "\x01\n", "\xff\"\\", "", 99, "put \\x01\\x0a \\xff\\x22\\x5c" },
    { "text quotes what is not one word", KV_PUT, "", "a b", "", 99, "put \"\" \"a b\"" },
    { "text is cut to its room", KV_PUT, "key", "value", "", 10, "put key v" },
    { "text of no room", KV_PUT, "key", "value", "", 1, "" },
};

static void text_row_holds(void **state)
{
    const struct text_row *row = *state;
    struct kv_command command = { 1,
                                  1,
                                  row->op,
                                  (uint32_t)strlen(row->key),
                                  (uint32_t)strlen(row->value),
                                  (uint32_t)strlen(row->expected),
                                  (const uint8_t *)row->key,
                                  (const uint8_t *)row->value,
                                  (const uint8_t *)row->expected };
    uint8_t bytes[128];
    char text[100];
    size_t length = kv_encode(&command, bytes, sizeof(bytes));
    assert_int_equal(kv_text(bytes, length, text, row->size), strlen(row->text));
    assert_string_equal(text, row->text);
}

static void text_of_no_command(void **state)
{
    UNUSED(state);
    char text[100];
    kv_text((const uint8_t *)"hello", 5, text, sizeof(text));
    assert_string_equal(text, "5 bytes that are no command");
}

int main(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) group_add(rows[i].name, row_holds, &rows[i]);
    group_add("a value stays within its limit", value_stays_within_its_limit, NULL);
    group_add("a refusal is remembered", refusal_is_remembered, NULL);
    group_add("the store does as the model", store_does_as_the_model, NULL);
    group_add("any bytes do no harm", any_bytes_do_no_harm, NULL);
    group_add("decode gives what was encoded", decode_gives_what_was_encoded, NULL);
    for (size_t i = 0; i < COUNT(text_rows); i++)
        group_add(text_rows[i].name, text_row_holds, &text_rows[i]);
    group_add("text of no command", text_of_no_command, NULL);
    return group_run("kv");
}
