/* tests/harness/lab_2c.c - MIT 6.824 lab 2C, persistence. Concurrent clients are
 * turns of one loop. */
#include "tests/harness/lab_scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 32
#define FIGURE_8_ROUNDS 1000
#define LONG_FROM 200

static void restart_connect(struct lab *lab, uint32_t server)
{
    lab_restart(lab, server);
    lab_connect(lab, server);
}

/* ---- persistence ---- */

static void persist1(struct lab *lab)
{
    lab_one(lab, "11", 3, true);
    for (uint32_t server = 0; server < 3; server++) lab_restart(lab, server);
    for (uint32_t server = 0; server < 3; server++) lab_connect(lab, server);
    lab_one(lab, "12", 3, true);

    uint32_t leader1 = lab_check_one_leader(lab);
    restart_connect(lab, leader1);
    lab_one(lab, "13", 3, true);

    uint32_t leader2 = lab_check_one_leader(lab);
    lab_disconnect(lab, leader2);
    lab_one(lab, "14", 2, true);
    restart_connect(lab, leader2);
    lab_wait(lab, 4, 3, ANY_TERM); /* it joins before another one goes */

    uint32_t third = (lab_check_one_leader(lab) + 1) % 3;
    lab_disconnect(lab, third);
    lab_one(lab, "15", 2, true);
    restart_connect(lab, third);
    lab_one(lab, "16", 3, true);
}

static void agree_next(struct lab *lab, int *index, uint32_t servers)
{
    char command[TEXT_BYTES];
    snprintf(command, sizeof(command), "%d", 10 + (*index)++);
    lab_one(lab, command, servers, true);
}

static void persist2(struct lab *lab)
{
    int index = 1;
    for (int round = 0; round < 5; round++) {
        agree_next(lab, &index, 5);
        uint32_t leader = lab_check_one_leader(lab);
        lab_disconnect(lab, (leader + 1) % 5);
        lab_disconnect(lab, (leader + 2) % 5);
        agree_next(lab, &index, 3);

        lab_disconnect(lab, leader);
        lab_disconnect(lab, (leader + 3) % 5);
        lab_disconnect(lab, (leader + 4) % 5);
        lab_restart(lab, (leader + 1) % 5);
        lab_restart(lab, (leader + 2) % 5);
        lab_connect(lab, (leader + 1) % 5);
        lab_connect(lab, (leader + 2) % 5);
        lab_sleep(lab, ELECTION_TIMEOUT_MS);
        restart_connect(lab, (leader + 3) % 5);
        agree_next(lab, &index, 3); /* needs what the third has stored */

        lab_connect(lab, (leader + 4) % 5);
        lab_connect(lab, leader);
    }
    lab_one(lab, "1000", 5, true);
}

static void persist3(struct lab *lab)
{
    lab_one(lab, "101", 3, true);
    uint32_t leader = lab_check_one_leader(lab);
    lab_disconnect(lab, (leader + 2) % 3);
    lab_one(lab, "102", 2, true);
    lab_crash(lab, leader);
    lab_crash(lab, (leader + 1) % 3);
    lab_connect(lab, (leader + 2) % 3);
    restart_connect(lab, leader);
    lab_one(lab, "103", 2, true);
    restart_connect(lab, (leader + 1) % 3);
    lab_one(lab, "104", 3, true);
}

/* ---- Figure 8 of the paper ---- */

/* A value to every living server: the last connected one that accepts; `servers` when none does. */
static uint32_t start_everywhere(struct lab *lab)
{
    uint32_t leader = lab->servers;
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (lab->dead[server]) continue;
        struct started started = lab_start(lab, server, lab_random(lab));
        if (started.is_leader && lab->connected[server]) leader = server;
    }
    return leader;
}

static void sleep_a_little(struct lab *lab)
{
    if (rng_chance(&lab->rng, PPM / 10)) lab_sleep(lab, (uint32_t)rng_range(&lab->rng, 0, 499));
    else lab_sleep(lab, (uint32_t)rng_range(&lab->rng, 0, 12));
}

static void figure8(struct lab *lab)
{
    uint32_t up = lab->servers;
    lab_one(lab, lab_random(lab), 1, true);
    for (int round = 0; round < FIGURE_8_ROUNDS; round++) {
        uint32_t leader = start_everywhere(lab);
        sleep_a_little(lab);
        if (leader < lab->servers) {
            lab_crash(lab, leader);
            up--;
        }
        uint32_t server = lab_random_server(lab);
        if (up >= 3 || !lab->dead[server]) continue;
        restart_connect(lab, server);
        up++;
    }
    for (uint32_t server = 0; server < lab->servers; server++)
        if (lab->dead[server]) restart_connect(lab, server);
    lab_one(lab, lab_random(lab), lab->servers, true);
}

static void figure8_unreliable(struct lab *lab)
{
    uint32_t up = lab->servers;
    lab_faults(lab, COURSE_UNRELIABLE);
    lab_one(lab, lab_random(lab), 1, true);
    for (int round = 0; round < FIGURE_8_ROUNDS; round++) {
        if (round == LONG_FROM) lab_faults(lab, COURSE_LONG);
        uint32_t leader = start_everywhere(lab);
        sleep_a_little(lab);
        if (leader < lab->servers && rng_chance(&lab->rng, PPM / 2)) {
            lab_disconnect(lab, leader);
            up--;
        }
        uint32_t server = lab_random_server(lab);
        if (up >= 3 || lab->connected[server]) continue;
        lab_connect(lab, server);
        up++;
    }
    for (uint32_t server = 0; server < lab->servers; server++)
        if (!lab->connected[server]) lab_connect(lab, server);
    lab_one(lab, lab_random(lab), lab->servers, true);
}

/* ---- an unreliable network ---- */

#define AT_ONCE 4
struct agreement {
    char text[TEXT_BYTES];
    uint64_t index; /* 0: not started */
    bool done;
};

/* Whatever has not been started by now, everywhere; who does not lead answers index 0. */
static void start_open(struct lab *lab, struct agreement *open)
{
    for (uint32_t server = 0; server < lab->servers; server++)
        for (size_t i = 0; i < AT_ONCE; i++)
            if (!open[i].done && open[i].index == 0)
                open[i].index = (uint64_t)lab_start(lab, server, open[i].text).index;
}

static size_t count_open(struct lab *lab, struct agreement *open)
{
    size_t left = 0;
    lab_look(lab);
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (!open[i].done && open[i].index != 0 && lab_seen(lab, open[i].index) > 0)
            open[i].done = strcmp(lab_command(lab, open[i].index), open[i].text) == 0;
        left += !open[i].done;
    }
    return left;
}

/* Four at once and one more: each starts its value, then all wait for all. */
static void agree_at_once(struct lab *lab, int round)
{
    struct agreement open[AT_ONCE] = { 0 };
    char text[TEXT_BYTES];
    size_t left = AT_ONCE;
    for (int i = 0; i < AT_ONCE; i++) snprintf(open[i].text, TEXT_BYTES, "%d", 100 * round + i);
    uint64_t end_ns = lab_now(lab) + 10 * NS_PER_S;
    while (left > 0) {
        uint64_t again_ns = lab_now(lab) + 2 * NS_PER_S;
        bool started = false;
        for (size_t i = 0; i < AT_ONCE; i++) open[i].index = 0;
        start_open(lab, open);
        for (size_t i = 0; i < AT_ONCE; i++) started |= open[i].index != 0;
        while (left > 0 && lab_now(lab) < again_ns) {
            left = count_open(lab, open);
            if (left > 0) lab_sleep(lab, 20);
            if (!started) break; /* nobody leads */
        }
        if (left > 0 && lab_now(lab) >= end_ns) lab_fail(lab, "no agreement on '%s'", open[0].text);
    }
    snprintf(text, sizeof(text), "%d", round);
    lab_one(lab, text, 1, true);
}

static void unreliable_agree(struct lab *lab)
{
    lab_faults(lab, COURSE_UNRELIABLE);
    for (int round = 1; round < 50; round++) agree_at_once(lab, round);
    lab_faults(lab, COURSE_OFF);
    lab_one(lab, "100", 5, true);
}

/* ---- churn ---- */

#define CLIENTS 3
struct client { /* submits a value, waits a little whether it is applied, notes it when it is */
    char value[TEXT_BYTES];
    uint64_t index; /* 0: nothing submitted */
    size_t looks;
    uint64_t due_ns;
    uint32_t pause_ms; /* when nobody leads */
};
struct noted { /* seen applied: it has to stay */
    uint64_t index;
    char value[TEXT_BYTES];
};
static struct noted *noted;
static size_t noted_count;

static void note(const struct client *client)
{
    noted = reallocarray(noted, noted_count + 1, sizeof(*noted));
    CHECK(noted != NULL);
    noted[noted_count].index = client->index;
    memcpy(noted[noted_count++].value, client->value, TEXT_BYTES);
}

/* To every living server; when nobody leads, a pause. */
static void client_submit(struct lab *lab, struct client *client)
{
    snprintf(client->value, sizeof(client->value), "%s", lab_random(lab));
    client->index = 0;
    client->looks = 0;
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (lab->dead[server]) continue;
        struct started started = lab_start(lab, server, client->value);
        if (started.is_leader) client->index = (uint64_t)started.index;
    }
}

static void client_turn(struct lab *lab, struct client *client)
{
    static const uint64_t pauses_ms[] = { 10, 20, 50, 100, 200 };
    if (client->index == 0 || client->looks == COUNT(pauses_ms)) client_submit(lab, client);
    client->due_ns = lab_now(lab);
    if (client->index == 0) {
        client->due_ns += client->pause_ms * NS_PER_MS;
    } else if (lab_committed(lab, client->index) > 0) {
        if (strcmp(lab_command(lab, client->index), client->value) == 0) note(client);
        client->index = 0;
    } else {
        client->due_ns += pauses_ms[client->looks++] * NS_PER_MS;
    }
}

static void clients_work(struct lab *lab, struct client *clients, uint32_t ms)
{
    for (uint64_t end_ns = lab_now(lab) + ms * NS_PER_MS; lab_now(lab) < end_ns;) {
        uint64_t next_ns = end_ns;
        for (size_t i = 0; i < CLIENTS; i++) {
            if (lab_now(lab) >= clients[i].due_ns) client_turn(lab, &clients[i]);
            next_ns = MIN_OF(next_ns, clients[i].due_ns);
        }
        lab_sleep_until(lab, next_ns);
    }
}

static void churn_once(struct lab *lab)
{
    uint32_t server = lab_random_server(lab);
    if (rng_chance(&lab->rng, PPM / 5)) lab_disconnect(lab, server);
    server = lab_random_server(lab);
    if (rng_chance(&lab->rng, PPM / 2)) {
        if (lab->dead[server]) lab_restart(lab, server);
        lab_connect(lab, server);
    }
    server = lab_random_server(lab);
    if (rng_chance(&lab->rng, PPM / 5) && !lab->dead[server]) lab_crash(lab, server);
}

static void churn(struct lab *lab)
{
    struct client clients[CLIENTS] = { 0 };
    noted_count = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) clients[i].pause_ms = 79 + 17 * i;
    for (int round = 0; round < 20; round++) {
        churn_once(lab);
        clients_work(lab, clients, 7 * ELECTION_TIMEOUT_MS / 10);
    }
    clients_work(lab, clients, ELECTION_TIMEOUT_MS);
    lab_faults(lab, COURSE_OFF);
    for (uint32_t server = 0; server < lab->servers; server++) {
        if (lab->dead[server]) lab_restart(lab, server);
        lab_connect(lab, server);
    }
    lab_sleep(lab, ELECTION_TIMEOUT_MS);
    uint64_t last = lab_one(lab, lab_random(lab), lab->servers, true);
    lab_forget(lab);
    lab_wait(lab, last, lab->servers, ANY_TERM);
    for (size_t i = 0; i < noted_count; i++) {
        bool there =
            noted[i].index <= last && strcmp(lab_command(lab, noted[i].index), noted[i].value) == 0;
        if (!there)
            lab_fail(lab, "%s was seen applied and is not in the final log", noted[i].value);
    }
    lab_remark(lab, "%zu values were seen applied", noted_count);
}

static void unreliable_churn(struct lab *lab)
{
    lab_faults(lab, COURSE_UNRELIABLE);
    churn(lab);
}

const struct lab_test lab_2c[8] = {
    { "TestPersist12C", 3, persist1 },
    { "TestPersist22C", 5, persist2 },
    { "TestPersist32C", 3, persist3 },
    { "TestFigure82C", 5, figure8 },
    { "TestUnreliableAgree2C", 5, unreliable_agree },
    { "TestFigure8Unreliable2C", 5, figure8_unreliable },
    { "TestReliableChurn2C", 5, churn },
    { "TestUnreliableChurn2C", 5, unreliable_churn },
};
