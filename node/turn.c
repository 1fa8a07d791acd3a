/* node/turn.c - the turn of node/turn.h, in its order. (U1..U3) are kept by peer_turn and save. */
#include "node/turn.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { RUNS_SPARE = WIRE_ENTRIES_MAX + 1, STEPS_A_TURN = 4096, PENDING_FIRST = 64 };
static const uint64_t TAIL_KEEP_BYTES = 4u << 20;
static const uint64_t BYTES_A_TURN = 8u << 20;
/* to one follower: half a ring. Who is far behind must not keep the leader from its heartbeats */
static const uint64_t SEND_BYTES_A_TURN = 2u << 20;

static void step(struct peer *peer, const struct event *event)
{
    raft_step(&peer->raft, event, &peer->update);
}

/* The core's log may take one run for each entry of a message: have room before the step. */
static void make_room(struct peer *peer)
{
    struct log *log = &peer->raft.log;
    if (log_room(log) >= RUNS_SPARE) return;
    uint32_t capacity = log->capacity * 2;
    struct term_run *old = log->runs, *memory = malloc(capacity * sizeof(*memory));
    CHECK(memory != NULL);
    log_give(log, memory, capacity);
    free(old);
}

/* ---- drain ---- */

/* After a step with an append request: the tail follows the core's log. (index, term) names the
 * content [R §5.3]. */
static void follow_log(struct peer *peer, const struct packet *packet)
{
    for (uint32_t i = 0; i < packet->frame.count; i++) {
        uint64_t index = packet->frame.raft.prev.index + 1 + i;
        const struct entry *entry = &packet->entries[i];
        if (log_term(&peer->raft.log, index) != entry->term) return; /* the core refused it */
        bool kept = peer->update.save_from == 0 || index < peer->update.save_from;
        if (index < peer->tail.first_index && kept) continue; /* as it is on the disk */
        const struct entry *ours = tail_get(&peer->tail, index);
        if (ours != NULL && ours->term == entry->term) continue;
        tail_truncate(&peer->tail, index);
        tail_append(&peer->tail, entry);
    }
}

/* A new leader's no-op is the core's own entry: give it its (empty) bytes. */
static void follow_noop(struct peer *peer)
{
    while (peer->tail.last_index < peer->raft.log.last_index) {
        uint64_t term = log_term(&peer->raft.log, peer->tail.last_index + 1);
        struct entry noop = { term, ENTRY_NOOP, 0, NULL };
        tail_append(&peer->tail, &noop);
    }
}

static void take_packet(struct peer *peer, const struct packet *packet, struct event *event)
{
    uint32_t from = packet->frame.from, kind = packet->frame.kind;
    bool is_peer = from >= 1 && from <= peer->config.raft.peers;
    if (kind == MESSAGE_TIMEOUT_NOW && !is_peer) {
        event->kind = EVENT_TIMEOUT_NOW;
        step(peer, event);
        return;
    }
    if (kind > MESSAGE_TIMEOUT_NOW) {
        serve_request(peer, packet, event);
        return;
    }
    if (!is_peer) return; /* the paper's RPCs come from peers */
    struct message message;
    message_of_packet(packet, &message);
    event->kind = EVENT_MESSAGE;
    event->message = &message;
    step(peer, event);
    event->message = NULL;
    /* a term that is over may have taken entries with it */
    if (peer->tail.last_index > peer->raft.log.last_index)
        tail_truncate(&peer->tail, peer->raft.log.last_index + 1);
    if (kind == MESSAGE_APPEND_REQUEST) follow_log(peer, packet);
    else follow_noop(peer); /* it may have been elected: proposals of this turn come behind that */
}

/* Many steps, one update. True when something may still wait in the network. */
static bool drain(struct peer *peer, struct event *event)
{
    struct packet packet;
    uint64_t bytes = 0;
    for (int steps = 0; steps < STEPS_A_TURN && bytes < BYTES_A_TURN; steps++) {
        if (!update_has_room(&peer->update)) return true;
        make_room(peer);
        if (!peer->net.receive(peer->net.state, &packet)) return false;
        bytes += sizeof(packet.frame) + packet.frame.body_bytes;
        take_packet(peer, &packet, event);
        event->random = 0; /* one draw of random bits a turn is enough: the core mixes its own */
    }
    return true;
}

/* ---- send ---- */

struct gathering {
    struct peer *peer;
    uint32_t count;
    size_t bytes;
};

static bool gather_read(void *context, uint64_t index, const struct entry *entry)
{
    struct gathering *g = context;
    UNUSED(index);
    enum packing packing = g->peer->config.steps->pack(g->count, g->bytes, entry);
    if (packing != PACK_TAKE) return packing == PACK_SKIP;
    if (entry->bytes > 0) memcpy(g->peer->bytes + g->bytes, entry->data, entry->bytes);
    g->peer->scratch->entries[g->count] = *entry;
    g->peer->scratch->entries[g->count++].data = g->peer->bytes + g->bytes;
    g->bytes += entry->bytes;
    return true;
}

uint32_t peer_gather(struct peer *peer, uint64_t first, uint64_t last, const struct entry **entries)
{
    struct gathering g = { .peer = peer };
    *entries = peer->scratch->entries;
    if (first < peer->tail.first_index) {
        last = MIN_OF(last, peer->tail.first_index - 1);
        err_t err = peer->disk.read(peer->disk.state, first, last, gather_read, &g);
        return err == ERR_OK ? g.count : 0;
    }
    for (uint64_t index = first; index <= last; index++) {
        const struct entry *entry = tail_get(&peer->tail, index);
        CHECK(entry != NULL);
        enum packing packing = peer->config.steps->pack(g.count, g.bytes, entry);
        if (packing == PACK_STOP) break;
        if (packing == PACK_SKIP) continue;
        peer->scratch->entries[g.count++] = *entry;
        g.bytes += entry->bytes;
    }
    return g.count;
}

/* The core speaks of ranges of any size; on the wire they are as many frames as it takes, or as
 * may leave in one turn. What cannot be read is as good as lost: the next heartbeat shows it. */
static void send_entries(struct peer *peer, const struct message *message)
{
    struct message part = *message;
    uint64_t end = message->prev.index + message->count, bytes = 0;
    while (part.prev.index < end && bytes < SEND_BYTES_A_TURN) {
        struct packet packet;
        packet_of_message(&part, &packet);
        packet.frame.count = peer_gather(peer, part.prev.index + 1, end, &packet.entries);
        if (packet.frame.count == 0) return;
        peer->net.send(peer->net.state, &packet);
        bytes += wire_bytes(&packet);
        part.prev.index += packet.frame.count;
        part.prev.term = log_term(&peer->raft.log, part.prev.index);
    }
    if (part.prev.index == end) return;
    struct event event = { .kind = EVENT_UNSENT,
                           .now_ns = peer->raft.now_ns,
                           .message = message,
                           .index = part.prev.index };
    step(peer, &event);
}

static struct note *peer_note(struct peer *peer, enum note_kind kind)
{
    struct update *update = &peer->update;
    struct note *note = &update->overflow;
    if (update->notes_count < UPDATE_NOTES_MAX) note = &update->notes[update->notes_count++];
    *note = (struct note){
        .time_ns = peer->raft.now_ns,
        .kind = (uint16_t)kind,
        .self = (uint8_t)peer->config.raft.self,
        .term = peer->raft.current_term,
    };
    return note;
}

/* What the messages promise, in the highest of their terms: for who judges this turn. Silent where
 * it is no vote and the disk has it. */
static void note_promises(struct peer *peer, const struct message *messages, uint32_t count)
{
    uint64_t term = 0, match = 0;
    uint32_t vote = PEER_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const struct message *message = &messages[i];
        if (message->term < term) continue;
        if (message->term > term) {
            term = message->term;
            match = 0;
            vote = PEER_NONE;
        }
        if (message->kind == MESSAGE_VOTE_REQUEST) vote = message->from;
        if (message->kind == MESSAGE_VOTE_REPLY && message->granted) vote = message->to;
        if (message->kind == MESSAGE_APPEND_REPLY && message->granted)
            match = MAX_OF(match, message->match_index);
    }
    if (vote == PEER_NONE && term <= peer->disk_term && match <= peer->disk_last) return;
    struct note *note = peer_note(peer, NOTE_PROMISED);
    note->term = term;
    note->other = (uint8_t)vote;
    note->a = match;
}

static void send_all(struct peer *peer, struct message *messages, uint32_t *count)
{
    note_promises(peer, messages, *count);
    for (uint32_t i = 0; i < *count; i++) {
        struct packet packet;
        packet_of_message(&messages[i], &packet);
        if (packet.frame.count > 0) send_entries(peer, &messages[i]);
        else peer->net.send(peer->net.state, &packet);
    }
    *count = 0;
    peer->net.flush(peer->net.state);
}

/* ---- save ---- */

static void point(struct peer *peer, enum kill_point where)
{
    if (peer->at_point != NULL) peer->at_point(peer->context, where);
}

/* An entry at its place; the sum over a log names what it holds. */
static uint64_t entry_hash(uint64_t index, const struct entry *entry)
{
    uint64_t seed = index * 0x9e3779b97f4a7c15ull ^ entry->term << 8 ^ entry->kind;
    return XXH3_64bits_withSeed(entry->data, entry->bytes, seed);
}

static bool subtract_hash(void *context, uint64_t index, const struct entry *entry)
{
    uint64_t *hash = context;
    *hash -= entry_hash(index, entry);
    return true;
}

/* The hash of the log that `save` will leave on the disk. False: not known. */
static bool hash_after(struct peer *peer, const struct disk_save *save, uint64_t *hash)
{
    bool known = peer->disk_hashed;
    *hash = peer->disk_hash;
    if (save->truncate_from == peer->raft.log.first_index) {
        *hash = 0;
        known = true;
    } else if (save->truncate_from != 0) {
        known &= peer->disk.read(peer->disk.state, save->truncate_from, peer->disk_last,
                                 subtract_hash, hash) == ERR_OK;
    }
    for (uint32_t i = 0; i < save->count; i++)
        *hash += entry_hash(save->first_index + i, &save->entries[i]);
    return known;
}

static void note_stored(struct peer *peer, const struct disk_save *save)
{
    struct note *note = peer_note(peer, NOTE_STORED);
    note->term = peer->disk_term;
    note->other = (uint8_t)peer->disk_vote;
    note->a = save->first_index;
    note->b = peer->disk_last;
    note->c = log_term(&peer->raft.log, peer->disk_last);
    note->d = peer->disk_hashed ? peer->disk_hash : 0;
}

static void follow_disk(struct peer *peer, const struct disk_save *save, bool hashed, uint64_t hash)
{
    if (save->hard) {
        peer->disk_term = save->term;
        peer->disk_vote = save->voted_for;
    }
    if (save->first_index != 0) peer->disk_last = save->first_index + save->count - 1;
    peer->disk_hashed = hashed;
    peer->disk_hash = hash;
    peer->disk_commits++;
}

/* One transaction with everything that the update wants durable. On false, U3. */
static bool commit_update(struct peer *peer)
{
    struct update *update = &peer->update;
    struct raft *raft = &peer->raft;
    uint64_t from = update->save_from, last = raft->log.last_index;
    struct disk_save save = { .hard = update->save_hard,
                              .term = raft->current_term,
                              .voted_for = raft->voted_for };
    struct entry *entries = NULL;
    if (from != 0) {
        save.truncate_from = from <= peer->disk_last ? from : 0;
        save.first_index = from;
        save.count = (uint32_t)(last + 1 - from);
        entries = malloc((save.count + 1u) * sizeof(*entries));
        CHECK(entries != NULL);
        for (uint32_t i = 0; i < save.count; i++) {
            const struct entry *entry = tail_get(&peer->tail, from + i);
            CHECK(entry != NULL);
            entries[i] = *entry;
        }
        save.entries = entries;
    }
    int why = 0;
    uint64_t hash;
    bool hashed = hash_after(peer, &save, &hash);
    point(peer, KILL_BEFORE_COMMIT);
    err_t err = peer->disk.commit(peer->disk.state, &save, &why);
    if (err == ERR_OK) {
        follow_disk(peer, &save, hashed, hash);
        note_stored(peer, &save);
    }
    free(entries);
    if (err != ERR_OK) {
        if (peer->disk_errno == 0) {
            peer->failed_ns = raft->now_ns;
            peer_note(peer, NOTE_DISK_FAILED)->a = (uint64_t)(why == 0 ? -1 : why);
        }
        peer->disk_errno = why == 0 ? -1 : why;
        return false;
    }
    point(peer, KILL_AFTER_COMMIT);
    update->save_hard = false;
    update->save_from = 0;
    return true;
}

static bool save(struct peer *peer, struct event *event)
{
    struct update *update = &peer->update;
    if (!update->save_hard && update->save_from == 0) return true;
    if (!commit_update(peer)) return false;
    if (peer->disk_errno != 0) {
        peer_note(peer, NOTE_DISK_RESUMED)->a = event->now_ns - peer->failed_ns;
        peer->disk_errno = 0;
    }
    event->kind = EVENT_STORED;
    event->index = peer->raft.log.last_index;
    step(peer, event);
    follow_noop(peer); /* a single voter becomes leader right here */
    return true;
}

/* ---- the turn ---- */

/* Steps may add to save_* after the save (a single voter that becomes leader); that part is the
 * next turn's. */
static void begin(struct peer *peer)
{
    bool hard = peer->update.save_hard;
    uint64_t from = peer->update.save_from;
    update_reset(&peer->update);
    peer->update.save_hard = hard;
    peer->update.save_from = from;
}

uint64_t peer_turn(struct peer *peer, uint64_t now_ns, uint64_t random)
{
    struct raft *raft = &peer->raft;
    struct event event = { .now_ns = MAX_OF(now_ns, raft->now_ns), .random = random };
    bool more = true;
    if (peer->disk_errno == 0) {
        begin(peer);
        more = drain(peer, &event);
        event.kind = EVENT_TICK;
        step(peer, &event);
        event.kind = EVENT_FLUSH;
        step(peer, &event);
        follow_noop(peer);
        send_all(peer, peer->update.early, &peer->update.early_count);
    } else {
        peer->update.notes_count = 0; /* the host has published them */
        if (event.now_ns < peer->retry_at_ns) return peer->retry_at_ns;
    }
    if (!save(peer, &event)) return peer->retry_at_ns = event.now_ns + peer->config.retry_ns;
    point(peer, KILL_BEFORE_SEND);
    send_all(peer, peer->update.late, &peer->update.late_count);
    point(peer, KILL_AFTER_SEND);
    if (peer->pending_count > 0 && raft->role != LEADER) serve_lost(peer);
    bool readable = serve_applied(peer);
    tail_trim(&peer->tail, MIN_OF(raft->last_applied, raft->durable_index),
              peer->config.tail_keep_bytes);
    more |= readable && raft->commit_index > raft->last_applied;
    more |= peer->update.save_hard || peer->update.save_from != 0;
    if (more) return 0;
    uint64_t due_ns = raft_deadline(raft);
    return readable ? due_ns : MIN_OF(due_ns, event.now_ns + peer->config.retry_ns);
}

static bool take_term(void *context, uint64_t index, const struct entry *entry)
{
    struct peer *peer = context;
    make_room(peer);
    log_append(&peer->raft.log, entry->term);
    peer->disk_hash += entry_hash(index, entry);
    return true;
}

/* The core keeps the terms of the whole log: read them all, once. */
static err_t load_terms(struct peer *peer, const struct disk_found *found)
{
    if (found->last_index < found->first_index) return ERR_OK;
    return peer->disk.read(peer->disk.state, found->first_index, found->last_index, take_term,
                           peer);
}

err_t peer_open(struct peer *peer, const struct peer_config *config, const struct disk *disk,
                const struct net *net, uint64_t now_ns, uint64_t random)
{
    memset(peer, 0, sizeof(*peer));
    peer->config = *config;
    if (config->steps == NULL) peer->config.steps = &steps_raft;
    if (config->tail_keep_bytes == 0) peer->config.tail_keep_bytes = TAIL_KEEP_BYTES;
    peer->disk = *disk;
    peer->net = *net;
    struct disk_found found;
    err_t err = disk->load(disk->state, &found);
    if (err != ERR_OK) return err;

    struct log log;
    uint32_t capacity = 2 * RUNS_SPARE;
    struct term_run *runs = malloc(capacity * sizeof(*runs));
    peer->scratch = malloc(sizeof(*peer->scratch));
    peer->bytes = malloc(WIRE_BYTES_SOFT + ENTRY_BYTES_MAX);
    peer->pending_capacity = PENDING_FIRST;
    peer->pending = calloc(PENDING_FIRST, sizeof(*peer->pending));
    peer->kv = kv_new();
    CHECK(runs != NULL);
    CHECK(peer->scratch != NULL);
    CHECK(peer->bytes != NULL);
    CHECK(peer->pending != NULL);
    CHECK(peer->kv != NULL);
    log_init(&log, runs, capacity);
    peer->raft.log = log;
    err = load_terms(peer, &found);
    if (err != ERR_OK) {
        peer_close(peer);
        return err;
    }
    log = peer->raft.log;
    raft_init(&peer->raft, &config->raft, found.term, found.voted_for, &log, now_ns, random);
    tail_init(&peer->tail, log.last_index);
    peer->disk_term = found.term;
    peer->disk_vote = found.voted_for;
    peer->disk_last = log.last_index;
    peer->disk_hashed = true;
    struct note *note = peer_note(peer, NOTE_STARTED);
    note->other = (uint8_t)found.voted_for;
    note->b = log.last_index;
    note->c = log_last(&log).term;
    note->d = peer->disk_hash;
    return ERR_OK;
}

void peer_close(struct peer *peer)
{
    if (peer->tail.slots != NULL) tail_free(&peer->tail);
    if (peer->disk.close != NULL) peer->disk.close(peer->disk.state);
    kv_free(peer->kv);
    free(peer->pending);
    free(peer->bytes);
    free(peer->scratch);
    free(peer->raft.log.runs);
    memset(peer, 0, sizeof(*peer));
}
