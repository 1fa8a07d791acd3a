/* tests/shm_bell_test.c - the doorbell alone: whom it wakes and how, and that no sleep lasts for
 * ever. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/bell.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bell *bell; /* shared with children */
static int event;

static int set_up(void **state)
{
    UNUSED(state);
    bell = mmap(NULL, sizeof(*bell), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell == MAP_FAILED || event < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    UNUSED(state);
    close(event);
    return munmap(bell, sizeof(*bell));
}

static bool readable(void)
{
    struct pollfd fd = { .fd = event, .events = POLLIN };
    return poll(&fd, 1, 0) == 1;
}

static void a_sender_never_writes_the_state(void **state)
{
    static const struct {
        uint32_t state, calls;
    } rows[] = { { BELL_AWAKE, 0 }, { BELL_SLEEPING, 1 }, { BELL_POLLING, 0 }, { 77, 0 } };
    UNUSED(state);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t before = atomic_load(&bell->calls);
        atomic_store(&bell->state, rows[i].state);
        bell_ring(bell, -1);
        assert_int_equal(atomic_load(&bell->state), rows[i].state);
        assert_int_equal(atomic_load(&bell->calls), before + rows[i].calls);
    }
}

static void only_a_polling_owner_gets_the_event(void **state)
{
    uint64_t count;
    UNUSED(state);
    bell_awake(bell);
    bell_ring(bell, event);
    assert_false(readable());
    bell_announce(bell, BELL_SLEEPING);
    bell_ring(bell, event);
    assert_false(readable());
    bell_announce(bell, BELL_POLLING);
    bell_ring(bell, event);
    bell_ring(bell, event);
    assert_true(readable());
    assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
    bell_awake(bell);
}

static void a_full_event_counter_does_not_block(void **state)
{
    uint64_t most = UINT64_MAX - 1, count;
    UNUSED(state);
    assert_int_equal(write(event, &most, sizeof(most)), sizeof(most));
    bell_announce(bell, BELL_POLLING);
    bell_ring(bell, event);
    assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
    assert_true(count == most);
    bell_awake(bell);
}

static void a_wait_ends_by_itself_and_awake(void **state)
{
    UNUSED(state);
    bell_announce(bell, BELL_SLEEPING);
    bell_wait(bell, 0); /* long past */
    assert_int_equal(atomic_load(&bell->state), BELL_AWAKE);
    bell_announce(bell, BELL_SLEEPING);
    bell_wait(bell, real_now_ns() + NS_PER_MS);
    assert_int_equal(atomic_load(&bell->state), BELL_AWAKE);
    uint64_t since = real_now_ns();
    bell_announce(bell, BELL_SLEEPING);
    bell_wait(bell, TIME_NEVER); /* B3: a second at most, so this test ends */
    assert_int_equal(atomic_load(&bell->state), BELL_AWAKE);
    assert_true(real_now_ns() - since >= NS_PER_MS);
}

/* The gap between the sleeper's last look and its system call. */
static void who_is_rung_in_the_gap_does_not_sleep(void **state)
{
    UNUSED(state);
    for (int i = 0; i < 1000; i++) { /* would take 1000 s */
        bell_announce(bell, BELL_SLEEPING);
        bell_ring(bell, -1);
        bell_wait(bell, TIME_NEVER);
        assert_int_equal(atomic_load(&bell->state), BELL_AWAKE);
    }
}

static void wakes_another_process(void **state)
{
    int status;
    UNUSED(state);
    bell_awake(bell);
    pid_t sleeper = fork();
    assert_true(sleeper >= 0);
    if (sleeper == 0) {
        uint64_t since = real_now_ns();
        while (real_now_ns() - since < 60 * NS_PER_S) {
            bell_announce(bell, BELL_SLEEPING);
            bell_wait(bell, TIME_NEVER);
            if (real_now_ns() - since < NS_PER_S) _exit(0); /* before its own deadline */
            since = real_now_ns();
        }
        _exit(1);
    }
    while (waitpid(sleeper, &status, WNOHANG) == 0) {
        bell_ring(bell, -1);
        usleep(1000);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_never_writes_the_state),
        cmocka_unit_test(only_a_polling_owner_gets_the_event),
        cmocka_unit_test(a_full_event_counter_does_not_block),
        cmocka_unit_test(a_wait_ends_by_itself_and_awake),
        cmocka_unit_test(who_is_rung_in_the_gap_does_not_sleep),
        cmocka_unit_test(wakes_another_process),
    };
    return cmocka_run_group_tests_name("shm bell", tests, set_up, tear_down);
}
