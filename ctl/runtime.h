/* ctl/runtime.h - where a named cluster keeps its socket, and that nothing of it stays behind.
 * Owns   the directory of a name: $XDG_RUNTIME_DIR/ringside/NAME, else /tmp/ringside-UID/NAME, mode
 *        0700; the janitor, a small process that removes it when the supervisor has died without
 *        doing so.
 * Holds  (R1) one live cluster per name: it and its janitor hold the directory's lock (flock)
 *        (R2) a directory left by a dead one is taken over. */
#ifndef CTL_RUNTIME_H
#define CTL_RUNTIME_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NAME_DEFAULT "main"
#define NAME_LENGTH_MAX 32

/* Letters, digits, - and _; 1 to NAME_LENGTH_MAX of them. ERR_INPUT says so. */
err_t runtime_name_check(const char *name);
/* Path of the control socket of `name`. ERR_INPUT when it does not fit a socket address. */
err_t runtime_socket_path(const char *name, char *path, size_t size);
struct runtime {
    int listen_fd, lock_fd;
    pid_t janitor; /* 0: there is none */
};
/* Make the directory, bind and listen. ERR_INPUT when a cluster of that name is running. Waits up
 * to some seconds for the janitor of one that has just died. */
err_t runtime_listen(const char *name, struct runtime *runtime);
/* Remove socket and directory now, end the janitor. */
void runtime_leave(const char *name, const struct runtime *runtime);
/* Connect to a running cluster. ERR_INPUT: none of that name runs; the context says which do. */
err_t runtime_connect(const char *name, int *fd);

#endif
