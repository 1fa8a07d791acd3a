/* sim/wrong_steps.c - what published bugs did instead of a step of node/turn.c. All of this is
 * wrong. A comment says what somebody may have thought. */
#include "sim/wrong_steps.h"

#include <stdlib.h>
#include <string.h>

/* ---- entries of struct steps ---- */

/* this one does not fit, but the next may */
enum packing skip_what_does_not_fit(uint32_t count, size_t bytes, const struct entry *next)
{
    if (count == WIRE_ENTRIES_MAX) return PACK_STOP;
    return count > 0 && bytes + next->bytes > WIRE_BYTES_SOFT ? PACK_SKIP : PACK_TAKE;
}

/* a committed command is executed: that is what the log is for */
err_t apply_again(struct peer *peer, const struct entry *entry, struct kv_answer *answer)
{
    struct kv_command command;
    err_t err = kv_decode(entry->data, entry->bytes, &command);
    if (err != ERR_OK) return err;
    command.client = 0; /* no session: nobody looks whether it was executed before */
    size_t bytes = kv_encoded_bytes(&command);
    uint8_t *plain = malloc(bytes);
    CHECK(plain != NULL);
    kv_encode(&command, plain, bytes);
    err = kv_apply(peer->kv, plain, bytes, answer);
    free(plain);
    return err;
}

/* clients talk to the leader, so its state is the one that counts; the others have the log */
err_t apply_at_the_leader(struct peer *peer, const struct entry *entry, struct kv_answer *answer)
{
    *answer = (struct kv_answer){ .found = false };
    if (peer->raft.role != LEADER) return ERR_OK;
    return kv_apply(peer->kv, entry->data, entry->bytes, answer);
}

/* this peer does not lead any more, so it tells that */
enum reply_status lost_is_refused(const struct peer *peer)
{
    UNUSED(peer);
    return REPLY_NOT_LEADER;
}

/* ---- the disk ---- */

/* state is saved where the log changes */
err_t term_with_entries_only(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    if (save->count == 0 && save->truncate_from == 0) return ERR_OK;
    struct disk_save all = *save;
    all.hard = true;
    all.term = seams->peer->raft.current_term;
    all.voted_for = seams->peer->raft.voted_for;
    return plain_commit(seams, &all, why);
}

/* votedFor is a matter of one election */
err_t without_the_vote(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    struct disk_save most = *save;
    most.voted_for = PEER_NONE;
    return plain_commit(seams, &most, why);
}

/* two values, two writes: first votedFor, then currentTerm */
err_t vote_then_term(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    const struct peer *peer = seams->peer;
    if (save->hard && save->term != seams->stored_term) {
        struct disk_save vote = { .hard = true,
                                  .term = seams->stored_term,
                                  .voted_for = save->voted_for };
        err_t err = plain_commit(seams, &vote, why);
        if (err != ERR_OK) return err;
        if (peer->at_point != NULL) { /* a peer can die here, too */
            peer->at_point(peer->context, KILL_AFTER_COMMIT);
            peer->at_point(peer->context, KILL_BEFORE_COMMIT);
        }
    }
    return plain_commit(seams, save, why);
}

void forget_owed(struct bug_seams *seams)
{
    free(seams->owed_entries);
    free(seams->owed_bytes);
    seams->owed_entries = NULL;
    seams->owed_bytes = NULL;
    seams->owes = false;
}

static void owe(struct bug_seams *seams, const struct disk_save *save)
{
    size_t bytes = 1, used = 0;
    for (uint32_t i = 0; i < save->count; i++) bytes += save->entries[i].bytes;
    struct entry *entries = malloc((save->count + 1u) * sizeof(*entries));
    uint8_t *data = malloc(bytes);
    CHECK(entries != NULL);
    CHECK(data != NULL);
    for (uint32_t i = 0; i < save->count; i++) {
        entries[i] = save->entries[i];
        entries[i].data = data + used;
        if (entries[i].bytes > 0) memcpy(data + used, save->entries[i].data, entries[i].bytes);
        used += entries[i].bytes;
    }
    seams->owed = *save;
    seams->owed.entries = seams->owed_entries = entries;
    seams->owed_bytes = data;
    seams->owes = true;
}

static err_t pay(struct bug_seams *seams, int *why)
{
    err_t err = seams->owes ? plain_commit(seams, &seams->owed, why) : ERR_OK;
    if (err == ERR_OK) forget_owed(seams);
    return err;
}

/* the disk is slow, the answer need not wait for it: the write comes with the next turn */
err_t commit_later(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    err_t err = pay(seams, why);
    if (err == ERR_OK) owe(seams, save);
    return err;
}

/* the second half of commit_later: answers have left by now */
bool receive_after_commit(struct bug_seams *seams, struct packet *packet)
{
    int why = 0;
    pay(seams, &why);
    return plain_receive(seams, packet);
}

/* the kernel will write it some time */
err_t commit_unsynced(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    struct disk_save unsynced = *save;
    unsynced.lazy = true;
    return plain_commit(seams, &unsynced, why);
}

/* deleting needs no fsync: what is gone is gone */
err_t truncate_unsynced(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    struct disk_save unsynced = *save;
    unsynced.lazy = save->truncate_from != 0;
    return plain_commit(seams, &unsynced, why);
}

/* the error is logged, the peer goes on with what it has in memory */
err_t failure_unsaid(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    if (!seams->deaf && plain_commit(seams, save, why) != ERR_OK) seams->deaf = true;
    return ERR_OK;
}

/* heartbeats are a matter of the clock, not of the disk */
err_t heartbeats_all_the_same(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    const struct raft *raft = &seams->peer->raft;
    err_t err = plain_commit(seams, save, why);
    if (err == ERR_OK || raft->role != LEADER) return err;
    for (uint32_t id = 1; id <= raft->config.peers; id++) {
        uint64_t match = raft->followers[id].match_index;
        struct message beat = { .kind = MESSAGE_APPEND_REQUEST,
                                .from = (uint8_t)raft->config.self,
                                .to = (uint8_t)id,
                                .term = raft->current_term,
                                .prev = { log_term(&raft->log, match), match },
                                .commit_index = MIN_OF(raft->commit_index, match) };
        struct packet packet;
        packet_of_message(&beat, &packet);
        if (id != raft->config.self) seams->net.send(seams->net.state, &packet);
    }
    seams->net.flush(seams->net.state);
    return err;
}

/* ---- the network ---- */

static bool is_request(const struct packet *packet)
{
    return packet->frame.kind == MESSAGE_VOTE_REQUEST ||
           packet->frame.kind == MESSAGE_APPEND_REQUEST;
}

/* Requests go to one peer after the other; when one fails, the loop returns the error. */
void send_until_one_fails(struct bug_seams *seams, struct packet *packet)
{
    const struct raft *raft = &seams->peer->raft;
    uint32_t to = packet->frame.to;
    if (is_request(packet)) {
        uint64_t *asked_ns = &seams->asked_ns[to];
        if (seams->broken_off != 0 && seams->broken_off != to) return;
        if (*asked_ns != 0 && raft->now_ns - *asked_ns > raft->config.election_min_ns / 2)
            seams->broken_off = to; /* it has not answered: the others are not asked */
        if (*asked_ns == 0) *asked_ns = raft->now_ns;
    }
    seams->net.send(seams->net.state, packet);
}

/* who answers does not fail */
bool hear_answers(struct bug_seams *seams, struct packet *packet)
{
    bool any = plain_receive(seams, packet);
    if (any && packet->frame.from <= seams->peer->raft.config.peers)
        seams->asked_ns[packet->frame.from] = 0;
    return any;
}

/* the next round begins with the first peer again */
void begin_new_round(struct bug_seams *seams)
{
    seams->broken_off = 0;
    seams->net.flush(seams->net.state);
}

/* ---- the network, as a course's first solution has it ---- */

void forget_calls(struct bug_seams *seams)
{
    for (uint32_t i = 0; i < seams->calls_count; i++) free(seams->calls[i].bytes);
    seams->calls_count = 0;
    free(seams->scratch);
    seams->scratch = NULL;
}

static void make_call(struct bug_seams *seams, struct call call)
{
    struct packet packet;
    uint32_t self = seams->peer->raft.config.self;
    err_t err = wire_decode(call.bytes, call.length, self, call.to, seams->scratch, &packet);
    CHECK(err == ERR_OK);
    seams->net.send(seams->net.state, &packet);
    seams->called = call.to;
    seams->answer = call.kind == MESSAGE_VOTE_REQUEST ? MESSAGE_VOTE_REPLY : MESSAGE_APPEND_REPLY;
    seams->called_ns = seams->peer->raft.now_ns;
}

/* Calls of a term that is over are not made any more. */
static void make_next_call(struct bug_seams *seams)
{
    struct call call = seams->calls[0];
    seams->calls_count--;
    memmove(seams->calls, seams->calls + 1, seams->calls_count * sizeof(call));
    if (call.term == seams->peer->raft.current_term) make_call(seams, call);
    free(call.bytes);
}

/* A call ends with its answer, or after a time in which many elections could have been held. */
void go_on_calling(struct bug_seams *seams)
{
    const struct raft *raft = &seams->peer->raft;
    if (raft->now_ns - seams->called_ns > 10 * raft->config.election_max_ns) seams->called = 0;
    while (seams->called == 0 && seams->calls_count > 0) make_next_call(seams);
    seams->net.flush(seams->net.state);
}

/* ok := peer.Call(request): for each peer in turn, and each waits for its answer */
void call_in_turn(struct bug_seams *seams, struct packet *packet)
{
    if (!is_request(packet)) {
        seams->net.send(seams->net.state, packet);
        return;
    }
    if (seams->calls_count == CALLS_MAX) return;
    if (seams->scratch == NULL) seams->scratch = malloc(sizeof(*seams->scratch));
    CHECK(seams->scratch != NULL);
    struct call call = { .to = packet->frame.to,
                         .kind = packet->frame.kind,
                         .term = packet->frame.term,
                         .length = wire_bytes(packet) };
    call.bytes = malloc(call.length);
    CHECK(call.bytes != NULL);
    wire_encode(packet, call.bytes);
    seams->calls[seams->calls_count++] = call;
}

/* the answer to the call: the loop goes on with the next peer */
bool return_from_call(struct bug_seams *seams, struct packet *packet)
{
    bool any = plain_receive(seams, packet);
    if (any && packet->frame.from == seams->called && packet->frame.kind == seams->answer)
        seams->called = 0;
    return any;
}
