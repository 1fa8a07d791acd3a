/* ctl/bench_cluster.c - a whole cluster, as a user has it: forked peers, LMDB, the supervisor with
 * its safety checks, and one client process that keeps `outstanding` proposals in flight, each its
 * own entry. */
#include "ctl/bench_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 1000 };

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
    uint64_t start_ns = real_now_ns(), end_ns = start_ns + work->load_ns;
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

/* Wait until somebody leads and everybody follows. */
err_t bench_await_leader(struct supervisor *supervisor, uint32_t *leader)
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

err_t bench_cluster_open(const struct bench *bench, const char *preset, uint64_t load_ns,
                         struct bench_cluster *cluster)
{
    bool disk = bench->durability != NULL && strcmp(bench->durability, "disk") == 0;
    struct supervisor_config config = {
        .cluster = { .name = "bench",
                     .peers = bench->peers,
                     .clients = 1,
                     .seed = real_now_ns(),
                     .durable = disk,
                     .scratch = disk ? "." : NULL,
                     .preset = preset_find(preset) },
    };
    err_t err = supervisor_open(&config, &cluster->supervisor);
    if (err != ERR_OK) return err;
    cluster->work = shared(sizeof(*cluster->work));
    cluster->work->cluster = cluster->supervisor.cluster;
    cluster->work->bench = bench;
    cluster->work->load_ns = load_ns;
    cluster->work->samples = samples_new();
    err = bench_await_leader(&cluster->supervisor, &cluster->leader);
    if (err == ERR_OK && load_ns > 0)
        err = cluster_fork_client(cluster->supervisor.cluster, 0, work_run, cluster->work, NULL, 0);
    if (err != ERR_OK) bench_cluster_close(cluster);
    return err;
}

void bench_cluster_close(struct bench_cluster *cluster)
{
    supervisor_close(&cluster->supervisor);
    samples_free(cluster->work->samples);
    munmap(cluster->work, sizeof(*cluster->work));
}
