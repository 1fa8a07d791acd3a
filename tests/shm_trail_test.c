/* tests/shm_trail_test.c - following a trail: from the start, from now, lapped, and through
 * nonsense; and the latch, as far as one thread can ask. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "shm/latch.h"
#include "shm/trail.h"
#include <string.h>

static struct trail trail;
static struct trail_reader reader;
static struct note note;

static void write_events(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct note next = { .time_ns = atomic_load(&trail.last) + 1, .kind = NOTE_COMMITTED };
        next.d = ~next.time_ns;
        trail_write(&trail, &next);
    }
}

static void expect_event(uint64_t number)
{
    assert_true(trail_read(&reader, &note));
    assert_int_equal(note.time_ns, number);
    assert_true(note.d == ~number);
    assert_int_equal(note.kind, NOTE_COMMITTED);
}

static int empty(void **state)
{
    UNUSED(state);
    memset(&trail, 0, sizeof(trail));
    return 0;
}

static void an_empty_trail_has_nothing(void **state)
{
    UNUSED(state);
    trail_follow(&reader, &trail, true);
    assert_false(trail_read(&reader, &note));
    write_events(1);
    expect_event(1);
    assert_false(trail_read(&reader, &note));
}

static void follows_from_the_start_or_from_now(void **state)
{
    UNUSED(state);
    write_events(5);
    trail_follow(&reader, &trail, true);
    for (uint64_t i = 1; i <= 5; i++) expect_event(i);
    trail_follow(&reader, &trail, false);
    assert_false(trail_read(&reader, &note));
    write_events(1);
    expect_event(6);
    assert_int_equal(reader.missed, 0);
}

static void the_start_of_a_long_trail_is_its_oldest_event(void **state)
{
    UNUSED(state);
    write_events(TRAIL_EVENTS - 1); /* none is lost yet */
    trail_follow(&reader, &trail, true);
    expect_event(1);
    write_events(2 * TRAIL_EVENTS);
    trail_follow(&reader, &trail, true);
    expect_event(2 * TRAIL_EVENTS + 1);
    assert_int_equal(reader.missed, 0);
}

static void a_lapped_reader_counts_what_it_missed(void **state)
{
    UNUSED(state);
    write_events(10);
    trail_follow(&reader, &trail, true);
    expect_event(1);
    write_events(2 * TRAIL_EVENTS);
    uint64_t last = 2 * TRAIL_EVENTS + 10, seen = 1;
    while (trail_read(&reader, &note)) seen++;
    assert_int_equal(note.time_ns, last);
    assert_int_equal(seen + reader.missed, last);
    assert_int_equal(seen, TRAIL_EVENTS); /* the first, and all but the slot that is written next */
}

static void an_event_under_way_is_not_seen(void **state)
{
    UNUSED(state);
    write_events(TRAIL_EVENTS + 7);
    trail_follow(&reader, &trail, true);
    uint64_t oldest = reader.next;
    atomic_store(&trail.events[oldest % TRAIL_EVENTS].sequence, 0); /* begun, not finished */
    expect_event(oldest + 1);
    assert_int_equal(reader.missed, 1);
}

static void nonsense_ends_and_passes(void **state)
{
    static const uint64_t lasts[] = {
        UINT64_MAX, UINT64_MAX - 1, 1ull << 63, UINT64_MAX / 2, 5, 0
    };
    struct rng rng;
    UNUSED(state);
    rng_seed(&rng, 5, 0, 0);
    write_events(100);
    trail_follow(&reader, &trail, true);
    for (size_t i = 0; i < COUNT(lasts); i++) {
        for (size_t n = 0; n < TRAIL_EVENTS; n++)
            atomic_store(&trail.events[n].sequence, rng_next(&rng));
        atomic_store(&trail.last, lasts[i]);
        while (trail_read(&reader, &note)) continue; /* it ends */
    }
    write_events(3); /* a writer that begins again at 1 */
    expect_event(1);
    expect_event(2);
    expect_event(3);
}

static uint64_t memory[2 + 2 * 100];
static struct latch *const latch = (struct latch *)(void *)memory;

static void a_latch_shows_the_newest_page(void **state)
{
    uint64_t page[100], copy[100], version = 0;
    UNUSED(state);
    memset(memory, 0, sizeof(memory)); /* all zero is an unwritten latch */
    assert_true(latch_read(latch, copy, 100, &version));
    assert_int_equal(version, 0);
    assert_int_equal(copy[99], 0);
    for (uint64_t n = 1; n <= 10; n++) {
        for (uint64_t i = 0; i < 100; i++) page[i] = n * 1000 + i;
        latch_write(latch, page, 100);
        assert_int_equal(latch_version(latch), n);
        assert_true(latch_read(latch, copy, 100, &version));
        assert_int_equal(version, n);
        assert_memory_equal(copy, page, sizeof(page));
    }
    assert_int_equal(latch_bytes(100), sizeof(memory));
    latch_init(latch, 100);
    assert_int_equal(latch_version(latch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_trail_has_nothing, empty),
        cmocka_unit_test_setup(follows_from_the_start_or_from_now, empty),
        cmocka_unit_test_setup(the_start_of_a_long_trail_is_its_oldest_event, empty),
        cmocka_unit_test_setup(a_lapped_reader_counts_what_it_missed, empty),
        cmocka_unit_test_setup(an_event_under_way_is_not_seen, empty),
        cmocka_unit_test_setup(nonsense_ends_and_passes, empty),
        cmocka_unit_test(a_latch_shows_the_newest_page),
    };
    return cmocka_run_group_tests_name("shm trail and latch", tests, NULL, NULL);
}
