/* tests/explore_state_test.c - what an exploration rests on: states in bits, fingerprints that do
 * not depend on names, invariants, the set of those seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/canon.h"
#include "sim/explore.h"
#include "sim/visited.h"

/* ---- invariants that no wrong rule breaks alone: states made by hand ---- */

/* terms of entries, the first one first, as a log */
static uint64_t log_of(const char *terms)
{
    uint64_t log = 0;
    for (uint32_t i = 0; terms[i] != '\0'; i++) log |= (uint64_t)(terms[i] - '0') << (4 * i);
    return log;
}

static uint64_t peer_of(enum role role, uint32_t term, const char *log)
{
    return FIELD_PUT(UP, 1) | FIELD_PUT(ROLE, role) | FIELD_PUT(TERM, term) | log_of(log) << LOG_AT;
}

static const struct fact_row {
    const char *name;
    struct {
        enum role role;
        uint32_t term;
        const char *log;
    } was, is, other;      /* peer 1 before and after, peer 2 */
    const char *invariant; /* NULL: nothing is broken */
    const char *committed, *since;
} fact_rows[] = {
    { "terms go back",
      { FOLLOWER, 3, "" },
      { FOLLOWER, 2, "" },
      { FOLLOWER, 3, "" },
      "TM",
      "",
      "" },
    { "a leader deletes",
      { LEADER, 2, "12" },
      { LEADER, 2, "1" },
      { FOLLOWER, 2, "" },
      "LA",
      "",
      "" },
    { "who led deletes",
      { LEADER, 2, "12" },
      { FOLLOWER, 3, "1" },
      { FOLLOWER, 3, "" },
      NULL,
      "",
      "" },
    { "logs part and meet",
      { FOLLOWER, 3, "1" },
      { FOLLOWER, 3, "113" },
      { FOLLOWER, 3, "123" },
      "LM",
      "",
      "" },
    { "logs part for good",
      { FOLLOWER, 3, "1" },
      { FOLLOWER, 3, "113" },
      { FOLLOWER, 3, "1222" },
      NULL,
      "",
      "" },
    { "committed entry goes",
      { FOLLOWER, 3, "12" },
      { FOLLOWER, 3, "1" },
      { FOLLOWER, 3, "12" },
      "CM",
      "12",
      "12" },
    { "committed later, goes",
      { FOLLOWER, 2, "11" },
      { FOLLOWER, 2, "1" },
      { FOLLOWER, 3, "11" },
      NULL,
      "11",
      "13" },
    { "leads without it",
      { CANDIDATE, 3, "1" },
      { LEADER, 3, "1" },
      { FOLLOWER, 3, "12" },
      "LC",
      "12",
      "12" },
    { "an earlier leader may",
      { CANDIDATE, 2, "1" },
      { LEADER, 2, "1" },
      { FOLLOWER, 3, "13" },
      NULL,
      "13",
      "13" },
};

static void fact_holds(void **state)
{
    const struct fact_row *row = *state;
    struct finding finding;
    struct state before = { .committed = log_of(row->committed),
                            .commit_terms = log_of(row->since) };
    before.peer[0] = peer_of(row->was.role, row->was.term, row->was.log);
    before.peer[1] = peer_of(row->other.role, row->other.term, row->other.log);
    struct state after = before;
    after.peer[0] = peer_of(row->is.role, row->is.term, row->is.log);
    assert_int_equal(facts_turn(&before, &after, 2, 1, &finding), row->invariant == NULL);
    if (row->invariant != NULL) assert_string_equal(finding.invariant, row->invariant);
}

/* ---- states ---- */

/* `state` with peer 1 named 2, 2 named 3, ..., the last named 1; in the plainest way. */
static uint32_t next_name(uint32_t id, uint32_t peers)
{
    return id == 0 ? 0 : id % peers + 1;
}

static void rename_all(const struct state *state, uint32_t peers, struct state *renamed)
{
    *renamed = (struct state){ .committed = state->committed, .commit_terms = state->commit_terms };
    for (uint32_t id = 1; id <= peers; id++) {
        uint32_t to = next_name(id, peers);
        uint64_t word = state->peer[id - 1], lead = state->lead[id - 1], named = 0;
        for (uint32_t at = 0; at < IDS_BITS; at += 3)
            named |= (uint64_t)next_name(word >> at & 7, peers) << at;
        renamed->peer[to - 1] = FIELD_CLEAR(word, IDS) | named;
        named = 0;
        for (uint32_t other = 1; other <= peers; other++) {
            uint32_t other_to = next_name(other, peers);
            named |= (lead >> (other - 1) & 1) << (other_to - 1);
            uint64_t seen = lead >> (FOLLOWERS_AT + FOLLOWER_BITS * (other - 1));
            named |= (seen & FIELD_MASK(FOLLOWER))
                     << (FOLLOWERS_AT + FOLLOWER_BITS * (other_to - 1));
        }
        renamed->lead[to - 1] = named;
    }
    for (uint32_t term = 1; term <= STATE_TERMS; term++)
        renamed->leaders |= (uint64_t)next_name(leader_of(state, term), peers) << (3 * (term - 1));
    for (uint32_t i = 0; i < state->count; i++) {
        uint64_t word = state->messages[i];
        uint32_t from = next_name((uint32_t)FIELD_GET(word, FROM), peers);
        uint32_t to = next_name((uint32_t)FIELD_GET(word, TO), peers);
        state_send(renamed, FIELD_CLEAR(word, ENDS) | FIELD_PUT(FROM, from) | FIELD_PUT(TO, to));
    }
}

static void assert_state_holds(const struct canon *canon, struct rig *rig,
                               const struct state *state)
{
    uint32_t peers = rig->bounds.peers;
    uint8_t bytes[STATE_BYTES_MAX + 8] = { 0 };
    struct state back = { 0 }, copy = *state;
    uint32_t size = state_pack(state, peers, bytes);
    assert_true(size <= STATE_BYTES_MAX);
    assert_int_equal(state_unpack(bytes, peers, &back), size);
    assert_memory_equal(back.peer, state->peer, peers * sizeof(uint64_t));
    assert_memory_equal(back.lead, state->lead, peers * sizeof(uint64_t));
    assert_memory_equal(back.messages, state->messages, state->count * sizeof(uint64_t));
    assert_true(back.count == state->count && back.leaders == state->leaders);
    assert_true(back.committed == state->committed && back.commit_terms == state->commit_terms);
    for (uint32_t id = 1; id <= peers; id++) { /* the core has all of it */
        if (!FIELD_GET(state->peer[id - 1], UP)) continue;
        state_load(state, id, &rig->raft);
        state_store(&copy, id, &rig->raft);
        assert_true(copy.peer[id - 1] == state->peer[id - 1]);
        assert_true(copy.lead[id - 1] == state->lead[id - 1]);
    }
    uint64_t fingerprint = canon_fingerprint(canon, state);
    for (uint32_t i = 0; i < peers; i++) {
        rename_all(&copy, peers, &back);
        assert_true(canon_fingerprint(canon, &back) == fingerprint);
        copy = back;
    }
}

/* By chance through all kinds of events, with all budgets. */
static void states_hold(void **state)
{
    static struct rig rig;
    static struct canon canon;
    UNUSED(state);
    struct rng rng;
    rng_seed(&rng, 1, 2, 3);
    for (uint32_t round = 0; round < 400; round++) {
        struct bounds bounds = { .peers = 1 + round % STATE_PEERS,
                                 .messages = 1 + round % STATE_MESSAGES,
                                 .budgets = { 6, 6, 3, 6, 6, 6 },
                                 .noop = round % 2 == 0,
                                 .torn = round % 2 == 0 };
        rig_init(&rig, &bounds, &rules_raft);
        canon_init(&canon, bounds.peers, true);
        struct state now, next;
        state_begin(&now, bounds.peers, bounds.budgets);
        for (uint32_t i = 0; i < 60; i++) {
            struct act acts[ACTS_MAX], act;
            uint32_t count = acts_of(&rig, &now, acts);
            if (count == 0) break;
            act = acts[rng_range(&rng, 0, count - 1)];
            enum played played = explore_play(&rig, &now, act, &next);
            if (played == PLAYED_BROKEN) fail_msg("%s", rig.finding.second);
            if (played == PLAYED_NOTHING) continue;
            assert_true(next.count <= bounds.messages);
            assert_state_holds(&canon, &rig, &next);
            now = next;
        }
    }
}

static void losses_are_all_ways(void **state)
{
    static struct rig rig = { .bounds = { .messages = 2 } };
    struct state full = { .count = 5 };
    uint32_t ways = 0, seen = 0;
    UNUSED(state);
    for (uint32_t lost = losses_first(&rig, &full); lost != 0; lost = losses_next(&full, lost)) {
        assert_int_equal(peer_count(lost), 3);
        assert_true(lost < 32);
        seen |= lost;
        ways++;
    }
    assert_int_equal(ways, 10);
    assert_int_equal(seen, 31);
    full.count = 2;
    assert_int_equal(losses_first(&rig, &full), 0);
}

static void visited_holds(void **state)
{
    enum { COUNT_OF = 300000 };
    struct visited visited;
    bool added;
    UNUSED(state);
    assert_int_equal(visited_init(&visited, 8u << 20), ERR_OK);
    for (int pass = 0; pass < 2; pass++) {
        struct rng rng = { 7 };
        for (int i = 0; i < COUNT_OF; i++) {
            uint64_t fingerprint = i == 0 ? 0 : rng_next(&rng);
            assert_int_equal(visited_add(&visited, fingerprint, &added), ERR_OK);
            assert_int_equal(added, pass == 0);
        }
    }
    assert_int_equal(visited.count, COUNT_OF);
    assert_true(visited.bytes < COUNT_OF * 17ull);
    visited.bytes_max = visited.bytes; /* no more room: what is in stays in */
    struct rng rng = { 8 };
    err_t err = ERR_OK;
    while (err == ERR_OK) err = visited_add(&visited, rng_next(&rng), &added);
    assert_int_equal(err, ERR_FULL);
    assert_true(visited.bytes <= visited.bytes_max);
    rng.state = 7;
    assert_int_equal(visited_add(&visited, rng_next(&rng), &added), ERR_OK);
    assert_false(added);
    visited_free(&visited);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(fact_rows) + 3];
    size_t n = 0;
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(states_hold);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(losses_are_all_ways);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(visited_holds);
    for (size_t i = 0; i < COUNT(fact_rows); i++)
        tests[n++] = (struct CMUnitTest){ fact_rows[i].name, fact_holds, NULL, NULL,
                                          (void *)(uintptr_t)&fact_rows[i] };
    return _cmocka_run_group_tests("explore_state", tests, n, NULL, NULL);
}
