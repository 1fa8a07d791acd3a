/* node/serve.c - what a peer does for clients: take commands, apply what is committed, answer.
 * A follower answers with the leader's id [R §8]; an answer to a command leaves when it has been
 * applied. */
#include "node/core/rules.h"
#include "node/turn.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { APPLY_A_TURN = 8192, APPLIED_CHECKPOINT = 64, UNCOMMITTED_MAX = 32768 };
static const uint64_t UNCOMMITTED_BYTES_MAX = 64u << 20, APPLY_BYTES_A_TURN = 8u << 20;

static struct packet reply_to(const struct packet *packet, enum message_kind kind,
                              const struct peer *peer)
{
    return (struct packet){
        .frame = {
            .kind = (uint8_t)kind,
            .from = (uint8_t)peer->config.raft.self,
            .to = packet->frame.from,
            .term = peer->raft.current_term,
            .client = { .request = packet->frame.client.request, .leader = peer->raft.leader },
        },
    };
}

static void answer(struct peer *peer, struct packet *reply, enum reply_status status)
{
    reply->frame.client.status = status;
    peer->net.send(peer->net.state, reply);
    peer->answers++;
}

/* Why the command cannot be taken now; REPLY_OK when it can. */
static enum reply_status refusal(const struct peer *peer, const struct packet *packet)
{
    const struct raft *raft = &peer->raft;
    if (raft->role != LEADER) return REPLY_NOT_LEADER;
    if (packet->frame.body_bytes > ENTRY_BYTES_MAX) return REPLY_TOO_LARGE;
    /* what earlier terms left is committed with the first entry of this one [R §5.4.2] */
    if (log_last(&raft->log).term != raft->current_term) return REPLY_OK;
    if (raft->log.last_index - raft->commit_index >= UNCOMMITTED_MAX) return REPLY_BUSY;
    if (raft->log.last_index > raft->commit_index && peer->tail.bytes > UNCOMMITTED_BYTES_MAX)
        return REPLY_BUSY;
    return REPLY_OK;
}

static struct log_id propose(struct peer *peer, const struct packet *packet, uint32_t kind,
                             const struct event *event)
{
    struct event proposal = *event;
    proposal.kind = EVENT_PROPOSE;
    raft_step(&peer->raft, &proposal, &peer->update);
    struct log_id at = peer->update.proposed;
    CHECK(at.index == peer->tail.last_index + 1);
    struct entry entry = { at.term, kind, packet->frame.body_bytes, packet->body };
    tail_append(&peer->tail, &entry);
    peer->proposals++;
    return at;
}

static struct pending *pending_at(const struct peer *peer, uint64_t index)
{
    return &peer->pending[index & (peer->pending_capacity - 1)];
}

static void set_result(struct packet *reply, const struct kv_answer *result)
{
    CHECK(result != NULL);
    reply->frame.flag = result->found;
    reply->body = result->value;
    reply->frame.body_bytes = result->value == NULL ? 0 : result->value_bytes;
}

static void answer_pending(struct peer *peer, uint64_t index, uint64_t term,
                           enum reply_status status, const struct kv_answer *result)
{
    struct pending *pending = pending_at(peer, index);
    if (pending->index != index) return;
    /* another leader's entry took its place */
    if (pending->term != term) status = peer->config.steps->lost(peer);
    struct packet reply = {
        .frame = {
            .kind = MESSAGE_CLIENT_REPLY,
            .from = (uint8_t)peer->config.raft.self,
            .to = (uint8_t)pending->client,
            .term = peer->raft.current_term,
            .client = { .request = pending->request, .index = index, .leader = peer->raft.leader },
        },
    };
    if (status == REPLY_OK) set_result(&reply, result);
    pending->index = 0;
    peer->pending_count--;
    answer(peer, &reply, status);
}

/* The ring doubles until those who wait have a place each. Who waits at that very index has lost:
 * its entry is gone. */
static void await(struct peer *peer, const struct pending *new)
{
    answer_pending(peer, new->index, 0, REPLY_LEADERSHIP_LOST, NULL);
    while (pending_at(peer, new->index)->index != 0) {
        struct peer larger = { .pending_capacity = 2 * peer->pending_capacity };
        larger.pending = calloc(larger.pending_capacity, sizeof(*larger.pending));
        CHECK(larger.pending != NULL);
        for (uint32_t i = 0; i < peer->pending_capacity; i++)
            if (peer->pending[i].index != 0)
                *pending_at(&larger, peer->pending[i].index) = peer->pending[i];
        free(peer->pending);
        peer->pending = larger.pending;
        peer->pending_capacity = larger.pending_capacity;
    }
    *pending_at(peer, new->index) = *new;
    peer->pending_count++;
}

/* A read that need not wait for the log, where there is such a thing. */
static void read_now(struct peer *peer, const struct packet *packet, struct packet *reply)
{
    struct kv_answer result = { 0 };
    err_t err = kv_apply(peer->kv, packet->body, packet->frame.body_bytes, &result);
    if (err == ERR_OK) set_result(reply, &result);
    answer(peer, reply, err == ERR_OK ? REPLY_OK : REPLY_BAD);
}

static void on_client_request(struct peer *peer, const struct packet *packet,
                              const struct event *event)
{
    struct packet reply = reply_to(packet, MESSAGE_CLIENT_REPLY, peer);
    struct kv_command command;
    enum reply_status status = refusal(peer, packet);
    if (status == REPLY_OK && kv_decode(packet->body, packet->frame.body_bytes, &command) != ERR_OK)
        status = REPLY_BAD;
    if (status != REPLY_OK) {
        answer(peer, &reply, status);
        return;
    }
    if (command.op == KV_GET && peer->raft.config.rules->may_read(&peer->raft)) {
        read_now(peer, packet, &reply);
        return;
    }
    struct log_id at = propose(peer, packet, ENTRY_COMMAND, event);
    await(peer,
          &(struct pending){ at.index, at.term, packet->frame.client.request, packet->frame.from });
}

/* The lab's Start(command): index, term and whether it leads, at once; nothing about the
 * outcome. */
static void on_start(struct peer *peer, const struct packet *packet, const struct event *event)
{
    struct packet reply = reply_to(packet, MESSAGE_START_REPLY, peer);
    enum reply_status status = refusal(peer, packet);
    if (status == REPLY_OK) {
        struct log_id at = propose(peer, packet, ENTRY_OPAQUE, event);
        reply.frame.client.index = at.index;
        reply.frame.flag = 1;
    }
    answer(peer, &reply, status);
}

/* What this peer has applied from `index` on, as much as one frame takes. */
static void on_applied_query(struct peer *peer, const struct packet *packet)
{
    struct packet reply = reply_to(packet, MESSAGE_APPLIED_REPLY, peer);
    uint64_t from = MAX_OF(packet->frame.client.index, 1);
    reply.frame.client.index = from;
    if (from <= peer->raft.last_applied)
        reply.frame.count = peer_gather(peer, from, peer->raft.last_applied, &reply.entries);
    answer(peer, &reply, REPLY_OK);
}

void serve_request(struct peer *peer, const struct packet *packet, const struct event *event)
{
    switch (packet->frame.kind) {
    case MESSAGE_CLIENT_REQUEST: on_client_request(peer, packet, event); break;
    case MESSAGE_START_REQUEST: on_start(peer, packet, event); break;
    case MESSAGE_APPLIED_QUERY: on_applied_query(peer, packet); break;
    default: break; /* replies are for clients, not for peers */
    }
}

static void apply_entry(struct peer *peer, uint64_t index, const struct entry *entry)
{
    struct kv_answer result = { 0 };
    enum reply_status status = REPLY_OK;
    if (entry->kind == ENTRY_COMMAND) {
        err_t err = peer->config.steps->apply(peer, entry, &result);
        if (err == ERR_TOO_LARGE) status = REPLY_TOO_LARGE;
        else if (err != ERR_OK) status = REPLY_BAD;
        else if (result.stale) status = REPLY_STALE;
    }
    uint64_t seed = peer->state_hash ^ (entry->term << 8 | entry->kind);
    peer->state_hash = XXH3_64bits_withSeed(entry->data, entry->bytes, seed);
    answer_pending(peer, index, entry->term, status, &result);
}

/* Peers compare hashes at checkpoints and wherever a turn ends, which for an idle cluster is the
 * same index. */
static void note_applied(struct peer *peer, uint64_t index)
{
    struct update *update = &peer->update;
    if (update->notes_count >= UPDATE_NOTES_MAX) return;
    update->notes[update->notes_count++] = (struct note){
        .time_ns = peer->raft.now_ns,
        .kind = NOTE_APPLIED,
        .self = (uint8_t)peer->config.raft.self,
        .term = peer->raft.current_term,
        .a = index,
        .b = peer->state_hash,
    };
}

bool serve_applied(struct peer *peer)
{
    struct raft *raft = &peer->raft;
    uint64_t index = raft->last_applied, noted = index, bytes = 0;
    uint64_t limit = MIN_OF(peer->update.apply_to, index + APPLY_A_TURN);
    bool readable = true;
    while (index < limit && bytes < APPLY_BYTES_A_TURN) {
        const struct entry *entries;
        const struct entry *newest = tail_get(&peer->tail, index + 1);
        uint32_t count = 1;
        if (newest != NULL) entries = newest;
        else count = peer_gather(peer, index + 1, limit, &entries);
        readable = count > 0;
        if (!readable) break;
        for (uint32_t i = 0; i < count; i++) {
            bytes += entries[i].bytes;
            apply_entry(peer, ++index, &entries[i]);
            if (index % APPLIED_CHECKPOINT == 0) note_applied(peer, noted = index);
        }
    }
    if (index == raft->last_applied) return readable;
    if (index > noted) note_applied(peer, index);
    struct event event = { .kind = EVENT_APPLIED, .now_ns = raft->now_ns, .index = index };
    raft_step(raft, &event, &peer->update);
    peer->net.flush(peer->net.state);
    return readable;
}

void serve_lost(struct peer *peer)
{
    for (uint32_t i = 0; i < peer->pending_capacity; i++)
        if (peer->pending[i].index != 0)
            answer_pending(peer, peer->pending[i].index, 0, REPLY_LEADERSHIP_LOST, NULL);
    peer->net.flush(peer->net.state);
}
