/* tests/bug_steps_test.c - the museum's wrong steps: each does, behind the two seams of a peer,
 * what its story says. Its wrong rules: tests/bug_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/bug.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- steps ---- */

static struct steps steps_of(const char *name)
{
    struct steps steps;
    bug_steps(bug_find(name), &steps);
    return steps;
}

static void a_frame_leaves_out_what_does_not_fit(void **state)
{
    UNUSED(state);
    struct steps wrong = steps_of("skip-large-entry");
    struct entry large = { .bytes = 1000 }, small = { .bytes = 1 };
    size_t full = WIRE_BYTES_SOFT - 500;
    assert_int_equal(steps_raft.pack(3, full, &large), PACK_STOP);
    assert_int_equal(wrong.pack(3, full, &large), PACK_SKIP);
    assert_int_equal(wrong.pack(3, full, &small), PACK_TAKE); /* the gap is behind it */
    assert_int_equal(steps_raft.pack(0, 0, &large), PACK_TAKE);
    assert_int_equal(steps_raft.pack(WIRE_ENTRIES_MAX, 0, &small), PACK_STOP);
    assert_int_equal(wrong.pack(WIRE_ENTRIES_MAX, 0, &small),
                     PACK_STOP); /* or it would never end */
}

static struct entry command_entry(uint32_t op, uint64_t sequence, uint8_t bytes[128])
{
    struct kv_command command = { .client = 7,
                                  .sequence = sequence,
                                  .op = op,
                                  .key = (const uint8_t *)"k",
                                  .key_bytes = 1,
                                  .value = (const uint8_t *)"x",
                                  .value_bytes = op == KV_APPEND };
    return (struct entry){ .kind = ENTRY_COMMAND,
                           .bytes = (uint32_t)kv_encode(&command, bytes, 128),
                           .data = bytes };
}

/* What key k holds after an append that came twice. */
static void append_twice(const struct steps *steps, enum role role, const char *expected)
{
    uint8_t bytes[128];
    struct peer *peer = calloc(1, sizeof(*peer));
    struct kv_answer answer;
    assert_non_null(peer);
    peer->kv = kv_new();
    peer->raft.role = role;
    struct entry append = command_entry(KV_APPEND, 1, bytes);
    for (int i = 0; i < 2; i++) assert_int_equal(steps->apply(peer, &append, &answer), ERR_OK);
    struct entry get = command_entry(KV_GET, 2, bytes);
    assert_int_equal(steps_raft.apply(peer, &get, &answer), ERR_OK);
    assert_int_equal(answer.found, expected != NULL);
    if (expected != NULL) {
        assert_int_equal(answer.value_bytes, strlen(expected));
        assert_memory_equal(answer.value, expected, strlen(expected));
    }
    kv_free(peer->kv);
    free(peer);
}

static void a_repeated_command_is_executed_again(void **state)
{
    UNUSED(state);
    struct steps wrong = steps_of("retry-executed-twice");
    append_twice(&steps_raft, LEADER, "x");
    append_twice(&wrong, LEADER, "xx");
    uint8_t junk[3] = { 1, 2, 3 };
    struct entry entry = { .kind = ENTRY_COMMAND, .bytes = sizeof(junk), .data = junk };
    struct kv_answer answer;
    assert_int_equal(wrong.apply(NULL, &entry, &answer), ERR_CORRUPT);
}

static void only_a_leader_applies(void **state)
{
    UNUSED(state);
    struct steps wrong = steps_of("followers-do-not-apply");
    append_twice(&steps_raft, FOLLOWER, "x");
    append_twice(&wrong, FOLLOWER, NULL);
    append_twice(&wrong, LEADER, "x");
}

static void a_lost_command_is_refused(void **state)
{
    UNUSED(state);
    struct steps wrong = steps_of("failed-yet-committed");
    assert_int_equal(steps_raft.lost(NULL), REPLY_LEADERSHIP_LOST);
    assert_int_equal(wrong.lost(NULL), REPLY_NOT_LEADER);
}

/* ---- a peer between two seams that note everything ---- */

enum { NOTED_MAX = 16 };
static struct bench {
    struct peer peer;
    struct peer_config config;
    struct disk disk;
    struct net net;
    struct bug_seams *seams;
    struct disk_save saves[NOTED_MAX];
    uint32_t saves_count, points, sent[NOTED_MAX], sent_count, flushes;
    int disk_errno;
    struct packet arriving; /* kind of its frame 0 and from 0: none */
    struct disk_found found;
    uint64_t read_from;
    bool closed;
} bench;

static err_t note_load(void *state, struct disk_found *found)
{
    *found = ((struct bench *)state)->found;
    return ERR_OK;
}

static err_t note_commit(void *state, const struct disk_save *save, int *why)
{
    struct bench *b = state;
    *why = b->disk_errno;
    if (b->disk_errno != 0) return err_begin(ERR_STORAGE, "errno %d", b->disk_errno);
    assert_true(b->saves_count < NOTED_MAX);
    b->saves[b->saves_count++] = *save;
    return ERR_OK;
}

static err_t note_read(void *state, uint64_t first, uint64_t last,
                       bool (*each)(void *, uint64_t, const struct entry *), void *context)
{
    UNUSED(last);
    UNUSED(each);
    UNUSED(context);
    ((struct bench *)state)->read_from = first;
    return ERR_OK;
}

static void note_close(void *state)
{
    ((struct bench *)state)->closed = true;
}

static void note_send(void *state, struct packet *packet)
{
    struct bench *b = state;
    assert_true(b->sent_count < NOTED_MAX);
    b->sent[b->sent_count++] = packet->frame.to;
}

static bool note_receive(void *state, struct packet *packet)
{
    struct bench *b = state;
    if (b->arriving.frame.from == 0) return false;
    *packet = b->arriving;
    b->arriving.frame.from = 0;
    return true;
}

static void note_flush(void *state)
{
    ((struct bench *)state)->flushes++;
}

static void note_point(void *context, enum kill_point point)
{
    UNUSED(point);
    ((struct bench *)context)->points++;
}

/* Peer 1 of 4, which has term 3 and a vote for 2 on disk. */
static void open_bench(const char *name)
{
    memset(&bench, 0, sizeof(bench));
    bench.found = (struct disk_found){ 3, 2, 1, 0 };
    bench.disk = (struct disk){ &bench, note_load, note_commit, note_read, note_close };
    bench.net = (struct net){ &bench, note_send, note_receive, note_flush };
    bench.peer.at_point = note_point;
    bench.peer.context = &bench;
    bench.peer.raft.config = (struct raft_config){
        .self = 1, .peers = 4, .election_min_ns = 100, .election_max_ns = 200
    };
    bench.peer.raft.log.first_index = 1;
    bench.peer.raft.current_term = 4;
    bench.peer.raft.voted_for = 3;
    struct disk_found found;
    const struct bug *bug = name != NULL ? bug_find(name) : NULL;
    bench.seams = bug_wrap(bug, &bench.peer, &bench.disk, &bench.net, &bench.config);
    assert_int_equal(bench.disk.load(bench.disk.state, &found), ERR_OK);
    assert_int_equal(found.term, 3);
}

static void close_bench(void)
{
    bench.disk.read(bench.disk.state, 42, 43, NULL, NULL);
    assert_int_equal(bench.read_from, 42);
    bench.disk.close(bench.disk.state);
    assert_true(bench.closed);
    bug_unwrap(bench.seams);
}

static err_t commit(bool hard, uint64_t truncate_from, uint32_t count)
{
    static const struct entry entry = { 4, ENTRY_COMMAND, 3, (const uint8_t *)"abc" };
    struct disk_save save = { .hard = hard,
                              .term = 4,
                              .voted_for = 3,
                              .truncate_from = truncate_from,
                              .first_index = 1,
                              .entries = &entry,
                              .count = count };
    int why = 0;
    return bench.disk.commit(bench.disk.state, &save, &why);
}

static void send_to(uint32_t to, enum message_kind kind)
{
    struct packet packet = { .frame = { .kind = (uint8_t)kind,
                                        .from = 1,
                                        .to = (uint8_t)to,
                                        .term = bench.peer.raft.current_term } };
    bench.net.send(bench.net.state, &packet);
}

static void receive_from(uint32_t from, enum message_kind kind)
{
    struct packet packet;
    bench.arriving.frame.from = (uint8_t)from;
    bench.arriving.frame.kind = (uint8_t)kind;
    assert_true(bench.net.receive(bench.net.state, &packet));
    assert_int_equal(packet.frame.from, from);
    assert_false(bench.net.receive(bench.net.state, &packet));
}

static void without_a_bug_nothing_is_changed(void **state)
{
    UNUSED(state);
    open_bench(NULL);
    assert_null(bench.seams);
    assert_ptr_equal(bench.disk.state, &bench);
    assert_ptr_equal(bench.net.state, &bench);
    assert_null(bench.config.raft.rules);
    assert_null(bench.config.steps);
    close_bench();
    open_bench("commit-goes-back"); /* a rule leaves the seams alone */
    assert_ptr_equal(bench.disk.state, &bench);
    assert_ptr_not_equal(bench.config.raft.rules->follower_commit, rules_raft.follower_commit);
    close_bench();
}

/* ---- the disk ---- */

static void the_term_is_saved_with_entries_only(void **state)
{
    UNUSED(state);
    open_bench("term-not-stored");
    assert_int_equal(commit(true, 0, 0), ERR_OK);
    assert_int_equal(bench.saves_count, 0);
    assert_int_equal(commit(false, 0, 1), ERR_OK);
    assert_int_equal(bench.saves_count, 1);
    assert_true(bench.saves[0].hard);
    assert_int_equal(bench.saves[0].term, 4);
    close_bench();
}

static void the_vote_is_not_saved(void **state)
{
    UNUSED(state);
    open_bench("vote-not-stored");
    assert_int_equal(commit(true, 0, 0), ERR_OK);
    assert_int_equal(bench.saves_count, 1);
    assert_int_equal(bench.saves[0].term, 4);
    assert_int_equal(bench.saves[0].voted_for, PEER_NONE);
    close_bench();
}

static void vote_and_term_are_two_writes(void **state)
{
    UNUSED(state);
    open_bench("vote-then-term");
    assert_int_equal(commit(true, 0, 1), ERR_OK);
    assert_int_equal(bench.saves_count, 2);
    assert_int_equal(bench.points, 2); /* a peer can be killed between them */
    assert_int_equal(bench.saves[0].term, 3);
    assert_int_equal(bench.saves[0].voted_for, 3);
    assert_int_equal(bench.saves[0].count, 0);
    assert_int_equal(bench.saves[1].term, 4);
    assert_int_equal(commit(true, 0, 0), ERR_OK); /* the term is the same now */
    assert_int_equal(bench.saves_count, 3);
    bench.disk_errno = ENOSPC;
    bench.peer.raft.current_term = 5;
    assert_int_equal(commit(true, 0, 0), ERR_STORAGE);
    close_bench();
}

static void answers_leave_before_the_write(void **state)
{
    struct packet packet;
    UNUSED(state);
    open_bench("ack-before-write");
    assert_int_equal(commit(true, 0, 1), ERR_OK);
    assert_int_equal(bench.saves_count, 0);
    send_to(2, MESSAGE_VOTE_REPLY);
    assert_int_equal(bench.sent_count, 1);
    assert_int_equal(bench.saves_count, 0);
    bench.net.receive(bench.net.state, &packet); /* the next turn */
    assert_int_equal(bench.saves_count, 1);
    assert_int_equal(commit(true, 0, 1), ERR_OK);
    bench.disk_errno = EIO;
    assert_int_equal(commit(true, 0, 1), ERR_STORAGE); /* the one before has failed by now */
    close_bench();                                     /* what is owed dies with the peer */
    assert_int_equal(bench.saves_count, 1);
}

static void writes_are_not_synced(void **state)
{
    UNUSED(state);
    open_bench("ack-before-sync");
    assert_int_equal(commit(true, 0, 0), ERR_OK);
    assert_true(bench.saves[0].lazy);
    close_bench();
    open_bench("truncation-not-synced");
    assert_int_equal(commit(true, 0, 1), ERR_OK);
    assert_int_equal(commit(true, 1, 1), ERR_OK);
    assert_false(bench.saves[0].lazy);
    assert_true(bench.saves[1].lazy);
    close_bench();
}

static void a_failed_write_counts_as_done(void **state)
{
    UNUSED(state);
    open_bench("failed-write-unsaid");
    assert_int_equal(commit(true, 0, 1), ERR_OK);
    assert_int_equal(bench.saves_count, 1);
    bench.disk_errno = EIO;
    assert_int_equal(commit(true, 0, 1), ERR_OK);
    bench.disk_errno = 0;
    assert_int_equal(commit(true, 0, 1), ERR_OK); /* nothing is written any more */
    assert_int_equal(bench.saves_count, 1);
    close_bench();
}

static void heartbeats_go_on_without_a_disk(void **state)
{
    UNUSED(state);
    for (int leads = 0; leads < 2; leads++) {
        open_bench("heartbeats-without-disk");
        bench.peer.raft.role = leads ? LEADER : FOLLOWER;
        assert_int_equal(commit(true, 0, 1), ERR_OK);
        assert_int_equal(bench.sent_count, 0);
        bench.disk_errno = EIO;
        assert_int_equal(commit(true, 0, 1), ERR_STORAGE);
        assert_int_equal(bench.sent_count, leads ? 3 : 0);
        close_bench();
    }
}

/* ---- the network ---- */

static void send_round(void)
{
    for (uint32_t id = 2; id <= 4; id++) send_to(id, MESSAGE_APPEND_REQUEST);
    bench.net.flush(bench.net.state);
}

static void a_round_ends_at_who_fails(void **state)
{
    UNUSED(state);
    open_bench("stop-at-first-failure");
    bench.peer.raft.now_ns = 1000;
    send_round();
    assert_int_equal(bench.sent_count, 3);
    receive_from(3, MESSAGE_APPEND_REPLY);
    receive_from(4, MESSAGE_APPEND_REPLY);
    bench.peer.raft.now_ns = 1051; /* 2 has not answered for more than half a timeout */
    send_round();
    assert_int_equal(bench.sent_count, 4);
    assert_int_equal(bench.sent[3], 2);
    send_to(4, MESSAGE_VOTE_REPLY); /* answers are not in the loop */
    assert_int_equal(bench.sent_count, 5);
    receive_from(2, MESSAGE_APPEND_REPLY);
    send_round();
    assert_int_equal(bench.sent_count, 8);
    close_bench();
}

static void a_call_waits_for_its_answer(void **state)
{
    UNUSED(state);
    open_bench("sync-rpc");
    bench.peer.raft.now_ns = 1000;
    for (uint32_t id = 2; id <= 4; id++) send_to(id, MESSAGE_VOTE_REQUEST);
    bench.net.flush(bench.net.state);
    assert_int_equal(bench.sent_count, 1);
    assert_int_equal(bench.sent[0], 2);
    receive_from(3, MESSAGE_VOTE_REPLY);   /* of another */
    receive_from(2, MESSAGE_APPEND_REPLY); /* to something else */
    bench.net.flush(bench.net.state);
    assert_int_equal(bench.sent_count, 1);
    receive_from(2, MESSAGE_VOTE_REPLY);
    bench.net.flush(bench.net.state);
    assert_int_equal(bench.sent_count, 2);
    assert_int_equal(bench.sent[1], 3);
    bench.peer.raft.now_ns = 1000 + 10 * 200 + 1; /* 3 never answers: the call returns at last */
    bench.net.flush(bench.net.state);
    assert_int_equal(bench.sent_count, 3);
    assert_int_equal(bench.sent[2], 4);
    send_to(2, MESSAGE_VOTE_REQUEST);
    bench.peer.raft.current_term++; /* a call of a term that is over is not made */
    receive_from(4, MESSAGE_VOTE_REPLY);
    bench.net.flush(bench.net.state);
    assert_int_equal(bench.sent_count, 3);
    for (uint32_t i = 0; i < 1000; i++) send_to(2, MESSAGE_APPEND_REQUEST); /* they are not kept */
    close_bench();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_leaves_out_what_does_not_fit),
        cmocka_unit_test(a_repeated_command_is_executed_again),
        cmocka_unit_test(only_a_leader_applies),
        cmocka_unit_test(a_lost_command_is_refused),
        cmocka_unit_test(without_a_bug_nothing_is_changed),
        cmocka_unit_test(the_term_is_saved_with_entries_only),
        cmocka_unit_test(the_vote_is_not_saved),
        cmocka_unit_test(vote_and_term_are_two_writes),
        cmocka_unit_test(answers_leave_before_the_write),
        cmocka_unit_test(writes_are_not_synced),
        cmocka_unit_test(a_failed_write_counts_as_done),
        cmocka_unit_test(heartbeats_go_on_without_a_disk),
        cmocka_unit_test(a_round_ends_at_who_fails),
        cmocka_unit_test(a_call_waits_for_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
