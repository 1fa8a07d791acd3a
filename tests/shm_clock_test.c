/* tests/shm_clock_test.c - the cluster clock: it stands, it runs at any rate, it never goes
 * back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "shm/clock.h"

#define YEAR_NS (365ull * 24 * 3600 * NS_PER_S)

static uint64_t memory[2 + 2 * CLOCK_WORDS];
static struct latch *const latch = (struct latch *)(void *)memory;

static struct clock_face face_now(void)
{
    struct clock_face face;
    assert_true(clock_read(latch, &face));
    return face;
}

static uint64_t at(uint64_t real_ns)
{
    struct clock_face face = face_now();
    return clock_at(&face, real_ns);
}

static uint64_t when(uint64_t cluster_ns)
{
    struct clock_face face = face_now();
    return clock_when(&face, cluster_ns);
}

static void starts_at_zero_and_runs_at_its_rate(void **state)
{
    UNUSED(state);
    clock_start(latch, 5000, PPM);
    assert_int_equal(at(5000), 0);
    assert_int_equal(at(6000), 1000);
    clock_start(latch, 5000, PPM / 50); /* slow motion */
    assert_int_equal(at(5000 + 500 * NS_PER_MS), 10 * NS_PER_MS);
    clock_start(latch, 5000, CLOCK_RATE_MAX);
    assert_int_equal(at(6000), 100000);
}

static void stands_still_at_rate_zero(void **state)
{
    UNUSED(state);
    clock_start(latch, 1000, PPM);
    clock_set_rate(latch, 3000, 0);
    assert_int_equal(at(3000), 2000);
    assert_int_equal(at(3000 + YEAR_NS), 2000);
    assert_int_equal(when(2000), 3000); /* is already */
    assert_true(when(2001) == TIME_NEVER);
    clock_set_rate(latch, 3000 + YEAR_NS, PPM); /* goes on where it stood */
    assert_int_equal(at(3000 + YEAR_NS), 2000);
    assert_int_equal(at(3007 + YEAR_NS), 2007);
}

static void steps_forward_only(void **state)
{
    UNUSED(state);
    clock_start(latch, 1000, 0);
    clock_step_to(latch, 2000, 700);
    assert_int_equal(at(2000), 700);
    clock_step_to(latch, 3000, 300);
    assert_int_equal(at(3000), 700);
    assert_int_equal(face_now().rate_ppm, 0);
}

static void an_older_real_time_does_not_go_back(void **state)
{
    UNUSED(state);
    clock_start(latch, 1000, PPM);
    clock_set_rate(latch, 5000, PPM / 2);
    assert_int_equal(at(4000), 4000); /* read before the change, used after it */
    clock_set_rate(latch, 4000, PPM); /* a writer with an old real time */
    assert_int_equal(at(5000), 4000);
}

static void never_goes_back_over_any_changes(void **state)
{
    static const uint64_t rates[] = { 0, 1, 20000, PPM / 3, PPM, 3 * PPM, CLOCK_RATE_MAX };
    struct rng rng;
    uint64_t real = 12345, last = 0;
    UNUSED(state);
    rng_seed(&rng, 3, 0, 0);
    clock_start(latch, real, PPM);
    for (int i = 0; i < 100000; i++) {
        real += rng_range(&rng, 0, 1 << rng_range(&rng, 0, 24));
        uint64_t before = at(real);
        assert_true(before >= last);
        if (rng_chance(&rng, PPM / 8)) clock_step_to(latch, real, rng_range(&rng, 0, 2 * before));
        else clock_set_rate(latch, real, rates[rng_range(&rng, 0, COUNT(rates) - 1)]);
        last = at(real);
        assert_true(last >= before); /* C1 */
    }
}

static void a_change_of_rate_does_not_jump(void **state)
{
    UNUSED(state);
    clock_start(latch, 0, PPM / 3);
    for (uint64_t real = 1; real < 1000; real++) {
        uint64_t before = at(real);
        clock_set_rate(latch, real, PPM / 3 + real % 2);
        assert_int_equal(at(real), before);
    }
}

static void when_and_at_are_inverse(void **state)
{
    static const uint64_t rates[] = { 1, 20000, PPM / 3, PPM - 1, PPM, 3 * PPM, CLOCK_RATE_MAX };
    struct rng rng;
    UNUSED(state);
    rng_seed(&rng, 4, 0, 0);
    for (int i = 0; i < 100000; i++) {
        struct clock_face face = { rng_range(&rng, 0, YEAR_NS), rng_range(&rng, 0, YEAR_NS),
                                   rates[i % COUNT(rates)] };
        uint64_t cluster = face.base_ns + rng_range(&rng, 0, NS_PER_S << rng_range(&rng, 0, 10));
        uint64_t real = clock_when(&face, cluster);
        assert_true(clock_at(&face, real) >= cluster); /* a timer set for it has run out then ... */
        if (real > face.real_ns)
            assert_true(clock_at(&face, real - 1) < cluster); /* ... not before */
    }
}

static void extremes_do_not_overflow(void **state)
{
    UNUSED(state);
    struct clock_face fast = { 0, 0, CLOCK_RATE_MAX }, slow = { 0, 5, 1 };
    assert_int_equal(clock_at(&fast, YEAR_NS), 100 * YEAR_NS);
    assert_true(clock_when(&slow, TIME_NEVER) == TIME_NEVER);
    assert_true(clock_when(&slow, TIME_NEVER - 1) == TIME_NEVER);
    assert_int_equal(clock_when(&slow, 1), 5 + PPM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_at_zero_and_runs_at_its_rate),
        cmocka_unit_test(stands_still_at_rate_zero),
        cmocka_unit_test(steps_forward_only),
        cmocka_unit_test(an_older_real_time_does_not_go_back),
        cmocka_unit_test(never_goes_back_over_any_changes),
        cmocka_unit_test(a_change_of_rate_does_not_jump),
        cmocka_unit_test(when_and_at_are_inverse),
        cmocka_unit_test(extremes_do_not_overflow),
    };
    return cmocka_run_group_tests_name("shm clock", tests, NULL, NULL);
}
