/* ctl/run_main.c - the command line of `ringside run`: all plans are read before one is run. */
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/plan_files.h"
#include "ctl/run.h"
#include "ctl/runtime.h"
#include "sim/bug.h"

#include <errno.h>

struct options {
    struct run_config config;
    const char *log_path;
    uint64_t seed;
    bool seeded;
    struct plan_files files;
};

enum { KEY_SEED = 256, KEY_LOG, KEY_TOPICS, KEY_HISTORY, KEY_NAME, KEY_BUG };

static const struct argp_option rows[] = {
    { "seed", KEY_SEED, "S", 0, "instead of the seed that the plans name", 0 },
    { "log", KEY_LOG, "FILE", 0, "write a line per transition to FILE; - is standard output", 0 },
    { "topics", KEY_TOPICS, "LIST", 0, "topics of the log, e.g. vote,leader (default: all)", 0 },
    { "history", KEY_HISTORY, "FILE", 0,
      "write what clients saw, for `ringside check`; one plan only", 0 },
    { "bug", KEY_BUG, "NAME", 0, "give all peers a bug of the museum, see: ringside bugs", 0 },
    { "name", KEY_NAME, "NAME", 0, "open a control socket, so that others can look and take part",
      0 },
    { 0 },
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case KEY_SEED:
        options->seeded = true;
        return option_number("--seed", argument, 0, UINT64_MAX, &options->seed);
    case KEY_LOG: options->log_path = argument; return 0;
    case KEY_TOPICS: return topics_parse(argument, &options->config.topics) == ERR_OK ? 0 : EINVAL;
    case KEY_HISTORY: options->config.history_path = argument; return 0;
    case KEY_BUG:
        options->config.bug = bug_find(argument);
        return options->config.bug != NULL ? 0 : EINVAL;
    case KEY_NAME:
        options->config.name = argument;
        return runtime_name_check(argument) == ERR_OK ? 0 : EINVAL;
    case ARGP_KEY_ARGS:
        options->files.paths = state->argv + state->next;
        options->files.count = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        if (options->files.count == 0)
            err_begin(ERR_INPUT, "which plan? e.g. ringside run plans/election.plan");
        else if (options->files.count > 1 && options->config.history_path != NULL)
            err_begin(ERR_INPUT, "--history takes one plan: each has a cluster of its own");
        else return 0;
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int run_plans(const struct options *options)
{
    struct tap tap = { .file = stdout };
    int worst = EXIT_WELL;
    printf("TAP version 14\n1..%zu\n", options->files.count);
    for (size_t i = 0; i < options->files.count; i++) {
        int code;
        if (!run_plan(&options->config, options->files.paths[i], &options->files.plans[i], &tap,
                      &code)) {
            printf("Bail out! %s\n", err_context());
            fflush(stdout);
            fprintf(stderr, "ringside run: %s\n", err_context());
            return EXIT_INPUT;
        }
        worst = MAX_OF(worst, code);
    }
    return worst;
}

int run_main(int argc, char **argv)
{
    static const struct argp argp = {
        rows,
        parse,
        "PLAN...",
        "Run plans on real processes and say what came of each, as TAP 14.\v"
        "Exit codes: 0 all is well, 1 bad input or environment (all plans are read before the "
        "first is "
        "run), 2 an expectation was not met, 3 safety was broken or a history is not linearizable. "
        "A failed plan leaves a trace of all transitions in $TMPDIR and says where.",
        NULL,
        NULL,
        NULL
    };
    struct options options = { .config = { .topics = ~0u } };
    if (!options_parse(&argp, argc, argv, &options)) return EXIT_INPUT;
    int code = EXIT_INPUT;
    err_t err = plan_files_load(&options.files, options.seeded ? &options.seed : NULL);
    if (err == ERR_OK) err = log_open(options.log_path, "run", &options.config.log);
    if (err == ERR_OK) code = run_plans(&options);
    else fprintf(stderr, "%s\n", err_context());
    if (options.config.log != NULL && options.config.log != stdout) fclose(options.config.log);
    plan_files_free(&options.files);
    return code;
}
