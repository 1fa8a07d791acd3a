/* tests/load_test.c - load on a live cluster: what it records is what happened, also when its
 * clients are killed at any instant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/carry.h"
#include "ctl/load.h"
#include "ctl/load_client.h"
#include "sim/linear.h"
#include "tests/harness/arena.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 4 };

static struct supervisor supervisor;
static struct history history;

static int open_cluster(void **state)
{
    UNUSED(state);
    struct supervisor_config config = { .cluster = { .name = "load",
                                                     .peers = 3,
                                                     .clients = CLIENTS,
                                                     .seed = 42,
                                                     .preset = preset_find("fast") } };
    arena_open();
    history_init(&history);
    return supervisor_open(&config, &supervisor) == ERR_OK ? 0 : -1;
}

static int close_cluster(void **state)
{
    UNUSED(state);
    history_free(&history);
    supervisor_close(&supervisor);
    return arena_close();
}

static void poll_once(void)
{
    supervisor_poll(&supervisor, real_now_ns() + 5 * NS_PER_MS);
}
#define POLL_UNTIL(condition)                                                                      \
    for (struct patience patience = patience_begin(); poll_once(), !(condition);)                  \
    patience_wait(&patience, #condition, __FILE__, __LINE__)

/* Carry out a line. */
static err_t do_line(const char *text)
{
    char line[128], done[256];
    struct command command;
    struct parse_error error;
    snprintf(line, sizeof(line), "%s", text);
    assert_int_equal(verb_parse(line, 3, &command, &error), ERR_OK);
    return carry_out(&supervisor, &command, done, sizeof(done));
}

static void must(const char *text)
{
    assert_int_equal(do_line(text), ERR_OK);
}

static void end_load(void)
{
    must("load off");
    POLL_UNTIL(!load_running(supervisor.load));
    history_free(&history);
    assert_int_equal(load_history(supervisor.load, &history), ERR_OK);
}

static size_t count_status(enum history_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < history.count; i++) count += history.operations[i].status == status;
    return count;
}

static enum linear_verdict verdict(void)
{
    static const struct linear_limits limits = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS };
    struct linear_result result;
    linear_check(&history, &limits, &result);
    free(result.stretch);
    return result.verdict;
}

/* ---- what is recorded ---- */

static void everything_is_recorded(void **state)
{
    UNUSED(state);
    must("load put+get+del+append+cas keys 5 clients 3");
    assert_int_equal(supervisor.cluster->facts.load_on, 1);
    POLL_UNTIL(load_operations(supervisor.load) >= 500);
    end_load();
    assert_int_equal(supervisor.cluster->facts.load_on, 0);
    assert_int_equal(count_status(HISTORY_OK), load_operations(supervisor.load));
    assert_int_equal(supervisor.cluster->facts.operations, load_operations(supervisor.load));
    size_t ops[5] = { 0 }, replaced = 0;
    for (size_t i = 0; i < history.count; i++) {
        const struct operation *operation = &history.operations[i];
        ops[operation->op]++;
        if (operation->op == HISTORY_CAS && operation->done) replaced++;
        assert_true(operation->call_ns <= operation->return_ns);
    }
    for (size_t op = 0; op < COUNT(ops); op++) assert_true(ops[op] > 0);
    assert_true(replaced > 0);
    assert_int_equal(verdict(), LINEAR_YES);
}

/* The checker sees through this very history: one get that saw another key's value is found. */
static void a_wrong_answer_is_found(void **state)
{
    UNUSED(state);
    must("load put+get keys 2 clients 2");
    POLL_UNTIL(load_operations(supervisor.load) >= 200);
    end_load();
    assert_int_equal(verdict(), LINEAR_YES);
    for (size_t i = history.count; i-- > 0;) {
        struct operation *operation = &history.operations[i];
        if (operation->op != HISTORY_GET || operation->output == NULL) continue;
        operation->output = "never written";
        break;
    }
    assert_int_equal(verdict(), LINEAR_NO);
}

static void values_and_clients_are_unique(void **state)
{
    UNUSED(state);
    must("load put 2000/s keys 3 clients 2");
    POLL_UNTIL(load_operations(supervisor.load) >= 100);
    must("load put 2000/s keys 3 clients 4 bytes 100"); /* ends the first */
    POLL_UNTIL(load_operations(supervisor.load) >= 200);
    end_load();
    size_t long_ones = 0;
    for (size_t i = 0; i < history.count; i++) {
        const struct operation *a = &history.operations[i];
        uint64_t client;
        assert_int_equal(sscanf(a->value, "c%" SCNu64 "-", &client), 1);
        assert_int_equal(client, a->client);
        long_ones += strlen(a->value) == 100;
        for (size_t j = i + 1; j < history.count; j++) /* equal texts are one pointer */
            assert_ptr_not_equal(a->value, history.operations[j].value);
    }
    assert_true(long_ones >= 50);
}

/* A client has one operation at a time. */
static void operations_of_a_client_do_not_overlap(void **state)
{
    UNUSED(state);
    must("load put+get keys 2 clients 2");
    POLL_UNTIL(load_operations(supervisor.load) >= 200);
    end_load();
    for (size_t i = 0; i < history.count; i++)
        for (size_t j = 0; j < history.count; j++) {
            const struct operation *a = &history.operations[i], *b = &history.operations[j];
            if (i == j || a->client != b->client) continue;
            assert_true(a->return_ns <= b->call_ns || b->return_ns <= a->call_ns);
        }
}

/* ---- the same seed, the same work ---- */

static int by_client_and_call(const void *left, const void *right)
{
    const struct operation *a = left, *b = right;
    if (a->client != b->client) return a->client < b->client ? -1 : 1;
    return a->call_ns < b->call_ns ? -1 : a->call_ns > b->call_ns;
}

enum { CALLERS = 2 * LOAD_CALLERS, FIRST_OPS = 10 };
struct work { /* by caller: its first operations, "put k2 c1-7" */
    char text[CALLERS + 1][FIRST_OPS][64];
};

static void do_work(struct work *work)
{
    size_t of_client = 0;
    must("load put+get+append keys 9 clients 2");
    POLL_UNTIL(load_operations(supervisor.load) >= 400);
    end_load();
    qsort(history.operations, history.count, sizeof(*history.operations), by_client_and_call);
    for (size_t i = 0; i < history.count; i++) {
        const struct operation *operation = &history.operations[i];
        assert_in_range(operation->client, 1, CALLERS);
        if (i > 0 && operation->client != operation[-1].client) of_client = 0;
        if (of_client >= FIRST_OPS) continue;
        snprintf(work->text[operation->client][of_client++], sizeof(work->text[0][0]), "%s %s %s",
                 history_op_name(operation->op), operation->key,
                 operation->value != NULL ? operation->value : "");
    }
}

static void work_comes_from_the_seed(void **state)
{
    static struct work first, second;
    size_t compared = 0;
    do_work(&first);
    assert_int_equal(close_cluster(state), 0);
    assert_int_equal(open_cluster(state), 0);
    do_work(&second);
    for (size_t caller = 1; caller <= CALLERS; caller++)
        for (size_t i = 0; i < FIRST_OPS; i++) { /* how far each came is up to the machine */
            if (first.text[caller][i][0] == '\0' || second.text[caller][i][0] == '\0') continue;
            assert_string_equal(first.text[caller][i], second.text[caller][i]);
            compared++;
        }
    assert_true(compared > 0);
}

/* ---- trouble ---- */

static void killed_clients_lose_nothing(void **state)
{
    UNUSED(state);
    for (int round = 0; round < 10; round++) {
        uint64_t before = supervisor.load != NULL ? load_operations(supervisor.load) : 0;
        must("load put+append+cas+get keys 3 clients 4");
        POLL_UNTIL(load_operations(supervisor.load) >= before + 100);
        for (uint32_t i = 0; i < CLIENTS; i++) kill(supervisor.cluster->clients[i].pid, SIGKILL);
        POLL_UNTIL(!load_running(supervisor.load));
    }
    end_load();
    assert_true(count_status(HISTORY_OK) >= load_operations(supervisor.load));
    assert_true(count_status(HISTORY_UNKNOWN) > 0); /* 160 callers were cut off in the middle */
    assert_int_equal(verdict(),
                     LINEAR_YES); /* what they had begun may have happened: it is there */
}

static void without_a_majority_all_stays_open(void **state)
{
    UNUSED(state);
    must("load put keys 1 clients 1");
    POLL_UNTIL(load_operations(supervisor.load) >= 10);
    must("kill majority");
    uint64_t done = 0;
    POLL_UNTIL(done == load_operations(supervisor.load) ||
               (done = load_operations(supervisor.load), 0));
    end_load(); /* within its second, although nothing is answered */
    assert_true(count_status(HISTORY_UNKNOWN) + count_status(HISTORY_FAIL) > 0);
    assert_int_equal(verdict(), LINEAR_YES);
}

static void too_many_clients(void **state)
{
    UNUSED(state);
    assert_int_equal(do_line("load put clients 5"), ERR_INPUT);
    assert_non_null(strstr(err_context(), "5 clients are asked for, this cluster has room for 4"));
    assert_null(supervisor.load);
}

#define IN_CLUSTER(test) cmocka_unit_test_setup_teardown(test, open_cluster, close_cluster)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_CLUSTER(everything_is_recorded),
        IN_CLUSTER(a_wrong_answer_is_found),
        IN_CLUSTER(values_and_clients_are_unique),
        IN_CLUSTER(operations_of_a_client_do_not_overlap),
        IN_CLUSTER(work_comes_from_the_seed),
        IN_CLUSTER(killed_clients_lose_nothing),
        IN_CLUSTER(without_a_majority_all_stays_open),
        IN_CLUSTER(too_many_clients),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
