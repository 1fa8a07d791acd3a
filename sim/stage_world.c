/* sim/stage_world.c - one function per kind of verb, as ctl/carry.c does it for real processes. */
#include "sim/stage_world.h"

#include "sim/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t LOAD_PATIENCE_NS = 100 * NS_PER_MS, LOAD_GIVE_UP_NS = 5 * NS_PER_S;
static const uint64_t STANDSTILL_NS = 8 * NS_PER_S; /* after that nobody waits any more */

static void note(struct stage_world *stage, enum note_kind kind, uint32_t other, uint64_t a,
                 uint64_t b)
{
    struct world *world = stage->world;
    if (world->each_note == NULL) return;
    struct note note = {
        .time_ns = world->now_ns, .kind = (uint16_t)kind, .other = (uint8_t)other, .a = a, .b = b
    };
    world->each_note(world->context, &note);
}

/* ---- time ---- */

static uint64_t now(void *state)
{
    const struct stage_world *stage = state;
    return stage->world->now_ns + stage->frozen_ns;
}

void stage_world_run(struct stage_world *stage, uint64_t plan_ns)
{
    if (stage->frozen) stage->frozen_ns = MAX_OF(stage->frozen_ns, plan_ns - stage->world->now_ns);
    else world_run(stage->world, MAX_OF(plan_ns, stage->frozen_ns) - stage->frozen_ns);
}

static err_t set_rate(struct stage_world *stage, const struct command *command, char *done,
                      size_t size)
{
    if (!stage->frozen) stage->frozen_since_ns = now(stage);
    stage->frozen = command->rate_ppm == 0;
    note(stage, NOTE_CLOCK_RATE, 0, command->rate_ppm, 0);
    if (size > 0) snprintf(done, size, "clock %gx", (double)command->rate_ppm / PPM);
    return ERR_OK;
}

/* To the next timer or arrival, or by a time. */
static err_t step_clock(struct stage_world *stage, const struct command *command, char *done,
                        size_t size)
{
    struct world *world = stage->world;
    uint64_t from_ns = world->now_ns, to_ns = from_ns + command->time_ns;
    if (command->time_ns == 0) to_ns = world_next_ns(world);
    if (to_ns == TIME_NEVER)
        return err_begin(ERR_INPUT, "no timer runs and no message is held: nothing to step to");
    world_run(world, to_ns);
    if (size > 0)
        snprintf(done, size, "clock moved on by %.3f ms", (double)(world->now_ns - from_ns) / 1e6);
    return ERR_OK;
}

/* ---- peers ---- */

static void view_cluster(const struct stage_world *stage, struct cluster_view *view)
{
    const struct world *world = stage->world;
    *view = (struct cluster_view){ .peers = world->peers, .leader = world_leader(world) };
    for (uint32_t id = 1; id <= world->peers; id++) {
        const struct peer *peer = world_peer(world, id);
        if (peer == NULL) continue;
        view->alive |= peer_bit(id);
        if (peer->raft.role == CANDIDATE) view->candidates |= peer_bit(id);
    }
}

/* Words skip those that need nothing: "restart all" means all that are dead. */
static bool needs(const struct stage_world *stage, enum verb verb, uint32_t id)
{
    bool up = world_peer(stage->world, id) != NULL, paused = world_paused(stage->world, id);
    switch (verb) {
    case VERB_RESTART: return !up;
    case VERB_KILL:
    case VERB_TIMEOUT_NOW: return up;
    case VERB_PAUSE: return up && !paused;
    case VERB_RESUME: return paused;
    default: return true;
    }
}

static err_t kill_peer(struct stage_world *stage, const struct command *command, uint32_t id)
{
    if (world_peer(stage->world, id) == NULL)
        return err_begin(ERR_DOWN, "peer %u is dead already", id);
    if (command->number != KILL_NOWHERE) {
        world_crash_at(stage->world, id, command->number, 0);
        return ERR_OK;
    }
    note(stage, NOTE_KILLED, id, 0, 0);
    world_crash(stage->world, id);
    stage->kills++;
    return ERR_OK;
}

static err_t restart_peer(struct stage_world *stage, uint32_t id)
{
    if (world_peer(stage->world, id) != NULL)
        return err_begin(ERR_INPUT, "peer %u is running already", id);
    world_restart(stage->world, id);
    note(stage, NOTE_RESTARTED, id, 0, 0);
    return ERR_OK;
}

static err_t pause_peer(struct stage_world *stage, uint32_t id)
{
    if (world_peer(stage->world, id) == NULL) return err_begin(ERR_DOWN, "peer %u is dead", id);
    world_pause(stage->world, id, TIME_NEVER);
    note(stage, NOTE_PAUSED, id, 0, 0);
    return ERR_OK;
}

static err_t resume_peer(struct stage_world *stage, uint32_t id)
{
    if (world_peer(stage->world, id) == NULL) return err_begin(ERR_DOWN, "peer %u is dead", id);
    world_pause(stage->world, id, 0);
    note(stage, NOTE_RESUMED, id, 0, 0);
    return ERR_OK;
}

static err_t time_out(struct stage_world *stage, uint32_t id)
{
    if (world_peer(stage->world, id) == NULL)
        return err_begin(ERR_DOWN, "peer %u is dead, it has no timer", id);
    world_timeout(stage->world, id);
    return ERR_OK;
}

static err_t one_peer(struct stage_world *stage, const struct command *command, uint32_t id)
{
    struct world *world = stage->world;
    switch (command->verb) {
    case VERB_KILL: return kill_peer(stage, command, id);
    case VERB_POWER_CUT:
        note(stage, NOTE_KILLED, id, 0, 0);
        world_power_cut(world, id);
        return ERR_OK;
    case VERB_RESTART: return restart_peer(stage, id);
    case VERB_PAUSE: return pause_peer(stage, id);
    case VERB_RESUME: return resume_peer(stage, id);
    case VERB_TIMEOUT_NOW: return time_out(stage, id);
    case VERB_SLOW_DISK:
        world_slow_disk(world, id, command->time_ns);
        note(stage, NOTE_SLOW_DISK, id, command->time_ns, 0);
        return ERR_OK;
    case VERB_FAIL_DISK: world_fail_disk(world, id, (int)command->number, 0); return ERR_OK;
    case VERB_SKEW:
        world_skew(world, id, (uint32_t)command->rate_ppm);
        note(stage, NOTE_SKEWED, id, command->rate_ppm, 0);
        return ERR_OK;
    default: check_failed(__FILE__, __LINE__, "a verb of one peer");
    }
}

static err_t each_peer(struct stage_world *stage, const struct command *command, char *done,
                       size_t size)
{
    struct cluster_view view;
    view_cluster(stage, &view);
    peer_set peers = selector_resolve(&command->group[0], &view, 0, &stage->rng), served = 0;
    struct out out = { done, size, 0 };
    if (size > 0) out_add(&out, "%s", verb_rows[command->verb].word);
    for (uint32_t id = 1; id <= view.peers; id++) {
        bool named = peer_in(command->group[0].peers, id);
        if (!peer_in(peers, id) || (!named && !needs(stage, command->verb, id))) continue;
        err_t err = one_peer(stage, command, id);
        if (err != ERR_OK) return err;
        if (size > 0) out_add(&out, " %u", id);
        served |= peer_bit(id);
    }
    if (size > 0 && served == 0) out_add(&out, " nobody");
    return ERR_OK;
}

/* ---- links ---- */

static err_t change_links(struct stage_world *stage, const struct command *command, char *done,
                          size_t size)
{
    struct cluster_view view;
    uint32_t cut = 0;
    view_cluster(stage, &view);
    uint32_t changed = command_apply_links(command, &view, &stage->rng, &stage->table);
    for (uint32_t from = 1; from <= view.peers; from++)
        for (uint32_t to = 1; to <= view.peers; to++) {
            *network_rule(&stage->world->network, from, to) = stage->table.rule[from][to];
            cut += stage->table.rule[from][to].cut != 0;
        }
    stage->link_changes += changed;
    note(stage, NOTE_LINKS_CHANGED, 0, changed, cut);
    if (size > 0) snprintf(done, size, "%u links changed, %u cut", changed, cut);
    return ERR_OK;
}

/* ---- clients ---- */

static err_t change_load(struct stage_world *stage, const struct command *command, char *done,
                         size_t size)
{
    if (command->load.ops == 0) {
        callers_stop(&stage->callers);
        if (size > 0) snprintf(done, size, "load off");
        return ERR_OK;
    }
    uint32_t clients = command->load.clients * STAGE_CALLERS;
    struct load_shape shape = { .clients = clients,
                                .keys = command->load.keys,
                                .bytes = command->load.bytes,
                                .ops = command->load.ops,
                                .think_ns = NS_PER_MS,
                                .patience_ns = LOAD_PATIENCE_NS,
                                .give_up_ns = LOAD_GIVE_UP_NS,
                                .believes_refusals = true };
    if (command->load.per_second > 0)
        shape.period_ns = NS_PER_S * clients / command->load.per_second;
    callers_work(&stage->callers, &shape);
    if (size > 0) snprintf(done, size, "load on");
    return ERR_OK;
}

static err_t ask(void *state, const struct command *command, struct asked **asked)
{
    struct stage_world *stage = state;
    const struct call *call;
    err_t err = callers_ask(&stage->callers, command, &call);
    if (err == ERR_OK) *asked = (struct asked *)(uintptr_t)call; /* opaque to the player */
    return err;
}

static bool answer(void *state, const struct asked *asked, struct answer *answer)
{
    struct stage_world *stage = state;
    const struct call *call = (const struct call *)(const void *)asked;
    bool stands = stage->frozen && now(stage) - stage->frozen_since_ns >= STANDSTILL_NS;
    if (call->open && stands)
        *answer = (struct answer){ .status = HISTORY_UNKNOWN, .why = "no answer in time" };
    if (call->open) return stands;
    const struct operation *operation = &call->operation;
    bool get = operation->op == HISTORY_GET;
    *answer = (struct answer){ .status = operation->status,
                               .found = operation->done,
                               .output = get && operation->done ? operation->output : NULL,
                               .why = operation->status == HISTORY_UNKNOWN ? "no answer in time"
                                                                           : "refused" };
    return true;
}

/* ---- verdicts ---- */

static void add_open(struct history *history, const struct call *call)
{
    struct operation operation = call->operation;
    if (!call->open) return;
    operation.status = HISTORY_UNKNOWN;
    CHECK(history_add(history, &operation) == ERR_OK);
}

/* What is still open may take effect or not: unknown, for this verdict. */
static void judge_history(struct stage_world *stage, struct verdict *verdict)
{
    static const struct linear_limits limits = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS };
    struct callers *callers = &stage->callers;
    struct history *history = &callers->history;
    size_t closed = history->count, bytes;
    for (size_t i = 0; i < callers->asked_count; i++) add_open(history, callers->asked[i]);
    for (uint32_t i = 0; i < callers->count; i++) add_open(history, &callers->calls[i]);
    struct linear_result result;
    linear_check(history, &limits, &result);
    free(result.stretch);
    stage->judged = history->count;
    verdict->linear = result.verdict;
    if (stage->read || result.verdict != LINEAR_YES) {
        FILE *file = open_memstream(&verdict->report, &bytes);
        CHECK(file != NULL);
        verdict_write(file, history, &limits);
        fclose(file);
    }
    history->count = closed;
}

static bool judge(void *state, struct verdict *verdict)
{
    struct stage_world *stage = state;
    *verdict = (struct verdict){ .err = ERR_OK };
    if (!stage->callers.ending) callers_stop(&stage->callers);
    if (!callers_rest(&stage->callers) && !stage->frozen) return false;
    judge_history(stage, verdict);
    return true;
}

static const struct violation *violated(void *state)
{
    struct stage_world *stage = state;
    const struct ledger *ledger = &stage->world->ledger;
    if (ledger->broken == NULL) return NULL;
    stage->violation = (struct violation){ .invariant = ledger->broken };
    snprintf(stage->violation.text, sizeof(stage->violation.text), "%.255s", ledger->text);
    return &stage->violation;
}

static const char *crashed(void *state)
{
    UNUSED(state);
    return NULL; /* here a peer dies of a failed CHECK, and that ends the world */
}

/* ---- looking ---- */

static void look(void *state, struct expect_view *view)
{
    struct stage_world *stage = state;
    const struct world *world = stage->world;
    view->peers = world->peers;
    view->live = view->starting = 0;
    view->rpcs = world->tally[TALLY_REQUESTS];
    for (uint32_t id = 1; id <= world->peers; id++) {
        const struct peer *peer = world_peer(world, id);
        view->reaches[id] = 0;
        if (peer == NULL || world_paused(world, id)) continue;
        const struct raft *raft = &peer->raft;
        struct log_id last = log_last(&raft->log);
        view->live |= peer_bit(id);
        view->peer[id] = (struct expect_peer){ .role = raft->role,
                                               .leader = raft->leader,
                                               .term = raft->current_term,
                                               .last_index = last.index,
                                               .last_term = last.term,
                                               .commit_index = raft->commit_index,
                                               .last_applied = raft->last_applied,
                                               .state_hash = peer->state_hash };
    }
    for (uint32_t a = 1; a <= view->peers; a++)
        for (uint32_t b = 1; b <= view->peers; b++) {
            bool cut = stage->table.rule[a][b].cut != 0 || stage->table.rule[b][a].cut != 0;
            bool live = peer_in(view->live, a) && peer_in(view->live, b);
            if (live && (a == b || !cut)) view->reaches[a] |= peer_bit(b);
        }
}

static err_t carry_out(struct stage_world *stage, const struct command *command, char *done,
                       size_t size)
{
    switch (command->verb) {
    case VERB_KILL:
    case VERB_POWER_CUT:
    case VERB_RESTART:
    case VERB_PAUSE:
    case VERB_RESUME:
    case VERB_TIMEOUT_NOW:
    case VERB_SLOW_DISK:
    case VERB_FAIL_DISK:
    case VERB_SKEW: return each_peer(stage, command, done, size);
    case VERB_RATE: return set_rate(stage, command, done, size);
    case VERB_STEP: return step_clock(stage, command, done, size);
    case VERB_LOAD: return change_load(stage, command, done, size);
    default: return change_links(stage, command, done, size);
    }
}

/* (ST) is judged from the last fault on. */
static err_t carry(void *state, const struct command *command, char *done, size_t size)
{
    struct stage_world *stage = state;
    struct world *world = stage->world;
    err_t err = carry_out(stage, command, done, size);
    if (command->verb == VERB_LOAD) return err;
    world->calm_since_ns = world_is_well(world) ? world->now_ns : TIME_NEVER;
    return err;
}

/* ---- life ---- */

void stage_world_open(struct stage_world *stage, struct world *world, uint64_t seed)
{
    memset(stage, 0, sizeof(*stage));
    stage->stage = (struct stage){ stage, now, carry, ask, answer, look, judge, violated, crashed };
    stage->world = world;
    world->calm_since_ns = world->now_ns;
    rng_seed(&stage->rng, seed, 5, 0);
    callers_open(&stage->callers, world, seed);
}

void stage_world_close(struct stage_world *stage)
{
    callers_close(&stage->callers);
}
