/* tests/turn_soak_test.c - random schedules for whole peers: nothing breaks, no client is lied to;
 * then peace: all agree.
 *   turn_soak_test            the test
 *   turn_soak_test SEED [N]   N seeds from there, each that fails with its reason; 0: for ever */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/linear.h"
#include "sim/callers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__ /* one thread, slow */
#define SEEDS 200
#else
#define SEEDS 400
#endif
#define CLIENTS 5
#define PEACE_NS (20 * NS_PER_S)
static const struct linear_limits limits = { 256u << 20, 60 * NS_PER_S };

/* What is done to the world, and how often one is chosen beside the others; drawn anew for each
 * seed. */
#define DEED_LIST(X)                                                                               \
    X(CRASH, 3)                                                                                    \
    X(CRASH_AT, 8)                                                                                 \
    X(POWER_CUT, 1)                                                                                \
    X(SKEW, 1)                                                                                     \
    X(PAUSE, 4)                                                                                    \
    X(FAIL_DISK, 4)                                                                                \
    X(FAIL_READ, 3)                                                                                \
    X(SLOW_DISK, 3)                                                                                \
    X(CUT, 12)                                                                                     \
    X(RULE, 6) X(TIMEOUT, 6) X(FLOOD, 2) X(ASK, 4) X(RESTART, 14) X(MEND_DISK, 8) X(HEAL, 6)
#define DEED_ENUM(name, weight) DEED_##name,
enum deed { DEED_LIST(DEED_ENUM) DEED_COUNT };
#define DEED_WEIGHT(name, weight) weight,
static const uint32_t usual[] = { DEED_LIST(DEED_WEIGHT) };

struct soak {
    struct world world;
    struct callers callers;
    struct rng rng;
    uint32_t weights[DEED_COUNT], weights_sum;
    uint64_t rest_ns;             /* between two deeds, at most twice that */
    uint64_t strife_ns, peace_ns; /* how long they last */
    uint32_t flood;               /* proposals in one */
};

/* ---- a seed becomes a world ---- */

static struct peer_config draw_config(struct rng *rng, uint64_t seed)
{
    static const uint64_t keeps[] = { 0, 1, 2000, 100u << 10 };
    static const uint32_t windows[] = { 1, 7, 64, 16384 };
    return (struct peer_config){
        .raft = { .peers = (uint32_t)(1 + seed % 7),
                  .election_min_ns = 150 * NS_PER_MS,
                  .election_max_ns = 300 * NS_PER_MS,
                  .heartbeat_ns = rng_range(rng, 20, 60) * NS_PER_MS,
                  .notify_ns = rng_range(rng, 0, 10) * NS_PER_MS,
                  .window = windows[rng_range(rng, 0, COUNT(windows) - 1)],
                  .noop_on_election = rng_chance(rng, PPM / 2) },
        .retry_ns = rng_range(rng, 1, 100) * NS_PER_MS,
        .tail_keep_bytes = keeps[rng_range(rng, 0, COUNT(keeps) - 1)],
    };
}

static struct load_shape draw_load(struct rng *rng)
{
    struct load_shape shape = {
        .clients = (uint32_t)rng_range(rng, 2, CLIENTS),
        .keys = 4,
        .ops = LOAD_PUT | LOAD_GET | LOAD_DEL | LOAD_APPEND | LOAD_CAS,
        .think_ns = rng_range(rng, 1, 200) * NS_PER_MS,
        .patience_ns = rng_range(rng, 30, 200) * NS_PER_MS,
        .patient_ppm = PPM / 2,
        .large_ppm = rng_chance(rng, PPM / 8) ? PPM / 15 : 0,
    };
    shape.give_up_ns = 10 * shape.patience_ns;
    if (rng_chance(rng, PPM / 20)) { /* then followers are behind by more than a turn */
        shape.large_ppm = PPM / 3;
        shape.think_ns = 200 * NS_PER_MS;
    }
    return shape;
}

static void begin(struct soak *soak, uint64_t seed)
{
    rng_seed(&soak->rng, seed, 1, 0);
    struct peer_config config = draw_config(&soak->rng, seed);
    struct load_shape load = draw_load(&soak->rng);
    world_open(&soak->world, &config, CLIENTS, PPM / 20, seed);
    world_start(&soak->world);
    callers_open(&soak->callers, &soak->world, seed);
    callers_work(&soak->callers, &load);
    soak->world.lag_ns = rng_range(&soak->rng, 0, 3) * NS_PER_MS;
    bool hurries = rng_chance(&soak->rng, PPM / 3);
    soak->rest_ns = rng_range(&soak->rng, hurries ? 2 : 20, hurries ? 20 : 300) * NS_PER_MS;
    soak->strife_ns = rng_range(&soak->rng, 5, 20) * NS_PER_S;
    bool floods = config.raft.window > 5000 && rng_chance(&soak->rng, PPM / 2);
    soak->flood = floods ? 8000 : 200;
    soak->weights_sum = 0;
    for (uint32_t i = 0; i < DEED_COUNT; i++) { /* some seeds know no crash, others many */
        bool mends = i >= DEED_RESTART;
        soak->weights[i] = usual[i] * (mends ? 2 : (uint32_t)rng_range(&soak->rng, 0, 4));
        soak->weights_sum += soak->weights[i];
    }
}

static void end(struct soak *soak)
{
    callers_close(&soak->callers);
    world_close(&soak->world);
}

/* ---- strife ---- */

static uint32_t some_peer(struct soak *soak)
{
    return (uint32_t)rng_range(&soak->rng, 1, soak->world.peers);
}

/* Often the leader: it has most to lose. */
static uint32_t victim(struct soak *soak)
{
    uint32_t leader = world_leader(&soak->world);
    return leader != 0 && rng_chance(&soak->rng, PPM / 2) ? leader : some_peer(soak);
}

static struct link_rule draw_rule(struct rng *rng, bool mild)
{
    struct link_rule rule = { 0 };
    if (rng_chance(rng, PPM / 2)) rule.delay_min_ns = rng_range(rng, 0, 5000) * NS_PER_US;
    rule.delay_max_ns = rule.delay_min_ns;
    if (rng_chance(rng, PPM / 2))
        rule.delay_max_ns += rng_range(rng, 0, mild ? 5000 : 60000) * NS_PER_US;
    if (!mild && rng_chance(rng, PPM / 10)) rule.delay_max_ns += 400 * NS_PER_MS;
    if (rng_chance(rng, PPM / 2)) rule.loss_ppm = (uint32_t)rng_range(rng, 0, PPM / 4);
    if (mild) rule.loss_ppm /= 4;
    if (rng_chance(rng, PPM / 2)) rule.dup_ppm = (uint32_t)rng_range(rng, 0, PPM / 4);
    if (rng_chance(rng, PPM / 2)) rule.reorder_ppm = (uint32_t)rng_range(rng, 0, PPM / 3);
    if (rng_chance(rng, PPM / 4)) rule.corrupt_ppm = (uint32_t)rng_range(rng, 0, PPM / 10);
    return rule;
}

/* One rule for all links, for those of one peer, or for those between clients and peers. */
static void set_rules(struct soak *soak)
{
    uint64_t what = rng_range(&soak->rng, 0, 3);
    uint32_t id = victim(soak), peers = soak->world.peers;
    struct link_rule rule = draw_rule(&soak->rng, what == 0 && rng_chance(&soak->rng, PPM / 2));
    struct network *network = &soak->world.network;
    for (uint32_t a = 1; a < network->endpoints; a++)
        for (uint32_t b = 1; b < network->endpoints; b++) {
            bool among_peers = a <= peers && b <= peers;
            if (among_peers == (what == 0)) continue;
            if (what == 1 && a != id && b != id) continue;
            uint32_t cut = network_rule(network, a, b)->cut;
            *network_rule(network, a, b) = rule;
            network_rule(network, a, b)->cut = cut;
        }
}

/* Two camps that hear nothing of each other, or one peer that is not heard or hears nothing; often
 * in place of what was cut before: majorities move. */
static void cut(struct soak *soak)
{
    struct world *world = &soak->world;
    uint64_t kind = rng_range(&soak->rng, 0, 2);
    uint32_t id = victim(soak), camp = (uint32_t)rng_next(&soak->rng);
    bool afresh = rng_chance(&soak->rng, PPM * 3 / 4);
    for (uint32_t a = 1; a <= world->peers; a++)
        for (uint32_t b = 1; b <= world->peers; b++) {
            bool parted = (camp >> a & 1) != (camp >> b & 1);
            struct link_rule *rule = network_rule(&world->network, a, b);
            if (afresh) rule->cut = 0;
            if ((kind == 0 && parted) || (kind == 1 && a == id) || (kind == 2 && b == id))
                rule->cut = 1;
        }
}

static void perform(struct soak *soak, enum deed deed)
{
    struct world *world = &soak->world;
    uint32_t id = victim(soak), any = some_peer(soak);
    uint64_t ms = rng_range(&soak->rng, 1, 600) * NS_PER_MS;
    switch (deed) {
    case DEED_CRASH: world_crash(world, id); break;
    case DEED_CRASH_AT:
        world_crash_at(world, id,
                       (uint32_t)rng_range(&soak->rng, KILL_NOWHERE + 1, CRASH_POINTS - 1),
                       (uint32_t)rng_range(&soak->rng, 0, 8));
        break;
    case DEED_PAUSE: world_pause(world, id, world->now_ns + ms); break;
    case DEED_FAIL_DISK:
        world_fail_disk(world, id, rng_chance(&soak->rng, PPM / 2) ? ENOSPC : EIO, 0);
        break;
    case DEED_FAIL_READ: world_fail_disk(world, id, 0, EIO); break;
    case DEED_SLOW_DISK:
        world_slow_disk(world, id, rng_range(&soak->rng, 0, 60) * NS_PER_MS);
        break;
    case DEED_CUT: cut(soak); break;
    case DEED_RULE: set_rules(soak); break;
    case DEED_TIMEOUT: world_timeout(world, any); break;
    case DEED_FLOOD:
        callers_flood(&soak->callers, id, (uint32_t)rng_range(&soak->rng, 1, soak->flood));
        break;
    case DEED_ASK:
        callers_query(&soak->callers, any,
                      rng_range(&soak->rng, 0, world->ledger.committed.count + 2));
        break;
    case DEED_RESTART: world_restart(world, any); break;
    case DEED_MEND_DISK: world_fail_disk(world, any, 0, 0); break;
    case DEED_POWER_CUT: world_power_cut(world, any); break;
    case DEED_SKEW:
        world_skew(world, any, (uint32_t)rng_range(&soak->rng, PPM / 2, 2 * PPM));
        break;
    case DEED_HEAL: network_heal(&world->network); break;
    default: CHECK(false);
    }
}

static void strife(struct soak *soak)
{
    struct world *world = &soak->world;
    while (world->ledger.broken == NULL && world->now_ns < soak->strife_ns) {
        world_run(world, world->now_ns + rng_range(&soak->rng, 1, 2 * soak->rest_ns));
        uint64_t draw = rng_range(&soak->rng, 0, soak->weights_sum - 1);
        uint32_t deed = 0;
        while (draw >= soak->weights[deed]) draw -= soak->weights[deed++];
        perform(soak, (enum deed)deed);
    }
}

/* ---- peace ---- */

/* Without a no-op, what earlier terms have committed is known again with the next entry only. */
static void propose_once(struct soak *soak, uint64_t *in_term)
{
    uint32_t leader = world_leader(&soak->world);
    if (leader == 0 || world_peer(&soak->world, leader)->raft.current_term == *in_term) return;
    *in_term = world_peer(&soak->world, leader)->raft.current_term;
    callers_flood(&soak->callers, leader, 1);
}

/* Nothing goes wrong any more: every client gets its answers, then all peers agree. */
static void peace(struct soak *soak)
{
    struct world *world = &soak->world;
    world_heal(world);
    callers_read_all(&soak->callers);
    uint64_t begun_ns = world->now_ns, in_term = 0;
    while (world->ledger.broken == NULL) {
        soak->peace_ns = world->now_ns - begun_ns;
        if (callers_rest(&soak->callers) && world_agrees(world)) return;
        if (soak->peace_ns > PEACE_NS)
            ledger_broken(&world->ledger, "LV", "no agreement in peace: %s",
                          callers_rest(&soak->callers) ? "the peers differ" : "a client waits");
        if (callers_rest(&soak->callers)) propose_once(soak, &in_term);
        world_run(world, world->now_ns + 5 * NS_PER_MS);
    }
}

static void judge_history(struct soak *soak)
{
    struct linear_result result;
    linear_check(&soak->callers.history, &limits, &result);
    if (result.verdict != LINEAR_YES)
        ledger_broken(&soak->world.ledger, "LI", "key %s is %s, %zu operations contradict",
                      result.key == NULL ? "?" : result.key,
                      result.verdict == LINEAR_NO ? "not linearizable" : "undecided",
                      result.stretch_count);
    free(result.stretch);
}

/* NULL: all is well. */
static const char *run(struct soak *soak, uint64_t seed)
{
    begin(soak, seed);
    strife(soak);
    peace(soak);
    if (soak->world.ledger.broken == NULL) judge_history(soak);
    return soak->world.ledger.broken;
}

/* ---- the test ---- */

static struct soak soak; /* large */

struct sum {
    uint64_t tally[TALLY_COUNT], said[SAID_COUNT], committed, virtual_ns;
    uint64_t cut, lost, duplicated, overtook;
    uint64_t peace_ns, peace_seed; /* the longest way to agreement */
};

static void add(struct sum *sum, uint64_t seed)
{
    for (size_t i = 0; i < TALLY_COUNT; i++) sum->tally[i] += soak.world.tally[i];
    const struct network_counts *network = &soak.world.network.counts;
    sum->cut += network->cut;
    sum->lost += network->lost;
    sum->duplicated += network->duplicated;
    sum->overtook += network->overtook;
    for (size_t i = 0; i < SAID_COUNT; i++) sum->said[i] += soak.callers.said[i];
    sum->committed += soak.world.ledger.committed.count;
    sum->virtual_ns += soak.world.now_ns;
    if (soak.peace_ns < sum->peace_ns) return;
    sum->peace_ns = soak.peace_ns;
    sum->peace_seed = seed;
}

static void show(const struct sum *sum)
{
#define NAME(name, text) text,
    static const char *const tallies[] = { TALLY_LIST(NAME) }, *const said[] = { SAID_LIST(NAME) };
#undef NAME
    for (size_t i = 0; i < TALLY_COUNT; i++)
        print_message("%10lu %s\n", (unsigned long)sum->tally[i], tallies[i]);
    for (size_t i = 0; i < SAID_COUNT; i++)
        print_message("%10lu %s\n", (unsigned long)sum->said[i], said[i]);
    print_message("%10lu entries committed in %lu virtual seconds\n", (unsigned long)sum->committed,
                  (unsigned long)(sum->virtual_ns / NS_PER_S));
    print_message("%10lu ms of peace at most until all agreed: seed %lu\n",
                  (unsigned long)(sum->peace_ns / NS_PER_MS), (unsigned long)sum->peace_seed);
}

/* Seeds beyond those that have found something, and what. */
static const uint64_t kept[] = {
    417,  /* a leader sends more than a ring holds to who is far behind */
    1092, /* all start again with 32768 entries: no command is taken any more */
};

static void schedules_are_safe(void **state)
{
    UNUSED(state);
    static struct sum sum;
    for (uint64_t i = 1; i <= SEEDS + COUNT(kept); i++) {
        uint64_t seed = i <= SEEDS ? i : kept[i - SEEDS - 1];
        const char *broken = run(&soak, seed);
        if (broken != NULL)
            fail_msg("seed %lu: %s: %s", (unsigned long)seed, broken, soak.world.ledger.text);
        add(&sum, seed);
        end(&soak);
    }
    show(&sum);
    /* it was not empty */
    for (size_t i = 0; i < TALLY_COUNT; i++) assert_true(sum.tally[i] > 0);
    for (size_t i = 0; i < SAID_COUNT; i++) assert_true(sum.said[i] > 0);
    assert_true(sum.cut > 0 && sum.lost > 0 && sum.duplicated > 0 && sum.overtook > 0);
    assert_true(sum.tally[TALLY_LED] > 3 * SEEDS);
    assert_true(sum.said[SAID_OK] > 100 * SEEDS);
    assert_true(sum.committed > sum.said[SAID_OK]);
}

static uint64_t fingerprint(uint64_t seed)
{
    run(&soak, seed);
    const struct image *committed = &soak.world.ledger.committed;
    uint64_t print = soak.world.hash;
    if (committed->count > 0) print ^= committed->log[committed->count - 1].chain;
    end(&soak);
    return print;
}

static void same_seed_same_run(void **state)
{
    UNUSED(state);
    assert_true(fingerprint(11) == fingerprint(11));
    assert_true(fingerprint(11) != fingerprint(12));
}

/* ---- the hunt ---- */

static uint64_t hunted;

static void on_abort(int signal)
{
    UNUSED(signal);
    fprintf(stderr, "seed %lu aborts\n", (unsigned long)hunted); /* it dies anyway */
}

static int hunt(uint64_t seed, uint64_t count)
{
    int failed = 0;
    static struct sum sum;
    signal(SIGABRT, on_abort);
    for (uint64_t i = 0; count == 0 || i < count; i++) {
        hunted = seed + i;
        const char *broken = run(&soak, hunted);
        if (broken != NULL) {
            printf("seed %lu: %s: %s\n", (unsigned long)hunted, broken, soak.world.ledger.text);
            fflush(stdout);
            failed = 1;
        }
        add(&sum, hunted);
        end(&soak);
        if (i % 1000 == 999) fprintf(stderr, "%lu seeds\n", (unsigned long)(i + 1));
    }
    show(&sum);
    return failed;
}

int main(int count, char **words)
{
    if (count > 1)
        return hunt(strtoull(words[1], NULL, 10), count > 2 ? strtoull(words[2], NULL, 10) : 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_are_safe),
        cmocka_unit_test(same_seed_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
