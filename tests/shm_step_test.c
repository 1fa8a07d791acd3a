/* tests/shm_step_test.c - every operation on shared memory is killed after each of its
 * instructions: the survivors find the old state or the new one, and a restart works. Beside each
 * operation stands a wrong one, the usual mistake, which the same check must catch. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/bell.h"
#include "shm/clock.h"
#include "shm/ring.h"
#include "shm/trail.h"
#include "tests/harness/step.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 256, BYTES = 24, WORDS = 24 };

struct world { /* what the processes share */
    struct ring_producer producer;
    struct ring_consumer consumer;
    _Alignas(8) uint8_t data[CAPACITY];
    struct bell bell;
    struct trail trail;
    uint64_t latch[2 + 2 * WORDS];
};
static struct world *world;
static struct latch *latch; /* in the world */
static struct ring ring;
static struct ring_writer writer;
static struct ring_reader reader;
static uint64_t start; /* position at which the ring begins */
static uint64_t absent, whole;
static pid_t sleeper;

static void put(struct ring_writer *to, int letter)
{
    void *record;
    if (ring_claim(to, BYTES, &record) != ERR_OK) return;
    memset(record, letter, BYTES);
    ring_commit(to);
}

/* The letter of the next record, 0 when there is none, -1 when it is not whole. */
static int take(struct ring_reader *from)
{
    uint8_t bytes[CAPACITY];
    size_t length = 0;
    err_t err = ring_read(from, bytes, sizeof(bytes), &length);
    if (err == ERR_EMPTY) return 0;
    if (err != ERR_OK) return -1;
    if (length != BYTES) return -1;
    for (size_t i = 1; i < length; i++)
        if (bytes[i] != bytes[0]) return -1;
    return bytes[0] == 0 ? -1 : bytes[0];
}

static void ring_prepare(void *context)
{
    UNUSED(context);
    memset(world, 0, sizeof(*world));
    atomic_store(&world->producer.tail, start);
    atomic_store(&world->consumer.head, start);
    atomic_store(&world->bell.state, BELL_SLEEPING);
    ring = (struct ring){ &world->producer, &world->consumer, world->data, CAPACITY };
    ring_writer_open(&writer, &ring);
    ring_reader_open(&reader, &ring);
    put(&writer, 'a');
}

static void put_and_ring(void *context)
{
    UNUSED(context);
    put(&writer, 'b');
    bell_ring(&world->bell, -1);
}

static void restart_and_put(void *context)
{
    ring_writer_open(&writer, &ring);
    put_and_ring(context);
}

/* Between the halves of a mistake: time to die in, also where only every n-th instruction is
 * tried. */
static void linger(void)
{
    for (volatile int i = 0; i < 250; i++) continue;
}

static void put_published_early(void *context)
{
    void *record;
    UNUSED(context);
    if (ring_claim(&writer, BYTES, &record) != ERR_OK) return;
    ring_commit(&writer);
    linger();
    memset(record, 'b', BYTES);
}

static bool put_holds(void *context)
{
    struct ring_writer again;
    UNUSED(context);
    if (take(&reader) != 'a') return false;
    int second = take(&reader);
    if (second != 0 && second != 'b') return false;
    if (second == 0) absent++;
    if (second == 'b') whole++;
    if (atomic_load(&world->bell.state) != BELL_SLEEPING) return false; /* B1 */
    ring_writer_open(&again, &ring);
    put(&again, 'c');
    if (take(&reader) != 'c') return false;
    if (take(&reader) != 0) return false;
    return atomic_load(&world->consumer.corrupt) == 0;
}

static void read_prepare(void *context)
{
    ring_prepare(context);
    put(&writer, 'b');
}

static void read_one(void)
{
    uint8_t bytes[CAPACITY];
    size_t length;
    ring_read(&reader, bytes, sizeof(bytes), &length);
}

static void read_both(void *context)
{
    UNUSED(context);
    read_one();
    read_one();
}

static void reopen_and_read(void *context)
{
    UNUSED(context);
    ring_reader_open(&reader, &ring);
    read_one();
}

/* The mistake: space is given back before the bytes are out. */
static void read_half(void *context)
{
    UNUSED(context);
    atomic_store(&world->consumer.head, atomic_load(&world->consumer.head) + BYTES);
    linger();
    atomic_store(&world->consumer.head, atomic_load(&world->producer.tail));
}

static bool read_holds(void *context)
{
    UNUSED(context);
    uint64_t head = atomic_load(&world->consumer.head);
    struct ring_reader survivor = { .ring = ring, .head = head, .cached_tail = head };
    struct ring_reader again;
    if (head == start) absent++;
    if (head == atomic_load(&world->producer.tail)) whole++;
    for (int i = 0; i < CAPACITY / BYTES; i++) put(&writer, 'f');
    if (atomic_load(&world->producer.refused) == 0) return false; /* R1 */
    for (int got = 'a'; got != 0;) {
        got = take(&survivor); /* what was not given back is still there */
        if (got == -1) return false;
    }
    put(&writer, 'g');
    ring_reader_open(&again, &ring);
    if (take(&again) != 0) return false; /* R5 */
    put(&writer, 'c');
    if (take(&again) != 'c') return false;
    return atomic_load(&world->consumer.corrupt) == 0;
}

static void page_fill(uint64_t *page, uint64_t word)
{
    for (size_t i = 0; i < WORDS; i++) page[i] = word;
}

static void latch_prepare(void *context)
{
    uint64_t page[WORDS];
    UNUSED(context);
    latch_init(latch, WORDS);
    page_fill(page, 1);
    latch_write(latch, page, WORDS);
}

static void latch_publish(void *context)
{
    uint64_t page[WORDS];
    UNUSED(context);
    page_fill(page, 2);
    latch_write(latch, page, WORDS);
}

/* The mistake: one copy, written in place. */
static void latch_in_place(void *context)
{
    _Atomic uint64_t *copy = latch->copy + (latch_version(latch) & 1) * WORDS;
    UNUSED(context);
    for (size_t i = 0; i < WORDS; i++) {
        atomic_store(&copy[i], 2);
        if (i == 0) linger();
    }
}

/* The word that fills the page; 0 when it is torn or unreadable. */
static uint64_t page_word(void)
{
    uint64_t page[WORDS];
    if (!latch_read(latch, page, WORDS, NULL)) return 0;
    for (size_t i = 1; i < WORDS; i++)
        if (page[i] != page[0]) return 0;
    return page[0];
}

static bool latch_holds(void *context)
{
    uint64_t page[WORDS];
    UNUSED(context);
    uint64_t word = page_word();
    if (word != 1 && word != 2) return false;
    if (word == 1) absent++;
    if (word == 2) whole++;
    page_fill(page, 3);
    latch_write(latch, page, WORDS);
    return page_word() == 3;
}

static void clock_prepare(void *context)
{
    UNUSED(context);
    latch_init(latch, CLOCK_WORDS);
    clock_start(latch, 1000, PPM);
}

static void clock_faster(void *context)
{
    UNUSED(context);
    clock_set_rate(latch, 2000, 2 * PPM);
}

static bool clock_holds(void *context)
{
    struct clock_face face;
    UNUSED(context);
    if (!clock_read(latch, &face)) return false;
    if (clock_at(&face, 2000) != 1000) return false;
    if (face.rate_ppm == PPM) absent++;
    if (face.rate_ppm == 2 * PPM) whole++;
    clock_set_rate(latch, 3000, 0);
    if (!clock_read(latch, &face)) return false;
    return clock_at(&face, 9000) == 2000 || clock_at(&face, 9000) == 3000;
}

static struct note note_of(uint64_t number)
{
    return (struct note){ .time_ns = number, .term = number, .a = number, .d = number };
}

static void trail_fill(uint64_t events)
{
    atomic_store(&world->trail.last, 0);
    for (uint64_t i = 1; i <= events; i++) {
        struct note note = note_of(i);
        trail_write(&world->trail, &note);
    }
}

static void trail_prepare(void *context)
{
    UNUSED(context);
    trail_fill(TRAIL_EVENTS + 1); /* the next one overwrites */
}

static void trail_append(void *context)
{
    struct note note = note_of(TRAIL_EVENTS + 2);
    UNUSED(context);
    trail_write(&world->trail, &note);
}

static void trail_counted_early(void *context)
{
    struct note note = note_of(TRAIL_EVENTS + 2);
    struct trail_event *event = &world->trail.events[(TRAIL_EVENTS + 2) % TRAIL_EVENTS];
    UNUSED(context);
    atomic_store(&event->sequence, TRAIL_EVENTS + 2);
    atomic_store(&world->trail.last, TRAIL_EVENTS + 2);
    linger();
    for (size_t i = 0; i < COUNT(event->words); i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)&note + i * sizeof(word), sizeof(word));
        atomic_store(&event->words[i], word);
    }
}

/* Every event that it gets is whole; the last one, or 0. */
static uint64_t trail_walk(struct trail_reader *follower)
{
    uint64_t last = 0;
    struct note note;
    while (trail_read(follower, &note)) {
        uint64_t number = follower->next - 1;
        struct note expected = note_of(number);
        if (memcmp(&note, &expected, sizeof(note)) != 0) return 0;
        last = number;
    }
    return last;
}

static bool trail_holds(void *context)
{
    struct trail_reader follower;
    struct trail_reader slow = { .trail = &world->trail, .next = 2 }; /* at what is overwritten */
    UNUSED(context);
    trail_follow(&follower, &world->trail, true);
    uint64_t last = trail_walk(&follower);
    if (follower.missed != 0) return false;
    if (trail_walk(&slow) != last) return false;
    if (slow.missed > 2) return false; /* that one, and the one that is next */
    if (last != TRAIL_EVENTS + 1 && last != TRAIL_EVENTS + 2) return false;
    if (last == TRAIL_EVENTS + 1) absent++;
    if (last == TRAIL_EVENTS + 2) whole++;
    struct note next = note_of(last + 1);
    trail_write(&world->trail, &next);
    return trail_walk(&follower) == last + 1; /* T3 */
}

/* Exits with 0 when something arrived, with 1 when only the deadline ended a sleep. */
static _Noreturn void sleep_until_rung(void)
{
    for (;;) {
        bell_announce(&world->bell, BELL_SLEEPING);
        if (ring_pending(&reader)) _exit(0);
        uint64_t since = real_now_ns();
        bell_wait(&world->bell, TIME_NEVER);
        if (real_now_ns() - since >= NS_PER_S) _exit(1);
        if (ring_pending(&reader)) _exit(0);
    }
}

static bool is_asleep(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t got = read(fd, line, sizeof(line) - 1);
    CHECK(got > 0);
    close(fd);
    line[got] = '\0';
    const char *state = strrchr(line, ')');
    return state != NULL && state[2] == 'S';
}

static void bell_prepare(void *context)
{
    ring_prepare(context);
    take(&reader);
    atomic_store(&world->bell.state, BELL_AWAKE);
    sleeper = fork();
    CHECK(sleeper >= 0);
    if (sleeper == 0) sleep_until_rung();
    while (atomic_load(&world->bell.state) != BELL_SLEEPING || !is_asleep(sleeper)) usleep(10);
}

/* The mistake: the one who wakes also clears the state. */
static void put_and_ring_cleared(void *context)
{
    UNUSED(context);
    put(&writer, 'b');
    uint32_t state = atomic_exchange(&world->bell.state, BELL_AWAKE);
    linger();
    if (state != BELL_SLEEPING) return;
    atomic_fetch_add(&world->bell.calls, 1);
    syscall(SYS_futex, &world->bell.calls, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static bool bell_holds(void *context)
{
    int status;
    UNUSED(context);
    if (ring_pending(&reader)) whole++;
    else absent++;
    ring_writer_open(&writer, &ring);
    put(&writer, 'c'); /* a healthy sender */
    bell_ring(&world->bell, -1);
    pid_t got = waitpid(sleeper, &status, 0);
    CHECK(got == sleeper);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void go_to_sleep(void *context)
{
    UNUSED(context);
    bell_announce(&world->bell, BELL_SLEEPING);
    if (!ring_pending(&reader)) bell_wait(&world->bell, 0);
}

static void sleep_prepare(void *context)
{
    ring_prepare(context);
    take(&reader);
    go_to_sleep(context); /* here the dynamic linker does its work, not under the stepper */
}

/* The sleeper is dead: nobody hangs in ringing it, and its next life sleeps and wakes. */
static bool sleep_holds(void *context)
{
    UNUSED(context);
    uint32_t state = atomic_load(&world->bell.state);
    if (state != BELL_AWAKE && state != BELL_SLEEPING) return false;
    if (state == BELL_AWAKE) whole++;
    else absent++;
    put(&writer, 'b');
    bell_ring(&world->bell, -1);
    ring_reader_open(&reader, &ring);
    bell_announce(&world->bell, BELL_SLEEPING);
    if (ring_pending(&reader)) return false;
    put(&writer, 'c');
    bell_ring(&world->bell, -1);
    if (!ring_pending(&reader)) return false;
    bell_awake(&world->bell);
    return take(&reader) == 'c' && atomic_load(&world->bell.state) == BELL_AWAKE;
}

static const struct row {
    const char *name;
    uint64_t start;
    void (*prepare)(void *);
    void (*operate)(void *);
    bool (*check)(void *);
    bool wrong; /* the check must find a violation */
} rows[] = {
    { "put, ring the bell", 0, ring_prepare, put_and_ring, put_holds, false },
    { "put behind padding", 208, ring_prepare, put_and_ring, put_holds, false },
    { "put over the end of 64 bits", UINT64_MAX - 39, ring_prepare, put_and_ring, put_holds,
      false },
    { "restart a producer, put", 8, ring_prepare, restart_and_put, put_holds, false },
    { "wrong: tail before the bytes", 0, ring_prepare, put_published_early, put_holds, true },
    { "read", 0, read_prepare, read_both, read_holds, false },
    { "read over padding", 208, read_prepare, read_both, read_holds, false },
    { "restart a consumer, read", 0, read_prepare, reopen_and_read, read_holds, false },
    { "wrong: half a record given back", 0, read_prepare, read_half, read_holds, true },
    { "write a latch", 0, latch_prepare, latch_publish, latch_holds, false },
    { "wrong: a latch with one copy", 0, latch_prepare, latch_in_place, latch_holds, true },
    { "change the clock", 0, clock_prepare, clock_faster, clock_holds, false },
    { "append to a trail", 0, trail_prepare, trail_append, trail_holds, false },
    { "wrong: an event counted before it is written", 0, trail_prepare, trail_counted_early,
      trail_holds, true },
    { "wake a sleeper", 0, bell_prepare, put_and_ring, bell_holds, false },
    { "wrong: the waker clears the bell", 0, bell_prepare, put_and_ring_cleared, bell_holds, true },
    { "go to sleep", 0, sleep_prepare, go_to_sleep, sleep_holds, false },
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    if (!step_possible()) skip();
    start = row->start;
    absent = whole = 0;
    struct step_case step = { row->prepare, row->operate, row->check, NULL, 2 };
    struct step_report report = step_each(&step);
    assert_true(report.instructions > 0);
    if (report.violated && !row->wrong)
        print_error("violated after %llu of %llu instructions\n",
                    (unsigned long long)report.violated_at,
                    (unsigned long long)report.instructions);
    assert_int_equal(report.violated, row->wrong);
    if (row->wrong) return;
    print_message("killed at %llu of %llu instructions: %llu times before, %llu times after\n",
                  (unsigned long long)report.kills, (unsigned long long)report.instructions,
                  (unsigned long long)absent, (unsigned long long)whole);
    assert_true(absent > 0);
    assert_true(whole > 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world != MAP_FAILED);
    latch = (struct latch *)(void *)world->latch;
    CHECK(latch_bytes(WORDS) == sizeof(world->latch));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] =
            (struct CMUnitTest){ rows[i].name, row_holds, NULL, NULL, (void *)(uintptr_t)&rows[i] };
    return cmocka_run_group_tests_name("shm killed at each instruction", tests, NULL, NULL);
}
