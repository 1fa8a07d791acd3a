/* tests/shm_stress_test.c - writer and reader at once, as two threads of one process, where
 * ThreadSanitizer sees both. Everything that crosses is checked, so that a torn or stale word
 * fails without it too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/bell.h"
#include "shm/latch.h"
#include "shm/ring.h"
#include "shm/trail.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define SLOW 1
#endif
#ifdef SLOW
enum { RECORDS = 60000, PAGES = 20000, EVENTS = 60000, ROUNDS = 10000 };
#else
enum { RECORDS = 1000000, PAGES = 300000, EVENTS = 1000000, ROUNDS = 150000 };
#endif
enum { CAPACITY_MAX = 4096, WORDS = 64, LATE_MAX = 3 };

static struct ring_producer producer;
static struct ring_consumer consumer;
static _Alignas(8) uint8_t data[CAPACITY_MAX];
static struct ring ring;
static struct bell bell;
static struct trail trail;
static uint64_t memory[2 + 2 * WORDS];
static struct latch *const latch = (struct latch *)(void *)memory;
static _Atomic uint64_t done; /* the writer has ended, or the round that the sleeper has ended */

static void begin(uint64_t capacity)
{
    memset(&producer, 0, sizeof(producer));
    memset(&consumer, 0, sizeof(consumer));
    ring = (struct ring){ &producer, &consumer, data, capacity };
    atomic_store(&done, 0);
}

static void with_a_thread(void *(*other)(void *), void (*here)(void))
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other, NULL), 0);
    here();
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Record `number`: its length follows from it, its words all say it. */
static size_t length_of(uint64_t number, uint64_t capacity)
{
    return 8 * (1 + number * 0x9e3779b97f4a7c15ull % (RING_RECORD_MAX(capacity) / 8));
}

static void *send_records(void *unused)
{
    struct ring_writer writer;
    UNUSED(unused);
    ring_writer_open(&writer, &ring);
    for (uint64_t number = 1; number <= RECORDS;) {
        void *record;
        size_t length = length_of(number, ring.capacity);
        if (ring_claim(&writer, length, &record) != ERR_OK) {
            sched_yield();
            continue;
        }
        for (size_t i = 0; i < length; i += 8) memcpy((uint8_t *)record + i, &number, 8);
        ring_commit(&writer);
        number++;
    }
    return NULL;
}

static void receive_records(void)
{
    struct ring_reader reader = { .ring = ring }; /* from position 0: opening it could skip some */
    uint64_t words[CAPACITY_MAX / 8];
    for (uint64_t number = 1; number <= RECORDS;) {
        size_t length;
        err_t err = ring_read(&reader, words, sizeof(words), &length);
        if (err == ERR_EMPTY) {
            sched_yield();
            continue;
        }
        assert_int_equal(err, ERR_OK);
        assert_int_equal(length, length_of(number, ring.capacity));
        for (size_t i = 0; i < length / 8; i++) assert_true(words[i] == number);
        number++;
    }
}

static void a_ring_of(uint64_t capacity)
{
    begin(capacity);
    with_a_thread(send_records, receive_records);
    assert_int_equal(atomic_load(&consumer.taken), RECORDS);
    assert_int_equal(atomic_load(&consumer.corrupt), 0);
}

static void records_cross_a_tiny_ring(void **state)
{
    UNUSED(state);
    a_ring_of(64);
}

static void records_cross_a_small_ring(void **state)
{
    UNUSED(state);
    a_ring_of(CAPACITY_MAX);
}

static void *write_pages(void *unused)
{
    uint64_t page[WORDS];
    UNUSED(unused);
    for (uint64_t n = 1; n <= PAGES; n++) {
        for (size_t i = 0; i < WORDS; i++) page[i] = n;
        latch_write(latch, page, WORDS);
    }
    atomic_store(&done, 1);
    return NULL;
}

static void read_pages(void)
{
    uint64_t page[WORDS], version = 0, last = 0;
    while (last < PAGES) {
        bool ended = atomic_load(&done) != 0;
        bool whole = latch_read(latch, page, WORDS, &version);
        if (ended) assert_true(whole);
        if (!whole) continue;
        assert_true(version >= last);
        for (size_t i = 0; i < WORDS; i++) assert_true(page[i] == version); /* L2 */
        last = version;
    }
}

static void pages_are_never_torn(void **state)
{
    UNUSED(state);
    begin(64);
    latch_init(latch, WORDS);
    with_a_thread(write_pages, read_pages);
}

static void *write_events(void *unused)
{
    UNUSED(unused);
    for (uint64_t n = 1; n <= EVENTS; n++) {
        struct note note = { .time_ns = n, .term = n, .a = n, .b = n, .c = n, .d = n };
        trail_write(&trail, &note);
    }
    return NULL;
}

static void read_events(void)
{
    struct trail_reader reader;
    uint64_t last = 0, seen = 0;
    trail_follow(&reader, &trail, true);
    uint64_t before = reader.next - 1;
    while (last < EVENTS) {
        struct note note;
        if (!trail_read(&reader, &note)) {
            sched_yield();
            continue;
        }
        assert_true(note.time_ns > last);
        last = note.time_ns;
        seen++;
        assert_true(note.term == last);
        assert_true(note.a == last && note.b == last && note.c == last && note.d == last);
    }
    assert_int_equal(before + seen + reader.missed, EVENTS);
}

static void events_are_never_torn(void **state)
{
    UNUSED(state);
    memset(&trail, 0, sizeof(trail));
    with_a_thread(write_events, read_events);
}

/* Sender and sleeper begin each round together, and the sleeper dawdles a little, each time another
 * while, so that the sender's few instructions meet each of the sleeper's. */
static void dawdle(uint64_t round)
{
    for (volatile uint64_t i = round * 0x9e3779b97f4a7c15ull >> 56; i > 0; i--) continue;
}

static void *ring_once_a_round(void *unused)
{
    struct ring_writer writer;
    UNUSED(unused);
    ring_writer_open(&writer, &ring);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        void *record;
        while (atomic_load(&done) < round - 1) sched_yield();
        while (ring_claim(&writer, 8, &record) != ERR_OK) sched_yield();
        memcpy(record, &round, sizeof(round));
        ring_commit(&writer);
        bell_ring(&bell, -1);
    }
    return NULL;
}

static void sleep_once_a_round(void)
{
    struct ring_reader reader = { .ring = ring };
    uint32_t late = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t word = 0;
        size_t length;
        while (ring_read(&reader, &word, sizeof(word), &length) == ERR_EMPTY) {
            dawdle(round);
            bell_announce(&bell, BELL_SLEEPING);
            if (ring_pending(&reader)) {
                bell_awake(&bell);
                continue;
            }
            uint64_t since = real_now_ns();
            bell_wait(&bell, TIME_NEVER);
            late += real_now_ns() - since >= NS_PER_S;
            assert_true(late < LATE_MAX); /* nobody rang: one or two may be this machine's fault */
        }
        assert_int_equal(word, round);
        atomic_store(&done, round);
    }
}

static void no_ring_of_the_bell_is_lost(void **state)
{
    UNUSED(state);
    begin(64);
    memset(&bell, 0, sizeof(bell));
    with_a_thread(ring_once_a_round, sleep_once_a_round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_cross_a_tiny_ring),   cmocka_unit_test(records_cross_a_small_ring),
        cmocka_unit_test(pages_are_never_torn),        cmocka_unit_test(events_are_never_torn),
        cmocka_unit_test(no_ring_of_the_bell_is_lost),
    };
    return cmocka_run_group_tests_name("shm with two threads", tests, NULL, NULL);
}
