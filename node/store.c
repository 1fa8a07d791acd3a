/* node/store.c - the log of one peer in LMDB: one write transaction for each save.
 *
 * LMDB gets the file as /proc/self/fd/N, so that what it opens again after a failure is the file
 * that we hold, whatever has happened to its name. Its own lock file is off (MDB_NOLOCK): it warns
 * of suspended readers, and pause is one of our faults. The lock is ours (node/store_file.h).
 *
 * LMDB trusts its file. What would make it crash is looked at before (store_file_check), what would
 * make Raft go wrong after (store_load), and every entry carries a checksum. */
#include "node/disk.h"
#include "node/store_file.h"

#include <errno.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define FORMAT 1u
#define MAP_BYTES                                                                                  \
    (sizeof(size_t) == 8 ? (size_t)64 << 30 : (size_t)1 << 30) /* address space only */
#define MAP_BYTES_MIN ((size_t)1 << 20)
#define TABLES 2

struct store {
    char path[PATH_MAX]; /* for people */
    int fd;              /* of the file; holds the lock */
    bool durable;
    uint32_t peer, peers;
    size_t map_bytes;
    MDB_env *env; /* NULL after a failure: opened again by the next call */
    MDB_dbi meta, log;
    uint64_t last_index;
    size_t transaction; /* LMDB's number of the last good commit */
    bool reading;
};

/* Records of table "meta", by name. */
struct identity {
    uint32_t format, peer, peers, spare;
};
struct hard {
    uint64_t term;
    uint32_t voted_for, spare;
};

/* Table "log": index -> this and the data. */
struct head {
    uint64_t term;
    uint32_t kind, checksum;
};
_Static_assert(sizeof(struct head) == 16, "written as it is");

static err_t broken(const struct store *store, const char *what)
{
    return err_begin(ERR_STORAGE, "%s: %s", store->path, what);
}

static err_t broken_errno(const struct store *store, const char *what, int why)
{
    return err_begin(ERR_STORAGE, "%s: %s%s", store->path, what, strerror(why));
}

/* An errno for what LMDB returned. */
static int errno_of(int rc)
{
    if (rc >= 0) return rc;
    return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL ? ENOMEM : EIO;
}

/* ---- the environment ---- */

static void env_shut(struct store *store)
{
    if (store->env != NULL) mdb_env_close(store->env);
    store->env = NULL;
}

/* LMDB found its file inconsistent at a place where it cannot return an error. */
static void env_broken(MDB_env *env, const char *assertion)
{
    const struct store *store = mdb_env_get_userctx(env);
    fprintf(stderr, "ringside: %s: damaged: LMDB %s\n", store->path, assertion);
    _exit(1);
}

/* Map the file. Where address space is limited (RLIMIT_AS, sanitizers), less of it does as well. */
static int env_map(struct store *store)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", store->fd);
    unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | (store->durable ? 0 : MDB_NOSYNC);
    for (;;) {
        int rc = mdb_env_create(&store->env);
        if (rc == 0) rc = mdb_env_set_userctx(store->env, store);
        if (rc == 0) rc = mdb_env_set_assert(store->env, env_broken);
        if (rc == 0) rc = mdb_env_set_maxdbs(store->env, TABLES);
        if (rc == 0) rc = mdb_env_set_mapsize(store->env, store->map_bytes);
        if (rc == 0) rc = mdb_env_open(store->env, path, flags, 0600);
        if (rc == 0) return 0;
        env_shut(store);
        if (rc != ENOMEM || store->map_bytes <= MAP_BYTES_MIN) return rc;
        store->map_bytes /= 2;
    }
}

static int tables_open(struct store *store, MDB_txn *txn, unsigned create)
{
    int rc = mdb_dbi_open(txn, "meta", create, &store->meta);
    return rc != 0 ? rc : mdb_dbi_open(txn, "log", MDB_INTEGERKEY | create, &store->log);
}

static size_t last_transaction(const struct store *store)
{
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    return info.me_last_txnid;
}

/* The environment again after a failure. */
static int env_ensure(struct store *store)
{
    if (store->env != NULL) return 0;
    int rc = env_map(store);
    if (rc != 0) return rc;
    MDB_txn *txn;
    if ((rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn)) != 0) goto shut;
    rc = tables_open(store, txn, 0);
    if (rc == 0) rc = mdb_txn_commit(txn);
    else mdb_txn_abort(txn);
    /* A disk may hold what it said it had not written; we said that nothing of it is there (S3). */
    if (rc == 0 && last_transaction(store) != store->transaction) rc = EIO;
    if (rc == 0) return 0;
shut:
    env_shut(store);
    return rc;
}

/* A larger map after MDB_MAP_FULL. ENOMEM when there is none. */
static int env_grow(struct store *store)
{
    size_t old_bytes = store->map_bytes;
    env_shut(store);
    store->map_bytes = old_bytes * 2;
    int rc = env_ensure(store);
    return rc == 0 && store->map_bytes <= old_bytes ? ENOMEM : rc;
}

/* ---- whose file it is ---- */

static int record_put(MDB_txn *txn, MDB_dbi table, const char *name, void *record, size_t bytes)
{
    char key_text[16];
    MDB_val key = { (size_t)snprintf(key_text, sizeof(key_text), "%s", name), key_text };
    MDB_val value = { bytes, record };
    return mdb_put(txn, table, &key, &value, 0);
}

/* MDB_CORRUPTED when the record has another size. */
static int record_get(MDB_txn *txn, MDB_dbi table, const char *name, void *record, size_t bytes)
{
    char key_text[16];
    MDB_val key = { (size_t)snprintf(key_text, sizeof(key_text), "%s", name), key_text };
    MDB_val value;
    int rc = mdb_get(txn, table, &key, &value);
    if (rc != 0) return rc;
    if (value.mv_size != bytes) return MDB_CORRUPTED;
    memcpy(record, value.mv_data, bytes);
    return 0;
}

static err_t identity_check(const struct store *store, const struct identity *found)
{
    if (found->format != FORMAT)
        return err_begin(ERR_STORAGE, "%s: has format %u, this build reads format %u", store->path,
                         found->format, FORMAT);
    if (found->peer != store->peer)
        return err_begin(ERR_STORAGE, "%s: belongs to peer %u, this is peer %u", store->path,
                         found->peer, store->peer);
    if (found->peers != store->peers)
        return err_begin(ERR_STORAGE, "%s: belongs to a cluster of %u peers, this one has %u",
                         store->path, found->peers, store->peers);
    return ERR_OK;
}

/* Open the tables; make them in a file that has none. */
static err_t identity_open(struct store *store)
{
    MDB_txn *txn;
    MDB_dbi main;
    MDB_stat stat;
    struct identity identity = { FORMAT, store->peer, store->peers, 0 };
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0) return broken(store, mdb_strerror(rc));
    if ((rc = mdb_dbi_open(txn, NULL, 0, &main)) != 0) goto abort;
    if ((rc = mdb_stat(txn, main, &stat)) != 0) goto abort;
    if (stat.ms_entries == 0) {
        if ((rc = tables_open(store, txn, MDB_CREATE)) != 0) goto abort;
        rc = record_put(txn, store->meta, "identity", &identity, sizeof(identity));
    } else {
        if ((rc = tables_open(store, txn, 0)) != 0) goto abort;
        rc = record_get(txn, store->meta, "identity", &identity, sizeof(identity));
    }
    if (rc != 0) goto abort;
    if ((rc = mdb_txn_commit(txn)) != 0) return broken(store, mdb_strerror(rc));
    store->transaction = last_transaction(store);
    return identity_check(store, &identity);
abort:
    mdb_txn_abort(txn);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
        return broken(store, "is an LMDB file, but not a log of Ringside");
    return err_begin(ERR_STORAGE, "%s: damaged: %s", store->path, mdb_strerror(rc));
}

/* ---- entries ---- */

static uint32_t entry_checksum(uint64_t index, const struct entry *entry)
{
    uint64_t seed = index ^ entry->term << 20 ^ (uint64_t)entry->kind << 60;
    return (uint32_t)XXH3_64bits_withSeed(entry->data, entry->bytes, seed);
}

static bool entry_decode(uint64_t index, MDB_val value, struct entry *entry)
{
    struct head head;
    if (value.mv_size < sizeof(head) || value.mv_size > sizeof(head) + ENTRY_BYTES_MAX)
        return false;
    memcpy(&head, value.mv_data, sizeof(head));
    entry->term = head.term;
    entry->kind = head.kind;
    entry->bytes = (uint32_t)(value.mv_size - sizeof(head));
    entry->data = (const uint8_t *)value.mv_data + sizeof(head);
    return entry_checksum(index, entry) == head.checksum;
}

static int entry_append(MDB_cursor *cursor, uint64_t index, const struct entry *entry)
{
    CHECK(entry->bytes <= ENTRY_BYTES_MAX);
    MDB_val key = { sizeof(index), &index }, value = { sizeof(struct head) + entry->bytes, NULL };
    int rc = mdb_cursor_put(cursor, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc != 0) return rc;
    struct head head = { entry->term, entry->kind, entry_checksum(index, entry) };
    memcpy(value.mv_data, &head, sizeof(head));
    if (entry->bytes > 0)
        memcpy((uint8_t *)value.mv_data + sizeof(head), entry->data, entry->bytes);
    return 0;
}

/* Delete first..last, from the end: nothing on a page has to move then. */
static int entries_delete(MDB_cursor *cursor, uint64_t first, uint64_t last)
{
    int rc = 0;
    for (uint64_t index = last; rc == 0 && index >= first; index--) {
        MDB_val key, value;
        if ((rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST)) == 0)
            rc = mdb_cursor_del(cursor, 0);
    }
    return rc;
}

/* ---- the seam ---- */

static uint64_t last_after_truncation(const struct store *store, const struct disk_save *save)
{
    if (save->truncate_from == 0) return store->last_index;
    return MIN_OF(store->last_index, save->truncate_from - 1);
}

static int save_write(struct store *store, MDB_txn *txn, const struct disk_save *save)
{
    int rc = 0;
    if (save->hard) {
        struct hard hard = { save->term, save->voted_for, 0 };
        rc = record_put(txn, store->meta, "hard", &hard, sizeof(hard));
    }
    uint64_t keep = last_after_truncation(store, save);
    if (rc != 0 || (keep == store->last_index && save->count == 0)) return rc;
    MDB_cursor *cursor;
    if ((rc = mdb_cursor_open(txn, store->log, &cursor)) != 0) return rc;
    rc = entries_delete(cursor, keep + 1, store->last_index);
    for (uint32_t i = 0; rc == 0 && i < save->count; i++)
        rc = entry_append(cursor, keep + 1 + i, &save->entries[i]);
    mdb_cursor_close(cursor);
    return rc;
}

/* One transaction: 0 or what LMDB says, and nothing was saved. */
static int save_once(struct store *store, const struct disk_save *save)
{
    int rc = env_ensure(store);
    if (rc != 0) return rc;
    MDB_txn *txn;
    if (store->durable) mdb_env_set_flags(store->env, MDB_NOSYNC, save->lazy);
    if ((rc = mdb_txn_begin(store->env, NULL, 0, &txn)) != 0) return rc;
    if ((rc = save_write(store, txn, save)) != 0) mdb_txn_abort(txn);
    else rc = mdb_txn_commit(txn);
    return rc;
}

/* LMDB reports a write that was cut short as EIO; on a full disk they often are. */
static bool disk_full(const struct store *store, const struct disk_save *save)
{
    uint64_t needed = 256u << 10; /* pages of the tree and of the list of free pages */
    for (uint32_t i = 0; i < save->count; i++) needed += save->entries[i].bytes;
    struct statvfs status;
    return fstatvfs(store->fd, &status) == 0 && status.f_bavail * status.f_frsize < needed;
}

static err_t store_commit(void *state, const struct disk_save *save, int *why)
{
    struct store *store = state;
    uint64_t keep = last_after_truncation(store, save);
    CHECK(!store->reading);
    CHECK(save->count == 0 || save->first_index == keep + 1);
    int rc = save_once(store, save);
    while (rc == MDB_MAP_FULL) {
        if ((rc = env_grow(store)) == 0) rc = save_once(store, save);
    }
    if (rc == 0) {
        store->last_index = keep + save->count;
        store->transaction = last_transaction(store);
        return ERR_OK;
    }
    /* LMDB refuses to go on after some failures; a new start is right after all of them (S3). */
    env_shut(store);
    *why = errno_of(rc);
    if (*why == EIO && disk_full(store, save)) *why = ENOSPC;
    return broken_errno(store, "cannot save: ", *why);
}

static err_t entry_broken(const struct store *store, uint64_t index, const char *what)
{
    return err_begin(ERR_CORRUPT, "%s: damaged: entry %llu %s", store->path,
                     (unsigned long long)index, what);
}

static err_t store_read(void *state, uint64_t first, uint64_t last,
                        bool (*each)(void *context, uint64_t index, const struct entry *entry),
                        void *context)
{
    struct store *store = state;
    CHECK(!store->reading);
    MDB_txn *txn;
    MDB_cursor *cursor;
    int rc = env_ensure(store);
    if (rc == 0) rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return broken(store, mdb_strerror(rc));
    if ((rc = mdb_cursor_open(txn, store->log, &cursor)) != 0) {
        mdb_txn_abort(txn);
        return broken(store, mdb_strerror(rc));
    }
    store->reading = true;
    err_t err = ERR_OK;
    uint64_t wanted = first;
    MDB_val key = { sizeof(wanted), &wanted }, value;
    bool more = true;
    for (uint64_t index = first; err == ERR_OK && more && index <= last; index++) {
        struct entry entry;
        rc = mdb_cursor_get(cursor, &key, &value, index == first ? MDB_SET_KEY : MDB_NEXT);
        if (rc != 0 || key.mv_size != sizeof(index) ||
            memcmp(key.mv_data, &index, sizeof(index)) != 0)
            err = entry_broken(store, index,
                               rc == 0 || rc == MDB_NOTFOUND ? "is missing" : mdb_strerror(rc));
        else if (!entry_decode(index, value, &entry))
            err = entry_broken(store, index, "does not match its checksum");
        else more = each(context, index, &entry);
    }
    store->reading = false;
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return err;
}

/* The log's ends; whether all between them is there, its keys being different numbers. */
static err_t log_load(struct store *store, MDB_txn *txn, struct disk_found *found,
                      uint64_t *last_term)
{
    MDB_stat stat;
    MDB_cursor *cursor;
    MDB_val key, value;
    struct entry entry;
    uint64_t ends[2] = { 0, 0 };
    int rc = mdb_stat(txn, store->log, &stat);
    if (rc == 0) rc = mdb_cursor_open(txn, store->log, &cursor);
    if (rc != 0) return broken(store, mdb_strerror(rc));
    err_t err = ERR_OK;
    for (int i = 0; err == ERR_OK && i < 2 && stat.ms_entries > 0; i++) {
        rc = mdb_cursor_get(cursor, &key, &value, i == 0 ? MDB_FIRST : MDB_LAST);
        if (rc == 0 && key.mv_size != sizeof(ends[i])) rc = MDB_CORRUPTED;
        if (rc != 0) {
            err = err_begin(ERR_STORAGE, "%s: damaged: %s", store->path, mdb_strerror(rc));
            break;
        }
        memcpy(&ends[i], key.mv_data, sizeof(ends[i]));
        if (!entry_decode(ends[i], value, &entry))
            err = entry_broken(store, ends[i], "does not match its checksum");
        else *last_term = entry.term;
    }
    mdb_cursor_close(cursor);
    if (err != ERR_OK) return ERR_STORAGE;
    found->first_index = 1;
    found->last_index = stat.ms_entries == 0 ? 0 : ends[1];
    if (stat.ms_entries > 0 && (ends[0] != 1 || ends[1] != stat.ms_entries))
        return err_begin(ERR_STORAGE, "%s: damaged: entries %llu..%llu, but %llu of them",
                         store->path, (unsigned long long)ends[0], (unsigned long long)ends[1],
                         (unsigned long long)stat.ms_entries);
    return ERR_OK;
}

static err_t store_load(void *state, struct disk_found *found)
{
    struct store *store = state;
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return broken(store, mdb_strerror(rc));
    struct hard hard = { 0 };
    uint64_t last_term = 0;
    err_t err = log_load(store, txn, found, &last_term);
    if (err == ERR_OK) {
        rc = record_get(txn, store->meta, "hard", &hard, sizeof(hard));
        if (rc != 0 && rc != MDB_NOTFOUND)
            err = err_begin(ERR_STORAGE, "%s: damaged: %s", store->path, mdb_strerror(rc));
    }
    mdb_txn_abort(txn);
    if (err != ERR_OK) return err;
    if (hard.term < last_term)
        return err_begin(ERR_STORAGE,
                         "%s: damaged: is in term %llu, but its last entry in term %llu",
                         store->path, (unsigned long long)hard.term, (unsigned long long)last_term);
    if (hard.voted_for > store->peers)
        return err_begin(ERR_STORAGE, "%s: damaged: has voted for peer %u of %u", store->path,
                         hard.voted_for, store->peers);
    found->term = hard.term;
    found->voted_for = hard.voted_for;
    store->last_index = found->last_index;
    return ERR_OK;
}

static void store_close(void *state)
{
    struct store *store = state;
    env_shut(store);
    if (store->fd >= 0) close(store->fd);
    free(store);
}

err_t store_open(const struct store_config *config, struct disk *disk)
{
    CHECK((config->directory == NULL) == (config->file_fd >= 0));
    CHECK(config->peer >= 1 && config->peer <= config->peers && config->peers <= PEER_MAX);
    struct store *store = calloc(1, sizeof(*store));
    CHECK(store != NULL);
    store->fd = -1;
    store->durable = config->durable;
    store->peer = config->peer;
    store->peers = config->peers;
    store->map_bytes = config->map_bytes != 0 ? config->map_bytes : MAP_BYTES;
    err_t err = ERR_OK;
    if (config->directory != NULL) {
        err =
            store_file_place(config->directory, config->durable, store->path, sizeof(store->path));
        if (err != ERR_OK) goto fail;
    } else {
        snprintf(store->path, sizeof(store->path), "/proc/self/fd/%d", config->file_fd);
    }
    if ((err = store_file_open(store->path, &store->fd)) != ERR_OK) goto fail;
    if ((err = store_file_check(store->path, store->fd)) != ERR_OK) goto fail;
    int rc = env_map(store);
    if (rc != 0) {
        err = broken(store, mdb_strerror(rc));
        goto fail;
    }
    if ((err = identity_open(store)) != ERR_OK) goto fail;
    if (config->directory != NULL && config->durable)
        if ((err = store_file_sync(config->directory)) != ERR_OK) goto fail;
    *disk = (struct disk){ store, store_load, store_commit, store_read, store_close };
    return ERR_OK;
fail:
    store_close(store);
    return err;
}
