/* tests/harness/cores.c - turns of pure cores, performed in the order of the update's fields. */
#include "tests/harness/cores.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

static void flight_add(struct cores *cores, struct flight *flight)
{
    if (cores->flights_count == cores->flights_capacity) {
        cores->flights_capacity = cores->flights_capacity == 0 ? 64 : 2 * cores->flights_capacity;
        cores->flights = realloc(cores->flights, cores->flights_capacity * sizeof(*cores->flights));
        CHECK(cores->flights != NULL);
    }
    cores->flights[cores->flights_count++] = flight;
}

static struct flight *flight_take(struct cores *cores, size_t n)
{
    CHECK(n < cores->flights_count);
    struct flight *flight = cores->flights[n];
    cores->flights_count--;
    memmove(&cores->flights[n], &cores->flights[n + 1],
            (cores->flights_count - n) * sizeof(flight));
    return flight;
}

static size_t flight_size(const struct message *message)
{
    return sizeof(struct flight) + message->count * sizeof(struct entry);
}

static void send_message(struct cores *cores, const struct message *message)
{
    witness_sent(&cores->witness, message);
    struct flight *flight = malloc(flight_size(message));
    CHECK(flight != NULL);
    flight->message = *message;
    const struct entries *log = &cores->core[message->from].log;
    CHECK(message->prev.index + message->count <= log->count || message->count == 0);
    for (uint32_t i = 0; i < message->count; i++)
        flight->entries[i] = log->at[message->prev.index + i];
    flight_add(cores, flight);
}

void cores_lose(struct cores *cores, size_t n)
{
    free(flight_take(cores, n));
}

void cores_copy(struct cores *cores, size_t n)
{
    CHECK(n < cores->flights_count);
    size_t size = flight_size(&cores->flights[n]->message);
    struct flight *copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, cores->flights[n], size);
    flight_add(cores, copy);
}

/* ---- steps ---- */

/* Bring the entries in line with the log's new shape; returns the first index that is changed. */
static uint64_t follow_log(struct cores *cores, struct core *core, const struct flight *flight)
{
    const struct log *shape = &core->raft.log;
    struct entries *log = &core->log;
    uint64_t changed = MIN_OF(log->count, shape->last_index) + 1;
    const struct update *update = core->update;
    bool accepted = flight != NULL && flight->message.kind == MESSAGE_APPEND_REQUEST &&
                    update->late_count > 0 && update->late[update->late_count - 1].granted;
    for (uint32_t i = 0; accepted && i < flight->message.count; i++) {
        uint64_t index = flight->message.prev.index + 1 + i;
        const struct entry *entry = &flight->entries[i];
        if (index > shape->last_index) break;
        if (index <= log->count && log->at[index - 1].term == entry->term) continue;
        entries_cut(log, index);
        if (log->count + 1 != index) break;
        entries_push(log, entry->term, entry->id);
        changed = MIN_OF(changed, index);
    }
    entries_cut(log, shape->last_index + 1);
    while (log->count < shape->last_index) /* a leader's own */
        entries_push(log, log_term(shape, log->count + 1), ++cores->next_id);
    return changed;
}

static void make_room(struct core *core)
{
    if (log_room(&core->raft.log) > CORES_WINDOW_MAX) return;
    uint32_t capacity = 2 * core->raft.log.capacity + 2 * CORES_WINDOW_MAX;
    struct term_run *runs = malloc(capacity * sizeof(*runs));
    CHECK(runs != NULL);
    log_give(&core->raft.log, runs, capacity);
    free(core->runs);
    core->runs = runs;
}

static void step(struct cores *cores, uint32_t id, enum event_kind kind, uint64_t index,
                 const struct flight *flight)
{
    struct core *core = &cores->core[id];
    struct event event = {
        .kind = kind, .now_ns = cores->now_ns, .random = rng_next(&cores->rng), .index = index
    };
    uint64_t terms[CORES_WINDOW_MAX];
    struct message message;
    if (flight != NULL) {
        message = flight->message;
        CHECK(message.count <= CORES_WINDOW_MAX);
        for (uint32_t i = 0; i < message.count; i++) terms[i] = flight->entries[i].term;
        message.terms = terms;
        event.message = &message;
    }
    make_room(core);
    raft_step(&core->raft, &event, core->update);
    uint64_t changed = follow_log(cores, core, flight);
    CHECK(core->update->notes_lost == 0);
    for (uint32_t i = 0; i < core->update->notes_count; i++)
        if (cores->on_note != NULL) cores->on_note(cores->context, &core->update->notes[i]);
    core->update->notes_count = 0;
    witness_stepped(&cores->witness, &core->raft, &core->log, changed);
}

/* A peer whose disk does not answer takes what fits into one update, no more. */
static bool listens(const struct core *core)
{
    return core->up && update_has_room(core->update);
}

void cores_event(struct cores *cores, uint32_t id, enum event_kind kind)
{
    if (listens(&cores->core[id])) step(cores, id, kind, 0, NULL);
}

struct log_id cores_propose(struct cores *cores, uint32_t id)
{
    struct core *core = &cores->core[id];
    if (!listens(core)) return (struct log_id){ 0, 0 };
    step(cores, id, EVENT_PROPOSE, 0, NULL);
    return core->update->proposed;
}

bool cores_deliver(struct cores *cores, size_t n)
{
    struct flight *flight = flight_take(cores, n);
    const struct message *message = &flight->message;
    uint32_t to = message->to;
    bool arrives = listens(&cores->core[to]) && !peer_in(cores->cut[message->from], to);
    if (arrives) step(cores, to, EVENT_MESSAGE, 0, flight);
    free(flight);
    return arrives;
}

/* ---- turns ---- */

static void save(struct cores *cores, uint32_t id)
{
    struct core *core = &cores->core[id];
    struct image *disk = &cores->disks[id];
    if (core->update->save_hard) {
        disk->term = core->raft.current_term;
        disk->voted_for = core->raft.voted_for;
    }
    uint64_t from = core->update->save_from;
    if (from == 0) return;
    entries_copy(&disk->log, &core->log, from);
    witness_saved(&cores->witness, id, from);
}

/* One update, in the order of its fields. False: nothing to do, or nothing can be done. */
static bool perform(struct cores *cores, uint32_t id)
{
    struct core *core = &cores->core[id];
    struct update *update = core->update;
    for (uint32_t i = 0; i < update->early_count; i++) send_message(cores, &update->early[i]);
    update->early_count = 0;
    if (core->disk_held) return false;

    static struct message late[UPDATE_LATE_MAX];
    uint32_t late_count = update->late_count;
    memcpy(late, update->late, late_count * sizeof(late[0]));
    bool saves = update->save_hard || update->save_from != 0;
    if (saves) save(cores, id);
    uint64_t apply_to = update->apply_to;
    update_reset(update);
    if (saves && core->dies_after_save) {
        cores_crash(cores, id);
        return false;
    }
    if (saves) {
        step(cores, id, EVENT_STORED, core->raft.log.last_index, NULL);
        apply_to = update->apply_to;
    }
    for (uint32_t i = 0; i < late_count; i++) send_message(cores, &late[i]);
    if (apply_to != 0) {
        witness_applied(&cores->witness, id, &core->log, apply_to);
        if (cores->witness.broken != NULL) return false; /* or the core's own check is first */
        step(cores, id, EVENT_APPLIED, apply_to, NULL);
    }
    return saves || late_count > 0 || apply_to != 0;
}

void cores_turn(struct cores *cores, uint32_t id)
{
    struct core *core = &cores->core[id];
    if (!core->up) return;
    do step(cores, id, EVENT_FLUSH, 0, NULL);
    while (perform(cores, id));
}

/* ---- lives ---- */

void cores_crash(struct cores *cores, uint32_t id)
{
    struct core *core = &cores->core[id];
    core->up = core->disk_held = core->dies_after_save = false;
}

void cores_restart(struct cores *cores, uint32_t id)
{
    struct core *core = &cores->core[id];
    if (core->up) return;
    const struct image *disk = &cores->disks[id];
    entries_copy(&core->log, &disk->log, 1);
    uint32_t capacity = (uint32_t)disk->log.count + 2 * CORES_WINDOW_MAX;
    free(core->runs);
    core->runs = malloc(capacity * sizeof(*core->runs));
    CHECK(core->runs != NULL);
    struct log log;
    log_init(&log, core->runs, capacity);
    for (uint64_t i = 0; i < disk->log.count; i++) log_append(&log, disk->log.at[i].term);
    struct raft_config config = cores->config;
    config.self = id;
    raft_init(&core->raft, &config, disk->term, disk->voted_for, &log, cores->now_ns,
              rng_next(&cores->rng));
    update_reset(core->update);
    core->up = true;
    witness_started(&cores->witness, id);
}

void cores_hold_disk(struct cores *cores, uint32_t id)
{
    cores->core[id].disk_held = cores->core[id].up;
}

void cores_release_disk(struct cores *cores, uint32_t id)
{
    cores->core[id].disk_held = false;
    cores_turn(cores, id);
}

void cores_load(struct cores *cores, uint32_t id, uint64_t term, uint32_t voted_for,
                const uint64_t *terms, uint64_t count)
{
    struct image *disk = &cores->disks[id];
    disk->term = term;
    disk->voted_for = voted_for;
    entries_cut(&disk->log, 1);
    for (uint64_t i = 0; i < count; i++) /* the same entry wherever (index, term) is the same */
        entries_push(&disk->log, terms[i], (terms[i] << 32) + i);
    cores_crash(cores, id);
    cores_restart(cores, id);
}

void cores_open(struct cores *cores, const struct raft_config *config, uint64_t seed)
{
    CHECK(config->window <= CORES_WINDOW_MAX);
    memset(cores, 0, sizeof(*cores));
    cores->config = *config;
    cores->next_id = (uint64_t)1 << 62; /* apart from the identities of cores_load */
    rng_seed(&cores->rng, seed, 0, 0);
    witness_open(&cores->witness, config->peers, cores->disks);
    for (uint32_t id = 1; id <= config->peers; id++) {
        cores->core[id].update = calloc(1, sizeof(*cores->core[id].update));
        CHECK(cores->core[id].update != NULL);
        cores_restart(cores, id);
    }
}

void cores_close(struct cores *cores)
{
    for (uint32_t id = 1; id <= cores->config.peers; id++) {
        free(cores->core[id].update);
        free(cores->core[id].runs);
        entries_free(&cores->core[id].log);
        entries_free(&cores->disks[id].log);
    }
    while (cores->flights_count > 0) cores_lose(cores, cores->flights_count - 1);
    free(cores->flights);
    witness_close(&cores->witness);
}

/* ---- time ---- */

uint64_t cores_deadline(const struct cores *cores)
{
    uint64_t deadline = TIME_NEVER;
    for (uint32_t id = 1; id <= cores->config.peers; id++)
        if (listens(&cores->core[id]))
            deadline = MIN_OF(deadline, raft_deadline(&cores->core[id].raft));
    return deadline;
}

void cores_advance(struct cores *cores, uint64_t ns)
{
    uint64_t until = cores->now_ns + ns;
    uint64_t deadline;
    while ((deadline = cores_deadline(cores)) <= until) {
        cores->now_ns = MAX_OF(cores->now_ns, deadline);
        for (uint32_t id = 1; id <= cores->config.peers; id++) {
            struct core *core = &cores->core[id];
            if (!listens(core) || raft_deadline(&core->raft) > cores->now_ns) continue;
            cores_event(cores, id, EVENT_TICK);
            cores_turn(cores, id);
        }
    }
    cores->now_ns = until;
}

uint32_t cores_leader(const struct cores *cores)
{
    uint32_t leader = 0;
    for (uint32_t id = 1; id <= cores->config.peers; id++) {
        const struct core *core = &cores->core[id];
        if (!core->up || core->raft.role != LEADER) continue;
        if (leader == 0 || core->raft.current_term > cores->core[leader].raft.current_term)
            leader = id;
    }
    return leader;
}
