/* sim/history.h - what clients saw: one operation a line, written by load, read by the checker.
 * Owns   the JSON lines format and its records in memory.
 * Leaves the verdict to sim/linear.h.
 * Holds  (H1) an `unknown` operation may take effect at any later time or never, a `fail`ed one had
 *             no effect
 *        (H2) equal strings of one history are one pointer: who compares them compares pointers
 *        (H3) memory is proportional to the file; a file may hold anything and is refused with its
 *             line.
 *
 *   {"client":1,"op":"put","key":"k","value":"v","call":100,"return":250,"status":"ok"}
 *
 *   client  a whole number; may be missing (0)
 *   op      put, get, del, append or cas
 *   key     a string
 *   value   put, append, cas: a string
 *   expect  cas: a string, or null for an absent key
 *   output  ok get: a string, or null for an absent key. ok cas: true or false (replaced or not).
 *           del: true or false (existed or not) where it is known. "true" is taken for true.
 *   call    nanoseconds, of one clock for all clients
 *   return  not before call; may be missing or null unless the operation is ok
 *   status  ok, fail or unknown
 *
 * Further fields are ignored, and so are values of fields that the operation has no use for. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "base/base.h"
#include "base/err.h"

#include <stdio.h>

enum history_op { HISTORY_PUT, HISTORY_GET, HISTORY_DEL, HISTORY_APPEND, HISTORY_CAS };
enum history_status { HISTORY_OK, HISTORY_FAIL, HISTORY_UNKNOWN };
struct operation {
    uint64_t client;
    uint64_t call_ns, return_ns; /* return_ns: TIME_NEVER for unknown */
    enum history_op op;
    enum history_status status;
    const char *key, *value, *expect; /* NULL where the operation has none */
    const char *output;               /* get: the value or NULL (absent) */
    bool done;                        /* cas: replaced; del: existed (only where done_known) */
    bool done_known;                  /* del: the history says whether it existed */
    uint32_t line;                    /* of the file, 0 where it was recorded in memory */
};
struct history {
    struct operation *operations;
    size_t count, capacity;
    void *texts;            /* interned strings, owned */
    uint64_t bytes;         /* what all of this takes, nearly */
    uint64_t bytes_at_most; /* 0: as many as there are */
};

void history_init(struct history *history);
void history_free(struct history *history);
/* The history's own copy of a string (H2), NULL for NULL; aborts when memory ends. */
const char *history_text(struct history *history, const char *string);
/* Copy one operation in (strings are interned). ERR_SYSTEM: out of memory. ERR_TOO_LARGE: more than
 * bytes_at_most. */
err_t history_add(struct history *history, const struct operation *operation);
/* Add the JSON lines of a file. ERR_INPUT: the context says "FILE:LINE: what was wrong, what would
 * be right"; nothing was added. ERR_SYSTEM: the file cannot be read, or there is not enough
 * memory. ERR_TOO_LARGE: more than bytes_at_most. A file that never ends is read up to there. */
err_t history_load(struct history *history, const char *path);
/* The same for an open file, which stays open; `name` stands for it in errors. */
err_t history_read(struct history *history, FILE *file, const char *name);
/* Write one operation as a line. ERR_INPUT: it has a text that is not UTF-8. ERR_SYSTEM: cannot
 * write. */
err_t history_write(FILE *file, const struct operation *operation);
/* Write all of them to a file. ERR_INPUT, ERR_SYSTEM: as above, or it cannot be opened. */
err_t history_save(const struct history *history, const char *path);
/* "put" ...; "?" for a number that is none. */
const char *history_op_name(uint32_t op);

#endif
