/* ctl/load.h - clients that work: forked processes that propose at a rate and record what they saw.
 * Owns   the load processes of a cluster and their recorded history.
 * Leaves what such a process does to ctl/load_client.h; a history's form and verdict to
 *        sim/history.h and sim/linear.h.
 * Holds  (L1) an operation is on record before it is sent: whatever becomes of its process, what
 *        may have happened is in the history, as unknown where no answer was recorded
 *        (L2) the record has no name in a file system, and outlives its process. */
#ifndef CTL_LOAD_H
#define CTL_LOAD_H

#include "ctl/cluster.h"
#include "sim/history.h"

struct load;

/* Start clients as `load ...` asks. A load that runs already is ended first, at once; its history
 * is kept in *load. ERR_INPUT: more clients than the cluster has endpoints for. */
err_t load_start(struct cluster *cluster, const struct command *command, struct load **load);
/* Let the clients finish: no new operations, those outstanding end or become unknown within a
 * second. Does not wait; load_running tells. */
void load_finish(struct load *load);
bool load_running(const struct load *load);
/* Reap, count: called at each poll of the supervisor. */
void load_poll(struct load *load);
/* Operations that ended ok so far. */
uint64_t load_operations(const struct load *load);
/* Add everything recorded since the first load_start; operations still open are unknown. Not while
 * it runs: one client's record could then show the effect of what another's does not hold yet.
 * ERR_STORAGE: a client could not write its record and ended early. */
err_t load_history(struct load *load, struct history *history);
/* Kill the clients, forget everything. */
void load_close(struct load *load);

#endif
