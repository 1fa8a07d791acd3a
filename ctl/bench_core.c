/* ctl/bench_core.c - three cores in one process, messages handed over by hand: what the algorithm
 * alone costs. */
#include "ctl/bench.h"

#include "node/core/raft.h"

#include <stdlib.h>
#include <string.h>

enum { PEERS_MAX = 9, ROUND = 64, RUNS = 64 };
static const uint64_t RUN_NS = NS_PER_S / 2;

struct core_world {
    uint32_t peers;
    struct raft raft[PEERS_MAX + 1];
    struct update update[PEERS_MAX + 1];
    struct term_run runs[PEERS_MAX + 1][RUNS];
    uint64_t terms[ROUND * 4];
    uint64_t now_ns;
};

static void step(struct core_world *world, uint32_t id, enum event_kind kind,
                 const struct message *message)
{
    struct event event = {
        .kind = kind, .now_ns = world->now_ns, .random = 7 * id + 1, .message = message
    };
    event.index =
        kind == EVENT_STORED ? world->raft[id].log.last_index : world->update[id].apply_to;
    raft_step(&world->raft[id], &event, &world->update[id]);
}

static void deliver(struct core_world *world, struct message *messages, uint32_t *count)
{
    uint32_t taken = *count;
    *count = 0;
    for (uint32_t i = 0; i < taken; i++) {
        struct message message = messages[i]; /* a reply may be added to this array meanwhile */
        for (uint32_t e = 0; e < message.count; e++) world->terms[e] = message.term;
        message.terms = world->terms;
        step(world, message.to, EVENT_MESSAGE, &message);
    }
}

/* One turn of everybody, as the host takes it: flush, send early, store, send late, apply. */
static void turn(struct core_world *world)
{
    for (uint32_t id = 1; id <= world->peers; id++) {
        struct update *update = &world->update[id];
        step(world, id, EVENT_FLUSH, NULL);
        deliver(world, update->early, &update->early_count);
        if (update->save_hard || update->save_from != 0) {
            update->save_hard = false;
            update->save_from = 0;
            step(world, id, EVENT_STORED, NULL);
        }
        deliver(world, update->late, &update->late_count);
        if (update->apply_to != 0) step(world, id, EVENT_APPLIED, NULL);
        update->notes_count = 0;
    }
}

err_t bench_core(const struct bench *bench, struct figures *figures)
{
    struct core_world *world = calloc(1, sizeof(*world));
    CHECK(world != NULL);
    world->peers = MIN_OF(bench->peers, PEERS_MAX);
    for (uint32_t id = 1; id <= world->peers; id++) {
        struct log log;
        struct raft_config config = { .self = id,
                                      .peers = world->peers,
                                      .election_min_ns = NS_PER_S,
                                      .election_max_ns = 2 * NS_PER_S,
                                      .heartbeat_ns = NS_PER_S / 10,
                                      .notify_ns = NS_PER_MS,
                                      .window = ROUND * 4 };
        log_init(&log, world->runs[id], RUNS);
        raft_init(&world->raft[id], &config, 0, 0, &log, 0, id);
    }
    step(world, 1, EVENT_TIMEOUT_NOW, NULL);
    for (int i = 0; i < 8; i++) turn(world);
    uint64_t begun = real_now_ns(), before = world->raft[1].commit_index;
    while (real_now_ns() - begun < RUN_NS) {
        world->now_ns += NS_PER_US;
        for (int i = 0; i < ROUND; i++) step(world, 1, EVENT_PROPOSE, NULL);
        turn(world);
    }
    double seconds = (double)(real_now_ns() - begun) / 1e9;
    bool led = world->raft[1].role == LEADER;
    figures->ops_per_s = (double)(world->raft[1].commit_index - before) / seconds;
    free(world);
    return led ? ERR_OK : err_begin(ERR_SYSTEM, "the core did not stay leader");
}
