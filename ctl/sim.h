/* ctl/sim.h - `ringside sim`: plans and ranges of seeds in virtual time, with verdicts.
 * Owns   what is printed of a run: TAP, the smallest plan, the files that stay after a failure.
 * Leaves its command line to ctl/sim_main.c, workers to ctl/sim_range.h. */
#ifndef CTL_SIM_H
#define CTL_SIM_H

#include "ctl/sim_range.h"

struct sim_options {
    struct sim_range range; /* `seeds` says whether from and to are given */
    bool seeds;
    const char *json_path;    /* NULL: nowhere */
    const char *history_path; /* of a single plan */
    FILE *log;                /* or NULL */
    uint32_t topics;
    bool shrink;   /* a plan that fails */
    bool as_it_is; /* do not shrink a seed's plan */
};

/* Run `plan`, called `title`, as the next point of `tap`. Returns an exit code; EXIT_INPUT: a file
 * could not be written, and the context says which. */
int sim_plan(const struct sim_options *options, const char *title, const struct plan *plan,
             struct tap *tap);
/* Run the range of `options`: of the swarm, or of `plan`, called `title`. */
int sim_seeds(const struct sim_options *options, const char *title, const struct plan *plan,
              struct tap *tap);
/* Sum up the results of all shards of a range. EXIT_INPUT: they do not fit, or one is missing. */
int sim_merge(char **paths, size_t count, const char *json_path, struct tap *tap);

#endif
