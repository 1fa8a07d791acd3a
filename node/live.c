/* node/live.c - the loop of a live peer: orders, turn, publish, sleep. */
#include "node/live.h"

#include "base/rng.h"
#include "node/net_live.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* a busy peer publishes this often; before a sleep always */
static const uint64_t PUBLISH_NS = NS_PER_MS;

struct live {
    const struct live_config *config;
    struct region *region;
    struct net_live *net;
    struct disk store; /* LMDB behind the faults of `orders` */
    struct peer peer;
    struct peer_orders orders;
    uint64_t orders_version;
    struct clock_face face; /* cluster time of real time */
    struct clock_face skew; /* own time of cluster time */
    uint64_t published_ns;
    struct board board;
};

/* ---- disk faults: real LMDB, slower or failing on order ---- */

static err_t disk_load(void *state, struct disk_found *found)
{
    struct live *live = state;
    return live->store.load(live->store.state, found);
}

static err_t disk_commit(void *state, const struct disk_save *save, int *why)
{
    struct live *live = state;
    uint64_t begun = real_now_ns();
    if (live->orders.slow_disk_ns > 0) {
        struct timespec wait = { (time_t)(live->orders.slow_disk_ns / NS_PER_S),
                                 (long)(live->orders.slow_disk_ns % NS_PER_S) };
        nanosleep(&wait, NULL);
    }
    if (live->orders.fail_disk != 0) {
        *why = (int)live->orders.fail_disk;
        return err_begin(ERR_STORAGE, "commit failed on order (errno %d)", *why);
    }
    err_t err = live->store.commit(live->store.state, save, why);
    live->peer.disk_ns += real_now_ns() - begun;
    return err;
}

static err_t disk_read(void *state, uint64_t first, uint64_t last,
                       bool (*each)(void *, uint64_t, const struct entry *), void *context)
{
    struct live *live = state;
    return live->store.read(live->store.state, first, last, each, context);
}

static void disk_close(void *state)
{
    struct live *live = state;
    live->store.close(live->store.state);
}

static void at_point(void *context, enum kill_point point)
{
    struct live *live = context;
    if (live->orders.kill_point == (uint64_t)point) raise(SIGKILL);
}

/* ---- time ---- */

static uint64_t own_time(const struct live *live, uint64_t cluster_ns)
{
    return clock_at(&live->skew, cluster_ns);
}

static uint64_t cluster_now(struct live *live)
{
    clock_read(region_clock(live->region), &live->face);
    return clock_at(&live->face, real_now_ns());
}

static void obey(struct live *live, uint64_t cluster_ns)
{
    const struct latch *latch = region_orders(live->region, live->config->self);
    if (latch_version(latch) == live->orders_version) return;
    struct peer_orders orders;
    if (!latch_read(latch, &orders, ORDERS_WORDS, &live->orders_version)) return;
    uint64_t rate = orders.skew_ppm == 0 ? PPM : orders.skew_ppm;
    if (rate != live->skew.rate_ppm && rate <= CLOCK_RATE_MAX)
        live->skew = (struct clock_face){ own_time(live, cluster_ns), cluster_ns, rate };
    live->orders = orders;
}

/* ---- publishing ---- */

static void publish_log(struct board *board, const struct raft *raft)
{
    uint32_t count = MIN_OF(raft->log.count, BOARD_RUNS);
    board->runs = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct term_run *run = &raft->log.runs[raft->log.count - count + i];
        board->log_runs[i] = (struct board_run){ run->first_index, run->term };
    }
    for (uint32_t id = 1; id <= raft->config.peers; id++) {
        const struct follower *follower = &raft->followers[id];
        bool lead = raft->role == LEADER;
        board->followers[id] =
            lead ? (struct board_follower){ follower->next_index, follower->match_index }
                 : (struct board_follower){ 0, 0 };
    }
}

static void publish(struct live *live, uint64_t cluster_ns, uint64_t real_ns)
{
    const struct peer *peer = &live->peer;
    const struct raft *raft = &peer->raft;
    struct board *board = &live->board;
    struct log_id last = log_last(&raft->log);
    live->published_ns = real_ns;
    board->published_ns = real_ns;
    board->cluster_ns = cluster_ns;
    board->life = live->config->life;
    board->role = raft->role;
    board->term = raft->current_term;
    board->voted_for = raft->voted_for;
    board->leader = raft->leader;
    board->votes = raft->votes;
    board->first_index = raft->log.first_index;
    board->last_index = last.index;
    board->last_term = last.term;
    board->durable_index = raft->durable_index;
    board->commit_index = raft->commit_index;
    board->last_applied = raft->last_applied;
    board->state_hash = peer->state_hash;
    board->timer_started_ns = clock_when(&live->skew, raft->timer_started_ns);
    board->timer_deadline_ns = clock_when(&live->skew, raft->election_deadline_ns);
    board->disk_errno = (uint64_t)(peer->disk_errno < 0 ? 5 : peer->disk_errno);
    board->disk_commits = peer->disk_commits;
    board->disk_ns = peer->disk_ns;
    board->proposals = peer->proposals;
    board->answers = peer->answers;
    board->held = net_live_held(live->net);
    publish_log(board, raft);
    latch_write(region_board(live->region, live->config->self), board, BOARD_WORDS);
}

static void publish_notes(struct live *live, uint64_t cluster_ns)
{
    struct trail *trail = region_trail(live->region, live->config->self);
    const struct update *update = &live->peer.update;
    for (uint32_t i = 0; i < update->notes_count; i++) {
        struct note note = update->notes[i];
        note.time_ns = cluster_ns;
        if (note.kind == NOTE_STARTED) note.a = live->config->life;
        trail_write(trail, &note);
    }
}

/* ---- life ---- */

static err_t live_open(struct live *live)
{
    const struct live_config *config = live->config;
    live->region = config->region;
    live->skew = (struct clock_face){ 0, 0, PPM };
    err_t err = region_protect(config->region, config->self);
    if (err != ERR_OK) return err;
    if ((err = store_open(&config->store, &live->store)) != ERR_OK) return err;
    live->net = net_live_open(config->region, config->self, config->supervisor_eventfd);
    struct disk disk = { .state = live,
                         .load = disk_load,
                         .commit = disk_commit,
                         .read = disk_read,
                         .close = disk_close };
    struct net net = net_live_seam(live->net);
    struct peer_config peer = config->peer;
    if (config->wrap != NULL) config->wrap(config->wrap_context, &live->peer, &disk, &net, &peer);
    uint64_t now_ns = cluster_now(live);
    obey(live, now_ns);
    err = peer_open(&live->peer, &peer, &disk, &net, own_time(live, now_ns), config->random);
    if (err != ERR_OK) return err;
    live->peer.at_point = at_point;
    live->peer.context = live;
    publish_notes(live, now_ns);
    publish(live, now_ns, real_now_ns());
    return ERR_OK;
}

/* With a disk that fails a peer takes nothing in (U3): it only waits for its next attempt. */
static bool takes_nothing(const struct live *live)
{
    return live->peer.disk_errno != 0;
}

/* Real time of the earliest of: the core's deadline (own time), a held message (cluster time). */
static uint64_t wake_at(const struct live *live, uint64_t due_ns)
{
    uint64_t cluster_ns = clock_when(&live->skew, due_ns);
    if (!takes_nothing(live)) cluster_ns = MIN_OF(cluster_ns, net_live_deadline(live->net));
    return clock_when(&live->face, cluster_ns);
}

int live_run(const struct live_config *config)
{
    malloc_trim(0); /* what the supervisor had freed is not this peer's to keep */
    struct live *live = calloc(1, sizeof(*live));
    CHECK(live != NULL);
    live->config = config;
    if (live_open(live) != ERR_OK) {
        fprintf(stderr, "ringside: peer %u: %s\n", config->self, err_context());
        return LIVE_EXIT_STORE;
    }
    struct rng rng = { config->random };
    for (;;) {
        uint64_t now_ns = cluster_now(live);
        obey(live, now_ns);
        net_live_turn(live->net, now_ns);
        uint64_t due_ns = peer_turn(&live->peer, own_time(live, now_ns), rng_next(&rng));
        publish_notes(live, now_ns);
        uint64_t real_ns = real_now_ns(), wake_ns = due_ns == 0 ? real_ns : wake_at(live, due_ns);
        if (wake_ns > real_ns || real_ns - live->published_ns > PUBLISH_NS)
            publish(live, now_ns, real_ns);
        if (wake_ns <= real_ns) continue;
        if (takes_nothing(live)) net_live_rest(live->net, wake_ns);
        else net_live_sleep(live->net, wake_ns);
    }
}
