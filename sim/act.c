/* sim/act.c - see sim/act.h; (A1) is take_turn, (A2) is crash. */
#include "sim/act.h"

#include <stdio.h>
#include <string.h>

err_t bounds_check(const struct bounds *bounds)
{
    uint32_t entries = bounds->budgets[BUDGET_PROPOSALS];
    if (bounds->noop) entries += bounds->budgets[BUDGET_TIMEOUTS];
    if (entries <= STATE_ENTRIES) return ERR_OK;
    return err_begin(ERR_INPUT, "%u entries (%s) could come about; a state has room for %d",
                     entries, bounds->noop ? "proposals, and one for each timeout" : "proposals",
                     STATE_ENTRIES);
}

void rig_init(struct rig *rig, const struct bounds *bounds, const struct rules *rules)
{
    memset(rig, 0, sizeof(*rig));
    rig->bounds = *bounds;
    rig->rules = *rules;
    rig->raft.config = (struct raft_config){
        .peers = bounds->peers,
        .election_min_ns = NS_PER_S,
        .election_max_ns = NS_PER_S,
        .heartbeat_ns = NS_PER_S,
        .notify_ns = NS_PER_S, /* A4: not before the turn is over */
        .window = STATE_ENTRIES,
        .noop_on_election = bounds->noop,
        .rules = &rig->rules,
    };
    log_init(&rig->raft.log, rig->runs, COUNT(rig->runs));
}

/* ---- which ---- */

static void add(struct act *acts, uint32_t *n, enum act_kind kind, uint32_t which, bool torn)
{
    CHECK(*n < ACTS_MAX);
    acts[(*n)++] = (struct act){ .kind = (uint8_t)kind, .which = (uint8_t)which, .torn = torn };
}

uint32_t acts_of(const struct rig *rig, const struct state *state, struct act acts[ACTS_MAX])
{
    uint32_t n = 0;
    bool crashes = budget_left(state, BUDGET_CRASHES) > 0, torn = crashes && rig->bounds.torn;
    for (uint32_t i = 0; i < state->count; i++) {
        uint64_t message = state->messages[i];
        if (i > 0 && state->messages[i - 1] == message) continue;
        bool up = FIELD_GET(state->peer[FIELD_GET(message, TO) - 1], UP);
        if (up) add(acts, &n, ACT_DELIVER, i, false);
        if (up && torn) add(acts, &n, ACT_DELIVER, i, true);
        if (budget_left(state, BUDGET_DROPS) > 0) add(acts, &n, ACT_DROP, i, false);
        if (budget_left(state, BUDGET_DUPLICATES) > 0) add(acts, &n, ACT_DUPLICATE, i, false);
    }
    for (uint32_t id = 1; id <= rig->bounds.peers; id++) {
        uint64_t word = state->peer[id - 1];
        if (!FIELD_GET(word, UP)) {
            add(acts, &n, ACT_RESTART, id, false);
            continue;
        }
        if (crashes) add(acts, &n, ACT_CRASH, id, false);
        if (FIELD_GET(word, ROLE) != LEADER) { /* a torn candidacy has sent nothing: a crash */
            if (budget_left(state, BUDGET_TIMEOUTS) > 0) add(acts, &n, ACT_TIMEOUT, id, false);
            continue;
        }
        if (budget_left(state, BUDGET_HEARTBEATS) > 0) add(acts, &n, ACT_HEARTBEAT, id, false);
        if (budget_left(state, BUDGET_PROPOSALS) == 0) continue;
        add(acts, &n, ACT_PROPOSE, id, false);
        if (torn) add(acts, &n, ACT_PROPOSE, id, true);
    }
    return n;
}

/* ---- what becomes of it ---- */

/* It keeps what its disk has, and is remembered for what it promised. */
static void crash(const struct state *before, uint32_t id, struct state *after)
{
    uint64_t keeps = FIELD_MASK(VOTED) << VOTED_AT | FIELD_MASK(PROMISED) << PROMISED_AT |
                     FIELD_MASK(TERM) << TERM_AT | FIELD_MASK(KNOWN) << KNOWN_AT |
                     FIELD_MASK(LOG) << LOG_AT;
    after->peer[id - 1] = before->peer[id - 1] & keeps;
    after->lead[id - 1] = 0;
    budget_take(after, BUDGET_CRASHES);
}

static void restart(struct rig *rig, uint32_t id, struct state *after)
{
    struct raft *raft = &rig->raft;
    state_load(after, id, raft);
    struct raft_config config = raft->config;
    struct log log = raft->log;
    raft_init(raft, &config, raft->current_term, raft->voted_for, &log, 0, 0);
    state_store(after, id, raft);
}

static void step(struct rig *rig, struct event *event, enum event_kind kind)
{
    event->kind = kind;
    raft_step(&rig->raft, event, &rig->update);
}

static void save(struct rig *rig, struct event *event)
{
    struct update *update = &rig->update;
    while (update->save_hard || update->save_from != 0) { /* again where storing adds to it */
        update->save_hard = false;
        update->save_from = 0;
        event->index = rig->raft.log.last_index;
        step(rig, event, EVENT_STORED);
    }
}

static enum played take_turn(struct rig *rig, const struct state *before, struct act act,
                             uint32_t id, struct event *event, struct state *after)
{
    struct raft *raft = &rig->raft;
    struct update *update = &rig->update;
    rig->before = before;
    state_load(before, id, raft);
    update_reset(update);
    step(rig, event, event->kind);
    step(rig, event, EVENT_FLUSH);
    if (act.torn && update->early_count == 0) return PLAYED_NOTHING;
    for (uint32_t i = 0; i < update->early_count; i++)
        state_send(after, message_word(&update->early[i], &raft->log));
    if (act.torn) {
        crash(before, id, after);
        if (raft->role != LEADER) return PLAYED;
        return facts_lead(after, id, (uint32_t)raft->current_term, &rig->finding) ? PLAYED
                                                                                  : PLAYED_BROKEN;
    }
    save(rig, event);
    if (update->apply_to != 0) {
        event->index = update->apply_to;
        step(rig, event, EVENT_APPLIED);
    }
    if (raft->current_term != FIELD_GET(before->peer[id - 1], TERM))
        after->peer[id - 1] = FIELD_CLEAR(after->peer[id - 1], PROMISED);
    state_store(after, id, raft);
    for (uint32_t i = 0; i < update->late_count; i++) {
        uint64_t message = message_word(&update->late[i], &raft->log);
        state_send(after, message);
        if (!facts_send(after, message, &rig->finding)) return PLAYED_BROKEN;
    }
    return facts_turn(before, after, rig->bounds.peers, id, &rig->finding) ? PLAYED : PLAYED_BROKEN;
}

static void copy(const struct state *from, uint32_t peers, struct state *to)
{
    for (uint32_t i = 0; i < peers; i++) to->peer[i] = from->peer[i];
    for (uint32_t i = 0; i < peers; i++) to->lead[i] = from->lead[i];
    to->leaders = from->leaders;
    to->committed = from->committed;
    to->commit_terms = from->commit_terms;
    to->count = from->count;
    for (uint32_t i = 0; i < from->count; i++) to->messages[i] = from->messages[i];
}

static enum played deliver(struct rig *rig, const struct state *before, struct act act,
                           struct state *after)
{
    uint64_t terms[STATE_ENTRIES];
    struct message message;
    message_load(before->messages[act.which], &message, terms);
    state_take(after, act.which);
    struct event event = { .kind = EVENT_MESSAGE, .message = &message };
    return take_turn(rig, before, act, message.to, &event, after);
}

enum played act_play(struct rig *rig, const struct state *before, struct act act,
                     struct state *after)
{
    struct event event = { .kind = EVENT_TIMEOUT_NOW };
    copy(before, rig->bounds.peers, after);
    switch (act.kind) {
    case ACT_DELIVER: return deliver(rig, before, act, after);
    case ACT_DROP:
        state_take(after, act.which);
        budget_take(after, BUDGET_DROPS);
        return PLAYED;
    case ACT_DUPLICATE:
        state_send(after, before->messages[act.which]);
        budget_take(after, BUDGET_DUPLICATES);
        return PLAYED;
    case ACT_TIMEOUT: budget_take(after, BUDGET_TIMEOUTS); break;
    case ACT_HEARTBEAT:
        budget_take(after, BUDGET_HEARTBEATS);
        event = (struct event){ .kind = EVENT_TICK, .now_ns = 1 };
        break;
    case ACT_PROPOSE:
        budget_take(after, BUDGET_PROPOSALS);
        event.kind = EVENT_PROPOSE;
        break;
    case ACT_CRASH: crash(before, act.which, after); return PLAYED;
    default:
        CHECK(act.kind == ACT_RESTART);
        restart(rig, act.which, after);
        return PLAYED;
    }
    return take_turn(rig, before, act, act.which, &event, after);
}

void act_blame(struct rig *rig, const char *file, int line, const char *condition)
{
    const struct raft *raft = &rig->raft;
    struct finding *finding = &rig->finding;
    uint32_t id = raft->config.self;
    uint64_t was = FIELD_GET(rig->before->peer[id - 1], COMMIT);
    snprintf(finding->second, sizeof(finding->second), "it is not so at peer %u", id);
    snprintf(finding->first, sizeof(finding->first), "%s:%d expects %s", file, line, condition);
    finding->invariant = "CHECK";
    if (raft->commit_index >= was) return;
    finding->invariant = "CM";
    snprintf(finding->first, sizeof(finding->first), "commit_index of peer %u was %u", id,
             (uint32_t)was);
    snprintf(finding->second, sizeof(finding->second), "commit_index of peer %u is %u (%s:%d)", id,
             (uint32_t)raft->commit_index, file, line);
}

/* ---- too many messages: all subsets of the right size, in the order of their masks ---- */

uint32_t losses_first(const struct rig *rig, const struct state *after)
{
    uint32_t most = rig->bounds.messages;
    return after->count > most ? (1u << (after->count - most)) - 1 : 0;
}

uint32_t losses_next(const struct state *after, uint32_t lost)
{
    uint32_t lowest = lost & -lost, carried = lost + lowest; /* the next mask with as many bits */
    lost = carried | ((lost ^ carried) >> 2) / lowest;
    return lost >> after->count == 0 ? lost : 0;
}

void state_lose(struct state *after, uint32_t lost)
{
    for (uint32_t i = after->count; i-- > 0;)
        if (lost >> i & 1) state_take(after, i);
}

/* ---- for keeping ---- */

void act_pack(struct act act, uint8_t *bytes)
{
    bytes[0] = (uint8_t)(act.kind | act.torn << 3 | act.which << 4);
    bytes[1] = (uint8_t)act.loss;
    bytes[2] = (uint8_t)(act.loss >> 8);
}

struct act act_unpack(const uint8_t *bytes)
{
    return (struct act){ .kind = bytes[0] & 7,
                         .torn = bytes[0] >> 3 & 1,
                         .which = bytes[0] >> 4,
                         .loss = (uint16_t)(bytes[1] | bytes[2] << 8) };
}
_Static_assert(ACT_KINDS <= 8 && STATE_MESSAGES <= 16, "an act without its loss is a byte");
