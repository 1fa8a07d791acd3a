/* ctl/run.c - one plan, one cluster, one point of TAP. */
#include "ctl/run.h"

#include "ctl/commands.h"
#include "ctl/kept.h"
#include "ctl/load.h"
#include "ctl/stage_live.h"
#include "sim/bug.h"
#include "sim/player.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a run did, by the notes that were seen. */
static const struct {
    const char *label;
    enum note_kind kind;
} counted[] = {
    { "elections", NOTE_BECAME_LEADER },
    { "candidacies", NOTE_BECAME_CANDIDATE },
    { "pauses", NOTE_PAUSED },
    { "resumes", NOTE_RESUMED },
    { "restarts", NOTE_RESTARTED },
    { "timeouts_forced", NOTE_TIMEOUT_FORCED },
    { "link_changes", NOTE_LINKS_CHANGED },
    { "truncations", NOTE_TRUNCATED },
    { "disks_slowed", NOTE_SLOW_DISK },
    { "disk_failures", NOTE_DISK_FAILED },
    { "clocks_skewed", NOTE_SKEWED },
    { "rate_changes", NOTE_CLOCK_RATE },
};

struct summary {
    uint64_t seconds_ms, commits, rpcs, missed;
    uint64_t notes[COUNT(counted)];
    uint64_t lost, cut, corrupted, full, duplicated, delayed;
    uint64_t operations[3]; /* by enum history_status */
    struct player_result result;
    uint64_t kills;
    char trace[4096]; /* path; "" where none was kept */
};

/* ---- gathering ---- */

static uint64_t counter(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void sum_links(const struct cluster *cluster, struct summary *summary)
{
    for (uint32_t from = 1; from <= cluster->config.peers; from++)
        for (uint32_t to = 1; to <= cluster->config.peers; to++) {
            if (from == to) continue;
            const struct link_counts *link = region_link(cluster->region, from, to);
            struct ring ring = region_ring(cluster->region, from, to);
            summary->lost += counter(&link->lost);
            summary->cut += counter(&link->cut);
            summary->corrupted += counter(&link->corrupted);
            summary->duplicated += counter(&link->duplicated);
            summary->delayed += counter(&link->delayed);
            summary->rpcs += counter(&link->requests);
            summary->full += counter(&ring.producer->refused);
        }
}

static void summarize(const struct supervisor *supervisor, struct summary *summary)
{
    const struct cluster *cluster = supervisor->cluster;
    summary->seconds_ms = (real_now_ns() - cluster->began_ns) / NS_PER_MS;
    summary->missed = cluster->facts.missed;
    for (size_t i = 0; i < COUNT(counted); i++)
        summary->notes[i] = observer_count(supervisor->observer, counted[i].kind);
    for (uint32_t id = 1; id <= cluster->config.peers; id++) {
        struct board board;
        if (cluster_board(cluster, id, &board))
            summary->commits = MAX_OF(summary->commits, board.commit_index);
    }
    sum_links(cluster, summary);
}

static err_t take_history(const struct run_config *config, struct supervisor *supervisor,
                          const struct stage_live *live, struct summary *summary)
{
    struct history history;
    history_init(&history);
    for (uint32_t i = 0; i < supervisor->cluster->config.clients; i++)
        cluster_kill_client(supervisor->cluster,
                            i); /* some may work where the run was broken off */
    err_t err = stage_live_history(live, &history);
    for (size_t i = 0; i < history.count; i++) summary->operations[history.operations[i].status]++;
    if (err == ERR_OK && config->history_path != NULL) {
        err = history_save(&history, config->history_path);
        if (err != ERR_OK) err_note(err, "--history");
    }
    history_free(&history);
    return err;
}

/* Copy the unnamed trace to a file that stays, for the person who looks into the failure. */
static void keep_trace(FILE *trace, struct summary *summary)
{
    char bytes[65536];
    size_t got;
    FILE *file = kept_open("trace", ".log", summary->trace, sizeof(summary->trace));
    if (file == NULL) return;
    rewind(trace);
    while ((got = fread(bytes, 1, sizeof(bytes), trace)) > 0) fwrite(bytes, 1, got, file);
    kept_close(file, summary->trace, sizeof(summary->trace));
}

/* ---- telling ---- */

static const char *verdict_word(const struct player_result *result)
{
    static const char *const words[] = {
        [LINEAR_YES] = "yes", [LINEAR_NO] = "no", [LINEAR_UNDECIDED] = "undecided"
    };
    return result->judged ? words[result->linearizable] : "no operations";
}

static void tell_summary(const struct plan *plan, const struct bug *bug, bool safe,
                         const struct summary *summary, struct tap *tap)
{
    tap_yaml_begin(tap);
    if (summary->result.failure[0] != '\0') tap_yaml_text(tap, "failure", summary->result.failure);
    if (summary->trace[0] != '\0') tap_yaml_text(tap, "trace", summary->trace);
    if (bug != NULL) tap_yaml_text(tap, "bug", bug->name);
    tap_yaml_number(tap, "seed", plan->seed);
    tap_yaml_text(tap, "preset", plan->preset);
    tap_yaml_number(tap, "peers", plan->peers);
    tap_yaml_number(tap, "duration_ms", summary->seconds_ms);
    tap_yaml_text(tap, "safe", !safe ? "no" : summary->missed > 0 ? "as far as seen" : "yes");
    tap_yaml_text(tap, "linearizable", verdict_word(&summary->result));
    tap_yaml_number(tap, "commits", summary->commits);
    tap_yaml_number(tap, "operations_ok", summary->operations[HISTORY_OK]);
    tap_yaml_number(tap, "operations_fail", summary->operations[HISTORY_FAIL]);
    tap_yaml_number(tap, "operations_unknown", summary->operations[HISTORY_UNKNOWN]);
    tap_yaml_number(tap, "kills", summary->kills);
    for (size_t i = 0; i < COUNT(counted); i++)
        tap_yaml_number(tap, counted[i].label, summary->notes[i]);
    tap_yaml_number(tap, "rpcs", summary->rpcs);
    tap_yaml_number(tap, "dropped_loss", summary->lost);
    tap_yaml_number(tap, "dropped_cut", summary->cut);
    tap_yaml_number(tap, "dropped_corrupt", summary->corrupted);
    tap_yaml_number(tap, "dropped_full", summary->full);
    tap_yaml_number(tap, "duplicated", summary->duplicated);
    tap_yaml_number(tap, "delayed", summary->delayed);
    tap_yaml_number(tap, "notes_missed", summary->missed);
    tap_yaml_end(tap);
    if (summary->missed > 0)
        tap_comment(tap, "%llu transitions were overwritten before the safety checker saw them",
                    (unsigned long long)summary->missed);
    if (summary->trace[0] != '\0') tap_comment(tap, "trace: %s", summary->trace);
}

/* ---- running ---- */

static void run_steps(struct stage_live *live, struct player *player)
{
    struct supervisor *supervisor = live->supervisor;
    while (!supervisor->stop && player_poll(player) == PLAYER_GOING)
        supervisor_poll(supervisor, stage_live_real_ns(live, player_wake_ns(player)));
}

/* The cluster runs: run the plan on it and end it. An error: it was interrupted. */
static err_t run_cluster(const struct run_config *config, const struct plan *plan,
                         struct supervisor *supervisor, struct tap *tap, struct summary *summary)
{
    struct stage_live live;
    stage_live_open(&live, supervisor);
    struct player *player = player_open(&live.stage, plan, tap);
    run_steps(&live, player);
    summary->result = *player_result(player);
    summary->kills = live.kills;
    summarize(supervisor, summary);
    err_t err = take_history(config, supervisor, &live, summary);
    if (supervisor->stop && supervisor->stop_signal != 0)
        err = err_begin(ERR_INPUT, "interrupted: %s", strsignal(supervisor->stop_signal));
    else if (supervisor->stop) err = err_begin(ERR_INPUT, "ended by `down`");
    supervisor_close(supervisor);
    player_close(player);
    stage_live_close(&live);
    return err;
}

static int exit_code(const struct player_result *result)
{
    if (result->end == PLAYER_UNSAFE) return EXIT_UNSAFE;
    return result->end == PLAYER_DONE ? EXIT_WELL : EXIT_UNMET;
}

static bool run_empty(const char *title, struct tap *tap, int *code)
{
    tap_point(tap, false, "%s", title);
    tap_yaml_begin(tap);
    tap_yaml_text(tap, "failure", "the plan neither does nor expects anything");
    tap_yaml_end(tap);
    *code = EXIT_UNMET;
    return true;
}

bool run_plan(const struct run_config *config, const char *title, const struct plan *plan,
              struct tap *tap, int *code)
{
    struct supervisor_config cluster = {
        .cluster = { .name = config->name != NULL ? config->name : "run",
                     .peers = plan->peers,
                     .clients = plan_clients(plan),
                     .seed = plan->seed,
                     .bug = config->bug,
                     .preset = preset_find(plan->preset) },
        .listen = config->name != NULL,
        .log = config->log,
        .topics = config->topics,
    };
    struct supervisor supervisor;
    struct summary summary = { 0 };
    struct tap inside = { .file = tap->file, .indent = tap->indent + 4 };
    *code = EXIT_INPUT;
    if (plan_is_empty(plan)) return run_empty(title, tap, code);
    if (config->name != NULL) cluster.cluster.clients = MAX_OF(plan_clients(plan), LOAD_CLIENTS);
    cluster.trace = tmpfile(); /* without a name: nothing of it stays, even after SIGKILL */
    if (cluster.trace == NULL) {
        err_begin(ERR_SYSTEM, "a file for the trace: %s", strerror(errno));
        return false;
    }
    tap_comment(tap, "Subtest: %s", title);
    fflush(NULL);
    err_t err = supervisor_open(&cluster, &supervisor);
    if (err == ERR_OK) err = run_cluster(config, plan, &supervisor, &inside, &summary);
    if (err == ERR_OK && summary.result.end == PLAYER_DONE && summary.notes[0] == 0) {
        summary.result.end = PLAYER_UNMET;
        snprintf(summary.result.failure, sizeof(summary.result.failure),
                 "nothing was exercised: no leader was ever elected");
    }
    if (err == ERR_OK) {
        *code = exit_code(&summary.result);
        tap_plan(&inside);
        if (*code != EXIT_WELL) keep_trace(cluster.trace, &summary);
        tap_point(tap, *code == EXIT_WELL, "%s", title);
        tell_summary(plan, config->bug, !supervisor.violated, &summary, tap);
    }
    fclose(cluster.trace);
    return err == ERR_OK;
}
