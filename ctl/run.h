/* ctl/run.h - `ringside run`: plans on real processes, without a screen, with verdicts.
 * Owns   what one run of one plan needs and tells: its cluster, its trace, its summary in TAP.
 * Leaves the plan's steps to sim/player.h, the live cluster under them to ctl/stage_live.h. */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include "ctl/supervisor.h"
#include "fault/plan.h"
#include "sim/tap.h"

struct run_config {
    const char *name; /* of the cluster, with a control socket; NULL: nobody can talk to it */
    const char *history_path; /* operations are written there; NULL: nowhere */
    FILE *log;                /* or NULL */
    uint32_t topics;
    const struct bug *bug; /* that all peers have; NULL: none */
};
/* Run `plan`, which is called `title`, as the next point of `tap`. *code is an exit code of
 * ctl/commands.h. False: no further plan can be run (interrupted, or no cluster could be started);
 * then the context says why. */
bool run_plan(const struct run_config *config, const char *title, const struct plan *plan,
              struct tap *tap, int *code);

#endif
