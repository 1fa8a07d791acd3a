/* sim/history.h - what clients saw: one operation a line, written by load, read by the checker.
 * Owns   the JSON lines format (docs: `ringside check --help`) and its records in memory.
 * Leaves the verdict to sim/linear.h.
 * Holds  (H1) an `unknown` operation may take effect at any later time or never; a `fail`ed one had no effect. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "base/err.h"
#include "base/base.h"
#include <stdio.h>

enum history_op { HISTORY_PUT, HISTORY_GET, HISTORY_DEL, HISTORY_APPEND, HISTORY_CAS };
enum history_status { HISTORY_OK, HISTORY_FAIL, HISTORY_UNKNOWN };
struct operation {
    uint64_t client;
    uint64_t call_ns, return_ns; /* return_ns: TIME_NEVER for unknown */
    enum history_op op;
    enum history_status status;
    const char *key, *value, *expect; /* NULL where the operation has none */
    const char *output;   /* get: the value or NULL (absent) */
    bool done;            /* cas: replaced; del: existed (only where the history says so) */
};
struct history {
    struct operation *operations;
    size_t count, capacity;
    void *texts; /* interned strings, owned */
};

void history_init(struct history *history);
void history_free(struct history *history);
/* Copy one operation in (strings are interned). ERR_SYSTEM: out of memory. */
err_t history_add(struct history *history, const struct operation *operation);
/* Read JSON lines. ERR_INPUT: the context says "FILE:LINE: what was wrong, what would be right". */
err_t history_load(struct history *history, const char *path);
/* Write one operation as a line. */
err_t history_write(FILE *file, const struct operation *operation);

#endif
