/* tests/stage_live_test.c - the verdicts that exit code 3 stands for, planted: a second leader in a
 * live cluster, an impossible history before the process that judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/stage_live.h"
#include "sim/player.h"
#include "tests/harness/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_world(void **state)
{
    UNUSED(state);
    arena_open();
    return 0;
}

static int close_world(void **state)
{
    UNUSED(state);
    return arena_close();
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) found++;
    return found;
}

static struct supervisor supervisor;
static struct stage_live live;
static struct plan planted_plan;

static uint32_t wait_for_leader(struct player *player)
{
    struct cluster_view view = { 0 };
    struct patience patience = patience_begin();
    while (view.leader == 0) {
        supervisor_poll(&supervisor, stage_live_real_ns(&live, player_wake_ns(player)));
        assert_int_equal(player_poll(player), PLAYER_GOING);
        cluster_view(supervisor.cluster, &view);
        if (view.leader == 0) patience_wait(&patience, "a leader", __FILE__, __LINE__);
    }
    return view.leader;
}

/* A dead peer's trail says that it had been elected in the term of the leader. Two of them. */
static void plant_second_leader(uint32_t leader)
{
    struct board board;
    uint32_t dead = leader % 3 + 1;
    assert_true(cluster_board(supervisor.cluster, leader, &board));
    assert_int_equal(cluster_kill(supervisor.cluster, dead), ERR_OK);
    struct note note = { .time_ns = cluster_now_ns(supervisor.cluster),
                         .kind = NOTE_BECAME_LEADER,
                         .self = (uint8_t)dead,
                         .term = board.term,
                         .a = 2,
                         .b = 3 };
    trail_write(region_trail(supervisor.cluster->region, dead), &note);
}

static void broken_safety_freezes(void **state)
{
    UNUSED(state);
    static char text[] = "cluster 3\nwait leader\nwait 1h\n";
    struct parse_error error;
    char *told = NULL;
    size_t told_bytes = 0;
    struct tap tap = { .file = open_memstream(&told, &told_bytes) };
    struct supervisor_config config = {
        .cluster = { .name = "planted", .peers = 3, .seed = 1, .preset = preset_find("fast") }
    };
    assert_int_equal(plan_parse(text, strlen(text), &planted_plan, &error), ERR_OK);
    assert_int_equal(supervisor_open(&config, &supervisor), ERR_OK);
    stage_live_open(&live, &supervisor);
    struct player *player = player_open(&live.stage, &planted_plan, &tap);
    uint32_t leader = wait_for_leader(player);
    plant_second_leader(leader);
    struct patience patience = patience_begin();
    while (player_poll(player) == PLAYER_GOING) {
        supervisor_poll(&supervisor, stage_live_real_ns(&live, player_wake_ns(player)));
        patience_wait(&patience, "the violation", __FILE__, __LINE__);
    }
    assert_int_equal(player_result(player)->end, PLAYER_UNSAFE);
    for (uint32_t id = 1; id <= 3; id++)
        assert_true(supervisor.cluster->children[id].paused || id == leader % 3 + 1);
    supervisor_close(&supervisor);
    player_close(player);
    stage_live_close(&live);
    plan_free(&planted_plan);
    fclose(tap.file);
    assert_non_null(strstr(told, "not ok "));
    assert_non_null(strstr(told, "# first: at "));
    assert_non_null(strstr(told, "# second: at "));
    assert_true(count(told, "leader of term ") >= 2); /* both sides */
    free(told);
}

/* A get that saw what nobody had written, told by the process that judges. */
static void impossible_history_is_told(void **state)
{
    UNUSED(state);
    static const struct linear_limits limits = { 1 << 20, 10 * NS_PER_S };
    static const struct operation operations[] = {
        { .client = 1,
          .op = HISTORY_PUT,
          .key = "k",
          .value = "new",
          .call_ns = 10,
          .return_ns = 20 },
        { .client = 2,
          .op = HISTORY_GET,
          .key = "k",
          .output = "old",
          .call_ns = 30,
          .return_ns = 40 },
    };
    struct history history;
    struct judge judge = { 0 };
    enum linear_verdict verdict;
    char *report;
    history_init(&history);
    for (size_t i = 0; i < COUNT(operations); i++)
        assert_int_equal(history_add(&history, &operations[i]), ERR_OK);
    assert_int_equal(judge_start(&judge, &history, &limits), ERR_OK);
    history_free(&history);
    WAIT_UNTIL(judge_done(&judge, &verdict, &report));
    assert_int_equal(verdict, LINEAR_NO);
    assert_non_null(strstr(report, "not linearizable"));
    assert_non_null(strstr(report, "get k: old"));
    free(report);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(broken_safety_freezes),
        IN_WORLD(impossible_history_is_told),
    };
    return cmocka_run_group_tests_name("stage_live", tests, NULL, NULL);
}
