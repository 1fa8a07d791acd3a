/* ctl/sim_result.h - what came of a range of seeds: summed up, told, written as JSON, merged.
 * Owns   the sums, the failing seeds, the JSON form of both.
 * Leaves running seeds to ctl/sim_range.h. */
#ifndef CTL_SIM_RESULT_H
#define CTL_SIM_RESULT_H

#include "sim/runner.h"

struct sim_failure {
    uint64_t seed;
    enum player_end end;
    char invariant[16], failure[1024];
};
struct sim_result {
    uint64_t from, to;      /* the whole range, both inclusive */
    uint32_t shard, shards; /* this is number `shard` (from 1) of so many */
    char bug[64];           /* "" */
    uint64_t seeds;         /* that were run */
    uint64_t hash;          /* sum of the hashes of all runs: the same seeds give the same */
    uint64_t counts[COUNT_COUNT];
    double seconds;               /* of real time */
    struct sim_failure *failures; /* by seed */
    size_t failures_count;
};

void sim_result_free(struct sim_result *result);
void sim_result_fail(struct sim_result *result, const struct sim_failure *failure);
/* Exit code of ctl/commands.h: the worst of its failures. */
int sim_result_code(const struct sim_result *result);
/* YAML behind a point: what was exercised, what failed. */
void sim_result_tell(const struct sim_result *result, struct tap *tap);

/* One JSON object. ERR_SYSTEM: it cannot be written. */
err_t sim_result_write(const struct sim_result *result, const char *path);
/* ERR_INPUT: no such file, or not of this form; the context is the line for a person. */
err_t sim_result_read(struct sim_result *result, const char *path);
/* Add another shard of the same range. ERR_INPUT: it is of another range, or there already. */
err_t sim_result_add(struct sim_result *sum, const struct sim_result *shard, bool *seen);

#endif
