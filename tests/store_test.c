/* tests/store_test.c - the log in LMDB: what is saved is there again. What is refused, and how:
 * tests/store_refusal_test.c. What survives a kill or a bad disk: tests/store_crash_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/group.h"
#include "tests/harness/place.h"
#include "tests/harness/saves.h"

#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- what was saved is there again ---- */

static void reopening_finds_what_was_saved(void **state)
{
    struct place place;
    struct disk_found found;
    struct saves saves;
    place_open(&place, *state);
    saves_open(&saves, 1);
    for (int life = 0; life < 8; life++) {
        struct disk disk = place_disk(&place, &found);
        assert_null(saves_found_differ(&saves, &found));
        assert_null(saves_differ(&saves, &disk));
        for (int i = 0; i < 60; i++) {
            place_save(&disk, saves_next(&saves));
            saves_done(&saves);
        }
        assert_null(saves_differ(&saves, &disk));
        disk.close(disk.state);
    }
    assert_true(saves.count > 0);
    saves_close(&saves);
    place_close(&place);
}

/* The comparison that other tests rely on sees a disk that is one save behind or ahead. */
static void comparison_sees_a_difference(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    struct saves saves;
    place_open(&place, &place_modes[0]);
    saves_open(&saves, 3);
    struct disk disk = place_disk(&place, &found);
    uint64_t seen = 0, changes = 0;
    for (int i = 0; i < 100; i++) {
        const struct disk_save *next = saves_next(&saves);
        changes += next->count > 0 || next->truncate_from != 0;
        place_save(&disk, next);
        seen += saves_differ(&saves, &disk) != NULL;
        saves_done(&saves);
        assert_null(saves_differ(&saves, &disk));
    }
    assert_int_equal(seen, changes);
    disk.close(disk.state);
    saves_close(&saves);
    place_close(&place);
}

static struct cut_row {
    const char *name;
    uint64_t before, truncate_from, count, after;
} cut_rows[] = {
    { "append to an empty log", 0, 0, 2, 2 },
    { "append", 5, 0, 2, 7 },
    { "truncate the tail", 5, 4, 0, 3 },
    { "truncate all", 5, 1, 0, 0 },
    { "truncate, then append less", 5, 3, 1, 3 },
    { "truncate, then append more", 5, 3, 9, 11 },
    { "truncate all, then append", 5, 1, 3, 3 },
    { "truncate past the end", 5, 6, 1, 6 },
    { "truncate far past the end", 5, 99, 0, 5 },
    { "truncate an empty log", 0, 1, 1, 1 },
    { "save nothing", 5, 0, 0, 5 },
};

static bool check_term(void *context, uint64_t index, const struct entry *entry)
{
    const struct cut_row *row = context;
    bool old = index <= row->before && (row->truncate_from == 0 || index < row->truncate_from);
    return entry->term == (old ? 3 : 4) && entry->bytes == 5 && entry->data[4] == 'x';
}

static void cut_row_holds(void **state)
{
    struct cut_row *row = *state;
    struct place place;
    struct disk_found found;
    place_open(&place, &place_modes[0]);
    struct disk disk = place_disk(&place, &found);
    place_fill(&disk, 1, row->before, 3, 5);
    struct entry entries[16];
    for (size_t i = 0; i < COUNT(entries); i++)
        entries[i] = (struct entry){ 4, ENTRY_OPAQUE, 5, (const uint8_t *)"xxxxx" };
    place_save(&disk, &(struct disk_save){ .hard = true,
                                           .term = 4,
                                           .truncate_from = row->truncate_from,
                                           .first_index = row->after - row->count + 1,
                                           .entries = entries,
                                           .count = (uint32_t)row->count });
    place_save(&disk, &(struct disk_save){
                          .first_index = row->after + 1, .entries = entries, .count = 1 });
    disk.close(disk.state);
    disk = place_disk(&place, &found);
    assert_int_equal(found.first_index, 1);
    assert_int_equal(found.last_index, row->after + 1);
    assert_int_equal(found.term, 4);
    assert_int_equal(disk.read(disk.state, 1, row->after + 1, check_term, row), ERR_OK);
    disk.close(disk.state);
    place_close(&place);
}

static bool count_to_three(void *context, uint64_t index, const struct entry *entry)
{
    uint64_t *last = context;
    UNUSED(entry);
    *last = index;
    return index < 3;
}

static void read_gives_a_range(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    uint64_t last = 0;
    place_open(&place, &place_modes[0]);
    struct disk disk = place_disk(&place, &found);
    assert_int_equal(disk.read(disk.state, 1, 1, count_to_three, &last), ERR_CORRUPT);
    place_fill(&disk, 1, 10, 1, 5);
    assert_int_equal(disk.read(disk.state, 1, 10, count_to_three, &last), ERR_OK);
    assert_int_equal(last, 3); /* it was told to stop there */
    assert_int_equal(disk.read(disk.state, 2, 2, count_to_three, &last), ERR_OK);
    assert_int_equal(last, 2);
    last = 0;
    assert_int_equal(disk.read(disk.state, 11, 12, count_to_three, &last), ERR_CORRUPT);
    char expected[128];
    snprintf(expected, sizeof(expected), "%s/raft.mdb: damaged: entry 11 is missing",
             place.directory);
    assert_string_equal(err_context(), expected);
    assert_int_equal(last, 0);
    disk.close(disk.state);
    place_close(&place);
}

static bool sum_bytes(void *context, uint64_t index, const struct entry *entry)
{
    uint64_t *sum = context;
    UNUSED(index);
    *sum += entry->bytes;
    return true;
}

/* 20 MiB through a map of 1 MiB: LMDB says that it is full, again and again. */
static void map_grows(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    uint64_t sum = 0;
    place_open(&place, &place_modes[0]);
    place.config.map_bytes = 1 << 20;
    struct disk disk = place_disk(&place, &found);
    for (uint64_t index = 1; index <= 18; index++)
        place_fill(&disk, index, index, 1, ENTRY_BYTES_MAX);
    disk.close(disk.state);
    disk = place_disk(&place, &found);
    assert_int_equal(found.last_index, 18);
    assert_int_equal(disk.read(disk.state, 1, 18, sum_bytes, &sum), ERR_OK);
    assert_int_equal(sum, 18ull * ENTRY_BYTES_MAX);
    disk.close(disk.state);
    place_close(&place);
}

static void long_tail_is_truncated_at_once(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    uint64_t sum = 0;
    place_open(&place, &place_modes[0]);
    struct disk disk = place_disk(&place, &found);
    place_fill(&disk, 1, 400000, 1, 64);
    struct entry entry = { 2, ENTRY_NOOP, 0, NULL };
    place_save(&disk, &(struct disk_save){ .hard = true,
                                           .term = 2,
                                           .truncate_from = 11,
                                           .first_index = 11,
                                           .entries = &entry,
                                           .count = 1 });
    disk.close(disk.state);
    disk = place_disk(&place, &found);
    assert_int_equal(found.last_index, 11);
    assert_int_equal(disk.read(disk.state, 1, 11, sum_bytes, &sum), ERR_OK);
    assert_int_equal(sum, 640);
    disk.close(disk.state);
    place_close(&place);
}

static const char *little_address_space(void *context)
{
    const struct store_config *config = context;
    struct disk disk;
    struct disk_found found;
    int why;
    struct rlimit limit = { 256 << 20, 256 << 20 };
    TRY(setrlimit(RLIMIT_AS, &limit) == 0);
    TRY(store_open(config, &disk) == ERR_OK);
    TRY(disk.load(disk.state, &found) == ERR_OK);
    struct entry entry = { 1, ENTRY_OPAQUE, 3, (const uint8_t *)"abc" };
    struct disk_save one = {
        .hard = true, .term = 1, .first_index = 1, .entries = &entry, .count = 1
    };
    TRY(disk.commit(disk.state, &one, &why) == ERR_OK);
    disk.close(disk.state);
    return NULL;
}

static void little_address_space_is_enough(void **state)
{
    UNUSED(state);
    if (SANITIZED) skip(); /* sanitizers need terabytes for themselves */
    struct place place;
    struct disk_found found;
    place_open(&place, &place_modes[0]);
    assert_null(child_run(little_address_space, &place.config));
    struct disk disk = place_disk(&place, &found);
    assert_int_equal(found.last_index, 1);
    disk.close(disk.state);
    place_close(&place);
}

/* ---- the file's name ---- */

static void missing_directories_are_made(void **state)
{
    struct place place;
    struct disk_found found;
    char deep[128];
    place_open(&place, *state);
    snprintf(deep, sizeof(deep), "%s/a/b//c/", place.directory);
    place.config.directory = deep;
    place.config.file_fd = -1;
    for (uint64_t life = 0; life < 2; life++) {
        struct disk disk = place_disk(&place, &found);
        assert_int_equal(found.last_index, life);
        place_fill(&disk, life + 1, life + 1, 1, 5);
        disk.close(disk.state);
    }
    place_close(&place);
}

/* A kill or a full disk can cut LMDB's very first write short. */
static void file_cut_at_birth_is_new(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    char path[128];
    place_open(&place, &place_modes[0]);
    snprintf(path, sizeof(path), "%s/raft.mdb", place.directory);
    MDB_env *env;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    mdb_env_close(env);
    assert_int_equal(truncate(path, sysconf(_SC_PAGESIZE)), 0);
    struct disk disk = place_disk(&place, &found);
    assert_int_equal(found.last_index, 0);
    place_fill(&disk, 1, 1, 1, 5);
    disk.close(disk.state);
    place_close(&place);
}

int main(void)
{
    group_add_in_modes("reopening finds what was saved", reopening_finds_what_was_saved);
    group_add_in_modes("missing directories are made", missing_directories_are_made);
    group_add("the comparison sees a difference", comparison_sees_a_difference, NULL);
    for (size_t i = 0; i < COUNT(cut_rows); i++)
        group_add(cut_rows[i].name, cut_row_holds, &cut_rows[i]);
    group_add("read gives a range", read_gives_a_range, NULL);
    group_add("the map grows", map_grows, NULL);
    group_add("a long tail is truncated at once", long_tail_is_truncated_at_once, NULL);
    group_add("little address space is enough", little_address_space_is_enough, NULL);
    group_add("a file cut at birth is new", file_cut_at_birth_is_new, NULL);
    return group_run("store");
}
