/* sim/node.c - the seams, the turn, a crash that hides what comes after it. */
#include "sim/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define U(x) ((unsigned long long)(x))

enum { INBOX_MAX = 6000, CALM_TIMEOUTS = 5 };
/* What a turn may do, or it lasts for too long: 2 MiB to a follower, 8 MiB to be applied, and one
 * entry beyond. */
static const uint64_t SENT_MAX = (2u << 20) + ENTRY_BYTES_MAX + 4096;
static const uint64_t APPLIED_MAX = (8u << 20) + ENTRY_BYTES_MAX;
static const uint64_t AGAIN_NS = 50 * NS_PER_US; /* between turns of which the first wants more */

/* ---- time ---- */

static uint64_t own_time(const struct node *node, uint64_t ns)
{
    uint64_t passed_ns = ns - node->clock_from_ns, rate = node->rate_ppm;
    return node->clock_own_ns + passed_ns / PPM * rate + passed_ns % PPM * rate / PPM;
}

static uint64_t world_time(const struct node *node, uint64_t own_ns)
{
    if (own_ns == TIME_NEVER) return TIME_NEVER;
    if (own_ns <= node->clock_own_ns) return node->clock_from_ns;
    uint64_t left_ns = own_ns - node->clock_own_ns, rate = node->rate_ppm;
    return node->clock_from_ns + left_ns / rate * PPM + left_ns % rate * PPM / rate + 1;
}

void world_skew(struct world *world, uint32_t id, uint32_t rate_ppm)
{
    struct node *node = &world->nodes[id];
    uint64_t due_ns = node->wake_ns == TIME_NEVER ? TIME_NEVER : own_time(node, node->wake_ns);
    world->tally[TALLY_SKEWED] += rate_ppm != node->rate_ppm;
    node->clock_own_ns = own_time(node, world->now_ns);
    node->clock_from_ns = world->now_ns;
    node->rate_ppm = rate_ppm;
    node->wake_ns = world_time(node, due_ns);
}

static void wake(struct node *node, uint64_t at_ns)
{
    node->wake_ns = MIN_OF(node->wake_ns, at_ns);
}

/* ---- arrivals ---- */

bool node_decode(struct world *world, const struct parcel *parcel, struct wire_scratch *scratch,
                 struct packet *packet)
{
    err_t err = wire_decode((const uint8_t *)parcel->bytes, parcel->length, parcel->from,
                            parcel->to, scratch, packet);
    if (err != ERR_OK) world->tally[TALLY_CORRUPT]++;
    return err == ERR_OK;
}

void node_deliver(struct node *node, struct parcel *parcel)
{
    struct world *world = node->world;
    if (!node->up || node->waiting == INBOX_MAX) {
        world->tally[node->up ? TALLY_FULL : TALLY_DOWN]++;
        free(parcel);
        return;
    }
    const struct frame *frame = (const struct frame *)(const void *)parcel->bytes;
    world->tally[TALLY_REQUESTS] +=
        frame->kind == MESSAGE_VOTE_REQUEST || frame->kind == MESSAGE_APPEND_REQUEST;
    parcel->next = NULL;
    if (node->first == NULL) node->first = parcel;
    else node->last->next = parcel;
    node->last = parcel;
    node->waiting++;
    wake(node, world->now_ns + rng_range(&world->rng, 0, world->lag_ns));
}

/* ---- crashes ---- */

static void die(struct node *node)
{
    const struct update *update = &node->peer.update;
    node->dead = true;
    /* what it did before counts if nobody can find it undone */
    bool stored = node->saved || (!update->save_hard && update->save_from == 0);
    node->notes_alive = stored ? update->notes_count : 0;
}

static void at_point(void *context, enum kill_point point)
{
    struct node *node = context;
    if (node->dead || node->crash_at != (uint32_t)point) return;
    static const enum tally tallies[] = { [KILL_BEFORE_SEND] = TALLY_CRASHED_BEFORE_SEND,
                                          [KILL_BEFORE_COMMIT] = TALLY_CRASHED_BEFORE_COMMIT,
                                          [KILL_AFTER_COMMIT] = TALLY_CRASHED_AFTER_COMMIT,
                                          [KILL_AFTER_SEND] = TALLY_CRASHED_AFTER_SEND };
    node->world->tally[tallies[point]]++;
    die(node);
}

static void free_list(struct parcel *first)
{
    while (first != NULL) {
        struct parcel *next = first->next;
        free(first);
        first = next;
    }
}

/* (D1) the commit under way is done or not, as chance has it */
static void break_commit(struct node *node)
{
    struct world *world = node->world;
    if (node->done_ns == TIME_NEVER) return;
    world->tally[TALLY_CRASHED_IN_COMMIT]++;
    if (rng_chance(&world->rng, PPM / 2)) ledger_save(&world->ledger, node->id, node->held);
    else world->tally[TALLY_COMMIT_UNDONE]++;
}

void node_bury(struct node *node)
{
    break_commit(node);
    peer_close(&node->peer);
    bug_unwrap(node->seams);
    node->seams = NULL;
    free(node->open);
    free_list(node->first);
    free_list(node->outbox);
    free(node->held);
    node->open = node->first = node->outbox = NULL;
    node->held = NULL;
    node->waiting = 0;
    node->up = node->dead = false;
    node->crash_at = KILL_NOWHERE;
    node->wake_ns = node->done_ns = TIME_NEVER;
    node->world->calm_since_ns = TIME_NEVER;
    world_mix(node->world, node->id);
}

/* ---- the disk ---- */

static err_t disk_load(void *state, struct disk_found *found)
{
    struct node *node = state;
    const struct image *disk = &node->world->ledger.disks[node->id];
    if (node->disk_errno != 0) return err_begin(ERR_STORAGE, "errno %d", node->disk_errno);
    *found = (struct disk_found){ disk->term, disk->voted_for, 1, disk->count };
    return ERR_OK;
}

/* A copy in one piece, with the bytes of its entries. */
static struct disk_save *copy_of(const struct disk_save *save)
{
    size_t bytes = sizeof(*save) + save->count * sizeof(*save->entries);
    for (uint32_t i = 0; i < save->count; i++) bytes += save->entries[i].bytes;
    struct disk_save *copy = malloc(bytes);
    CHECK(copy != NULL);
    *copy = *save;
    struct entry *entries = (struct entry *)(copy + 1);
    uint8_t *data = (uint8_t *)(entries + save->count);
    for (uint32_t i = 0; i < save->count; i++) {
        entries[i] = save->entries[i];
        entries[i].data = data;
        if (entries[i].bytes > 0) memcpy(data, save->entries[i].data, entries[i].bytes);
        data += entries[i].bytes;
    }
    copy->entries = entries;
    return copy;
}

static err_t disk_commit(void *state, const struct disk_save *save, int *why)
{
    struct node *node = state;
    struct world *world = node->world;
    *why = node->dead ? EIO : node->disk_errno;
    if (*why != 0) {
        if (!node->dead) world->tally[TALLY_COMMIT_FAILED]++;
        return err_begin(ERR_STORAGE, "errno %d", *why);
    }
    node->saved = true;
    node->cut |= save->truncate_from != 0;
    if (node->disk_ns > 0 && node->held == NULL) {
        world->tally[TALLY_COMMIT_SLOW]++;
        node->held = copy_of(save);
        node->done_ns = world->now_ns + node->disk_ns;
    } else {
        ledger_save(&world->ledger, node->id, save);
    }
    return ERR_OK;
}

/* The entries that are handed out end exactly where their memory does, and live no longer than
 * they have to. */
static err_t disk_read(void *state, uint64_t first, uint64_t last,
                       bool (*each)(void *, uint64_t, const struct entry *), void *context)
{
    struct node *node = state;
    const struct image *disk = &node->world->ledger.disks[node->id];
    int why = node->disk_errno != 0 ? node->disk_errno : node->read_errno;
    node->world->tally[why != 0 ? TALLY_READ_FAILED : TALLY_READ]++;
    if (why != 0) return err_begin(ERR_STORAGE, "errno %d", why);
    for (uint64_t i = first; i <= last; i++) {
        if (i > disk->count) return err_begin(ERR_CORRUPT, "no entry");
        struct entry entry = disk->log[i - 1].entry;
        uint8_t *copy = malloc(MAX_OF(entry.bytes, 1));
        CHECK(copy != NULL);
        if (entry.bytes > 0) memcpy(copy, entry.data, entry.bytes);
        entry.data = copy;
        bool taken = each(context, i, &entry);
        free(copy);
        if (!taken) break;
        node->bytes_read += entry.bytes;
    }
    return ERR_OK;
}

static void disk_close(void *state)
{
    UNUSED(state);
}

/* ---- the network ---- */

static void count_frame(struct node *node, struct packet *packet)
{
    struct world *world = node->world;
    const struct frame *frame = &packet->frame;
    if (frame->kind != MESSAGE_APPEND_REQUEST || frame->count == 0) return;
    uint64_t bytes = wire_bytes(packet);
    node->bytes_sent[frame->to] += bytes;
    if (frame->count == WIRE_ENTRIES_MAX) world->tally[TALLY_FRAME_FULL]++;
    if (bytes > WIRE_BYTES_SOFT + WIRE_BYTES_SOFT / 2) world->tally[TALLY_FRAME_LARGE]++;
    if (node->end_sent[frame->to] == frame->raft.prev.index) world->tally[TALLY_FRAMES_SPLIT]++;
    node->end_sent[frame->to] = frame->raft.prev.index + frame->count;
}

/* What it sends of its log is what its log says, in frames that rings have room for. */
static void check_append(struct node *node, const struct packet *packet)
{
    const struct frame *frame = &packet->frame;
    const struct log *log = &node->peer.raft.log;
    if (frame->kind != MESSAGE_APPEND_REQUEST) return;
    uint64_t index = frame->raft.prev.index;
    bool right = log_term(log, index) == frame->raft.prev.term;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < frame->count; i++) {
        right &= log_term(log, index + 1 + i) == packet->entries[i].term;
        bytes += packet->entries[i].bytes;
    }
    if (frame->count > 1 && bytes > WIRE_BYTES_SOFT)
        ledger_broken(&node->world->ledger, "FR", "peer %u sends %llu bytes in one frame", node->id,
                      U(bytes));
    if (!right)
        ledger_broken(&node->world->ledger, "LM", "peer %u sends what its log does not have",
                      node->id);
}

/* It leaves, now. */
static void depart(struct node *node, struct parcel *parcel)
{
    struct world *world = node->world;
    const struct frame *frame = (const struct frame *)(const void *)parcel->bytes;
    if (frame->kind == MESSAGE_CLIENT_REPLY) /* the news may not outlive this turn */
        ledger_committed(&world->ledger, &node->peer, node->commit_seen);
    ledger_sent(&world->ledger, frame);
    world_mix(world, frame->checksum);
    network_send(&world->network, parcel, world->now_ns);
}

static void net_send(void *state, struct packet *packet)
{
    struct node *node = state;
    if (!node->dead && node->crash_at == CRASH_AMONG_SENDS && node->crash_sends-- == 0) {
        node->world->tally[TALLY_CRASHED_AMONG_SENDS]++;
        die(node);
    }
    if (node->dead) return;
    count_frame(node, packet);
    check_append(node, packet);
    struct parcel *parcel = parcel_new(&node->world->network, packet, node->world->now_ns);
    if (node->held == NULL) {
        depart(node, parcel);
        return;
    }
    if (node->outbox == NULL) node->outbox = parcel; /* (D1) */
    else node->outbox_last->next = parcel;
    node->outbox_last = parcel;
}

static bool net_receive(void *state, struct packet *packet)
{
    struct node *node = state;
    while (node->first != NULL) {
        free(node->open);
        node->open = node->first;
        node->first = node->first->next;
        node->waiting--;
        node->took = true;
        if (node_decode(node->world, node->open, node->scratch, packet)) return true;
    }
    return false;
}

static void net_flush(void *state)
{
    UNUSED(state);
}

/* ---- what is checked of a turn ---- */

static void check_stable(struct node *node, const struct note *note)
{
    struct world *world = node->world;
    uint64_t since_ns = MAX_OF(world->calm_since_ns, world->led_since_ns);
    if (note->kind == NOTE_BECAME_LEADER) world->led_since_ns = world->now_ns;
    if (note->kind != NOTE_ELECTION_TIMEOUT || world->calm_since_ns == TIME_NEVER) return;
    if (world->now_ns - since_ns < CALM_TIMEOUTS * world->config.raft.election_max_ns) return;
    uint32_t leader = world_leader(world);
    if (leader == 0 || leader == node->id || world_paused(world, leader)) return;
    ledger_broken(&world->ledger, "ST",
                  "peer %u gives up on its leader in term %llu; nothing was wrong for %llu ms, and "
                  "peer %u leads",
                  node->id, U(note->term), U((world->now_ns - since_ns) / NS_PER_MS), leader);
}

static void tell(struct node *node, uint32_t notes)
{
    struct world *world = node->world;
    for (uint32_t i = 0; i < notes; i++) {
        struct note note = node->peer.update.notes[i];
        ledger_note(&world->ledger, &note);
        check_stable(node, &note);
        if (note.kind == NOTE_BECAME_LEADER) world->tally[TALLY_LED]++;
        if (note.kind == NOTE_BECAME_CANDIDATE) world->tally[TALLY_CANDIDATE]++;
        if (note.kind == NOTE_TRUNCATED) world->tally[TALLY_TRUNCATED]++;
        if (note.kind == NOTE_STEPPED_DOWN) world->tally[TALLY_STEPPED_DOWN]++;
        if (world->each_note == NULL) continue;
        note.time_ns = world->now_ns;
        world->each_note(world->context, &note);
    }
}

/* Who does not lead has told all who waited for it. */
static void check_pending(struct node *node)
{
    const struct peer *peer = &node->peer;
    if (peer->raft.role == LEADER || peer->pending_count == 0 || peer->disk_errno != 0) return;
    ledger_broken(&node->world->ledger, "PE", "peer %u does not lead and lets %u clients wait",
                  node->id, peer->pending_count);
}

/* A peer that does not sleep has something to do. */
static void check_due(struct node *node, uint64_t own_ns, uint64_t due_ns)
{
    const struct peer *peer = &node->peer;
    bool past = due_ns < own_ns || (due_ns == own_ns && peer->disk_errno != 0);
    bool idle = !node->saved && !node->took && peer->update.notes_count == 0;
    if (due_ns == 0 ? idle : past)
        ledger_broken(&node->world->ledger, "SP", "peer %u has nothing to do and would not sleep",
                      node->id);
}

/* What a leader counts as sent has been sent, to the last frame. */
static void check_sent(struct node *node)
{
    const struct raft *raft = &node->peer.raft;
    if (raft->role != LEADER || node->read_errno != 0 || node->disk_errno != 0) return;
    if (node->seams != NULL) return; /* a wrong network may keep what the leader has sent */
    for (uint32_t id = 1; id <= raft->config.peers; id++) {
        if (node->end_sent[id] == TIME_NEVER || raft->followers[id].probing) continue;
        if (node->bytes_sent[id] > SENT_MAX)
            ledger_broken(&node->world->ledger, "BO", "peer %u sends %llu bytes in one turn",
                          node->id, U(node->bytes_sent[id]));
        if (node->end_sent[id] + 1 != raft->followers[id].next_index)
            ledger_broken(&node->world->ledger, "SE", "peer %u has not sent all to peer %u",
                          node->id, id);
    }
}

/* Of what it takes in and keeps. */
static void check_limits(struct node *node, bool was_failing)
{
    struct world *world = node->world;
    const struct peer *peer = &node->peer;
    const struct raft *raft = &peer->raft;
    if (was_failing && node->took)
        ledger_broken(&world->ledger, "U3", "peer %u cannot write and takes packets in", node->id);
    uint64_t needed = MIN_OF(raft->last_applied, raft->durable_index) + 1;
    if (peer->disk_errno == 0 && peer->tail.first_index < needed &&
        peer->tail.bytes > peer->config.tail_keep_bytes)
        ledger_broken(&world->ledger, "ME", "peer %u keeps %llu bytes of entries", node->id,
                      U(peer->tail.bytes));
    if (!node->cut && node->bytes_read > SENT_MAX * world->peers + APPLIED_MAX)
        ledger_broken(&world->ledger, "BO", "peer %u reads %llu bytes in one turn", node->id,
                      U(node->bytes_read));
    if (peer->disk_errno == 0 && node->first != NULL) world->tally[TALLY_TURN_FULL]++;
    if (node->read_errno == 0 && raft->last_applied < raft->commit_index)
        world->tally[TALLY_APPLY_FULL]++;
}

/* What a leader believes of its followers. */
static void check_match(struct node *node)
{
    const struct raft *raft = &node->peer.raft;
    if (raft->role != LEADER) return;
    if (node->match_term != raft->current_term) {
        node->match_term = raft->current_term;
        memset(node->match_seen, 0, (raft->config.peers + 1u) * sizeof(node->match_seen[0]));
    }
    for (uint32_t id = 1; id <= raft->config.peers; id++) {
        uint64_t match = raft->followers[id].match_index;
        if (match == node->match_seen[id] || id == node->id) continue;
        ledger_match(&node->world->ledger, raft, id, node->match_seen[id]);
        node->match_seen[id] = match;
    }
}

/* ---- turns ---- */

/* All that this turn did has happened. */
static void settle(struct node *node)
{
    struct world *world = node->world;
    const struct peer *peer = &node->peer;
    tell(node, peer->update.notes_count);
    ledger_committed(&world->ledger, peer, node->commit_seen);
    ledger_state(&world->ledger, peer);
    node->commit_seen = peer->raft.commit_index;
    check_match(node);
}

/* The slow commit is done: what had to wait for it happens now. */
static void release(struct node *node)
{
    struct disk_save *save = node->held;
    struct parcel *parcel = node->outbox;
    node->held = NULL;
    node->outbox = NULL;
    node->done_ns = TIME_NEVER;
    ledger_save(&node->world->ledger, node->id, save);
    free(save);
    while (parcel != NULL) {
        struct parcel *next = parcel->next;
        depart(node, parcel);
        parcel = next;
    }
}

static void take_turn(struct node *node)
{
    struct world *world = node->world;
    struct peer *peer = &node->peer;
    uint64_t own_ns = own_time(node, world->now_ns);
    bool failing = peer->disk_errno != 0;
    size_t peers = (world->peers + 1u) * sizeof(node->bytes_sent[0]);
    node->saved = node->took = node->cut = false;
    node->bytes_read = 0;
    memset(node->bytes_sent, 0, peers);
    memset(node->end_sent, 0xff, peers);
    world->tally[TALLY_TURNS]++;
    world_mix(world, world->now_ns ^ node->id);
    uint64_t due_ns = peer_turn(peer, own_ns, rng_next(&world->rng));
    if (node->dead) {
        if (node->held != NULL) release(node);
        tell(node, node->notes_alive);
        node_bury(node);
        return;
    }
    check_pending(node);
    check_due(node, own_ns, due_ns);
    check_limits(node, failing);
    check_sent(node);
    if (node->held == NULL) settle(node);
    node->wake_ns = world->now_ns + AGAIN_NS;
    /* who cannot write its disk takes nothing in: then what waits keeps nobody awake */
    if (due_ns != 0 && (node->first == NULL || peer->disk_errno != 0))
        node->wake_ns = MAX_OF(node->wake_ns, world_time(node, due_ns));
}

uint64_t node_due_ns(const struct node *node)
{
    if (!node->up) return TIME_NEVER;
    uint64_t due_ns = node->done_ns != TIME_NEVER ? node->done_ns : node->wake_ns;
    return MAX_OF(due_ns, node->paused_ns);
}

void node_act(struct node *node)
{
    if (node->done_ns == TIME_NEVER) {
        take_turn(node);
        return;
    }
    release(node);
    settle(node);
}

void node_start(struct node *node)
{
    struct world *world = node->world;
    if (node->up) return;
    struct peer_config config = world->config;
    config.raft.self = node->id;
    struct disk disk = { node, disk_load, disk_commit, disk_read, disk_close };
    struct net net = { node, net_send, net_receive, net_flush };
    node->seams = bug_wrap(world->bug, &node->peer, &disk, &net, &config);
    err_t err = peer_open(&node->peer, &config, &disk, &net, own_time(node, world->now_ns),
                          rng_next(&world->rng));
    world->tally[err == ERR_OK ? TALLY_RESTARTED : TALLY_REFUSED_START]++;
    if (err != ERR_OK) {
        bug_unwrap(node->seams);
        node->seams = NULL;
        return;
    }
    node->peer.at_point = at_point;
    node->peer.context = node;
    node->up = true;
    node->commit_seen = 0;
    node->match_term = 0;
    node->paused_ns = 0;
    node->done_ns = TIME_NEVER;
    node->wake_ns = world->now_ns;
    tell(node, node->peer.update.notes_count);
}
