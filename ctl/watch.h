/* ctl/watch.h - the dashboard as a process of its own, on a cluster that is reached by name. */
#ifndef CTL_WATCH_H
#define CTL_WATCH_H

#include "base/err.h"
#include "viz/viz.h"
#include <sys/types.h>

struct watch_options {
    const char *name;
    enum viz_scheme scheme;
    bool ascii, dump;
    uint64_t frames_per_second;
    int columns, rows; /* of a dump */
};
/* One line when this is no terminal for a dashboard: ERR_INPUT. */
err_t watch_terminal_check(void);
/* Fork a dashboard on cluster `options->name`; the caller keeps the terminal guard. -1: fork
 * failed. */
pid_t watch_fork(const struct watch_options *options);
/* What the dashboard's end means: 0 it was quit; else the exit code, after the terminal was
 * restored and one line said what happened. `status` is waitpid's. */
int watch_ended(int status);
/* "auto", "256", "8", "mono". False: none of them. */
bool watch_scheme(const char *text, enum viz_scheme *scheme);

#endif
