/* ctl/check.c - `ringside check`: is a recorded history linearizable? */
#include "ctl/check.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "sim/verdict.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const char *path;
    struct linear_limits limits;
};

enum { KEY_MEMORY = 256, KEY_TIMEOUT };

static const struct argp_option rows[] = {
    { "memory", KEY_MEMORY, "SIZE", 0,
      "what the history may take, and the search beside it, e.g. 512M (default: 1G)", 0 },
    { "timeout", KEY_TIMEOUT, "TIME", 0, "how long the search may take (default: 60s)", 0 },
    { 0 },
};

static const char about[] =
    "Tell whether a history is linearizable: whether one order of its operations, each at a moment "
    "between its call and its return, explains all that clients saw.\n"
    "\v"
    "HISTORY holds one operation a line, in any order:\n\n"
    "  {\"client\":1,\"op\":\"put\",\"key\":\"k\",\"value\":\"v\",\"call\":100,\"return\":250,"
    "\"status\":\"ok\"}\n\n"
    "op is put, get, del, append or cas. call and return are nanoseconds of one clock. cas has "
    "\"expect\", a string or null for an absent key. output is what an ok get saw, a string or "
    "null; of an ok cas true or false; of an ok del true, false or missing. status is ok, fail "
    "(certainly had no effect) or unknown (may take effect at any later time, or never; its "
    "return is null or missing).\n\n"
    "Exit codes: 0 linearizable, 1 bad input, 2 undecided within the limits, 3 not linearizable: "
    "then the operations that contradict each other are printed.";

err_t size_parse(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    uint32_t shift = 0;
    const char *unit = *end == '\0' ? NULL : strchr(units, toupper((unsigned char)*end));
    if (unit != NULL) {
        shift = 10 * (uint32_t)(unit - units + 1);
        end++;
        if (*end == 'i') end++;
    }
    if (*end == 'B') end++;
    if (isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && number > 0 &&
        number <= UINT64_MAX >> shift) {
        *bytes = number << shift;
        return ERR_OK;
    }
    return err_begin(ERR_INPUT, "'%.64s' is no size such as 512M, 4GiB or 1000000", text);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct check *check = state->input;
    switch (key) {
    case KEY_MEMORY:
        if (size_parse(argument, &check->limits.memory_bytes) == ERR_OK) return 0;
        err_note(ERR_INPUT, "--memory");
        return EINVAL;
    case KEY_TIMEOUT: return option_time("--timeout", argument, &check->limits.timeout_ns);
    case ARGP_KEY_ARG:
        if (check->path == NULL) {
            check->path = argument;
            return 0;
        }
        err_begin(ERR_INPUT, "'%.64s' is too much: one history at a time", argument);
        return EINVAL;
    case ARGP_KEY_NO_ARGS:
        err_begin(ERR_INPUT, "which history? See: ringside check --help");
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int check_main(int argc, char **argv)
{
    static const int codes[] = {
        [LINEAR_YES] = EXIT_WELL, [LINEAR_NO] = EXIT_UNSAFE, [LINEAR_UNDECIDED] = EXIT_UNMET
    };
    static const struct argp argp = { rows, parse, "HISTORY.jsonl", about, NULL, NULL, NULL };
    struct check check = { .limits = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS } };
    if (!options_parse(&argp, argc, argv, &check)) return EXIT_INPUT;
    struct history history;
    int code = EXIT_INPUT;
    history_init(&history);
    history.bytes_at_most = check.limits.memory_bytes;
    err_t err = history_load(&history, check.path);
    if (err == ERR_TOO_LARGE) {
        printf("undecided: %s; --memory says how much it may be\n", err_context());
        code = EXIT_UNMET;
    } else if (err != ERR_OK) fprintf(stderr, "ringside check: %s\n", err_context());
    else code = codes[verdict_write(stdout, &history, &check.limits)];
    history_free(&history);
    return code;
}
