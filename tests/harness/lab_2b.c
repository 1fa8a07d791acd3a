/* tests/harness/lab_2b.c - MIT 6.824 lab 2B, the log. */
#include "tests/harness/lab_scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 5 /* where a term may change under a test's feet */
#define SETTLE_MS 3000
#define COMMANDS 50
#define RPC_BYTES 5000
#define TEXT_BYTES 32

static void expect_index(struct lab *lab, long long index, long long low, long long high)
{
    if (index < low || index > high)
        lab_fail(lab, "got index %lld, expected %lld..%lld", index, low, high);
}

static void basic_agree(struct lab *lab)
{
    for (long long index = 1; index <= 3; index++) {
        char command[TEXT_BYTES];
        snprintf(command, sizeof(command), "%lld", index * 100);
        if (lab_committed(lab, (uint64_t)index) > 0)
            lab_fail(lab, "some have committed before Start()");
        expect_index(lab, (long long)lab_one(lab, command, lab->servers, false), index, index);
    }
}

/* Each command goes to each server once. */
static void rpc_bytes(struct lab *lab)
{
    long long sent = 0;
    lab_one(lab, "99", lab->servers, false);
    long long before = lab_bytes(lab);
    for (long long index = 2; index < 12; index++) {
        char command[RPC_BYTES + 1] = { 0 };
        for (size_t i = 0; i < RPC_BYTES; i++) command[i] = (char)rng_range(&lab->rng, 'A', 'Z');
        expect_index(lab, (long long)lab_one(lab, command, lab->servers, false), index, index);
        sent += RPC_BYTES;
    }
    long long got = lab_bytes(lab) - before, expected = lab->servers * sent;
    if (got > expected + 50000)
        lab_fail(lab, "too many RPC bytes: got %lld, expected %lld", got, expected);
}

static void follower_failure(struct lab *lab)
{
    lab_one(lab, "101", 3, false);
    uint32_t leader = lab_check_one_leader(lab);
    lab_disconnect(lab, (leader + 1) % 3);
    lab_one(lab, "102", 2, false); /* the leader and the other follower */
    lab_sleep(lab, ELECTION_TIMEOUT_MS);
    lab_one(lab, "103", 2, false);

    leader = lab_check_one_leader(lab);
    lab_disconnect(lab, (leader + 1) % 3);
    lab_disconnect(lab, (leader + 2) % 3);
    struct started started = lab_start(lab, leader, "104");
    if (!started.is_leader) lab_fail(lab, "the leader rejected Start()");
    expect_index(lab, started.index, 4, 4);
    lab_sleep(lab, 2 * ELECTION_TIMEOUT_MS);
    lab_check_no_agreement(lab, 4);
}

static void leader_failure(struct lab *lab)
{
    lab_one(lab, "101", 3, false);
    lab_disconnect(lab, lab_check_one_leader(lab));
    lab_one(lab, "102", 2, false); /* the others elect a new one */
    lab_sleep(lab, ELECTION_TIMEOUT_MS);
    lab_one(lab, "103", 2, false);

    lab_disconnect(lab, lab_check_one_leader(lab));
    for (uint32_t server = 0; server < 3; server++) lab_start(lab, server, "104");
    lab_sleep(lab, 2 * ELECTION_TIMEOUT_MS);
    lab_check_no_agreement(lab, 4);
}

static void fail_agree(struct lab *lab)
{
    lab_one(lab, "101", 3, false);
    uint32_t victim = (lab_check_one_leader(lab) + 1) % 3;
    lab_disconnect(lab, victim);
    lab_one(lab, "102", 2, false);
    lab_one(lab, "103", 2, false);
    lab_sleep(lab, ELECTION_TIMEOUT_MS);
    lab_one(lab, "104", 2, false);
    lab_one(lab, "105", 2, false);

    lab_connect(lab, victim);
    lab_one(lab, "106", 3, true); /* keeps former agreements, and catches up */
    lab_sleep(lab, ELECTION_TIMEOUT_MS);
    lab_one(lab, "107", 3, true);
}

static void fail_no_agree(struct lab *lab)
{
    lab_one(lab, "10", 5, false);
    uint32_t leader = lab_check_one_leader(lab);
    for (uint32_t i = 1; i <= 3; i++) lab_disconnect(lab, (leader + i) % 5);
    struct started started = lab_start(lab, leader, "20");
    if (!started.is_leader) lab_fail(lab, "the leader rejected Start()");
    expect_index(lab, started.index, 2, 2);
    lab_sleep(lab, 2 * ELECTION_TIMEOUT_MS);
    lab_check_no_agreement(lab, 2);

    for (uint32_t i = 1; i <= 3; i++) lab_connect(lab, (leader + i) % 5);
    leader = lab_check_one_leader(lab); /* perhaps of the majority, which never saw index 2 */
    started = lab_start(lab, leader, "30");
    if (!started.is_leader) lab_fail(lab, "the second leader rejected Start()");
    expect_index(lab, started.index, 2, 3);
    lab_one(lab, "1000", 5, true);
}

/* Five clients at once. False when the term changed. indexes[0..4] become those of the accepted. */
static bool start_five(struct lab *lab, uint32_t leader, long long term, uint64_t *indexes)
{
    static const char *const commands[] = { "100", "101", "102", "103", "104" };
    struct started started[COUNT(commands)];
    bool all = true;
    lab_start_at_once(lab, leader, commands, COUNT(commands), started);
    for (size_t i = 0; i < COUNT(commands); i++) {
        all &= started[i].is_leader && started[i].term == term;
        indexes[i] = (uint64_t)started[i].index;
    }
    for (uint32_t server = 0; server < lab->servers; server++) all &= lab_term(lab, server) == term;
    return all;
}

static bool try_concurrent_starts(struct lab *lab)
{
    uint64_t indexes[5];
    bool seen[5] = { false };
    uint32_t leader = lab_check_one_leader(lab);
    struct started first = lab_start(lab, leader, "1");
    if (!first.is_leader || !start_five(lab, leader, first.term, indexes)) return false;
    for (size_t i = 0; i < COUNT(indexes); i++) {
        if (!lab_wait(lab, indexes[i], lab->servers, first.term)) return false;
        int value = atoi(lab_command(lab, indexes[i]));
        if (value < 100 || value > 104) lab_fail(lab, "an unexpected command: %d", value);
        seen[value - 100] = true;
    }
    for (size_t i = 0; i < COUNT(seen); i++)
        if (!seen[i]) lab_fail(lab, "command %zu is missing", 100 + i);
    return true;
}

static void repeat(struct lab *lab, bool (*once)(struct lab *))
{
    for (int try = 0; try < TRIES; try++) {
        if (try > 0) lab_sleep(lab, SETTLE_MS);
        if (once(lab)) return;
    }
    lab_fail(lab, "term changed too often");
}

static void concurrent_starts(struct lab *lab)
{
    repeat(lab, try_concurrent_starts);
}

static void rejoin(struct lab *lab)
{
    lab_one(lab, "101", 3, true);
    uint32_t leader1 = lab_check_one_leader(lab);
    lab_disconnect(lab, leader1);
    lab_start(lab, leader1, "102"); /* doomed */
    lab_start(lab, leader1, "103");
    lab_start(lab, leader1, "104");
    lab_one(lab, "103", 2, true); /* the new leader's index 2 */

    uint32_t leader2 = lab_check_one_leader(lab);
    lab_disconnect(lab, leader2);
    lab_connect(lab, leader1);
    lab_one(lab, "104", 2, true);
    lab_connect(lab, leader2);
    lab_one(lab, "105", 3, true);
}

/* Entries that will not be committed. */
static void start_doomed(struct lab *lab, uint32_t leader)
{
    char texts[COMMANDS][TEXT_BYTES];
    const char *commands[COMMANDS];
    struct started started[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) {
        snprintf(texts[i], TEXT_BYTES, "%s", lab_random(lab));
        commands[i] = texts[i];
    }
    lab_start_all(lab, leader, commands, COMMANDS, started);
    lab_sleep(lab, ELECTION_TIMEOUT_MS / 2);
}

static void agree_often(struct lab *lab, uint32_t servers)
{
    for (int i = 0; i < COMMANDS; i++) lab_one(lab, lab_random(lab), servers, true);
}

static void backup(struct lab *lab)
{
    lab_one(lab, lab_random(lab), 5, true);
    uint32_t leader1 = lab_check_one_leader(lab);
    for (uint32_t i = 2; i <= 4; i++) lab_disconnect(lab, (leader1 + i) % 5);
    start_doomed(lab, leader1); /* with one follower */

    lab_disconnect(lab, leader1);
    lab_disconnect(lab, (leader1 + 1) % 5);
    for (uint32_t i = 2; i <= 4; i++) lab_connect(lab, (leader1 + i) % 5);
    agree_often(lab, 3); /* a long log for the majority */

    uint32_t leader2 = lab_check_one_leader(lab), other = (leader1 + 2) % 5;
    if (leader2 == other) other = (leader2 + 1) % 5;
    lab_disconnect(lab, other);
    start_doomed(lab, leader2); /* two of five */

    for (uint32_t server = 0; server < 5; server++) lab_disconnect(lab, server);
    lab_connect(lab, leader1); /* back to life, with its follower and the third */
    lab_connect(lab, (leader1 + 1) % 5);
    lab_connect(lab, other);
    agree_often(lab, 3);

    for (uint32_t server = 0; server < 5; server++) lab_connect(lab, server);
    lab_one(lab, lab_random(lab), 5, true);
}

/* One Start and 11 more in one term. False when the term changed. *after: RPCs then. */
static bool try_count(struct lab *lab, long long *after)
{
    enum { BURST = 11, WAITED = 10 };
    char texts[BURST][TEXT_BYTES];
    const char *commands[BURST];
    struct started started[BURST];
    uint32_t leader = lab_check_one_leader(lab);
    long long before = lab_rpcs(lab);
    struct started first = lab_start(lab, leader, "1");
    if (!first.is_leader) return false;
    for (size_t i = 0; i < BURST; i++) {
        snprintf(texts[i], TEXT_BYTES, "%s", lab_random(lab));
        commands[i] = texts[i];
    }
    lab_start_all(lab, leader, commands, BURST, started);
    for (size_t i = 0; i < BURST; i++) {
        if (!started[i].is_leader || started[i].term != first.term) return false;
        long long index = first.index + 1 + (long long)i;
        expect_index(lab, started[i].index, index, index);
    }
    for (size_t i = 0; i < WAITED; i++) {
        uint64_t index = (uint64_t)started[i].index;
        if (!lab_wait(lab, index, lab->servers, first.term)) return false;
        if (strcmp(lab_command(lab, index), texts[i]) != 0)
            lab_fail(lab, "index %lld holds '%s', expected '%s'", started[i].index,
                     lab_command(lab, index), texts[i]);
    }
    *after = lab_rpcs(lab);
    for (uint32_t server = 0; server < lab->servers; server++)
        if (lab_term(lab, server) != first.term) return false;
    if (*after - before > (WAITED + 1 + 3) * 3)
        lab_fail(lab, "too many RPCs (%lld) for %d entries", *after - before, WAITED);
    return true;
}

static void count(struct lab *lab)
{
    lab_check_one_leader(lab);
    long long election = lab_rpcs(lab), after = 0;
    if (election > 30 || election < 1)
        lab_fail(lab, "too many or few RPCs (%lld) to elect the first leader", election);
    int try = 0;
    while (!try_count(lab, &after)) {
        if (++try == TRIES) lab_fail(lab, "term changed too often");
        lab_sleep(lab, SETTLE_MS);
    }
    lab_sleep(lab, ELECTION_TIMEOUT_MS);
    long long idle = lab_rpcs(lab) - after;
    if (idle > 3 * 20) lab_fail(lab, "too many RPCs (%lld) for 1 second of idleness", idle);
}

const struct lab_test lab_2b[10] = {
    { "TestBasicAgree2B", 3, basic_agree },
    { "TestRPCBytes2B", 3, rpc_bytes },
    { "For2023TestFollowerFailure2B", 3, follower_failure },
    { "For2023TestLeaderFailure2B", 3, leader_failure },
    { "TestFailAgree2B", 3, fail_agree },
    { "TestFailNoAgree2B", 5, fail_no_agree },
    { "TestConcurrentStarts2B", 3, concurrent_starts },
    { "TestRejoin2B", 3, rejoin },
    { "TestBackup2B", 5, backup },
    { "TestCount2B", 3, count },
};
