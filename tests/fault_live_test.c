/* tests/fault_live_test.c - faults that only an operating system does, on real processes:
 * whatever happens, what was acknowledged stays, commits go on while a majority can, and
 * afterwards all logs are equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUTS_MAX = 4096, ROUNDS = 6, FLOOD = 2000, LARGE = 1 << 20 };

struct scene {
    struct ringside ringside;
    struct control *control; /* of ringside */
    uint32_t puts;           /* each to a key of its own, which no load uses: own-0, ... */
    bool acknowledged[PUTS_MAX];
};
struct row {
    const char *name;
    uint32_t peers;
    void (*run)(struct scene *scene, const struct row *row);
    const char *who, *point; /* kill points only */
};

/* ---- writing, and what must be there afterwards ---- */

static bool put_one(struct scene *scene)
{
    assert_in_range(scene->puts, 0, PUTS_MAX - 1);
    uint32_t number = scene->puts++;
    json_t *answer = control_ask(scene->control, "put own-%u v%u", number, number);
    scene->acknowledged[number] = json_flag(answer, "ok");
    if (!scene->acknowledged[number])
        assert_non_null(json_object_get(answer, "status")); /* fail, unknown */
    json_decref(answer);
    return scene->acknowledged[number];
}

static void put_some(struct scene *scene, uint32_t count)
{
    for (uint32_t done = 0; done < count;) done += put_one(scene);
}

/* The first that was acknowledged and is lost, or that reads as another; `puts`: none. */
static uint32_t first_lost(struct scene *scene)
{
    uint32_t number = 0;
    for (bool well = true; number < scene->puts; number++) {
        char value[16];
        snprintf(value, sizeof(value), "v%u", number);
        json_t *answer = control_must(scene->control, "get own-%u", number);
        json_t *output = json_object_get(answer, "output");
        if (json_is_string(output)) well = strcmp(json_string_value(output), value) == 0;
        else well = !scene->acknowledged[number];
        json_decref(answer);
        if (!well) break;
    }
    return number;
}

static void check_puts(struct scene *scene)
{
    uint32_t lost = first_lost(scene);
    if (lost < scene->puts) fail_msg("own-%u was acknowledged and is lost", lost);
}

/* ---- peace: all logs equal ---- */

/* All run, follow one leader in one term, and have applied and stored the same whole log. */
static bool settled(struct scene *scene)
{
    json_t *status = control_must(scene->control, "status"), *first = status_peer(status, 1);
    bool well = json_number(first, "leader") != 0;
    for (uint32_t id = 1; id <= scene->ringside.peers && well; id++) {
        json_t *peer = status_peer(status, id);
        long long last = json_number(first, "last_index");
        well = json_flag(peer, "alive") && !json_flag(peer, "paused");
        well = well && json_number(peer, "term") == json_number(first, "term");
        well = well && json_number(peer, "leader") == json_number(first, "leader");
        well = well && json_number(peer, "last_index") == last &&
               json_number(peer, "durable_index") == last;
        well = well && json_number(peer, "commit_index") == last &&
               json_number(peer, "last_applied") == last;
    }
    json_decref(status);
    return well;
}

/* What `id` has applied from `from` on, as much as one answer takes. */
static json_t *applied(struct scene *scene, uint32_t id, size_t from)
{
    json_t *answer = control_must(scene->control, "applied %u %zu", id, from);
    json_t *list = json_incref(json_object_get(answer, "applied"));
    json_decref(answer);
    return list;
}

/* Place of the first entry in which two lists differ, as far as both go; their length when none
 * does. */
static size_t first_difference(json_t *ours, json_t *theirs)
{
    size_t both = MIN_OF(json_array_size(ours), json_array_size(theirs)), i = 0;
    while (i < both && json_equal(json_array_get(ours, i), json_array_get(theirs, i))) i++;
    return i < both ? i : json_array_size(ours);
}

/* Logs of one length (settled): piece by piece, each as long as the first peer's answer. */
static void check_logs_equal(struct scene *scene)
{
    for (size_t from = 1, count = 1; count > 0; from += count) {
        json_t *ours = applied(scene, 1, from);
        count = json_array_size(ours);
        for (uint32_t id = 2; id <= scene->ringside.peers; id++) {
            json_t *theirs = applied(scene, id, from);
            size_t differs = first_difference(ours, theirs);
            if (differs < count)
                fail_msg("logs of 1 and %u differ at index %zu", id, from + differs);
            count = MIN_OF(count, json_array_size(theirs));
            assert_true(count > 0 || json_array_size(ours) == 0);
            json_decref(theirs);
        }
        json_decref(ours);
    }
}

/* How every test ends. A new entry commits what an earlier term has left [R §5.4.2]. */
static void check_peace(struct scene *scene)
{
    put_some(scene, 1);
    check_puts(scene);
    WAIT_UNTIL(settled(scene));
    check_logs_equal(scene);
    json_t *status = control_must(scene->control, "status");
    assert_true(json_flag(status, "safe"));
    json_decref(status);
}

/* ---- looking ---- */

static uint32_t wait_leader(struct scene *scene, uint32_t not_this)
{
    uint32_t leader = 0;
    WAIT_UNTIL((leader = ringside_leader(&scene->ringside, not_this)) != 0);
    return leader;
}

static uint32_t other_than(uint32_t a, uint32_t b)
{
    uint32_t id = 1;
    while (id == a || id == b) id++;
    return id;
}

static bool role_is(struct scene *scene, uint32_t id, const char *role)
{
    json_t *status = control_must(scene->control, "status");
    bool is = strcmp(json_text(status_peer(status, id), "role"), role) == 0;
    json_decref(status);
    return is;
}

static long long dropped_full(struct scene *scene, uint32_t from, uint32_t to)
{
    return ringside_link_number(&scene->ringside, from, to, "dropped_full");
}

static bool alive(struct scene *scene, uint32_t id)
{
    return ringside_peer_flag(&scene->ringside, id, "alive");
}

/* ---- paused peers and full rings ---- */

/* Let `id`, which `other` cannot hear, stand for election so often that its vote requests fill
 * the ring of a stopped peer. */
static void fill_by_votes(struct scene *scene, uint32_t id, uint32_t other, uint32_t stopped)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&lines, &size);
    CHECK(stream != NULL);
    for (int i = 0; i < FLOOD; i++) fprintf(stream, "timeout %u\n", id);
    fclose(stream);
    control_do(scene->control, "timeout %u", other); /* a leader would not stand */
    WAIT_UNTIL(role_is(scene, other, "leader"));
    control_do(scene->control, "partition %u | %u", id, other);
    for (int tries = 0; dropped_full(scene, id, stopped) == 0; tries++) {
        if (tries == 200) fail_msg("the ring of the stopped peer does not fill");
        assert_true(control_send(scene->control, lines, size));
        for (int i = 0; i < FLOOD; i++) json_decref(control_receive(scene->control));
    }
    control_do(scene->control, "heal");
    free(lines);
}

/* The old pitfall: a candidate that waits for a dead leader's answer keeps splitting the vote. */
static void stopped_leader_with_full_rings(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    uint32_t old = wait_leader(scene, 0), one = other_than(old, old), two = other_than(old, one);
    put_some(scene, 10);
    control_do(scene->control, "pause %u", old);
    wait_leader(scene, old);
    put_some(scene, 10);
    fill_by_votes(scene, one, two, old);
    fill_by_votes(scene, two, one, old);

    for (int round = 0; round < ROUNDS; round++) {
        uint32_t next = round % 2 == 0 ? one : two;
        long long before = dropped_full(scene, next, old);
        control_do(scene->control, "timeout %u", next);
        WAIT_UNTIL(dropped_full(scene, next, old) > before); /* it stands, and its ring is full */
        wait_leader(scene, old);
        put_some(scene, 5);
    }
    control_do(scene->control, "resume %u", old);
    WAIT_UNTIL(role_is(scene, old, "follower"));
    check_peace(scene);
}

/* Entries of 1 MiB: four fill a ring. What was dropped has to be sent again later. */
static void stopped_follower_with_full_ring(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    uint32_t leader = wait_leader(scene, 0), stopped = other_than(leader, leader);
    put_some(scene, 3);
    control_do(scene->control, "pause %u", stopped);
    char *large = malloc(LARGE + 1);
    CHECK(large != NULL);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    for (int i = 0; i < 8; i++) {
        json_t *answer = control_must(scene->control, "start %u %s", leader, large);
        assert_true(json_flag(answer, "isLeader"));
        json_decref(answer);
    }
    free(large);
    WAIT_UNTIL(dropped_full(scene, leader, stopped) > 0);
    put_some(scene, 20);
    assert_int_equal(wait_leader(scene, 0), leader);
    control_do(scene->control, "resume %u", stopped);
    check_peace(scene);
}

static void leader_paused_and_resumed(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    for (int round = 0; round < ROUNDS; round++) {
        put_some(scene, 10);
        uint32_t old = wait_leader(scene, 0);
        control_do(scene->control, "pause %u", old);
        assert_true(ringside_peer_flag(&scene->ringside, old, "paused"));
        put_some(scene, 10); /* needs a new leader */
        control_do(scene->control, "resume %u", old);
        WAIT_UNTIL(role_is(scene, old, "follower"));
    }
    check_peace(scene);
}

/* ---- killed peers ---- */

static void killed_under_load(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    control_do(scene->control, "load put+get+append+cas+del 400/s keys 8 clients 2");
    for (int round = 0; round < ROUNDS; round++) {
        put_some(scene, 20);
        uint32_t first = wait_leader(scene, 0), second = other_than(first, first);
        control_do(scene->control, round % 2 == 0 ? "kill %u" : "kill %u 5", first);
        put_some(scene, 20);
        if (alive(scene, second))
            control_do(scene->control, "kill %u", second); /* 3 of 5 are left, or 2 */
        control_do(scene->control, "restart all");
        assert_true(alive(scene, first));
    }
    control_do(scene->control, "load off");
    check_peace(scene);
}

/* A named point of the turn: the peer kills itself there, and what it had promised must hold. */
static void killed_at_point(struct scene *scene, const struct row *row)
{
    for (int round = 0; round < 3; round++) {
        put_some(scene, 5);
        uint32_t victim = wait_leader(scene, 0);
        if (strcmp(row->who, "follower") == 0) victim = other_than(victim, victim);
        control_do(scene->control, "kill %u %s", victim, row->point);
        WAIT_UNTIL((put_one(scene), !alive(scene, victim)));
        put_some(scene, 5);
        control_do(scene->control, "restart %u", victim);
    }
    check_peace(scene);
}

static void all_killed_at_once(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    for (int round = 0; round < ROUNDS; round++) {
        put_some(scene, 10);
        control_do(scene->control, "kill all");
        control_do(scene->control, "restart all");
    }
    check_peace(scene);
}

/* ---- links ---- */

static void bad_network(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    control_do(scene->control, "drop 10%% delay 1ms..20ms dup 5%% reorder 50%% on all");
    put_some(scene, 100);
    struct ringside *ringside = &scene->ringside;
    WAIT_UNTIL((put_one(scene), ringside_link_number(ringside, 0, 0, "dropped_loss") > 0));
    WAIT_UNTIL((put_one(scene), ringside_link_number(ringside, 0, 0, "duplicated") > 0));
    WAIT_UNTIL((put_one(scene), ringside_link_number(ringside, 0, 0, "delayed") > 0));
    control_do(scene->control, "heal");
    check_peace(scene);
}

/* Replies two seconds late, and a leader all the same: it hears of its requests in time. */
static void course_network(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    struct ringside *ringside = &scene->ringside;
    control_do(scene->control, "unreliable long");
    json_t *status = control_must(scene->control, "status");
    assert_string_equal(json_text(status_link(status, 1, 2), "unreliable"), "long");
    json_decref(status);
    put_some(scene, 20);
    WAIT_UNTIL((put_one(scene), ringside_link_number(ringside, 0, 0, "dropped_loss") > 0));
    WAIT_UNTIL((put_one(scene), ringside_link_number(ringside, 0, 0, "delayed") > 0));
    control_do(scene->control, "unreliable off");
    status = control_must(scene->control, "status");
    assert_string_equal(json_text(status_link(status, 1, 2), "unreliable"), "off");
    json_decref(status);
    check_peace(scene);
}

static void corrupted_messages(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    control_do(scene->control, "corrupt 10%% on all");
    put_some(scene, 100);
    WAIT_UNTIL(
        (put_one(scene), ringside_link_number(&scene->ringside, 0, 0, "dropped_corrupt") >= 10));
    control_do(scene->control, "heal");
    check_peace(scene);
}

/* One way: the leader hears nobody, everybody hears it. Then the other way round. */
static void one_way_cuts(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    uint32_t old = wait_leader(scene, 0);
    put_some(scene, 5);
    control_do(scene->control, "cut %u > all", old);
    put_some(scene, 5); /* the others elect a leader; it takes one step to find it */
    assert_int_not_equal(wait_leader(scene, old), 0);
    control_do(scene->control, "heal");
    WAIT_UNTIL(role_is(scene, old, "follower"));
    check_peace(scene);
}

/* ---- disks ---- */

static void follower_disk_full(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    uint32_t leader = wait_leader(scene, 0), victim = other_than(leader, leader);
    put_some(scene, 5);
    control_do(scene->control, "fail-disk enospc on %u", victim);
    WAIT_UNTIL((put_one(scene), ringside_peer_number(&scene->ringside, victim, "disk_errno") != 0));
    long long durable = ringside_peer_number(&scene->ringside, victim, "durable_index");
    put_some(scene, 20);
    assert_int_equal(ringside_peer_number(&scene->ringside, victim, "durable_index"), durable);
    assert_true(alive(scene, victim));
    control_do(scene->control, "fail-disk off on %u", victim);
    WAIT_UNTIL(ringside_peer_number(&scene->ringside, victim, "disk_errno") == 0);
    check_peace(scene);
}

static void leader_disk_full(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    uint32_t old = wait_leader(scene, 0);
    put_some(scene, 5);
    control_do(scene->control, "fail-disk enospc on %u", old);
    put_some(scene, 20); /* a leader that cannot write stops promising: another one is elected */
    assert_int_not_equal(wait_leader(scene, old), 0);
    assert_true(alive(scene, old));
    control_do(scene->control, "fail-disk off on %u", old);
    WAIT_UNTIL(ringside_peer_number(&scene->ringside, old, "disk_errno") == 0);
    WAIT_UNTIL(role_is(scene, old, "follower"));
    check_peace(scene);
}

static void slow_disks(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    uint32_t leader = wait_leader(scene, 0);
    control_do(scene->control, "slow-disk 60ms on %u", other_than(leader, leader));
    put_some(scene, 20); /* the fast follower is majority enough */
    control_do(scene->control, "slow-disk 20ms on all");
    put_some(scene, 20);
    control_do(scene->control, "slow-disk 0ms on all");
    check_peace(scene);
}

/* ---- clocks ---- */

static void skewed_clocks(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    put_some(scene, 5);
    uint32_t leader = wait_leader(scene, 0), fast = other_than(leader, leader);
    control_do(scene->control, "skew +20%% on %u", leader);
    control_do(scene->control, "skew -20%% on %u", other_than(leader, fast));
    put_some(scene, 20);
    long long term = ringside_peer_number(&scene->ringside, fast, "term");
    control_do(scene->control, "skew +900%% on %u",
               fast); /* its timer runs out between two heartbeats */
    WAIT_UNTIL(ringside_peer_number(&scene->ringside, fast, "term") > term);
    control_do(scene->control, "skew 0%% on all");
    check_peace(scene);
}

/* ---- the checks ---- */

static void planted_losses_are_found(struct scene *scene, const struct row *row)
{
    UNUSED(row);
    put_some(scene, 5);
    assert_int_equal(first_lost(scene), scene->puts);
    scene->acknowledged[scene->puts++] = true; /* never written */
    assert_int_equal(first_lost(scene), scene->puts - 1);
    control_do(scene->control, "put own-2 of-another-mind");
    assert_int_equal(first_lost(scene), 2);
    control_do(scene->control, "del own-1");
    assert_int_equal(first_lost(scene), 1);

    json_t *ours = json_pack("[s,s,s]", "a", "b", "c"), *shorter = json_pack("[s,s]", "a", "b");
    json_t *other = json_pack("[s,s,s]", "a", "x", "c");
    assert_int_equal(first_difference(ours, shorter), 3);
    assert_int_equal(first_difference(ours, other), 1);
    json_decref(ours);
    json_decref(shorter);
    json_decref(other);
    WAIT_UNTIL(settled(scene));
    uint32_t leader = wait_leader(scene, 0), follower = other_than(leader, leader);
    control_do(scene->control, "isolate %u", follower);
    put_some(scene, 1);
    assert_false(settled(scene));
    control_do(scene->control, "kill %u", follower);
    assert_false(settled(scene));
}

/* ---- the program ---- */

static const struct row rows[] = {
    { "the leader stops and its rings are full", 3, stopped_leader_with_full_rings, NULL, NULL },
    { "a follower stops and its ring is full", 3, stopped_follower_with_full_ring, NULL, NULL },
    { "a leader is paused and comes back as follower", 3, leader_paused_and_resumed, NULL, NULL },
    { "kill -9 under load", 5, killed_under_load, NULL, NULL },
    { "all are killed at once", 3, all_killed_at_once, NULL, NULL },
    { "leader killed before-send", 3, killed_at_point, "leader", "before-send" },
    { "leader killed before-commit", 3, killed_at_point, "leader", "before-commit" },
    { "leader killed after-commit", 3, killed_at_point, "leader", "after-commit" },
    { "leader killed after-send", 3, killed_at_point, "leader", "after-send" },
    { "follower killed before-send", 3, killed_at_point, "follower", "before-send" },
    { "follower killed before-commit", 3, killed_at_point, "follower", "before-commit" },
    { "follower killed after-commit", 3, killed_at_point, "follower", "after-commit" },
    { "follower killed after-send", 3, killed_at_point, "follower", "after-send" },
    { "loss, delay, duplicates, reordering", 5, bad_network, NULL, NULL },
    { "the course's network", 5, course_network, NULL, NULL },
    { "corrupted messages are dropped", 3, corrupted_messages, NULL, NULL },
    { "a leader that nobody hears", 3, one_way_cuts, NULL, NULL },
    { "a follower's disk is full", 3, follower_disk_full, NULL, NULL },
    { "the leader's disk is full", 3, leader_disk_full, NULL, NULL },
    { "slow disks", 3, slow_disks, NULL, NULL },
    { "skewed clocks", 3, skewed_clocks, NULL, NULL },
    { "planted losses are found", 3, planted_losses_are_found, NULL, NULL },
};
static struct scene scene;
static const struct row *current;

static int scene_open(void **state)
{
    static const char *const words[] = { "--preset", "lab", NULL };
    current = *state;
    arena_open();
    memset(&scene, 0, sizeof(scene));
    scene.control = &scene.ringside.control;
    ringside_up(&scene.ringside, current->peers, words);
    return 0;
}

static int scene_close(void **state)
{
    UNUSED(state);
    ringside_close(&scene.ringside);
    return arena_close();
}

static void scene_run(void **state)
{
    UNUSED(state);
    current->run(&scene, current);
    assert_int_equal(ringside_down(&scene.ringside), 0);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[COUNT(rows)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){ .name = rows[i].name,
                                        .test_func = scene_run,
                                        .setup_func = scene_open,
                                        .teardown_func = scene_close,
                                        .initial_state = (void *)(uintptr_t)&rows[i] };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault live", tests, NULL, NULL);
}
