/* tests/shm_ring_test.c - the ring by itself: wraps, fullness, restarts, the end of 64 bits, and a
 * reader and a writer that are fed with nonsense. The data lies between pages that nobody may
 * touch. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "shm/ring.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 1 << 16, FUZZ_ROUNDS = 20000, QUEUE = 8192 };

static struct ring_producer producer;
static struct ring_consumer consumer;
static uint8_t *page;  /* one page (of 64 KiB) of data between two forbidden ones */
static uint8_t *inbox; /* ends where a forbidden page begins */
static struct ring_writer writer;
static struct ring_reader reader;

static uint8_t *guarded_page(void)
{
    uint8_t *base = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(base != MAP_FAILED);
    assert_int_equal(mprotect(base + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
    return base + PAGE;
}

static int set_up(void **state)
{
    UNUSED(state);
    page = guarded_page();
    inbox = guarded_page();
    return 0;
}

static int tear_down(void **state)
{
    UNUSED(state);
    munmap(page - PAGE, 3 * PAGE);
    munmap(inbox - PAGE, 3 * PAGE);
    return 0;
}

/* Both sides begin at `position`; the data ends where the forbidden page begins. */
static struct ring begin(uint64_t capacity, uint64_t position)
{
    struct ring ring = { &producer, &consumer, page + PAGE - capacity, capacity };
    memset(&producer, 0, sizeof(producer));
    memset(&consumer, 0, sizeof(consumer));
    memset(ring.data, 0, capacity);
    atomic_store(&producer.tail, position);
    atomic_store(&consumer.head, position);
    ring_writer_open(&writer, &ring);
    ring_reader_open(&reader, &ring);
    return ring;
}

static void fill(uint8_t *bytes, size_t length, uint64_t number)
{
    for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(number * 31 + i * 7 + 1);
}

static err_t put(size_t length, uint64_t number)
{
    void *record;
    err_t err = ring_claim(&writer, length, &record);
    if (err != ERR_OK) return err;
    assert_int_equal((uintptr_t)record % 8, 0);
    fill(record, length, number);
    ring_commit(&writer);
    return ERR_OK;
}

/* Read with room for exactly `room` bytes: one more would fault. */
static err_t get(size_t room, uint8_t **bytes, size_t *length)
{
    *bytes = inbox + PAGE - room;
    return ring_read(&reader, *bytes, room, length);
}

static void expect_record(size_t length, uint64_t number)
{
    static uint8_t expected[PAGE];
    uint8_t *bytes;
    size_t got = 0;
    assert_int_equal(get(length, &bytes, &got), ERR_OK);
    assert_int_equal(got, length);
    fill(expected, length, number);
    assert_memory_equal(bytes, expected, length);
}

static void expect_read(err_t expected)
{
    uint8_t *bytes;
    size_t length;
    assert_int_equal(get(PAGE, &bytes, &length), expected);
}

static const uint64_t bases[] = { 0, (1ull << 32) - 128, UINT64_MAX - 255, UINT64_MAX - 511 };

static void wraps_at_every_offset(void **state)
{
    UNUSED(state);
    for (size_t base = 0; base < COUNT(bases); base++) {
        for (uint64_t offset = 0; offset < 256; offset += 8) {
            for (size_t length = 1; length <= RING_RECORD_MAX(256); length++) {
                begin(256, bases[base] + offset); /* the largest one fits an empty ring anywhere */
                assert_int_equal(put(length, length), ERR_OK);
                expect_record(length, length);
                assert_int_equal(put(1, 2), ERR_OK);
                expect_record(1, 2);
                expect_read(ERR_EMPTY);
            }
        }
    }
}

static void the_largest_record_fits_an_empty_ring(void **state)
{
    static const size_t lengths[] = { 1, 16376, 16384, 20000, RING_RECORD_MAX(PAGE) };
    UNUSED(state);
    for (uint64_t offset = 0; offset < PAGE; offset += 248) {
        for (size_t i = 0; i < COUNT(lengths); i++) {
            begin(PAGE, UINT64_MAX - PAGE + 1 + offset);
            assert_int_equal(put(lengths[i], 1), ERR_OK);
            expect_record(lengths[i], 1);
        }
    }
}

struct sent {
    size_t length;
    uint64_t number;
};

static void behaves_like_a_queue(uint64_t capacity, uint64_t base, int steps)
{
    static struct sent queue[QUEUE];
    uint64_t first = 0, last = 0, full = 0;
    struct rng rng;
    rng_seed(&rng, 7, capacity, base);
    begin(capacity, base);
    for (int i = 0; i < steps; i++) {
        size_t length = rng_range(&rng, 1, RING_RECORD_MAX(capacity));
        if (rng_chance(&rng, PPM / 2)) length = length % 9 + 1;
        assert_int_equal(ring_pending(&reader), first != last);
        if (rng_chance(&rng, PPM * 45 / 100)) {
            if (first == last) expect_read(ERR_EMPTY);
            else expect_record(queue[first % QUEUE].length, queue[first % QUEUE].number);
            if (first != last) first++;
            continue;
        }
        err_t err = put(length, last);
        if (err != ERR_OK) full++;
        if (err == ERR_OK) queue[last % QUEUE] = (struct sent){ length, last };
        if (err == ERR_OK) last++;
        uint64_t used = atomic_load(&producer.tail) - atomic_load(&consumer.head);
        assert_true(used <= capacity); /* R1 */
        assert_int_equal(used, ring_depth(&writer.ring));
    }
    assert_true(full > 0);
    assert_int_equal(atomic_load(&producer.refused), full);
    assert_int_equal(atomic_load(&producer.sent), last);
    assert_int_equal(atomic_load(&consumer.taken), first);
    assert_int_equal(atomic_load(&consumer.corrupt), 0);
}

static void any_traffic_comes_out_in_order(void **state)
{
    UNUSED(state);
    behaves_like_a_queue(64, 0, 200000);
    behaves_like_a_queue(256, UINT64_MAX - 1023, 200000);
    behaves_like_a_queue(4096, UINT64_MAX - 8191, 200000);
    behaves_like_a_queue(PAGE, UINT64_MAX - 3 * PAGE + 1, 20000);
}

static void a_full_ring_refuses_and_keeps(void **state)
{
    UNUSED(state);
    uint64_t n = 0;
    begin(256, 0);
    while (put(24, n) == ERR_OK) n++;
    assert_int_equal(n, 8);
    for (int i = 0; i < 10; i++) assert_int_equal(put(1, 0), ERR_FULL);
    assert_int_equal(atomic_load(&producer.refused), 11);
    assert_int_equal(ring_depth(&writer.ring), 256);
    expect_record(24, 0);
    assert_int_equal(put(24, n), ERR_OK); /* what is taken is room at once */
    assert_int_equal(put(1, 0), ERR_FULL);
    for (uint64_t i = 1; i <= n; i++) expect_record(24, i);
    expect_read(ERR_EMPTY);
}

static void too_large_is_said_and_not_counted(void **state)
{
    void *record;
    UNUSED(state);
    begin(256, 0);
    assert_int_equal(ring_claim(&writer, RING_RECORD_MAX(256) + 1, &record), ERR_TOO_LARGE);
    assert_int_equal(ring_claim(&writer, SIZE_MAX, &record), ERR_TOO_LARGE);
    assert_int_equal(atomic_load(&producer.refused), 0);
    expect_read(ERR_EMPTY);
}

static void nothing_exists_before_the_commit(void **state)
{
    void *record;
    UNUSED(state);
    begin(256, 240); /* behind padding */
    ring_commit(&writer);
    assert_int_equal(ring_claim(&writer, 100, &record), ERR_OK);
    expect_read(ERR_EMPTY);
    assert_int_equal(put(8, 5), ERR_OK); /* replaces the first claim */
    expect_record(8, 5);
    expect_read(ERR_EMPTY);
    ring_commit(&writer);
    expect_read(ERR_EMPTY);
    assert_int_equal(atomic_load(&producer.sent), 1);
    assert_int_equal(atomic_load(&producer.bytes), 8);
}

static void a_restart_goes_on(void **state)
{
    UNUSED(state);
    struct ring ring = begin(256, 1000);
    void *record;
    put(10, 1);
    assert_int_equal(ring_claim(&writer, 10, &record), ERR_OK); /* and dies */
    ring_writer_open(&writer, &ring);
    assert_int_equal(atomic_load(&producer.life), 2);
    put(10, 2);
    expect_record(10, 1);
    put(10, 3);
    ring_reader_open(&reader, &ring);
    assert_int_equal(atomic_load(&consumer.life), 2);
    expect_read(ERR_EMPTY); /* R5 */
    put(10, 4);
    expect_record(10, 4);
    assert_int_equal(atomic_load(&consumer.corrupt), 0);
}

static void a_record_larger_than_the_room_is_refused(void **state)
{
    uint8_t *bytes;
    size_t length = 77;
    UNUSED(state);
    begin(256, 0);
    put(32, 1);
    put(8, 2);
    assert_int_equal(get(31, &bytes, &length), ERR_CORRUPT);
    assert_int_equal(length, 77);
    assert_int_equal(atomic_load(&consumer.corrupt), 1);
    expect_read(ERR_EMPTY); /* R4: all in flight is given up */
}

static void a_quiet_link_stays_in_its_first_pages(void **state)
{
    enum { CAPACITY = 1 << 20, QUIET = 32 << 10, ALIGNMENT = 64 };
    UNUSED(state);
    uint8_t *data = aligned_alloc(ALIGNMENT, CAPACITY);
    assert_non_null(data);
    memset(&producer, 0, sizeof(producer));
    memset(&consumer, 0, sizeof(consumer));
    struct ring ring = { &producer, &consumer, data, CAPACITY };
    ring_writer_open(&writer, &ring);
    ring_reader_open(&reader, &ring);
    for (uint64_t i = 0; i < 3 * CAPACITY / 100; i++) {
        void *record;
        size_t length = 1 + i % 200;
        assert_int_equal(ring_claim(&writer, length, &record), ERR_OK);
        assert_true((uint8_t *)record + length <= data + QUIET);
        fill(record, length, i);
        ring_commit(&writer);
        expect_record(length, i);
    }
    while (put(1000, 1) == ERR_OK) continue; /* the rest is there when it is needed */
    assert_true(ring_depth(&ring) > CAPACITY - 3000);
    free(data);
}

/* A consumer's head that cannot be; the tail is at 512, capacity 256. */
static const struct head_row {
    const char *name;
    uint64_t head;
} head_rows[] = {
    { "head behind the ring", 248 },
    { "head far behind", 0 },
    { "head before the tail", 520 },
    { "head just before the tail", 513 },
    { "head at the end of 64 bits", UINT64_MAX - 7 },
    { "head in the middle of 64 bits", 1ull << 63 },
};

static void an_impossible_head_means_full(void **state)
{
    const struct head_row *row = *state;
    uint8_t before[256];
    begin(256, 512);
    memcpy(before, writer.ring.data, sizeof(before));
    atomic_store(&consumer.head, row->head);
    writer.cached_head = row->head;
    for (size_t length = 1; length <= RING_RECORD_MAX(256); length++)
        assert_int_equal(put(length, 1), ERR_FULL);
    assert_memory_equal(before, writer.ring.data, sizeof(before));
    assert_int_equal(atomic_load(&producer.tail), 512);
    atomic_store(&consumer.head, 512); /* the consumer says the truth again */
    assert_int_equal(put(3, 9), ERR_OK);
    expect_record(3, 9);
}

/* A tail that cannot be; the head is at 512, one record of 32 bytes is there, capacity 256. */
static const struct head_row tail_rows[] = {
    { "tail behind the head", 504 },
    { "tail before the ring", 512 + 264 },
    { "tail not on a record", 512 + 12 },
    { "tail odd", 512 + 31 },
    { "tail at zero", 0 },
    { "tail at the end of 64 bits", UINT64_MAX },
    { "tail behind the record", 512 + 24 },
};

static void an_impossible_tail_empties_the_ring(void **state)
{
    const struct head_row *row = *state;
    begin(256, 512);
    put(24, 1);
    atomic_store(&producer.tail, row->head);
    expect_read(ERR_CORRUPT);
    assert_int_equal(atomic_load(&consumer.corrupt), 1);
    expect_read(ERR_EMPTY);
    assert_int_equal(atomic_load(&consumer.head), row->head);
    uint64_t lost = 0; /* life goes on with the same writer: its next stores repair the tail */
    for (uint8_t *bytes; lost < 4; lost++) {
        size_t length;
        put(5, 2);
        if (get(5, &bytes, &length) == ERR_OK) break;
    }
    assert_true(lost < 4);
    put(6, 3);
    expect_record(6, 3);
    expect_read(ERR_EMPTY);
}

/* The header of 8 bytes would be read over the end, into the forbidden page. */
static void a_crooked_position_reads_nothing_outside(void **state)
{
    UNUSED(state);
    for (uint64_t tail = 513; tail < 768; tail++) {
        begin(256, 512);
        atomic_store(&producer.tail, tail);
        expect_read(ERR_CORRUPT);
        for (uint64_t ahead = 1; ahead <= 256; ahead += 5) {
            atomic_store(&producer.tail, atomic_load(&consumer.head) + ahead);
            expect_read(ERR_CORRUPT);
        }
    }
}

static void an_old_lap_is_not_read_again(void **state)
{
    UNUSED(state);
    begin(256, 0);
    for (uint64_t i = 0; i < 8; i++) {
        put(24, i);
        expect_record(24, i);
    }
    atomic_store(&producer.tail, 256 + 32); /* where a whole record of 24 bytes still stands */
    expect_read(ERR_CORRUPT);
}

static void a_restart_repairs_a_crooked_tail(void **state)
{
    UNUSED(state);
    struct ring ring = begin(256, 512);
    atomic_store(&producer.tail, 777);
    ring_writer_open(&writer, &ring);
    put(5, 1);
    expect_read(ERR_CORRUPT);
    put(5, 2);
    expect_record(5, 2);
}

/* Headers that a producer never writes, over the record of 24 bytes at position 512, offset 0. */
static const struct header_row {
    const char *name;
    uint64_t xor_with; /* the right header */
    uint64_t tail;     /* published */
} header_rows[] = {
    { "header: no length", 24, 544 },
    { "header: longer than what is published", 24 ^ 25, 544 },
    { "header: longer than the largest record", 24 ^ 121, 768 },
    { "header: longer than the ring", 24 ^ 257, 768 },
    { "header: length of 4 GiB", 24 ^ UINT32_MAX, 768 },
    { "header: a bit of the tag", 1ull << 40, 544 },
    { "header: of another lap", (uint64_t)(256 / 8) << 32, 544 },
    { "header: only half published", 0, 520 },
    { "header: padding instead", (uint64_t)(0x52494e47u ^ 0x50414444u) << 32 ^ 24, 544 },
    { "header: a whole ring of padding", (uint64_t)(0x52494e47u ^ 0x50414444u) << 32 ^ 24, 768 },
};

static void a_bad_header_empties_the_ring(void **state)
{
    const struct header_row *row = *state;
    uint64_t header;
    begin(256, 512);
    put(24, 1);
    memcpy(&header, writer.ring.data, sizeof(header));
    header ^= row->xor_with;
    memcpy(writer.ring.data, &header, sizeof(header));
    atomic_store(&producer.tail, row->tail);
    expect_read(ERR_CORRUPT);
    expect_read(ERR_EMPTY);
    assert_int_equal(atomic_load(&consumer.corrupt), 1);
}

/* Whatever stands in the ring: it answers, it ends, it counts, and the guards were not touched. */
static void hostile_bytes_harm_nobody(void **state)
{
    struct rng rng;
    uint64_t refused = 0, accepted = 0;
    UNUSED(state);
    rng_seed(&rng, 99, 0, 0);
    for (int round = 0; round < FUZZ_ROUNDS; round++) {
        uint64_t capacity = 64ull << rng_range(&rng, 0, 6), position = rng_next(&rng) & ~7ull;
        uint64_t corrupt = 0;
        begin(capacity, position);
        while (rng_chance(&rng, PPM * 8 / 10))
            put(1 + rng_next(&rng) % RING_RECORD_MAX(capacity), 1);
        for (uint64_t flips = rng_range(&rng, 0, 4); flips > 0; flips--)
            writer.ring.data[rng_next(&rng) % capacity] ^= (uint8_t)(1u << rng_range(&rng, 0, 7));
        if (rng_chance(&rng, PPM / 4)) atomic_store(&producer.tail, rng_next(&rng));
        if (rng_chance(&rng, PPM / 4))
            for (uint64_t i = 0; i < capacity; i++) writer.ring.data[i] = (uint8_t)rng_next(&rng);
        if (rng_chance(&rng, PPM / 4))
            atomic_store(&producer.tail, position + 8 * rng_range(&rng, 0, capacity / 8));
        for (uint64_t reads = 0;; reads++) {
            uint8_t *bytes;
            size_t length = 0, room = 1 + rng_next(&rng) % PAGE;
            err_t err = get(room, &bytes, &length);
            if (err == ERR_EMPTY) break;
            assert_true(err == ERR_OK || err == ERR_CORRUPT);
            assert_true(length <= room);
            if (err == ERR_CORRUPT) corrupt++;
            else accepted++;
            assert_true(reads <= capacity / 16); /* it ends */
        }
        assert_int_equal(atomic_load(&consumer.corrupt), corrupt);
        refused += corrupt;
    }
    assert_true(refused > FUZZ_ROUNDS / 4);
    assert_true(accepted > FUZZ_ROUNDS / 4);
}

static void add_rows(struct CMUnitTest *tests)
{
    size_t n = 0;
    for (size_t i = 0; i < COUNT(head_rows); i++)
        tests[n++] = (struct CMUnitTest){ head_rows[i].name, an_impossible_head_means_full, NULL,
                                          NULL, (void *)(uintptr_t)&head_rows[i] };
    for (size_t i = 0; i < COUNT(tail_rows); i++)
        tests[n++] = (struct CMUnitTest){ tail_rows[i].name, an_impossible_tail_empties_the_ring,
                                          NULL, NULL, (void *)(uintptr_t)&tail_rows[i] };
    for (size_t i = 0; i < COUNT(header_rows); i++)
        tests[n++] = (struct CMUnitTest){ header_rows[i].name, a_bad_header_empties_the_ring, NULL,
                                          NULL, (void *)(uintptr_t)&header_rows[i] };
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(wraps_at_every_offset),
        cmocka_unit_test(the_largest_record_fits_an_empty_ring),
        cmocka_unit_test(any_traffic_comes_out_in_order),
        cmocka_unit_test(a_full_ring_refuses_and_keeps),
        cmocka_unit_test(too_large_is_said_and_not_counted),
        cmocka_unit_test(nothing_exists_before_the_commit),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(a_record_larger_than_the_room_is_refused),
        cmocka_unit_test(a_quiet_link_stays_in_its_first_pages),
        cmocka_unit_test(a_crooked_position_reads_nothing_outside),
        cmocka_unit_test(an_old_lap_is_not_read_again),
        cmocka_unit_test(a_restart_repairs_a_crooked_tail),
        cmocka_unit_test(hostile_bytes_harm_nobody),
    };
    struct CMUnitTest
        tests[COUNT(plain) + COUNT(head_rows) + COUNT(tail_rows) + COUNT(header_rows)];
    memcpy(tests, plain, sizeof(plain));
    add_rows(tests + COUNT(plain));
    return cmocka_run_group_tests_name("shm ring", tests, set_up, tear_down);
}
