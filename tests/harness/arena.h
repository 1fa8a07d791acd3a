/* tests/harness/arena.h - a world of its own for the programs of one test, and proof that it is
 * empty afterwards.
 * Owns   a folder with XDG_RUNTIME_DIR and TMPDIR in it, both set for this process; every
 *        descendant of this process; `ringside` run as a child, its output kept.
 * Leaves what is said to a running cluster to tests/harness/control.h.
 * Holds  (A1) arena_close finds every process that is left, however it was orphaned: this process
 *        adopts them (subreaper)   (A2) what is left is told, ended and removed, so that one
 *        failing test does not spoil the next   (A3) when this process dies, its children do,
 *        too. */
#ifndef TESTS_HARNESS_ARENA_H
#define TESTS_HARNESS_ARENA_H

#include "base/base.h"

#include <sys/types.h>

/* Abort when it cannot be made: then nothing can be tested. One at a time. */
void arena_open(void);
/* How many processes and files were left; each is printed. Waits a while for processes that are on
 * their way out. Files outside XDG_RUNTIME_DIR and TMPDIR (arena_path) do not count. */
int arena_close(void);
/* The same with other patience: arena_close is arena_end(10 s). Without an open arena nothing
 * happens. */
int arena_end(uint64_t patience_ns);
/* ROOT/NAME, a path for a test's own files; the text lives until the next but three calls. */
const char *arena_path(const char *name);
/* How many processes this one has as children, adopted ones included; the ended are buried. */
int arena_children(void);
/* The first child of `parent` with the name that /proc/PID/comm shows; 0: none. */
pid_t process_child(pid_t parent, const char *name);
/* True when `folder` (e.g. getenv("TMPDIR")) has nothing in it. */
bool arena_is_empty(const char *folder);

#define WORDS_MAX 32
struct program {  /* one run of ringside */
    pid_t pid;    /* 0: it has ended and was waited for */
    int out, err; /* unnamed files that it writes to */
};
/* Run `ringside WORDS...`, words ending with NULL. The program stands beside the tests' folder,
 * or is named by $RINGSIDE. */
void program_start(struct program *program, const char *const *words);
/* Where it is, for tests that run it themselves; lives until the next call. */
const char *program_path(void);
/* Wait for its end. Its exit code, or minus the signal that ended it. Fails the test when it takes
 * longer than PATIENCE_NS. */
int program_wait(struct program *program);
/* False while it runs. */
bool program_ended(const struct program *program);
/* All that was written to `out` or `err` so far; free() it. */
char *program_text(int fd);
void program_close(struct program *program);

/* WAIT_UNTIL(condition): look again and again, instead of sleeping for luck. */
#define PATIENCE_NS (30 * NS_PER_S)
struct patience {
    uint64_t end_ns;
};
struct patience patience_begin(void);
/* Sleep 5 ms, or fail the test when the end is reached. */
void patience_wait(const struct patience *patience, const char *what, const char *file, int line);
#define WAIT_UNTIL(condition)                                                                      \
    for (struct patience patience = patience_begin(); !(condition);)                               \
    patience_wait(&patience, #condition, __FILE__, __LINE__)

#endif
