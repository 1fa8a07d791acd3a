/* tests/fault_link_test.c - the link model keeps F1..F5, and its dice are fair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fault/link.h"

#define SEED 42u
#define MESSAGES 100000u
#define GAP_NS (100 * NS_PER_US) /* between two messages */

/* What became of MESSAGES messages, sent GAP_NS apart. */
struct tally {
    uint32_t delivered, cut, lost, twice, corrupt;
    uint32_t overtakes;         /* first copies that arrive before an earlier message's */
    uint64_t least_ns, most_ns; /* delay of any copy */
    uint64_t random;            /* state of the generator afterwards */
};

static struct tally run(const struct link_rule *rule, uint64_t seed)
{
    struct link_state state;
    struct tally tally = { .least_ns = TIME_NEVER };
    uint64_t newest_ns = 0;
    link_state_init(&state, seed, 1, 2);
    for (uint32_t i = 1; i <= MESSAGES; i++) {
        struct link_fate fate;
        link_decide(&state, rule, MESSAGE_APPEND_REQUEST, i * GAP_NS, &fate);
        tally.delivered += fate.cause == LINK_DELIVERED;
        tally.cut += fate.cause == LINK_CUT;
        tally.lost += fate.cause == LINK_LOST;
        tally.twice += fate.copies == 2;
        tally.corrupt += fate.corrupt;
        assert_int_equal(fate.copies > 0, fate.cause == LINK_DELIVERED);
        for (uint32_t copy = 0; copy < fate.copies; copy++) {
            uint64_t delay_ns = fate.deliver_at_ns[copy] - i * GAP_NS;
            tally.least_ns = MIN_OF(tally.least_ns, delay_ns);
            tally.most_ns = MAX_OF(tally.most_ns, delay_ns);
        }
        if (fate.copies == 2) assert_true(fate.deliver_at_ns[0] <= fate.deliver_at_ns[1]);
        if (fate.copies == 0) continue;
        tally.overtakes += fate.deliver_at_ns[0] < newest_ns;
        newest_ns = MAX_OF(newest_ns, fate.deliver_at_ns[fate.copies - 1]);
    }
    tally.random = state.rng.state;
    return tally;
}

static void faultless_delivers_at_once(void **unused)
{
    struct link_rule rule = { 0 };
    struct link_state fresh;
    link_state_init(&fresh, SEED, 1, 2);
    struct tally tally = run(&rule, SEED);
    assert_true(link_rule_faultless(&rule));
    assert_int_equal(tally.delivered, MESSAGES);
    assert_int_equal(tally.most_ns, 0);
    assert_int_equal(tally.twice + tally.corrupt, 0);
    assert_true(tally.random == fresh.rng.state); /* F1: no draw */
    UNUSED(unused);
}

static void without_reorder_first_in_first_out(void **unused)
{
    struct link_rule rule = { .delay_max_ns = 50 * NS_PER_MS, .dup_ppm = PPM / 2 };
    assert_int_equal(run(&rule, SEED).overtakes, 0); /* F2 */
    rule.reorder_ppm = PPM / 100;                    /* the check can see an overtake */
    assert_in_range(run(&rule, SEED).overtakes, 1, MESSAGES / 20);
    rule.reorder_ppm = PPM;
    assert_in_range(run(&rule, SEED).overtakes, MESSAGES / 2, MESSAGES);
    UNUSED(unused);
}

static void reorder_needs_no_delay(void **unused)
{
    struct link_rule rule = { .reorder_ppm = PPM / 2 };
    struct tally tally = run(&rule, SEED);
    assert_in_range(tally.overtakes, MESSAGES / 10, MESSAGES);
    assert_in_range(tally.most_ns, LINK_REORDER_NS / 2, LINK_REORDER_NS);
    assert_false(link_rule_faultless(&rule));
    UNUSED(unused);
}

static void same_seed_same_fates(void **unused)
{
    struct link_rule rule = { .delay_min_ns = 5,
                              .delay_max_ns = 70000000,
                              .loss_ppm = 100000,
                              .dup_ppm = 200000,
                              .reorder_ppm = 300000,
                              .corrupt_ppm = 1000 };
    struct tally a = run(&rule, SEED), b = run(&rule, SEED), c = run(&rule, SEED + 1);
    assert_memory_equal(&a, &b, sizeof(a)); /* F3 */
    assert_memory_not_equal(&a, &c, sizeof(a));
    UNUSED(unused);
}

static void links_have_generators_of_their_own(void **unused)
{
    struct link_state there, back, other_seed;
    link_state_init(&there, SEED, 1, 2);
    link_state_init(&back, SEED, 2, 1);
    link_state_init(&other_seed, SEED + 1, 1, 2);
    assert_true(there.rng.state != back.rng.state);
    assert_true(there.rng.state != other_seed.rng.state);
    UNUSED(unused);
}

static void delays_reach_both_bounds(void **unused)
{
    struct link_rule rule = { .delay_min_ns = 3, .delay_max_ns = 7, .reorder_ppm = PPM };
    struct tally tally = run(&rule, SEED);
    assert_int_equal(tally.least_ns, 3);
    assert_int_equal(tally.most_ns, 7);
    rule.reorder_ppm = 0;
    tally = run(&rule, SEED);
    assert_int_equal(tally.least_ns, 3);
    assert_int_equal(tally.most_ns, 7);
    rule.delay_min_ns = 7;
    assert_int_equal(run(&rule, SEED).least_ns, 7);
    UNUSED(unused);
}

/* Each rate by itself: within five standard deviations of what it says; one is at most 158. */
static void rates_are_what_they_say(void **unused)
{
    static const uint32_t rates[] = { 0, 1000, 50000, 500000, 999000, PPM };
    for (size_t i = 0; i < COUNT(rates); i++) {
        uint32_t wanted = (uint32_t)((uint64_t)rates[i] * MESSAGES / PPM), slack = 5 * 158;
        uint32_t low = wanted > slack ? wanted - slack : 0, high = wanted + slack;
        if (rates[i] == 0 || rates[i] == PPM) low = high = wanted;
        struct tally loss = run(&(struct link_rule){ .loss_ppm = rates[i] }, SEED + i);
        struct tally dup = run(&(struct link_rule){ .dup_ppm = rates[i] }, SEED + i);
        struct tally corrupt = run(&(struct link_rule){ .corrupt_ppm = rates[i] }, SEED + i);
        assert_in_range(loss.lost, low, high);
        assert_int_equal(loss.lost + loss.delivered, MESSAGES);
        assert_in_range(dup.twice, low, high);
        assert_in_range(corrupt.corrupt, low, high);
    }
    UNUSED(unused);
}

static void delays_are_uniform(void **unused)
{
    enum { BUCKETS = 10 };
    struct link_rule rule = { .delay_min_ns = 1000, .delay_max_ns = 1999, .reorder_ppm = PPM };
    struct link_state state;
    uint32_t buckets[BUCKETS] = { 0 };
    link_state_init(&state, SEED, 3, 4);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct link_fate fate;
        link_decide(&state, &rule, MESSAGE_APPEND_REQUEST, 0, &fate);
        buckets[(fate.deliver_at_ns[0] - 1000) / (1000 / BUCKETS)]++;
    }
    for (size_t i = 0; i < BUCKETS; i++) /* five standard deviations are 475 */
        assert_in_range(buckets[i], MESSAGES / BUCKETS - 475, MESSAGES / BUCKETS + 475);
    UNUSED(unused);
}

static void cut_beats_all(void **unused)
{
    struct link_rule rule = { .cut = 1, .dup_ppm = PPM, .corrupt_ppm = PPM, .loss_ppm = PPM };
    struct tally tally = run(&rule, SEED);
    assert_int_equal(tally.cut, MESSAGES); /* F5 */
    assert_int_equal(tally.lost + tally.twice + tally.corrupt, 0);
    rule.cut = 0;
    tally = run(&rule, SEED);
    assert_int_equal(tally.lost, MESSAGES);
    assert_int_equal(tally.twice + tally.corrupt, 0);
    UNUSED(unused);
}

/* F4: after a heal a message does not queue behind what the old rule holds back. */
static void heal_is_felt_at_once(void **unused)
{
    struct link_state state;
    struct link_fate fate;
    link_state_init(&state, SEED, 1, 2);
    link_decide(&state, &(struct link_rule){ .delay_min_ns = 1000, .delay_max_ns = 1000 },
                MESSAGE_APPEND_REQUEST, 5, &fate);
    assert_int_equal(fate.deliver_at_ns[0], 1005);
    link_decide(&state, &(struct link_rule){ .delay_max_ns = 10 }, MESSAGE_APPEND_REQUEST, 6,
                &fate);
    assert_in_range(fate.deliver_at_ns[0], 6, 16);
    link_decide(&state, &(struct link_rule){ 0 }, MESSAGE_APPEND_REQUEST, 7, &fate);
    assert_int_equal(fate.deliver_at_ns[0], 7);
    UNUSED(unused);
}

/* Fates of MESSAGES messages of one kind, far apart, on the course's network. */
struct course {
    uint32_t lost, prompt, held;     /* at once; 200 ms or more late */
    uint32_t by_ms[COURSE_HOLD_MS];  /* late by less, whole milliseconds */
    uint32_t held_early, held_later; /* up to the median and the 90th percentile of the course */
    uint64_t most_ns;
};

static struct course attend(enum link_course network, uint32_t kind)
{
    struct link_rule rule = { .course = network };
    struct link_state state;
    struct course course = { 0 };
    link_state_init(&state, SEED, 1, 2);
    for (uint64_t now_ns = 1; now_ns <= MESSAGES * 3ull * NS_PER_S; now_ns += 3 * NS_PER_S) {
        struct link_fate fate;
        link_decide(&state, &rule, kind, now_ns, &fate);
        course.lost += fate.cause == LINK_LOST;
        if (fate.copies == 0) continue;
        uint64_t late_ns = fate.deliver_at_ns[0] - now_ns, late_ms = late_ns / NS_PER_MS;
        assert_int_equal(late_ns % NS_PER_MS, 0);
        assert_true(late_ns <= link_longest_ns(&rule)); /* F4 */
        course.most_ns = MAX_OF(course.most_ns, late_ns);
        course.prompt += late_ns == 0;
        course.held += late_ms >= COURSE_HOLD_MS;
        course.held_early += late_ms >= COURSE_HOLD_MS && late_ms <= 573;
        course.held_later += late_ms >= COURSE_HOLD_MS && late_ms <= 1376;
        if (late_ms < COURSE_HOLD_MS) course.by_ms[late_ms]++;
    }
    return course;
}

/* The numbers are those of the course's tester. */
static void the_course_has_its_network(void **unused)
{
    struct course request = attend(COURSE_LONG, MESSAGE_APPEND_REQUEST);
    assert_in_range(request.lost, MESSAGES * 97 / 1000, MESSAGES * 103 / 1000);
    assert_int_equal(request.most_ns, COURSE_REQUEST_MS * NS_PER_MS);
    for (uint32_t ms = 0; ms <= COURSE_REQUEST_MS; ms++) /* 3333 each */
        assert_in_range(request.by_ms[ms], 3000, 3700);
    struct course reply = attend(COURSE_UNRELIABLE, MESSAGE_VOTE_REPLY);
    assert_in_range(reply.lost, MESSAGES * 97 / 1000, MESSAGES * 103 / 1000);
    assert_int_equal(reply.prompt + reply.lost, MESSAGES);
    reply = attend(COURSE_LONG, MESSAGE_APPEND_REPLY);
    assert_in_range(reply.lost, MESSAGES * 97 / 1000, MESSAGES * 103 / 1000);
    assert_int_equal(reply.prompt + reply.held + reply.lost, MESSAGES);
    assert_in_range(reply.held, MESSAGES * 59 / 100, MESSAGES * 61 / 100);
    assert_in_range(reply.held_early, reply.held * 49 / 100, reply.held * 51 / 100);
    assert_in_range(reply.held_later, reply.held * 89 / 100, reply.held * 91 / 100);
    assert_in_range(reply.most_ns, 2100 * NS_PER_MS, 2199 * NS_PER_MS);
    struct tally tally = run(&(struct link_rule){ .course = COURSE_UNRELIABLE }, SEED);
    assert_in_range(tally.overtakes, MESSAGES / 2, MESSAGES);
    assert_false(link_rule_faultless(&(struct link_rule){ .course = COURSE_UNRELIABLE }));
    UNUSED(unused);
}

/* Rules come out of shared memory: any bytes give some fate, never an arrival in the past. */
static void hostile_rules_are_survived(void **unused)
{
    struct rng rng;
    struct link_state state;
    rng_seed(&rng, SEED, 0, 0);
    link_state_init(&state, SEED, 1, 2);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct link_rule rule = { .delay_min_ns = rng_next(&rng),
                                  .delay_max_ns = rng_next(&rng),
                                  .loss_ppm = (uint32_t)rng_next(&rng),
                                  .dup_ppm = (uint32_t)rng_next(&rng),
                                  .reorder_ppm = (uint32_t)rng_next(&rng) % PPM };
        struct link_fate fate;
        uint64_t now_ns = rng_next(&rng);
        rule.course = (uint32_t)rng_next(&rng);
        if (i % 2) rule.loss_ppm = 0;
        if (i % 3 == 0) rule.delay_min_ns = rule.delay_max_ns = UINT64_MAX;
        link_decide(&state, &rule, (uint32_t)rng_next(&rng) % 32, now_ns, &fate);
        for (uint32_t copy = 0; copy < fate.copies; copy++)
            assert_true(fate.deliver_at_ns[copy] >= now_ns);
    }
    UNUSED(unused);
}

static void valid_rules_are_told_from_others(void **unused)
{
    assert_true(link_rule_valid(&(struct link_rule){ 0 }));
    assert_true(
        link_rule_valid(&(struct link_rule){ .cut = 1, .loss_ppm = PPM, .delay_max_ns = 1 }));
    assert_false(link_rule_valid(&(struct link_rule){ .cut = 2 }));
    assert_false(link_rule_valid(&(struct link_rule){ .loss_ppm = PPM + 1 }));
    assert_false(link_rule_valid(&(struct link_rule){ .dup_ppm = PPM + 1 }));
    assert_false(link_rule_valid(&(struct link_rule){ .reorder_ppm = PPM + 1 }));
    assert_false(link_rule_valid(&(struct link_rule){ .corrupt_ppm = PPM + 1 }));
    assert_false(link_rule_valid(&(struct link_rule){ .delay_min_ns = 1 }));
    assert_true(link_rule_valid(&(struct link_rule){ .course = COURSE_LONG }));
    assert_false(link_rule_valid(&(struct link_rule){ .course = COURSE_COUNT }));
    UNUSED(unused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faultless_delivers_at_once),
        cmocka_unit_test(without_reorder_first_in_first_out),
        cmocka_unit_test(reorder_needs_no_delay),
        cmocka_unit_test(same_seed_same_fates),
        cmocka_unit_test(links_have_generators_of_their_own),
        cmocka_unit_test(delays_reach_both_bounds),
        cmocka_unit_test(rates_are_what_they_say),
        cmocka_unit_test(delays_are_uniform),
        cmocka_unit_test(cut_beats_all),
        cmocka_unit_test(heal_is_felt_at_once),
        cmocka_unit_test(the_course_has_its_network),
        cmocka_unit_test(hostile_rules_are_survived),
        cmocka_unit_test(valid_rules_are_told_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
