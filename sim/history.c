/* sim/history.c - operations in memory, and as JSON lines. */
#include "sim/history.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)XXH3_64bits((key), (bytes)))
#define HASH_NONFATAL_OOM                                                                          \
    1 /* a file may be larger than memory: that is the file's fault, not ours */
#define uthash_nonfatal_oom(text) ((text)->lost = true)
#include <uthash.h>

#define LINE_BYTES_MAX (64u << 20) /* a value of 1 MiB as \u00XX, ten times over */
#define READ_BYTES (1u << 20)

struct text {
    UT_hash_handle hh;
    bool lost; /* uthash had no memory to add it */
    char bytes[];
};

static const char *const op_names[] = { "put", "get", "del", "append", "cas" };
static const char *const status_names[] = { "ok", "fail", "unknown" };

const char *history_op_name(uint32_t op)
{
    return op < COUNT(op_names) ? op_names[op] : "?";
}

void history_init(struct history *history)
{
    *history = (struct history){ 0 };
}

void history_free(struct history *history)
{
    struct text *texts = history->texts, *text = texts;
    HASH_CLEAR(hh, texts);
    while (text != NULL) {
        struct text *next = text->hh.next;
        free(text);
        text = next;
    }
    free(history->operations);
    *history = (struct history){ 0 };
}

/* Replace *string by the history's own copy (H2). False: out of memory. */
static bool intern(struct history *history, const char **string)
{
    if (*string == NULL) return true;
    struct text *texts = history->texts, *text = NULL;
    size_t length = strlen(*string);
    if (length > UINT32_MAX / 2) return false; /* uthash counts bytes in 32 bits */
    unsigned hash;
    HASH_VALUE(*string, length, hash);
    HASH_FIND_BYHASHVALUE(hh, texts, *string, length, hash, text);
    if (text == NULL) {
        text = malloc(sizeof(*text) + length + 1);
        if (text == NULL) return false;
        text->lost = false;
        memcpy(text->bytes, *string, length + 1);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, texts, text->bytes, length, hash, text);
        if (text->lost) {
            free(text);
            return false;
        }
        history->texts = texts;
    }
    *string = text->bytes;
    return true;
}

err_t history_add(struct history *history, const struct operation *operation)
{
    if (history->count == history->capacity) {
        size_t capacity = MAX_OF(history->capacity + history->capacity / 2, 64u);
        struct operation *grown = reallocarray(history->operations, capacity, sizeof(*grown));
        if (grown == NULL) return err_begin(ERR_SYSTEM, "no memory for %zu operations", capacity);
        history->operations = grown;
        history->capacity = capacity;
    }
    struct operation copy = *operation;
    if (!intern(history, &copy.key) || !intern(history, &copy.value) ||
        !intern(history, &copy.expect) || !intern(history, &copy.output))
        return err_begin(ERR_SYSTEM, "no memory for the texts of %zu operations", history->count);
    if (copy.status == HISTORY_UNKNOWN) copy.return_ns = TIME_NEVER; /* (H1) */
    history->operations[history->count++] = copy;
    return ERR_OK;
}

/* --- reading ------------------------------------------------------------------------------ */

static int name_find(const json_t *value, const char *const *names, size_t count)
{
    for (size_t i = 0; json_is_string(value) && i < count; i++)
        if (strcmp(json_string_value(value), names[i]) == 0) return (int)i;
    return -1;
}

/* It quotes the file, which may hold anything: nothing for a terminal. */
static void make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

/* What stands in the file, short, for an error. */
static const char *shown(const json_t *value, char text[48])
{
    if (value == NULL) return "missing";
    size_t length = json_dumpb(value, text, 40, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (length == 0 || length > 40)
        return json_is_string(value) ? "too long a string" : "something else";
    text[length] = '\0';
    make_printable(text); /* jansson takes DEL for a letter */
    return text;
}

static err_t wrong(const json_t *line, const char *field, const char *right)
{
    char text[48];
    return err_begin(ERR_INPUT, "\"%s\" is %s, it should be %s", field,
                     shown(json_object_get(line, field), text), right);
}

/* A string where the operation needs one. */
static err_t read_text(const json_t *line, const char *field, const char **text)
{
    *text = json_string_value(json_object_get(line, field));
    return *text == NULL ? wrong(line, field, "a string") : ERR_OK;
}

/* True and false, also as strings. Anything else: false is returned. */
static bool read_truth(const json_t *value, bool *truth)
{
    const char *text = json_string_value(value);
    *truth = json_is_true(value) || (text != NULL && strcmp(text, "true") == 0);
    return *truth || json_is_false(value) || (text != NULL && strcmp(text, "false") == 0);
}

static err_t read_times(const json_t *line, struct operation *operation)
{
    const json_t *call = json_object_get(line, "call"), *end = json_object_get(line, "return");
    if (!json_is_integer(call) || json_integer_value(call) < 0)
        return wrong(line, "call", "a whole number of nanoseconds, 0 or more");
    operation->call_ns = (uint64_t)json_integer_value(call);
    operation->return_ns = TIME_NEVER;
    if (end == NULL || json_is_null(end)) {
        if (operation->status != HISTORY_OK) return ERR_OK;
        return wrong(line, "return", "a time: the operation is ok, so it has returned");
    }
    if (!json_is_integer(end) || json_integer_value(end) < 0)
        return wrong(line, "return", "a whole number of nanoseconds, or null where it never came");
    operation->return_ns = (uint64_t)json_integer_value(end);
    if (operation->return_ns < operation->call_ns)
        return wrong(line, "return", "the same as \"call\" or later");
    return ERR_OK;
}

static err_t read_output(const json_t *line, struct operation *operation)
{
    const json_t *output = json_object_get(line, "output");
    if (operation->status != HISTORY_OK) return ERR_OK; /* nobody saw one */
    switch (operation->op) {
    case HISTORY_PUT:
    case HISTORY_APPEND: break;
    case HISTORY_GET:
        operation->output = json_string_value(output);
        if (operation->output == NULL && !json_is_null(output))
            return wrong(line, "output", "the string that the get saw, or null for an absent key");
        break;
    case HISTORY_CAS:
        if (!read_truth(output, &operation->done))
            return wrong(line, "output", "true (it replaced the value) or false (it did not)");
        break;
    case HISTORY_DEL:
        operation->done_known = read_truth(output, &operation->done);
        if (!operation->done_known && output != NULL && !json_is_null(output))
            return wrong(line, "output", "true (the key existed), false (it did not) or missing");
        break;
    }
    return ERR_OK;
}

/* The texts of `operation` belong to `line`. */
static err_t read_operation(const json_t *line, struct operation *operation)
{
    err_t err;
    const json_t *client = json_object_get(line, "client");
    if (!json_is_object(line))
        return err_begin(ERR_INPUT, "not an object, it should be {\"op\":...}");
    if (client != NULL && !json_is_integer(client)) return wrong(line, "client", "a whole number");
    operation->client = (uint64_t)json_integer_value(client);

    int op = name_find(json_object_get(line, "op"), op_names, COUNT(op_names));
    if (op < 0) return wrong(line, "op", "\"put\", \"get\", \"del\", \"append\" or \"cas\"");
    operation->op = (enum history_op)op;
    int status = name_find(json_object_get(line, "status"), status_names, COUNT(status_names));
    if (status < 0) return wrong(line, "status", "\"ok\", \"fail\" or \"unknown\"");
    operation->status = (enum history_status)status;

    if ((err = read_text(line, "key", &operation->key)) != ERR_OK) return err;
    if (operation->op != HISTORY_GET && operation->op != HISTORY_DEL)
        if ((err = read_text(line, "value", &operation->value)) != ERR_OK) return err;
    if (operation->op == HISTORY_CAS) {
        const json_t *expect = json_object_get(line, "expect");
        operation->expect = json_string_value(expect);
        if (operation->expect == NULL && !json_is_null(expect))
            return wrong(line, "expect", "a string, or null for an absent key");
    }
    if ((err = read_times(line, operation)) != ERR_OK) return err;
    return read_output(line, operation);
}

/* Lines of any file, of at most LINE_BYTES_MAX. */
struct reader {
    FILE *file;
    char *buffer;
    size_t begin, end, capacity;
    bool last; /* nothing more in the file */
};

/* The next line, without its end. ERR_EMPTY: no more lines. */
static err_t reader_next(struct reader *reader, const char **line, size_t *length)
{
    size_t looked = reader->begin;
    for (;;) {
        char *end = reader->end == looked
                        ? NULL
                        : memchr(reader->buffer + looked, '\n', reader->end - looked);
        if (end != NULL || (reader->last && reader->begin < reader->end)) {
            *line = reader->buffer + reader->begin;
            *length = (size_t)((end != NULL ? end : reader->buffer + reader->end) - *line);
            reader->begin += *length + (end != NULL);
            return ERR_OK;
        }
        if (reader->last) return ERR_EMPTY;
        looked = reader->end - reader->begin;
        if (reader->begin > 0) memmove(reader->buffer, reader->buffer + reader->begin, looked);
        reader->begin = 0;
        reader->end = looked;
        if (looked >= LINE_BYTES_MAX)
            return err_begin(ERR_INPUT, "longer than %u MiB, a line holds one operation",
                             LINE_BYTES_MAX >> 20);
        if (reader->end == reader->capacity) {
            size_t capacity = MAX_OF(2 * reader->capacity, (size_t)READ_BYTES);
            char *grown = realloc(reader->buffer, capacity);
            if (grown == NULL) return err_begin(ERR_SYSTEM, "no memory for a line");
            reader->buffer = grown;
            reader->capacity = capacity;
        }
        size_t got =
            fread(reader->buffer + reader->end, 1, reader->capacity - reader->end, reader->file);
        if (got == 0 && ferror(reader->file)) return err_begin(ERR_SYSTEM, "%s", strerror(errno));
        reader->end += got;
        reader->last = got == 0;
    }
}

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (strchr(" \t\r", line[i]) == NULL || line[i] == '\0') return false;
    return true;
}

static err_t load_line(struct history *history, const char *line, size_t length, uint32_t number)
{
    json_error_t why;
    if (is_blank(line, length)) return ERR_OK;
    json_t *value = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (value == NULL) {
        if (json_error_code(&why) == json_error_out_of_memory)
            return err_begin(ERR_SYSTEM, "no memory for a line");
        make_printable(why.text);
        return err_begin(ERR_INPUT, "column %d: not JSON: %s", why.column, why.text);
    }
    struct operation operation = { .line = number };
    err_t err = read_operation(value, &operation);
    if (err == ERR_OK) err = history_add(history, &operation);
    json_decref(value);
    return err;
}

err_t history_read(struct history *history, FILE *file, const char *name)
{
    size_t before = history->count;
    struct reader reader = { .file = file };
    const char *line = NULL;
    size_t length = 0;
    uint32_t number = 0;
    err_t err;
    do {
        number++;
        err = reader_next(&reader, &line, &length);
        if (err == ERR_OK) err = load_line(history, line, length, number);
    } while (err == ERR_OK);
    free(reader.buffer);
    if (err == ERR_EMPTY) return ERR_OK;
    history->count = before;
    return err == ERR_INPUT ? err_note(err, "%s:%u", name, number) : err_note(err, "%s", name);
}

err_t history_load(struct history *history, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return err_begin(ERR_SYSTEM, "%s: %s", path, strerror(errno));
    err_t err = history_read(history, file, path);
    fclose(file);
    return err;
}

/* --- writing ------------------------------------------------------------------------------ */

/* Set a field; false when the value could not be made. */
static bool set(json_t *line, const char *field, json_t *value)
{
    return json_object_set_new(line, field, value) == 0;
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static bool set_all(json_t *line, const struct operation *operation)
{
    bool ok = operation->status == HISTORY_OK;
    bool made = set(line, "client", json_integer((json_int_t)operation->client)) &&
                set(line, "op", json_string(history_op_name(operation->op))) &&
                set(line, "key", json_string(operation->key));
    if (operation->value != NULL) made = made && set(line, "value", json_string(operation->value));
    if (operation->op == HISTORY_CAS)
        made = made && set(line, "expect", text_or_null(operation->expect));
    if (ok && operation->op == HISTORY_GET)
        made = made && set(line, "output", text_or_null(operation->output));
    if (ok &&
        (operation->op == HISTORY_CAS || (operation->op == HISTORY_DEL && operation->done_known)))
        made = made && set(line, "output", json_boolean(operation->done));
    bool returned = operation->status != HISTORY_UNKNOWN && operation->return_ns != TIME_NEVER;
    return made && set(line, "call", json_integer((json_int_t)operation->call_ns)) &&
           set(line, "return",
               returned ? json_integer((json_int_t)operation->return_ns) : json_null()) &&
           set(line, "status", json_string(status_names[operation->status]));
}

err_t history_write(FILE *file, const struct operation *operation)
{
    err_t err = ERR_OK;
    json_t *line = json_object();
    if (line == NULL || !set_all(line, operation))
        err = err_begin(ERR_INPUT, "history: a key or a value is not UTF-8");
    else if (json_dumpf(line, file, JSON_COMPACT) != 0 || fputc('\n', file) == EOF)
        err = err_begin(ERR_SYSTEM, "history: %s", strerror(errno));
    json_decref(line);
    return err;
}
