/* viz/viz.h - the dashboard: what a person sees of a running cluster, and the keys that act on it.
 * Owns   the screen, from a read-only region. One doupdate() a frame, which the model determines.
 * Leaves acting to the verbs that it sends through `send`; the cluster to ctl/.
 * Holds  (Z1) it writes nothing to the region   (Z2) the terminal is restored after every end. */
#ifndef VIZ_VIZ_H
#define VIZ_VIZ_H

#include "shm/region.h"
#include <stdio.h>

enum viz_scheme { VIZ_AUTO, VIZ_256, VIZ_8, VIZ_MONO };
struct viz_options {
    struct region *region;
    enum viz_scheme scheme;
    bool ascii;
    uint32_t frames_per_second; /* 1 .. 60 */
    /* Carry out one line of the verb language. Answers with a line for a person; false: refused. */
    bool (*send)(void *context, const char *line, char *answer, size_t size);
    /* True when the cluster has ended; asked once a frame. */
    bool (*ended)(void *context);
    void *context;
};
/* Run on this process's terminal until q, a signal to end, or the end of the cluster. ERR_INPUT: no
 * terminal, or one smaller than 80x24; the context is the one line to print. Blocks. */
err_t viz_run(const struct viz_options *options);
/* One frame as text into `file`, `columns` x `rows`, without a terminal. */
err_t viz_dump(const struct viz_options *options, int columns, int rows, FILE *file);

#endif
