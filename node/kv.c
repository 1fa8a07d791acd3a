/* node/kv.c - commands as bytes, two hash tables (keys, sessions), the rule that makes retries
 * harmless. */
#include "node/kv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL /* a call per key costs more than hashing it */
#include <xxhash.h>
#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)XXH3_64bits((key), (bytes)))
#include <uthash.h>

/* ---- commands as bytes ---- */

struct head { /* one machine, one build: native byte order */
    uint64_t client, sequence;
    uint32_t op, key_bytes, value_bytes, expected_bytes;
};
_Static_assert(sizeof(struct head) == 32, "no padding, whose bytes would differ between peers");

const char *kv_op_name(uint32_t op)
{
#define KV_OP_TEXT(name, text) text,
    static const char *const names[] = { KV_OP_LIST(KV_OP_TEXT) };
#undef KV_OP_TEXT
    return op < COUNT(names) ? names[op] : "?";
}

size_t kv_encoded_bytes(const struct kv_command *command)
{
    return sizeof(struct head) + command->key_bytes + command->value_bytes +
           command->expected_bytes;
}

static uint8_t *put_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    if (bytes > 0) memcpy(to, from, bytes);
    return to + bytes;
}

size_t kv_encode(const struct kv_command *command, uint8_t *to, size_t size)
{
    size_t bytes = kv_encoded_bytes(command);
    CHECK(size >= bytes);
    struct head head = { command->client,    command->sequence,    command->op,
                         command->key_bytes, command->value_bytes, command->expected_bytes };
    memcpy(to, &head, sizeof(head));
    to = put_bytes(to + sizeof(head), command->key, command->key_bytes);
    to = put_bytes(to, command->value, command->value_bytes);
    put_bytes(to, command->expected, command->expected_bytes);
    return bytes;
}

err_t kv_decode(const uint8_t *from, size_t bytes, struct kv_command *command)
{
    struct head head;
    if (bytes < sizeof(head)) return ERR_CORRUPT;
    memcpy(&head, from, sizeof(head));
    if (head.op >= KV_OP_COUNT) return ERR_CORRUPT;
    if (head.client != 0 && head.sequence == 0) return ERR_CORRUPT;
    uint64_t sum = (uint64_t)head.key_bytes + head.value_bytes + head.expected_bytes;
    if (bytes - sizeof(head) != sum) return ERR_CORRUPT;
    const uint8_t *key = from + sizeof(head);
    *command = (struct kv_command){ .client = head.client,
                                    .sequence = head.sequence,
                                    .op = head.op,
                                    .key_bytes = head.key_bytes,
                                    .value_bytes = head.value_bytes,
                                    .expected_bytes = head.expected_bytes,
                                    .key = key,
                                    .value = key + head.key_bytes,
                                    .expected = key + head.key_bytes + head.value_bytes };
    return ERR_OK;
}

/* ---- the tables ---- */

#define VALUE_BYTES_MIN 16u

struct item {
    UT_hash_handle hh;
    uint8_t *value;
    uint32_t value_bytes, capacity_bytes;
    uint8_t key[];
};

/* What became of a command: two bits in its session's window. */
enum outcome { OUTCOME_NONE, OUTCOME_NOT_FOUND, OUTCOME_FOUND, OUTCOME_TOO_LARGE };
#define OUTCOMES_PER_WORD 32

struct session {
    UT_hash_handle hh;
    uint64_t client, newest;
    uint64_t outcomes[KV_WINDOW / OUTCOMES_PER_WORD]; /* of newest - KV_WINDOW + 1 .. newest */
};

struct kv {
    struct item *items;
    struct session *sessions, *recent; /* recent: the one last used; commands come in runs */
};

struct kv *kv_new(void)
{
    struct kv *kv = calloc(1, sizeof(*kv));
    CHECK(kv != NULL);
    return kv;
}

void kv_free(struct kv *kv)
{
    if (kv == NULL) return;
    struct item *item, *next_item;
    HASH_ITER(hh, kv->items, item, next_item)
    {
        HASH_DEL(kv->items, item);
        free(item->value);
        free(item);
    }
    struct session *session, *next_session;
    HASH_ITER(hh, kv->sessions, session, next_session)
    {
        HASH_DEL(kv->sessions, session);
        free(session);
    }
    free(kv);
}

size_t kv_count(const struct kv *kv)
{
    return HASH_COUNT(kv->items);
}

static void item_reserve(struct item *item, uint32_t capacity_bytes)
{
    item->value = realloc(item->value, capacity_bytes);
    CHECK(item->value != NULL);
    item->capacity_bytes = capacity_bytes;
}

static struct item *item_find(const struct kv *kv, const struct kv_command *command, unsigned hash)
{
    struct item *item;
    HASH_FIND_BYHASHVALUE(hh, kv->items, command->key, command->key_bytes, hash, item);
    return item;
}

static struct item *item_add(struct kv *kv, const struct kv_command *command, unsigned hash)
{
    struct item *item = calloc(1, sizeof(*item) + command->key_bytes);
    CHECK(item != NULL);
    put_bytes(item->key, command->key, command->key_bytes);
    item_reserve(item, VALUE_BYTES_MIN);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, kv->items, item->key, command->key_bytes, hash, item);
    return item;
}

static void item_set(struct item *item, const uint8_t *value, uint32_t bytes)
{
    /* Room that a large value left is kept for the next one, but not for ever under a small one. */
    bool wasteful = item->capacity_bytes > 4096 && item->capacity_bytes / 4 > bytes;
    if (item->capacity_bytes < bytes || wasteful)
        item_reserve(item, MAX_OF(bytes, VALUE_BYTES_MIN));
    put_bytes(item->value, value, bytes);
    item->value_bytes = bytes;
}

static void item_append(struct item *item, const uint8_t *value, uint32_t bytes)
{
    uint32_t needed = item->value_bytes + bytes; /* both at most KV_VALUE_MAX */
    if (item->capacity_bytes < needed) item_reserve(item, MAX_OF(needed, 2 * item->capacity_bytes));
    put_bytes(item->value + item->value_bytes, value, bytes);
    item->value_bytes = needed;
}

static void item_delete(struct kv *kv, struct item *item)
{
    HASH_DEL(kv->items, item);
    free(item->value);
    free(item);
}

/* ---- sessions ---- */

static struct session *session_of(struct kv *kv, uint64_t client)
{
    if (kv->recent != NULL && kv->recent->client == client) return kv->recent;
    struct session *session;
    HASH_FIND(hh, kv->sessions, &client, sizeof(client), session);
    if (session == NULL) {
        session = calloc(1, sizeof(*session));
        CHECK(session != NULL);
        session->client = client;
        HASH_ADD(hh, kv->sessions, client, sizeof(client), session);
    }
    kv->recent = session;
    return session;
}

static unsigned outcome_shift(uint64_t sequence)
{
    return (unsigned)(sequence % OUTCOMES_PER_WORD) * 2;
}

static uint64_t *outcome_word(struct session *session, uint64_t sequence)
{
    return &session->outcomes[sequence % KV_WINDOW / OUTCOMES_PER_WORD];
}

static enum outcome session_outcome(struct session *session, uint64_t sequence)
{
    return (enum outcome)(*outcome_word(session, sequence) >> outcome_shift(sequence) & 3);
}

static void session_record(struct session *session, uint64_t sequence, enum outcome outcome)
{
    uint64_t *word = outcome_word(session, sequence);
    *word &= ~((uint64_t)3 << outcome_shift(sequence));
    *word |= (uint64_t)outcome << outcome_shift(sequence);
}

/* Move the window on to `sequence`: what enters it has not been applied. */
static void session_advance(struct session *session, uint64_t sequence)
{
    if (sequence - session->newest >= KV_WINDOW) {
        memset(session->outcomes, 0, sizeof(session->outcomes));
        session->newest = sequence;
    }
    while (session->newest != sequence) session_record(session, ++session->newest, OUTCOME_NONE);
}

/* ---- applying ---- */

static bool same(const uint8_t *a, uint32_t a_bytes, const uint8_t *b, uint32_t b_bytes)
{
    return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

/* Carry out a command that changes something. */
static enum outcome change(struct kv *kv, const struct kv_command *command)
{
    unsigned hash;
    HASH_VALUE(command->key, command->key_bytes, hash);
    struct item *item = item_find(kv, command, hash);
    uint64_t after_bytes = command->value_bytes; /* of the value that this command leaves */
    if (command->op == KV_APPEND && item != NULL) after_bytes += item->value_bytes;

    switch (command->op) {
    case KV_PUT:
    case KV_APPEND:
        if (after_bytes > KV_VALUE_MAX) return OUTCOME_TOO_LARGE;
        if (item == NULL) item = item_add(kv, command, hash);
        if (command->op == KV_PUT) item_set(item, command->value, command->value_bytes);
        else item_append(item, command->value, command->value_bytes);
        return OUTCOME_FOUND;
    case KV_DEL:
        if (item == NULL) return OUTCOME_NOT_FOUND;
        item_delete(kv, item);
        return OUTCOME_FOUND;
    case KV_CAS:
        if (item == NULL) return OUTCOME_NOT_FOUND;
        if (!same(item->value, item->value_bytes, command->expected, command->expected_bytes))
            return OUTCOME_NOT_FOUND;
        if (after_bytes > KV_VALUE_MAX) return OUTCOME_TOO_LARGE;
        item_set(item, command->value, command->value_bytes);
        return OUTCOME_FOUND;
    }
    check_failed(__FILE__, __LINE__, "kv_decode lets no other op pass");
}

static void get(const struct kv *kv, const struct kv_command *command, struct kv_answer *answer)
{
    unsigned hash;
    HASH_VALUE(command->key, command->key_bytes, hash);
    const struct item *item = item_find(kv, command, hash);
    if (item == NULL) return;
    answer->found = true;
    answer->value = item->value;
    answer->value_bytes = item->value_bytes;
}

/* What became of the command, now or when it was first applied (K2); OUTCOME_NONE: it is stale. */
static enum outcome apply_once(struct kv *kv, const struct kv_command *command)
{
    struct session *session = session_of(kv, command->client);
    if (command->sequence > session->newest) session_advance(session, command->sequence);
    if (session->newest - command->sequence >= KV_WINDOW) return OUTCOME_NONE;
    enum outcome outcome = session_outcome(session, command->sequence);
    if (outcome != OUTCOME_NONE) return outcome;
    outcome = change(kv, command);
    session_record(session, command->sequence, outcome);
    return outcome;
}

err_t kv_apply(struct kv *kv, const uint8_t *bytes, size_t length, struct kv_answer *answer)
{
    *answer = (struct kv_answer){ 0 };
    struct kv_command command;
    err_t err = kv_decode(bytes, length, &command);
    if (err != ERR_OK) return err; /* (K3) */
    if (command.op == KV_GET) {
        get(kv, &command, answer);
        return ERR_OK;
    }
    enum outcome outcome = command.client == 0 ? change(kv, &command) : apply_once(kv, &command);
    if (outcome == OUTCOME_TOO_LARGE) return ERR_TOO_LARGE;
    answer->stale = outcome == OUTCOME_NONE;
    answer->found = outcome == OUTCOME_FOUND;
    return ERR_OK;
}

/* ---- for people ---- */

struct writer {
    char *text;
    size_t size, used;
};

static void write_format(struct writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void write_format(struct writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(w->text + w->used, w->size - w->used, format, arguments);
    va_end(arguments);
    w->used = MIN_OF(w->used + (size_t)length, w->size - 1);
}

static void write_word(struct writer *w, const uint8_t *word, uint32_t bytes)
{
    const char *quote = bytes == 0 || memchr(word, ' ', bytes) != NULL ? "\"" : "";
    write_format(w, " %s", quote);
    for (uint32_t i = 0; i < bytes && w->used + 1 < w->size; i++) {
        bool plain = word[i] >= ' ' && word[i] <= '~' && word[i] != '"' && word[i] != '\\';
        write_format(w, plain ? "%c" : "\\x%02x", word[i]);
    }
    write_format(w, "%s", quote);
}

size_t kv_text(const uint8_t *bytes, size_t length, char *text, size_t size)
{
    CHECK(size > 0);
    struct writer w = { text, size, 0 };
    struct kv_command command;
    if (kv_decode(bytes, length, &command) != ERR_OK) {
        write_format(&w, "%zu bytes that are no command", length);
        return w.used;
    }
    write_format(&w, "%s", kv_op_name(command.op));
    write_word(&w, command.key, command.key_bytes);
    if (command.op == KV_CAS) write_word(&w, command.expected, command.expected_bytes);
    if (command.op != KV_GET && command.op != KV_DEL)
        write_word(&w, command.value, command.value_bytes);
    return w.used;
}
