/* tests/safety_test.c - each invariant over notes: what keeps it, what breaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/safety.h"

#include <string.h>

/* The n-th note of a row comes at time n, unless it says "same turn as the note before". */
#define NOTE(self_, kind_, ...)                                                                    \
    {                                                                                              \
        .self = self_, .kind = NOTE_##kind_, .term = __VA_ARGS__                                   \
    }
#define SAME_TURN .spare = 1
#define NOTES_MAX 12
/* Of five peers: elected by three with a log up to (index, term); committing what 1, 2 and 3 have;
 * with a log on disk up to (index, term). */
#define LEADS(self_, term_, index_, last_)                                                         \
    NOTE(self_, BECAME_LEADER, term_, .a = 3, .b = 5, .c = index_, .d = last_)
#define COMMITS(self_, term_, index_)                                                              \
    NOTE(self_, COMMITTED, term_, .a = index_, .b = 2 | 4 | 8, .c = term_, .d = 5)
#define STORES(self_, term_, index_, last_)                                                        \
    NOTE(self_, STORED, term_, .b = index_, .c = last_, .d = 100 * (index_) + (last_))
#define STARTS(self_, term_, index_, last_)                                                        \
    NOTE(self_, STARTED, term_, .b = index_, .c = last_, .d = 100 * (index_) + (last_))

static const struct safety_row {
    const char *name;
    struct note notes[NOTES_MAX];
    const char *invariant; /* that the last note breaks; NULL: none does */
    const char *text;
} rows[] = {
    { "ES: a leader in each term",
      { LEADS(1, 5, 0, 0), LEADS(2, 6, 0, 0), LEADS(1, 7, 0, 0) },
      NULL,
      NULL },
    { "ES: two leaders in one term",
      { LEADS(1, 5, 0, 0), LEADS(2, 5, 0, 0) },
      "ES",
      "peer 1 and peer 2 both became leader of term 5" },
    { "ES: the term is long over",
      { LEADS(1, 5, 0, 0), LEADS(2, 6, 0, 0), NOTE(2, KILLED, 6), LEADS(3, 5, 0, 0) },
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
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(1, STARTED, 5) },
      "V1",
      "peer 1 voted for 2 in term 5 and does not know it after a restart" },
    { "V1: it votes again",
      { NOTE(1, VOTE_GRANTED, 5, .other = 2), NOTE(1, STARTED, 5, .other = 2),
        NOTE(1, VOTE_GRANTED, 5, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 5" },
    { "V1: nobody saw it vote before it died",
      { NOTE(1, STARTED, 5, .other = 2), NOTE(1, VOTE_GRANTED, 5, .other = 3) },
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
        NOTE(1, DISK_FAILED, 7, SAME_TURN), NOTE(1, STARTED, 7, .other = 2),
        NOTE(1, VOTE_GRANTED, 7, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 7" },
    { "V1: nor one that the disk took in the end",
      { NOTE(1, VOTE_GRANTED, 7, .other = 2), NOTE(1, DISK_FAILED, 7, SAME_TURN),
        NOTE(1, DISK_RESUMED, 7), NOTE(1, STARTED, 7, .other = 2),
        NOTE(1, VOTE_GRANTED, 7, .other = 3) },
      "V1",
      "peer 1 voted for 2 and for 3 in term 7" },
    { "LA: a follower deletes",
      { LEADS(1, 5, 0, 0), NOTE(2, TRUNCATED, 5, .a = 3, .b = 4, .other = 1) },
      NULL,
      NULL },
    { "LA: a former leader deletes",
      { LEADS(1, 5, 0, 0), NOTE(1, TRUNCATED, 6, .a = 3, .b = 4) },
      NULL,
      NULL },
    { "LA: a leader deletes",
      { LEADS(1, 5, 0, 0), NOTE(1, TRUNCATED, 5, .a = 3, .b = 4) },
      "LA",
      "peer 1 leads term 5 and deletes 3..4 of its log" },
    { "CM: commits go on",
      { COMMITS(1, 5, 3), NOTE(1, COMMIT_LEARNED, 6, .a = 3), COMMITS(1, 7, 9),
        NOTE(1, TRUNCATED, 7, .a = 10, .b = 12) },
      NULL,
      NULL },
    { "CM: a new life learns again",
      { COMMITS(1, 5, 3), STARTS(1, 5, 3, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 1) },
      NULL,
      NULL },
    { "CM: the commit index goes back",
      { COMMITS(1, 5, 3), NOTE(1, COMMIT_LEARNED, 6, .a = 2) },
      "CM",
      "the commit index of peer 1 goes back from 3 to 2" },
    { "CM: a committed entry is deleted",
      { NOTE(1, COMMIT_LEARNED, 5, .a = 3), NOTE(1, TRUNCATED, 6, .a = 3, .b = 4) },
      "CM",
      "peer 1 deletes 3..4 and knew that 3 is committed" },
    { "CM: even in another life",
      { NOTE(1, COMMIT_LEARNED, 5, .a = 3), STARTS(1, 5, 4, 5),
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
        STARTS(2, 5, 4, 5), NOTE(1, APPLIED, 5, .a = 4, .b = 9), NOTE(2, COMMIT_LEARNED, 5, .a = 4),
        NOTE(2, APPLIED, 5, .a = 4, .b = 1) },
      "SM",
      "peer 1 and peer 2 applied index 4 and differ: state 00000009 and 00000001" },
    { "SM: in a life once and in order",
      { STARTS(1, 5, 9, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 9), NOTE(1, APPLIED, 5, .a = 3),
        NOTE(1, APPLIED, 5, .a = 9), STARTS(1, 5, 9, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 3),
        NOTE(1, APPLIED, 5, .a = 3) },
      NULL,
      NULL },
    { "SM: an index is applied again",
      { STARTS(1, 5, 9, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 9), NOTE(1, APPLIED, 5, .a = 3),
        NOTE(1, APPLIED, 5, .a = 3) },
      "SM",
      "peer 1 applies index 3 after 3" },
    { "SM: more is applied than committed",
      { STARTS(1, 5, 9, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 3), NOTE(1, APPLIED, 5, .a = 4) },
      "SM",
      "peer 1 applies index 4 and knows 3 to be committed" },
    { "SM: something is applied and nothing committed",
      { STARTS(1, 5, 9, 5), NOTE(1, APPLIED, 5, .a = 1) },
      "SM",
      "peer 1 applies index 1 and knows 0 to be committed" },
    { "ES: too few votes",
      { NOTE(1, STARTED, 4), NOTE(1, BECAME_LEADER, 5, .a = 2, .b = 4) },
      "ES",
      "peer 1 became leader of term 5 with 2 votes of 4" },
    { "CM: what was committed is not on the disk any more",
      { NOTE(1, COMMIT_LEARNED, 5, .a = 3), STORES(1, 5, 2, 5) },
      "CM",
      "peer 1 has on disk a log up to 2 and knew that 3 is committed" },
    { "CM: nor after a restart",
      { NOTE(1, COMMIT_LEARNED, 5, .a = 3), STARTS(1, 6, 2, 5) },
      "CM",
      "peer 1 has on disk a log up to 2 and knew that 3 is committed" },
    { "CM: what the disk refused was never known",
      { NOTE(1, TERM_SEEN, 5), NOTE(1, COMMIT_LEARNED, 5, .a = 3),
        NOTE(1, DISK_FAILED, 5, SAME_TURN), STARTS(1, 5, 2, 5) },
      NULL,
      NULL },
    { "LM: logs grow alike",
      { STORES(1, 5, 3, 5), STORES(2, 5, 3, 5), STORES(1, 6, 4, 6), STARTS(2, 6, 3, 5),
        STORES(2, 6, 4, 6) },
      NULL,
      NULL },
    { "LM: one index, two terms",
      { STORES(1, 5, 3, 4), STORES(2, 5, 3, 5), STORES(3, 5, 3, 4), STORES(4, 5, 3, 5) },
      NULL,
      NULL },
    { "LM: a hash may be unknown",
      { STORES(1, 5, 3, 5), NOTE(2, STORED, 5, .b = 3, .c = 5), NOTE(3, STORED, 5) },
      NULL,
      NULL },
    { "LM: one end, two logs",
      { STORES(1, 5, 3, 4), STORES(2, 5, 3, 5), NOTE(3, STORED, 6, .b = 3, .c = 5, .d = 7) },
      "LM",
      "the logs of peer 2 and peer 3 end at index 3 term 5 and differ: 00000131 and 00000007" },
    { "LM: a restart finds another log",
      { STORES(1, 5, 3, 5), NOTE(1, STARTED, 5, .b = 3, .c = 5, .d = 7) },
      "LM",
      "the logs of peer 1 and peer 1 end at index 3 term 5 and differ: 00000131 and 00000007" },
    { "PR: a vote that is stored",
      { STARTS(1, 4, 3, 4), NOTE(1, VOTE_GRANTED, 5, .other = 2),
        NOTE(1, STORED, 5, .other = 2, .b = 3, .c = 4, SAME_TURN),
        NOTE(1, PROMISED, 5, .other = 2, SAME_TURN), NOTE(1, PROMISED, 5, .other = 2) },
      NULL,
      NULL },
    { "PR: a vote that is not stored",
      { STARTS(1, 5, 3, 4), NOTE(1, VOTE_GRANTED, 5, .other = 2),
        NOTE(1, PROMISED, 5, .other = 2, SAME_TURN) },
      "PR",
      "peer 1 promises its vote to 2 in term 5 and has stored 0" },
    { "PR: a vote that leaves before it is stored",
      { STARTS(1, 4, 3, 4), NOTE(1, PROMISED, 5, .other = 2) },
      "PR",
      "peer 1 speaks of term 5 and has stored term 4" },
    { "PR: an acknowledgement of a term that it left",
      { STARTS(1, 4, 3, 4), STORES(1, 6, 2, 4), NOTE(1, PROMISED, 5, .a = 3) },
      NULL,
      NULL },
    { "PR: an acknowledgement of what is not stored",
      { STARTS(1, 4, 3, 4), NOTE(1, PROMISED, 4, .a = 4) },
      "PR",
      "peer 1 acknowledges its log up to 4 and has stored 3" },
    { "PR: each disk is its own",
      { STARTS(1, 4, 3, 4), STARTS(2, 9, 9, 9), NOTE(2, PROMISED, 9, .a = 9) },
      NULL,
      NULL },
    { "PR: the end of a life may be unseen",
      { NOTE(1, STORED, 5, .b = 3, .c = 4, .d = 304),
        NOTE(1, STARTED, 5, .other = 2, .b = 2, .c = 4),
        NOTE(1, STORED, 6, .other = 1, .b = 2, .c = 4), NOTE(1, STARTED, 7, .b = 1, .c = 4) },
      NULL,
      NULL },
    { "PR: a restart finds no vote",
      { NOTE(1, STORED, 5, .other = 2, .b = 3, .c = 4), NOTE(1, STARTED, 5, .b = 3, .c = 4) },
      "PR",
      "peer 1 had stored its vote for 2 in term 5 and starts with 0" },
    { "PR: a restart finds an earlier term",
      { NOTE(1, STORED, 5, .b = 3, .c = 4), NOTE(1, STARTED, 4, .b = 3, .c = 4) },
      "PR",
      "peer 1 had stored term 5 and starts with term 4" },
    { "PR: a restart finds less of the log",
      { STORES(1, 5, 3, 5), STARTS(1, 5, 2, 4) },
      "PR",
      "peer 1 had stored its log up to 3 and starts with 2" },
    { "CQ: a majority has it",
      { LEADS(1, 5, 2, 4), STORES(1, 5, 3, 5), COMMITS(1, 5, 3) },
      NULL,
      NULL },
    { "CQ: half are no majority",
      { LEADS(1, 5, 2, 4), NOTE(1, COMMITTED, 5, .a = 3, .b = 2 | 4, .c = 5, .d = 4) },
      "CQ",
      "peer 1 commits index 3 and knows 2 of 4 peers to have it" },
    { "CQ: who is no peer does not count",
      { LEADS(1, 5, 2, 4), NOTE(1, COMMITTED, 5, .a = 3, .b = 1 | 2 | 4 | 32, .c = 5, .d = 4) },
      "CQ",
      "peer 1 commits index 3 and knows 2 of 4 peers to have it" },
    { "CQ: an entry of an earlier term",
      { LEADS(1, 5, 3, 4), NOTE(1, COMMITTED, 5, .a = 3, .b = 2 | 4 | 8, .c = 4, .d = 5) },
      "CQ",
      "peer 1 commits index 3 of term 4 in term 5 by counting" },
    { "CQ: a leader counts what it has not stored",
      { LEADS(1, 5, 2, 4), STORES(1, 5, 2, 4), COMMITS(1, 5, 3) },
      "CQ",
      "peer 1 commits index 3, counts itself, and has stored 2" },
    { "CQ: who was counted has it",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), STORES(2, 6, 3, 5), STARTS(3, 6, 4, 5),
        STORES(4, 6, 2, 4) },
      NULL,
      NULL },
    { "CQ: its notes of that term may be late",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), STORES(2, 5, 2, 4), STORES(2, 5, 3, 5) },
      NULL,
      NULL },
    { "CQ: who was counted does not have it",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), COMMITS(3, 7, 4), STORES(2, 6, 2, 4) },
      "CQ",
      "peer 2 is counted on for index 3, committed in term 5, and has 2 in term 6" },
    { "CQ: nor after all else",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), STARTS(2, 8, 2, 4) },
      "CQ",
      "peer 2 is counted on for index 3, committed in term 5, and has 2 in term 8" },
    { "CQ: the commit is told late",
      { STORES(2, 5, 3, 5), STORES(2, 6, 2, 4), STORES(2, 6, 3, 6), COMMITS(1, 5, 3) },
      "CQ",
      "peer 2 is counted on for index 3, committed in term 5, and has 2 in term 6" },
    { "LC: leaders hold what is committed",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), LEADS(2, 6, 3, 5), LEADS(3, 8, 9, 6),
        COMMITS(3, 8, 12), LEADS(4, 9, 12, 8) },
      NULL,
      NULL },
    { "LC: what was committed later binds nobody before",
      { LEADS(2, 6, 3, 5), COMMITS(2, 6, 9), LEADS(1, 5, 2, 4) },
      NULL,
      NULL },
    { "LC: a short log is elected",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), LEADS(2, 6, 2, 5) },
      "LC",
      "peer 2 leads term 6 with a log that ends at 2 term 5, and index 3 term 5 was committed in "
      "term 5" },
    { "LC: a long log of an earlier term is elected",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), LEADS(2, 7, 9, 4) },
      "LC",
      "peer 2 leads term 7 with a log that ends at 9 term 4, and index 3 term 5 was committed in "
      "term 5" },
    { "LC: the commit is told late",
      { LEADS(1, 5, 2, 4), LEADS(2, 6, 2, 4), LEADS(3, 7, 9, 6), COMMITS(1, 5, 3) },
      "LC",
      "peer 2 leads term 6 with a log that ends at 2 term 4, and index 3 term 5 was committed in "
      "term 5" },
    { "LC: the election is told late",
      { LEADS(1, 5, 2, 4), COMMITS(1, 5, 3), LEADS(3, 8, 9, 7), COMMITS(3, 8, 10),
        LEADS(2, 6, 2, 5) },
      "LC",
      "peer 2 leads term 6 with a log that ends at 2 term 5, and index 3 term 5 was committed in "
      "term 5" },
    { "MI: a match index goes back",
      { LEADS(1, 5, 2, 4), NOTE(1, MATCH_BACK, 5, .other = 2, .a = 7, .b = 4) },
      "MI",
      "peer 1 leads term 5 and knew that 2 has its log up to 7, then only 4" },
    { "the supervisor says nothing about Raft",
      { LEADS(0, 5, 0, 0), LEADS(1, 5, 0, 0) },
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
        bool alone = violation.first.time_ns == note.time_ns; /* it contradicts itself */
        assert_true(alone || violation.first.time_ns < note.time_ns);
        violation.second = note;
        /* Told once. A leader or a vote too many stays one. */
        if (strcmp(row->invariant, "TM") == 0) assert_false(safety_note(safety, &note, &violation));
    }
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
                             .b = rng_range(&rng, 0, 2),
                             .c = rng_range(&rng, 0, 40),
                             .d = rng_next(&rng) >> rng_range(&rng, 0, 63) };
        if (rng_chance(&rng, 100)) safety_missed(safety, note.self);
        broken += safety_note(safety, &note, &violation);
    }
    assert_true(broken > 1000);
    safety_free(safety);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(rows) + 1] = {
        cmocka_unit_test(any_notes_do_no_harm),
    };
    size_t n = 1;
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] =
            (struct CMUnitTest){ rows[i].name, row_holds, NULL, NULL, (void *)(uintptr_t)&rows[i] };
    return _cmocka_run_group_tests("safety", tests, n, NULL, NULL);
}
