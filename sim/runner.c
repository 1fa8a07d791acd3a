/* sim/runner.c - open, play, sum up; a failed CHECK leaps out of it. */
#include "sim/runner.h"

#include "sim/stage_world.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { LAG_US = 100 }; /* from an arrival to the turn that takes it, at most */

const char *count_label(enum count count)
{
#define COUNT_LABEL(name, label) label,
    static const char *const labels[] = { COUNT_LIST(COUNT_LABEL) };
#undef COUNT_LABEL
    return labels[count];
}

void runner_timing(const struct preset *preset, uint32_t peers, struct peer_config *config)
{
    config->retry_ns = 100 * NS_PER_MS;
    config->raft = (struct raft_config){
        .peers = peers,
        .election_min_ns = preset->election_min_ns,
        .election_max_ns = preset->election_max_ns,
        .heartbeat_ns = preset->heartbeat_ns,
        .notify_ns = preset->notify_ns,
        .window = 16384,
        .noop_on_election = preset->noop_on_election,
    };
}

/* ---- a CHECK that fails ---- */

static struct {
    jmp_buf back;
    struct outcome *outcome;
} leap;

static void caught(const char *file, int line, const char *condition)
{
    check_catch(NULL); /* the next one is about the simulator */
    struct outcome *outcome = leap.outcome;
    outcome->end = PLAYER_UNSAFE;
    snprintf(outcome->invariant, sizeof(outcome->invariant), "CHECK");
    snprintf(outcome->failure, sizeof(outcome->failure), "%s:%d: CHECK failed: %s", file, line,
             condition);
    longjmp(leap.back, 1);
}

/* ---- what came of it ---- */

static void count(const struct stage_world *stage, struct outcome *outcome)
{
    const struct world *world = stage->world;
    const struct network_counts *network = &world->network.counts;
    const uint64_t *tally = world->tally, *said = stage->callers.said;
    const uint64_t counts[COUNT_COUNT] = {
        [COUNT_VIRTUAL_MS] = world->now_ns / NS_PER_MS,
        [COUNT_TURNS] = tally[TALLY_TURNS],
        [COUNT_ELECTIONS] = tally[TALLY_LED],
        [COUNT_CANDIDACIES] = tally[TALLY_CANDIDATE],
        [COUNT_STEPPED_DOWN] = tally[TALLY_STEPPED_DOWN],
        [COUNT_COMMITS] = world->ledger.committed.count,
        [COUNT_TRUNCATIONS] = tally[TALLY_TRUNCATED],
        [COUNT_OPERATIONS_OK] = said[SAID_OK],
        [COUNT_OPERATIONS_FAIL] = said[SAID_FAILED],
        [COUNT_OPERATIONS_UNKNOWN] = said[SAID_UNKNOWN],
        [COUNT_RPCS] = tally[TALLY_REQUESTS],
        [COUNT_LOST] = network->lost,
        [COUNT_CUT] = network->cut,
        [COUNT_CORRUPT] = tally[TALLY_CORRUPT],
        [COUNT_FULL] = tally[TALLY_FULL],
        [COUNT_DOWN] = tally[TALLY_DOWN],
        [COUNT_DUPLICATED] = network->duplicated,
        [COUNT_DELAYED] = network->delayed,
        [COUNT_OVERTOOK] = network->overtook,
        [COUNT_LINK_CHANGES] = stage->link_changes,
        [COUNT_KILLS] = stage->kills,
        [COUNT_KILLS_IN_TURN] = tally[TALLY_CRASHED_BEFORE_SEND] +
                                tally[TALLY_CRASHED_BEFORE_COMMIT] +
                                tally[TALLY_CRASHED_AFTER_COMMIT] + tally[TALLY_CRASHED_AFTER_SEND],
        [COUNT_KILLS_IN_COMMIT] = tally[TALLY_CRASHED_IN_COMMIT],
        [COUNT_POWER_CUTS] = tally[TALLY_POWER_CUT],
        [COUNT_RESTARTS] = tally[TALLY_RESTARTED] - world->peers,
        [COUNT_PAUSES] = tally[TALLY_PAUSED],
        [COUNT_FORCED] = tally[TALLY_FORCED],
        [COUNT_DISK_SLOW] = tally[TALLY_COMMIT_SLOW],
        [COUNT_DISK_FAILED] = tally[TALLY_COMMIT_FAILED],
        [COUNT_DISK_UNDONE] = tally[TALLY_COMMIT_UNDONE],
        [COUNT_SKEWED] = tally[TALLY_SKEWED],
    };
    memcpy(outcome->counts, counts, sizeof(counts));
}

static void sum_up(const struct runner_config *config, const struct stage_world *stage,
                   const struct player_result *result, struct outcome *outcome)
{
    const struct world *world = stage->world;
    const struct ledger *ledger = &world->ledger;
    outcome->end = result->end;
    outcome->judged = result->judged;
    outcome->linearizable = result->linearizable;
    outcome->hash = world->hash;
    snprintf(outcome->failure, sizeof(outcome->failure), "%s", result->failure);
    count(stage, outcome);
    if (outcome->end == PLAYER_DONE && outcome->counts[COUNT_ELECTIONS] == 0) {
        outcome->end = PLAYER_UNMET;
        snprintf(outcome->failure, sizeof(outcome->failure),
                 "nothing was exercised: no leader was ever elected");
    }
    const char *invariant = outcome->end == PLAYER_UNMET    ? "LV"
                            : outcome->end == PLAYER_UNSAFE ? "LZ"
                                                            : "";
    if (ledger->broken != NULL) {
        invariant = ledger->broken;
        outcome->end = PLAYER_UNSAFE;
        snprintf(outcome->failure, sizeof(outcome->failure), "%s", ledger->text);
    }
    snprintf(outcome->invariant, sizeof(outcome->invariant), "%s", invariant);
    if (config->each_history != NULL)
        config->each_history(config->context, &stage->callers.history);
}

static struct { /* not on the stack: a leap would leave it undefined */
    struct world world;
    struct stage_world stage;
    struct player *player;
} run;

/* A core that stops itself may have broken what others would have seen a moment later: that has a
 * name. */
static void name_invariant(struct outcome *outcome)
{
    char check[512];
    struct ledger *ledger = &run.world.ledger;
    for (uint32_t id = 1; id <= run.world.peers; id++) world_look(&run.world, id);
    if (ledger->broken == NULL) return;
    snprintf(check, sizeof(check), "%.500s", outcome->failure);
    snprintf(outcome->invariant, sizeof(outcome->invariant), "%s", ledger->broken);
    snprintf(outcome->failure, sizeof(outcome->failure), "%s (%.400s)", ledger->text, check);
}

static void open_run(const struct runner_config *config, const struct plan *plan, struct tap *tap)
{
    struct peer_config peers = { 0 };
    runner_timing(preset_find(plan->preset), plan->peers, &peers);
    world_open(&run.world, &peers, plan_clients(plan) * STAGE_CALLERS, 0, plan->seed);
    run.world.bug = config->bug;
    run.world.lag_ns = LAG_US * NS_PER_US;
    run.world.each_note = config->each_note;
    run.world.context = config->context;
    world_start(&run.world);
    stage_world_open(&run.stage, &run.world, plan->seed);
    run.stage.read = tap != NULL;
    run.player = player_open(&run.stage.stage, plan, tap);
}

void runner_run(const struct runner_config *config, const struct plan *plan, struct tap *tap,
                struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    leap.outcome = outcome;
    open_run(config, plan, tap);
    if (setjmp(leap.back) == 0) {
        check_catch(caught);
        while (player_poll(run.player) == PLAYER_GOING)
            stage_world_run(&run.stage, player_wake_ns(run.player));
        check_catch(NULL);
        sum_up(config, &run.stage, player_result(run.player), outcome);
    } else { /* (N1) */
        name_invariant(outcome);
        count(&run.stage, outcome);
        outcome->hash = run.world.hash;
    }
    player_close(run.player);
    stage_world_close(&run.stage);
    world_close(&run.world);
}
