/* tests/player_test.c - plans on a stage of paper, whose clock moves only when told: what is
 * called, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/player.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    uint64_t due_ns;
    struct answer answer;
};
static struct paper {
    uint64_t now_ns;
    bool only_time;                        /* nothing that comes from outside is waited for */
    uint64_t looks, carried, asks, judged; /* calls */
    uint64_t leader_ns;                    /* from then on there is a leader */
    uint64_t answer_ns;                    /* how long a question takes */
    const char *values[8];                 /* what gets answer, one after the other */
    struct asked asked[64];
    uint64_t judge_ns; /* how long a verdict takes */
    uint64_t judge_end_ns;
    enum linear_verdict linear;
    struct violation violation;
    uint64_t violated_ns, crashed_ns; /* 0: never */
    const char *violated_by;          /* a call that does it; NULL: none */
    char calls[4096];                 /* "0.250 kill 1;" */
} paper;

static uint64_t paper_now(void *state)
{
    UNUSED(state);
    return paper.now_ns;
}

static void paper_call(const char *what)
{
    size_t used = strlen(paper.calls);
    snprintf(paper.calls + used, sizeof(paper.calls) - used, "%.3f %s;", (double)paper.now_ns / 1e9,
             what);
}

static err_t paper_carry(void *state, const struct command *command, char *done, size_t size)
{
    char text[128];
    UNUSED(state);
    verb_print(command, text, sizeof(text));
    paper_call(text);
    paper.carried++;
    if (command->verb == VERB_RESTART) return err_begin(ERR_DOWN, "it lives");
    snprintf(done, size, "done");
    return ERR_OK;
}

static err_t paper_ask(void *state, const struct command *command, struct asked **asked)
{
    char text[128];
    UNUSED(state);
    if (paper.asks == COUNT(paper.asked)) return err_begin(ERR_FULL, "no more");
    verb_print(command, text, sizeof(text));
    paper_call(text);
    *asked = &paper.asked[paper.asks];
    (*asked)->due_ns = paper.now_ns + paper.answer_ns;
    (*asked)->answer = (struct answer){ .status = HISTORY_OK };
    if (command->verb == VERB_GET && paper.asks < COUNT(paper.values)) {
        (*asked)->answer.output = paper.values[paper.asks];
        (*asked)->answer.found = paper.values[paper.asks] != NULL;
    }
    paper.asks++;
    return ERR_OK;
}

static bool paper_answer(void *state, const struct asked *asked, struct answer *answer)
{
    UNUSED(state);
    *answer = asked->answer;
    return paper.now_ns >= asked->due_ns;
}

static void paper_look(void *state, struct expect_view *view)
{
    UNUSED(state);
    paper.looks++;
    *view = (struct expect_view){ .peers = 1, .live = peer_bit(1), .rpcs = paper.now_ns };
    view->reaches[1] = peer_bit(1);
    if (paper.now_ns >= paper.leader_ns)
        view->peer[1] = (struct expect_peer){ .role = LEADER, .leader = 1, .term = 1 };
}

static bool paper_judge(void *state, struct verdict *verdict)
{
    UNUSED(state);
    if (paper.judge_end_ns == 0) paper.judge_end_ns = paper.now_ns + paper.judge_ns;
    if (paper.now_ns < paper.judge_end_ns) return false;
    paper.judge_end_ns = 0;
    paper.judged++;
    paper_call("judged");
    *verdict = (struct verdict){ ERR_OK, paper.linear, NULL };
    if (paper.linear != LINEAR_YES) verdict->report = strdup("no order\nof these\n");
    return true;
}

static const struct violation *paper_violated(void *state)
{
    UNUSED(state);
    bool now = paper.violated_ns != 0 && paper.now_ns >= paper.violated_ns;
    if (paper.violated_by != NULL) now = strstr(paper.calls, paper.violated_by) != NULL;
    return now ? &paper.violation : NULL;
}

static const char *paper_crashed(void *state)
{
    UNUSED(state);
    bool now = paper.crashed_ns != 0 && paper.now_ns >= paper.crashed_ns;
    return now ? "peer 1 died by itself" : NULL;
}

static const struct stage paper_stage = { NULL,        paper_now,      paper_carry,
                                          paper_ask,   paper_answer,   paper_look,
                                          paper_judge, paper_violated, paper_crashed };

static struct player_result played;

/* Play to the end, told to nobody, with the clock going from one wake to the next. Returns how
 * often it was polled. */
static uint64_t play(const char *text)
{
    static char line[1024];
    struct parse_error error;
    struct plan plan;
    uint64_t polls = 0;
    snprintf(line, sizeof(line), "%s", text);
    assert_int_equal(plan_parse(line, strlen(line), &plan, &error), ERR_OK);
    struct player *player = player_open(&paper_stage, &plan, NULL);
    for (;;) {
        assert_true(polls++ < 100000);
        if (player_poll(player) != PLAYER_GOING) break;
        assert_int_not_equal(player_wake_ns(player), TIME_NEVER);
        uint64_t wake_ns = MAX_OF(player_wake_ns(player), paper.now_ns);
        if (wake_ns == paper.now_ns) continue;
        if (paper.only_time) { /* one moment before, there is nothing to do */
            char before[sizeof(paper.calls)];
            memcpy(before, paper.calls, sizeof(before));
            paper.now_ns = wake_ns - 1;
            assert_int_equal(player_poll(player), PLAYER_GOING);
            assert_string_equal(paper.calls, before);
        }
        paper.now_ns = wake_ns;
    }
    played = *player_result(player);
    player_close(player);
    plan_free(&plan);
    return polls;
}

static int open_paper(void **state)
{
    UNUSED(state);
    paper = (struct paper){ .answer_ns = 5 * NS_PER_MS };
    return 0;
}

static void time_is_met_exactly(void **state)
{
    UNUSED(state);
    paper.only_time = true;
    uint64_t polls = play("cluster 1\nwait 1500ms\nkill 1\nat 2s pause 1\nwait 1h\n");
    assert_int_equal(played.end, PLAYER_DONE);
    assert_string_equal(paper.calls, "1.500 kill 1;2.000 pause 1;");
    assert_int_equal(paper.now_ns, 3602 * NS_PER_S);
    assert_true(polls < 8); /* waiting costs nothing */
    assert_int_equal(paper.looks, 1);
    assert_false(played.judged);
}

static void every_keeps_its_time(void **state)
{
    UNUSED(state);
    paper.only_time = true;
    play("cluster 1\nrepeat 2\nevery 300ms until 700ms kill 1\nwait 1s\nend\n");
    assert_string_equal(paper.calls, "0.000 kill 1;0.300 kill 1;0.600 kill 1;"
                                     "1.000 kill 1;1.300 kill 1;1.600 kill 1;");
    assert_int_equal(paper.now_ns, 2 * NS_PER_S);
}

static void an_expectation_is_met_in_time(void **state)
{
    UNUSED(state);
    paper.leader_ns = 405 * NS_PER_MS;
    play("cluster 1\nwait leader\nkill 1\n");
    assert_int_equal(played.end, PLAYER_DONE);
    assert_string_equal(paper.calls, "0.410 kill 1;"); /* at the next look */
}

static void an_expectation_is_missed_in_time(void **state)
{
    UNUSED(state);
    paper.leader_ns = TIME_NEVER;
    play("cluster 1\nexpect leader within 333ms\nkill 1\n");
    assert_int_equal(played.end, PLAYER_UNMET);
    assert_int_equal(paper.now_ns, 333 * NS_PER_MS);
    assert_string_equal(played.failure,
                        "line 2: expect leader within 333ms: no leader: 1 follower t0");
    assert_string_equal(paper.calls, "");
}

static void a_value_is_asked_for_again(void **state)
{
    UNUSED(state);
    paper.values[1] = "old";
    paper.values[2] = "new";
    play("cluster 1\nexpect value k new within 1s\n");
    assert_int_equal(played.end, PLAYER_DONE);
    /* an answer is looked for each 10 ms, and asked for again 20 ms after one */
    assert_string_equal(paper.calls, "0.000 get k;0.030 get k;0.060 get k;0.070 judged;");
    assert_true(played.judged);
    assert_int_equal(played.linearizable, LINEAR_YES);
}

static void the_history_decides(void **state)
{
    UNUSED(state);
    paper.linear = LINEAR_NO;
    paper.judge_ns = NS_PER_S;
    play("cluster 1\nput a b\nwait 1s\nexpect linearizable\nkill 1\n");
    assert_int_equal(played.end, PLAYER_UNSAFE);
    assert_string_equal(played.failure, "line 4: expect linearizable: no order");
    assert_int_equal(paper.judged, 1);
    assert_int_equal(paper.carried, 0);
}

static void an_undecided_end_fails_nothing(void **state)
{
    UNUSED(state);
    paper.linear = LINEAR_UNDECIDED;
    play("cluster 1\nput a b\n");
    assert_int_equal(played.end, PLAYER_DONE);
    assert_int_equal(played.linearizable, LINEAR_UNDECIDED);
    paper.asks = 0;
    play("cluster 1\nput a b\nexpect linearizable\n");
    assert_int_equal(played.end, PLAYER_UNMET); /* where it was asked for */
}

static void a_refusal_is_a_failure(void **state)
{
    UNUSED(state);
    play("cluster 1\nrestart 1\nkill 1\n");
    assert_int_equal(played.end, PLAYER_UNMET);
    assert_string_equal(played.failure, "line 2: restart 1: it lives");
    assert_int_equal(paper.carried, 1);
    play("cluster 1\nevery 10ms restart 1\nwait 100ms\n"); /* but in the background */
    assert_int_equal(played.end, PLAYER_DONE);
}

static void broken_safety_ends_a_wait(void **state)
{
    UNUSED(state);
    paper.violation.invariant = "ES";
    snprintf(paper.violation.text, sizeof(paper.violation.text), "two lead");
    paper.violated_ns = 1; /* before any wake */
    paper.linear = LINEAR_NO;
    play("cluster 1\nput a b\nwait 1h\n");
    assert_int_equal(played.end, PLAYER_UNSAFE);
    assert_string_equal(played.failure, "safety ES: two lead");
    assert_int_equal(paper.judged, 0);
}

/* (X4) */
static void the_last_step_may_break_safety(void **state)
{
    UNUSED(state);
    paper.violation.invariant = "ES";
    snprintf(paper.violation.text, sizeof(paper.violation.text), "two lead");
    paper.violated_by = "kill 1";
    play("cluster 1\nkill 1\n");
    assert_int_equal(played.end, PLAYER_UNSAFE);
    assert_string_equal(played.failure, "safety ES: two lead");
}

static void a_crash_ends_the_plan_and_judges(void **state)
{
    UNUSED(state);
    paper.crashed_ns = 7 * NS_PER_MS;
    play("cluster 1\nput a b\nwait 1h\nkill 1\n");
    assert_int_equal(played.end, PLAYER_UNMET);
    assert_string_equal(played.failure, "peers live until they are killed: peer 1 died by itself");
    assert_int_equal(paper.judged, 1);
    assert_int_equal(paper.carried, 0);
}

#define ON_PAPER(test) cmocka_unit_test_setup(test, open_paper)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_PAPER(time_is_met_exactly),
        ON_PAPER(every_keeps_its_time),
        ON_PAPER(an_expectation_is_met_in_time),
        ON_PAPER(an_expectation_is_missed_in_time),
        ON_PAPER(a_value_is_asked_for_again),
        ON_PAPER(the_history_decides),
        ON_PAPER(an_undecided_end_fails_nothing),
        ON_PAPER(a_refusal_is_a_failure),
        ON_PAPER(broken_safety_ends_a_wait),
        ON_PAPER(the_last_step_may_break_safety),
        ON_PAPER(a_crash_ends_the_plan_and_judges),
    };
    return cmocka_run_group_tests_name("player", tests, NULL, NULL);
}
