/* sim/world.c - the seams, a crash that hides what comes after it, the order of time. */
#include "sim/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INBOX_MAX = 6000 };
/* What a turn may do, or it lasts for too long: 2 MiB to a follower, 8 MiB to be applied, and one
 * entry beyond. */
static const uint64_t SENT_MAX = (2u << 20) + ENTRY_BYTES_MAX + 4096;
static const uint64_t APPLIED_MAX = (8u << 20) + ENTRY_BYTES_MAX;
static const uint64_t AGAIN_NS = 50 * NS_PER_US; /* between turns of which the first wants more */

struct parcel { /* a packet under way, as bytes */
    uint64_t deliver_at_ns, order;
    struct parcel *next;
    uint32_t from, to;
    size_t length;
    uint64_t bytes[];
};

/* ---- what is under way: a heap ---- */

static bool earlier(const struct parcel *a, const struct parcel *b)
{
    if (a->deliver_at_ns != b->deliver_at_ns) return a->deliver_at_ns < b->deliver_at_ns;
    return a->order < b->order;
}

static void flights_push(struct world *world, struct parcel *parcel)
{
    if (world->flights_count == world->flights_capacity) {
        world->flights_capacity = MAX_OF(2 * world->flights_capacity, 256);
        world->flights = realloc(world->flights, world->flights_capacity * sizeof(struct parcel *));
        CHECK(world->flights != NULL);
    }
    size_t at = world->flights_count++;
    for (; at > 0 && earlier(parcel, world->flights[(at - 1) / 2]); at = (at - 1) / 2)
        world->flights[at] = world->flights[(at - 1) / 2];
    world->flights[at] = parcel;
}

static struct parcel *flights_pop(struct world *world)
{
    struct parcel **heap = world->flights, *first = heap[0];
    struct parcel *last = heap[--world->flights_count];
    size_t at = 0, count = world->flights_count;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && earlier(heap[child + 1], heap[child])) child++;
        if (child >= count || !earlier(heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* ---- the network ---- */

static void launch(struct world *world, const struct parcel *of, uint64_t deliver_at_ns,
                   bool corrupt)
{
    struct parcel *parcel = malloc(sizeof(*parcel) + of->length);
    CHECK(parcel != NULL);
    memcpy(parcel, of, sizeof(*parcel) + of->length);
    parcel->deliver_at_ns = deliver_at_ns;
    parcel->order = ++world->order;
    if (corrupt) {
        uint64_t bit = rng_range(&world->rng, 0, 8 * of->length - 1);
        ((uint8_t *)parcel->bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    uint64_t *latest_ns = &world->latest_ns[of->from][of->to];
    if (deliver_at_ns < *latest_ns) world->tally[TALLY_OVERTOOK]++;
    *latest_ns = MAX_OF(*latest_ns, deliver_at_ns);
    flights_push(world, parcel);
}

/* A packet leaves `late_ns` from now. */
static void dispatch(struct world *world, struct packet *packet, uint64_t late_ns)
{
    uint32_t from = packet->frame.from, to = packet->frame.to;
    CHECK(to < WORLD_ENDPOINTS);
    packet->frame.sequence = ++world->order;
    packet->frame.sent_ns = world->now_ns;
    size_t length = wire_bytes(packet);
    struct link_fate fate;
    link_decide(&world->links[from][to], &world->rules[from][to], world->now_ns, &fate);
    if (fate.cause == LINK_CUT) world->tally[TALLY_CUT]++;
    if (fate.cause == LINK_LOST) world->tally[TALLY_LOST]++;
    if (fate.copies == 2) world->tally[TALLY_DUPLICATED]++;
    if (fate.copies == 0) return;
    struct parcel *parcel = malloc(sizeof(*parcel) + length);
    CHECK(parcel != NULL);
    parcel->from = from;
    parcel->to = to;
    parcel->length = length;
    parcel->next = NULL;
    wire_encode(packet, (uint8_t *)parcel->bytes);
    for (uint32_t i = 0; i < fate.copies; i++)
        launch(world, parcel, fate.deliver_at_ns[i] + late_ns, i == 0 && fate.corrupt);
    free(parcel);
}

void world_send(struct world *world, struct packet *packet)
{
    dispatch(world, packet, 0);
}

static void wake(struct node *node, uint64_t at_ns)
{
    node->wake_ns = MIN_OF(node->wake_ns, at_ns);
}

static bool decode(struct world *world, const struct parcel *parcel, struct wire_scratch *scratch,
                   struct packet *packet)
{
    err_t err = wire_decode((const uint8_t *)parcel->bytes, parcel->length, parcel->from,
                            parcel->to, scratch, packet);
    if (err != ERR_OK) world->tally[TALLY_CORRUPT]++;
    return err == ERR_OK;
}

static void deliver(struct world *world, struct parcel *parcel)
{
    static struct wire_scratch scratch;
    if (parcel->to == 0 || parcel->to > world->peers) {
        struct packet packet;
        if (parcel->to != 0 && decode(world, parcel, &scratch, &packet))
            world->guests_take(world->guests, &packet);
        free(parcel);
        return;
    }
    struct node *node = &world->nodes[parcel->to];
    if (!node->up || node->waiting == INBOX_MAX) {
        world->tally[node->up ? TALLY_FULL : TALLY_DOWN]++;
        free(parcel);
        return;
    }
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

static void clear_inbox(struct node *node)
{
    free(node->open);
    node->open = NULL;
    while (node->first != NULL) {
        struct parcel *next = node->first->next;
        free(node->first);
        node->first = next;
    }
    node->waiting = 0;
}

static void bury(struct node *node)
{
    peer_close(&node->peer);
    bug_unwrap(node->seams);
    node->seams = NULL;
    clear_inbox(node);
    node->up = node->dead = false;
    node->crash_at = KILL_NOWHERE;
    node->wake_ns = TIME_NEVER;
}

/* ---- the seams ---- */

static err_t disk_load(void *state, struct disk_found *found)
{
    struct node *node = state;
    const struct image *disk = &node->world->ledger.disks[node->id];
    if (node->disk_errno != 0) return err_begin(ERR_STORAGE, "errno %d", node->disk_errno);
    *found = (struct disk_found){ disk->term, disk->voted_for, 1, disk->count };
    return ERR_OK;
}

static err_t disk_commit(void *state, const struct disk_save *save, int *why)
{
    struct node *node = state;
    *why = node->dead ? EIO : node->disk_errno;
    if (*why != 0) {
        if (!node->dead) node->world->tally[TALLY_COMMIT_FAILED]++;
        return err_begin(ERR_STORAGE, "errno %d", *why);
    }
    ledger_save(&node->world->ledger, node->id, save);
    node->saved = true;
    node->late_ns += node->disk_ns;
    if (node->disk_ns > 0) node->world->tally[TALLY_COMMIT_SLOW]++;
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

static void count_frame(struct node *node, struct packet *packet)
{
    struct world *world = node->world;
    const struct frame *frame = &packet->frame;
    if (frame->kind != MESSAGE_APPEND_REQUEST || frame->count == 0) return;
    node->bytes_sent[frame->to] += wire_bytes(packet);
    if (frame->count == WIRE_ENTRIES_MAX) world->tally[TALLY_FRAME_FULL]++;
    if (wire_bytes(packet) > WIRE_BYTES_SOFT + WIRE_BYTES_SOFT / 2)
        world->tally[TALLY_FRAME_LARGE]++;
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
                      (unsigned long long)bytes);
    if (!right)
        ledger_broken(&node->world->ledger, "LM", "peer %u sends what its log does not have",
                      node->id);
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
    if (packet->frame.kind == MESSAGE_CLIENT_REPLY) /* the news may not outlive this turn */
        ledger_committed(&node->world->ledger, &node->peer, node->commit_seen);
    check_append(node, packet);
    ledger_sent(&node->world->ledger, packet);
    dispatch(node->world, packet, node->late_ns);
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
        if (decode(node->world, node->open, &node->scratch, packet)) return true;
    }
    return false;
}

static void net_flush(void *state)
{
    UNUSED(state);
}

/* ---- turns ---- */

static uint64_t own_time(const struct node *node, uint64_t ns)
{
    return ns / PPM * node->rate_ppm + ns % PPM * node->rate_ppm / PPM;
}

static uint64_t world_time(const struct node *node, uint64_t own_ns)
{
    if (own_ns == TIME_NEVER) return TIME_NEVER;
    return own_ns / node->rate_ppm * PPM + own_ns % node->rate_ppm * PPM / node->rate_ppm + 1;
}

static void tell(struct node *node, uint32_t notes)
{
    struct world *world = node->world;
    for (uint32_t i = 0; i < notes; i++) {
        const struct note *note = &node->peer.update.notes[i];
        ledger_note(&world->ledger, note);
        if (note->kind == NOTE_BECAME_LEADER) world->tally[TALLY_LED]++;
        if (note->kind == NOTE_TRUNCATED) world->tally[TALLY_TRUNCATED]++;
        if (note->kind == NOTE_STEPPED_DOWN) world->tally[TALLY_STEPPED_DOWN]++;
    }
}

/* Who no longer leads has told all who waited for it. */
static void check_pending(struct node *node)
{
    const struct peer *peer = &node->peer;
    bool leads = peer->raft.role == LEADER, led = node->led;
    if (leads) node->led = true;
    if (leads || !led || peer->disk_errno != 0) return;
    node->led = false;
    for (uint32_t i = 0; i < PENDING_MAX; i++)
        if (peer->pending[i].index != 0)
            ledger_broken(&node->world->ledger, "PE",
                          "peer %u leads no more and lets client %u wait for index %llu", node->id,
                          peer->pending[i].client, (unsigned long long)peer->pending[i].index);
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
                          node->id, (unsigned long long)node->bytes_sent[id]);
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
                      (unsigned long long)peer->tail.bytes);
    if (node->bytes_read > SENT_MAX * world->peers + APPLIED_MAX)
        ledger_broken(&world->ledger, "BO", "peer %u reads %llu bytes in one turn", node->id,
                      (unsigned long long)node->bytes_read);
    if (peer->disk_errno == 0 && node->first != NULL) world->tally[TALLY_TURN_FULL]++;
    if (node->read_errno == 0 && raft->last_applied < raft->commit_index)
        world->tally[TALLY_APPLY_FULL]++;
}

static void take_turn(struct node *node)
{
    struct world *world = node->world;
    struct peer *peer = &node->peer;
    uint64_t own_ns = own_time(node, world->now_ns);
    bool failing = peer->disk_errno != 0;
    node->saved = node->took = false;
    node->late_ns = 0;
    node->bytes_read = 0;
    memset(node->bytes_sent, 0, sizeof(node->bytes_sent));
    memset(node->end_sent, 0xff, sizeof(node->end_sent));
    world->tally[TALLY_TURNS]++;
    uint64_t due_ns = peer_turn(peer, own_ns, rng_next(&world->rng));
    if (node->dead) {
        tell(node, node->notes_alive);
        bury(node);
        return;
    }
    tell(node, peer->update.notes_count);
    ledger_committed(&world->ledger, peer, node->commit_seen);
    ledger_state(&world->ledger, peer);
    node->commit_seen = peer->raft.commit_index;
    check_pending(node);
    check_due(node, own_ns, due_ns);
    check_limits(node, failing);
    check_sent(node);
    node->working_ns = world->now_ns + node->late_ns;
    node->wake_ns = world->now_ns + AGAIN_NS;
    /* who cannot write its disk takes nothing in: then what waits keeps nobody awake */
    if (due_ns != 0 && (node->first == NULL || peer->disk_errno != 0))
        node->wake_ns = MAX_OF(node->wake_ns, world_time(node, due_ns));
}

static uint64_t turn_ns(const struct node *node)
{
    return node->up ? MAX_OF(node->wake_ns, MAX_OF(node->paused_ns, node->working_ns)) : TIME_NEVER;
}

void world_run(struct world *world, uint64_t until_ns)
{
    while (world->ledger.broken == NULL) {
        uint64_t next_ns = world->guests_due_ns;
        struct node *turn = NULL;
        bool arrives = false;
        for (uint32_t id = 1; id <= world->peers; id++) {
            if (turn_ns(&world->nodes[id]) >= next_ns) continue;
            turn = &world->nodes[id];
            next_ns = turn_ns(turn);
        }
        if (world->flights_count > 0 && world->flights[0]->deliver_at_ns <= next_ns) {
            next_ns = world->flights[0]->deliver_at_ns;
            arrives = true;
        }
        if (next_ns > until_ns) break;
        world->now_ns = MAX_OF(world->now_ns, next_ns);
        if (arrives) deliver(world, flights_pop(world));
        else if (turn != NULL) take_turn(turn);
        else world->guests_act(world->guests);
    }
    world->now_ns = MAX_OF(world->now_ns, until_ns);
}

/* ---- what may be done to a peer ---- */

void world_crash(struct world *world, uint32_t id)
{
    if (!world->nodes[id].up) return;
    world->tally[TALLY_CRASHED]++;
    bury(&world->nodes[id]);
}

void world_crash_at(struct world *world, uint32_t id, uint32_t where, uint32_t sends)
{
    world->nodes[id].crash_at = world->nodes[id].up ? where : KILL_NOWHERE;
    world->nodes[id].crash_sends = sends;
}

void world_pause(struct world *world, uint32_t id, uint64_t until_ns)
{
    struct node *node = &world->nodes[id];
    if (node->up) world->tally[TALLY_PAUSED]++;
    node->paused_ns = until_ns;
}

void world_restart(struct world *world, uint32_t id)
{
    struct node *node = &world->nodes[id];
    if (node->up) return;
    struct peer_config config = world->config;
    config.raft.self = id;
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
    node->led = false;
    node->commit_seen = 0;
    node->paused_ns = node->working_ns = 0;
    node->wake_ns = world->now_ns;
    tell(node, node->peer.update.notes_count);
}

void world_heal(struct world *world)
{
    memset(world->rules, 0, sizeof(world->rules));
    for (uint32_t id = 1; id <= world->peers; id++) {
        struct node *node = &world->nodes[id];
        node->disk_errno = node->read_errno = 0;
        node->disk_ns = node->paused_ns = 0;
        node->crash_at = KILL_NOWHERE;
        world_restart(world, id);
    }
}

uint32_t world_leader(const struct world *world)
{
    uint32_t leader = 0;
    uint64_t term = 0;
    for (uint32_t id = 1; id <= world->peers; id++) {
        const struct raft *raft = &world->nodes[id].peer.raft;
        if (!world->nodes[id].up || raft->role != LEADER || raft->current_term < term) continue;
        leader = id;
        term = raft->current_term;
    }
    return leader;
}

bool world_agrees(const struct world *world)
{
    const struct image *disks = world->ledger.disks;
    uint32_t leader = world_leader(world);
    uint64_t last = disks[1].count;
    if (leader == 0) return false;
    for (uint32_t id = 1; id <= world->peers; id++) {
        const struct raft *raft = &world->nodes[id].peer.raft;
        if (!world->nodes[id].up || raft->leader != leader) return false;
        if (raft->log.last_index != last || raft->durable_index != last) return false;
        if (raft->commit_index != last || raft->last_applied != last) return false;
        if (disks[id].count != last) return false;
        if (last > 0 && disks[id].log[last - 1].chain != disks[1].log[last - 1].chain) return false;
    }
    return world->ledger.committed.count == last;
}

/* ---- life ---- */

void world_open(struct world *world, const struct peer_config *config, uint64_t seed)
{
    world_open_bug(world, config, NULL, seed);
}

void world_open_bug(struct world *world, const struct peer_config *config, const struct bug *bug,
                    uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->bug = bug;
    world->config = *config;
    world->peers = config->raft.peers;
    world->guests_due_ns = TIME_NEVER;
    rng_seed(&world->rng, seed, 2, 0);
    ledger_open(&world->ledger, world->peers);
    for (uint32_t from = 0; from < WORLD_ENDPOINTS; from++)
        for (uint32_t to = 0; to < WORLD_ENDPOINTS; to++)
            link_state_init(&world->links[from][to], seed, from, to);
    for (uint32_t id = 1; id <= world->peers; id++) {
        struct node *node = &world->nodes[id];
        node->world = world;
        node->id = id;
        node->rate_ppm = (uint32_t)rng_range(&world->rng, PPM - PPM / 20, PPM + PPM / 20);
        world_restart(world, id);
    }
}

void world_close(struct world *world)
{
    for (uint32_t id = 1; id <= world->peers; id++)
        if (world->nodes[id].up) bury(&world->nodes[id]);
    while (world->flights_count > 0) free(flights_pop(world));
    free(world->flights);
    world->flights = NULL;
    ledger_close(&world->ledger);
}
