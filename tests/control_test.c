/* tests/control_test.c - the control socket against clients of every kind: what is understood,
 * what is refused and how, and that no client harms another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CROWD = 300, CROWD_SERVED = 200, HUGE_LINE = 9 << 20, LARGE_LINE = 2 << 20, FLOOD = 20000 };

/* 64 MiB wait, in a buffer that doubles; sanitizers keep freed memory and shadows of all of it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BOUND_KIB (800 << 10)
#else
#define BOUND_KIB (200 << 10)
#endif

static struct ringside cluster;
static struct control *control = &cluster.control;

static int open_cluster(void **state)
{
    static const char *const words[] = { "--preset", "lab", NULL };
    UNUSED(state);
    arena_open();
    memset(&cluster, 0, sizeof(cluster));
    ringside_up(&cluster, 3, words);
    return 0;
}

static int close_cluster(void **state)
{
    UNUSED(state);
    ringside_close(&cluster);
    return arena_close();
}

static void serves_others(void)
{
    struct control other;
    assert_true(control_open(&other, cluster.name));
    control_do(&other, "put still well");
    json_t *answer = control_must(&other, "get still");
    assert_string_equal(json_text(answer, "output"), "well");
    json_decref(answer);
    control_close(&other);
}

/* Whatever a test's clients did. */
static void ends_well(void)
{
    serves_others();
    assert_int_equal(ringside_down(&cluster), 0);
}

/* ---- lines ---- */

#define LINE(text) text "\n", sizeof(text)
#define PEERS "(1..3, leader, follower, candidate, random, minority, majority, all, rest)"
static const struct line_row {
    const char *bytes;
    size_t length;
    const char *error; /* how it begins */
} line_rows[] = {
    { LINE(""), "column 1: expected a verb (kill, " },
    { LINE("   "), "column 1: expected a verb (kill, " },
    { LINE("bogus"), "column 1: expected a verb (kill, " },
    { LINE("KILL 1"), "column 1: expected a verb (kill, " },
    { LINE("at 2s kill 1"), "column 1: expected a verb (kill, " },
    { LINE("{\"verb\":\"kill\"}"), "column 1: expected a verb (kill, " },
    { LINE("kill"), "column 5: expected a peer " PEERS ", found the end of the line" },
    { LINE("kill 4"), "column 6: expected a peer " PEERS ", found '4'" },
    { LINE("kill 1 sometimes"), "column 8: " },
    { LINE("put key"), "column 8: expected a value, found the end of the line" },
    { LINE("put a b c"), "column 9: expected the end of the line, found 'c'" },
    { LINE("drop 200%"), "column 6: expected a percentage" },
    { LINE("delay 5ms..1ms"), "column 12: expected the longest delay of 5ms or more" },
    { LINE("load put clients 9"), "9 clients are asked for, this cluster has room for 4" },
    { LINE("restart 1"), "peer 1 is running; kill it first" },
    { LINE("resume 1"), "peer 1 is not paused" },
    { LINE("state"), "expected a peer (1..3), found ''" },
    { LINE("state 4"), "expected a peer (1..3), found '4'" },
    { LINE("state 1 2"), "expected the end of the line, found '2'" },
    { LINE("start 1"), "expected a command after the peer: start PEER COMMAND" },
    { LINE("start 0 x"), "expected a peer (1..3), found '0 x'" },
    { LINE("applied 1 0"), "expected an index, 1 or more: applied PEER FROM" },
    { LINE("applied 1 -1"), "expected an index, 1 or more: applied PEER FROM" },
    { LINE("applied 1 one"), "expected an index, 1 or more: applied PEER FROM" },
    { LINE("status all"), "expected the end of the line, found 'all'" },
    { LINE("subscribe all"), "expected the end of the line, found 'all'" },
    { LINE("down now"), "expected the end of the line, found 'now'" },
    { LINE("\xff\xfe\xfd"), "" },
    { LINE("sta\0tus"), "a line must not hold NUL bytes" },
    { LINE("status\0"), "a line must not hold NUL bytes" },
    { LINE("\0\0\0"), "a line must not hold NUL bytes" },
    { LINE("status\0\0more"), "a line must not hold NUL bytes" },
};

/* Refused with its reason, changes nothing, and the connection goes on. */
static void bad_lines_are_answered(void **unused)
{
    UNUSED(unused);
    for (size_t i = 0; i < COUNT(line_rows); i++) {
        const struct line_row *row = &line_rows[i];
        assert_true(control_send(control, row->bytes, row->length));
        json_t *answer = control_receive(control);
        assert_non_null(answer);
        if (json_flag(answer, "ok")) fail_msg("row %zu, '%s', is not refused", i, row->bytes);
        const char *error = json_text(answer, "error");
        if (strncmp(error, row->error, strlen(row->error)) != 0)
            fail_msg("'%s' is answered with: %s", row->bytes, error);
        json_decref(answer);
    }
    assert_int_equal(ringside_link_number(&cluster, 0, 0, "dropped_cut"), 0);
    ends_well();
}

/* Bytes come as they come. */
static void lines_in_pieces(void **unused)
{
    UNUSED(unused);
    static const char text[] = "put a 1\r\nget a\nstate 1\n";
    for (size_t i = 0; i < sizeof(text) - 1; i++) assert_true(control_send(control, &text[i], 1));
    json_t *put = control_receive(control), *get = control_receive(control);
    json_t *state = control_receive(control);
    assert_true(json_flag(put, "ok"));
    assert_string_equal(json_text(get, "output"), "1");
    assert_true(json_number(state, "term") >= 0);
    json_decref(put);
    json_decref(get);
    json_decref(state);
    assert_true(control_send(control, "down", 4)); /* half a line does nothing */
    control_close(control);
    assert_true(control_open(control, cluster.name));
    ends_well();
}

/* What is known at once waits for what is asked of the cluster before it. */
static void answers_keep_the_order(void **unused)
{
    UNUSED(unused);
    char lines[64 * 100];
    size_t used = 0;
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(lines + used, sizeof(lines) - used,
                                 "put k%d %d\nstate 1\nget k%d\nbogus\n", i, i, i);
    assert_true(control_send(control, lines, used));
    for (int i = 0; i < 100; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        json_t *put = control_receive(control), *state = control_receive(control);
        json_t *get = control_receive(control), *bogus = control_receive(control);
        assert_non_null(json_object_get(put, "index"));
        assert_non_null(json_object_get(state, "isLeader"));
        assert_string_equal(json_text(get, "output"), value);
        assert_non_null(json_object_get(bogus, "error"));
        json_decref(put);
        json_decref(state);
        json_decref(get);
        json_decref(bogus);
    }
    ends_well();
}

static void huge_lines(void **unused)
{
    UNUSED(unused);
    char *line = malloc(HUGE_LINE);
    assert_non_null(line);
    memset(line, 'x', HUGE_LINE);
    memcpy(line, "start 1 ", 8);
    line[LARGE_LINE - 1] = '\n';
    assert_true(control_send(control, line, LARGE_LINE));
    json_t *answer = control_receive(control);
    assert_string_equal(json_text(answer, "error"), "the entry is larger than 1 MiB");
    json_decref(answer);

    line[LARGE_LINE - 1] = 'x'; /* no end in sight */
    MAYBE(control_send(control, line, HUGE_LINE));
    control_send(control, line, HUGE_LINE);
    answer = control_receive(control);
    assert_string_equal(json_text(answer, "error"), "the line is longer than 8 MiB");
    json_decref(answer);
    assert_null(control_receive(control)); /* it was cut off */
    free(line);
    control_close(control);
    assert_true(control_open(control, cluster.name));
    ends_well();
}

/* Any bytes, in any pieces, from many clients. */
static void garbage(void **unused)
{
    UNUSED(unused);
    unsigned seed = 1;
    for (int client = 0; client < 50; client++) {
        struct control other;
        char bytes[4096];
        assert_true(control_open(&other, cluster.name));
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 1103515245 + 12345;
            bytes[i] = (char)(seed >> 16);
        }
        control_send(&other, bytes, sizeof(bytes));
        control_send(&other, "\nstate 1\n", 9);
        control_close(&other); /* without a look at the answers */
    }
    ends_well();
}

/* ---- many clients, rude clients ---- */

static void a_crowd(void **unused)
{
    UNUSED(unused);
    static struct control crowd[CROWD];
    int served = 0;
    for (size_t i = 0; i < CROWD; i++) {
        assert_true(control_open(&crowd[i], cluster.name));
        control_send(&crowd[i], "state 1\n", 8);
    }
    for (size_t i = 0; i < CROWD; i++) { /* those beyond the room see the end of the file */
        json_t *answer = control_receive(&crowd[i]);
        if (answer == NULL) continue;
        assert_true(json_flag(answer, "ok"));
        json_decref(answer);
        served++;
    }
    assert_in_range(served, CROWD_SERVED, CROWD);
    for (size_t i = 0; i < CROWD; i++) control_close(&crowd[i]);
    ends_well();
}

static void gone_before_the_answer(void **unused)
{
    UNUSED(unused);
    for (int i = 0; i < 200; i++) {
        struct control other;
        assert_true(control_open(&other, cluster.name));
        control_send(&other, "put a b\napplied 1 1\nget a\n", 26);
        control_close(&other);
    }
    ends_well();
}

/* Sending side closed: its answers still come. */
static void half_closed(void **unused)
{
    UNUSED(unused);
    assert_true(control_send(control, "put a b\nget a\n", 14));
    assert_int_equal(shutdown(control->fd, SHUT_WR), 0);
    json_t *put = control_receive(control), *get = control_receive(control);
    assert_true(json_flag(put, "ok"));
    assert_string_equal(json_text(get, "output"), "b");
    json_decref(put);
    json_decref(get);
    assert_null(control_receive(control));
    control_close(control);
    assert_true(control_open(control, cluster.name));
    ends_well();
}

static long resident_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    fclose(file);
    return kib;
}

/* It asks and asks and never reads: cut off when 64 MiB wait for it. */
static void a_client_that_does_not_read(void **unused)
{
    UNUSED(unused);
    struct control rude;
    char *lines = malloc(FLOOD * 7);
    assert_non_null(lines);
    for (size_t i = 0; i < FLOOD; i++) memcpy(lines + i * 7, "status\n", 7);
    long before = resident_kib(cluster.program.pid);
    assert_true(control_open(&rude, cluster.name));
    bool sent = true;
    for (int i = 0; i < 10 && sent; i++) sent = control_send(&rude, lines, FLOOD * 7);
    free(lines);
    assert_false(sent);
    assert_in_range(resident_kib(cluster.program.pid) - before, 1 << 10, BOUND_KIB);
    control_close(&rude);
    ends_well();
}

static void a_subscriber_that_does_not_read(void **unused)
{
    UNUSED(unused);
    struct control slow;
    assert_true(control_open(&slow, cluster.name));
    control_do(&slow, "subscribe");
    for (int i = 0; i < 2000; i++) control_do(control, "put a %d", i);
    serves_others();
    double last[4] = { 0 };
    for (int i = 0; i < 1000; i++) { /* late, but whole lines, and each peer's in order */
        json_t *event = control_receive(&slow);
        assert_non_null(event);
        double time = json_number_value(json_object_get(event, "time_ms"));
        long long peer = json_number(event, "peer");
        assert_in_range(peer, 0, 3);
        assert_true(time >= last[peer]);
        last[peer] = time;
        json_decref(event);
    }
    control_close(&slow);
    ends_well();
}

static void subscribers_see_transitions(void **unused)
{
    UNUSED(unused);
    struct control watcher;
    assert_true(control_open(&watcher, cluster.name));
    control_do(&watcher, "subscribe");
    control_do(control, "kill 2");
    for (bool seen = false; !seen;) {
        json_t *event = control_receive(&watcher);
        assert_non_null(event);
        seen = strcmp(json_text(event, "event"), "KILLED") == 0;
        if (seen) {
            assert_string_equal(json_text(event, "topic"), "fault");
            assert_int_equal(json_number(event, "other"), 2);
            assert_string_equal(json_text(event, "text"), "kills 2 (SIGKILL)");
        }
        json_decref(event);
    }
    control_close(&watcher);
    ends_well();
}

/* ---- what status tells ---- */

struct member {
    const char *key;
    json_type type;
};

static void check_members(json_t *object, const struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(object, members[i].key);
        if (value == NULL) fail_msg("'%s' is missing", members[i].key);
        json_type type = json_typeof(value);
        if (type == JSON_FALSE) type = JSON_TRUE;
        if (strcmp(members[i].key, "election_in_ms") == 0 && type == JSON_NULL)
            continue; /* leads */
        if (type != members[i].type) fail_msg("'%s' has another type", members[i].key);
    }
}

static void status_has_its_members(void **unused)
{
    UNUSED(unused);
    static const struct member top[] = { { "name", JSON_STRING },  { "peers", JSON_ARRAY },
                                         { "clock", JSON_OBJECT }, { "links", JSON_ARRAY },
                                         { "safe", JSON_TRUE },    { "ok", JSON_TRUE } };
    static const struct member of_peer[] = {
        { "id", JSON_INTEGER },           { "pid", JSON_INTEGER },
        { "alive", JSON_TRUE },           { "paused", JSON_TRUE },
        { "role", JSON_STRING },          { "term", JSON_INTEGER },
        { "voted_for", JSON_INTEGER },    { "leader", JSON_INTEGER },
        { "votes", JSON_ARRAY },          { "last_index", JSON_INTEGER },
        { "last_term", JSON_INTEGER },    { "commit_index", JSON_INTEGER },
        { "last_applied", JSON_INTEGER }, { "durable_index", JSON_INTEGER },
        { "election_in_ms", JSON_REAL },  { "next_index", JSON_OBJECT },
        { "match_index", JSON_OBJECT },
    };
    static const struct member of_link[] = {
        { "from", JSON_INTEGER },       { "to", JSON_INTEGER },        { "loss", JSON_REAL },
        { "delay_ms", JSON_ARRAY },     { "cut", JSON_TRUE },          { "sent", JSON_INTEGER },
        { "sent_bytes", JSON_INTEGER }, { "delivered", JSON_INTEGER }, { "dropped", JSON_INTEGER },
        { "duplicated", JSON_INTEGER }, { "queued", JSON_INTEGER },    { "requests", JSON_INTEGER },
    };
    for (int i = 0; i < 5; i++) control_do(control, "put a %d", i);
    control_do(control, "drop 5%% delay 1ms..20ms on 1 > 2");
    control_do(control, "cut 2 > 3");
    control_do(control, "rate 0.5");
    json_t *status = control_must(control, "status"), *link = status_link(status, 1, 2);
    check_members(status, top, COUNT(top));
    assert_string_equal(json_text(status, "name"), cluster.name);
    assert_int_equal(json_array_size(json_object_get(status, "peers")), 3);
    assert_int_equal(json_array_size(json_object_get(status, "links")), 6);
    for (uint32_t id = 1; id <= 3; id++)
        check_members(status_peer(status, id), of_peer, COUNT(of_peer));
    check_members(link, of_link, COUNT(of_link));
    assert_true(json_real_value(json_object_get(link, "loss")) == 0.05);
    json_t *delay = json_object_get(link, "delay_ms");
    assert_true(json_number_value(json_array_get(delay, 0)) == 1);
    assert_true(json_number_value(json_array_get(delay, 1)) == 20);
    assert_false(json_flag(link, "cut"));
    assert_true(json_flag(status_link(status, 2, 3), "cut"));
    json_t *rate = json_object_get(json_object_get(status, "clock"), "rate");
    assert_true(json_number_value(rate) == 0.5);
    json_decref(status);
    control_do(control, "rate 1");
    control_do(control, "heal");
    ends_well();
}

/* A leader knows next_index and match_index of each follower, by its number as text. */
static void status_of_a_leader(void **unused)
{
    UNUSED(unused);
    control_do(control, "put a b");
    uint32_t leader = ringside_leader(&cluster, 0);
    assert_int_not_equal(leader, 0);
    json_t *status = control_must(control, "status"), *peer = status_peer(status, leader);
    assert_int_equal(json_object_size(json_object_get(peer, "next_index")), 2);
    for (uint32_t id = 1; id <= 3; id++) {
        char key[8];
        snprintf(key, sizeof(key), "%u", id);
        if (id == leader) continue;
        assert_true(json_number(json_object_get(peer, "next_index"), key) >= 1);
        assert_true(json_number(json_object_get(peer, "match_index"), key) >= 0);
        assert_int_equal(json_object_size(json_object_get(status_peer(status, id), "next_index")),
                         0);
    }
    assert_true(json_array_size(json_object_get(peer, "votes")) >= 2);
    json_decref(status);
    ends_well();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_cluster, close_cluster)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_lines_are_answered),
        TEST(lines_in_pieces),
        TEST(answers_keep_the_order),
        TEST(huge_lines),
        TEST(garbage),
        TEST(a_crowd),
        TEST(gone_before_the_answer),
        TEST(half_closed),
        TEST(a_client_that_does_not_read),
        TEST(a_subscriber_that_does_not_read),
        TEST(subscribers_see_transitions),
        TEST(status_has_its_members),
        TEST(status_of_a_leader),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
