/* ctl/sim.c - see ctl/sim.h. */
#include "ctl/sim.h"

#include "ctl/commands.h"
#include "ctl/kept.h"
#include "ctl/note_log.h"
#include "sim/shrink.h"
#include "sim/swarm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHRINK_RUNS = 10000 };

static int exit_code(enum player_end end)
{
    if (end == PLAYER_UNSAFE) return EXIT_UNSAFE;
    return end == PLAYER_DONE ? EXIT_WELL : EXIT_UNMET;
}

/* ---- the log of one run, and its history ---- */

struct writing {
    struct note_log lines;
    FILE *file;
    uint32_t topics;
    const char *history_path;
    err_t err;
};

static void write_note(void *context, const struct note *note)
{
    struct writing *writing = context;
    if (writing->file == NULL) return;
    note_log_follow(&writing->lines, note);
    if ((writing->topics >> note_topic(note->kind)) & 1)
        note_log_write(&writing->lines, writing->file, note);
}

static void write_operations(void *context, const struct history *history)
{
    struct writing *writing = context;
    if (writing->history_path == NULL) return;
    writing->err = history_save(history, writing->history_path);
    if (writing->err != ERR_OK) err_note(writing->err, "--history");
}

/* The same run again, its transitions into a file that stays. */
static void keep_trace(const struct sim_options *options, const struct plan *plan, char *path,
                       size_t size)
{
    struct writing writing = { .lines = { .peers = plan->peers }, .topics = ~0u };
    struct outcome outcome;
    writing.file = kept_open("trace", ".log", path, size);
    if (writing.file == NULL) return;
    struct runner_config config = { .bug = options->range.bug,
                                    .each_note = write_note,
                                    .context = &writing };
    runner_run(&config, plan, NULL, &outcome);
    kept_close(writing.file, path, size);
}

/* ---- telling ---- */

static void tell_outcome(const struct sim_options *options, const struct plan *plan,
                         const struct outcome *outcome, const char *trace, struct tap *tap)
{
    static const char *const words[] = {
        [LINEAR_YES] = "yes", [LINEAR_NO] = "no", [LINEAR_UNDECIDED] = "undecided"
    };
    char hash[24];
    tap_yaml_begin(tap);
    if (outcome->failure[0] != '\0') {
        tap_yaml_text(tap, "failure", outcome->failure);
        tap_yaml_text(tap, "invariant", outcome->invariant);
    }
    if (trace[0] != '\0') tap_yaml_text(tap, "trace", trace);
    if (options->range.bug != NULL) tap_yaml_text(tap, "bug", options->range.bug->name);
    tap_yaml_number(tap, "seed", plan->seed);
    tap_yaml_text(tap, "preset", plan->preset);
    tap_yaml_number(tap, "peers", plan->peers);
    tap_yaml_text(tap, "safe", outcome->end == PLAYER_UNSAFE ? "no" : "yes");
    tap_yaml_text(tap, "linearizable",
                  outcome->judged ? words[outcome->linearizable] : "no operations");
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)outcome->hash);
    tap_yaml_text(tap, "hash", hash);
    for (uint32_t i = 0; i < COUNT_COUNT; i++)
        tap_yaml_number(tap, count_label((enum count)i), outcome->counts[i]);
    tap_yaml_end(tap);
}

/* The smallest plan that still fails: shown, and kept. */
static void tell_smallest(const struct sim_options *options, const char *text,
                          const struct outcome *outcome, struct tap *tap)
{
    struct runner_config config = { .bug = options->range.bug };
    char path[4096];
    char *smallest = shrink_plan(&config, text, outcome, SHRINK_RUNS);
    FILE *file = kept_open("smallest", ".plan", path, sizeof(path));
    if (file != NULL) {
        fprintf(file, "# %s: %s\n%s", outcome->invariant, outcome->failure, smallest);
        kept_close(file, path, sizeof(path));
    }
    tap_comment(tap, "the smallest plan that still breaks %s, for `ringside sim%s%s %s`:",
                outcome->invariant, options->range.bug != NULL ? " --bug " : "",
                options->range.bug != NULL ? options->range.bug->name : "", path);
    tap_comment(tap, "%s", smallest);
    free(smallest);
}

/* ---- one plan ---- */

int sim_plan(const struct sim_options *options, const char *title, const struct plan *plan,
             struct tap *tap)
{
    struct tap inside = { .file = tap->file, .indent = tap->indent + 4 };
    struct writing writing = { .lines = { .peers = plan->peers },
                               .file = options->log,
                               .topics = options->topics,
                               .history_path = options->history_path };
    struct runner_config config = { .bug = options->range.bug,
                                    .each_note = options->log != NULL ? write_note : NULL,
                                    .context = &writing,
                                    .each_history = write_operations };
    struct outcome outcome = { .end = PLAYER_UNMET, .invariant = "LV" };
    char trace[4096] = "";
    tap_comment(tap, "Subtest: %s", title);
    if (plan_is_empty(plan)) strcpy(outcome.failure, "the plan neither does nor expects anything");
    else runner_run(&config, plan, &inside, &outcome);
    if (writing.err != ERR_OK) return EXIT_INPUT;
    tap_plan(&inside);
    if (outcome.end != PLAYER_DONE) keep_trace(options, plan, trace, sizeof(trace));
    tap_point(tap, outcome.end == PLAYER_DONE, "%s", title);
    tell_outcome(options, plan, &outcome, trace, tap);
    if (outcome.end != PLAYER_DONE && options->shrink) {
        char *text = plan_print(plan);
        CHECK(text != NULL);
        tell_smallest(options, text, &outcome, tap);
        free(text);
    }
    return exit_code(outcome.end);
}

/* ---- a range of seeds ---- */

/* The first failing seed once more, for its trace and its smallest plan. What killed a worker would
 * kill this process, too: then the seed's own plan is all there is. */
static void tell_first(const struct sim_options *options, const struct plan *plan,
                       const struct sim_failure *failure, struct tap *tap)
{
    bool runs = strcmp(failure->invariant, "CRASH") != 0 && strcmp(failure->invariant, "HANG") != 0;
    struct runner_config config = { .bug = options->range.bug };
    struct parse_error error;
    struct outcome outcome;
    struct plan own = { 0 };
    char trace[4096] = "";
    if (plan != NULL) own = *plan;
    own.seed = failure->seed;
    char *text = plan != NULL ? plan_print(&own) : swarm_plan(failure->seed);
    CHECK(text != NULL);
    tap_comment(tap, "seed %llu: %s: %s", (unsigned long long)failure->seed, failure->invariant,
                failure->failure);
    if (runs) {
        struct plan again;
        CHECK(plan_parse(text, strlen(text), &again, &error) == ERR_OK);
        runner_run(&config, &again, NULL, &outcome);
        keep_trace(options, &again, trace, sizeof(trace));
        plan_free(&again);
        tap_comment(tap, "trace: %s", trace);
        if (options->as_it_is) tap_comment(tap, "%s", text);
        else tell_smallest(options, text, &outcome, tap);
    } else {
        tap_comment(tap, "%s", text);
    }
    free(text);
}

int sim_seeds(const struct sim_options *options, const char *title, const struct plan *plan,
              struct tap *tap)
{
    struct sim_range range = options->range;
    struct sim_result result;
    range.plan = plan;
    if (sim_range_run(&range, &result) != ERR_OK) return EXIT_INPUT;
    bool empty = sim_range_seeds(&range) > 0 && result.counts[COUNT_ELECTIONS] == 0;
    int code = sim_result_code(&result);
    if (code == EXIT_WELL && empty) code = EXIT_UNMET;
    tap_point(tap, code == EXIT_WELL, "%s, seeds %llu..%llu%s", title,
              (unsigned long long)range.from, (unsigned long long)range.to,
              empty ? ": nothing was exercised" : "");
    sim_result_tell(&result, tap);
    if (result.failures_count > 0) tell_first(options, plan, &result.failures[0], tap);
    if (options->json_path != NULL && sim_result_write(&result, options->json_path) != ERR_OK)
        code = EXIT_INPUT;
    sim_result_free(&result);
    return code;
}

/* ---- merging ---- */

static err_t add_file(struct sim_result *sum, bool **seen, const char *path)
{
    struct sim_result shard;
    err_t err = sim_result_read(&shard, path);
    if (err != ERR_OK) return err;
    if (*seen == NULL) {
        *sum = (struct sim_result){ .from = shard.from, .to = shard.to, .shards = shard.shards };
        sum->shard = 1;
        memcpy(sum->bug, shard.bug, sizeof(sum->bug));
        *seen = calloc(shard.shards + 1u, sizeof(**seen));
        CHECK(*seen != NULL);
    }
    err = sim_result_add(sum, &shard, *seen);
    if (err != ERR_OK) err_note(err, "%s", path);
    sim_result_free(&shard);
    return err;
}

int sim_merge(char **paths, size_t count, const char *json_path, struct tap *tap)
{
    struct sim_result sum = { 0 };
    bool *seen = NULL;
    err_t err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < count; i++) err = add_file(&sum, &seen, paths[i]);
    for (uint32_t shard = 1; err == ERR_OK && shard <= sum.shards; shard++)
        if (!seen[shard])
            err = err_begin(ERR_INPUT, "shard %u of %u is missing", shard, sum.shards);
    int code = err == ERR_OK ? sim_result_code(&sum) : EXIT_INPUT;
    if (err == ERR_OK) {
        tap_point(tap, code == EXIT_WELL, "seeds %llu..%llu in %u shards",
                  (unsigned long long)sum.from, (unsigned long long)sum.to, sum.shards);
        sim_result_tell(&sum, tap);
        sum.shards = 1;
        if (json_path != NULL && sim_result_write(&sum, json_path) != ERR_OK) code = EXIT_INPUT;
    }
    free(seen);
    sim_result_free(&sum);
    return code;
}
