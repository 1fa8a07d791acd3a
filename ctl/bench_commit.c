/* ctl/bench_commit.c - commits, idleness, fail-over, and a cluster as large as it gets. */
#include "ctl/bench_cluster.h"

#include <stdlib.h>
#include <sys/mman.h>

static const uint64_t RUN_NS = 2 * NS_PER_S, IDLE_NS = 5 * NS_PER_S;
enum { FAILOVERS = 21 };

static uint64_t peers_cpu_ns(const struct cluster *cluster)
{
    uint64_t sum = 0;
    for (uint32_t id = 1; id <= cluster->config.peers; id++)
        if (cluster->children[id].pid != 0) sum += process_cpu_ns(cluster->children[id].pid);
    return sum;
}

err_t bench_commit(const struct bench *bench, struct figures *figures)
{
    struct bench_cluster run;
    err_t err = bench_cluster_open(bench, "fast", WARM_NS + RUN_NS, &run);
    if (err != ERR_OK) return err;
    struct supervisor *supervisor = &run.supervisor;
    uint64_t cpu_ns = peers_cpu_ns(supervisor->cluster);
    while (supervisor->cluster->clients[0].pid != 0 && !supervisor->stop)
        supervisor_poll(supervisor, real_now_ns() + 10 * NS_PER_MS);
    uint64_t ns = atomic_load(&run.work->finished) - atomic_load(&run.work->measuring_since);
    figures->cpu_s = (double)(peers_cpu_ns(supervisor->cluster) - cpu_ns) / 1e9;
    figures->ops_per_s = (double)atomic_load(&run.work->done) / ((double)ns / 1e9);
    figures->p50_us = samples_percentile(run.work->samples, 50);
    figures->p99_us = samples_percentile(run.work->samples, 99);
    figures->rss_kib = (double)process_rss_kib(supervisor->cluster->children[run.leader].pid);
    if (supervisor->violated)
        err = err_begin(ERR_SYSTEM, "safety was broken: %s", supervisor->violation.text);
    else if (atomic_load(&run.work->failed) > 0 || supervisor->stop)
        err = err_begin(ERR_SYSTEM, "operations failed, or a signal came");
    bench_cluster_close(&run);
    return err;
}

/* Nothing to do but heartbeats: CPU of one CPU and memory, of the peer that needs most. */
err_t bench_idle(const struct bench *bench, struct figures *figures)
{
    struct bench_cluster run;
    uint64_t before[PEER_MAX + 1], begun;
    err_t err = bench_cluster_open(bench, "lab", 0, &run);
    if (err != ERR_OK) return err;
    const struct child *peers = run.supervisor.cluster->children;
    for (uint32_t id = 1; id <= bench->peers; id++) before[id] = process_cpu_ns(peers[id].pid);
    begun = real_now_ns();
    while (real_now_ns() - begun < IDLE_NS && !run.supervisor.stop)
        supervisor_poll(&run.supervisor, begun + IDLE_NS);
    double ns = (double)(real_now_ns() - begun);
    for (uint32_t id = 1; id <= bench->peers; id++) {
        double percent = (double)(process_cpu_ns(peers[id].pid) - before[id]) * 100 / ns;
        figures->cpu_percent = MAX_OF(figures->cpu_percent, percent);
        figures->rss_kib = MAX_OF(figures->rss_kib, (double)process_rss_kib(peers[id].pid));
    }
    bench_cluster_close(&run);
    return ERR_OK;
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* ---- fail-over ---- */

/* Mean time to the first timeout of `survivors` peers [T ch. 9] from the crash of a leader at a
 * random moment of a heartbeat interval; the median is simulated, since it has no neat form. No
 * network, no split votes. */
static double theory_ms(const struct preset *preset, uint32_t survivors, struct rng *rng)
{
    enum { DRAWS = 20001 };
    uint32_t *ms = malloc(DRAWS * sizeof(*ms));
    CHECK(ms != NULL);
    for (size_t i = 0; i < DRAWS; i++) {
        uint64_t first = UINT64_MAX;
        for (uint32_t s = 0; s < survivors; s++)
            first = MIN_OF(first, rng_range(rng, preset->election_min_ns, preset->election_max_ns));
        ms[i] = (uint32_t)((first - rng_range(rng, 0, preset->heartbeat_ns)) / NS_PER_US);
    }
    qsort(ms, DRAWS, sizeof(*ms), by_value);
    size_t middle = DRAWS / 2;
    double median = ms[middle] / 1e3;
    free(ms);
    return median;
}

static err_t one_failover(struct supervisor *supervisor, struct samples *samples)
{
    uint32_t leader, former;
    err_t err = bench_await_leader(supervisor, &former);
    if (err != ERR_OK) return err;
    uint64_t until = real_now_ns() + rng_range(&supervisor->cluster->rng, 100, 300) * NS_PER_MS;
    while (real_now_ns() < until) supervisor_poll(supervisor, until);
    uint64_t killed_ns = real_now_ns();
    if ((err = cluster_kill(supervisor->cluster, former)) != ERR_OK) return err;
    for (leader = former; leader == 0 || leader == former;) {
        struct cluster_view view;
        if (real_now_ns() - killed_ns > 30 * NS_PER_S)
            return err_begin(ERR_TIMEOUT, "no leader within 30 s");
        supervisor_poll(supervisor, real_now_ns() + 200 * NS_PER_US);
        cluster_view(supervisor->cluster, &view);
        leader = view.leader;
    }
    samples_add(samples, real_now_ns() - killed_ns);
    return cluster_restart(supervisor->cluster, former);
}

err_t bench_failover(const struct bench *bench, struct figures *figures)
{
    struct bench_cluster run;
    err_t err = bench_cluster_open(bench, "fast", 0, &run);
    if (err != ERR_OK) return err;
    for (int i = 0; i < FAILOVERS && err == ERR_OK && !run.supervisor.stop; i++)
        err = one_failover(&run.supervisor, run.work->samples);
    figures->p50_us = samples_percentile(run.work->samples, 50);
    figures->p99_us = samples_percentile(run.work->samples, 99);
    struct cluster *cluster = run.supervisor.cluster;
    double theory = theory_ms(cluster->config.preset, bench->peers - 1, &cluster->rng);
    figures->ratio = figures->p50_us / 1e3 / theory;
    bench_cluster_close(&run);
    return err;
}

/* 63 processes: they start, elect and commit. p50_us: from the first fork to the first commit. */
err_t bench_many_peers(const struct bench *bench, struct figures *figures)
{
    struct bench_cluster run;
    uint64_t begun = real_now_ns();
    err_t err = bench_cluster_open(bench, "lab", 0, &run);
    if (err != ERR_OK) return err;
    struct cluster *cluster = run.supervisor.cluster;
    struct kv_command command = {
        .op = KV_PUT,
        .key = (const uint8_t *)"k",
        .key_bytes = 1,
        .value = (const uint8_t *)"v",
        .value_bytes = 1,
    };
    struct client_result result = { .status = RESULT_FAIL };
    struct client *client = client_open(cluster->region, cluster_client_endpoint(cluster, 0), 1,
                                        NS_PER_S, 20 * NS_PER_S);
    client_submit(client, &command, NULL);
    while (!client_poll(client, &result)) client_sleep(client, real_now_ns() + NS_PER_MS);
    if (result.status != RESULT_OK) err = err_begin(ERR_TIMEOUT, "no commit");
    client_close(client);
    figures->p50_us = (double)(real_now_ns() - begun) / 1e3;
    figures->rss_kib = (double)process_rss_kib(cluster->children[run.leader].pid);
    bench_cluster_close(&run);
    return err;
}
