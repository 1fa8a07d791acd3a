/* ctl/carry.c - one function per kind of verb. */
#include "ctl/carry.h"

#include "ctl/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct carrying {
    struct supervisor *supervisor;
    struct cluster *cluster;
    const struct command *command;
    peer_set peers; /* that group 0 names now */
};

static void print_peers(peer_set peers, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t id = 1; id <= PEER_MAX; id++) {
        if (!peer_in(peers, id) || used + 8 > size) continue;
        used += (size_t)snprintf(text + used, size - used, used > 0 ? " %u" : "%u", id);
    }
}

static err_t kill_peer(struct carrying *c, uint32_t peer)
{
    if (c->command->number == KILL_NOWHERE) return cluster_kill(c->cluster, peer);
    if (!cluster_alive(c->cluster, peer))
        return err_begin(ERR_DOWN, "peer %u is dead already", peer);
    c->cluster->orders[peer].kill_point = c->command->number; /* it kills itself there */
    cluster_publish_orders(c->cluster, peer);
    return ERR_OK;
}

static err_t time_out(struct carrying *c, uint32_t peer)
{
    if (!cluster_alive(c->cluster, peer))
        return err_begin(ERR_DOWN, "peer %u is dead, it has no timer", peer);
    bool sent =
        client_ask(c->supervisor->client, peer, MESSAGE_TIMEOUT_NOW, NULL, 0, 0, 0, false, NULL);
    return sent ? ERR_OK : err_begin(ERR_FULL, "too many questions are open");
}

static err_t order(struct carrying *c, uint32_t peer)
{
    struct peer_orders *orders = &c->cluster->orders[peer];
    if (c->command->verb == VERB_SLOW_DISK) {
        orders->slow_disk_ns = c->command->time_ns;
        cluster_note(c->cluster, NOTE_SLOW_DISK, peer, c->command->time_ns, 0);
    } else if (c->command->verb == VERB_FAIL_DISK) {
        orders->fail_disk = c->command->number;
    } else {
        orders->skew_ppm = c->command->rate_ppm;
        cluster_note(c->cluster, NOTE_SKEWED, peer, c->command->rate_ppm, 0);
    }
    cluster_publish_orders(c->cluster, peer);
    return ERR_OK;
}

static err_t restart_peer(struct carrying *c, uint32_t peer)
{
    return cluster_restart(c->cluster, peer);
}

static err_t pause_peer(struct carrying *c, uint32_t peer)
{
    return cluster_pause(c->cluster, peer);
}

static err_t resume_peer(struct carrying *c, uint32_t peer)
{
    return cluster_resume(c->cluster, peer);
}

/* "restart all" means all that are dead, "pause all" all that can be: words skip those that need
 * nothing. */
static peer_set needing(const struct carrying *c, peer_set peers)
{
    for (uint32_t id = 1; id <= c->cluster->config.peers; id++) {
        const struct child *child = &c->cluster->children[id];
        bool needs = true;
        if (c->command->verb == VERB_RESTART) needs = child->pid == 0;
        if (c->command->verb == VERB_KILL || c->command->verb == VERB_POWER_CUT ||
            c->command->verb == VERB_TIMEOUT_NOW)
            needs = child->pid != 0;
        if (c->command->verb == VERB_PAUSE) needs = child->pid != 0 && !child->paused;
        if (c->command->verb == VERB_RESUME) needs = child->paused;
        if (!needs) peers &= ~peer_bit(id);
    }
    return peers;
}

static err_t each_peer(struct carrying *c, err_t (*one)(struct carrying *, uint32_t), char *done,
                       size_t size)
{
    char peers[256];
    struct cluster_view view;
    cluster_view(c->cluster, &view);
    c->peers = selector_resolve(&c->command->group[0], &view, 0, &c->cluster->rng);
    if (c->command->group[0].words != 0)
        c->peers = needing(c, c->peers) | (c->command->group[0].peers & c->peers);
    for (uint32_t id = 1; id <= c->cluster->config.peers; id++) {
        if (!peer_in(c->peers, id)) continue;
        err_t err = one(c, id);
        if (err != ERR_OK) return err;
    }
    print_peers(c->peers, peers, sizeof(peers));
    snprintf(done, size, "%s %s", verb_rows[c->command->verb].word,
             c->peers == 0 ? "nobody" : peers);
    return ERR_OK;
}

static err_t change_links(struct carrying *c, char *done, size_t size)
{
    struct cluster_view view;
    cluster_view(c->cluster, &view);
    uint32_t changed = command_apply_links(c->command, &view, &c->cluster->rng, &c->cluster->links);
    uint64_t cut = 0;
    for (uint32_t from = 1; from <= c->cluster->config.peers; from++)
        for (uint32_t to = 1; to <= c->cluster->config.peers; to++)
            cut += c->cluster->links.rule[from][to].cut != 0;
    cluster_publish_links(c->cluster);
    cluster_note(c->cluster, NOTE_LINKS_CHANGED, 0, changed, cut);
    snprintf(done, size, "%u links changed, %llu cut", changed, (unsigned long long)cut);
    return ERR_OK;
}

static err_t set_rate(struct carrying *c, char *done, size_t size)
{
    clock_set_rate(region_clock(c->cluster->region), real_now_ns(), c->command->rate_ppm);
    cluster_note(c->cluster, NOTE_CLOCK_RATE, 0, c->command->rate_ppm, 0);
    cluster_ring_all(c->cluster);
    snprintf(done, size, "clock %gx", (double)c->command->rate_ppm / PPM);
    return ERR_OK;
}

/* Earliest thing that a timer or a held message will do, in cluster time. */
static uint64_t next_deadline(const struct cluster *cluster)
{
    uint64_t next = TIME_NEVER;
    for (uint32_t id = 1; id <= cluster->config.peers; id++) {
        struct board board;
        if (!cluster_alive(cluster, id) || cluster->children[id].paused) continue;
        if (cluster_board(cluster, id, &board)) next = MIN_OF(next, board.timer_deadline_ns);
        for (uint32_t slot = 0; slot < HELD_SLOTS; slot++) {
            struct held_message held;
            if (!latch_read(region_held(cluster->region, id, slot), &held, HELD_WORDS, NULL))
                continue;
            if (held.deliver_at_ns != 0) next = MIN_OF(next, held.deliver_at_ns);
        }
    }
    return next;
}

static err_t step_clock(struct carrying *c, char *done, size_t size)
{
    uint64_t now_ns = cluster_now_ns(c->cluster), to_ns = now_ns + c->command->time_ns;
    if (c->command->time_ns == 0) to_ns = next_deadline(c->cluster);
    if (to_ns == TIME_NEVER)
        return err_begin(ERR_INPUT, "no timer runs and no message is held: nothing to step to");
    clock_step_to(region_clock(c->cluster->region), real_now_ns(), to_ns);
    cluster_ring_all(c->cluster);
    snprintf(done, size, "clock moved on by %.3f ms",
             (double)(to_ns > now_ns ? to_ns - now_ns : 0) / 1e6);
    return ERR_OK;
}

static err_t change_load(struct carrying *c, char *done, size_t size)
{
    if (c->command->load.ops == 0) {
        if (c->supervisor->load != NULL) load_finish(c->supervisor->load);
        snprintf(done, size, "load off");
        return ERR_OK;
    }
    err_t err = load_start(c->cluster, c->command, &c->supervisor->load);
    if (err == ERR_OK) snprintf(done, size, "load on");
    return err;
}

err_t carry_out(struct supervisor *supervisor, const struct command *command, char *done,
                size_t size)
{
    struct carrying c = { supervisor, supervisor->cluster, command, 0 };
    switch (command->verb) {
    case VERB_POWER_CUT: /* the page cache survives: a kill [README, durability] */
    case VERB_KILL: return each_peer(&c, kill_peer, done, size);
    case VERB_RESTART: return each_peer(&c, restart_peer, done, size);
    case VERB_PAUSE: return each_peer(&c, pause_peer, done, size);
    case VERB_RESUME: return each_peer(&c, resume_peer, done, size);
    case VERB_TIMEOUT_NOW: return each_peer(&c, time_out, done, size);
    case VERB_SLOW_DISK:
    case VERB_FAIL_DISK:
    case VERB_SKEW: return each_peer(&c, order, done, size);
    case VERB_RATE: return set_rate(&c, done, size);
    case VERB_STEP: return step_clock(&c, done, size);
    case VERB_LOAD: return change_load(&c, done, size);
    default: return change_links(&c, done, size);
    }
}

err_t carry_ask(struct supervisor *supervisor, const struct command *command,
                struct question *question)
{
    static const uint32_t ops[VERB_COUNT] = { [VERB_PUT] = KV_PUT,
                                              [VERB_GET] = KV_GET,
                                              [VERB_DEL] = KV_DEL,
                                              [VERB_APPEND] = KV_APPEND,
                                              [VERB_CAS] = KV_CAS };
    const char *value = command->value != NULL ? command->value : "";
    const char *expected = command->expected != NULL ? command->expected : "";
    struct kv_command kv = {
        .op = ops[command->verb],
        .key = (const uint8_t *)command->key,
        .key_bytes = (uint32_t)strlen(command->key),
        .value = (const uint8_t *)value,
        .value_bytes = (uint32_t)strlen(value),
        .expected = (const uint8_t *)expected,
        .expected_bytes = (uint32_t)strlen(expected),
    };
    if (kv_encoded_bytes(&kv) > ENTRY_BYTES_MAX)
        return err_begin(ERR_TOO_LARGE, "the entry has %zu bytes; 1 MiB is the limit",
                         kv_encoded_bytes(&kv));
    if (client_submit(supervisor->client, &kv, question)) return ERR_OK;
    return err_begin(ERR_FULL, "too many operations are outstanding; wait for some answers");
}
