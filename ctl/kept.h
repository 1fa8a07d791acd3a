/* ctl/kept.h - files that stay for the person who looks into a failure.
 * Owns   their place ($TMPDIR, else /tmp) and their names: ringside-WHAT-XXXXXX.SUFFIX. */
#ifndef CTL_KEPT_H
#define CTL_KEPT_H

#include <stddef.h>
#include <stdio.h>

/* Open a new one, e.g. "trace", ".log"; `path` gets its name. NULL: none could be made, and `path`
 * says why. */
FILE *kept_open(const char *what, const char *suffix, char *path, size_t size);
/* Where not all of it could be written, `path` says so from now on. */
void kept_close(FILE *file, char *path, size_t size);

#endif
