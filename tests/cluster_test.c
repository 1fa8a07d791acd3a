/* tests/cluster_test.c - a cluster as a whole: it starts, it ends in every way there is, and
 * nothing of it is left; names, sizes, data that outlives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PUTS = 20, STARTS = 20 };

static struct ringside cluster, second;

static int open_arena(void **state)
{
    UNUSED(state);
    arena_open();
    memset(&cluster, 0, sizeof(cluster));
    memset(&second, 0, sizeof(second));
    return 0;
}

/* Nothing may be left: the heart of this file. */
static int close_arena(void **state)
{
    UNUSED(state);
    ringside_close(&cluster);
    ringside_close(&second);
    return arena_close();
}

static void put_some(struct ringside *ringside)
{
    for (int i = 0; i < PUTS; i++) control_do(&ringside->control, "put key%d value%d", i, i);
}

static void check_puts(struct ringside *ringside)
{
    for (int i = 0; i < PUTS; i++) {
        char value[24];
        snprintf(value, sizeof(value), "value%d", i);
        json_t *answer = control_must(&ringside->control, "get key%d", i);
        assert_string_equal(json_text(answer, "output"), value);
        json_decref(answer);
    }
}

/* ---- all ways to end ---- */

static pid_t peer_pid(struct ringside *ringside, uint32_t id)
{
    return (pid_t)ringside_peer_number(ringside, id, "pid");
}

static void end_by_down(void)
{
    assert_int_equal(ringside_down(&cluster), 0);
}

static void end_by_signal(int number, int code)
{
    assert_int_equal(kill(cluster.program.pid, number), 0);
    assert_int_equal(program_wait(&cluster.program), code);
}

static void end_by_interrupt(void)
{
    end_by_signal(SIGINT, 0);
}

static void end_by_termination(void)
{
    end_by_signal(SIGTERM, 0);
}

static void end_by_hangup(void)
{
    end_by_signal(SIGHUP, 0);
}

static void end_by_kill(void)
{
    end_by_signal(SIGKILL, -SIGKILL);
}

/* By hand, not by the verb: the supervisor finds it dead, and the others go on. */
static void end_after_peers_death(void)
{
    control_do(&cluster.control, "restart 5"); /* three of five are a majority */
    assert_int_equal(kill(peer_pid(&cluster, 2), SIGKILL), 0);
    WAIT_UNTIL(!ringside_peer_flag(&cluster, 2, "alive"));
    control_do(&cluster.control, "put after death");
    end_by_down();
}

static pid_t janitor(void)
{
    pid_t pid = process_child(cluster.program.pid, "ringside-janito");
    assert_int_not_equal(pid, 0);
    return pid;
}

static void end_after_janitors_death(void)
{
    assert_int_equal(kill(janitor(), SIGKILL), 0);
    end_by_down();
}

/* A signal meant for everybody does not keep the janitor from its work. */
static void end_with_signalled_janitor(void)
{
    assert_int_equal(kill(janitor(), SIGTERM), 0);
    assert_int_equal(kill(janitor(), SIGHUP), 0);
    end_by_kill();
}

static struct ending {
    const char *name;
    void (*end)(void);
} endings[] = {
    { "nothing is left after down", end_by_down },
    { "nothing is left after SIGINT", end_by_interrupt },
    { "nothing is left after SIGTERM", end_by_termination },
    { "nothing is left after SIGHUP", end_by_hangup },
    { "nothing is left after SIGKILL", end_by_kill },
    { "nothing is left after a peer's SIGKILL", end_after_peers_death },
    { "nothing is left after the janitor's SIGKILL", end_after_janitors_death },
    { "nothing is left after SIGKILL with a signalled janitor", end_with_signalled_janitor },
};

/* With clients at work, a peer stopped, one dead and a message held back: the worst moment. */
static void nothing_is_left(void **state)
{
    const struct ending *ending = *state;
    static const char *const words[] = { "--preset", "lab", NULL };
    arena_open();
    ringside_up(&cluster, 5, words);
    control_do(&cluster.control, "put a b");
    control_do(&cluster.control, "load put+get 200/s clients 2");
    control_do(&cluster.control, "delay 10ms..50ms on 3 > 4");
    control_do(&cluster.control, "pause 4");
    control_do(&cluster.control, "kill 5");
    assert_false(arena_is_empty(getenv("XDG_RUNTIME_DIR")));
    assert_true(arena_is_empty(getenv("TMPDIR"))); /* also while it runs: files have no names */
    ending->end();
}

static int forget(void **state)
{
    UNUSED(state);
    memset(&cluster, 0, sizeof(cluster));
    return 0;
}

/* The check itself must find what is left. */
static void what_is_left_is_found(void **unused)
{
    UNUSED(unused);
    char path[256];
    snprintf(path, sizeof(path), "%s/forgotten", getenv("TMPDIR"));
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_false(arena_is_empty(getenv("TMPDIR")));
    pid_t child = fork();
    if (child == 0) { /* an orphan, two generations down */
        if (fork() == 0) pause();
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(arena_children(), 1); /* the adopted one */
    assert_int_equal(arena_end(0), 2);
}

/* A start that is broken off at any moment. */
static void a_broken_start_leaves_nothing(void **unused)
{
    UNUSED(unused);
    static const char *const words[] = { "up", "--headless", "--name", "broken", "-n", "5", NULL };
    for (int i = 0; i < STARTS; i++) {
        struct timespec while_it_starts = { 0, i * 1000000 };
        program_start(&cluster.program, words);
        nanosleep(&while_it_starts, NULL);
        kill(cluster.program.pid, SIGTERM);
        int code = program_wait(&cluster.program);
        assert_true(code == 0 || code == -SIGTERM);
        program_close(&cluster.program);
        WAIT_UNTIL(arena_children() == 0);
        assert_true(arena_is_empty(getenv("XDG_RUNTIME_DIR")));
    }
}

static void it_ends_by_itself(void **unused)
{
    UNUSED(unused);
    static const char *const words[] = { "up", "--headless", "--name", "short", "-n",
                                         "3",  "--for",      "50ms",   NULL };
    program_start(&cluster.program, words);
    assert_int_equal(program_wait(&cluster.program), 0);
}

/* ---- sizes ---- */

static uint32_t sizes[] = { 1, 2, 4, 63 };

static void cluster_of_any_size(void **state)
{
    static const char *const words[] = { "--preset", "lab", NULL };
    const uint32_t *size = *state;
    arena_open();
    ringside_up(&cluster, *size, words);
    put_some(&cluster);
    check_puts(&cluster);
    if (*size > 2) {
        WAIT_UNTIL(ringside_leader(&cluster, 0) != 0);
        control_do(&cluster.control, "kill leader");
        control_do(&cluster.control, "put again and-again");
        check_puts(&cluster);
    }
    assert_int_equal(ringside_down(&cluster), 0);
}

/* ---- names ---- */

static void two_side_by_side(void **unused)
{
    UNUSED(unused);
    static const char *const fast[] = { "--preset", "fast", NULL };
    ringside_up(&cluster, 3, fast);
    ringside_up(&second, 3, fast);
    control_do(&cluster.control, "put key first");
    control_do(&second.control, "put key second");
    json_t *answer = control_must(&cluster.control, "get key");
    assert_string_equal(json_text(answer, "output"), "first");
    json_decref(answer);
    assert_int_equal(ringside_down(&cluster), 0);
    answer = control_must(&second.control, "get key");
    assert_string_equal(json_text(answer, "output"), "second");
    json_decref(answer);
    assert_int_equal(ringside_down(&second), 0);
}

static void refused(const char *const *words, const char *line)
{
    struct program program;
    program_start(&program, words);
    int code = program_wait(&program);
    char *text = program_text(program.err), *out = program_text(program.out);
    program_close(&program);
    assert_string_equal(text, line);
    assert_string_equal(out, "");
    assert_int_equal(code, 1);
    free(text);
    free(out);
}

/* `text` with its %s replaced. */
static void replace(char *to, size_t size, const char *text, const char *by)
{
    const char *at = strstr(text, "%s");
    assert_non_null(at);
    snprintf(to, size, "%.*s%s%s", (int)(at - text), text, by, at + 2);
}

static void a_name_is_taken_once(void **unused)
{
    UNUSED(unused);
    char line[256];
    ringside_up(&cluster, 3, NULL);
    const char *const words[] = { "up", "--headless", "--name", cluster.name, NULL };
    snprintf(line, sizeof(line),
             "ringside up: a cluster '%s' is running already; use another --name, or: ringside "
             "down %s\n",
             cluster.name, cluster.name);
    refused(words, line);
    control_do(&cluster.control, "put still here");
    assert_int_equal(ringside_down(&cluster), 0);
}

/* Several at the same moment: one gets the name, the others are told. */
static size_t count_ended(const struct program *programs, size_t count)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) ended += program_ended(&programs[i]);
    return ended;
}

static void one_of_many_gets_the_name(void **unused)
{
    UNUSED(unused);
    static const char *const words[] = { "up", "--headless", "--name", "same", "-n",
                                         "1",  "--preset",   "fast",   NULL };
    struct program programs[4];
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < COUNT(programs); i++) program_start(&programs[i], words);
        WAIT_UNTIL(count_ended(programs, COUNT(programs)) == COUNT(programs) - 1);
        assert_true(control_open(&cluster.control, "same"));
        control_do(&cluster.control, "put a b");
        control_do(&cluster.control, "down");
        control_close(&cluster.control);
        int refused = 0, well = 0;
        for (size_t i = 0; i < COUNT(programs); i++) {
            int code = program_wait(&programs[i]);
            refused += code == 1;
            well += code == 0;
            program_close(&programs[i]);
        }
        assert_int_equal(well, 1);
        assert_int_equal(refused, COUNT(programs) - 1);
    }
}

/* What a dead cluster left is taken over, whoever wins the race with its janitor. */
static void a_stale_name_is_taken_over(void **unused)
{
    UNUSED(unused);
    static const char *const words[] = { "up", "--headless", "--name", "stale", "-n",
                                         "3",  "--preset",   "fast",   NULL };
    program_start(&cluster.program, words);
    WAIT_UNTIL(control_open(&cluster.control, "stale"));
    control_do(&cluster.control, "put first round");
    for (int round = 0; round < 10; round++) {
        control_close(&cluster.control);
        kill(cluster.program.pid, SIGKILL);
        program_wait(&cluster.program);
        program_close(&cluster.program);
        program_start(&cluster.program, words); /* at once: the janitor may still be at work */
        WAIT_UNTIL(control_open(&cluster.control, "stale"));
        control_do(&cluster.control, "put round %d", round);
    }
    control_do(&cluster.control, "down");
    assert_int_equal(program_wait(&cluster.program), 0);
}

/* The same where nobody cleans up any more: a socket file that nobody listens to. */
static void a_stale_socket_is_taken_over(void **unused)
{
    UNUSED(unused);
    static const char *const words[] = { "up", "--headless", "--name", "stale", "-n", "1", NULL };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char path[256];
    snprintf(path, sizeof(path), "%s/ringside", getenv("XDG_RUNTIME_DIR"));
    assert_int_equal(mkdir(path, 0755), 0);
    strcat(path, "/stale");
    assert_int_equal(mkdir(path, 0755), 0);
    strcpy(address.sun_path, control_path("stale"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    program_start(&cluster.program, words);
    WAIT_UNTIL(control_open(&cluster.control, "stale"));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(ringside_down(&cluster), 0);
}

/* Where the socket cannot be: a folder that is missing, a file or a link in its place. */
static void a_bad_place_is_refused(void **unused)
{
    UNUSED(unused);
    static const char *const words[] = { "up", "--headless", "-n", "1", NULL };
    static const struct {
        const char *runtime, *line; /* %s: the arena's own folder */
    } rows[] = {
        { "%s/missing", "ringside up: %s/missing/ringside: cannot make the directory: No such file "
                        "or directory\n" },
        { "%s/file", "ringside up: %s/file/ringside: is not a directory of this user\n" },
        { "%s/link", "ringside up: %s/link/ringside/main: is not a directory of this user\n" },
    };
    char root[128];
    snprintf(root, sizeof(root), "%s", arena_path("."));
    assert_int_equal(mkdir(arena_path("file"), 0700), 0);
    assert_int_equal(close(creat(arena_path("file/ringside"), 0600)), 0);
    assert_int_equal(mkdir(arena_path("link"), 0700), 0);
    assert_int_equal(mkdir(arena_path("link/ringside"), 0700), 0);
    assert_int_equal(symlink(root, arena_path("link/ringside/main")), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char runtime[256], line[512];
        replace(runtime, sizeof(runtime), rows[i].runtime, root);
        replace(line, sizeof(line), rows[i].line, root);
        setenv("XDG_RUNTIME_DIR", runtime, 1);
        refused(words, line);
    }
    setenv("XDG_RUNTIME_DIR", arena_path("run"), 1);
    assert_int_equal(access(arena_path("file/ringside"), F_OK), 0); /* nothing of it was touched */
    assert_int_equal(access(arena_path("link/ringside/main"), F_OK), 0);
}

/* ---- data ---- */

static long long highest(struct ringside *ringside, const char *key)
{
    long long high = 0;
    for (uint32_t id = 1; id <= ringside->peers; id++)
        high = MAX_OF(high, ringside_peer_number(ringside, id, key));
    return high;
}

static void data_outlives_the_cluster(void **unused)
{
    UNUSED(unused);
    const char *const words[] = { "--preset", "lab", "--data", arena_path("data/of/test"), NULL };
    assert_int_equal(mkdir(arena_path("data"), 0700), 0);
    assert_int_equal(mkdir(arena_path("data/of"), 0700), 0);
    long long term = 0, last = 0;
    for (int life = 0; life < 4; life++) {
        ringside_up(&cluster, 3, words);
        if (life > 0) check_puts(&cluster);
        put_some(&cluster);
        assert_true(highest(&cluster, "term") > term); /* a new life elects anew */
        assert_true(highest(&cluster, "last_index") >= last + PUTS);
        term = highest(&cluster, "term");
        last = highest(&cluster, "last_index");
        if (life % 2 == 0) end_by_down();
        else end_by_kill();
        ringside_close(&cluster);
    }
}

static int count_folders(const char *path)
{
    int count = 0;
    for (int id = 1; id <= 5; id++) {
        char peer[256];
        snprintf(peer, sizeof(peer), "%s/peer-%d", path, id);
        count += access(peer, F_OK) == 0;
    }
    return count;
}

static void data_of_another_size_is_refused(void **unused)
{
    UNUSED(unused);
    const char *data = arena_path("data");
    const char *const three[] = { "--data", data, "--preset", "fast", NULL };
    const char *const five[] = { "up", "--headless", "-n", "5", "--data", data, NULL };
    char line[512];
    ringside_up(&cluster, 3, three);
    put_some(&cluster);
    snprintf(line, sizeof(line),
             "ringside up: peer 1: %s/peer-1/raft.mdb: in use by another process (perhaps "
             "paused)\n",
             data);
    refused(five, line);
    assert_int_equal(ringside_down(&cluster), 0);
    snprintf(line, sizeof(line),
             "ringside up: peer 1: %s/peer-1/raft.mdb: belongs to a cluster of 3 peers, this one "
             "has 5\n",
             data);
    refused(five, line);
    assert_int_equal(count_folders(data), 3); /* nothing was changed */
    ringside_close(&cluster);
    ringside_up(&cluster, 3, three);
    check_puts(&cluster);
    assert_int_equal(ringside_down(&cluster), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_arena, close_arena)

int main(int argc, char **argv)
{
    struct CMUnitTest tests[32];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(endings); i++)
        tests[count++] = (struct CMUnitTest){ endings[i].name, nothing_is_left, forget, close_arena,
                                              &endings[i] };
    static const char *const names[] = { "a cluster of 1", "a cluster of 2", "a cluster of 4",
                                         "a cluster of 63" };
    for (size_t i = 0; i < COUNT(sizes); i++)
        tests[count++] =
            (struct CMUnitTest){ names[i], cluster_of_any_size, forget, close_arena, &sizes[i] };
    const struct CMUnitTest others[] = {
        TEST(what_is_left_is_found),
        TEST(a_broken_start_leaves_nothing),
        TEST(it_ends_by_itself),
        TEST(two_side_by_side),
        TEST(a_name_is_taken_once),
        TEST(one_of_many_gets_the_name),
        TEST(a_stale_name_is_taken_over),
        TEST(a_stale_socket_is_taken_over),
        TEST(a_bad_place_is_refused),
        TEST(data_outlives_the_cluster),
        TEST(data_of_another_size_is_refused),
    };
    for (size_t i = 0; i < COUNT(others); i++) tests[count++] = others[i];
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("cluster", tests, count, NULL, NULL);
}
