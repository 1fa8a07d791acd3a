/* ctl/sim_range.c - fork, share a counter, gather failures through a pipe. */
#include "ctl/sim_range.h"

#include "sim/swarm.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t HANG_NS = 60 * NS_PER_S; /* a seed takes milliseconds */
static const uint64_t LINE_NS = 5 * NS_PER_S;  /* between two lines where there is no terminal */

struct slot { /* of one worker; it alone writes, but for `started_ns` at its death */
    _Atomic uint64_t seed, started_ns; /* under way; 0: none */
    _Atomic uint64_t seeds, hash;
    _Atomic uint64_t counts[COUNT_COUNT];
};
struct shared {
    _Atomic uint64_t next; /* number of the next seed */
    _Atomic bool stop;
    struct slot slots[];
};
struct work {
    const struct sim_range *range;
    struct sim_result *result;
    struct shared *shared;
    size_t shared_bytes;
    pid_t *pids;
    int pipe[2];
    uint64_t total, began_ns, told_ns;
};

static void add(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + value,
                          memory_order_relaxed);
}

/* ---- a worker ---- */

static void run_twice(const struct sim_range *range, const struct plan *plan,
                      struct outcome *outcome)
{
    struct runner_config config = { .bug = range->bug };
    struct outcome again;
    runner_run(&config, plan, NULL, outcome);
    if (!range->twice) return;
    runner_run(&config, plan, NULL, &again);
    if (again.hash == outcome->hash) return;
    outcome->end = PLAYER_UNSAFE;
    snprintf(outcome->invariant, sizeof(outcome->invariant), "W3");
    snprintf(outcome->failure, sizeof(outcome->failure),
             "two runs of the seed differ: %016llx and %016llx", (unsigned long long)outcome->hash,
             (unsigned long long)again.hash);
}

static void run_seed(const struct sim_range *range, uint64_t seed, struct outcome *outcome)
{
    struct parse_error error;
    struct plan plan;
    if (range->plan != NULL) {
        plan = *range->plan;
        plan.seed = seed;
        run_twice(range, &plan, outcome);
        return;
    }
    char *text = swarm_plan(seed);
    CHECK(plan_parse(text, strlen(text), &plan, &error) == ERR_OK);
    run_twice(range, &plan, outcome);
    plan_free(&plan);
    free(text);
}

static void report(int fd, uint64_t seed, const struct outcome *outcome)
{
    struct sim_failure failure = { .seed = seed, .end = outcome->end };
    memcpy(failure.invariant, outcome->invariant, sizeof(failure.invariant));
    memcpy(failure.failure, outcome->failure, sizeof(failure.failure));
    ssize_t written = write(fd, &failure, sizeof(failure)); /* below PIPE_BUF: in one piece */
    CHECK(written == sizeof(failure));
}

static void work(const struct work *work, struct slot *slot)
{
    const struct sim_range *range = work->range;
    /* the same memory again and again: giving it back costs more than a seed */
    mallopt(M_MMAP_THRESHOLD, 1 << 28);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    while (!atomic_load(&work->shared->stop)) {
        struct outcome outcome;
        uint64_t number = atomic_fetch_add(&work->shared->next, 1);
        if (number >= work->total || real_now_ns() - work->began_ns >= range->real_ns) return;
        uint64_t seed = range->from + range->shard - 1 + number * range->shards;
        atomic_store(&slot->seed, seed);
        atomic_store(&slot->started_ns, real_now_ns());
        run_seed(range, seed, &outcome);
        atomic_store(&slot->started_ns, 0);
        add(&slot->seeds, 1);
        add(&slot->hash, outcome.hash);
        for (uint32_t i = 0; i < COUNT_COUNT; i++) add(&slot->counts[i], outcome.counts[i]);
        if (outcome.end == PLAYER_DONE) continue;
        report(work->pipe[1], seed, &outcome);
        if (!range->all) atomic_store(&work->shared->stop, true);
    }
}

static err_t fork_worker(struct work *w, uint32_t job)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return err_begin(ERR_SYSTEM, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* (R2) */
        if (getppid() != parent) _exit(1);
        signal(SIGINT, SIG_DFL);
        work(w, &w->shared->slots[job]);
        _exit(0);
    }
    w->pids[job] = pid;
    return ERR_OK;
}

/* ---- the parent ---- */

static uint64_t seeds_done(const struct work *w)
{
    uint64_t done = 0;
    for (uint32_t job = 0; job < w->range->jobs; job++)
        done += atomic_load(&w->shared->slots[job].seeds);
    return done;
}

static void tell_progress(struct work *w, bool last)
{
    if (w->range->quiet) return;
    bool terminal = isatty(STDERR_FILENO) != 0;
    uint64_t now_ns = real_now_ns(), done = seeds_done(w);
    if (!last && now_ns - w->told_ns < (terminal ? NS_PER_S / 5 : LINE_NS)) return;
    w->told_ns = now_ns;
    if (last && !terminal) return;
    double passed_s = (double)(now_ns - w->began_ns) / 1e9, per_s = (double)done / passed_s;
    double left_s = per_s > 0 ? (double)(w->total - done) / per_s : 0;
    if (w->range->real_ns != TIME_NEVER)
        left_s = MIN_OF(left_s, (double)w->range->real_ns / 1e9 - passed_s);
    fprintf(stderr, "%ssim: %llu of %llu seeds, %.0f/s, %u:%02u:%02u left, %zu failed%s",
            terminal ? "\r\033[K" : "", (unsigned long long)done, (unsigned long long)w->total,
            per_s, (unsigned)left_s / 3600, (unsigned)left_s / 60 % 60, (unsigned)left_s % 60,
            w->result->failures_count, terminal && !last ? "" : "\n");
    fflush(stderr);
}

static void gather(struct work *w, int timeout_ms)
{
    struct pollfd fd = { .fd = w->pipe[0], .events = POLLIN };
    while (poll(&fd, 1, timeout_ms) > 0 && (fd.revents & POLLIN)) {
        struct sim_failure failure;
        if (read(w->pipe[0], &failure, sizeof(failure)) != sizeof(failure)) return;
        sim_result_fail(w->result, &failure);
        timeout_ms = 0;
    }
}

/* A worker that died in the middle of a seed: that seed failed, the others go on. */
static err_t bury_worker(struct work *w, uint32_t job, int status)
{
    struct slot *slot = &w->shared->slots[job];
    struct sim_failure failure = { .seed = atomic_load(&slot->seed), .end = PLAYER_UNSAFE };
    w->pids[job] = 0;
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) == 0) return ERR_OK;
    bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    snprintf(failure.invariant, sizeof(failure.invariant), "%s", hung ? "HANG" : "CRASH");
    if (hung) snprintf(failure.failure, sizeof(failure.failure), "the seed does not end");
    else if (WIFSIGNALED(status))
        snprintf(failure.failure, sizeof(failure.failure), "the simulator died: %s",
                 strsignal(WTERMSIG(status)));
    else snprintf(failure.failure, sizeof(failure.failure), "the simulator ended itself");
    sim_result_fail(w->result, &failure);
    add(&slot->seeds, 1);
    atomic_store(&slot->started_ns, 0);
    if (!w->range->all) atomic_store(&w->shared->stop, true);
    return atomic_load(&w->shared->stop) ? ERR_OK : fork_worker(w, job);
}

/* True while a worker is at work. */
static bool attend(struct work *w, err_t *err)
{
    bool any = false;
    uint64_t now_ns = real_now_ns();
    for (uint32_t job = 0; job < w->range->jobs; job++) {
        int status;
        uint64_t started_ns = atomic_load(&w->shared->slots[job].started_ns);
        if (w->pids[job] == 0) continue;
        if (started_ns != 0 && now_ns > started_ns + HANG_NS) kill(w->pids[job], SIGALRM);
        if (waitpid(w->pids[job], &status, WNOHANG) == w->pids[job])
            *err = bury_worker(w, job, status);
        any |= w->pids[job] != 0;
    }
    return any;
}

static void sum_up(struct work *w)
{
    struct sim_result *result = w->result;
    for (uint32_t job = 0; job < w->range->jobs; job++) {
        const struct slot *slot = &w->shared->slots[job];
        result->seeds += atomic_load(&slot->seeds);
        result->hash += atomic_load(&slot->hash);
        for (uint32_t i = 0; i < COUNT_COUNT; i++)
            result->counts[i] += atomic_load(&slot->counts[i]);
    }
    result->seconds = (double)(real_now_ns() - w->began_ns) / 1e9;
}

static err_t run_workers(struct work *w)
{
    err_t err = ERR_OK;
    for (uint32_t job = 0; err == ERR_OK && job < w->range->jobs; job++) err = fork_worker(w, job);
    if (err != ERR_OK) atomic_store(&w->shared->stop, true);
    while (attend(w, &err)) {
        gather(w, 50);
        tell_progress(w, false);
    }
    gather(w, 0);
    tell_progress(w, true);
    sum_up(w);
    return err;
}

uint64_t sim_range_seeds(const struct sim_range *range)
{
    uint64_t seeds = range->to - range->from + 1, first = range->shard - 1;
    return seeds > first ? (seeds - first + range->shards - 1) / range->shards : 0;
}

err_t sim_range_run(const struct sim_range *range, struct sim_result *result)
{
    struct work w = { .range = range, .result = result, .began_ns = real_now_ns() };
    *result = (struct sim_result){
        .from = range->from, .to = range->to, .shard = range->shard, .shards = range->shards
    };
    if (range->bug != NULL) snprintf(result->bug, sizeof(result->bug), "%s", range->bug->name);
    w.total = sim_range_seeds(range);
    w.told_ns = w.began_ns;
    w.shared_bytes = sizeof(*w.shared) + range->jobs * sizeof(struct slot);
    w.shared =
        mmap(NULL, w.shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w.shared == MAP_FAILED) return err_begin(ERR_SYSTEM, "mmap: %s", strerror(errno));
    w.pids = calloc(range->jobs, sizeof(*w.pids));
    CHECK(w.pids != NULL);
    err_t err = pipe2(w.pipe, O_CLOEXEC) == 0 ? run_workers(&w)
                                              : err_begin(ERR_SYSTEM, "pipe: %s", strerror(errno));
    close(w.pipe[0]);
    close(w.pipe[1]);
    munmap(w.shared, w.shared_bytes);
    free(w.pids);
    return err;
}
