/* ctl/bench_cluster.h - a cluster under load for a measurement. */
#ifndef CTL_BENCH_CLUSTER_H
#define CTL_BENCH_CLUSTER_H

#include "ctl/bench.h"
#include "ctl/supervisor.h"

#define WARM_NS (NS_PER_S / 2) /* of a load, not measured */

struct work { /* shared with the client process */
    struct cluster *cluster;
    const struct bench *bench;
    uint64_t load_ns;                 /* how long it works, WARM_NS included */
    _Atomic uint64_t measuring_since; /* real time; 0 while warming up */
    _Atomic uint64_t done;            /* operations that ended ok while measuring */
    _Atomic uint64_t finished;        /* real time of the end */
    _Atomic uint64_t failed;
    struct samples *samples;
};
struct bench_cluster {
    struct supervisor supervisor;
    uint32_t leader;
    struct work *work;
};
/* Start a cluster as `bench` asks (without names in any file system), wait for its leader and, with
 * `load_ns` above 0, let a client work that long. On an error nothing is left. */
err_t bench_cluster_open(const struct bench *bench, const char *preset, uint64_t load_ns,
                         struct bench_cluster *cluster);
void bench_cluster_close(struct bench_cluster *cluster);
/* Wait until somebody leads and all that live follow it. */
err_t bench_await_leader(struct supervisor *supervisor, uint32_t *leader);

#endif
