/* sim/verdict.c - see sim/verdict.h. */
#include "sim/verdict.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 40, VALUE_SHOWN = 32 };

static void write_text(FILE *file, const char *text)
{
    size_t length = strlen(text);
    if (length <= VALUE_SHOWN) fprintf(file, " %s", text);
    else fprintf(file, " %.*s...(%zu bytes)", VALUE_SHOWN - 16, text, length);
}

/* "  client 3   1.204s ..  1.210s  cas k1 c3-1 c3-7: false" */
static void write_operation(FILE *file, const struct operation *operation, uint64_t origin_ns)
{
    static const char *const statuses[] = { "ok", "fail", "unknown" };
    fprintf(file, "  client %-3llu %8.4fs ..", (unsigned long long)operation->client,
            (double)(operation->call_ns - origin_ns) / 1e9);
    if (operation->return_ns == TIME_NEVER) fprintf(file, "         ?");
    else fprintf(file, " %8.4fs", (double)(operation->return_ns - origin_ns) / 1e9);
    fprintf(file, "  %s %s", history_op_name(operation->op), operation->key);
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

enum linear_verdict verdict_write(FILE *file, const struct history *history,
                                  const struct linear_limits *limits)
{
    struct linear_result result;
    linear_check(history, limits, &result);
    if (result.verdict == LINEAR_YES)
        fprintf(file, "%zu operations on %zu keys are linearizable\n", result.operations,
                result.keys);
    if (result.verdict == LINEAR_UNDECIDED)
        fprintf(file, "undecided: the limits of time or memory did not suffice for key %s\n",
                result.key != NULL ? result.key : "?");
    if (result.verdict == LINEAR_NO) {
        fprintf(file,
                "not linearizable: no order of these %zu operations on key %s explains them\n",
                result.stretch_count, result.key);
        for (size_t i = 0; i < MIN_OF(result.stretch_count, (size_t)SHOWN_MAX); i++)
            write_operation(file, &history->operations[result.stretch[i]], first_call(history));
        if (result.stretch_count > SHOWN_MAX)
            fprintf(file, "  and %zu more\n", result.stretch_count - SHOWN_MAX);
    }
    free(result.stretch);
    return result.verdict;
}
