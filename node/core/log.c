/* node/core/log.c - terms by binary search over runs; the end of the log, which is asked most,
 * first. */
#include "node/core/log.h"

#include <string.h>

void log_init(struct log *log, struct term_run *memory, uint32_t capacity)
{
    *log = (struct log){ .runs = memory, .capacity = capacity, .first_index = 1 };
}

void log_give(struct log *log, struct term_run *memory, uint32_t capacity)
{
    CHECK(capacity >= log->count);
    if (log->count > 0) memcpy(memory, log->runs, log->count * sizeof(*memory));
    log->runs = memory;
    log->capacity = capacity;
}

uint32_t log_room(const struct log *log)
{
    return log->capacity - log->count;
}

/* The run that holds `index`, which the log has. */
static uint32_t run_of(const struct log *log, uint64_t index)
{
    uint32_t low = 0, high = log->count - 1;
    if (log->runs[high].first_index <= index) return high;
    while (high - low > 1) { /* runs[low] <= index < runs[high] */
        uint32_t middle = low + (high - low) / 2;
        if (log->runs[middle].first_index <= index) low = middle;
        else high = middle;
    }
    return low;
}

uint64_t log_term(const struct log *log, uint64_t index)
{
    if (index + 1 == log->first_index) return log->base_term;
    if (index < log->first_index || index > log->last_index) return 0;
    return log->runs[run_of(log, index)].term;
}

struct log_id log_last(const struct log *log)
{
    return (struct log_id){ .term = log_term(log, log->last_index), .index = log->last_index };
}

uint64_t log_first_of_run(const struct log *log, uint64_t index)
{
    CHECK(index >= log->first_index);
    CHECK(index <= log->last_index);
    return log->runs[run_of(log, index)].first_index;
}

uint64_t log_last_of_term(const struct log *log, uint64_t term)
{
    for (uint32_t i = log->count; i-- > 0;) {
        if (log->runs[i].term < term) return 0;
        if (log->runs[i].term > term) continue;
        return i + 1 < log->count ? log->runs[i + 1].first_index - 1 : log->last_index;
    }
    return 0;
}

void log_append(struct log *log, uint64_t term)
{
    uint64_t last_term = log->count > 0 ? log->runs[log->count - 1].term : log->base_term;
    CHECK(term >= last_term); /* G1 */
    log->last_index++;
    if (log->count > 0 && last_term == term) return;
    CHECK(log_room(log) >= 1);
    log->runs[log->count++] = (struct term_run){ .first_index = log->last_index, .term = term };
}

void log_truncate(struct log *log, uint64_t from)
{
    CHECK(from >= log->first_index);
    CHECK(from <= log->last_index + 1);
    while (log->count > 0 && log->runs[log->count - 1].first_index >= from) log->count--;
    log->last_index = from - 1;
}
