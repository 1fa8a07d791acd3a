/* tests/harness/lab_live.c - the lab's verbs as lines of the control socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"
#include "tests/harness/lab_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

enum { TESTS_MAX = 32, LOG_TOLD = 16384, CLIENTS_MAX = 8 };

struct live { /* one test */
    struct lab lab;
    struct ringside ringside;
    const struct lab_test *test;
};

static struct ringside *ringside(struct lab *lab)
{
    return &((struct live *)lab->cluster)->ringside;
}

static struct control *control(struct lab *lab)
{
    return &ringside(lab)->control;
}

/* ---- time ---- */

static uint64_t now(struct lab *lab)
{
    UNUSED(lab);
    return real_now_ns();
}

static void pass(struct lab *lab, uint64_t ns)
{
    UNUSED(lab);
    struct timespec time = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
    nanosleep(&time, NULL);
}

/* ---- links and lives ---- */

static void isolate(struct lab *lab, uint32_t server)
{
    control_do(control(lab), "isolate %u", server + 1);
}

/* Carry out lines that are sent in one write, so that next to nothing can slip in between. */
static void carry_out(struct lab *lab, const char *lines, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += lines[i] == '\n';
    assert_true(control_send(control(lab), lines, length));
    for (; count > 0; count--) {
        json_t *answer = control_receive(control(lab));
        if (!json_flag(answer, "ok")) fail_msg("%s", json_text(answer, "error"));
        json_decref(answer);
    }
}

static const char *const courses[COURSE_COUNT] = { [COURSE_OFF] = "unreliable off",
                                                   [COURSE_UNRELIABLE] = "unreliable",
                                                   [COURSE_LONG] = "unreliable long" };

/* `heal` leaves links to peers that are still isolated cut, but makes the others perfect: put the
 * lab's own faults back. */
static void heal(struct lab *lab, uint32_t server)
{
    char lines[64];
    size_t used = (size_t)snprintf(lines, sizeof(lines), "heal %u\n", server + 1);
    if (lab->course != COURSE_OFF)
        used += (size_t)snprintf(lines + used, sizeof(lines) - used, "%s\n", courses[lab->course]);
    carry_out(lab, lines, used);
}

static void faults(struct lab *lab)
{
    control_do(control(lab), "%s", courses[lab->course]);
}

static void kill_server(struct lab *lab, uint32_t server)
{
    control_do(control(lab), "kill %u", server + 1);
}

static void restart(struct lab *lab, uint32_t server)
{
    control_do(control(lab), "restart %u", server + 1);
}

/* ---- Start, GetState ---- */

static struct started take_started(struct control *client)
{
    json_t *answer = control_receive(client);
    if (!json_flag(answer, "ok")) fail_msg("Start: %s", json_text(answer, "error"));
    struct started started = { json_number(answer, "index"), json_number(answer, "term"),
                               json_flag(answer, "isLeader") };
    json_decref(answer);
    return started;
}

/* In one write. */
static void start_in_order(struct control *client, uint32_t server, const char *const *commands,
                           size_t count, struct started *results)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&lines, &size);
    CHECK(stream != NULL);
    for (size_t i = 0; i < count; i++) fprintf(stream, "start %u %s\n", server + 1, commands[i]);
    fclose(stream);
    bool sent = control_send(client, lines, size);
    free(lines);
    assert_true(sent);
    for (size_t i = 0; results != NULL && i < count; i++) results[i] = take_started(client);
}

/* Each writes on a connection of its own before any answer is read. */
static void start(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                  bool at_once, struct started *results)
{
    struct control clients[CLIENTS_MAX];
    if (!at_once) {
        start_in_order(control(lab), server, commands, count, results);
        return;
    }
    assert_true(count <= CLIENTS_MAX);
    for (size_t i = 0; i < count; i++) assert_true(control_open(&clients[i], ringside(lab)->name));
    for (size_t i = 0; i < count; i++) start_in_order(&clients[i], server, &commands[i], 1, NULL);
    for (size_t i = 0; i < count; i++) {
        results[i] = take_started(&clients[i]);
        control_close(&clients[i]);
    }
}

static bool state(struct lab *lab, uint32_t server, long long *term)
{
    json_t *answer = control_must(control(lab), "state %u", server + 1);
    bool leader = json_flag(answer, "isLeader");
    *term = json_number(answer, "term");
    json_decref(answer);
    return leader;
}

/* ---- what was applied ---- */

/* Ask every server for what is new; true when there was something. */
static bool look_once(struct lab *lab)
{
    char lines[64 * PEER_MAX];
    size_t used = 0, index;
    bool news = false;
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (lab->dead[server]) continue;
        used += (size_t)snprintf(lines + used, sizeof(lines) - used, "applied %u %llu\n",
                                 server + 1, (unsigned long long)lab->applied[server] + 1);
    }
    assert_true(control_send(control(lab), lines, used));
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (lab->dead[server]) continue;
        json_t *told, *answer = control_receive(control(lab));
        if (!json_flag(answer, "ok")) fail_msg("applied: %s", json_text(answer, "error"));
        json_array_foreach (json_object_get(answer, "applied"), index, told) {
            struct lab_entry entry = { (uint64_t)json_number(told, "index"),
                                       (uint64_t)json_number(told, "term"), json_text(told, "kind"),
                                       json_text(told, "command") };
            const char *wrong = lab_learn(lab, server, &entry);
            if (wrong != NULL) lab_fail(lab, "%s", wrong);
            news = true;
        }
        json_decref(answer);
    }
    return news;
}

static void look(struct lab *lab)
{
    while (look_once(lab)) continue;
}

/* ---- counters ---- */

static long long rpcs(struct lab *lab)
{
    return ringside_link_number(ringside(lab), 0, 0, "requests");
}

static long long bytes(struct lab *lab)
{
    return ringside_link_number(ringside(lab), 0, 0, "sent_bytes");
}

static const char *unsafe(struct lab *lab)
{
    json_t *status = control_must(control(lab), "status");
    bool safe = json_flag(status, "safe");
    json_decref(status);
    return safe ? NULL : "an invariant of safety is violated";
}

static const struct lab_backend backend = { .now = now,
                                            .sleep = pass,
                                            .disconnect = isolate,
                                            .connect = heal,
                                            .kill = kill_server,
                                            .restart = restart,
                                            .faults = faults,
                                            .start = start,
                                            .state = state,
                                            .look = look,
                                            .rpcs = rpcs,
                                            .bytes = bytes,
                                            .unsafe = unsafe };

/* ---- one test ---- */

static int open_live(void **state)
{
    const struct lab_test *test = *state;
    struct live *live = calloc(1, sizeof(*live));
    uint64_t seed;
    CHECK(live != NULL);
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = real_now_ns();
    arena_open();
    lab_open(&live->lab, test, &backend, seed);
    live->lab.cluster = live;
    live->test = test;
    *state = live;
    const char *const words[] = { "--preset", "lab", "--log", arena_path("log"), NULL };
    ringside_up(&live->ringside, test->servers, words);
    return 0;
}

static void run_live(void **state)
{
    struct live *live = *state;
    struct lab *lab = &live->lab;
    const char *failure = lab_run(lab, live->test);
    if (failure != NULL) fail_msg("%s", failure);
    if (lab->remark[0] != '\0') print_message("  %s\n", lab->remark);
    print_message("  ... Passed --  %4.1f  %u %5lld %8lld %4llu\n",
                  (double)(real_now_ns() - lab->began_ns) / NS_PER_S, lab->servers, rpcs(lab),
                  bytes(lab), (unsigned long long)lab->agreed.count);
    assert_int_equal(ringside_down(&live->ringside), 0);
}

/* What a failed test leaves to think about. */
static void tell_state(struct lab *lab)
{
    size_t index;
    json_t *peer, *status = control_must(control(lab), "status");
    json_array_foreach (json_object_get(status, "peers"), index, peer)
        print_error("server %zu: %s%s of term %lld, log ends at %lld (term %lld), committed %lld\n",
                    index, lab->connected[index] ? "" : "disconnected ", json_text(peer, "role"),
                    json_number(peer, "term"), json_number(peer, "last_index"),
                    json_number(peer, "last_term"), json_number(peer, "commit_index"));
    json_decref(status);
    char line[512];
    FILE *log = fopen(arena_path("log"), "re");
    if (log == NULL) return;
    if (fseek(log, -LOG_TOLD, SEEK_END) == 0 && fgets(line, sizeof(line), log) == NULL) rewind(log);
    while (fgets(line, sizeof(line), log) != NULL) print_error("%s", line);
    fclose(log);
}

static int close_live(void **state)
{
    struct live *live = *state;
    if (live->ringside.control.fd > 0 && !program_ended(&live->ringside.program))
        tell_state(&live->lab);
    ringside_close(&live->ringside);
    lab_close(&live->lab);
    free(live);
    return arena_close();
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int lab_main(const char *group, const struct lab_test *tests, size_t count, int argc, char **argv)
{
    struct CMUnitTest rows[TESTS_MAX];
    struct rusage usage;
    uint64_t began_ns = real_now_ns();
    CHECK(count <= TESTS_MAX);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct CMUnitTest){ .name = tests[i].name,
                                       .test_func = run_live,
                                       .setup_func = open_live,
                                       .teardown_func = close_live,
                                       .initial_state = (void *)(uintptr_t)&tests[i] };
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* e.g. TestBackup2B, or *2B */
    int failed = _cmocka_run_group_tests(group, rows, count, NULL, NULL);
    getrusage(RUSAGE_CHILDREN, &usage); /* supervisors and peers: all were waited for */
    print_message("%s: real %.1f s, user %.2f s, sys %.2f s (all processes of all clusters)\n",
                  group, (double)(real_now_ns() - began_ns) / NS_PER_S, seconds(usage.ru_utime),
                  seconds(usage.ru_stime));
    return failed;
}
