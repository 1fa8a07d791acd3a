/* ctl/explore.c - `ringside explore`: every order of events within bounds, breadth first. */
#include "ctl/commands.h"
#include "ctl/check.h"
#include "ctl/options.h"
#include "sim/bug.h"
#include "sim/explore_plan.h"
#include "sim/explore_tell.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIB = 1 << 20 };
static const uint64_t MEMORY_MOST = 4ull << 30, TELL_NS = 5 * NS_PER_S,
                      TELL_TERMINAL_NS = 200000000;

struct request {
    struct explore_options options;
    const struct bug *bug;
    const char *plan; /* a path, "-" or NULL */
};

enum {
    KEY_PEERS = 'n',
    KEY_BUDGET = 300, /* + enum budget */
    KEY_MESSAGES = 320,
    KEY_DEPTH,
    KEY_NOOP,
    KEY_TORN,
    KEY_NO_SYMMETRY,
    KEY_MEMORY,
    KEY_BUG,
    KEY_PLAN
};
/* What is explored where the line says nothing. */
enum { PEERS = 3, MESSAGES = 2 };
static const uint32_t budgets[BUDGET_COUNT] = {
    [BUDGET_TIMEOUTS] = 3, [BUDGET_HEARTBEATS] = 1, [BUDGET_PROPOSALS] = 1,
    [BUDGET_DROPS] = 1,    [BUDGET_DUPLICATES] = 1, [BUDGET_CRASHES] = 1,
};

static const struct argp_option rows[] = {
    { "peers", KEY_PEERS, "N", 0, "how many peers, 1 to 5 (default: 3)", 0 },
#define BUDGET_ROW(name, word, help) { word, KEY_BUDGET + BUDGET_##name, "N", 0, help, 0 },
    BUDGET_LIST(BUDGET_ROW)
#undef BUDGET_ROW
        { "messages", KEY_MESSAGES, "N", 0, "messages that the network holds, 1 to 10 (default: 2)",
          0 },
    { "depth", KEY_DEPTH, "N", 0, "events in a row (default: as many as the bounds allow)", 0 },
    { "noop", KEY_NOOP, NULL, 0, "a new leader appends an entry at once [R §8]", 0 },
    { "crash-before-save", KEY_TORN, NULL, 0,
      "peers crash also in the middle of a turn: what they sent early is under way, nothing is "
      "saved",
      0 },
    { "no-symmetry", KEY_NO_SYMMETRY, NULL, 0,
      "count states apart that differ only in the names of peers", 0 },
    { "memory", KEY_MEMORY, "SIZE", 0,
      "what the search may take (default: 4G, at most half of the machine)", 0 },
    { "bug", KEY_BUG, "NAME", 0, "run a bug of the museum instead of Raft", 0 },
    { "plan", KEY_PLAN, "FILE", 0,
      "write what is found as a plan, for ringside sim; - is standard output", 0 },
    { 0 },
};

static const char about[] =
    "Try every order of events at the peers of a small cluster, breadth first: messages delivered "
    "in any order, dropped, duplicated; timers that run out; proposals; crashes and restarts. "
    "After each event the invariants of Raft are checked over all history.\n"
    "\v"
    "An event at a peer is one whole turn: it is taken in, what it asks for is saved, sent and "
    "applied. Each kind of fault, timer and proposal happens at most as often as its option says "
    "(0 to 15; defaults: 1, timeouts 3); deliveries and restarts are free. The network holds at "
    "most --messages; where more are sent, some are lost, old or new ones, in all ways.\n\n"
    "States that are equal but for the names of peers are one. Of each only a fingerprint of 64 "
    "bits is kept: among n states two are taken for one with a chance below n*n/2^65, which is "
    "0.03 % for 10^8.\n\n"
    "What is found is found with the fewest events; it is told step by step, and --plan writes it "
    "as a plan. When memory is full the search stops and says how deep it is complete.\n\n"
    "Exit codes: 0 nothing was found, 1 bad input, 3 an invariant is broken.";

static error_t number(const char *option, const char *text, uint64_t low, uint64_t high,
                      uint32_t *value)
{
    uint64_t wide;
    error_t error = option_number(option, text, low, high, &wide);
    if (error == 0) *value = (uint32_t)wide;
    return error;
}

/* Only the core is here: a wrong step of the turn would change nothing. */
static error_t take_bug(struct request *request, const char *name)
{
    request->bug = bug_find(name);
    if (request->bug == NULL) return EINVAL;
    if (request->bug->swap != NULL) return 0;
    err_begin(ERR_INPUT,
              "--bug %s: a wrong step of the turn, which the core does not have; try sim", name);
    return EINVAL;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
#define BUDGET_WORD(name, word, help) "--" word,
    static const char *const words[] = { BUDGET_LIST(BUDGET_WORD) };
#undef BUDGET_WORD
    struct request *request = state->input;
    struct explore_options *options = &request->options;
    struct bounds *bounds = &options->bounds;
    if (key >= KEY_BUDGET && key < KEY_BUDGET + BUDGET_COUNT)
        return number(words[key - KEY_BUDGET], argument, 0, 15, &bounds->budgets[key - KEY_BUDGET]);
    switch (key) {
    case KEY_PEERS: return number("--peers", argument, 1, STATE_PEERS, &bounds->peers);
    case KEY_MESSAGES: return number("--messages", argument, 1, STATE_MESSAGES, &bounds->messages);
    case KEY_DEPTH: return number("--depth", argument, 1, EXPLORE_DEPTH_MAX, &options->depth);
    case KEY_NOOP: bounds->noop = true; return 0;
    case KEY_TORN: bounds->torn = true; return 0;
    case KEY_NO_SYMMETRY: options->symmetry = false; return 0;
    case KEY_MEMORY:
        if (size_parse(argument, &options->memory_bytes) == ERR_OK) return 0;
        err_note(ERR_INPUT, "--memory");
        return EINVAL;
    case KEY_BUG: return take_bug(request, argument);
    case KEY_PLAN: request->plan = argument; return 0;
    case ARGP_KEY_ARG:
        err_begin(ERR_INPUT, "'%.64s' is too much: explore takes options only", argument);
        return EINVAL;
    case ARGP_KEY_END: return bounds_check(bounds) == ERR_OK ? 0 : EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- telling ---- */

static double millions_a_minute(uint64_t states, uint64_t elapsed_ns)
{
    return elapsed_ns == 0 ? 0 : (double)states * 60e3 / (double)elapsed_ns;
}

static void progress(const struct explore_progress *now, void *context)
{
    bool terminal = *(bool *)context;
    fprintf(stderr,
            "%sdepth %u: %.1f M states, frontier %.1f M, %.1f M states a minute, %llu MiB%s",
            terminal ? "\r\033[K" : "", now->depth, (double)now->states / 1e6,
            (double)now->frontier / 1e6, millions_a_minute(now->states, now->elapsed_ns),
            (unsigned long long)now->bytes / MIB, terminal ? "" : "\n");
    fflush(stderr);
}

static void tell_bounds(const struct request *request)
{
    const struct bounds *bounds = &request->options.bounds;
#define BUDGET_WORD(name, word, help) word,
    static const char *const words[] = { BUDGET_LIST(BUDGET_WORD) };
#undef BUDGET_WORD
    printf("%u peers", bounds->peers);
    if (request->bug != NULL) printf(" with bug %u, %s", request->bug->number, request->bug->name);
    printf("; at most");
    for (uint32_t i = 0; i < BUDGET_COUNT; i++) printf(" %u %s,", bounds->budgets[i], words[i]);
    printf(" %u messages under way%s%s%s\n", bounds->messages,
           bounds->noop ? "; a new leader appends an entry" : "",
           bounds->torn ? "; crashes before the save of a turn, too" : "",
           request->options.symmetry ? "" : "; symmetric states count apart");
}

static void tell_end(const struct explore_result *result, const struct explore_options *options)
{
    switch (result->end) {
    case EXPLORED_WITHIN:
        printf("nothing found: these are all states within the bounds, the last after %u events\n",
               result->depth - 1);
        break;
    case EXPLORED_DEPTH:
        printf("nothing found in all runs of up to %u events\n", result->depth);
        break;
    case EXPLORED_FULL:
        printf("incomplete: memory is full (%llu MiB, --memory); nothing found in all runs of up "
               "to %u events\n",
               (unsigned long long)options->memory_bytes / MIB, result->depth);
        break;
    case EXPLORED_BROKEN: break;
    }
}

static void tell_figures(const struct explore_result *result)
{
#define ACT_WORD(name, text) text,
    static const char *const words[] = { ACT_LIST(ACT_WORD) };
#undef ACT_WORD
    double states = (double)result->states;
    printf("%llu distinct states, %llu events:", (unsigned long long)result->states,
           (unsigned long long)result->events);
    for (uint32_t i = 0; i < ACT_KINDS; i++)
        printf("%s %llu %s", i > 0 ? "," : "", (unsigned long long)result->played[i], words[i]);
    printf("\n%llu times a leader was elected, %llu times commit_index moved, %llu messages "
           "lost for want of room\n",
           (unsigned long long)result->elections, (unsigned long long)result->commits,
           (unsigned long long)result->lost);
    printf("%.2f s, %.1f M states a minute on one core; %.1f MiB, %.0f bytes a state; two states "
           "taken for one: chance %.1g\n",
           (double)result->elapsed_ns / 1e9, millions_a_minute(result->states, result->elapsed_ns),
           (double)result->bytes / MIB, (double)result->bytes / states,
           states * states / ldexp(1, 65));
}

/* False: it could not be written; one line said so. */
static bool write_plan(const struct request *request, const struct explore_result *result)
{
    char *text =
        explore_plan(&request->options, result, request->bug != NULL ? request->bug->name : NULL);
    if (text == NULL) {
        fprintf(stderr, "ringside explore: out of memory\n");
        return false;
    }
    bool to_stdout = strcmp(request->plan, "-") == 0, well = true;
    FILE *file = to_stdout ? stdout : fopen(request->plan, "we");
    if (file == NULL || fputs(text, file) == EOF) well = false;
    if (file != NULL && (to_stdout ? fflush(file) : fclose(file)) != 0) well = false;
    if (!well) fprintf(stderr, "ringside explore: %s: %s\n", request->plan, strerror(errno));
    free(text);
    return well;
}

static uint64_t memory_default(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || size <= 0) return MEMORY_MOST;
    return MIN_OF(MEMORY_MOST, (uint64_t)pages * (uint64_t)size / 2);
}

int explore_main(int argc, char **argv)
{
    static const struct argp argp = { rows, parse, NULL, about, NULL, NULL, NULL };
    static struct explore_result result;
    bool terminal = isatty(STDERR_FILENO);
    struct request request = { .options = { .bounds = { .peers = PEERS, .messages = MESSAGES },
                                            .depth = EXPLORE_DEPTH_MAX,
                                            .symmetry = true,
                                            .memory_bytes = memory_default(),
                                            .progress_ns = terminal ? TELL_TERMINAL_NS : TELL_NS,
                                            .progress = progress,
                                            .context = &terminal } };
    memcpy(request.options.bounds.budgets, budgets, sizeof(budgets));
    if (!options_parse(&argp, argc, argv, &request)) return EXIT_INPUT;
    bug_rules(request.bug, &request.options.rules);
    if (explore(&request.options, &result) != ERR_OK) {
        fprintf(stderr, "ringside explore: %s\n", err_context());
        return EXIT_INPUT;
    }
    if (terminal) fprintf(stderr, "\r\033[K");
    tell_bounds(&request);
    if (result.end == EXPLORED_BROKEN) explore_tell(stdout, &request.options, &result);
    tell_end(&result, &request.options);
    tell_figures(&result);
    if (result.end != EXPLORED_BROKEN) return EXIT_WELL;
    if (request.plan != NULL && !write_plan(&request, &result)) return EXIT_INPUT;
    return EXIT_UNSAFE;
}
