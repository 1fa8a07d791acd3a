/* viz/guard.h - give a terminal back as it was, even after the death of who drew on it.
 * Owns   the terminal's settings from before, the bytes that leave the screen, show the cursor,
 *        reset colours and keys (from terminfo).
 * Leaves waiting for the child to its parent.
 * Holds  (T1) guard_restore and guard_mark call only what a signal handler may call. */
#ifndef VIZ_GUARD_H
#define VIZ_GUARD_H

#include "base/base.h"
#include "base/err.h"
#include <termios.h>

struct terminal_guard {
    int fd; /* -1: there is no terminal to restore */
    struct termios settings;
    size_t length;
    char text[256];
    size_t mark_length;
    char mark[16];
};

/* ERR_INPUT, and the context is the line to print: standard input or output is no terminal, or one
 * that cannot place its cursor. */
err_t guard_check(void);
/* Remember the terminal on standard output. Without one guard_restore does nothing. Before fork. */
void guard_save(struct terminal_guard *guard);
/* After the child's death, or in a handler. As often as one likes. */
void guard_restore(const struct terminal_guard *guard);
/* After what was printed since: another guard_restore shall not put the cursor before it. */
void guard_mark(const struct terminal_guard *guard);

#endif
