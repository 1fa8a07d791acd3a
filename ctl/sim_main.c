/* ctl/sim_main.c - the command line of `ringside sim`. */
#include "ctl/commands.h"
#include "ctl/note_log.h"
#include "ctl/options.h"
#include "ctl/plan_files.h"
#include "ctl/sim.h"
#include "sim/swarm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command_line {
    struct sim_options options;
    const char *log_path, *shard;
    uint64_t seed;
    bool seeded, merge, show;
    struct plan_files files;
};

enum {
    KEY_SEED = 256,
    KEY_SEEDS,
    KEY_BUG,
    KEY_JOBS,
    KEY_SHARD,
    KEY_JSON,
    KEY_MERGE,
    KEY_FOR,
    KEY_TWICE,
    KEY_ALL,
    KEY_SHOW,
    KEY_SHRINK,
    KEY_NO_SHRINK,
    KEY_LOG,
    KEY_TOPICS,
    KEY_HISTORY
};

static const struct argp_option rows[] = {
    { "seeds", KEY_SEEDS, "A..B", 0,
      "without PLAN: each seed draws its own cluster and faults; with PLAN: run it with each seed",
      0 },
    { "seed", KEY_SEED, "S", 0, "instead of the seed that the plans name", 0 },
    { "bug", KEY_BUG, "NAME", 0, "with a bug of the museum in every peer (see ringside bugs)", 0 },
    { "jobs", KEY_JOBS, "N", 0, "processes that run seeds (default: one for each CPU)", 0 },
    { "for", KEY_FOR, "TIME", 0, "begin no further seed after so long", 0 },
    { "all", KEY_ALL, NULL, 0, "go on after the first seed that fails", 0 },
    { "twice", KEY_TWICE, NULL, 0, "run each seed twice: both runs must be the same, to the bit",
      0 },
    { "show", KEY_SHOW, NULL, 0, "print the plans of the seeds and run nothing", 0 },
    { "shrink", KEY_SHRINK, NULL, 0,
      "of a PLAN that fails print the smallest that still does (of --seeds that is usual)", 0 },
    { "no-shrink", KEY_NO_SHRINK, NULL, 0, "of a seed that fails print its own plan", 0 },
    { "shard", KEY_SHARD, "I/N", 0,
      "only part I of N of the seeds; /N: I is SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX", 0 },
    { "json", KEY_JSON, "FILE", 0, "write the result of --seeds or --merge; - is standard output",
      0 },
    { "merge", KEY_MERGE, NULL, 0, "sum up such results of all shards: sim --merge FILE...", 0 },
    { "log", KEY_LOG, "FILE", 0, "write a line per transition to FILE; - is standard output", 0 },
    { "topics", KEY_TOPICS, "LIST", 0, "topics of the log, e.g. vote,leader (default: all)", 0 },
    { "history", KEY_HISTORY, "FILE", 0,
      "write what clients saw, for `ringside check`; one plan only", 0 },
    { 0 },
};

static error_t parse_seeds(struct sim_options *options, const char *text)
{
    char *end, *second;
    errno = 0;
    options->range.from = options->range.to = strtoull(text, &end, 10);
    bool right = end != text && text[0] != '-';
    if (right && strncmp(end, "..", 2) == 0 && end[2] != '-') {
        second = end + 2;
        options->range.to = strtoull(second, &end, 10);
        right = end != second;
    }
    options->seeds = true;
    /* JSON has no larger whole numbers */
    if (right && *end == '\0' && errno == 0 && options->range.to <= INT64_MAX &&
        options->range.from <= options->range.to)
        return 0;
    err_begin(ERR_INPUT, "--seeds: '%.64s' is no range such as 1..1000", text);
    return EINVAL;
}

/* ---- which shard ---- */

static bool number_of(const char *text, uint64_t *number, const char **rest)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return end != text && errno == 0 && text[0] >= '0' && text[0] <= '9';
}

static bool from_environment(const char *name, uint64_t *number)
{
    const char *text = getenv(name), *rest;
    return text != NULL && number_of(text, number, &rest) && *rest == '\0';
}

/* The index that an engine of array jobs gave this one, from 1; 0: none did. */
static uint64_t engine_index(void)
{
    uint64_t index, first, step = 1;
    if (from_environment("SLURM_ARRAY_TASK_ID", &index)) {
        if (!from_environment("SLURM_ARRAY_TASK_MIN", &first)) first = 1;
        if (!from_environment("SLURM_ARRAY_TASK_STEP", &step) || step == 0) step = 1;
        return index >= first ? (index - first) / step + 1 : 0;
    }
    return from_environment("JOB_COMPLETION_INDEX", &index) ? index + 1 : 0;
}

static err_t find_shard(struct command_line *line)
{
    struct sim_range *range = &line->options.range;
    const char *text = line->shard, *rest = text;
    uint64_t index = engine_index(), shards = 1;
    if (text == NULL) {
        if (index == 0 || !line->options.seeds) return ERR_OK;
        if (!from_environment("SLURM_ARRAY_TASK_COUNT", &shards))
            return err_begin(ERR_INPUT,
                             "an array job's index is set: say of how many, with --shard /N");
    } else {
        if (text[0] != '/' && !number_of(text, &index, &rest)) index = 0;
        if (*rest != '/' || !number_of(rest + 1, &shards, &rest) || *rest != '\0') shards = 0;
    }
    if (index >= 1 && index <= shards && shards <= UINT32_MAX) {
        range->shard = (uint32_t)index;
        range->shards = (uint32_t)shards;
        return ERR_OK;
    }
    return err_begin(
        ERR_INPUT,
        "--shard: '%.64s' is no I/N such as 3/16, nor /N in an array job (of index %llu)",
        text != NULL ? text : "", (unsigned long long)index);
}

/* ---- the command line ---- */

static error_t check_line(struct command_line *line)
{
    const struct sim_options *options = &line->options;
    if (line->merge && line->files.count == 0)
        err_begin(ERR_INPUT, "--merge: which files? e.g. ringside sim --merge result-*.json");
    else if (line->merge) return 0;
    else if (line->files.count == 0 && !options->seeds)
        err_begin(ERR_INPUT,
                  "which plan? e.g. ringside sim plans/election.plan, or --seeds 1..1000");
    else if (options->history_path != NULL && (line->files.count != 1 || options->seeds))
        err_begin(ERR_INPUT, "--history takes one plan");
    else if (options->json_path != NULL && (!options->seeds || line->files.count > 1))
        err_begin(ERR_INPUT, "--json goes with --seeds and at most one plan");
    else if (line->seeded && options->seeds) err_begin(ERR_INPUT, "either --seed or --seeds");
    else if (line->show && (!options->seeds || line->files.count > 0))
        err_begin(ERR_INPUT, "--show goes with --seeds and no plan");
    else return find_shard(line) == ERR_OK ? 0 : EINVAL;
    return EINVAL;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct command_line *line = state->input;
    struct sim_options *options = &line->options;
    uint64_t number;
    switch (key) {
    case KEY_SEEDS: return parse_seeds(options, argument);
    case KEY_SEED:
        line->seeded = true;
        return option_number("--seed", argument, 0, UINT64_MAX, &line->seed);
    case KEY_BUG: return (options->range.bug = bug_find(argument)) != NULL ? 0 : EINVAL;
    case KEY_JOBS:
        if (option_number("--jobs", argument, 1, 1024, &number) != 0) return EINVAL;
        options->range.jobs = (uint32_t)number;
        return 0;
    case KEY_FOR: return option_time("--for", argument, &options->range.real_ns);
    case KEY_ALL: options->range.all = true; return 0;
    case KEY_TWICE: options->range.twice = true; return 0;
    case KEY_SHOW: line->show = true; return 0;
    case KEY_SHRINK: options->shrink = true; return 0;
    case KEY_NO_SHRINK: options->as_it_is = true; return 0;
    case KEY_SHARD: line->shard = argument; return 0;
    case KEY_JSON: options->json_path = argument; return 0;
    case KEY_MERGE: line->merge = true; return 0;
    case KEY_LOG: line->log_path = argument; return 0;
    case KEY_TOPICS: return topics_parse(argument, &options->topics) == ERR_OK ? 0 : EINVAL;
    case KEY_HISTORY: options->history_path = argument; return 0;
    case ARGP_KEY_ARGS:
        line->files.paths = state->argv + state->next;
        line->files.count = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END: return check_line(line);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- running ---- */

static err_t load(struct command_line *line)
{
    err_t err = ERR_OK;
    if (!line->merge) err = plan_files_load(&line->files, line->seeded ? &line->seed : NULL);
    return err == ERR_OK ? log_open(line->log_path, "sim", &line->options.log) : err;
}

static int show(const struct sim_range *range)
{
    for (uint64_t seed = range->from + range->shard - 1; seed <= range->to; seed += range->shards) {
        char *text = swarm_plan(seed);
        fputs(text, stdout);
        free(text);
    }
    return EXIT_WELL;
}

static int run_all(struct command_line *line)
{
    struct tap tap = { .file = stdout };
    const struct sim_options *options = &line->options;
    size_t points = line->merge || line->files.count == 0 ? 1 : line->files.count;
    int worst = EXIT_WELL;
    if (line->show) return show(&options->range);
    printf("TAP version 14\n1..%zu\n", points);
    for (size_t i = 0; i < points; i++) {
        int code;
        if (line->merge)
            code = sim_merge(line->files.paths, line->files.count, options->json_path, &tap);
        else if (line->files.count == 0) code = sim_seeds(options, "the swarm", NULL, &tap);
        else if (options->seeds)
            code = sim_seeds(options, line->files.paths[i], &line->files.plans[i], &tap);
        else code = sim_plan(options, line->files.paths[i], &line->files.plans[i], &tap);
        if (code == EXIT_INPUT) {
            printf("Bail out! %s\n", err_context());
            fflush(stdout);
            fprintf(stderr, "ringside sim: %s\n", err_context());
            return EXIT_INPUT;
        }
        worst = MAX_OF(worst, code);
    }
    return worst;
}

int sim_main(int argc, char **argv)
{
    static const struct argp argp = {
        rows,
        parse,
        "PLAN...\n--seeds A..B [PLAN...]\n--merge FILE...",
        "Run plans in virtual time: whole peers, the code that runs live, on a simulated network "
        "and simulated disks, a few thousand times faster than real time. The same seed gives the "
        "same run, to the bit. Says what came of each, as TAP 14.\v"
        "Exit codes: 0 all is well, 1 bad input or environment, 2 an expectation was not met, 3 "
        "safety was broken or a history is not linearizable. After a failure a trace of all "
        "transitions stays in $TMPDIR, and with --seeds the smallest plan that still fails, for "
        "`ringside sim` and `ringside run`.",
        NULL,
        NULL,
        NULL
    };
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct command_line line = {
        .options = { .range = { .shard = 1,
                                .shards = 1,
                                .jobs = (uint32_t)MIN_OF(MAX_OF(cpus, 1), 1024),
                                .real_ns = TIME_NEVER },
                     .topics = ~0u },
    };
    int code = EXIT_INPUT;
    if (!options_parse(&argp, argc, argv, &line)) return EXIT_INPUT;
    if (load(&line) == ERR_OK) code = run_all(&line);
    else fprintf(stderr, "%s\n", err_context());
    if (line.options.log != NULL && line.options.log != stdout) fclose(line.options.log);
    plan_files_free(&line.files);
    return code;
}
