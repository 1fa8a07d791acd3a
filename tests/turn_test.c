/* tests/turn_test.c - the order of a turn (U1..U3 of node/turn.h): what is promised leaves after it
 * is stored, a leader's appends leave before, a failed commit silences the peer until it succeeds.
 * The two seams record what is asked of them, as one line of letters:
 * a append request, r append reply, v vote request, g vote reply, c client reply, D commit, F
 * failed commit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_MAX = 40000, INBOX_MAX = 32 };

struct world {
    char trace[256];
    int fail; /* errno of the next commits; 0: they succeed */
    struct disk_found found;
    struct entry log[LOG_MAX]; /* by index */
    struct packet inbox[INBOX_MAX];
    size_t arrived, taken;
    uint32_t replies, refused; /* client replies, and those that were not ok */
    struct peer peer;
};

static void trace(struct world *world, char letter)
{
    size_t length = strlen(world->trace);
    assert_in_range(length, 0, sizeof(world->trace) - 2);
    world->trace[length] = letter;
}

/* ---- the seams ---- */

static err_t disk_load(void *state, struct disk_found *found)
{
    *found = ((struct world *)state)->found;
    return ERR_OK;
}

static err_t disk_commit(void *state, const struct disk_save *save, int *why)
{
    struct world *world = state;
    trace(world, world->fail != 0 ? 'F' : 'D');
    *why = world->fail;
    if (world->fail != 0) return ERR_STORAGE;
    if (save->hard) world->found.term = save->term;
    if (save->hard) world->found.voted_for = save->voted_for;
    if (save->truncate_from != 0) world->found.last_index = save->truncate_from - 1;
    for (uint32_t i = 0; i < save->count; i++) {
        assert_int_equal(save->first_index + i, world->found.last_index + 1);
        world->log[++world->found.last_index] = (struct entry){ .term = save->entries[i].term };
    }
    return ERR_OK;
}

static err_t disk_read(void *state, uint64_t first, uint64_t last,
                       bool (*each)(void *, uint64_t, const struct entry *), void *context)
{
    struct world *world = state;
    for (uint64_t i = first; i <= last && each(context, i, &world->log[i]); i++) continue;
    return ERR_OK;
}

static void disk_close(void *state)
{
    UNUSED(state);
}

static void net_send(void *state, struct packet *packet)
{
    static const char letters[MESSAGE_KIND_COUNT] = { [MESSAGE_VOTE_REQUEST] = 'v',
                                                      [MESSAGE_VOTE_REPLY] = 'g',
                                                      [MESSAGE_APPEND_REQUEST] = 'a',
                                                      [MESSAGE_APPEND_REPLY] = 'r',
                                                      [MESSAGE_CLIENT_REPLY] = 'c' };
    struct world *world = state;
    trace(world, letters[packet->frame.kind]);
    if (packet->frame.kind != MESSAGE_CLIENT_REPLY) return;
    world->replies++;
    if (packet->frame.client.status != REPLY_OK) world->refused++;
}

static bool net_receive(void *state, struct packet *packet)
{
    struct world *world = state;
    if (world->taken == world->arrived) return false;
    *packet = world->inbox[world->taken++];
    return true;
}

static void net_flush(void *state)
{
    UNUSED(state);
}

/* ---- a peer of three, and what arrives at it ---- */

/* Peer 1 begins with what world->found and world->log say. */
static void start_peer(struct world *world)
{
    struct peer_config config = {
        .raft = { .self = 1,
                  .peers = 3,
                  .election_min_ns = 100,
                  .election_max_ns = 200,
                  .heartbeat_ns = 1000,
                  .notify_ns = 10,
                  .window = 16 },
        .retry_ns = 50,
    };
    struct disk disk = { world, disk_load, disk_commit, disk_read, disk_close };
    struct net net = { world, net_send, net_receive, net_flush };
    assert_int_equal(peer_open(&world->peer, &config, &disk, &net, 0, 1), ERR_OK);
}

/* Peer 1 begins with the first `last_index` entries of world->log on disk. */
static void open_peer(struct world *world, uint64_t term, uint64_t last_index)
{
    world->found = (struct disk_found){ term, 0, 1, last_index };
    for (uint64_t i = 1; i <= last_index; i++)
        world->log[i] = (struct entry){ term, ENTRY_NOOP, 0, NULL };
    start_peer(world);
}

static struct world *setup(void)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    open_peer(world, 0, 0);
    return world;
}

static void teardown(struct world *world)
{
    peer_close(&world->peer);
    free(world);
}

static void arrives(struct world *world, const struct packet *packet)
{
    assert_in_range(world->arrived, 0, INBOX_MAX - 1);
    world->inbox[world->arrived++] = *packet;
}

static void message_arrives(struct world *world, uint32_t kind, uint64_t term, bool granted,
                            uint64_t match)
{
    struct packet packet = {
        .frame = { .kind = (uint8_t)kind,
                   .from = 2,
                   .to = 1,
                   .flag = granted,
                   .term = term,
                   .raft = { .match_index = match, .prev = { match > 0 ? 1 : 0, match } } },
    };
    arrives(world, &packet);
}

static void request_arrives(struct world *world, uint64_t sequence)
{
    static uint8_t bytes[INBOX_MAX][128];
    struct kv_command command = {
        .client = 5, .sequence = sequence, .op = KV_PUT, .key_bytes = 1, .key = (const uint8_t *)"k"
    };
    uint8_t *to = bytes[sequence % INBOX_MAX];
    struct packet packet = {
        .frame = { .kind = MESSAGE_CLIENT_REQUEST,
                   .from = 4,
                   .to = 1,
                   .body_bytes = (uint32_t)kv_encode(&command, to, 128),
                   .client = { .request = sequence } },
        .body = to,
    };
    arrives(world, &packet);
}

/* Returns when the next one is due. */
static uint64_t turn(struct world *world, uint64_t now_ns, const char *expected)
{
    memset(world->trace, 0, sizeof(world->trace));
    uint64_t due_ns = peer_turn(&world->peer, now_ns, 3);
    assert_string_equal(world->trace, expected);
    return due_ns;
}

/* Peer 1 becomes leader of term 1 with the vote of 2. */
static void elect(struct world *world)
{
    turn(world, 500, "Dvv"); /* its own vote is on disk before anybody is asked for theirs */
    message_arrives(world, MESSAGE_VOTE_REPLY, 1, true, 0);
    turn(world, 501, "aa");
    assert_int_equal(world->peer.raft.role, LEADER);
    message_arrives(world, MESSAGE_APPEND_REPLY, 1, true, 0);
    turn(world, 502, "");
}

/* The n-th note of the last turn, of these kinds alone. */
static const struct note *told(struct world *world, size_t n)
{
    const struct update *update = &world->peer.update;
    for (uint32_t i = 0; i < update->notes_count; i++) {
        uint32_t kind = update->notes[i].kind;
        if (kind != NOTE_STORED && kind != NOTE_PROMISED && kind != NOTE_STARTED) continue;
        if (n-- == 0) return &update->notes[i];
    }
    return NULL;
}

/* ---- tests ---- */

static void a_vote_leaves_after_it_is_stored(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    message_arrives(world, MESSAGE_VOTE_REQUEST, 4, false, 0);
    turn(world, 1, "Dg");
    assert_int_equal(world->found.term, 4);
    assert_int_equal(world->found.voted_for, 2);
    message_arrives(world, MESSAGE_VOTE_REQUEST, 4, false, 0); /* again: nothing new to store */
    turn(world, 2, "g");
    teardown(world);
}

static void an_acknowledgement_leaves_after_the_entries_are_stored(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    struct entry entries[] = { { 1, ENTRY_OPAQUE, 1, (const uint8_t *)"x" },
                               { 1, ENTRY_OPAQUE, 1, (const uint8_t *)"y" } };
    uint64_t terms[] = { 1, 1 };
    struct packet packet = {
        .frame = { .kind = MESSAGE_APPEND_REQUEST, .from = 2, .to = 1, .count = 2, .term = 1 },
        .entries = entries,
        .terms = terms
    };
    arrives(world, &packet);
    arrives(world, &packet); /* twice in one turn: one transaction, two answers (U1) */
    turn(world, 1, "Drr");
    assert_int_equal(world->found.last_index, 2);
    teardown(world);
}

static void a_leaders_appends_leave_before_its_own_disk(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    elect(world);
    request_arrives(world, 1);
    request_arrives(world, 2);
    turn(world, 503, "aD"); /* both in one append; 3 has not answered yet, so it gets none */
    message_arrives(world, MESSAGE_APPEND_REPLY, 1, true, 2);
    turn(world, 504, "cc");
    assert_int_equal(world->refused, 0);
    teardown(world);
}

static void a_failed_commit_silences_the_peer(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    world->fail = ENOSPC;
    message_arrives(world, MESSAGE_VOTE_REQUEST, 4, false, 0);
    assert_int_equal(turn(world, 1, "F"), 51);
    message_arrives(world, MESSAGE_VOTE_REQUEST, 5, false, 0);
    /* takes in nothing meanwhile, tries the same again (U3), and sleeps in between */
    assert_int_equal(turn(world, 60, "F"), 110);
    assert_int_equal(turn(world, 70, ""), 110); /* woken by what arrives */
    assert_int_equal(world->taken, 1);
    assert_int_equal(world->peer.disk_errno, ENOSPC);
    world->fail = 0;
    turn(world, 120, "Dg"); /* the vote of term 4, stored at last */
    assert_int_equal(world->found.term, 4);
    assert_int_equal(world->peer.disk_errno, 0);
    turn(world, 121, "Dg"); /* then what had waited */
    assert_int_equal(world->found.term, 5);
    teardown(world);
}

static void who_loses_leadership_tells_its_clients(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    elect(world);
    request_arrives(world, 1);
    turn(world, 503, "aD");
    message_arrives(world, MESSAGE_APPEND_REPLY, 9, false, 0); /* somebody has term 9 */
    turn(world, 504, "Dc");
    assert_int_equal(world->refused, 1);
    request_arrives(world, 2);
    turn(world, 505, "c"); /* not the leader any more */
    assert_int_equal(world->refused, 2);
    teardown(world);
}

static void who_loses_leadership_with_a_full_disk_tells_its_clients_later(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    elect(world);
    request_arrives(world, 1);
    turn(world, 503, "aD");
    world->fail = ENOSPC;
    message_arrives(world, MESSAGE_APPEND_REPLY, 9, false, 0);
    turn(world, 504, "F");
    world->fail = 0;
    turn(world, 554, "Dc");
    assert_int_equal(world->refused, 1);
    teardown(world);
}

/* A follower whose whole log is on disk only meets a leader that had replaced the end of it. */
static void a_conflict_below_the_tail_replaces_what_the_disk_has(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    peer_close(&world->peer);
    open_peer(world, 2, 3);
    struct entry entry = { 3, ENTRY_OPAQUE, 1, (const uint8_t *)"z" };
    uint64_t term = 3;
    struct packet packet = { .frame = { .kind = MESSAGE_APPEND_REQUEST,
                                        .from = 2,
                                        .to = 1,
                                        .count = 1,
                                        .term = 3,
                                        .raft = { .prev = { 2, 1 } } },
                             .entries = &entry,
                             .terms = &term };
    arrives(world, &packet);
    turn(world, 1, "Dr");
    assert_int_equal(world->found.last_index, 2);
    assert_int_equal(world->log[2].term, 3);
    teardown(world);
}

static void a_vote_is_told_as_stored_and_then_as_promised(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    message_arrives(world, MESSAGE_VOTE_REQUEST, 4, false, 0);
    turn(world, 1, "Dg");
    assert_int_equal(told(world, 0)->kind, NOTE_STORED);
    assert_int_equal(told(world, 0)->term, 4);
    assert_int_equal(told(world, 0)->other, 2);
    assert_int_equal(told(world, 1)->kind, NOTE_PROMISED);
    assert_int_equal(told(world, 1)->term, 4);
    assert_int_equal(told(world, 1)->other, 2);
    assert_null(told(world, 2));
    message_arrives(world, MESSAGE_APPEND_REQUEST, 4, false, 0);
    turn(world, 2, "r"); /* what is stored is acknowledged without a word */
    assert_null(told(world, 0));
    teardown(world);
}

/* The same log has the same hash, however it came to be. */
static void the_hash_of_the_log_follows_it(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    peer_close(&world->peer);
    open_peer(world, 2, 3);
    uint64_t whole = told(world, 0)->d;
    assert_int_not_equal(whole, 0);
    struct entry entries[] = { { 3, ENTRY_NOOP, 0, NULL }, { 3, ENTRY_NOOP, 0, NULL } };
    uint64_t terms[] = { 3, 3 };
    struct packet packet = { .frame = { .kind = MESSAGE_APPEND_REQUEST,
                                        .from = 2,
                                        .to = 1,
                                        .count = 2,
                                        .term = 3,
                                        .raft = { .prev = { 2, 2 } } },
                             .entries = entries,
                             .terms = terms };
    arrives(world, &packet); /* replaces index 3 and adds 4 */
    turn(world, 1, "Dr");
    struct note stored = *told(world, 0);
    assert_int_equal(stored.a, 3);
    assert_int_equal(stored.b, 4);
    assert_int_equal(stored.c, 3);
    assert_int_not_equal(stored.d, whole);
    peer_close(&world->peer);
    start_peer(world); /* reads it all */
    assert_int_equal(told(world, 0)->kind, NOTE_STARTED);
    assert_int_equal(told(world, 0)->d, stored.d);
    packet.frame.raft.prev = (struct log_id){ 0, 0 };
    packet.frame.term = terms[0] = entries[0].term = 4;
    packet.frame.count = 1;
    arrives(world, &packet); /* replaces all */
    turn(world, 2, "Dr");
    stored = *told(world, 0);
    assert_int_equal(stored.b, 1);
    peer_close(&world->peer);
    start_peer(world);
    assert_int_equal(told(world, 0)->d, stored.d);
    teardown(world);
}

/* Nothing of it is known to be committed, and without a no-op only a client's command can change
 * that. */
static void a_leader_with_a_long_log_takes_the_first_command(void **state)
{
    UNUSED(state);
    struct world *world = setup();
    peer_close(&world->peer);
    open_peer(world, 1, LOG_MAX - 8);
    turn(world, 500, "Dvv");
    message_arrives(world, MESSAGE_VOTE_REPLY, 2, true, 0);
    turn(world, 501, "aa");
    request_arrives(world, 1);
    turn(world, 502, "D"); /* taken; the followers have not answered the probes yet */
    request_arrives(world, 2);
    turn(world, 503, "c"); /* the second has to wait: too much is uncommitted */
    assert_int_equal(world->refused, 1);
    teardown(world);
}

/* What does not fit into a turn follows with the next: a leader that sends all at once is silent
 * for so long that it is one no more. */
static void who_is_far_behind_gets_a_part_each_turn(void **state)
{
    UNUSED(state);
    static uint8_t large[1u << 20];
    struct world *world = setup();
    peer_close(&world->peer);
    open_peer(world, 1, 5);
    for (int i = 1; i <= 5; i++)
        world->log[i] = (struct entry){ 1, ENTRY_OPAQUE, sizeof(large), large };
    turn(world, 500, "Dvv");
    message_arrives(world, MESSAGE_VOTE_REPLY, 2, true, 0);
    turn(world, 501, "aa");
    message_arrives(world, MESSAGE_APPEND_REPLY, 2, true, 0);
    turn(world, 502, "aa");
    message_arrives(world, MESSAGE_APPEND_REPLY, 2, true, 2);
    turn(world, 503, "aa");
    message_arrives(world, MESSAGE_APPEND_REPLY, 2, true, 4);
    turn(world, 504, "a");
    message_arrives(world, MESSAGE_APPEND_REPLY, 2, true, 5);
    turn(world, 505, "");
    teardown(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_leaves_after_it_is_stored),
        cmocka_unit_test(an_acknowledgement_leaves_after_the_entries_are_stored),
        cmocka_unit_test(a_leaders_appends_leave_before_its_own_disk),
        cmocka_unit_test(a_failed_commit_silences_the_peer),
        cmocka_unit_test(who_loses_leadership_tells_its_clients),
        cmocka_unit_test(who_loses_leadership_with_a_full_disk_tells_its_clients_later),
        cmocka_unit_test(a_conflict_below_the_tail_replaces_what_the_disk_has),
        cmocka_unit_test(a_vote_is_told_as_stored_and_then_as_promised),
        cmocka_unit_test(the_hash_of_the_log_follows_it),
        cmocka_unit_test(a_leader_with_a_long_log_takes_the_first_command),
        cmocka_unit_test(who_is_far_behind_gets_a_part_each_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
