/* ctl/bench.c - `ringside bench`: names, medians of several runs, a table or JSON lines. */
#include "ctl/bench.h"

#include "ctl/commands.h"
#include "ctl/options.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench benches[] = {
    { "cache-line", "floor: a cache line bounced between two processes, there and back", 0, 0, 0,
      NULL, NULL, "", bench_cache_line },
    { "futex", "floor: a futex round trip between two processes", 0, 0, 0, NULL, NULL, "",
      bench_futex },
    { "quorum-round", "floor: leader, 2 followers, rings and doorbells; no Raft, no disk", 3, 64, 1,
      NULL, NULL, "", bench_quorum_round },
    { "fdatasync", "floor: append 4 KiB and fdatasync", 0, 4096, 0, "disk", NULL, "",
      bench_fdatasync },
    { "lmdb", "floor: one synced LMDB commit of one entry", 1, 64, 1, "disk", NULL, "",
      bench_lmdb },
    { "lmdb-3", "floor: the same in three processes at once", 3, 64, 1, "disk", NULL, "",
      bench_lmdb },
    { "ring", "one-way messages through one ring", 0, 64, 0, NULL, NULL, "15 M/s", bench_ring },
    { "core", "the core alone: 3 peers in one process, 64 proposals a round", 3, 0, 64, NULL, NULL,
      "1.5 M/s", bench_core },
    { "commit-1", "commits, one outstanding", 3, 64, 1, "process", "quorum-round",
      "p50 <= 3.5 rounds", bench_commit },
    { "commit-1024", "commits, 1024 outstanding", 3, 64, 1024, "process", NULL, "200,000/s",
      bench_commit },
    { "disk-1", "commits, one outstanding, fdatasync", 3, 64, 1, "disk", "lmdb-3",
      "p50 <= 1.5 commits", bench_commit },
    { "disk-1024", "commits, 1024 outstanding, fdatasync", 3, 64, 1024, "disk", NULL, "60,000/s",
      bench_commit },
    { "idle", "an idle cluster, lab preset: the busiest peer", 3, 0, 0, "process", NULL,
      "0.5 %, 8192 KiB", bench_idle },
    { "failover", "a new leader after SIGKILL, 150-300 ms; ratio to theory", 3, 0, 0, "process",
      NULL, "1.15 x theory", bench_failover },
    { "peers-63", "63 processes: from the first fork to the first commit", 63, 1, 1, "process",
      NULL, "works", bench_many_peers },
    { "dashboard", "120x40 at 20 frames/s, full load; ratio: commits with it to without", 3, 64,
      1024, "process", NULL, ">= 0.98, < 5 %", bench_dashboard },
    { "check-keys", "`check`, 100,000 operations, 50 keys, 20 clients; ratio to reading alone", 0,
      0, 20, NULL, NULL, "0.4 s, 102400 KiB", bench_check },
    { "check-one-key", "`check`, 10,000 operations, one key, 10 clients; the same ratio", 0, 0, 10,
      NULL, NULL, "5 s, 1048576 KiB", bench_check },
    { "check-stale", "`check`, a stale read among 20,000 operations; the same ratio", 0, 0, 10,
      NULL, NULL, "5 s", bench_check },
    { "sim", "virtual minutes of 5 peers under load and faults, all CPUs; ratio to real time", 5, 0,
      0, NULL, NULL, "50/s, 3000", bench_sim },
};

struct options {
    bool json, wanted[COUNT(benches)], some;
    uint64_t runs;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    char names[512] = "";
    switch (key) {
    case 'j': options->json = true; return 0;
    case 'r': return option_number("--runs", argument, 1, 99, &options->runs);
    case ARGP_KEY_ARG:
        options->some = true;
        for (size_t i = 0; i < COUNT(benches); i++) {
            snprintf(names + strlen(names), sizeof(names) - strlen(names), " %s", benches[i].name);
            if (strcmp(benches[i].name, argument) != 0) continue;
            options->wanted[i] = true;
            return 0;
        }
        err_begin(ERR_INPUT, "'%.32s' is no benchmark; they are:%s", argument, names);
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* The median of each figure by itself. */
static struct figures median(const struct figures *runs, size_t count)
{
    struct figures result;
    double *to = (double *)&result, column[99];
    for (size_t f = 0; f < sizeof(result) / sizeof(double); f++) {
        for (size_t i = 0; i < count; i++) column[i] = ((const double *)&runs[i])[f];
        qsort(column, count, sizeof(column[0]), by_size);
        to[f] = column[count / 2];
    }
    return result;
}

static void print_json(const struct bench *bench, const struct figures *figures, size_t runs)
{
    json_t *object = json_pack(
        "{s:s,s:i,s:i,s:i,s:s?,s:f,s:f,s:f,s:f,s:f,s:f,s:s?,s:f,s:s,s:i}", "bench", bench->name,
        "peers", (int)bench->peers, "bytes", (int)bench->bytes, "outstanding",
        (int)bench->outstanding, "durability", bench->durability, "ops_per_s", figures->ops_per_s,
        "p50_us", figures->p50_us, "p99_us", figures->p99_us, "cpu_s", figures->cpu_s,
        "cpu_percent", figures->cpu_percent, "rss_kib", figures->rss_kib, "floor", bench->floor,
        "ratio", figures->ratio, "goal", bench->goal, "runs", (int)runs);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(object);
}

static void print_row(const struct bench *bench, const struct figures *figures)
{
    char cells[5][32] = { "", "", "", "", "" };
    if (figures->ops_per_s > 0) snprintf(cells[0], sizeof(cells[0]), "%.0f", figures->ops_per_s);
    if (figures->p50_us > 0) snprintf(cells[1], sizeof(cells[1]), "%.2f", figures->p50_us);
    if (figures->p99_us > 0) snprintf(cells[2], sizeof(cells[2]), "%.2f", figures->p99_us);
    if (figures->ratio > 0) snprintf(cells[3], sizeof(cells[3]), "%.2f", figures->ratio);
    if (figures->cpu_percent > 0)
        snprintf(cells[4], sizeof(cells[4]), "%.2f %%, %.0f KiB", figures->cpu_percent,
                 figures->rss_kib);
    else if (figures->rss_kib > 0)
        snprintf(cells[4], sizeof(cells[4]), "%.0f KiB", figures->rss_kib);
    printf("%-13s %11s %11s %11s %6s  %-18s %-19s %s\n", bench->name, cells[0], cells[1], cells[2],
           cells[3], cells[4], bench->goal, bench->help);
}

int bench_main(int argc, char **argv)
{
    static const struct argp_option rows[] = {
        { "json", 'j', NULL, 0, "one JSON object a line", 0 },
        { "runs", 'r', "N", 0, "runs of each; the median is shown (default: 5)", 0 },
        { 0 },
    };
    static const struct argp argp = { rows,
                                      parse,
                                      "[NAME...]",
                                      "Measure, each figure beside its floor. A floor that a "
                                      "row names is measured in the same call.",
                                      NULL,
                                      NULL,
                                      NULL };
    struct options options = { .runs = 5 };
    struct figures results[COUNT(benches)] = { 0 };
    bool measured[COUNT(benches)] = { 0 };
    if (!options_parse(&argp, argc, argv, &options)) return EXIT_INPUT;
    for (size_t i = 0; i < COUNT(benches); i++) { /* floors stand before what refers to them */
        for (size_t j = i + 1; j < COUNT(benches); j++)
            if (options.wanted[j] && benches[j].floor != NULL &&
                strcmp(benches[j].floor, benches[i].name) == 0)
                options.wanted[i] = true;
    }
    if (!options.json)
        printf("%-13s %11s %11s %11s %6s  %-18s %-19s\n", "bench", "per second", "p50 us", "p99 us",
               "ratio", "CPU, memory a peer", "to reach");
    for (size_t i = 0; i < COUNT(benches); i++) {
        struct figures runs[99] = { 0 };
        if (options.some && !options.wanted[i]) continue;
        for (size_t r = 0; r < options.runs; r++)
            if (benches[i].run(&benches[i], &runs[r]) != ERR_OK) {
                fprintf(stderr, "ringside bench: %s: %s\n", benches[i].name, err_context());
                return EXIT_INPUT;
            }
        results[i] = median(runs, options.runs);
        measured[i] = true;
        for (size_t j = 0; j < i; j++)
            if (benches[i].floor != NULL && strcmp(benches[i].floor, benches[j].name) == 0 &&
                measured[j])
                results[i].ratio = results[i].p50_us / results[j].p50_us;
        if (options.json) print_json(&benches[i], &results[i], options.runs);
        else print_row(&benches[i], &results[i]);
        fflush(stdout);
    }
    return EXIT_WELL;
}
