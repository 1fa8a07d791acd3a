/* ctl/bench_cluster.c - a whole cluster, as a user has it: forked peers, LMDB, the supervisor with
 * its safety checks, and one client process that keeps `outstanding` proposals in flight, each its
 * own entry. */
#include "ctl/bench.h"

#include "ctl/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const uint64_t WARM_NS = NS_PER_S / 2, RUN_NS = 2 * NS_PER_S, IDLE_NS = 5 * NS_PER_S;
enum { KEYS = 1000, FAILOVERS = 21 };

/* ---- what a client process shares with the bench ---- */

struct work {
    struct cluster *cluster;
    const struct bench *bench;
    _Atomic uint64_t measuring_since; /* real time; 0 while warming up */
    _Atomic uint64_t done;            /* operations that ended ok while measuring */
    _Atomic uint64_t finished;        /* real time of the end */
    _Atomic uint64_t failed;
    struct samples *samples;
};

static void *shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

struct samples *samples_new(void)
{
    return shared(sizeof(struct samples));
}

void samples_free(struct samples *samples)
{
    munmap(samples, sizeof(*samples));
}

void samples_add(struct samples *samples, uint64_t ns)
{
    if (samples->count < SAMPLES_MAX)
        samples->ns[samples->count] = (uint32_t)MIN_OF(ns, UINT32_MAX);
    samples->count++;
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

double samples_percentile(struct samples *samples, double percent)
{
    size_t count = MIN_OF(samples->count, SAMPLES_MAX);
    if (count == 0) return 0;
    qsort(samples->ns, count, sizeof(samples->ns[0]), by_value);
    return (double)samples->ns[MIN_OF((size_t)((double)count * percent / 100), count - 1)] / 1e3;
}

uint64_t process_cpu_ns(int pid)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t process_rss_kib(int pid)
{
    char path[64];
    unsigned long long size, resident = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* ---- the client ---- */

static int work_run(void *context)
{
    struct work *work = context;
    const struct bench *bench = work->bench;
    uint8_t value[1024];
    uint64_t began[CLIENT_OUTSTANDING_MAX], slots[CLIENT_OUTSTANDING_MAX], sequence = 0;
    uint32_t spare = 0;
    struct client *client =
        client_open(work->cluster->region, cluster_client_endpoint(work->cluster, 0),
                    real_now_ns() | 1, NS_PER_S / 2, 5 * NS_PER_S);
    memset(value, 'v', sizeof(value));
    for (uint32_t i = 0; i < bench->outstanding; i++) slots[spare++] = i;
    uint64_t start_ns = real_now_ns(), end_ns = start_ns + WARM_NS + RUN_NS;
    while (real_now_ns() < end_ns) {
        struct client_result result;
        while (spare > 0) {
            char key[16];
            int length =
                snprintf(key, sizeof(key), "k%llu", (unsigned long long)(++sequence % KEYS));
            struct kv_command command = { .op = KV_PUT,
                                          .key = (const uint8_t *)key,
                                          .key_bytes = (uint32_t)length,
                                          .value = value,
                                          .value_bytes = MIN_OF(bench->bytes, sizeof(value)) };
            uint64_t slot = slots[spare - 1];
            began[slot] = real_now_ns();
            if (!client_submit(client, &command, (void *)(uintptr_t)(slot + 1))) break;
            spare--;
        }
        while (client_poll(client, &result)) {
            uint64_t slot = (uint64_t)(uintptr_t)result.tag - 1, now_ns = real_now_ns();
            slots[spare++] = slot;
            if (now_ns - start_ns < WARM_NS) continue;
            if (atomic_load(&work->measuring_since) == 0)
                atomic_store(&work->measuring_since, now_ns);
            if (result.status != RESULT_OK) {
                atomic_fetch_add(&work->failed, 1);
                continue;
            }
            atomic_fetch_add_explicit(&work->done, 1, memory_order_relaxed);
            samples_add(work->samples, now_ns - began[slot]);
        }
        if (spare == 0) client_sleep(client, end_ns);
    }
    atomic_store(&work->finished, real_now_ns());
    client_close(client);
    return 0;
}

/* ---- clusters for a measurement ---- */

static err_t open_cluster(const struct bench *bench, const char *preset,
                          struct supervisor *supervisor, char *directory)
{
    bool disk = bench->durability != NULL && strcmp(bench->durability, "disk") == 0;
    struct supervisor_config config = {
        .cluster = { .name = "bench",
                     .peers = bench->peers,
                     .clients = 1,
                     .seed = real_now_ns(),
                     .preset = preset_find(preset) },
    };
    directory[0] = '\0';
    if (disk) {
        snprintf(directory, 64, "./ringside-bench-XXXXXX");
        if (mkdtemp(directory) == NULL)
            return err_begin(ERR_SYSTEM, "no directory for the databases here");
        config.cluster.data = directory;
    }
    return supervisor_open(&config, supervisor);
}

static void close_cluster(const struct bench *bench, struct supervisor *supervisor,
                          const char *directory)
{
    char path[128];
    supervisor_close(supervisor);
    if (directory[0] == '\0') return;
    for (uint32_t id = 1; id <= bench->peers; id++) {
        snprintf(path, sizeof(path), "%s/peer-%u/raft.mdb", directory, id);
        unlink(path);
        snprintf(path, sizeof(path), "%s/peer-%u", directory, id);
        rmdir(path);
    }
    rmdir(directory);
}

/* Wait until somebody leads and everybody follows. */
static err_t await_leader(struct supervisor *supervisor, uint32_t *leader)
{
    uint64_t end_ns = real_now_ns() + 30 * NS_PER_S;
    while (real_now_ns() < end_ns) {
        struct cluster_view view;
        uint32_t following = 0;
        supervisor_poll(supervisor, real_now_ns() + NS_PER_MS);
        cluster_view(supervisor->cluster, &view);
        for (uint32_t id = 1; id <= view.peers && view.leader != 0; id++) {
            struct board board;
            if (cluster_board(supervisor->cluster, id, &board) && board.leader == view.leader)
                following++;
        }
        *leader = view.leader;
        if (view.leader != 0 && following >= peer_count(view.alive)) return ERR_OK;
    }
    return err_begin(ERR_TIMEOUT, "no leader within 30 s");
}

static uint64_t peers_cpu_ns(const struct cluster *cluster)
{
    uint64_t sum = 0;
    for (uint32_t id = 1; id <= cluster->config.peers; id++)
        if (cluster->children[id].pid != 0) sum += process_cpu_ns(cluster->children[id].pid);
    return sum;
}

err_t bench_commit(const struct bench *bench, struct figures *figures)
{
    struct supervisor supervisor;
    char directory[64];
    uint32_t leader;
    err_t err = open_cluster(bench, "fast", &supervisor, directory);
    if (err != ERR_OK) return err;
    struct work *work = shared(sizeof(*work));
    work->cluster = supervisor.cluster;
    work->bench = bench;
    work->samples = samples_new();
    if ((err = await_leader(&supervisor, &leader)) != ERR_OK) goto out;
    uint64_t cpu_ns = peers_cpu_ns(supervisor.cluster);
    if ((err = cluster_fork_client(supervisor.cluster, 0, work_run, work, NULL, 0)) != ERR_OK)
        goto out;
    while (supervisor.cluster->clients[0].pid != 0 && !supervisor.stop)
        supervisor_poll(&supervisor, real_now_ns() + 10 * NS_PER_MS);
    uint64_t ns = atomic_load(&work->finished) - atomic_load(&work->measuring_since);
    figures->cpu_s = (double)(peers_cpu_ns(supervisor.cluster) - cpu_ns) / 1e9;
    figures->ops_per_s = (double)atomic_load(&work->done) / ((double)ns / 1e9);
    figures->p50_us = samples_percentile(work->samples, 50);
    figures->p99_us = samples_percentile(work->samples, 99);
    figures->rss_kib = (double)process_rss_kib(supervisor.cluster->children[leader].pid);
    if (atomic_load(&work->failed) > 0 || supervisor.violated || supervisor.stop)
        err = err_begin(ERR_SYSTEM,
                        supervisor.violated ? "safety was broken: %s" : "operations failed%s",
                        supervisor.violated ? supervisor.violation.text : "");
out:
    samples_free(work->samples);
    munmap(work, sizeof(*work));
    close_cluster(bench, &supervisor, directory);
    return err;
}

/* Nothing to do but heartbeats: CPU of one CPU a peer, memory a peer, worst peer. */
err_t bench_idle(const struct bench *bench, struct figures *figures)
{
    struct supervisor supervisor;
    char directory[64];
    uint32_t leader;
    err_t err = open_cluster(bench, "lab", &supervisor, directory);
    if (err != ERR_OK) return err;
    if ((err = await_leader(&supervisor, &leader)) == ERR_OK) {
        uint64_t before[PEER_MAX + 1], begun = real_now_ns();
        for (uint32_t id = 1; id <= bench->peers; id++)
            before[id] = process_cpu_ns(supervisor.cluster->children[id].pid);
        while (real_now_ns() - begun < IDLE_NS && !supervisor.stop)
            supervisor_poll(&supervisor, begun + IDLE_NS);
        double ns = (double)(real_now_ns() - begun);
        for (uint32_t id = 1; id <= bench->peers; id++) {
            int pid = supervisor.cluster->children[id].pid;
            double percent = (double)(process_cpu_ns(pid) - before[id]) * 100 / ns;
            figures->cpu_percent = MAX_OF(figures->cpu_percent, percent);
            figures->rss_kib = MAX_OF(figures->rss_kib, (double)process_rss_kib(pid));
        }
    }
    close_cluster(bench, &supervisor, directory);
    return err;
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
    double median = ms[DRAWS / 2] / 1e3;
    free(ms);
    return median;
}

static err_t one_failover(struct supervisor *supervisor, struct samples *samples)
{
    uint32_t leader, former;
    err_t err = await_leader(supervisor, &former);
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
    struct supervisor supervisor;
    char directory[64];
    err_t err = open_cluster(bench, "fast", &supervisor, directory);
    if (err != ERR_OK) return err;
    struct samples *samples = samples_new();
    for (int i = 0; i < FAILOVERS && err == ERR_OK && !supervisor.stop; i++)
        err = one_failover(&supervisor, samples);
    figures->p50_us = samples_percentile(samples, 50);
    figures->p99_us = samples_percentile(samples, 99);
    double theory =
        theory_ms(supervisor.config.cluster.preset, bench->peers - 1, &supervisor.cluster->rng);
    figures->ratio = figures->p50_us / 1e3 / theory;
    samples_free(samples);
    close_cluster(bench, &supervisor, directory);
    return err;
}

/* 63 processes: they start, elect and commit. p50_us: from the first fork to the first committed
 * write. */
err_t bench_many_peers(const struct bench *bench, struct figures *figures)
{
    struct supervisor supervisor;
    char directory[64];
    uint32_t leader;
    uint64_t begun = real_now_ns();
    err_t err = open_cluster(bench, "lab", &supervisor, directory);
    if (err != ERR_OK) return err;
    if ((err = await_leader(&supervisor, &leader)) == ERR_OK) {
        struct kv_command command = { .op = KV_PUT,
                                      .key = (const uint8_t *)"k",
                                      .key_bytes = 1,
                                      .value = (const uint8_t *)"v",
                                      .value_bytes = 1 };
        struct client_result result = { .status = RESULT_FAIL };
        struct client *client =
            client_open(supervisor.cluster->region, cluster_client_endpoint(supervisor.cluster, 0),
                        1, NS_PER_S, 20 * NS_PER_S);
        client_submit(client, &command, NULL);
        while (!client_poll(client, &result)) client_sleep(client, real_now_ns() + NS_PER_MS);
        if (result.status != RESULT_OK) err = err_begin(ERR_TIMEOUT, "no commit");
        client_close(client);
        figures->p50_us = (double)(real_now_ns() - begun) / 1e3;
        figures->rss_kib = (double)process_rss_kib(supervisor.cluster->children[leader].pid);
    }
    close_cluster(bench, &supervisor, directory);
    return err;
}
