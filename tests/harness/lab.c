/* tests/harness/lab.c - the lab's tester; every number here is the lab's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

enum { TESTS_MAX = 32, LEADER_ROUNDS = 10, WAIT_ROUNDS = 30, LOG_TOLD = 16384 };
static const uint64_t ONE_NS = 10 * NS_PER_S, AGREE_NS = 2 * NS_PER_S, TEST_NS = 120 * NS_PER_S;

void lab_sleep(uint32_t ms)
{
    struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&time, NULL);
}

const char *lab_random(struct lab *lab)
{
    snprintf(lab->value, sizeof(lab->value), "%llu", (unsigned long long)rng_next(&lab->rng) >> 1);
    return lab->value;
}

/* ---- links ---- */

void lab_disconnect(struct lab *lab, uint32_t server)
{
    control_do(&lab->ringside.control, "isolate %u", server + 1);
    lab->connected[server] = false;
}

/* Carry out lines that are sent in one write, so that next to nothing can slip in between. */
static void carry_out(struct lab *lab, const char *lines, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += lines[i] == '\n';
    assert_true(control_send(&lab->ringside.control, lines, length));
    for (; count > 0; count--) {
        json_t *answer = control_receive(&lab->ringside.control);
        if (!json_flag(answer, "ok")) fail_msg("%s", json_text(answer, "error"));
        json_decref(answer);
    }
}

/* `heal` leaves links to peers that are still isolated cut, but makes the others perfect: put the
 * lab's own faults back. */
void lab_connect(struct lab *lab, uint32_t server)
{
    char lines[512];
    size_t used = (size_t)snprintf(lines, sizeof(lines), "heal %u\n", server + 1);
    lab->connected[server] = true;
    if (lab->faults != NULL)
        used += (size_t)snprintf(lines + used, sizeof(lines) - used, "%s\n", lab->faults);
    carry_out(lab, lines, used);
}

void lab_faults(struct lab *lab, const char *line)
{
    static const char reliable[] = "unreliable off";
    lab->faults = line;
    control_do(&lab->ringside.control, "%s", line != NULL ? line : reliable);
}

void lab_crash(struct lab *lab, uint32_t server)
{
    lab_disconnect(lab, server);
    control_do(&lab->ringside.control, "kill %u", server + 1);
    lab->dead[server] = true;
}

/* It applies its log from the beginning: everything it tells is checked again. */
void lab_restart(struct lab *lab, uint32_t server)
{
    if (!lab->dead[server]) lab_crash(lab, server);
    control_do(&lab->ringside.control, "restart %u", server + 1);
    lab->dead[server] = false;
    lab->applied[server] = 0;
}

/* ---- Start, GetState ---- */

static struct started take_started(struct lab *lab)
{
    json_t *answer = control_receive(&lab->ringside.control);
    if (!json_flag(answer, "ok")) fail_msg("Start: %s", json_text(answer, "error"));
    struct started started = { json_number(answer, "index"), json_number(answer, "term"),
                               json_flag(answer, "isLeader") };
    json_decref(answer);
    return started;
}

void lab_start_all(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                   struct started *results)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&lines, &size);
    CHECK(stream != NULL);
    for (size_t i = 0; i < count; i++) fprintf(stream, "start %u %s\n", server + 1, commands[i]);
    fclose(stream);
    bool sent = control_send(&lab->ringside.control, lines, size);
    free(lines);
    assert_true(sent);
    for (size_t i = 0; i < count; i++) results[i] = take_started(lab);
}

struct started lab_start(struct lab *lab, uint32_t server, const char *command)
{
    struct started started;
    lab_start_all(lab, server, &command, 1, &started);
    return started;
}

static bool leads(struct lab *lab, uint32_t server, long long *term)
{
    json_t *answer = control_must(&lab->ringside.control, "state %u", server + 1);
    bool leader = json_flag(answer, "isLeader");
    *term = json_number(answer, "term");
    json_decref(answer);
    return leader;
}

long long lab_term(struct lab *lab, uint32_t server)
{
    long long term;
    leads(lab, server, &term);
    return term;
}

/* ---- leaders and terms ---- */

static char wrong[256];

const char *lab_wrong_leaders(const struct lab_claim *claims, size_t count, size_t *leader)
{
    *leader = count;
    for (size_t i = 0; i < count; i++) {
        if (!claims[i].leads) continue;
        if (*leader == count || claims[i].term > claims[*leader].term) *leader = i;
        for (size_t j = 0; j < i; j++) {
            if (!claims[j].leads || claims[j].term != claims[i].term) continue;
            snprintf(wrong, sizeof(wrong), "term %lld has two leaders: %u and %u", claims[i].term,
                     claims[j].server, claims[i].server);
            return wrong;
        }
    }
    return NULL;
}

const char *lab_wrong_terms(const struct lab_claim *claims, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (claims[i].term == claims[0].term) continue;
        snprintf(wrong, sizeof(wrong), "servers disagree on the term: %u says %lld, %u %lld",
                 claims[0].server, claims[0].term, claims[i].server, claims[i].term);
        return wrong;
    }
    return NULL;
}

/* What all connected servers say now. */
static size_t ask_connected(struct lab *lab, struct lab_claim *claims)
{
    size_t count = 0;
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (!lab->connected[server]) continue;
        claims[count].server = server;
        claims[count].leads = leads(lab, server, &claims[count].term);
        count++;
    }
    return count;
}

uint32_t lab_check_one_leader(struct lab *lab)
{
    struct lab_claim claims[PEER_MAX] = { 0 };
    size_t leader;
    for (int round = 0; round < LEADER_ROUNDS; round++) {
        lab_sleep((uint32_t)rng_range(&lab->rng, 450, 549));
        size_t count = ask_connected(lab, claims);
        if (lab_wrong_leaders(claims, count, &leader) != NULL) fail_msg("%s", wrong);
        if (leader < count) return claims[leader].server;
    }
    fail_msg("expected one leader, got none");
    return 0;
}

long long lab_check_terms(struct lab *lab)
{
    struct lab_claim claims[PEER_MAX] = { 0 };
    size_t count = ask_connected(lab, claims);
    if (lab_wrong_terms(claims, count) != NULL) fail_msg("%s", wrong);
    return claims[0].term;
}

void lab_check_no_leader(struct lab *lab)
{
    struct lab_claim claims[PEER_MAX] = { 0 };
    size_t leader, count = ask_connected(lab, claims);
    if (lab_wrong_leaders(claims, count, &leader) != NULL) fail_msg("%s", wrong);
    if (leader < count) fail_msg("server %u leads, nobody should", claims[leader].server);
}

/* ---- what was applied (L1) ---- */

const char *lab_wrong_entry(json_t *agreed, uint64_t *applied, uint32_t server, json_t *entry)
{
    uint64_t index = *applied + 1;
    if ((uint64_t)json_number(entry, "index") != index) {
        snprintf(wrong, sizeof(wrong), "server %u applied index %lld after %llu", server,
                 json_number(entry, "index"), (unsigned long long)*applied);
        return wrong;
    }
    *applied = index;
    json_t *known = json_array_get(agreed, index - 1);
    if (known == NULL) json_array_append(agreed, entry);
    else if (!json_equal(known, entry)) {
        snprintf(wrong, sizeof(wrong), "index %llu: server %u applied '%.40s', another '%.40s'",
                 (unsigned long long)index, server, json_text(entry, "command"),
                 json_text(known, "command"));
        return wrong;
    }
    return NULL;
}

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
    assert_true(control_send(&lab->ringside.control, lines, used));
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (lab->dead[server]) continue;
        json_t *entry, *answer = control_receive(&lab->ringside.control);
        if (!json_flag(answer, "ok")) fail_msg("applied: %s", json_text(answer, "error"));
        json_array_foreach (json_object_get(answer, "applied"), index, entry) {
            if (lab_wrong_entry(lab->agreed, &lab->applied[server], server, entry) != NULL)
                fail_msg("%s", wrong);
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

void lab_forget(struct lab *lab)
{
    memset(lab->applied, 0, sizeof(lab->applied));
    json_array_clear(lab->agreed);
}

uint32_t lab_committed(struct lab *lab, uint64_t index)
{
    uint32_t count = 0;
    look(lab);
    for (uint32_t server = 0; server < lab->servers; server++)
        count += lab->applied[server] >= index;
    return count;
}

const char *lab_command(struct lab *lab, uint64_t index)
{
    return json_text(json_array_get(lab->agreed, index - 1), "command");
}

void lab_check_no_agreement(struct lab *lab, uint64_t index)
{
    uint32_t count = lab_committed(lab, index);
    if (count > 0)
        fail_msg("index %llu was applied by %u servers, should not be", (unsigned long long)index,
                 count);
}

/* ---- agreement ---- */

/* The next connected server around that accepts: the index; 0 when nobody does. */
static uint64_t start_somewhere(struct lab *lab, const char *command, uint32_t *next)
{
    for (uint32_t i = 0; i < lab->servers; i++) {
        *next = (*next + 1) % lab->servers;
        if (!lab->connected[*next]) continue;
        struct started started = lab_start(lab, *next, command);
        if (started.is_leader) return (uint64_t)started.index;
    }
    return 0;
}

static bool agrees(struct lab *lab, uint64_t index, const char *command, uint32_t servers)
{
    uint64_t end_ns = real_now_ns() + AGREE_NS;
    while (real_now_ns() < end_ns) {
        uint32_t count = lab_committed(lab, index);
        if (count > 0 && count >= servers && strcmp(lab_command(lab, index), command) == 0)
            return true;
        lab_sleep(20);
    }
    return false;
}

uint64_t lab_one(struct lab *lab, const char *command, uint32_t servers, bool retry)
{
    uint32_t next = 0;
    uint64_t end_ns = real_now_ns() + ONE_NS;
    while (real_now_ns() < end_ns) {
        uint64_t index = start_somewhere(lab, command, &next);
        if (index == 0) {
            lab_sleep(50);
            continue;
        }
        if (agrees(lab, index, command, servers)) return index;
        if (!retry) break;
    }
    fail_msg("one(%.40s) failed to reach agreement", command);
    return 0;
}

bool lab_wait(struct lab *lab, uint64_t index, uint32_t servers, long long term)
{
    uint32_t pause_ms = 10;
    for (int round = 0; round < WAIT_ROUNDS && lab_committed(lab, index) < servers; round++) {
        lab_sleep(pause_ms);
        if (pause_ms < 1000) pause_ms *= 2;
        if (term == ANY_TERM) continue;
        for (uint32_t server = 0; server < lab->servers; server++)
            if (!lab->dead[server] && lab_term(lab, server) > term) return false;
    }
    uint32_t count = lab_committed(lab, index);
    if (count < servers)
        fail_msg("only %u applied index %llu; wanted %u", count, (unsigned long long)index,
                 servers);
    return true;
}

long long lab_rpcs(struct lab *lab)
{
    return ringside_link_number(&lab->ringside, 0, 0, "requests");
}

long long lab_bytes(struct lab *lab)
{
    return ringside_link_number(&lab->ringside, 0, 0, "sent_bytes");
}

/* ---- one test ---- */

static int lab_open(void **state)
{
    const struct lab_test *test = *state;
    struct lab *lab = calloc(1, sizeof(*lab));
    uint64_t seed;
    CHECK(lab != NULL);
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = real_now_ns();
    rng_seed(&lab->rng, seed, 0, 0);
    arena_open();
    lab->name = test->name;
    lab->servers = test->servers;
    lab->agreed = json_array();
    for (uint32_t server = 0; server < lab->servers; server++) lab->connected[server] = true;
    lab->began_ns = real_now_ns();
    *state = lab;
    const char *const words[] = { "--preset", "lab", "--log", arena_path("log"), NULL };
    ringside_up(&lab->ringside, test->servers, words);
    return 0;
}

/* L1 once more over whole logs: what was applied must not have changed since. Then, its line. */
static void lab_end(struct lab *lab)
{
    memset(lab->applied, 0, sizeof(lab->applied));
    look(lab);
    json_t *status = control_must(&lab->ringside.control, "status");
    assert_true(json_flag(status, "safe"));
    json_decref(status);
    uint64_t spent_ns = real_now_ns() - lab->began_ns;
    print_message("  ... Passed --  %4.1f  %u %5lld %8lld %4zu\n", (double)spent_ns / NS_PER_S,
                  lab->servers, lab_rpcs(lab), lab_bytes(lab), json_array_size(lab->agreed));
    if (spent_ns > TEST_NS) fail_msg("test took longer than 120 seconds");
    assert_int_equal(ringside_down(&lab->ringside), 0);
}

/* What a failed test leaves to think about. */
static void tell_state(struct lab *lab)
{
    size_t index;
    json_t *peer, *status = control_must(&lab->ringside.control, "status");
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

static int lab_close(void **state)
{
    struct lab *lab = *state;
    if (lab->ringside.control.fd > 0 && !program_ended(&lab->ringside.program)) tell_state(lab);
    ringside_close(&lab->ringside);
    json_decref(lab->agreed);
    free(lab);
    return arena_close();
}

static const struct lab_test *lab_tests;

/* cmocka hands a test its state only: the row is found by the name that the state knows. */
static void lab_run(void **state)
{
    struct lab *lab = *state;
    const struct lab_test *test = lab_tests;
    while (strcmp(test->name, lab->name) != 0) test++;
    test->run(lab);
    lab_end(lab);
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
    lab_tests = tests;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct CMUnitTest){ .name = tests[i].name,
                                       .test_func = lab_run,
                                       .setup_func = lab_open,
                                       .teardown_func = lab_close,
                                       .initial_state = (void *)(uintptr_t)&tests[i] };
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* e.g. TestBackup2B, or *2B */
    int failed = _cmocka_run_group_tests(group, rows, count, NULL, NULL);
    getrusage(RUSAGE_CHILDREN, &usage); /* supervisors and peers: all were waited for */
    print_message("%s: real %.1f s, user %.2f s, sys %.2f s (all processes of all clusters)\n",
                  group, (double)(real_now_ns() - began_ns) / NS_PER_S, seconds(usage.ru_utime),
                  seconds(usage.ru_stime));
    return failed;
}
