/* ctl/plan_files.h - the plans of a command line, all read before one is run; the log it asks for.
 * Owns   the plans until plan_files_free. */
#ifndef CTL_PLAN_FILES_H
#define CTL_PLAN_FILES_H

#include "fault/plan.h"

#include <stdio.h>

struct plan_files {
    char **paths; /* not owned */
    size_t count;
    struct plan *plans;
};

/* Read them all; `seed` takes the place of theirs, NULL: it does not. ERR_INPUT, ERR_SYSTEM: the
 * context is the line for a person. */
err_t plan_files_load(struct plan_files *files, const uint64_t *seed);
void plan_files_free(struct plan_files *files);
/* `path` to be written, "-" is standard output, NULL leaves *log alone. ERR_INPUT says why not. */
err_t log_open(const char *path, const char *command, FILE **log);

#endif
