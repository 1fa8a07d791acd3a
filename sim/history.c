/* sim/history.c - operations in memory, and as JSON lines. */
#include "sim/history.h"
#include "sim/history_line.h"

#include <errno.h>
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
#define TEXT_OVERHEAD 24 /* of malloc and of the hash table, for each string */

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
        history->bytes += sizeof(*text) + length + TEXT_OVERHEAD;
    }
    *string = text->bytes;
    return true;
}

const char *history_text(struct history *history, const char *string)
{
    CHECK(intern(history, &string));
    return string;
}

err_t history_add(struct history *history, const struct operation *operation)
{
    if (history->count == history->capacity) {
        size_t capacity = MAX_OF(history->capacity + history->capacity / 2, 64u);
        struct operation *grown = reallocarray(history->operations, capacity, sizeof(*grown));
        if (grown == NULL) return err_begin(ERR_SYSTEM, "no memory for %zu operations", capacity);
        history->bytes += (capacity - history->capacity) * sizeof(*grown);
        history->operations = grown;
        history->capacity = capacity;
    }
    struct operation copy = *operation;
    if (!intern(history, &copy.key) || !intern(history, &copy.value) ||
        !intern(history, &copy.expect) || !intern(history, &copy.output))
        return err_begin(ERR_SYSTEM, "no memory for the texts of %zu operations", history->count);
    if (copy.status == HISTORY_UNKNOWN) copy.return_ns = TIME_NEVER; /* (H1) */
    if (history->bytes_at_most != 0 && history->bytes > history->bytes_at_most)
        return err_begin(ERR_TOO_LARGE, "%zu operations take more than %llu bytes", history->count,
                         (unsigned long long)history->bytes_at_most);
    history->operations[history->count++] = copy;
    return ERR_OK;
}

/* --- reading ------------------------------------------------------------------------------ */

static int name_find(const struct field *field, const char *const *names, size_t count)
{
    for (size_t i = 0; field->kind == FIELD_STRING && i < count; i++)
        if (strcmp(field->text, names[i]) == 0) return (int)i;
    return -1;
}

static err_t wrong(const struct fields *line, enum field_name name, const char *right)
{
    char text[48];
    return err_begin(ERR_INPUT, "\"%s\" is %s, it should be %s", field_word(name),
                     field_shown(line, name, text), right);
}

/* A string where the operation needs one. */
static err_t read_text(const struct fields *line, enum field_name name, const char **text)
{
    *text = line->field[name].text;
    return *text == NULL ? wrong(line, name, "a string") : ERR_OK;
}

/* True and false, also as strings. Anything else: false is returned. */
static bool read_truth(const struct field *field, bool *truth)
{
    const char *text = field->text;
    *truth = field->kind == FIELD_TRUE || (text != NULL && strcmp(text, "true") == 0);
    return *truth || field->kind == FIELD_FALSE || (text != NULL && strcmp(text, "false") == 0);
}

static bool is_nothing(const struct field *field)
{
    return field->kind == FIELD_MISSING || field->kind == FIELD_NULL;
}

static err_t read_times(const struct fields *line, struct operation *operation)
{
    const struct field *call = &line->field[FIELD_CALL], *end = &line->field[FIELD_RETURN];
    if (call->kind != FIELD_INTEGER || call->integer < 0)
        return wrong(line, FIELD_CALL, "a whole number of nanoseconds, 0 or more");
    operation->call_ns = (uint64_t)call->integer;
    operation->return_ns = TIME_NEVER;
    if (is_nothing(end)) {
        if (operation->status != HISTORY_OK) return ERR_OK;
        return wrong(line, FIELD_RETURN, "a time: the operation is ok, so it has returned");
    }
    if (end->kind != FIELD_INTEGER || end->integer < 0)
        return wrong(line, FIELD_RETURN,
                     "a whole number of nanoseconds, or null where it never came");
    operation->return_ns = (uint64_t)end->integer;
    if (operation->return_ns < operation->call_ns)
        return wrong(line, FIELD_RETURN, "the same as \"call\" or later");
    return ERR_OK;
}

static err_t read_output(const struct fields *line, struct operation *operation)
{
    const struct field *output = &line->field[FIELD_OUTPUT];
    if (operation->status != HISTORY_OK) return ERR_OK; /* nobody saw one */
    switch (operation->op) {
    case HISTORY_PUT:
    case HISTORY_APPEND: break;
    case HISTORY_GET:
        operation->output = output->text;
        if (operation->output == NULL && output->kind != FIELD_NULL)
            return wrong(line, FIELD_OUTPUT,
                         "the string that the get saw, or null for an absent key");
        break;
    case HISTORY_CAS:
        if (!read_truth(output, &operation->done))
            return wrong(line, FIELD_OUTPUT, "true (it replaced the value) or false (it did not)");
        break;
    case HISTORY_DEL:
        operation->done_known = read_truth(output, &operation->done);
        if (!operation->done_known && !is_nothing(output))
            return wrong(line, FIELD_OUTPUT,
                         "true (the key existed), false (it did not) or missing");
        break;
    }
    return ERR_OK;
}

/* The texts of `operation` belong to `line`. */
static err_t read_operation(const struct fields *line, struct operation *operation)
{
    err_t err;
    const struct field *client = &line->field[FIELD_CLIENT];
    if (client->kind != FIELD_MISSING && client->kind != FIELD_INTEGER)
        return wrong(line, FIELD_CLIENT, "a whole number");
    operation->client = (uint64_t)client->integer;

    int op = name_find(&line->field[FIELD_OP], op_names, COUNT(op_names));
    if (op < 0) return wrong(line, FIELD_OP, "\"put\", \"get\", \"del\", \"append\" or \"cas\"");
    operation->op = (enum history_op)op;
    int status = name_find(&line->field[FIELD_STATUS], status_names, COUNT(status_names));
    if (status < 0) return wrong(line, FIELD_STATUS, "\"ok\", \"fail\" or \"unknown\"");
    operation->status = (enum history_status)status;

    if ((err = read_text(line, FIELD_KEY, &operation->key)) != ERR_OK) return err;
    if (operation->op != HISTORY_GET && operation->op != HISTORY_DEL)
        if ((err = read_text(line, FIELD_VALUE, &operation->value)) != ERR_OK) return err;
    if (operation->op == HISTORY_CAS) {
        const struct field *expect = &line->field[FIELD_EXPECT];
        operation->expect = expect->text;
        if (operation->expect == NULL && expect->kind != FIELD_NULL)
            return wrong(line, FIELD_EXPECT, "a string, or null for an absent key");
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
static err_t reader_next(struct reader *reader, char **line, size_t *length)
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

static err_t load_line(struct history *history, char *line, size_t length, uint32_t number)
{
    struct operation operation = { .line = number };
    struct fields fields;
    if (is_blank(line, length)) return ERR_OK;
    if (fields_scan(line, length, &fields)) {
        if (read_operation(&fields, &operation) == ERR_OK) return history_add(history, &operation);
        fields_unscan(&fields); /* what is wrong, and with what, the other reader says */
        operation = (struct operation){ .line = number };
    }
    err_t err = fields_parse(line, length, &fields);
    if (err != ERR_OK) return err;
    err = read_operation(&fields, &operation);
    if (err == ERR_OK) err = history_add(history, &operation);
    fields_free(&fields);
    return err;
}

err_t history_read(struct history *history, FILE *file, const char *name)
{
    size_t before = history->count;
    struct reader reader = { .file = file };
    char *line = NULL;
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

err_t history_save(const struct history *history, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) return err_begin(ERR_INPUT, "%s: %s", path, strerror(errno));
    err_t err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < history->count; i++)
        err = history_write(file, &history->operations[i]);
    if (fclose(file) != 0 && err == ERR_OK)
        err = err_begin(ERR_SYSTEM, "%s: %s", path, strerror(errno));
    return err;
}
