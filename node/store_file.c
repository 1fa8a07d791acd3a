/* node/store_file.c - making, locking and inspecting the file under LMDB. */
#include "node/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "raft.mdb"
enum { LOCK_TRIES = 100 }; /* of 10 ms each */

static err_t broken(const char *path, const char *what)
{
    return err_begin(ERR_STORAGE, "%s: %s", path, what);
}

err_t store_file_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        err_t err = err_begin(ERR_STORAGE, "%s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return err;
    }
    close(fd);
    return ERR_OK;
}

/* Make `path` and the directories above it, whose names must survive a power cut too (S2). */
static err_t directory_make(const char *path, bool durable)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0) {
            int why = errno;
            struct stat status;
            if (stat(part, &status) == 0) continue;
            return err_begin(ERR_STORAGE, "%s: cannot make this directory: %s", part,
                             strerror(why));
        }
        char *slash = strrchr(part, '/');
        if (slash != NULL) slash[slash == part ? 1 : 0] = '\0';
        err_t err = durable ? store_file_sync(slash != NULL ? part : ".") : ERR_OK;
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

err_t store_file_place(const char *directory, bool durable, char *path, size_t size)
{
    int length = snprintf(path, size, "%s/" FILE_NAME, directory);
    if (length < 0 || (size_t)length >= size)
        return err_begin(ERR_STORAGE, "%.64s...: %s", directory, strerror(ENAMETOOLONG));
    return directory_make(directory, durable);
}

/* The peers of a supervisor that was just killed may still be on their way out: try for a while. */
static bool lock(int fd)
{
    static const struct timespec pause = { 0, 10 * 1000 * 1000 };
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK || tries == LOCK_TRIES) return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

err_t store_file_open(const char *path, int *fd)
{
    *fd = open(path, O_RDWR | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0600);
    if (*fd < 0) return broken(path, strerror(errno));
    struct stat status;
    err_t err;
    if (fstat(*fd, &status) != 0) err = broken(path, strerror(errno));
    else if (!S_ISREG(status.st_mode)) err = broken(path, "is not a regular file");
    else if (lock(*fd)) return ERR_OK;
    else if (errno == EWOULDBLOCK) err = broken(path, "in use by another process (perhaps paused)");
    else err = err_begin(ERR_STORAGE, "%s: cannot lock it: %s", path, strerror(errno));
    close(*fd);
    *fd = -1;
    return err;
}

/* LMDB's pages 0 and 1, of which the one with the higher transaction counts, in its data format 1:
 * that of all of LMDB 0.9. */
struct lmdb_meta {
    uint64_t page;
    uint16_t unused, flags;
    uint32_t bounds;
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct {
        uint32_t page_bytes; /* in the first */
        uint16_t flags, depth;
        uint64_t branches, leaves, overflows, entries, root;
    } tables[2];
    uint64_t last_page, transaction;
};
_Static_assert(sizeof(struct lmdb_meta) == 152, "as LMDB lays it out");
#define LMDB_META_FLAG 0x08
#define LMDB_MAGIC 0xBEEFC0DEu
/* Pages that a transaction took at the end and did not need are never written. */
#define UNWRITTEN_BYTES_MAX ((uint64_t)1 << 20)

static bool meta_read(int fd, uint64_t offset, struct lmdb_meta *meta)
{
    ssize_t got = pread(fd, meta, sizeof(*meta), (off_t)offset);
    return got == (ssize_t)sizeof(*meta) && (meta->flags & LMDB_META_FLAG) != 0 &&
           meta->magic == LMDB_MAGIC && meta->version == 1;
}

/* Sizes that are none, and a file shorter than it says, whose mapping would raise SIGBUS. */
err_t store_file_check(const char *path, int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0) return broken(path, strerror(errno));
    uint64_t file_bytes = (uint64_t)status.st_size;
    if (file_bytes == 0) return ERR_OK;
    struct lmdb_meta meta[2];
    if (!meta_read(fd, 0, &meta[0])) return broken(path, "is not a log of Ringside");
    uint32_t page_bytes = meta[0].tables[0].page_bytes;
    if (page_bytes < 512 || page_bytes > 65536 || (page_bytes & (page_bytes - 1)) != 0)
        return broken(path, "damaged: its page size makes no sense");
    if (file_bytes < 2 * (uint64_t)page_bytes && meta[0].transaction == 0) {
        /* Its first write was cut short by a kill or a full disk: nothing was ever saved. */
        return ftruncate(fd, 0) == 0 ? ERR_OK : broken(path, strerror(errno));
    }
    if (!meta_read(fd, page_bytes, &meta[1]) || meta[1].tables[0].page_bytes != page_bytes)
        return broken(path, "damaged: its second page makes no sense");
    struct lmdb_meta *newest = &meta[meta[1].transaction > meta[0].transaction];
    uint64_t pages = newest->last_page + 1;
    if (pages < 2 || pages > file_bytes / page_bytes + UNWRITTEN_BYTES_MAX / page_bytes)
        return err_begin(ERR_STORAGE, "%s: damaged: has %llu bytes, should have %llu pages of %u",
                         path, (unsigned long long)file_bytes, (unsigned long long)pages,
                         page_bytes);
    if (pages * page_bytes > file_bytes && ftruncate(fd, (off_t)(pages * page_bytes)) != 0)
        return broken(path, strerror(errno));
    return ERR_OK;
}
