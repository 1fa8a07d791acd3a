/* tests/harness/lab.c - the lab's tester; every number here is the lab's. */
#include "tests/harness/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U(x) ((unsigned long long)(x))

enum { LEADER_ROUNDS = 10, WAIT_ROUNDS = 30 };
static const uint64_t ONE_NS = 10 * NS_PER_S, AGREE_NS = 2 * NS_PER_S, TEST_NS = 120 * NS_PER_S;

void lab_fail(struct lab *lab, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lab->failure, sizeof(lab->failure), format, arguments);
    va_end(arguments);
    longjmp(lab->back, 1);
}

void lab_remark(struct lab *lab, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lab->remark, sizeof(lab->remark), format, arguments);
    va_end(arguments);
}

uint64_t lab_now(struct lab *lab)
{
    return lab->backend->now(lab);
}

void lab_sleep(struct lab *lab, uint32_t ms)
{
    lab->backend->sleep(lab, ms * NS_PER_MS);
}

void lab_sleep_until(struct lab *lab, uint64_t ns)
{
    uint64_t now_ns = lab_now(lab);
    if (ns > now_ns) lab->backend->sleep(lab, ns - now_ns);
}

const char *lab_random(struct lab *lab)
{
    snprintf(lab->value, sizeof(lab->value), "%llu", U(rng_next(&lab->rng)) >> 1);
    return lab->value;
}

uint32_t lab_random_server(struct lab *lab)
{
    return (uint32_t)rng_range(&lab->rng, 0, lab->servers - 1);
}

/* ---- links and lives ---- */

void lab_disconnect(struct lab *lab, uint32_t server)
{
    lab->connected[server] = false;
    lab->backend->disconnect(lab, server);
}

void lab_connect(struct lab *lab, uint32_t server)
{
    lab->connected[server] = true;
    lab->backend->connect(lab, server);
}

void lab_faults(struct lab *lab, enum link_course course)
{
    lab->course = course;
    lab->backend->faults(lab);
}

void lab_crash(struct lab *lab, uint32_t server)
{
    lab_disconnect(lab, server);
    lab->backend->kill(lab, server);
    lab->dead[server] = true;
}

/* It applies its log from the beginning: everything it tells is checked again. */
void lab_restart(struct lab *lab, uint32_t server)
{
    if (!lab->dead[server]) lab_crash(lab, server);
    lab->backend->restart(lab, server);
    lab->dead[server] = false;
    lab->applied[server] = 0;
}

/* ---- Start, GetState ---- */

void lab_start_all(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                   struct started *results)
{
    lab->backend->start(lab, server, commands, count, false, results);
}

void lab_start_at_once(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                       struct started *results)
{
    lab->backend->start(lab, server, commands, count, true, results);
}

struct started lab_start(struct lab *lab, uint32_t server, const char *command)
{
    struct started started;
    lab_start_all(lab, server, &command, 1, &started);
    return started;
}

long long lab_term(struct lab *lab, uint32_t server)
{
    long long term;
    lab->backend->state(lab, server, &term);
    return term;
}

/* ---- leaders and terms ---- */

static char wrong[300];

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
        claims[count].leads = lab->backend->state(lab, server, &claims[count].term);
        count++;
    }
    return count;
}

uint32_t lab_check_one_leader(struct lab *lab)
{
    struct lab_claim claims[PEER_MAX] = { 0 };
    size_t leader;
    for (int round = 0; round < LEADER_ROUNDS; round++) {
        lab_sleep(lab, (uint32_t)rng_range(&lab->rng, 450, 549));
        size_t count = ask_connected(lab, claims);
        if (lab_wrong_leaders(claims, count, &leader) != NULL) lab_fail(lab, "%s", wrong);
        if (leader < count) return claims[leader].server;
    }
    lab_fail(lab, "expected one leader, got none");
}

long long lab_check_terms(struct lab *lab)
{
    struct lab_claim claims[PEER_MAX] = { 0 };
    size_t count = ask_connected(lab, claims);
    if (lab_wrong_terms(claims, count) != NULL) lab_fail(lab, "%s", wrong);
    return claims[0].term;
}

void lab_check_no_leader(struct lab *lab)
{
    struct lab_claim claims[PEER_MAX] = { 0 };
    size_t leader, count = ask_connected(lab, claims);
    if (lab_wrong_leaders(claims, count, &leader) != NULL) lab_fail(lab, "%s", wrong);
    if (leader < count) lab_fail(lab, "server %u leads, nobody should", claims[leader].server);
}

/* ---- what was applied (L1) ---- */

static bool equal(const struct lab_entry *a, const struct lab_entry *b)
{
    return a->index == b->index && a->term == b->term && strcmp(a->kind, b->kind) == 0 &&
           strcmp(a->command, b->command) == 0;
}

static void keep(struct lab_log *log, const struct lab_entry *entry)
{
    if (log->count == log->capacity) {
        log->capacity = MAX_OF(2 * log->capacity, 64);
        log->entries = reallocarray(log->entries, log->capacity, sizeof(*log->entries));
        CHECK(log->entries != NULL);
    }
    struct lab_entry *kept = &log->entries[log->count++];
    *kept = *entry;
    kept->kind = strdup(entry->kind);
    kept->command = strdup(entry->command);
    CHECK(kept->kind != NULL);
    CHECK(kept->command != NULL);
}

void lab_log_clear(struct lab_log *log)
{
    for (uint64_t i = 0; i < log->count; i++) {
        free((char *)(uintptr_t)log->entries[i].kind);
        free((char *)(uintptr_t)log->entries[i].command);
    }
    free(log->entries);
    *log = (struct lab_log){ 0 };
}

const char *lab_wrong_entry(struct lab_log *agreed, uint64_t *applied, uint32_t server,
                            const struct lab_entry *entry)
{
    uint64_t index = *applied + 1;
    if (entry->index != index) {
        snprintf(wrong, sizeof(wrong), "server %u applied index %llu after %llu", server,
                 U(entry->index), U(*applied));
        return wrong;
    }
    *applied = index;
    if (index > agreed->count) {
        keep(agreed, entry);
        return NULL;
    }
    const struct lab_entry *known = &agreed->entries[index - 1];
    if (equal(known, entry)) return NULL;
    snprintf(wrong, sizeof(wrong), "index %llu: server %u applied '%.40s', another '%.40s'",
             U(index), server, entry->command, known->command);
    return wrong;
}

const char *lab_learn(struct lab *lab, uint32_t server, const struct lab_entry *entry)
{
    return lab_wrong_entry(&lab->agreed, &lab->applied[server], server, entry);
}

void lab_forget(struct lab *lab)
{
    memset(lab->applied, 0, sizeof(lab->applied));
    lab_log_clear(&lab->agreed);
}

void lab_look(struct lab *lab)
{
    lab->backend->look(lab);
}

uint32_t lab_seen(const struct lab *lab, uint64_t index)
{
    uint32_t count = 0;
    for (uint32_t server = 0; server < lab->servers; server++)
        count += lab->applied[server] >= index;
    return count;
}

uint32_t lab_committed(struct lab *lab, uint64_t index)
{
    lab_look(lab);
    return lab_seen(lab, index);
}

const char *lab_command(struct lab *lab, uint64_t index)
{
    return index >= 1 && index <= lab->agreed.count ? lab->agreed.entries[index - 1].command : "";
}

void lab_check_no_agreement(struct lab *lab, uint64_t index)
{
    uint32_t count = lab_committed(lab, index);
    if (count > 0)
        lab_fail(lab, "index %llu was applied by %u servers, should not be", U(index), count);
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
    uint64_t end_ns = lab_now(lab) + AGREE_NS;
    while (lab_now(lab) < end_ns) {
        uint32_t count = lab_committed(lab, index);
        if (count > 0 && count >= servers && strcmp(lab_command(lab, index), command) == 0)
            return true;
        lab_sleep(lab, 20);
    }
    return false;
}

uint64_t lab_one(struct lab *lab, const char *command, uint32_t servers, bool retry)
{
    uint32_t next = 0;
    uint64_t end_ns = lab_now(lab) + ONE_NS;
    while (lab_now(lab) < end_ns) {
        uint64_t index = start_somewhere(lab, command, &next);
        if (index == 0) {
            lab_sleep(lab, 50);
            continue;
        }
        if (agrees(lab, index, command, servers)) return index;
        if (!retry) break;
    }
    lab_fail(lab, "one(%.40s) failed to reach agreement", command);
}

bool lab_wait(struct lab *lab, uint64_t index, uint32_t servers, long long term)
{
    uint32_t pause_ms = 10;
    for (int round = 0; round < WAIT_ROUNDS && lab_committed(lab, index) < servers; round++) {
        lab_sleep(lab, pause_ms);
        if (pause_ms < 1000) pause_ms *= 2;
        if (term == ANY_TERM) continue;
        for (uint32_t server = 0; server < lab->servers; server++)
            if (!lab->dead[server] && lab_term(lab, server) > term) return false;
    }
    uint32_t count = lab_committed(lab, index);
    if (count < servers)
        lab_fail(lab, "only %u applied index %llu; wanted %u", count, U(index), servers);
    return true;
}

long long lab_rpcs(struct lab *lab)
{
    return lab->backend->rpcs(lab);
}

long long lab_bytes(struct lab *lab)
{
    return lab->backend->bytes(lab);
}

/* ---- one test ---- */

void lab_open(struct lab *lab, const struct lab_test *test, const struct lab_backend *backend,
              uint64_t seed)
{
    *lab = (struct lab){ .backend = backend, .name = test->name, .servers = test->servers };
    for (uint32_t server = 0; server < lab->servers; server++) lab->connected[server] = true;
    rng_seed(&lab->rng, seed, 0, 0);
}

void lab_close(struct lab *lab)
{
    lab_log_clear(&lab->agreed);
}

/* L1 once more over whole logs: what was applied must not have changed since. */
static void finish(struct lab *lab)
{
    memset(lab->applied, 0, sizeof(lab->applied));
    lab_look(lab);
    const char *unsafe = lab->backend->unsafe(lab);
    if (unsafe != NULL) lab_fail(lab, "%s", unsafe);
    if (lab_now(lab) - lab->began_ns > TEST_NS) lab_fail(lab, "test took longer than 120 seconds");
}

const char *lab_run(struct lab *lab, const struct lab_test *test)
{
    if (setjmp(lab->back) != 0) return lab->failure;
    lab->began_ns = lab_now(lab);
    test->run(lab);
    finish(lab);
    return NULL;
}
