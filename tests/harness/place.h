/* tests/harness/place.h - where a test keeps a store, and children in which it may come to harm.
 * Owns   a temporary directory or an unnamed file; everything of it is gone after place_close. */
#ifndef TESTS_HARNESS_PLACE_H
#define TESTS_HARNESS_PLACE_H

#include "node/disk.h"

#include <sys/types.h>

struct mode {
    const char *name;
    bool unnamed, durable;
};
#define PLACE_MODES 4
extern struct mode place_modes[PLACE_MODES];

struct place {
    char directory[64];
    struct store_config config; /* of peer 1 of 3 */
};
void place_open(struct place *place, const struct mode *mode);
void place_close(struct place *place);
/* Open and load, or abort and say why. */
struct disk place_disk(const struct place *place, struct disk_found *found);
/* Save, or abort and say why. */
void place_save(const struct disk *disk, const struct disk_save *save);
/* Save entries first..last of `term`, of `bytes` each, a vote for peer 2. */
void place_fill(const struct disk *disk, uint64_t first, uint64_t last, uint64_t term,
                uint32_t bytes);

/* A body returns the condition that does not hold: cmocka's assertions do not work in a child. */
#define TRY(condition)                                                                             \
    do {                                                                                           \
        if (!(condition)) return #condition;                                                       \
    } while (0)
/* Run `body` in a child process. NULL, or what it returned, or how the child died. */
const char *child_run(const char *(*body)(void *context), void *context);
/* The same, but do not wait: for children that are to be killed. */
pid_t child_start(const char *(*body)(void *context), void *context);
/* SIGKILL and wait. False when it was dead before. */
bool child_kill(pid_t pid);
/* A body returns this when it cannot do its work on this machine. */
extern const char *const child_skip;

#endif
