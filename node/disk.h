/* node/disk.h - the seam to storage: term, vote and log of one peer. LMDB live (node/store.c),
 * memory in sim/.
 * Holds  (S1) one commit is atomic: term, vote, truncation and entries, all or nothing
 *        (S2) after OK from commit, everything in it survives what the durability promises
 *        (S3) after an error nothing of it is there, and commit may be called again with the same
             save. */
#ifndef NODE_DISK_H
#define NODE_DISK_H

#include "base/err.h"
#include "base/words.h"

#define ENTRY_BYTES_MAX ((1u << 20) + 4096u) /* a value of 1 MiB with its key and header */

struct entry { /* one log entry with its payload; not owned */
    uint64_t term;
    uint32_t kind; /* enum entry_kind */
    uint32_t bytes;
    const uint8_t *data;
};
struct disk_save {
    bool hard; /* term and vote are to be written */
    /* a power cut may take it: S2 does not hold for it till the next commit that is not */
    bool lazy;
    uint64_t term;
    uint32_t voted_for;     /* 0: nobody */
    uint64_t truncate_from; /* delete entries from this index on, first; 0: none */
    uint64_t first_index;   /* of entries[0]; follows the (truncated) end of the log */
    const struct entry *entries;
    uint32_t count;
};
struct disk_found { /* what a restart begins with */
    uint64_t term;
    uint32_t voted_for;
    uint64_t first_index, last_index; /* empty log: last_index = first_index - 1 */
};

struct disk {
    void *state;
    /* Once, first. Fills `found`. */
    err_t (*load)(void *state, struct disk_found *found);
    /* Blocks for the time of one transaction. ERR_STORAGE: *why is an errno (ENOSPC, EIO, ...), and
     * the context names the path. */
    err_t (*commit)(void *state, const struct disk_save *save, int *why);
    /* Call `each` for entries first..last in order, as long as it returns true. `entry->data` lives
     * during the call only; `each` may not call back into the disk. ERR_CORRUPT when an entry is
     * missing or damaged, ERR_STORAGE when the disk cannot be read. */
    err_t (*read)(void *state, uint64_t first, uint64_t last,
                  bool (*each)(void *context, uint64_t index, const struct entry *entry),
                  void *context);
    void (*close)(void *state);
};

/* LMDB. `directory` is made if missing, with those above it; `durable`: fdatasync at every commit,
 * else MDB_NOSYNC (survives kill -9 of the process, not a power cut). With `file_fd` >= 0 the
 * database lives in that unnamed file instead and nothing remains after the last process; the fd
 * stays the caller's. peer and peers are written on the first open and checked on later ones. One
 * process at a time: the file is locked until close or death. ERR_STORAGE names the path: in use,
 * unreadable, foreign, damaged, of another peer. Open after fork only; load before all else. */
struct store_config {
    const char *directory; /* NULL with file_fd */
    int file_fd;           /* -1 with directory */
    bool durable;
    uint32_t peer, peers;
    size_t map_bytes; /* address space to begin with, grows by itself; 0: plenty */
};
err_t store_open(const struct store_config *config, struct disk *disk);

#endif
