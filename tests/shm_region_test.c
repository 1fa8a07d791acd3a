/* tests/shm_region_test.c - the region: every part lies in its writer's area and nowhere else,
 * readers cannot write, owners cannot write elsewhere, and what is not a region of this build is
 * refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/region.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct region_config usual = { 5, 2, 1 << 16, 7, "five", 150, 300, 50, "sick" };
static const struct region_config largest = { PEER_MAX, CLIENT_MAX, RING_BYTES, 7, "all",
                                              1,        2,          3,          "" };

static struct region *create(const struct region_config *config)
{
    struct region *region = NULL;
    assert_int_equal(region_create(config, &region), ERR_OK);
    return region;
}

static err_t attach(int fd, struct region **region)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return region_attach(path, region);
}

/* Parts. */

struct part {
    const uint8_t *start, *end;
    uint32_t owner;
};
enum { PARTS_MAX = 120000 };
#define EVERYBODY UINT32_MAX
static struct part parts[PARTS_MAX];
static size_t part_count;

static void add_part(uint32_t owner, const void *start, size_t bytes)
{
    assert_true(part_count < PARTS_MAX);
    assert_int_equal((uintptr_t)start % 8, 0);
    parts[part_count++] = (struct part){ start, (const uint8_t *)start + bytes, owner };
}

static void add_peer_parts(const struct region *region, uint32_t peer)
{
    uint32_t peers = region_config(region)->peers;
    add_part(peer, region_board(region, peer), latch_bytes(BOARD_WORDS));
    add_part(SUPERVISOR, region_life(region, peer), latch_bytes(LIFE_WORDS));
    add_part(SUPERVISOR, region_orders(region, peer), latch_bytes(ORDERS_WORDS));
    for (uint32_t slot = 0; slot < HELD_SLOTS; slot++)
        add_part(peer, region_held(region, peer, slot), latch_bytes(HELD_WORDS));
    for (uint32_t from = 1; from <= peers; from++) {
        add_part(peer, region_link(region, from, peer), sizeof(struct link_counts));
        add_part(SUPERVISOR, region_rule(region, from, peer), latch_bytes(RULE_WORDS));
    }
}

static void collect_parts(const struct region *region)
{
    uint32_t all = region_endpoints(region), peers = region_config(region)->peers;
    part_count = 0;
    add_part(SUPERVISOR, region_clock(region), latch_bytes(CLOCK_WORDS));
    add_part(SUPERVISOR, region_facts(region), latch_bytes(FACTS_WORDS));
    for (uint32_t i = 0; i < all; i++) {
        add_part(EVERYBODY, region_bell(region, i), sizeof(struct bell));
        if (i <= peers) add_part(i, region_trail(region, i), sizeof(struct trail));
        if (i >= 1 && i <= peers) add_peer_parts(region, i);
        for (uint32_t to = 0; to < all; to++) {
            if (!region_linked(region, i, to)) continue;
            struct ring ring = region_ring(region, i, to);
            add_part(i, ring.producer, sizeof(*ring.producer));
            add_part(to, ring.consumer, sizeof(*ring.consumer));
            add_part(i, ring.data, ring.capacity);
        }
    }
}

static int by_start(const void *a, const void *b)
{
    const struct part *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* Sorted by address, parts do not overlap, and a page has one owner. */
static void expect_separate_parts(const struct region_config *config)
{
    struct region *region = create(config);
    collect_parts(region);
    qsort(parts, part_count, sizeof(parts[0]), by_start);
    for (size_t i = 1; i < part_count; i++) {
        assert_true(parts[i - 1].end <= parts[i].start);
        if (parts[i - 1].owner == parts[i].owner) continue;
        assert_true((uintptr_t)(parts[i - 1].end - 1) / 4096 < (uintptr_t)parts[i].start / 4096);
    }
    region_close(region);
}

static void parts_are_separate(void **state)
{
    static const struct region_config configs[] = {
        { 1, 0, 4096, 0, "", 0, 0, 0, "" },
        { 1, 1, 4096, 0, "", 0, 0, 0, "" },
        { 3, 16, 8192, 0, "", 0, 0, 0, "" },
        { 63, 16, 4096, 0, "", 0, 0, 0, "" },
    };
    UNUSED(state);
    expect_separate_parts(&usual);
    expect_separate_parts(&largest);
    for (size_t i = 0; i < COUNT(configs); i++) expect_separate_parts(&configs[i]);
}

static void who_has_a_ring_with_whom(void **state)
{
    UNUSED(state);
    struct region *region = create(&usual); /* 0; 1..5; 6, 7 */
    for (uint32_t from = 0; from < 10; from++) {
        for (uint32_t to = 0; to < 10; to++) {
            bool peer = (from >= 1 && from <= 5) || (to >= 1 && to <= 5);
            bool linked = from < 8 && to < 8 && from != to && peer;
            assert_int_equal(region_linked(region, from, to), linked);
        }
    }
    region_close(region);
}

/* What a write does. */

static int signal_of_write(struct region *region, int protect_for, void *where)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's report */
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        if (protect_for >= 0 && region_protect(region, (uint32_t)protect_for) != ERR_OK) _exit(9);
        *(volatile uint8_t *)where = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) return WTERMSIG(status);
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

static void a_process_writes_its_own_area_only(void **state)
{
    static const struct region_config small = { 2, 1, 4096, 0, "", 0, 0, 0, "" };
    UNUSED(state);
    struct region *region = create(&small);
    collect_parts(region);
    for (size_t i = 0; i < part_count; i++) {
        if (i % 16 != 0 && parts[i].end - parts[i].start == (long)latch_bytes(HELD_WORDS)) continue;
        for (uint32_t self = 0; self < region_endpoints(region); self++) {
            bool mine = parts[i].owner == self || parts[i].owner == EVERYBODY;
            int expected = mine ? 0 : SIGSEGV; /* G1 */
            uint8_t *first = (uint8_t *)(uintptr_t)parts[i].start;
            assert_int_equal(signal_of_write(region, (int)self, first), expected);
            assert_int_equal(
                signal_of_write(region, (int)self, (uint8_t *)(uintptr_t)parts[i].end - 1),
                expected);
        }
    }
    region_close(region);
}

static void a_protected_supervisor_starts_peers_that_can_write(void **state)
{
    UNUSED(state);
    struct region *region = create(&usual);
    assert_int_equal(region_protect(region, SUPERVISOR), ERR_OK);
    assert_int_equal(signal_of_write(region, -1, region_board(region, 2)), SIGSEGV);
    assert_int_equal(signal_of_write(region, 2, region_board(region, 2)), 0);
    assert_int_equal(signal_of_write(region, 2, region_clock(region)), SIGSEGV);
    region_close(region);
}

static void an_attached_region_cannot_be_written(void **state)
{
    UNUSED(state);
    struct region *region = create(&usual), *viewer;
    assert_int_equal(attach(region_fd(region), &viewer), ERR_OK);
    assert_int_equal(signal_of_write(viewer, -1, region_bell(viewer, 1)), SIGSEGV);
    assert_int_equal(signal_of_write(viewer, -1, region_ring(viewer, 1, 2).data), SIGSEGV);
    assert_int_equal(mprotect(region_bell(viewer, 0), 1, PROT_READ | PROT_WRITE), -1);
    region_close(viewer);
    region_close(region);
}

static void a_sealed_region_keeps_its_size_and_writers(void **state)
{
    char path[64], byte = 1;
    struct stat status;
    UNUSED(state);
    struct region *region = create(&usual);
    int fd = region_fd(region);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(ftruncate(fd, 4096), -1);
    assert_int_equal(ftruncate(fd, 2 * status.st_size), -1);
    assert_int_equal(pwrite(fd, &byte, 1, 0), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    assert_true(again >= 0);
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
    close(again);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    region_close(region);
}

static void an_attached_region_sees_what_happens(void **state)
{
    UNUSED(state);
    struct region *region = create(&usual), *viewer;
    struct trail_reader follower;
    struct note note = { .kind = NOTE_COMMITTED, .a = 42 }, seen;
    assert_int_equal(attach(region_fd(region), &viewer), ERR_OK);
    assert_memory_equal(region_config(viewer), &usual, sizeof(usual));
    trail_follow(&follower, region_trail(viewer, 3), true);
    assert_false(trail_read(&follower, &seen));
    trail_write(region_trail(region, 3), &note);
    assert_true(trail_read(&follower, &seen));
    assert_int_equal(seen.a, 42);
    struct ring mine = region_ring(region, 5, 7), theirs = region_ring(viewer, 5, 7);
    struct ring_writer writer;
    void *record;
    ring_writer_open(&writer, &mine);
    assert_int_equal(ring_claim(&writer, 8, &record), ERR_OK);
    ring_commit(&writer);
    assert_int_equal(ring_depth(&theirs), 16);
    region_close(viewer);
    region_close(region);
}

/* What is refused. Offsets in the header: magic, version, layout hash, size, then the
 * configuration. */

enum { AT_MAGIC = 0, AT_VERSION = 8, AT_LAYOUT = 16, AT_SIZE = 24, AT_CONFIG = 32 };
enum {
    AT_RING_BYTES = AT_CONFIG + offsetof(struct region_config, ring_bytes),
    AT_NAME = AT_CONFIG + offsetof(struct region_config, name),
    AT_CLIENTS = AT_CONFIG + offsetof(struct region_config, clients)
};

static const struct refusal {
    const char *name;
    uint32_t offset; /* of what is changed ... */
    uint64_t value;  /* ... to this ... */
    uint32_t bytes;  /* ... which has so many bytes; 0: nothing */
    int64_t longer;  /* file size against the right one */
    bool unsealed;
    err_t expected;
    const char *says;
} refusals[] = {
    { "an exact copy is accepted", 0, 0, 0, 0, false, ERR_OK, "" },
    { "no magic yet", AT_MAGIC, 0, 8, 0, false, ERR_VERSION, "magic" },
    { "wrong magic", AT_MAGIC, 0x45444953474e4953, 8, 0, false, ERR_VERSION, "magic" },
    { "older version", AT_VERSION, 0, 8, 0, false, ERR_VERSION, "version 0, this program knows 1" },
    { "newer version", AT_VERSION, 2, 8, 0, false, ERR_VERSION, "version 2" },
    { "another layout", AT_LAYOUT, 12345, 8, 0, false, ERR_VERSION, "layout" },
    { "no peers", AT_CONFIG, 0, 4, 0, false, ERR_VERSION, "peers" },
    { "64 peers", AT_CONFIG, 64, 4, 0, false, ERR_VERSION, "peers" },
    { "4 billion peers", AT_CONFIG, UINT32_MAX, 4, 0, false, ERR_VERSION, "peers" },
    { "6 peers, layout of 5", AT_CONFIG, 6, 4, 0, false, ERR_VERSION, "layout" },
    { "17 clients", AT_CLIENTS, 17, 4, 0, false, ERR_VERSION, "clients" },
    { "rings of 0", AT_RING_BYTES, 0, 8, 0, false, ERR_VERSION, "ring bytes" },
    { "rings of 5000", AT_RING_BYTES, 5000, 8, 0, false, ERR_VERSION, "power of two" },
    { "rings of 2^63", AT_RING_BYTES, 1ull << 63, 8, 0, false, ERR_VERSION, "ring bytes" },
    { "larger rings, same layout", AT_RING_BYTES, 1 << 17, 8, 0, false, ERR_VERSION, "layout" },
    { "another size", AT_SIZE, 4096, 8, 0, false, ERR_VERSION, "bytes" },
    { "a file that is too short", 0, 0, 0, -4096, false, ERR_VERSION, "needs" },
    { "a file that is too long", 0, 0, 0, 4096, false, ERR_VERSION, "needs" },
    { "a file that ends in the header", 0, 0, 0, INT64_MIN, false, ERR_VERSION, "too short" },
    { "a file without seals", 0, 0, 0, 0, true, ERR_VERSION, "sealed" },
};

static void a_changed_copy(void **state)
{
    const struct refusal *row = *state;
    uint8_t header[4096];
    struct stat status;
    struct region *region = create(&usual), *viewer = NULL;
    assert_int_equal(pread(region_fd(region), header, sizeof(header), 0), sizeof(header));
    assert_int_equal(fstat(region_fd(region), &status), 0);
    memcpy(header + row->offset, &row->value, row->bytes);
    int fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, header, sizeof(header), 0), sizeof(header));
    off_t size = row->longer == INT64_MIN ? 20 : status.st_size + row->longer;
    assert_int_equal(ftruncate(fd, size), 0);
    if (!row->unsealed)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, fcntl(region_fd(region), F_GET_SEALS)), 0);
    assert_int_equal(attach(fd, &viewer), row->expected);
    if (row->expected == ERR_OK) region_close(viewer);
    else assert_non_null(strstr(err_context(), row->says));
    if (row->expected != ERR_OK) assert_non_null(strstr(err_context(), "/proc/self/fd/"));
    close(fd);
    region_close(region);
}

static void what_is_no_region_is_refused(void **state)
{
    struct region *region = NULL;
    UNUSED(state);
    assert_int_equal(region_attach("/proc/self/fd/999", &region), ERR_SYSTEM);
    assert_non_null(strstr(err_context(), "/proc/self/fd/999: No such file"));
    assert_int_equal(region_attach("/dev/zero", &region), ERR_VERSION);
    assert_int_equal(region_attach("/", &region), ERR_VERSION);
    assert_int_equal(region_attach("/proc/self/exe", &region), ERR_VERSION);
    assert_non_null(strstr(err_context(), "magic"));
    assert_null(region);
    region_close(NULL);
}

static void impossible_configurations_are_refused(void **state)
{
    struct region *region = NULL;
    UNUSED(state);
    struct region_config config = usual;
    config.peers = 0;
    assert_int_equal(region_create(&config, &region), ERR_INPUT);
    config.peers = PEER_MAX + 1;
    assert_int_equal(region_create(&config, &region), ERR_INPUT);
    config = usual;
    config.clients = CLIENT_MAX + 1;
    assert_int_equal(region_create(&config, &region), ERR_INPUT);
    config = usual;
    config.ring_bytes = 2048;
    assert_int_equal(region_create(&config, &region), ERR_INPUT);
    memset(config.name, 'x', sizeof(config.name));
    config.ring_bytes = 4096;
    assert_int_equal(region_create(&config, &region), ERR_INPUT);
    assert_non_null(strstr(err_context(), "name"));
    assert_null(region);
}

/* The largest cluster: tens of GiB of addresses, little memory. */

static uint64_t resident(const struct region *region)
{
    struct stat status;
    assert_int_equal(fstat(region_fd(region), &status), 0);
    assert_true(status.st_size > 20ll << 30);
    return (uint64_t)status.st_blocks * 512;
}

static void the_largest_cluster_is_sparse(void **state)
{
    static struct ring_writer writers[ENDPOINT_MAX];
    static struct ring_reader readers[ENDPOINT_MAX];
    UNUSED(state);
    struct region *region = create(&largest);
    assert_true(resident(region) <= 64 << 10);
    for (uint32_t to = 2; to <= PEER_MAX; to++) { /* a leader and its heartbeats */
        struct ring ring = region_ring(region, 1, to);
        ring_writer_open(&writers[to], &ring);
        ring_reader_open(&readers[to], &ring);
    }
    for (int i = 0; i < 1000; i++) {
        for (uint32_t to = 2; to <= PEER_MAX; to++) {
            uint8_t bytes[128];
            size_t length;
            void *record;
            assert_int_equal(ring_claim(&writers[to], sizeof(bytes), &record), ERR_OK);
            memset(record, i, sizeof(bytes));
            ring_commit(&writers[to]);
            assert_int_equal(ring_read(&readers[to], bytes, sizeof(bytes), &length), ERR_OK);
        }
    }
    assert_true(resident(region) < 4 << 20);
    region_close(region);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(parts_are_separate),
        cmocka_unit_test(who_has_a_ring_with_whom),
        cmocka_unit_test(a_process_writes_its_own_area_only),
        cmocka_unit_test(a_protected_supervisor_starts_peers_that_can_write),
        cmocka_unit_test(an_attached_region_cannot_be_written),
        cmocka_unit_test(a_sealed_region_keeps_its_size_and_writers),
        cmocka_unit_test(an_attached_region_sees_what_happens),
        cmocka_unit_test(what_is_no_region_is_refused),
        cmocka_unit_test(impossible_configurations_are_refused),
        cmocka_unit_test(the_largest_cluster_is_sparse),
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(refusals)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(refusals); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){ refusals[i].name, a_changed_copy, NULL, NULL,
                                                       (void *)(uintptr_t)&refusals[i] };
    return cmocka_run_group_tests_name("shm region", tests, NULL, NULL);
}
