/* sim/history_line.c - the two readers of a line (F1, F2). */
#include "sim/history_line.h"

#include <string.h>

static const char *const words[FIELD_COUNT] = {
#define FIELD_WORD(name, word) word,
    FIELD_LIST(FIELD_WORD)
#undef FIELD_WORD
};

const char *field_word(enum field_name name)
{
    return words[name];
}

/* --- the plain form --------------------------------------------------------------------------- */

static char *skip_blanks(char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
    return at;
}

/* From the first letter to the closing quote; NULL: it is not plain. */
static char *scan_text(char *at, const char *end)
{
    for (; at < end && *at != '"'; at++)
        if (*at < ' ' || *at > '~' || *at == '\\') return NULL;
    return at < end ? at : NULL;
}

/* At most 18 digits, which fit; no fraction, no exponent, no leading 0. */
static char *scan_integer(char *at, const char *end, struct field *field)
{
    bool negative = *at == '-';
    if (negative) at++;
    const char *first = at;
    int64_t value = 0;
    while (at < end && *at >= '0' && *at <= '9' && at - first < 18)
        value = value * 10 + (*at++ - '0');
    if (at == first || (*first == '0' && at - first > 1)) return NULL;
    field->kind = FIELD_INTEGER;
    field->integer = negative ? -value : value;
    return at; /* what else belongs to the number is neither comma nor brace */
}

static char *scan_word(char *at, const char *end, const char *word, enum field_kind kind,
                       struct field *field)
{
    size_t length = strlen(word);
    if ((size_t)(end - at) < length || memcmp(at, word, length) != 0) return NULL;
    field->kind = kind;
    return at + length;
}

/* The place after the value; NULL: it is not plain. */
static char *scan_value(char *at, const char *end, struct field *field)
{
    if (at == end) return NULL;
    switch (*at) {
    case '"':
        field->text = at + 1;
        field->end = scan_text(at + 1, end);
        field->kind = FIELD_STRING;
        return field->end == NULL ? NULL : field->end + 1;
    case 'n': return scan_word(at, end, "null", FIELD_NULL, field);
    case 't': return scan_word(at, end, "true", FIELD_TRUE, field);
    case 'f': return scan_word(at, end, "false", FIELD_FALSE, field);
    default: return scan_integer(at, end, field);
    }
}

/* The field that is named there, not yet seen; NULL: none. */
static struct field *find_field(struct fields *fields, const char *name, size_t length)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strncmp(words[i], name, length) != 0 || words[i][length] != '\0') continue;
        return fields->field[i].kind == FIELD_MISSING ? &fields->field[i] : NULL;
    }
    return NULL;
}

/* "name": value */
static char *scan_pair(char *at, const char *end, struct fields *fields)
{
    if (at == end || *at != '"') return NULL;
    char *name = at + 1, *stop = scan_text(name, end);
    if (stop == NULL) return NULL;
    struct field *field = find_field(fields, name, (size_t)(stop - name));
    at = skip_blanks(stop + 1, end);
    if (field == NULL || at == end || *at != ':') return NULL;
    return scan_value(skip_blanks(at + 1, end), end, field);
}

bool fields_scan(char *line, size_t length, struct fields *fields)
{
    const char *end = line + length;
    char *at = skip_blanks(line, end);
    *fields = (struct fields){ 0 };
    if (at == end || *at != '{') return false;
    do {
        at = scan_pair(skip_blanks(at + 1, end), end, fields);
        if (at == NULL) return false;
        at = skip_blanks(at, end);
    } while (at < end && *at == ',');
    if (at == end || *at != '}' || skip_blanks(at + 1, end) != end) return false;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields->field[i].kind == FIELD_STRING) *fields->field[i].end = '\0';
    return true;
}

void fields_unscan(struct fields *fields)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields->field[i].kind == FIELD_STRING) *fields->field[i].end = '"';
}

/* --- any JSON --------------------------------------------------------------------------------- */

/* It quotes the file, which may hold anything: nothing for a terminal. */
static void make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

static void take_value(const json_t *value, struct field *field)
{
    if (value == NULL) return;
    field->kind = FIELD_OTHER;
    if (json_is_null(value)) field->kind = FIELD_NULL;
    if (json_is_boolean(value)) field->kind = json_is_true(value) ? FIELD_TRUE : FIELD_FALSE;
    if (json_is_integer(value)) field->kind = FIELD_INTEGER;
    if (json_is_string(value)) field->kind = FIELD_STRING;
    field->integer = json_integer_value(value);
    field->text = json_string_value(value);
}

err_t fields_parse(const char *line, size_t length, struct fields *fields)
{
    json_error_t why;
    *fields = (struct fields){ .json = json_loadb(line, length,
                                                  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why) };
    if (fields->json == NULL) {
        if (json_error_code(&why) == json_error_out_of_memory)
            return err_begin(ERR_SYSTEM, "no memory for a line");
        make_printable(why.text);
        return err_begin(ERR_INPUT, "column %d: not JSON: %s", why.column, why.text);
    }
    if (!json_is_object(fields->json)) {
        fields_free(fields);
        return err_begin(ERR_INPUT, "not an object, it should be {\"op\":...}");
    }
    for (size_t i = 0; i < FIELD_COUNT; i++)
        take_value(json_object_get(fields->json, words[i]), &fields->field[i]);
    return ERR_OK;
}

void fields_free(struct fields *fields)
{
    json_decref(fields->json);
    fields->json = NULL;
}

const char *field_shown(const struct fields *fields, enum field_name name, char text[48])
{
    const json_t *value = json_object_get(fields->json, words[name]);
    if (value == NULL) return "missing";
    size_t length = json_dumpb(value, text, 40, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (length == 0 || length > 40)
        return json_is_string(value) ? "too long a string" : "something else";
    text[length] = '\0';
    make_printable(text); /* jansson takes DEL for a letter */
    return text;
}
