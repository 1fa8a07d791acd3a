/* tests/harness/saves.h - an endless, repeatable sequence of saves, and what a disk then holds.
 * Owns   a model of one peer's disk, and the random saves that lead from step to step: appends,
 *        truncations, terms and votes, entries of 0 bytes to 64 KiB.
 * Leaves the disk to the test.
 * Holds  (D1) the same seed and step give the same save, in any process. */
#ifndef TESTS_HARNESS_SAVES_H
#define TESTS_HARNESS_SAVES_H

#include "node/disk.h"

struct saved; /* an entry as the model keeps it */
struct saves {
    uint64_t seed, step;
    uint64_t term;
    uint32_t voted_for;
    struct saved *log; /* index i is log[i - 1] */
    uint64_t count, capacity;
    struct disk_save next; /* what saves_next made; data and entries are owned */
    struct entry *entries;
    struct saved *additions;
    uint8_t *data;
};

void saves_open(struct saves *saves, uint64_t seed);
void saves_close(struct saves *saves);
/* The save that follows; the same one until saves_done. */
const struct disk_save *saves_next(struct saves *saves);
/* That save is now part of the model. */
void saves_done(struct saves *saves);
/* NULL, or what is different on the disk. The log alone; also that it ends where the model does. */
const char *saves_differ(const struct saves *saves, const struct disk *disk);
/* The same for what `load` found. */
const char *saves_found_differ(const struct saves *saves, const struct disk_found *found);

#endif
