/* tests/core_test.c - the core's log against a model of it, the election timer, and that a violated
 * invariant stops the program. Rules: tests/rules_test.c; conversations: tests/core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "node/core/raft.h"

#define RUNS 64

/* ---- the log against an array of terms ---- */

#define MODEL_MAX 200

static void log_equals_model(const struct log *log, const uint64_t *terms, uint64_t count)
{
    assert_int_equal(log->last_index, count);
    assert_int_equal(log_last(log).index, count);
    assert_int_equal(log_last(log).term, count == 0 ? 0 : terms[count - 1]);
    assert_int_equal(log_term(log, 0), 0);
    assert_int_equal(log_term(log, count + 1), 0);
    uint64_t runs = 0, first = 0;
    for (uint64_t index = 1; index <= count; index++) {
        assert_int_equal(log_term(log, index), terms[index - 1]);
        if (index == 1 || terms[index - 2] != terms[index - 1]) {
            first = index;
            runs++;
        }
        assert_int_equal(log_first_of_run(log, index), first);
    }
    assert_int_equal(log->count, runs); /* G1, and no run is empty */
    uint64_t newest = count == 0 ? 0 : terms[count - 1];
    for (uint64_t term = 0; term <= newest + 1; term++) {
        uint64_t last = 0;
        for (uint64_t index = 1; index <= count; index++)
            if (terms[index - 1] == term) last = index;
        assert_int_equal(log_last_of_term(log, term), last);
    }
}

static void log_is_its_model(void **state)
{
    UNUSED(state);
    static struct term_run memory[2][MODEL_MAX];
    uint64_t terms[MODEL_MAX], count = 0, longest = 0;
    struct rng rng;
    struct log log;
    rng_seed(&rng, 1, 2, 3);
    log_init(&log, memory[0], 1);
    for (uint32_t step = 0, half = 0; step < 4000; step++) {
        if (rng_chance(&rng, 60000)) {
            uint64_t from = rng_range(&rng, count > 20 ? count - 20 : 1, count + 1);
            if (rng_chance(&rng, 20000)) from = 1;
            log_truncate(&log, from);
            count = from - 1;
        } else if (count < MODEL_MAX) {
            uint64_t term = count == 0 ? 1 : terms[count - 1];
            if (rng_chance(&rng, 300000)) term += rng_range(&rng, 1, 3);
            if (log_room(&log) == 0) { /* the host gives larger memory */
                half = 1 - half;
                log_give(&log, memory[half], MIN_OF(MODEL_MAX, 2 * log.capacity));
            }
            log_append(&log, term);
            terms[count++] = term;
        }
        longest = MAX_OF(longest, count);
        log_equals_model(&log, terms, count);
    }
    assert_true(longest > MODEL_MAX / 2);
}

/* ---- the election timer ---- */

static struct update update; /* large */
static struct term_run runs[2][RUNS];

static void start(struct raft *raft, uint32_t self, uint32_t peers, struct log log, uint64_t random)
{
    struct raft_config config = { .self = self,
                                  .peers = peers,
                                  .election_min_ns = 150 * NS_PER_MS,
                                  .election_max_ns = 300 * NS_PER_MS,
                                  .heartbeat_ns = 50 * NS_PER_MS,
                                  .window = 8 };
    raft_init(raft, &config, log_last(&log).term, PEER_NONE, &log, 0, random);
    update_reset(&update);
}

static struct log empty_log(struct term_run memory[RUNS])
{
    struct log log;
    log_init(&log, memory, RUNS);
    return log;
}

/* Uniform within min..max, drawn anew at each timeout [R §5.2]. */
static void timeouts_are_drawn_anew(void **state)
{
    UNUSED(state);
    struct raft raft;
    struct rng rng;
    rng_seed(&rng, 4, 0, 0);
    start(&raft, 1, 3, empty_log(runs[0]), rng_next(&rng));
    const uint64_t low = 150 * NS_PER_MS, high = 300 * NS_PER_MS, draws = 15000;
    uint64_t tenths[15] = { 0 }, before = 0, repeated = 0;
    for (uint64_t i = 0; i < draws; i++) {
        assert_int_equal(raft_deadline(&raft), raft.election_deadline_ns);
        uint64_t timeout = raft.election_deadline_ns - raft.timer_started_ns;
        assert_true(timeout >= low);
        assert_true(timeout <= high);
        if (timeout == before) repeated++;
        before = timeout;
        tenths[MIN_OF((timeout - low) / (10 * NS_PER_MS), 14)]++;
        struct event early = { .kind = EVENT_TICK, .now_ns = raft.election_deadline_ns - 1 };
        raft_step(&raft, &early, &update); /* not a nanosecond too early */
        assert_int_equal(raft.current_term, i);
        struct event due = { .kind = EVENT_TICK,
                             .now_ns = raft.election_deadline_ns,
                             .random = rng_next(&rng) };
        raft_step(&raft, &due, &update);
        assert_int_equal(raft.current_term, i + 1);
        update_reset(&update);
    }
    assert_true(repeated < 3);
    for (size_t i = 0; i < COUNT(tenths); i++) { /* 1000 each; six standard deviations are 183 */
        assert_true(tenths[i] > 800);
        assert_true(tenths[i] < 1200);
    }
}

/* Two peers with one history draw different timeouts, now and later; an event's bits are used. */
static void timeouts_are_not_shared(void **state)
{
    UNUSED(state);
    struct raft one, two;
    start(&one, 1, 3, empty_log(runs[0]), 1);
    start(&two, 2, 3, empty_log(runs[1]), 2);
    assert_true(one.election_deadline_ns != two.election_deadline_ns);
    struct event same = { .kind = EVENT_TIMEOUT_NOW, .random = 7 };
    raft_step(&one, &same, &update);
    raft_step(&two, &same, &update);
    assert_true(one.election_deadline_ns != two.election_deadline_ns);
    struct raft three = one;
    struct event other = { .kind = EVENT_TIMEOUT_NOW, .random = 8 };
    raft_step(&one, &same, &update);
    raft_step(&three, &other, &update);
    assert_true(one.election_deadline_ns != three.election_deadline_ns);
}

static void a_fixed_timeout_is_possible(void **state)
{
    UNUSED(state);
    struct raft raft;
    struct log log = empty_log(runs[0]);
    struct raft_config config = {
        .self = 1, .peers = 3, .election_min_ns = 5, .election_max_ns = 5, .window = 1
    };
    raft_init(&raft, &config, 0, PEER_NONE, &log, 100, 1);
    assert_int_equal(raft_deadline(&raft), 105);
}

/* ---- invariants: once violated, the program stops ---- */

static void turn_event(struct raft *raft, enum event_kind kind, uint64_t index)
{
    struct event event = { .kind = kind, .now_ns = raft->now_ns, .index = index };
    raft_step(raft, &event, &update);
}

static void give_vote(struct raft *raft, uint32_t from)
{
    struct message vote = { .kind = MESSAGE_VOTE_REPLY,
                            .from = (uint8_t)from,
                            .to = 1,
                            .term = raft->current_term,
                            .granted = true };
    struct event event = { .kind = EVENT_MESSAGE, .now_ns = raft->now_ns, .message = &vote };
    raft_step(raft, &event, &update);
}

/* Peer 1 of 3 as it really becomes one of the three, with two entries and nothing committed. */
static void make(struct raft *raft, enum role role)
{
    struct log log = empty_log(runs[0]);
    log_append(&log, 1);
    log_append(&log, 3);
    start(raft, 1, 3, log, 1);
    if (role == FOLLOWER) return;
    turn_event(raft, EVENT_TIMEOUT_NOW, 0);
    turn_event(raft, EVENT_STORED, 2);
    if (role == LEADER) give_vote(raft, 2);
    assert_int_equal(raft->role, role);
}

static const struct spoil_row {
    const char *name;
    enum role role;
    size_t offset; /* of the 64-bit field that is spoiled; the narrow ones are below */
    uint64_t value;
} spoil_rows[] = {
    { "I1: applied more than is committed", FOLLOWER, offsetof(struct raft, last_applied), 1 },
    { "I1: committed more than the log has", FOLLOWER, offsetof(struct raft, commit_index), 3 },
    { "I2: durable more than the log has", FOLLOWER, offsetof(struct raft, durable_index), 3 },
    { "I3: an entry of a later term", FOLLOWER, offsetof(struct raft, current_term), 2 },
    { "I5: next_index not behind match_index", LEADER,
      offsetof(struct raft, followers[2].match_index), 3 },
    { "I5: next_index past the log's end", LEADER, offsetof(struct raft, followers[3].next_index),
      4 },
};
static const struct spoil_row spoil_narrow_rows[] = {
    { "I4: a leader with a vote for another", LEADER, offsetof(struct raft, voted_for), 2 },
    { "I4: a candidate with no vote", CANDIDATE, offsetof(struct raft, voted_for), PEER_NONE },
    { "I6: a leader that follows another", LEADER, offsetof(struct raft, leader), 2 },
    { "I6: a leader that knows none", LEADER, offsetof(struct raft, leader), PEER_NONE },
    { "I6: a candidate with a leader", CANDIDATE, offsetof(struct raft, leader), 3 },
};

/* True when a child that does it is stopped by a CHECK. */
static bool stops(void (*act)(void *what), void *what)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY); /* the CHECK says where it failed */
        if (null >= 0) dup2(null, STDERR_FILENO);
        act(what);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGABRT;
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void check_it(void *raft)
{
    raft_check(raft);
}

static void step_it(void *raft)
{
    turn_event(raft, EVENT_FLUSH, 0);
}

static void spoiled_state_stops(const struct spoil_row *row, size_t size)
{
    struct raft raft;
    make(&raft, row->role);
    assert_false(stops(check_it, &raft));
    uint32_t narrow = (uint32_t)row->value;
    memcpy((char *)&raft + row->offset,
           size == sizeof(narrow) ? (const void *)&narrow : &row->value, size);
    assert_true(stops(check_it, &raft));
    assert_true(stops(step_it, &raft)); /* on entry of each step */
}

static void wide_field_spoiled(void **state)
{
    spoiled_state_stops(*state, sizeof(uint64_t));
}

static void narrow_field_spoiled(void **state)
{
    spoiled_state_stops(*state, sizeof(uint32_t));
}

static void turn_time_back(void *raft)
{
    struct event event = { .kind = EVENT_TICK, .now_ns = ((struct raft *)raft)->now_ns - 1 };
    raft_step(raft, &event, &update);
}

static void store_too_much(void *raft)
{
    turn_event(raft, EVENT_STORED, 3);
}

static void apply_backwards(void *raft)
{
    ((struct raft *)raft)->commit_index = ((struct raft *)raft)->last_applied = 2;
    turn_event(raft, EVENT_APPLIED, 1);
}

static void append_earlier_term(void *raft)
{
    log_append(&((struct raft *)raft)->log, 2);
}

static void append_without_room(void *raft)
{
    for (uint64_t term = 4; term < 4 + RUNS; term++) log_append(&((struct raft *)raft)->log, term);
}

static void truncate_past_end(void *raft)
{
    log_truncate(&((struct raft *)raft)->log, 4);
}

static const struct misuse_row {
    const char *name;
    void (*act)(void *raft);
} misuse_rows[] = {
    { "stops: time goes back", turn_time_back },
    { "stops: more is stored than there is", store_too_much },
    { "stops: applied twice", apply_backwards },
    { "stops: a term smaller than the last entry's", append_earlier_term },
    { "stops: no room for a run", append_without_room },
    { "stops: truncation past the end", truncate_past_end },
};

static void misuse_stops(void **state)
{
    const struct misuse_row *row = *state;
    struct raft raft;
    make(&raft, FOLLOWER);
    raft.now_ns = 10;
    assert_true(stops(row->act, &raft));
}

/* Fields that mean nothing must stop nobody: the host checks addresses and entries, no more. */
static void nonsense_stops_nobody(void **state)
{
    UNUSED(state);
    static const uint8_t kinds[] = { MESSAGE_VOTE_REQUEST, MESSAGE_VOTE_REPLY, MESSAGE_APPEND_REPLY,
                                     MESSAGE_APPEND_REQUEST, MESSAGE_TIMEOUT_NOW };
    static const uint64_t numbers[] = { 0, 1, 2, 3, 4, 5, 6, 7, 1000, UINT64_MAX - 1, UINT64_MAX };
    struct rng rng;
    rng_seed(&rng, 9, 9, 9);
    uint64_t leaders = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        struct raft raft;
        make(&raft, (enum role)(round % ROLE_COUNT));
        if (raft.role == LEADER) turn_event(&raft, EVENT_PROPOSE, 0);
        for (uint32_t i = 0; i < 8; i++) {
            uint64_t any[6];
            for (size_t k = 0; k < COUNT(any); k++)
                any[k] = numbers[rng_range(&rng, 0, COUNT(numbers) - 1)];
            struct message message = {
                .kind = kinds[rng_range(&rng, 0, COUNT(kinds) - 1)],
                .from = (uint8_t)rng_range(&rng, 2, 3),
                .to = 1,
                .granted = rng_chance(&rng, PPM / 2),
                .term = MIN_OF(raft.current_term + rng_range(&rng, 0, 1), any[5]),
                .prev = { any[0], any[1] },
                .commit_index = any[2],
                .match_index = any[3],
                .conflict = { any[4], any[2] },
            };
            struct event event = { .kind = EVENT_MESSAGE,
                                   .now_ns = raft.now_ns,
                                   .message = &message };
            raft_step(&raft, &event, &update); /* raft_check is in it */
            turn_event(&raft, EVENT_FLUSH, 0);
            update_reset(&update);
            if (raft.role == LEADER) leaders++;
        }
    }
    assert_true(leaders > 1000); /* most of what a leader gets did not depose it */
}

/* ---- all of them ---- */

#define ROWS(rows, holds)                                                                          \
    for (size_t i = 0; i < COUNT(rows); i++) tests[count++] = (struct CMUnitTest)                  \
        {                                                                                          \
            .name = (rows)[i].name, .test_func = (holds),                                          \
            .initial_state = (void *)(uintptr_t) & (rows)[i]                                       \
        }
#define ONE(holds) tests[count++] = (struct CMUnitTest)cmocka_unit_test(holds)

int main(void)
{
    static struct CMUnitTest tests[50];
    size_t count = 0;
    ONE(log_is_its_model);
    ONE(timeouts_are_drawn_anew);
    ONE(timeouts_are_not_shared);
    ONE(a_fixed_timeout_is_possible);
    ROWS(spoil_rows, wide_field_spoiled);
    ROWS(spoil_narrow_rows, narrow_field_spoiled);
    ROWS(misuse_rows, misuse_stops);
    ONE(nonsense_stops_nobody);
    CHECK(count <= COUNT(tests));
    return _cmocka_run_group_tests("core", tests, count, NULL, NULL);
}
