/* tests/safety_test.c - each invariant over notes: what keeps it, what breaks it, and that the
 * check is cheap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/safety.h"

#include <stdio.h>
#include <string.h>

/* The n-th note of a row comes at time n, unless it says "same turn as the note before". */
#define NOTE(self_, kind_, ...)                                                                    \
    {                                                                                              \
        .self = self_, .kind = NOTE_##kind_, .term = __VA_ARGS__                                   \
    }
#define SAME_TURN .spare = 1
#define NOTES_MAX 10

static const struct safety_row {
    const char *name;
    struct note notes[NOTES_MAX];
    const char *invariant; /* that the last note breaks; NULL: none does */
    const char *text;
} rows[] = {
    { "ES: a leader in each term",
      { NOTE(1, BECAME_LEADER, 5), NOTE(2, BECAME_LEADER, 6), NOTE(1, BECAME_LEADER, 7) },
      NULL,
      NULL },
    { "ES: two leaders in one term",
      { NOTE(1, BECAME_LEADER, 5), NOTE(2, BECAME_LEADER, 5) },
      "ES",
      "peer 1 and peer 2 both became leader of term 5" },
    { "ES: the term is long over",
      { NOTE(1, BECAME_LEADER, 5), NOTE(2, BECAME_LEADER, 6), NOTE(2, KILLED, 6),
        NOTE(3, BECAME_LEADER, 5) },
      "ES",
      "peer 1 and peer 3 both became leader of term 5" },
    { "V1: a vote in each term",
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(1, VOTE_GRANTED, 6, .other = 3),
        NOTE(1, BECAME_CANDIDATE, 7) },
      NULL,
      NULL },
    { "V1: the same vote again",
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(1, VOTE_GRANTED, 5, .other = 2) },
      NULL,
      NULL },
    { "V1: peers vote differently",
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(3, VOTE_GRANTED, 5, .other = 4) },
      NULL,
      NULL },
    { "V1: two votes",
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(1, VOTE_GRANTED, 5, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 5" },
    { "V1: a candidate votes for another",
      { NOTE(1, BECAME_CANDIDATE, 5), NOTE(1, VOTE_GRANTED, 5, .other = 3) },
      "V1",
      "peer 1 voted for 1 and for 3 in term 5" },
    { "V1: it forgot its vote",
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(1, STARTED, 5),
        NOTE(1, VOTE_GRANTED, 5, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 5" },
    { "TM: terms grow",
      { NOTE(1, STARTED, 0), NOTE(1, TERM_SEEN, 4), NOTE(1, STARTED, 4), NOTE(1, TERM_SEEN, 9) },
      NULL,
      NULL },
    { "TM: each peer has its own", { NOTE(1, TERM_SEEN, 4), NOTE(2, TERM_SEEN, 3) }, NULL, NULL },
    { "TM: other notes have none",
      { NOTE(1, TERM_SEEN, 4), NOTE(1, DROPPED_LOSS, 0, .other = 2) },
      NULL,
      NULL },
    { "TM: a term goes back",
      { NOTE(1, TERM_SEEN, 4), NOTE(1, BECAME_FOLLOWER, 3) },
      "TM",
      "peer 1 was in term 4 and is in term 3" },
    { "TM: a term is forgotten",
      { NOTE(1, TERM_SEEN, 4), NOTE(1, STARTED, 3) },
      "TM",
      "peer 1 was in term 4 and is in term 3 after a restart" },
    { "TM: a term that the disk refused may be forgotten",
      { NOTE(1, TERM_SEEN, 4), NOTE(1, TERM_SEEN, 7), NOTE(1, DISK_FAILED, 7, SAME_TURN),
        NOTE(1, STARTED, 4) },
      NULL,
      NULL },
    { "V1: so may a vote",
      { NOTE(1, TERM_SEEN, 4), NOTE(1, TERM_SEEN, 7),
        NOTE(1, VOTE_GRANTED, 7, .other = 2, SAME_TURN), NOTE(1, DISK_FAILED, 7, SAME_TURN),
        NOTE(1, STARTED, 4), NOTE(1, VOTE_GRANTED, 7, .other = 3) },
      NULL,
      NULL },
    { "V1: not one of an earlier turn",
      { NOTE(1, VOTE_GRANTED, 7, .other = 2), NOTE(1, APPENDED, 7),
        NOTE(1, DISK_FAILED, 7, SAME_TURN), NOTE(1, STARTED, 7),
        NOTE(1, VOTE_GRANTED, 7, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 7" },
    { "V1: nor one that the disk took in the end",
      { NOTE(1, VOTE_GRANTED, 7, .other = 2), NOTE(1, DISK_FAILED, 7, SAME_TURN),
        NOTE(1, DISK_RESUMED, 7), NOTE(1, STARTED, 7), NOTE(1, VOTE_GRANTED, 7, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 7" },
    { "LA: a follower deletes",
      { NOTE(1, BECAME_LEADER, 5), NOTE(2, TRUNCATED, 5, .a = 3, .b = 4, .other = 1) },
      NULL,
      NULL },
    { "LA: a former leader deletes",
      { NOTE(1, BECAME_LEADER, 5), NOTE(1, TRUNCATED, 6, .a = 3, .b = 4) },
      NULL,
      NULL },
    { "LA: a leader deletes",
      { NOTE(1, BECAME_LEADER, 5), NOTE(1, TRUNCATED, 5, .a = 3, .b = 4) },
      "LA",
      "peer 1 leads term 5 and deletes 3..4 of its log" },
    { "CM: commits go on",
      { NOTE(1, COMMITTED, 5, .a = 3), NOTE(1, COMMIT_LEARNED, 6, .a = 3),
        NOTE(1, COMMITTED, 7, .a = 9), NOTE(1, TRUNCATED, 7, .a = 10, .b = 12) },
      NULL,
      NULL },
    { "CM: a new life learns again",
      { NOTE(1, COMMITTED, 5, .a = 3), NOTE(1, STARTED, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 1) },
      NULL,
      NULL },
    { "CM: the commit index goes back",
      { NOTE(1, COMMITTED, 5, .a = 3), NOTE(1, COMMIT_LEARNED, 6, .a = 2) },
      "CM",
      "the commit index of peer 1 goes back from 3 to 2" },
    { "CM: a committed entry is deleted",
      { NOTE(1, COMMIT_LEARNED, 5, .a = 3), NOTE(1, TRUNCATED, 6, .a = 3, .b = 4) },
      "CM",
      "peer 1 deletes 3..4 and knew that 3 is committed" },
    { "CM: even in another life",
      { NOTE(1, COMMIT_LEARNED, 5, .a = 3), NOTE(1, STARTED, 5),
        NOTE(1, TRUNCATED, 6, .a = 2, .b = 4) },
      "CM",
      "peer 1 deletes 2..4 and knew that 3 is committed" },
    { "SM: same index, same state",
      { NOTE(1, APPLIED, 5, .a = 3, .b = 7), NOTE(2, APPLIED, 5, .a = 3, .b = 7),
        NOTE(2, APPLIED, 5, .a = 4, .b = 8) },
      NULL,
      NULL },
    { "SM: different indexes do not compare",
      { NOTE(1, APPLIED, 5, .a = 3, .b = 7), NOTE(2, APPLIED, 5, .a = 4, .b = 8) },
      NULL,
      NULL },
    { "SM: same index, other state",
      { NOTE(1, APPLIED, 5, .a = 3, .b = 7), NOTE(2, APPLIED, 5, .a = 3, .b = 8) },
      "SM",
      "peer 1 and peer 2 applied index 3 and differ: state 00000007 and 00000008" },
    { "SM: a slow peer is waited for",
      { NOTE(3, APPLIED, 5, .a = 1, .b = 5), NOTE(1, APPLIED, 5, .a = 3, .b = 7),
        NOTE(2, APPLIED, 5, .a = 3, .b = 7), NOTE(1, APPLIED, 5, .a = 4, .b = 9),
        NOTE(2, APPLIED, 5, .a = 4, .b = 9), NOTE(3, APPLIED, 5, .a = 3, .b = 6) },
      "SM",
      "peer 1 and peer 3 applied index 3 and differ: state 00000007 and 00000006" },
    { "SM: a restarted peer applies again and differs",
      { NOTE(1, APPLIED, 5, .a = 3, .b = 7), NOTE(2, APPLIED, 5, .a = 3, .b = 7),
        NOTE(2, STARTED, 5), NOTE(1, APPLIED, 5, .a = 4, .b = 9),
        NOTE(2, APPLIED, 5, .a = 4, .b = 1) },
      "SM",
      "peer 1 and peer 2 applied index 4 and differ: state 00000009 and 00000001" },
    { "the supervisor says nothing about Raft",
      { NOTE(0, BECAME_LEADER, 5), NOTE(1, BECAME_LEADER, 5) },
      NULL,
      NULL },
};

static void row_holds(void **state)
{
    const struct safety_row *row = *state;
    struct safety *safety = safety_new();
    size_t count = NOTES_MAX;
    uint64_t time_ns = 0;
    while (row->notes[count - 1].kind == 0 && row->notes[count - 1].self == 0) count--;
    for (size_t i = 0; i < count; i++) {
        struct violation violation;
        struct note note = row->notes[i];
        bool last = i + 1 == count && row->invariant != NULL;
        note.time_ns = time_ns += note.spare == 0;
        assert_int_equal(safety_note(safety, &note, &violation), last);
        if (!last) continue;
        assert_string_equal(violation.invariant, row->invariant);
        assert_string_equal(violation.text, row->text);
        assert_memory_equal(&violation.second, &note, sizeof(note));
        assert_true(violation.first.time_ns < note.time_ns);
        violation.second = note;
        /* Told once. A leader or a vote too many stays one. */
        if (strcmp(row->invariant, "TM") == 0) assert_false(safety_note(safety, &note, &violation));
    }
    safety_free(safety);
}

/* What five peers say in a cluster that works, where they apply in jumps of different lengths. */
static struct note healthy_note(struct rng *rng, uint64_t applied[6], uint64_t time_ns)
{
    uint8_t self = (uint8_t)rng_range(rng, 1, 5);
    struct note note = {
        .time_ns = time_ns, .self = self, .term = 1 + time_ns / 1000, .kind = NOTE_APPLIED
    };
    if (rng_chance(rng, 100)) {
        note.kind = NOTE_STARTED;
        applied[self] = 0;
        return note;
    }
    applied[self] =
        MAX_OF(applied[self], time_ns > 3000 ? time_ns - 3000 : 0) + rng_range(rng, 1, 3);
    note.a = applied[self];
    note.b = note.a * 0x9e3779b97f4a7c15ull;
    return note;
}

/* (Y1) A million notes, one peer dead since the beginning: quick, and bounded in memory. */
static void a_long_run_stays_cheap(void **state)
{
    UNUSED(state);
    struct safety *safety = safety_new();
    struct violation violation;
    struct rng rng;
    uint64_t applied[6] = { 0 };
    rng_seed(&rng, 4, 5, 6);
    struct note dead = {
        .self = 6, .kind = NOTE_APPLIED, .term = 1, .a = 1, .b = 0x9e3779b97f4a7c15ull
    };
    assert_false(safety_note(safety, &dead, &violation));
    uint64_t begin_ns = real_now_ns();
    for (uint64_t i = 1; i <= 1000000; i++) {
        struct note note = healthy_note(&rng, applied, i);
        assert_false(safety_note(safety, &note, &violation));
    }
    printf("1000000 notes in %.0f ms\n", (double)(real_now_ns() - begin_ns) / (double)NS_PER_MS);
    struct note wrong = { .self = 1, .kind = NOTE_APPLIED, .term = 1001, .a = applied[2], .b = 1 };
    assert_true(safety_note(safety, &wrong, &violation));
    assert_string_equal(violation.invariant, "SM");
    safety_free(safety);
}

/* Whatever a broken trail may hold, the checker only answers. */
static void any_notes_do_no_harm(void **state)
{
    UNUSED(state);
    struct safety *safety = safety_new();
    struct rng rng;
    size_t broken = 0;
    rng_seed(&rng, 7, 8, 9);
    for (int i = 0; i < 200000; i++) {
        struct violation violation;
        struct note note = { .time_ns = rng_range(&rng, 0, 3),
                             .kind = (uint16_t)rng_range(&rng, 0, NOTE_KIND_COUNT + 1),
                             .self = (uint8_t)rng_range(&rng, 0, 255),
                             .other = (uint8_t)rng_range(&rng, 0, 255),
                             .term = rng_range(&rng, 0, 40),
                             .a = rng_range(&rng, 0, 9),
                             .b = rng_range(&rng, 0, 2) };
        broken += safety_note(safety, &note, &violation);
    }
    assert_true(broken > 1000);
    safety_free(safety);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(rows) + 2] = {
        cmocka_unit_test(a_long_run_stays_cheap),
        cmocka_unit_test(any_notes_do_no_harm),
    };
    size_t n = 2;
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] =
            (struct CMUnitTest){ rows[i].name, row_holds, NULL, NULL, (void *)(uintptr_t)&rows[i] };
    return _cmocka_run_group_tests("safety", tests, n, NULL, NULL);
}
