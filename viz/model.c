/* viz/model.c - one copy of shared memory a frame, and what follows from it. */
#include "viz/model.h"

#include <stdlib.h>
#include <string.h>

/* M3: notes read in full, and notes looked at, of each trail in a frame. */
enum { NOTES_PER_TRAIL = 512, GLANCES_PER_TRAIL = 4096 };
#define RATE_WINDOW_NS NS_PER_S
#define INDEX_MAX (UINT64_MAX - 2) /* a page may lie: there is always an index after the last */

struct model *model_new(const struct region *region)
{
    struct model *model = calloc(1, sizeof(*model));
    CHECK(model != NULL);
    const struct region_config *config = region_config(region);
    model->peers = MIN_OF(config->peers, PEER_MAX);
    model->election_min_ns = config->election_min_ns;
    memcpy(model->name, config->name, sizeof(model->name));
    model->name[sizeof(model->name) - 1] = '\0';
    memcpy(model->bug, config->bug, sizeof(model->bug));
    model->bug[sizeof(model->bug) - 1] = '\0';
    model->face.rate_ppm = PPM;
    for (uint32_t i = 0; i <= model->peers; i++)
        trail_follow(&model->trails[i], region_trail(region, i), true);
    return model;
}

void model_free(struct model *model)
{
    free(model);
}

static void read_peer(struct model_peer *peer, const struct region *region, uint32_t id,
                      uint64_t now_ns)
{
    struct board board;
    struct peer_life life;
    if (latch_read(region_life(region, id), &life, LIFE_WORDS, NULL)) peer->life = life;
    uint64_t version = latch_version(region_board(region, id));
    if (version != peer->board_version &&
        latch_read(region_board(region, id), &board, BOARD_WORDS, &version)) { /* M2 */
        peer->board = board;
        peer->board.runs = MIN_OF(board.runs, BOARD_RUNS);
        peer->board_version = version;
        peer->published = true;
    }
    uint64_t published_ns = peer->board.published_ns;
    peer->age_ns = peer->published && now_ns > published_ns ? now_ns - published_ns : 0;
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void read_link(struct model_link *link, const struct region *region, uint32_t from,
                      uint32_t to)
{
    const struct latch *latch = region_rule(region, from, to);
    uint64_t version = latch_version(latch);
    struct link_rule rule;
    if (version != link->rule_version && latch_read(latch, &rule, LINK_RULE_WORDS, &version)) {
        link->rule = rule;
        link->rule_version = version;
    }
    struct ring ring = region_ring(region, from, to);
    const struct link_counts *counts = region_link(region, from, to);
    link->queued_bytes = ring_depth(&ring);
    link->sent = load(&ring.producer->sent);
    link->delivered = load(&counts->delivered);
    link->dropped = load(&counts->lost) + load(&counts->cut) + load(&counts->corrupted) +
                    load(&ring.producer->refused);
    link->duplicated = load(&counts->duplicated);
    link->held = load(&counts->held);
}

void model_note(struct model *model, const struct note *note)
{
    if (note->self > model->peers || note->other > model->peers) return;
    if (note->kind == NOTE_VOTE_DENIED) {
        struct model_peer *peer = &model->peer[note->self];
        if (peer->denied_term != note->term) peer->denied = 0;
        peer->denied_term = note->term;
        peer->denied |= peer_bit(note->other);
    }
    feed_add(&model->feed, note);
    tape_note(&model->tape, note->kind);
}

/* The kind alone, from one word: cheap, and wrong only when the writer laps us right now. */
static uint32_t glance(const struct trail *trail, uint64_t sequence)
{
    const struct trail_event *event = &trail->events[sequence % TRAIL_EVENTS];
    uint64_t word =
        atomic_load_explicit(&event->words[offsetof(struct note, kind) / 8], memory_order_relaxed);
    uint16_t kind;
    memcpy(&kind, (const uint8_t *)&word + offsetof(struct note, kind) % 8, sizeof(kind));
    return kind;
}

/* Under load leave out the routine before the newest notes; nothing else is lost (M3). */
static void skip_routine(struct model *model, struct trail_reader *reader)
{
    uint64_t last = atomic_load_explicit(&reader->trail->last, memory_order_acquire);
    uint64_t from = reader->next;
    if (last >= reader->next + GLANCES_PER_TRAIL) reader->next = last - GLANCES_PER_TRAIL;
    while (last >= reader->next + NOTES_PER_TRAIL &&
           feed_routine(glance(reader->trail, reader->next)))
        reader->next++;
    model->skipped += reader->next - from;
}

static bool next_note(struct model *model, uint32_t trail)
{
    if (model->has_pending[trail]) return true;
    skip_routine(model, &model->trails[trail]);
    model->has_pending[trail] = trail_read(&model->trails[trail], &model->pending[trail]);
    return model->has_pending[trail];
}

/* Merge the trails by time, oldest note first. */
static void read_notes(struct model *model)
{
    uint64_t missed = 0, missed_now = 0;
    for (uint32_t i = 0; i <= model->peers; i++) missed += model->trails[i].missed;
    uint32_t budget = NOTES_PER_TRAIL * (MIN_OF(model->peers, 8) + 1);
    for (uint32_t taken = 0; taken < budget; taken++) {
        uint32_t first = model->peers + 1;
        for (uint32_t i = 0; i <= model->peers; i++)
            if (next_note(model, i) &&
                (first > model->peers || model->pending[i].time_ns < model->pending[first].time_ns))
                first = i;
        if (first > model->peers) break;
        model_note(model, &model->pending[first]);
        model->has_pending[first] = false;
    }
    for (uint32_t i = 0; i <= model->peers; i++) missed_now += model->trails[i].missed;
    model->skipped += missed_now - missed;
}

static void add_flight(struct model *model, const struct held_message *message)
{
    uint32_t at = model->flights;
    while (at > 0 && model->flight[at - 1].deliver_at_ns > message->deliver_at_ns) at--;
    if (at == MODEL_FLIGHTS) return;
    model->flights = MIN_OF(model->flights + 1, MODEL_FLIGHTS);
    memmove(&model->flight[at + 1], &model->flight[at],
            (model->flights - 1 - at) * sizeof(model->flight[0]));
    model->flight[at] = *message;
}

/* What the link model holds back, as far as its receivers show it. */
static void read_flights(struct model *model, const struct region *region)
{
    model->flights = 0;
    for (uint32_t id = 1; id <= model->peers; id++) {
        const struct model_peer *peer = &model->peer[id];
        if (peer->board.held == 0 || !peer->life.alive) continue;
        for (uint32_t slot = 0; slot < HELD_SLOTS; slot++) {
            struct held_message message;
            if (!latch_read(region_held(region, id, slot), &message, HELD_WORDS, NULL)) continue;
            if (message.deliver_at_ns == 0 || message.to != id) continue;
            if (message.from == 0 || message.from > model->peers) continue;
            add_flight(model, &message);
        }
    }
}

static double rate_of(struct model_rate *rate, uint64_t now_ns, uint64_t value)
{
    const uint32_t all = MODEL_RATE_SAMPLES;
    uint32_t newest = (rate->next + all - 1) % all;
    if (rate->count > 0 && value < rate->value[newest]) rate->count = 0; /* it began again */
    if (rate->count == 0 || now_ns - rate->time_ns[newest] >= RATE_WINDOW_NS / (all - 2)) {
        rate->time_ns[rate->next] = now_ns;
        rate->value[rate->next] = value;
        rate->next = (rate->next + 1) % all;
        rate->count = MIN_OF(rate->count + 1, all);
    }
    uint32_t oldest = (rate->next + all - rate->count) % all;
    while (rate->count > 1 && now_ns - rate->time_ns[oldest] > RATE_WINDOW_NS) {
        oldest = (oldest + 1) % all;
        rate->count--;
    }
    uint64_t span_ns = now_ns - rate->time_ns[oldest];
    if (span_ns < RATE_WINDOW_NS / 4) return 0;
    return (double)(value - rate->value[oldest]) * (double)NS_PER_S / (double)span_ns;
}

void model_derive(struct model *model)
{
    uint64_t leader_term = 0;
    model->term = 0;
    model->leader = 0;
    model->commit_index = model->log_end = 0;
    for (uint32_t i = 1; i <= model->peers; i++) {
        const struct model_peer *peer = &model->peer[i];
        if (!peer->published) continue;
        model->commit_index = MAX_OF(model->commit_index, peer->board.commit_index);
        model->log_end = MAX_OF(model->log_end, MIN_OF(peer->board.last_index, INDEX_MAX));
        if (!peer->life.alive) continue;
        model->term = MAX_OF(model->term, peer->board.term);
        if (peer->board.role == LEADER && (model->leader == 0 || peer->board.term > leader_term)) {
            model->leader = i;
            leader_term = peer->board.term;
        }
    }
}

void model_read(struct model *model, const struct region *region, uint64_t now_ns)
{
    model->now_ns = now_ns;
    clock_read(region_clock(region), &model->face);
    model->cluster_ns = clock_at(&model->face, now_ns);
    struct cluster_facts facts;
    if (latch_read(region_facts(region), &facts, FACTS_WORDS, NULL)) model->facts = facts;
    for (uint32_t to = 1; to <= model->peers; to++) {
        read_peer(&model->peer[to], region, to, now_ns);
        uint64_t inbox = 0;
        for (uint32_t from = 1; from <= model->peers; from++) {
            if (from == to) continue;
            read_link(&model->link[from][to], region, from, to);
            inbox += model->link[from][to].queued_bytes;
        }
        model->peer[to].inbox_bytes = inbox;
    }
    read_flights(model, region);
    model_derive(model);
    if (model->leader != 0) model->led_ns = model->cluster_ns;
    model->leaderless_ns = model->cluster_ns - MIN_OF(model->led_ns, model->cluster_ns);
    tape_step(&model->tape, now_ns, model->face.rate_ppm == 0, model->term, model->leader != 0);
    read_notes(model);
    model->commits_per_s = rate_of(&model->commits, now_ns, model->commit_index);
}

enum entry_state model_entry(const struct model *model, uint32_t peer, uint64_t index,
                             uint64_t *term)
{
    const struct board *board = &model->peer[peer].board;
    if (!model->peer[peer].published || index > board->last_index)
        return index <= model->log_end ? ENTRY_GAP : ENTRY_BEYOND;
    if (index < board->first_index) return ENTRY_COMPACTED;
    for (uint64_t i = board->runs; i > 0; i--) {
        if (board->log_runs[i - 1].first_index > index) continue;
        *term = board->log_runs[i - 1].term;
        return ENTRY_HERE;
    }
    return ENTRY_UNKNOWN;
}

bool model_timer(const struct model *model, uint32_t peer, uint32_t *left_ppm)
{
    const struct model_peer *p = &model->peer[peer];
    uint64_t start = p->board.timer_started_ns, end = p->board.timer_deadline_ns;
    if (!p->published || !p->life.alive || end == TIME_NEVER || end <= start) return false;
    uint64_t now = MIN_OF(MAX_OF(model->cluster_ns, start), end);
    *left_ppm = (uint32_t)((double)(end - now) / (double)(end - start) * PPM);
    return true;
}
