/* ctl/load_client.h - the life of one load process: callers with one operation at a time each.
 * Owns   which operation comes next (from the seed alone), pacing, and the record as bytes.
 * Leaves asking and retrying to ctl/client.h; forking, reading the records back to ctl/load.c.
 *
 * A call and its return are two entries of the record, because only what is written before the
 * command is sent is sure to survive SIGKILL. A torn last entry is dropped by the reader. */
#ifndef CTL_LOAD_CLIENT_H
#define CTL_LOAD_CLIENT_H

#include "fault/verb.h"
#include "shm/region.h"

#define LOAD_CALLERS 4u /* in each process: so many operations outstanding */
#define LOAD_TEXT_MAX (2u << 20)

enum load_entry_kind { LOAD_CALL = 1, LOAD_RETURN };
/* An entry of the record; `value` and `other` follow, without a final 0. */
struct load_entry {
    uint64_t time_ns;     /* CLOCK_MONOTONIC */
    uint32_t caller;      /* 0 .. LOAD_CALLERS - 1 of this process */
    uint32_t key;         /* from 1 */
    uint32_t value_bytes; /* call: what it writes. return: what a get read */
    uint32_t other_bytes; /* call: what a cas expects */
    uint8_t kind;         /* enum load_entry_kind */
    uint8_t op, status;   /* enum history_op, enum history_status */
    uint8_t found;        /* return: get and del: it existed; cas: it replaced */
    uint8_t unused[4];
};
_Static_assert(sizeof(struct load_entry) == 32, "no padding goes to the file");

/* Shared with the supervisor; one writer each. */
struct load_counts {
    _Atomic uint64_t ok, fail, unknown;
    _Atomic uint64_t record_errno; /* why the record could not be written */
    uint64_t unused[4];
};

struct load_client {
    struct region *region;
    uint32_t endpoint;
    uint32_t first;         /* history's number of its first caller */
    uint32_t place, places; /* of how many processes: a share of the rate */
    uint64_t seed, session;
    int record_fd;                         /* O_APPEND */
    uint32_t ops, per_second, keys, bytes; /* of struct command */
    struct load_counts *counts;
};
/* The text of key `number`. */
void load_key(uint32_t number, char text[16]);
/* The whole life: until SIGTERM and at most a second more. Exit code. */
int load_client_run(void *load_client);

#endif
