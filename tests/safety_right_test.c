/* tests/safety_right_test.c - peers that do everything right are never accused, whatever the order
 * of their notes and whatever was missed; and that is cheap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/safety.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- five peers that do everything right ---- */

enum { PEERS = 5, LOG_MAX = 1 << 20, LATE = 1024 };
struct right_peer {
    uint64_t term, last, commit, applied;
    uint32_t vote;
    struct note late[LATE]; /* said, and not yet heard: a queue */
    size_t said, heard;
};
static struct right {
    struct rng rng;
    uint64_t now_ns, term, committed;
    uint32_t leader;
    uint64_t *terms; /* by index: of the leader's log, which is never cut back here */
    struct right_peer peers[PEERS + 1];
} right;

static void say(uint32_t id, struct note note)
{
    struct right_peer *peer = &right.peers[id];
    note.time_ns = right.now_ns;
    note.self = (uint8_t)id;
    CHECK(peer->said - peer->heard < LATE);
    peer->late[peer->said++ % LATE] = note;
}

static void say_disk(uint32_t id, enum note_kind kind)
{
    struct right_peer *peer = &right.peers[id];
    say(id, (struct note){ .kind = (uint16_t)kind,
                           .term = peer->term,
                           .other = (uint8_t)peer->vote,
                           .b = peer->last,
                           .c = peer->last > 0 ? right.terms[peer->last] : 0,
                           .d = peer->last * 0x9e3779b97f4a7c15ull });
}

/* The one with the longest log is elected by three. */
static void elect(void)
{
    uint32_t best = 1;
    for (uint32_t id = 2; id <= PEERS; id++)
        if (right.peers[id].last > right.peers[best].last) best = id;
    struct right_peer *leader = &right.peers[best];
    right.leader = best;
    leader->term = ++right.term;
    leader->vote = best;
    say(best, (struct note){ .kind = NOTE_BECAME_CANDIDATE, .term = right.term });
    say_disk(best, NOTE_STORED);
    say(best, (struct note){ .kind = NOTE_PROMISED, .term = right.term, .other = (uint8_t)best });
    for (uint32_t id = 1, votes = 0; votes < 2; id++) {
        if (id == best) continue;
        votes++;
        right.peers[id].term = right.term;
        right.peers[id].vote = best;
        say(id,
            (struct note){ .kind = NOTE_VOTE_GRANTED, .term = right.term, .other = (uint8_t)best });
        say_disk(id, NOTE_STORED);
        say(id, (struct note){ .kind = NOTE_PROMISED, .term = right.term, .other = (uint8_t)best });
    }
    say(best, (struct note){ .kind = NOTE_BECAME_LEADER,
                             .term = right.term,
                             .a = 3,
                             .b = PEERS,
                             .c = leader->last,
                             .d = leader->last > 0 ? right.terms[leader->last] : 0 });
}

static void propose(void)
{
    struct right_peer *leader = &right.peers[right.leader];
    uint64_t count = rng_range(&right.rng, 1, 3);
    CHECK(leader->last + count < LOG_MAX);
    for (uint64_t i = 0; i < count; i++) right.terms[++leader->last] = right.term;
    say_disk(right.leader, NOTE_STORED);
}

/* A follower takes what the leader has, or some of it. */
static void follow(uint32_t id)
{
    struct right_peer *peer = &right.peers[id];
    uint64_t lacks = right.peers[right.leader].last - peer->last;
    if (peer->term < right.term) peer->vote = PEER_NONE;
    peer->term = right.term;
    if (lacks > 0) peer->last += rng_range(&right.rng, 1, lacks);
    say_disk(id, NOTE_STORED);
}

static void commit(void)
{
    struct right_peer *leader = &right.peers[right.leader];
    uint64_t back = rng_range(&right.rng, 0, 2), index = leader->last - MIN_OF(leader->last, back);
    struct note note = {
        .kind = NOTE_COMMITTED, .term = right.term, .a = index, .c = right.term, .d = PEERS
    };
    for (uint32_t id = 1; id <= PEERS; id++)
        if (right.peers[id].last >= index && right.peers[id].term == right.term)
            note.b |= peer_bit(id);
    if (index <= leader->commit || right.terms[index] != right.term) return;
    if (peer_count(note.b) <= PEERS / 2) return;
    right.committed = leader->commit = index;
    say(right.leader, note);
}

static void apply(uint32_t id)
{
    struct right_peer *peer = &right.peers[id];
    uint64_t known = MIN_OF(right.committed, peer->last);
    if (peer->term == right.term && known > peer->commit) {
        peer->commit = known;
        say(id, (struct note){ .kind = NOTE_COMMIT_LEARNED, .term = peer->term, .a = known });
    }
    if (peer->commit == peer->applied) return;
    peer->applied += rng_range(&right.rng, 1, peer->commit - peer->applied);
    say(id, (struct note){ .kind = NOTE_APPLIED,
                           .term = peer->term,
                           .a = peer->applied,
                           .b = peer->applied * 0x9e3779b97f4a7c15ull });
}

static void act(void)
{
    uint32_t id = (uint32_t)rng_range(&right.rng, 1, PEERS);
    right.now_ns++;
    if (right.leader == 0 || rng_chance(&right.rng, 1000)) elect();
    else if (rng_chance(&right.rng, 1000)) { /* a new life */
        right.peers[id].commit = right.peers[id].applied = 0;
        say_disk(id, NOTE_STARTED);
        if (id == right.leader) right.leader = 0;
    } else if (id == right.leader && rng_chance(&right.rng, PPM / 2)) propose();
    else if (id == right.leader) commit();
    else if (rng_chance(&right.rng, PPM / 2)) follow(id);
    else apply(id);
}

/* Hear the next note of some peer: in the order of each, and of no two. */
static bool hear(struct note *note)
{
    uint32_t id = (uint32_t)rng_range(&right.rng, 1, PEERS);
    for (uint32_t i = 0; i < PEERS; i++, id = id % PEERS + 1) {
        struct right_peer *peer = &right.peers[id];
        if (peer->heard == peer->said) continue;
        *note = peer->late[peer->heard++ % LATE];
        return true;
    }
    return false;
}

static void right_begin(uint64_t seed)
{
    uint64_t *terms = right.terms != NULL ? right.terms : calloc(LOG_MAX, sizeof(*terms));
    CHECK(terms != NULL);
    right = (struct right){ .terms = terms };
    rng_seed(&right.rng, seed, 5, 6);
}

static bool is_behind(size_t late)
{
    for (uint32_t id = 1; id <= PEERS; id++)
        if (right.peers[id].said - right.peers[id].heard > late) return true;
    return false;
}

/* (Y3) Hundreds of notes of one peer may come before the first of another. */
static void right_peers_are_safe_in_any_order(void **state)
{
    UNUSED(state);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct safety *safety = safety_new();
        struct violation violation;
        struct note note;
        uint64_t kinds[NOTE_KIND_COUNT] = { 0 };
        right_begin(seed);
        for (int i = 0; i < 40000; i++) {
            act();
            while (is_behind(seed % 2 == 0 ? LATE / 2 : 3) && hear(&note)) {
                kinds[note.kind]++;
                if (safety_note(safety, &note, &violation))
                    fail_msg("seed %u: %s: %s", (unsigned)seed, violation.invariant,
                             violation.text);
            }
        }
        assert_true(kinds[NOTE_COMMITTED] > 100);
        assert_true(kinds[NOTE_BECAME_LEADER] > 5);
        assert_true(kinds[NOTE_STARTED] > 5);
        safety_free(safety);
    }
}

/* (Y1) A million notes, one peer dead since the beginning: quick, and bounded in memory. */
static void a_long_run_stays_cheap(void **state)
{
    UNUSED(state);
    struct safety *safety = safety_new();
    struct violation violation;
    struct note note,
        dead = { .self = 6, .kind = NOTE_APPLIED, .term = 1, .a = 1, .b = 0x9e3779b97f4a7c15ull };
    uint64_t spent_ns = 0;
    right_begin(4);
    assert_false(safety_note(safety, &dead, &violation));
    for (uint64_t i = 1; i <= 1000000;) {
        act();
        uint64_t begin_ns = real_now_ns();
        for (; is_behind(9) && hear(&note); i++)
            if (safety_note(safety, &note, &violation)) fail_msg("%s", violation.text);
        spent_ns += real_now_ns() - begin_ns;
    }
    printf("1000000 notes in %.0f ms\n", (double)spent_ns / (double)NS_PER_MS);
    uint64_t index = right.peers[right.leader == 1 ? 2 : 1].applied;
    struct note wrong = { .self = 6, .kind = NOTE_APPLIED, .term = 1001, .a = index, .b = 1 };
    assert_true(safety_note(safety, &wrong, &violation));
    assert_string_equal(violation.invariant, "SM");
    safety_free(safety);
}

/* (Y5) What was not heard proves nothing; what was heard still does. */
static void what_was_missed_accuses_nobody(void **state)
{
    UNUSED(state);
    struct safety *safety = safety_new();
    struct violation violation;
    struct note note;
    uint64_t missed = 0;
    right_begin(8);
    for (int i = 0; i < 200000; i++) {
        act();
        while (is_behind(20) && hear(&note)) {
            if (rng_chance(&right.rng, 20000)) { /* and what follows it */
                uint64_t more = rng_range(&right.rng, 0, 10);
                struct right_peer *peer = &right.peers[note.self];
                missed += 1 + MIN_OF(more, peer->said - peer->heard);
                peer->heard += MIN_OF(more, peer->said - peer->heard);
                safety_missed(safety, note.self);
                continue;
            }
            if (safety_note(safety, &note, &violation))
                fail_msg("%s: %s", violation.invariant, violation.text);
        }
    }
    assert_true(missed > 1000);
    struct note two = { .self = 1, .kind = NOTE_VOTE_GRANTED, .term = right.term + 1, .other = 2 };
    assert_false(safety_note(safety, &two, &violation));
    safety_missed(safety, 1);
    two.other = 3;
    assert_true(safety_note(safety, &two, &violation));
    assert_string_equal(violation.invariant, "V1");
    safety_free(safety);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_peers_are_safe_in_any_order),
        cmocka_unit_test(a_long_run_stays_cheap),
        cmocka_unit_test(what_was_missed_accuses_nobody),
    };
    int failed = cmocka_run_group_tests_name("safety of right peers", tests, NULL, NULL);
    free(right.terms);
    return failed;
}
