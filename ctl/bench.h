/* ctl/bench.h - what the files of the bench share: a table of measurements, each beside its floor.
 * bench.c owns names, repetition and output; bench_floor.c what the machine can do at best;
 * bench_cluster.c what a cluster does; bench_core.c the core alone; bench_check.c `ringside check`.
 * A measurement is one run;
 * bench.c takes the median of several. */
#ifndef CTL_BENCH_H
#define CTL_BENCH_H

#include "base/base.h"
#include "base/err.h"

struct figures { /* 0: not measured */
    double ops_per_s, p50_us, p99_us;
    double cpu_s;       /* of all processes of the cluster together */
    double cpu_percent; /* of one CPU, a peer */
    double rss_kib;     /* of a peer; check: its peak */
    double ratio;       /* to the floor or the theory that the row names */
    double bytes_per_frame;
};
struct bench {
    const char *name, *help;
    uint32_t peers, bytes, outstanding;
    const char *durability; /* "process", "disk" or NULL */
    const char *floor;      /* name of the row that is its floor, or NULL */
    const char *goal;       /* what is to be reached, for the table */
    err_t (*run)(const struct bench *bench, struct figures *figures);
};

/* bench_floor.c */
err_t bench_cache_line(const struct bench *bench, struct figures *figures);
err_t bench_futex(const struct bench *bench, struct figures *figures);
err_t bench_ring(const struct bench *bench, struct figures *figures);
err_t bench_quorum_round(const struct bench *bench, struct figures *figures);
err_t bench_fdatasync(const struct bench *bench, struct figures *figures);
/* `peers` processes at once */
err_t bench_lmdb(const struct bench *bench, struct figures *figures);
/* bench_core.c */
err_t bench_core(const struct bench *bench, struct figures *figures);
/* bench_commit.c */
err_t bench_commit(const struct bench *bench, struct figures *figures);
err_t bench_idle(const struct bench *bench, struct figures *figures);
err_t bench_failover(const struct bench *bench, struct figures *figures);
err_t bench_many_peers(const struct bench *bench, struct figures *figures);
/* bench_check.c; the row's name is that of a history */
err_t bench_check(const struct bench *bench, struct figures *figures);
/* bench_sim.c; per second: seeds, of one virtual minute each; ratio to real time */
err_t bench_sim(const struct bench *bench, struct figures *figures);
/* bench_view.c */
err_t bench_dashboard(const struct bench *bench, struct figures *figures);

/* Samples of one run, for percentiles. In memory that forked processes share. */
#define SAMPLES_MAX (1u << 20)
struct samples {
    uint64_t count; /* also those that found no room */
    uint32_t ns[SAMPLES_MAX];
};
struct samples *samples_new(void); /* zeroed, shared with children; samples_free gives it back */
void samples_free(struct samples *samples);
void samples_add(struct samples *samples, uint64_t ns);
/* Sorts. `percent` 50 is the median. In microseconds. */
double samples_percentile(struct samples *samples, double percent);
/* CPU time of a process so far, ns; 0 when it is gone. */
uint64_t process_cpu_ns(int pid);
uint64_t process_rss_kib(int pid);

#endif
