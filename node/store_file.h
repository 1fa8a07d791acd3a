/* node/store_file.h - the file under LMDB: made, locked, and looked at before LMDB trusts it.
 * Owns   the name of the file, and the lock (flock) that keeps a second process out: a paused peer
 *        keeps its successor out, a dead one does not.
 * Leaves what is in it to node/store.c.
 * All errors are ERR_STORAGE and name the path. */
#ifndef NODE_STORE_FILE_H
#define NODE_STORE_FILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Make `directory`, with those above it, and write the path of the file in it. */
err_t store_file_place(const char *directory, bool durable, char *path, size_t size);
/* Open the file, empty if missing, and lock it until *fd is closed. Does not wait for the lock. */
err_t store_file_open(const char *path, int *fd);
/* Refuse what LMDB would crash on. */
err_t store_file_check(const char *path, int fd);
/* Let the names in a directory survive a power cut. */
err_t store_file_sync(const char *directory);

#endif
