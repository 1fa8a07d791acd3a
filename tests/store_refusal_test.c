/* tests/store_refusal_test.c - places and files that the store does not take, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/group.h"
#include "tests/harness/place.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool note_index(void *context, uint64_t index, const struct entry *entry)
{
    uint64_t *last = context;
    UNUSED(entry);
    *last = index;
    return true;
}

/* ---- what is refused ---- */

/* The context of the error that opening and loading ends in; "" when there is none. */
static const char *refusal(const struct store_config *config)
{
    static char text[512];
    struct disk disk;
    struct disk_found found;
    text[0] = '\0';
    if (store_open(config, &disk) != ERR_OK) {
        snprintf(text, sizeof(text), "%s", err_context());
        return text;
    }
    err_t err = disk.load(disk.state, &found);
    if (err != ERR_OK)
        snprintf(text, sizeof(text), "%s%s",
                 err == ERR_STORAGE ? "" : "not ERR_STORAGE: ", err_context());
    disk.close(disk.state);
    return text;
}

/* Change a table of a log behind the store's back; value NULL deletes. */
static void edit(const char *path, const char *table, const void *key, size_t key_bytes,
                 const void *value, size_t value_bytes)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char key_copy[32], value_copy[64]; /* LMDB takes pointers that are not const */
    CHECK(key_bytes <= sizeof(key_copy) && value_bytes <= sizeof(value_copy));
    memcpy(key_copy, key, key_bytes);
    if (value != NULL) memcpy(value_copy, value, value_bytes);
    MDB_val key_val = { key_bytes, key_copy }, value_val = { value_bytes, value_copy };
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 2), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, MDB_CREATE, &dbi), 0);
    if (value != NULL) assert_int_equal(mdb_put(txn, dbi, &key_val, &value_val, 0), 0);
    else assert_int_equal(mdb_del(txn, dbi, &key_val, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void edit_meta(const char *path, const char *name, const void *record, size_t bytes)
{
    edit(path, "meta", name, strlen(name), record, bytes);
}

static void edit_log(const char *path, uint64_t index, const void *record, size_t bytes)
{
    edit(path, "log", &index, sizeof(index), record, bytes);
}

static void write_at(const char *path, off_t offset, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, offset), length);
    close(fd);
}

/* Each gets the path of raft.mdb in an empty directory, or of a sound log of ten entries. */
static void is_text(const char *path)
{
    char text[10000];
    memset(text, 'a', sizeof(text));
    write_at(path, 0, text, sizeof(text));
}
static void is_short(const char *path)
{
    write_at(path, 0, "hello", 5);
}
static void is_directory(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}
static void is_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0600), 0);
}
static void is_of_another_program(const char *path)
{
    edit(path, "cats", "tom", 3, "grey", 4);
}
static void is_of_a_likely_program(const char *path)
{
    edit(path, "meta", "tom", 3, "grey", 4);
    edit(path, "log", "tom", 3, "grey", 4);
}
static void has_format_2(const char *path)
{
    edit_meta(path, "identity", (uint32_t[]){ 2, 1, 3, 0 }, 16);
}
static void is_of_peer_2(const char *path)
{
    edit_meta(path, "identity", (uint32_t[]){ 1, 2, 3, 0 }, 16);
}
static void is_of_5_peers(const char *path)
{
    edit_meta(path, "identity", (uint32_t[]){ 1, 1, 5, 0 }, 16);
}
static void has_a_short_identity(const char *path)
{
    edit_meta(path, "identity", (uint32_t[]){ 1, 1, 3 }, 12);
}
static void has_an_old_term(const char *path)
{
    edit_meta(path, "hard", (uint64_t[]){ 6, 0 }, 16);
}
static void has_a_strange_vote(const char *path)
{
    edit_meta(path, "hard", (uint64_t[]){ 7, 4 }, 16);
}
static void has_a_short_term(const char *path)
{
    edit_meta(path, "hard", (uint64_t[]){ 7 }, 8);
}
static void has_a_hole(const char *path)
{
    edit_log(path, 5, NULL, 0);
}
static void begins_late(const char *path)
{
    edit_log(path, 1, NULL, 0);
}
static void has_a_bad_last_entry(const char *path)
{
    edit_log(path, 10, (uint64_t[]){ 7, 1, 12345 }, 24);
}
static void has_a_short_first_entry(const char *path)
{
    edit_log(path, 1, (uint64_t[]){ 7 }, 8);
}
static void is_far_too_short(const char *path)
{
    assert_int_equal(truncate(path, 2 * 4096), 0);
}
static void has_a_bad_page_size(const char *path)
{
    write_at(path, 40, (uint32_t[]){ 0 }, 4);
}
static void has_a_bad_second_page(const char *path)
{
    write_at(path, 4096 + 16, "xxxx", 4);
}

static struct refusal_row {
    const char *name;
    uint64_t entries; /* 0: in an empty directory */
    uint32_t bytes;   /* of each */
    void (*spoil)(const char *path);
    const char *text; /* after the path; may be a pattern */
} refusal_rows[] = {
    { "a text file", 0, 0, is_text, "is not a log of Ringside" },
    { "a short file", 0, 0, is_short, "is not a log of Ringside" },
    { "a directory", 0, 0, is_directory, "Is a directory" },
    { "a fifo", 0, 0, is_fifo, "is not a regular file" },
    { "another program's file", 0, 0, is_of_another_program,
      "is an LMDB file, but not a log of Ringside" },
    { "another program's file with our table names", 0, 0, is_of_a_likely_program,
      "is an LMDB file, but not a log of Ringside" },
    { "another format", 10, 5, has_format_2, "has format 2, this build reads format 1" },
    { "another peer", 10, 5, is_of_peer_2, "belongs to peer 2, this is peer 1" },
    { "another cluster", 10, 5, is_of_5_peers, "belongs to a cluster of 5 peers, this one has 3" },
    { "an identity cut short", 10, 5, has_a_short_identity, "damaged: MDB_CORRUPTED: *" },
    { "a term older than an entry", 10, 5, has_an_old_term,
      "damaged: is in term 6, but its last entry in term 7" },
    { "a vote for nobody we know", 10, 5, has_a_strange_vote,
      "damaged: has voted for peer 4 of 3" },
    { "a term cut short", 10, 5, has_a_short_term, "damaged: MDB_CORRUPTED: *" },
    { "a hole in the log", 10, 5, has_a_hole, "damaged: entries 1..10, but 9 of them" },
    { "a log that begins late", 10, 5, begins_late, "damaged: entries 2..10, but 9 of them" },
    { "a bad last entry", 10, 5, has_a_bad_last_entry,
      "damaged: entry 10 does not match its checksum" },
    { "a short first entry", 10, 5, has_a_short_first_entry,
      "damaged: entry 1 does not match its checksum" },
    { "a file far too short", 10, 1 << 20, is_far_too_short,
      "damaged: has 8192 bytes, should have * pages of 4096" },
    { "a file a little too short", 10, 5, is_far_too_short, "damaged: MDB_CORRUPTED: *" },
    { "a page size of 0", 10, 5, has_a_bad_page_size, "damaged: its page size makes no sense" },
    { "a bad second page", 10, 5, has_a_bad_second_page,
      "damaged: its second page makes no sense" },
};

static void refusal_row_holds(void **state)
{
    const struct refusal_row *row = *state;
    struct place place;
    struct disk_found found;
    char path[128], expected[256];
    if (sysconf(_SC_PAGESIZE) != 4096) skip();
    place_open(&place, &place_modes[0]);
    snprintf(path, sizeof(path), "%s/raft.mdb", place.directory);
    if (row->entries > 0) {
        struct disk disk = place_disk(&place, &found);
        place_fill(&disk, 1, row->entries, 7, row->bytes);
        disk.close(disk.state);
        assert_string_equal(refusal(&place.config), "");
    }
    row->spoil(path);
    snprintf(expected, sizeof(expected), "%s: %s", path, row->text);
    const char *text = refusal(&place.config);
    if (fnmatch(expected, text, 0) != 0) assert_string_equal(text, expected);
    place_close(&place);
}

static void damage_in_the_middle_is_found_by_reading(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    uint64_t last = 0;
    char path[128], expected[256];
    place_open(&place, &place_modes[0]);
    snprintf(path, sizeof(path), "%s/raft.mdb", place.directory);
    struct disk disk = place_disk(&place, &found);
    place_fill(&disk, 1, 3, 7, 5);
    disk.close(disk.state);
    edit_log(path, 2, (uint64_t[]){ 7, 1, 12345 }, 24);
    disk = place_disk(&place, &found);
    assert_int_equal(disk.read(disk.state, 1, 3, note_index, &last), ERR_CORRUPT);
    assert_int_equal(last, 1); /* nobody saw the damaged one */
    snprintf(expected, sizeof(expected), "%s: damaged: entry 2 does not match its checksum", path);
    assert_string_equal(err_context(), expected);
    disk.close(disk.state);
    place_close(&place);
}

static void bad_places_are_named(void **state)
{
    UNUSED(state);
    struct place place;
    char path[128], expected[300], deep[5000];
    place_open(&place, &place_modes[0]);
    snprintf(path, sizeof(path), "%s/file", place.directory);
    write_at(path, 0, "x", 1);
    place.config.directory = path;
    snprintf(expected, sizeof(expected), "%s/raft.mdb: Not a directory", path);
    assert_string_equal(refusal(&place.config), expected);

    snprintf(deep, sizeof(deep), "%s/deep", path);
    place.config.directory = deep;
    snprintf(expected, sizeof(expected), "%s/deep: cannot make this directory: Not a directory",
             path);
    assert_string_equal(refusal(&place.config), expected);

    memset(deep, 'd', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    snprintf(expected, sizeof(expected), "%.64s...: File name too long", deep);
    assert_string_equal(refusal(&place.config), expected);

    place.config.directory = NULL;
    place.config.file_fd = 1000000;
    assert_string_equal(refusal(&place.config), "/proc/self/fd/1000000: No such file or directory");
    place.config.file_fd = -1;
    place_close(&place);
}

/* ---- permissions, as somebody to whom they apply ---- */

static bool become_nobody(void)
{
    if (getuid() != 0) return true;
    return setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0;
}

struct permission {
    const struct store_config *config;
    const char *expected;
};

static const char *refused_as_nobody(void *context)
{
    const struct permission *p = context;
    if (!become_nobody()) return child_skip;
    const char *text = refusal(p->config);
    return strcmp(text, p->expected) == 0 ? NULL : text;
}

/* Mode of the directory, of raft.mdb in it (0: none), whether another one inside is asked for. */
static struct permission_row {
    const char *name;
    mode_t directory, file;
    bool inner;
    const char *text;
} permission_rows[] = {
    { "a directory that may not be read", 0000, 0, false, "/raft.mdb: Permission denied" },
    { "a directory that may not be written", 0555, 0, false, "/raft.mdb: Permission denied" },
    { "a file that may not be written", 0755, 0444, false, "/raft.mdb: Permission denied" },
    { "a directory that cannot be made", 0555, 0, true,
      "/inner: cannot make this directory: Permission denied" },
};

static void permission_row_holds(void **state)
{
    const struct permission_row *row = *state;
    struct place place;
    char path[128], inner[128], expected[256];
    place_open(&place, &place_modes[0]);
    snprintf(path, sizeof(path), "%s/raft.mdb", place.directory);
    snprintf(inner, sizeof(inner), "%s/inner", place.directory);
    snprintf(expected, sizeof(expected), "%s%s", place.directory, row->text);
    if (row->file != 0) {
        write_at(path, 0, "x", 1);
        assert_int_equal(chmod(path, row->file), 0);
    }
    assert_int_equal(chmod(place.directory, row->directory), 0);
    if (row->inner) place.config.directory = inner;
    struct permission permission = { &place.config, expected };
    const char *failure = child_run(refused_as_nobody, &permission);
    assert_int_equal(chmod(place.directory, 0700), 0);
    place_close(&place);
    if (failure == child_skip) skip();
    if (failure != NULL) assert_string_equal(failure, expected);
}

/* ---- one process at a time ---- */

struct holder {
    const struct store_config *config;
    int ready;
};

static const char *hold(void *context)
{
    struct holder *holder = context;
    struct disk disk;
    TRY(store_open(holder->config, &disk) == ERR_OK);
    TRY(write(holder->ready, "x", 1) == 1);
    for (;;) pause();
}

static void second_process_is_refused(void **state)
{
    struct place place;
    struct disk_found found;
    char expected[256], byte;
    int ends[2], status;
    place_open(&place, *state);
    if (place.config.directory != NULL)
        snprintf(expected, sizeof(expected),
                 "%s/raft.mdb: in use by another process (perhaps paused)", place.directory);
    else
        snprintf(expected, sizeof(expected),
                 "/proc/self/fd/%d: in use by another process (perhaps paused)",
                 place.config.file_fd);
    assert_int_equal(pipe(ends), 0);
    struct holder holder = { &place.config, ends[1] };
    pid_t pid = child_start(hold, &holder);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_string_equal(refusal(&place.config), expected);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_string_equal(refusal(&place.config), expected);
    assert_true(child_kill(pid));
    struct disk disk = place_disk(&place, &found);
    assert_string_equal(refusal(&place.config), expected); /* nor twice in one process */
    disk.close(disk.state);
    close(ends[0]);
    close(ends[1]);
    place_close(&place);
}

int main(void)
{
    for (size_t i = 0; i < COUNT(refusal_rows); i++)
        group_add(refusal_rows[i].name, refusal_row_holds, &refusal_rows[i]);
    group_add("damage in the middle is found by reading", damage_in_the_middle_is_found_by_reading,
              NULL);
    group_add("bad places are named", bad_places_are_named, NULL);
    for (size_t i = 0; i < COUNT(permission_rows); i++)
        group_add(permission_rows[i].name, permission_row_holds, &permission_rows[i]);
    group_add_in_modes("a second process is refused", second_process_is_refused);
    return group_run("store refusals");
}
