/* ctl/sim_range.h - a range of seeds on all CPUs, with a line of progress.
 * Owns   the workers: one process for each CPU, the next seed from a shared counter; what a seed
 *        that kills or stalls its worker is called (CRASH, HANG).
 * Leaves seeds to sim/swarm.h and sim/runner.h, sums to ctl/sim_result.h.
 * Holds  (R1) which worker runs a seed changes nothing of what comes of it
 *        (R2) no worker outlives its parent. */
#ifndef CTL_SIM_RANGE_H
#define CTL_SIM_RANGE_H

#include "ctl/sim_result.h"

struct sim_range {
    const struct bug *bug;
    const struct plan *plan; /* run this one with each seed; NULL: the plans of the swarm */
    uint64_t from, to;       /* seeds, both inclusive */
    uint32_t shard, shards;  /* of them those with (seed - from) % shards == shard - 1 */
    uint32_t jobs;           /* processes */
    uint64_t real_ns;        /* begin no further seed after that; TIME_NEVER */
    bool twice;              /* run each seed twice: another hash is a failure (W3) */
    bool all;                /* go on after the first that fails */
    bool quiet;              /* no line of progress */
};
/* How many seeds of the range are this shard's; 0 where there are more shards than seeds. */
uint64_t sim_range_seeds(const struct sim_range *range);
/* ERR_SYSTEM: no process could be made. */
err_t sim_range_run(const struct sim_range *range, struct sim_result *result);

#endif
