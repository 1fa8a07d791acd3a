/* sim/world.c - the order of time, and what may be done to a peer. */
#include "sim/node.h"

#include <stdlib.h>
#include <string.h>

/* ---- time ---- */

static void deliver(struct world *world)
{
    static struct wire_scratch scratch;
    struct parcel *parcel = network_take(&world->network);
    struct packet packet;
    world_mix(world, parcel->order ^ world->now_ns << 8);
    if (parcel->to >= 1 && parcel->to <= world->peers) {
        node_deliver(&world->nodes[parcel->to], parcel);
        return;
    }
    if (world->guests.take != NULL && node_decode(world, parcel, &scratch, &packet))
        world->guests.take(world->guests.state, &packet);
    free(parcel);
}

uint64_t world_next_ns(const struct world *world)
{
    uint64_t next_ns = MIN_OF(world->guests.due_ns, network_due_ns(&world->network));
    for (uint32_t id = 1; id <= world->peers; id++)
        next_ns = MIN_OF(next_ns, node_due_ns(&world->nodes[id]));
    return next_ns;
}

void world_run(struct world *world, uint64_t until_ns)
{
    while (world->ledger.broken == NULL) {
        uint64_t next_ns = world->guests.due_ns, arrival_ns = network_due_ns(&world->network);
        struct node *turn = NULL;
        for (uint32_t id = 1; id <= world->peers; id++) {
            uint64_t due_ns = node_due_ns(&world->nodes[id]);
            if (due_ns >= next_ns) continue;
            turn = &world->nodes[id];
            next_ns = due_ns;
        }
        bool arrives = arrival_ns <= next_ns;
        if (arrives) next_ns = arrival_ns;
        if (next_ns > until_ns || next_ns == TIME_NEVER) break;
        world->now_ns = MAX_OF(world->now_ns, next_ns);
        if (arrives) deliver(world);
        else if (turn != NULL) node_act(turn);
        else world->guests.act(world->guests.state);
    }
    world->now_ns = MAX_OF(world->now_ns, until_ns);
}

void world_send(struct world *world, struct packet *packet)
{
    struct parcel *parcel = parcel_new(&world->network, packet, world->now_ns);
    network_send(&world->network, parcel, world->now_ns);
}

/* ---- what may be done to a peer ---- */

void world_timeout(struct world *world, uint32_t id)
{
    struct packet packet = {
        .frame = { .kind = MESSAGE_TIMEOUT_NOW, .to = (uint8_t)id, .term = 1 },
    };
    world->tally[TALLY_FORCED]++;
    world_send(world, &packet);
}

void world_crash(struct world *world, uint32_t id)
{
    if (!world->nodes[id].up) return;
    world->tally[TALLY_CRASHED]++;
    node_bury(&world->nodes[id]);
}

void world_crash_at(struct world *world, uint32_t id, uint32_t where, uint32_t sends)
{
    world->nodes[id].crash_at = world->nodes[id].up ? where : KILL_NOWHERE;
    world->nodes[id].crash_sends = sends;
}

void world_power_cut(struct world *world, uint32_t id)
{
    if (world->nodes[id].up) node_bury(&world->nodes[id]);
    world->tally[TALLY_POWER_CUT]++;
    ledger_power_cut(&world->ledger, id, &world->rng);
}

void world_pause(struct world *world, uint32_t id, uint64_t until_ns)
{
    struct node *node = &world->nodes[id];
    if (node->up && until_ns > world->now_ns) world->tally[TALLY_PAUSED]++;
    node->paused_ns = until_ns;
}

void world_restart(struct world *world, uint32_t id)
{
    node_start(&world->nodes[id]);
}

void world_fail_disk(struct world *world, uint32_t id, int disk_errno, int read_errno)
{
    world->nodes[id].disk_errno = disk_errno;
    world->nodes[id].read_errno = read_errno;
}

void world_slow_disk(struct world *world, uint32_t id, uint64_t disk_ns)
{
    world->nodes[id].disk_ns = disk_ns;
}

void world_heal(struct world *world)
{
    network_heal(&world->network);
    for (uint32_t id = 1; id <= world->peers; id++) {
        struct node *node = &world->nodes[id];
        node->disk_errno = node->read_errno = 0;
        node->disk_ns = node->paused_ns = 0;
        node->crash_at = KILL_NOWHERE;
        node_start(node);
    }
}

/* ---- looking ---- */

void world_look(struct world *world, uint32_t id)
{
    const struct node *node = &world->nodes[id];
    if (node->up) ledger_committed(&world->ledger, &node->peer, node->commit_seen);
}

const struct peer *world_peer(const struct world *world, uint32_t id)
{
    return world->nodes[id].up ? &world->nodes[id].peer : NULL;
}

bool world_paused(const struct world *world, uint32_t id)
{
    return world->nodes[id].up && world->nodes[id].paused_ns > world->now_ns;
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

static bool link_is_well(const struct world *world, const struct link_rule *rule)
{
    struct link_rule still = *rule;
    still.delay_min_ns = still.delay_max_ns = 0;
    return link_rule_faultless(&still) && rule->delay_min_ns == rule->delay_max_ns &&
           rule->delay_max_ns <= world->config.raft.election_min_ns / 8;
}

bool world_is_well(struct world *world)
{
    uint32_t running = 0;
    for (uint32_t id = 1; id <= world->peers; id++) {
        const struct node *node = &world->nodes[id];
        if (!node->up || world_paused(world, id)) continue;
        running++;
        if (node->disk_errno != 0 || node->read_errno != 0 || node->disk_ns != 0) return false;
        if (node->rate_ppm < PPM - PPM / 5 || node->rate_ppm > PPM + PPM / 5) return false;
        for (uint32_t to = 1; to <= world->peers; to++)
            if (!link_is_well(world, network_rule(&world->network, id, to))) return false;
    }
    return running > world->peers / 2;
}

/* ---- life ---- */

void world_open(struct world *world, const struct peer_config *config, uint32_t clients,
                uint32_t skew_ppm, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->config = *config;
    world->peers = config->raft.peers;
    world->guests.due_ns = TIME_NEVER;
    world->calm_since_ns = TIME_NEVER;
    rng_seed(&world->rng, seed, 2, 0);
    ledger_open(&world->ledger, world->peers);
    network_open(&world->network, 1 + world->peers + clients, seed);
    world->nodes = calloc(world->peers + 1u, sizeof(*world->nodes));
    CHECK(world->nodes != NULL);
    for (uint32_t id = 1; id <= world->peers; id++) {
        struct node *node = &world->nodes[id];
        node->world = world;
        node->id = id;
        node->wake_ns = node->done_ns = TIME_NEVER;
        node->rate_ppm = (uint32_t)rng_range(&world->rng, PPM - skew_ppm, PPM + skew_ppm);
        node->scratch = malloc(sizeof(*node->scratch));
        CHECK(node->scratch != NULL);
    }
}

void world_start(struct world *world)
{
    for (uint32_t id = 1; id <= world->peers; id++) node_start(&world->nodes[id]);
}

void world_close(struct world *world)
{
    for (uint32_t id = 1; id <= world->peers; id++) {
        if (world->nodes[id].up) node_bury(&world->nodes[id]);
        free(world->nodes[id].scratch);
    }
    free(world->nodes);
    network_close(&world->network);
    ledger_close(&world->ledger);
}
