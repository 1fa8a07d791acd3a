/* ctl/bench_floor.c - what this machine can do at best, with the same rings, doorbells and disk but
 * no Raft. */
#include "ctl/bench.h"

#include "node/disk.h"
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t RUN_NS = NS_PER_S / 2, DISK_NS = 2 * NS_PER_S;

/* A child that runs `body` and is killed when the measurement is over. */
static pid_t fork_body(void (*body)(void *), void *context)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) body(context);
    _exit(0);
}

static void end_body(pid_t pid)
{
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

static void *shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* ---- a cache line, a futex ---- */

struct ball { /* even: the child's turn; odd: the parent's */
    _Atomic uint32_t turn;
    bool futex;
};

static void pass(struct ball *ball, uint32_t wait_for)
{
    uint32_t seen;
    while ((seen = atomic_load_explicit(&ball->turn, memory_order_acquire)) % 2 != wait_for)
        if (ball->futex) syscall(SYS_futex, &ball->turn, FUTEX_WAIT, seen, NULL, NULL, 0);
    atomic_store_explicit(&ball->turn, seen + 1, memory_order_release);
    if (ball->futex) syscall(SYS_futex, &ball->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void pass_back(void *context)
{
    for (;;) pass(context, 1);
}

static err_t bounce(bool futex, struct figures *figures)
{
    struct ball *ball = shared(4096);
    struct samples *samples = samples_new();
    ball->futex = futex;
    pid_t pid = fork_body(pass_back, ball);
    uint64_t begun = real_now_ns(), last = begun, rounds = 0;
    while (last - begun < RUN_NS) {
        uint64_t batch = futex ? 1 : 64; /* reading the clock costs more than a bounce */
        for (uint64_t i = 0; i < batch; i++) pass(ball, 0);
        uint64_t now = real_now_ns();
        /* in ps, so that fractions of a ns count */
        samples_add(samples, (now - last) * 1000 / batch);
        last = now;
        rounds += batch;
    }
    end_body(pid);
    figures->ops_per_s = (double)rounds / ((double)(last - begun) / 1e9);
    figures->p50_us = samples_percentile(samples, 50) / 1e3;
    figures->p99_us = samples_percentile(samples, 99) / 1e3;
    samples_free(samples);
    munmap(ball, 4096);
    return ERR_OK;
}

err_t bench_cache_line(const struct bench *bench, struct figures *figures)
{
    UNUSED(bench);
    return bounce(false, figures);
}

err_t bench_futex(const struct bench *bench, struct figures *figures)
{
    UNUSED(bench);
    return bounce(true, figures);
}

/* ---- rings ---- */

struct ring_test {
    struct region *region;
    uint32_t bytes, self;
};

static err_t open_region(uint32_t peers, uint64_t ring_bytes, struct region **region)
{
    struct region_config config = { .peers = peers, .ring_bytes = ring_bytes, .name = "bench" };
    return region_create(&config, region);
}

static void put_for_ever(void *context)
{
    struct ring_test *test = context;
    struct ring_writer writer;
    struct ring ring = region_ring(test->region, 1, 2);
    uint64_t sequence = 0;
    ring_writer_open(&writer, &ring);
    for (;;) {
        void *record;
        if (ring_claim(&writer, test->bytes, &record) != ERR_OK) {
            __builtin_ia32_pause();
            continue;
        }
        memset(record, 0, test->bytes);
        memcpy(record, &sequence, sizeof(sequence));
        sequence++;
        ring_commit(&writer);
    }
}

err_t bench_ring(const struct bench *bench, struct figures *figures)
{
    struct ring_test test = { .bytes = bench->bytes };
    struct ring_reader reader;
    uint8_t record[1024];
    size_t length;
    err_t err = open_region(2, 65536, &test.region);
    if (err != ERR_OK) return err;
    struct ring ring = region_ring(test.region, 1, 2);
    ring_reader_open(&reader, &ring);
    pid_t pid = fork_body(put_for_ever, &test);
    while (!ring_pending(&reader)) continue;
    uint64_t begun = real_now_ns(), taken = 0, expected = 0, now = begun;
    while (now - begun < RUN_NS) {
        for (int i = 0; i < 1024; i++) {
            if (ring_read(&reader, record, sizeof(record), &length) != ERR_OK) continue;
            uint64_t sequence;
            memcpy(&sequence, record, sizeof(sequence));
            if (sequence != expected++) err = err_begin(ERR_CORRUPT, "a message was lost");
            taken++;
        }
        now = real_now_ns();
    }
    end_body(pid);
    figures->ops_per_s = (double)taken / ((double)(now - begun) / 1e9);
    region_close(test.region);
    return err;
}

/* ---- a quorum round: a leader writes to all followers, rings, sleeps, and is woken by their
 * answers ---- */

static void answer_for_ever(void *context)
{
    struct ring_test *test = context;
    struct ring_reader reader;
    struct ring_writer writer;
    struct ring in = region_ring(test->region, 1, test->self),
                out = region_ring(test->region, test->self, 1);
    struct bell *bell = region_bell(test->region, test->self);
    uint8_t record[1024];
    size_t length;
    ring_reader_open(&reader, &in);
    ring_writer_open(&writer, &out);
    for (;;) {
        bool any = false;
        while (ring_read(&reader, record, sizeof(record), &length) == ERR_OK) {
            void *to;
            if (ring_claim(&writer, length, &to) == ERR_OK) {
                memcpy(to, record, length);
                ring_commit(&writer);
            }
            any = true;
        }
        if (any) bell_ring(region_bell(test->region, 1), -1);
        bell_announce(bell, BELL_SLEEPING);
        if (ring_pending(&reader)) bell_awake(bell);
        else bell_wait(bell, real_now_ns() + NS_PER_S);
    }
}

struct leader {
    struct region *region;
    uint32_t peers;
    struct ring_writer writers[PEER_MAX + 1];
    struct ring_reader readers[PEER_MAX + 1];
};

static bool leader_pending(struct leader *leader)
{
    for (uint32_t id = 2; id <= leader->peers; id++)
        if (ring_pending(&leader->readers[id])) return true;
    return false;
}

/* Sends one record to each follower and waits for a majority's answers; takes in what is late. */
static void one_round(struct leader *leader, uint32_t bytes, uint64_t round)
{
    uint8_t record[1024];
    size_t length;
    uint32_t answers = 1; /* its own */
    struct bell *bell = region_bell(leader->region, 1);
    for (uint32_t id = 2; id <= leader->peers; id++) {
        void *to;
        if (ring_claim(&leader->writers[id], bytes, &to) != ERR_OK) continue;
        memset(to, 0, bytes);
        memcpy(to, &round, sizeof(round));
        ring_commit(&leader->writers[id]);
    }
    for (uint32_t id = 2; id <= leader->peers; id++) bell_ring(region_bell(leader->region, id), -1);
    while (answers <= leader->peers / 2) {
        for (uint32_t id = 2; id <= leader->peers; id++)
            while (ring_read(&leader->readers[id], record, sizeof(record), &length) == ERR_OK)
                if (memcmp(record, &round, sizeof(round)) == 0) answers++;
        if (answers > leader->peers / 2) break;
        bell_announce(bell, BELL_SLEEPING);
        if (leader_pending(leader)) bell_awake(bell);
        else bell_wait(bell, real_now_ns() + NS_PER_S);
    }
}

err_t bench_quorum_round(const struct bench *bench, struct figures *figures)
{
    struct ring_test tests[PEER_MAX + 1];
    struct leader leader = { .peers = bench->peers };
    pid_t pids[PEER_MAX + 1] = { 0 };
    err_t err = open_region(bench->peers, 65536, &leader.region);
    if (err != ERR_OK) return err;
    struct samples *samples = samples_new();
    for (uint32_t id = 2; id <= bench->peers; id++) {
        struct ring in = region_ring(leader.region, id, 1), out = region_ring(leader.region, 1, id);
        ring_reader_open(&leader.readers[id], &in);
        ring_writer_open(&leader.writers[id], &out);
        tests[id] = (struct ring_test){ leader.region, bench->bytes, id };
        pids[id] = fork_body(answer_for_ever, &tests[id]);
    }
    /* the followers open their rings at what is there: let them, before the first round */
    usleep(50000);
    uint64_t begun = real_now_ns(), last = begun;
    for (uint64_t round = 1; last - begun < RUN_NS; round++) {
        one_round(&leader, bench->bytes, round);
        uint64_t now = real_now_ns();
        samples_add(samples, now - last);
        last = now;
    }
    figures->ops_per_s = (double)samples->count / ((double)(last - begun) / 1e9);
    figures->p50_us = samples_percentile(samples, 50);
    figures->p99_us = samples_percentile(samples, 99);
    for (uint32_t id = 2; id <= bench->peers; id++) end_body(pids[id]);
    samples_free(samples);
    region_close(leader.region);
    return ERR_OK;
}

/* ---- disks: in the current directory, as `disk` commits are ---- */

err_t bench_fdatasync(const struct bench *bench, struct figures *figures)
{
    uint8_t block[4096] = { 0 };
    int fd = open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_begin(ERR_SYSTEM, "a file in the current directory: %s", strerror(errno));
    struct samples *samples = samples_new();
    err_t err = ERR_OK;
    uint64_t begun = real_now_ns(), last = begun;
    while (last - begun < RUN_NS && err == ERR_OK) {
        if (write(fd, block, bench->bytes) != (ssize_t)bench->bytes || fdatasync(fd) != 0)
            err = err_begin(ERR_SYSTEM, "fdatasync: %s", strerror(errno));
        uint64_t now = real_now_ns();
        samples_add(samples, now - last);
        last = now;
    }
    figures->ops_per_s = (double)samples->count / ((double)(last - begun) / 1e9);
    figures->p50_us = samples_percentile(samples, 50);
    figures->p99_us = samples_percentile(samples, 99);
    samples_free(samples);
    close(fd);
    return err;
}

struct lmdb_test {
    int fd;
    uint32_t bytes;
    struct samples *samples;
};

/* The same store as a peer's, one entry a commit. */
static void commit_for_ever(void *context)
{
    struct lmdb_test *test = context;
    struct store_config config = { .file_fd = test->fd, .durable = true, .peer = 1, .peers = 1 };
    struct disk disk;
    struct disk_found found;
    uint8_t data[1024] = { 0 };
    if (store_open(&config, &disk) != ERR_OK || disk.load(disk.state, &found) != ERR_OK) return;
    for (uint64_t index = found.last_index + 1;; index++) {
        struct entry entry = { 1, ENTRY_COMMAND, test->bytes, data };
        struct disk_save save = {
            .hard = index == 1, .term = 1, .first_index = index, .entries = &entry, .count = 1
        };
        int why;
        uint64_t begun = real_now_ns();
        if (disk.commit(disk.state, &save, &why) != ERR_OK) return;
        samples_add(test->samples, real_now_ns() - begun);
    }
}

err_t bench_lmdb(const struct bench *bench, struct figures *figures)
{
    struct lmdb_test tests[3];
    pid_t pids[3];
    err_t err = ERR_OK;
    uint32_t count = MIN_OF(bench->peers, COUNT(tests));
    for (uint32_t i = 0; i < count; i++) {
        tests[i] = (struct lmdb_test){ open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                                       bench->bytes, samples_new() };
        if (tests[i].fd < 0)
            err = err_begin(ERR_SYSTEM, "a file in the current directory: %s", strerror(errno));
        pids[i] = tests[i].fd < 0 ? 0 : fork_body(commit_for_ever, &tests[i]);
    }
    usleep((useconds_t)(DISK_NS / NS_PER_US));
    for (uint32_t i = 0; i < count; i++) {
        end_body(pids[i]);
        if (tests[i].samples->count == 0 && err == ERR_OK)
            err = err_begin(ERR_STORAGE, "LMDB did not commit");
        figures->ops_per_s += (double)tests[i].samples->count / ((double)DISK_NS / 1e9) / count;
        figures->p50_us += samples_percentile(tests[i].samples, 50) / count;
        figures->p99_us += samples_percentile(tests[i].samples, 99) / count;
        samples_free(tests[i].samples);
        close(tests[i].fd);
    }
    return err;
}
