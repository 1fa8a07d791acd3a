/* sim/history_line.h - one line of a history as its fields, before anybody asks what they mean.
 * Owns   two readers of one form: fields_parse takes any JSON object (jansson); fields_scan only
 *        what nearly every line is, printable ASCII without escapes and without other fields, but
 *        needs no memory and a tenth of the time.
 * Leaves the meaning to sim/history.c.
 * Holds  (F1) what fields_scan takes, fields_parse takes as the same fields (tests/fuzz/history.c)
 *        (F2) what fields_scan refuses is as it was. */
#ifndef SIM_HISTORY_LINE_H
#define SIM_HISTORY_LINE_H

#include "base/base.h"
#include "base/err.h"

#include <jansson.h>

#define FIELD_LIST(X)                                                                              \
    X(CLIENT, "client")                                                                            \
    X(OP, "op")                                                                                    \
    X(KEY, "key")                                                                                  \
    X(VALUE, "value")                                                                              \
    X(EXPECT, "expect")                                                                            \
    X(OUTPUT, "output")                                                                            \
    X(CALL, "call")                                                                                \
    X(RETURN, "return")                                                                            \
    X(STATUS, "status")
#define FIELD_ENUM(name, word) FIELD_##name,
enum field_name { FIELD_LIST(FIELD_ENUM) FIELD_COUNT };
#undef FIELD_ENUM

enum field_kind {
    FIELD_MISSING,
    FIELD_NULL,
    FIELD_TRUE,
    FIELD_FALSE,
    FIELD_INTEGER,
    FIELD_STRING,
    FIELD_OTHER
};
struct field {
    enum field_kind kind;
    int64_t integer;  /* INTEGER */
    const char *text; /* STRING: ended by a 0; belongs to the line, or to `json` */
    char *end;        /* scanned: where that 0 stands */
};
struct fields {
    struct field field[FIELD_COUNT];
    json_t *json; /* NULL: scanned */
};

/* False: not the plain form. Else the texts lie in `line`, whose quotes are now 0. */
bool fields_scan(char *line, size_t length, struct fields *fields);
/* Give the line back as it was. */
void fields_unscan(struct fields *fields);
/* Any JSON. ERR_INPUT: not an object, with its column; ERR_SYSTEM: out of memory. fields_free
 * after OK. */
err_t fields_parse(const char *line, size_t length, struct fields *fields);
void fields_free(struct fields *fields);

const char *field_word(enum field_name name);
/* What stands there, short and printable, for an error; "missing" where nothing does. */
const char *field_shown(const struct fields *fields, enum field_name name, char text[48]);

#endif
