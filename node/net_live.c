/* node/net_live.c - the receiver applies the link rules when it takes a record from a ring; see
 * node/net_live.h. */
#include "node/net_live.h"

#include "fault/link.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX = sizeof(struct frame) + ENTRY_BYTES_MAX + 4096, HELD_MAX = 65536, NO_SLOT = -1 };

struct held { /* one message that waits for its time */
    uint64_t deliver_at_ns, order;
    uint32_t from, length;
    int slot;
    uint8_t *bytes;
};

struct link {
    struct ring_writer writer;
    struct ring_reader reader;
    bool linked;
    bool rung; /* something was sent to it since the last flush */
    uint64_t sequence;
    /* peers only */
    struct link_rule rule;
    struct link_state state;
    uint64_t rule_version;
    bool faultless;
};

struct net_live {
    struct region *region;
    uint32_t self, peers, endpoints;
    int supervisor_eventfd;
    uint64_t now_ns, order;
    uint32_t cursor; /* the ring to look into next */
    struct link links[ENDPOINT_MAX];
    struct held *heap; /* earliest first */
    uint32_t held;
    uint64_t slots[HELD_SLOTS / 64]; /* used ones */
    struct wire_scratch scratch;
    uint8_t record[RECORD_MAX] __attribute__((aligned(8)));
    uint8_t *delivered; /* the held message handed out last */
};

static bool is_peer(const struct net_live *live, uint32_t endpoint)
{
    return endpoint >= 1 && endpoint <= live->peers;
}

/* ---- life ---- */

struct net_live *net_live_open(struct region *region, uint32_t self, int supervisor_eventfd)
{
    struct net_live *live = calloc(1, sizeof(*live));
    CHECK(live != NULL);
    live->region = region;
    live->self = self;
    live->peers = region_config(region)->peers;
    live->endpoints = region_endpoints(region);
    live->supervisor_eventfd = supervisor_eventfd;
    live->heap = malloc(HELD_MAX * sizeof(*live->heap));
    CHECK(live->heap != NULL);
    for (uint32_t other = 0; other < live->endpoints; other++) {
        struct link *link = &live->links[other];
        link->linked = region_linked(region, self, other);
        if (!link->linked) continue;
        struct ring out = region_ring(region, self, other), in = region_ring(region, other, self);
        ring_writer_open(&link->writer, &out);
        ring_reader_open(&link->reader, &in);
        link->faultless = true;
        link_state_init(&link->state, region_config(region)->seed, other, self);
    }
    /* a life before this one may have left descriptions of what it held */
    if (is_peer(live, self)) {
        struct held_message none = { 0 };
        for (uint32_t slot = 0; slot < HELD_SLOTS; slot++) {
            struct latch *latch = region_held(region, self, slot);
            if (latch_version(latch) != 0) latch_write(latch, &none, HELD_WORDS);
        }
    }
    return live;
}

void net_live_close(struct net_live *live)
{
    for (uint32_t i = 0; i < live->held; i++) free(live->heap[i].bytes);
    free(live->delivered);
    free(live->heap);
    free(live);
}

/* ---- sending ---- */

static void live_send(void *state, struct packet *packet)
{
    struct net_live *live = state;
    uint32_t to = packet->frame.to;
    CHECK(to < live->endpoints);
    struct link *link = &live->links[to];
    CHECK(link->linked);
    void *record;
    packet->frame.sequence = ++link->sequence;
    packet->frame.sent_ns = live->now_ns;
    size_t length = wire_bytes(packet);
    link->rung = true; /* also when the ring is full: its owner may have missed a bell */
    if (ring_claim(&link->writer, length, &record) != ERR_OK) {
        if (!is_peer(live, live->self)) return;
        struct note note = { .time_ns = live->now_ns,
                             .kind = NOTE_DROPPED_FULL,
                             .self = (uint8_t)live->self,
                             .other = (uint8_t)to,
                             .term = packet->frame.term };
        trail_write(region_trail(live->region, live->self), &note);
        return;
    }
    wire_encode(packet, record);
    ring_commit(&link->writer);
}

static void live_flush(void *state)
{
    struct net_live *live = state;
    for (uint32_t to = 0; to < live->endpoints; to++) {
        if (!live->links[to].rung) continue;
        live->links[to].rung = false;
        bell_ring(region_bell(live->region, to), to == SUPERVISOR ? live->supervisor_eventfd : -1);
    }
}

/* ---- holding back ---- */

static bool earlier(const struct held *a, const struct held *b)
{
    return a->deliver_at_ns != b->deliver_at_ns ? a->deliver_at_ns < b->deliver_at_ns
                                                : a->order < b->order;
}

static void sift_up(struct net_live *live, uint32_t at)
{
    while (at > 0 && earlier(&live->heap[at], &live->heap[(at - 1) / 2])) {
        struct held swap = live->heap[at];
        live->heap[at] = live->heap[(at - 1) / 2];
        live->heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

static void sift_down(struct net_live *live)
{
    for (uint32_t at = 0;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < live->held; child++)
            if (earlier(&live->heap[child], &live->heap[least])) least = child;
        if (least == at) return;
        struct held swap = live->heap[at];
        live->heap[at] = live->heap[least];
        live->heap[least] = swap;
        at = least;
    }
}

static void bump(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed); /* one writer */
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}

/* Each RPC of the paper is a request and a reply: people who count RPCs count requests. */
static void count_delivered(struct link_counts *counts, const struct packet *packet)
{
    uint32_t kind = packet->frame.kind;
    bump(&counts->delivered, 1);
    bump(&counts->requests, kind == MESSAGE_VOTE_REQUEST || kind == MESSAGE_APPEND_REQUEST);
}

/* A free slot to describe the message in, or NO_SLOT: it is held all the same. */
static int show_held(struct net_live *live, const struct held *held)
{
    for (uint32_t slot = 0; slot < HELD_SLOTS; slot++) {
        if ((live->slots[slot / 64] >> (slot % 64)) & 1) continue;
        struct frame frame;
        memcpy(&frame, held->bytes, sizeof(frame));
        struct held_message shown = {
            .deliver_at_ns = held->deliver_at_ns,
            .sent_at_ns = frame.sent_ns,
            .sequence = frame.sequence,
            .term = frame.term,
            .bytes = held->length,
            .from = (uint8_t)held->from,
            .to = (uint8_t)live->self,
            .kind = frame.kind,
        };
        latch_write(region_held(live->region, live->self, slot), &shown, HELD_WORDS);
        live->slots[slot / 64] |= (uint64_t)1 << (slot % 64);
        return (int)slot;
    }
    return NO_SLOT;
}

static void hide_held(struct net_live *live, int slot)
{
    if (slot == NO_SLOT) return;
    struct held_message none = { 0 };
    latch_write(region_held(live->region, live->self, (uint32_t)slot), &none, HELD_WORDS);
    live->slots[slot / 64] &= ~((uint64_t)1 << (slot % 64));
}

static void hold(struct net_live *live, uint32_t from, size_t length, uint64_t deliver_at_ns)
{
    struct link_counts *counts = region_link(live->region, from, live->self);
    if (live->held == HELD_MAX) { /* as good as a full ring */
        bump(&counts->lost, 1);
        return;
    }
    struct held held = { .deliver_at_ns = deliver_at_ns,
                         .order = ++live->order,
                         .from = from,
                         .length = (uint32_t)length,
                         .bytes = malloc(length) };
    CHECK(held.bytes != NULL);
    memcpy(held.bytes, live->record, length);
    held.slot = length >= sizeof(struct frame) ? show_held(live, &held) : NO_SLOT;
    live->heap[live->held++] = held;
    sift_up(live, live->held - 1);
    bump(&counts->held, 1);
    if (deliver_at_ns > live->now_ns) {
        bump(&counts->delayed, 1);
        bump(&counts->delay_ns, deliver_at_ns - live->now_ns);
    }
}

static bool release_due(struct net_live *live, struct packet *packet)
{
    while (live->held > 0 && live->heap[0].deliver_at_ns <= live->now_ns) {
        struct held due = live->heap[0];
        live->heap[0] = live->heap[--live->held];
        sift_down(live);
        hide_held(live, due.slot);
        struct link_counts *counts = region_link(live->region, due.from, live->self);
        bump(&counts->held, (uint64_t)-1);
        free(live->delivered);
        live->delivered = due.bytes;
        if (wire_decode(due.bytes, due.length, due.from, live->self, &live->scratch, packet) !=
            ERR_OK) {
            bump(&counts->corrupted, 1);
            continue;
        }
        count_delivered(counts, packet);
        return true;
    }
    return false;
}

/* ---- receiving ---- */

static void note_drop(struct net_live *live, enum note_kind kind, uint32_t from)
{
    if (!is_peer(live, live->self)) return;
    struct note note = { .time_ns = live->now_ns,
                         .kind = (uint16_t)kind,
                         .self = (uint8_t)live->self,
                         .other = (uint8_t)from };
    trail_write(region_trail(live->region, live->self), &note);
}

/* What the rule does to the record in live->record. True when it is to be delivered now. */
static bool survives_rule(struct net_live *live, uint32_t from, size_t length)
{
    struct link *link = &live->links[from];
    struct link_counts *counts = region_link(live->region, from, live->self);
    struct link_fate fate;
    struct frame frame = { 0 }; /* what is too short is refused when it arrives */
    if (length >= sizeof(frame)) memcpy(&frame, live->record, sizeof(frame));
    link_decide(&link->state, &link->rule, frame.kind, live->now_ns, &fate);
    if (fate.copies == 0) {
        bump(fate.cause == LINK_CUT ? &counts->cut : &counts->lost, 1);
        note_drop(live, fate.cause == LINK_CUT ? NOTE_DROPPED_CUT : NOTE_DROPPED_LOSS, from);
        return false;
    }
    if (fate.corrupt && length > 0) {
        uint64_t bit = rng_range(&link->state.rng, 0, length * 8 - 1);
        live->record[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    if (fate.copies == 2) {
        bump(&counts->duplicated, 1);
        note_drop(live, NOTE_DUPLICATED, from);
        hold(live, from, length, fate.deliver_at_ns[1]);
    }
    if (fate.deliver_at_ns[0] <= live->now_ns) return true;
    hold(live, from, length, fate.deliver_at_ns[0]);
    return false;
}

/* Take one record of `from`. True when it became a packet. */
static bool take(struct net_live *live, uint32_t from, struct packet *packet)
{
    struct link *link = &live->links[from];
    bool ruled = is_peer(live, from) && is_peer(live, live->self);
    size_t length;
    err_t err = ring_read(&link->reader, live->record, sizeof(live->record), &length);
    if (err == ERR_CORRUPT && ruled) note_drop(live, NOTE_DROPPED_CORRUPT, from);
    if (err != ERR_OK) return false;
    if (ruled && !link->faultless && !survives_rule(live, from, length)) return false;
    err = wire_decode(live->record, length, from, live->self, &live->scratch, packet);
    if (!ruled) return err == ERR_OK;
    struct link_counts *counts = region_link(live->region, from, live->self);
    if (err != ERR_OK) {
        bump(&counts->corrupted, 1);
        note_drop(live, NOTE_DROPPED_CORRUPT, from);
        return false;
    }
    count_delivered(counts, packet);
    return true;
}

static bool live_receive(void *state, struct packet *packet)
{
    struct net_live *live = state;
    if (release_due(live, packet)) return true;
    for (uint32_t empty = 0; empty < live->endpoints;) {
        uint32_t from = live->cursor;
        if (live->links[from].linked && ring_pending(&live->links[from].reader)) {
            if (take(live, from, packet)) return true;
            empty = 0;
            continue; /* dropped, held or corrupt: look again */
        }
        live->cursor = (from + 1) % live->endpoints;
        empty++;
    }
    return release_due(live, packet); /* a duplicate may be due at once */
}

void net_live_turn(struct net_live *live, uint64_t now_ns)
{
    live->now_ns = MAX_OF(now_ns, live->now_ns);
    live->cursor = (live->cursor + 1) % live->endpoints;
    if (!is_peer(live, live->self)) return;
    for (uint32_t from = 1; from <= live->peers; from++) {
        if (from == live->self) continue;
        struct link *link = &live->links[from];
        const struct latch *latch = region_rule(live->region, from, live->self);
        if (latch_version(latch) == link->rule_version) continue;
        struct link_rule rule;
        if (!latch_read(latch, &rule, LINK_RULE_WORDS, &link->rule_version)) continue;
        link->rule = link_rule_valid(&rule) ? rule : (struct link_rule){ 0 };
        link->faultless = link_rule_faultless(&link->rule);
    }
}

uint64_t net_live_deadline(const struct net_live *live)
{
    return live->held > 0 ? live->heap[0].deliver_at_ns : TIME_NEVER;
}

uint64_t net_live_held(const struct net_live *live)
{
    return live->held;
}

bool net_live_pending(struct net_live *live)
{
    for (uint32_t from = 0; from < live->endpoints; from++)
        if (live->links[from].linked && ring_pending(&live->links[from].reader)) return true;
    return false;
}

void net_live_sleep(struct net_live *live, uint64_t deadline_ns)
{
    struct bell *bell = region_bell(live->region, live->self);
    bell_announce(bell, BELL_SLEEPING);
    if (net_live_pending(live)) bell_awake(bell);
    else bell_wait(bell, deadline_ns);
}

void net_live_rest(struct net_live *live, uint64_t deadline_ns)
{
    struct bell *bell = region_bell(live->region, live->self);
    bell_announce(bell, BELL_SLEEPING);
    bell_wait(bell, deadline_ns);
}

struct net net_live_seam(struct net_live *live)
{
    return (struct net){
        .state = live, .send = live_send, .receive = live_receive, .flush = live_flush
    };
}
