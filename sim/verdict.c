/* sim/verdict.c - see sim/verdict.h. */
#include "sim/verdict.h"

#include "fault/line.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 40, VALUE_SHOWN = 32 };

/* As a word of a line: a history may hold anything, and this goes to a terminal. */
static void write_text(FILE *file, const char *text)
{
    char begin[VALUE_SHOWN + 1], word[4 * VALUE_SHOWN + 3];
    size_t length = strlen(text);
    bool whole = length <= VALUE_SHOWN;
    snprintf(begin, sizeof(begin), "%.*s", whole ? VALUE_SHOWN : VALUE_SHOWN - 16, text);
    word_print(begin, word, sizeof(word));
    if (whole) fprintf(file, " %s", word);
    else fprintf(file, " %s...(%zu bytes)", word, length);
}

/* "  client 3   1.204s ..  1.210s  cas k1 c3-1 c3-7: false" */
static void write_operation(FILE *file, const struct operation *operation, uint64_t origin_ns)
{
    static const char *const statuses[] = { "ok", "fail", "unknown" };
    fprintf(file, "  client %-3llu %8.4fs ..", (unsigned long long)operation->client,
            (double)(operation->call_ns - origin_ns) / 1e9);
    if (operation->return_ns == TIME_NEVER) fprintf(file, "         ?");
    else fprintf(file, " %8.4fs", (double)(operation->return_ns - origin_ns) / 1e9);
    fprintf(file, "  %s", history_op_name(operation->op));
    write_text(file, operation->key);
    if (operation->expect != NULL) write_text(file, operation->expect);
    if (operation->value != NULL) write_text(file, operation->value);
    if (operation->status != HISTORY_OK) {
        fprintf(file, ": %s\n", statuses[operation->status]);
        return;
    }
    if (operation->op == HISTORY_GET) {
        fprintf(file, ":");
        write_text(file, operation->output != NULL ? operation->output : "(absent)");
    }
    if (operation->op == HISTORY_CAS || (operation->op == HISTORY_DEL && operation->done_known))
        fprintf(file, ": %s", operation->done ? "true" : "false");
    fprintf(file, "\n");
}

static uint64_t first_call(const struct history *history)
{
    uint64_t first_ns = TIME_NEVER;
    for (size_t i = 0; i < history->count; i++)
        first_ns = MIN_OF(first_ns, history->operations[i].call_ns);
    return first_ns;
}

static void write_undecided(FILE *file, const struct linear_result *result)
{
    fprintf(file, "undecided: the limits of time or memory did not suffice for key");
    write_text(file, result->key != NULL ? result->key : "?");
    fprintf(file, "\n");
}

enum linear_verdict verdict_write(FILE *file, const struct history *history,
                                  const struct linear_limits *limits)
{
    struct linear_result result;
    linear_check(history, limits, &result);
    if (result.verdict == LINEAR_YES)
        fprintf(file, "%zu operations on %zu keys are linearizable\n", result.operations,
                result.keys);
    if (result.verdict == LINEAR_UNDECIDED) write_undecided(file, &result);
    if (result.verdict == LINEAR_NO) {
        uint64_t origin_ns = first_call(history);
        fprintf(file, "not linearizable: no order of these %zu operations on key",
                result.stretch_count);
        write_text(file, result.key);
        fprintf(file, " explains them\n");
        for (size_t i = 0; i < MIN_OF(result.stretch_count, (size_t)SHOWN_MAX); i++)
            write_operation(file, &history->operations[result.stretch[i]], origin_ns);
        if (result.stretch_count > SHOWN_MAX)
            fprintf(file, "  and %zu more\n", result.stretch_count - SHOWN_MAX);
    }
    free(result.stretch);
    return result.verdict;
}
