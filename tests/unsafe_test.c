/* tests/unsafe_test.c - a running cluster that breaks its promises: a peer loses its disk and
 * comes back without the terms that it had seen. All peers stand still at that instant, the status
 * says why, and what happens then is up to the person. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ringside cluster;

static int open_cluster(void **state)
{
    const char *words[] = { "--preset", "fast", "--data", NULL, NULL };
    UNUSED(state);
    arena_open();
    memset(&cluster, 0, sizeof(cluster));
    words[3] = arena_path("data");
    ringside_up(&cluster, 3, words);
    return 0;
}

static int close_cluster(void **state)
{
    UNUSED(state);
    ringside_close(&cluster);
    return arena_close();
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
    UNUSED(stat);
    UNUSED(kind);
    UNUSED(ftw);
    return remove(path);
}

/* It had a term, a vote and a log, and has none of them any more. */
static void lose_disk(uint32_t id)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/peer-%u", arena_path("data"), id);
    control_do(&cluster.control, "kill %u", id);
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    control_do(&cluster.control, "restart %u", id);
}

static bool is_safe(void)
{
    json_t *status = control_must(&cluster.control, "status");
    bool safe = json_flag(status, "safe");
    json_decref(status);
    return safe;
}

static bool all_paused(void)
{
    for (uint32_t id = 1; id <= 3; id++)
        if (!ringside_peer_flag(&cluster, id, "paused")) return false;
    return true;
}

/* The violation as the status tells it. */
static void told(const char *invariant, const char *part)
{
    json_t *status = control_must(&cluster.control, "status");
    json_t *violation = json_object_get(status, "violation");
    assert_false(json_flag(status, "safe"));
    assert_string_equal(json_text(violation, "invariant"), invariant);
    if (strstr(json_text(violation, "text"), part) == NULL)
        fail_msg("no '%s' in '%s'", part, json_text(violation, "text"));
    json_decref(status);
}

static void prints(const char *const *words, const char *part)
{
    struct program program;
    program_start(&program, words);
    assert_int_equal(program_wait(&program), 0);
    char *out = program_text(program.out);
    if (strstr(out, part) == NULL) fail_msg("no '%s' in:\n%s", part, out);
    free(out);
    program_close(&program);
}

static void a_violation_freezes_all(void **state)
{
    UNUSED(state);
    const char *status[] = { "status", "--name", cluster.name, NULL };
    const char *dump[] = { "watch", "--dump", "--name", cluster.name, NULL };
    char part[64];
    WAIT_UNTIL(ringside_leader(&cluster, 0) != 0);
    control_do(&cluster.control, "put a b");
    json_t *whole = control_must(&cluster.control, "status");
    assert_true(json_flag(whole, "safe"));
    assert_true(json_is_null(json_object_get(whole, "violation")));
    json_decref(whole);
    uint32_t lost = ringside_leader(&cluster, 0) % 3 + 1;
    lose_disk(lost);
    WAIT_UNTIL(!is_safe());
    assert_true(all_paused());
    snprintf(part, sizeof(part), "peer %u was in term ", lost);
    told("TM", part);
    prints(status, "SAFETY BROKEN");
    prints(status, "TM: peer ");
    prints(dump, "UNSAFE");
    control_do(&cluster.control, "resume all"); /* they may go on, and it is not forgotten */
    WAIT_UNTIL(ringside_leader(&cluster, 0) != 0);
    control_do(&cluster.control, "put c d");
    assert_false(all_paused());
    told("TM", part);
    assert_int_equal(ringside_down(&cluster), 3);
    char *err = program_text(cluster.program.err);
    assert_non_null(strstr(err, "safety was broken: TM: peer "));
    free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_violation_freezes_all, open_cluster, close_cluster),
    };
    return cmocka_run_group_tests_name("unsafe", tests, NULL, NULL);
}
