/* ctl/load.h - clients that work: forked processes that propose at a rate and record what they saw.
 * Owns   the load processes of a cluster and their recorded history.
 * Leaves asking and retrying to ctl/client.h, the record's form and verdict to sim/history.h and sim/linear.h. */
#ifndef CTL_LOAD_H
#define CTL_LOAD_H

#include "ctl/cluster.h"
#include "sim/history.h"

struct load;

/* Start clients as `load ...` asks. A load that runs already is ended first; its history is kept in *load. */
err_t load_start(struct cluster *cluster, const struct command *command, struct load **load);
/* Let the clients finish: no new operations, those outstanding end or become unknown within a second. Does not
 * wait; load_running tells. */
void load_finish(struct load *load);
bool load_running(const struct load *load);
/* Reap, count: called at each poll of the supervisor. */
void load_poll(struct load *load);
/* Operations that ended ok so far. */
uint64_t load_operations(const struct load *load);
/* Everything recorded since the first load_start; operations still open are unknown. */
err_t load_history(struct load *load, struct history *history);
/* Kill the clients, forget everything. */
void load_close(struct load *load);

#endif
