/* tests/viz_terminal_test.c - the dashboard on a pseudo terminal: it shows the cluster, is resized,
 * sends verbs, refuses what it cannot use, and gives the terminal back after every end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "viz/guard.h"
#include "viz/viz.h"

enum { OUTPUT_MAX = 1 << 20, PATIENCE_MS = 60000 };

/* A terminal, and the process that draws on it. */
struct stage {
    int master, slave;
    pid_t pid;
    struct region *region;
    struct termios before;
    struct terminal_guard guard; /* of the parent */
    size_t length;
    char output[OUTPUT_MAX]; /* everything that came, 0 at the end */
};

static bool send_line(void *context, const char *line, char *answer, size_t size)
{
    UNUSED(context);
    if (strcmp(line, "put crash now") == 0) check_failed("here", 1, "a planted fault");
    snprintf(answer, size, "did <%s>", line);
    return true;
}

static bool never(void *context)
{
    UNUSED(context);
    return false;
}

static bool at_once(void *context)
{
    UNUSED(context);
    return true;
}

/* In the child: standard streams are the terminal. Exit code 0, or 1 with the context on stderr. */
static _Noreturn void dashboard(struct stage *stage, const char *term, bool (*ended)(void *))
{
    struct viz_options options = {
        .region = stage->region, .frames_per_second = 20, .send = send_line, .ended = ended
    };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("TERM", term, 1);
    err_t err = viz_run(&options);
    if (err != ERR_OK) fprintf(stderr, "context: %s\n", err_context());
    fflush(NULL);
    _exit(err == ERR_OK ? 0 : 1);
}

static struct stage *stage_open(unsigned short columns, unsigned short rows)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct winsize size = { .ws_row = rows, .ws_col = columns };
    struct region_config config = { .peers = 3, .ring_bytes = 4096, .seed = 1, .name = "staged" };
    assert_non_null(stage);
    assert_int_equal(region_create(&config, &stage->region), ERR_OK);
    assert_int_equal(openpty(&stage->master, &stage->slave, NULL, NULL, &size), 0);
    assert_int_equal(tcgetattr(stage->slave, &stage->before), 0);
    return stage;
}

static void stage_start(struct stage *stage, const char *term, bool (*ended)(void *))
{
    fflush(NULL);
    stage->pid = fork();
    assert_true(stage->pid >= 0);
    if (stage->pid != 0) return;
    close(stage->master);
    login_tty(stage->slave);
    dashboard(stage, term, ended);
}

static void stage_close(struct stage *stage)
{
    close(stage->master);
    close(stage->slave);
    region_close(stage->region);
    free(stage);
}

/* Read until `text` has come after `from`; returns the place behind it. */
static size_t expect(struct stage *stage, size_t from, const char *text)
{
    for (;;) {
        const char *found = strstr(stage->output + from, text);
        if (found != NULL) return (size_t)(found - stage->output) + strlen(text);
        struct pollfd terminal = { stage->master, POLLIN, 0 };
        if (poll(&terminal, 1, PATIENCE_MS) <= 0) fail_msg("'%s' never came", text);
        ssize_t length =
            read(stage->master, stage->output + stage->length, OUTPUT_MAX - 1 - stage->length);
        if (length <= 0) fail_msg("the terminal closed before '%s'", text);
        stage->length += (size_t)length;
    }
}

static void type(struct stage *stage, const char *keys)
{
    assert_int_equal(write(stage->master, keys, strlen(keys)), strlen(keys));
}

/* Wait for the end, taking output meanwhile so that the child never waits for us. */
static int stage_wait(struct stage *stage)
{
    int status;
    while (waitpid(stage->pid, &status, WNOHANG) == 0) {
        struct pollfd terminal = { stage->master, POLLIN, 0 };
        if (poll(&terminal, 1, 10) <= 0) continue;
        ssize_t length =
            read(stage->master, stage->output + stage->length, OUTPUT_MAX - 1 - stage->length);
        if (length > 0) stage->length += (size_t)length;
    }
    return status;
}

static void assert_given_back(struct stage *stage)
{
    struct termios now;
    assert_int_equal(tcgetattr(stage->slave, &now), 0);
    assert_int_equal(now.c_iflag, stage->before.c_iflag);
    assert_int_equal(now.c_oflag, stage->before.c_oflag);
    assert_int_equal(now.c_lflag, stage->before.c_lflag);
    size_t left = expect(stage, 0, "\033[?1049h"); /* the other screen ... */
    left = expect(stage, left, "\033[?1049l");     /* ... was left ... */
    assert_null(strstr(stage->output + left, "\033[?1049h"));
    assert_null(strstr(stage->output + left, "\033[?25l")); /* ... with the cursor to be seen */
}

/* ---- ends ---- */

static const struct end_row {
    const char *name;
    const char *keys; /* typed when the frame is there */
    int signal;       /* or sent */
    bool dies;        /* of that signal */
} end_rows[] = {
    { "q", "q", 0, false },
    { "Ctrl-C", "\003", 0, false },
    { "SIGTERM", "", SIGTERM, false },
    { "SIGINT", "", SIGINT, false },
    { "SIGHUP", "", SIGHUP, false },
    { "SIGSEGV", "", SIGSEGV, true },
    { "SIGABRT", "", SIGABRT, true },
    { "SIGBUS", "", SIGBUS, true },
    { "SIGKILL, by its parent", "", SIGKILL, true },
};

static void terminal_is_given_back(void **state)
{
    const struct end_row *row = *state;
    struct stage *stage = stage_open(80, 24);
    int saved_out = dup(STDOUT_FILENO);
    setenv("TERM", "xterm", 1); /* the parent guards the same terminal */
    dup2(stage->slave, STDOUT_FILENO);
    guard_save(&stage->guard);
    dup2(saved_out, STDOUT_FILENO);
    close(saved_out);
    assert_int_equal(stage->guard.fd, STDOUT_FILENO);
    stage_start(stage, "xterm", never);
    expect(stage, 0, "pane");
    type(stage, row->keys);
    if (row->signal != 0) kill(stage->pid, row->signal);
    int status = stage_wait(stage);
    assert_int_equal(WIFSIGNALED(status), row->dies);
    if (row->dies) assert_int_equal(WTERMSIG(status), row->signal);
    else assert_int_equal(WEXITSTATUS(status), 0);
    if (row->signal == SIGKILL) {
        struct termios now;
        tcgetattr(stage->slave, &now);
        assert_int_not_equal(now.c_lflag, stage->before.c_lflag); /* there is something to do */
        stage->guard.fd = stage->slave;
        guard_restore(&stage->guard);
    }
    assert_given_back(stage);
    stage_close(stage);
}

static void the_end_of_the_cluster_ends_it(void **state)
{
    UNUSED(state);
    struct stage *stage = stage_open(80, 24);
    stage_start(stage, "xterm", at_once);
    assert_int_equal(stage_wait(stage), 0);
    stage_close(stage);
}

static void last_words_are_heard(void **state)
{
    UNUSED(state);
    struct stage *stage = stage_open(80, 24);
    stage_start(stage, "xterm", never);
    expect(stage, 0, "pane");
    type(stage, ":put crash now\r");
    int status = stage_wait(stage);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_given_back(stage);
    size_t left = expect(stage, 0, "\033[?1049l");
    expect(stage, left, "CHECK failed: a planted fault");
    stage_close(stage);
}

/* ---- life ---- */

static void keys_and_sizes_are_followed(void **state)
{
    UNUSED(state);
    struct stage *stage = stage_open(80, 24);
    struct winsize small = { .ws_row = 20, .ws_col = 60 }, large = { .ws_row = 40, .ws_col = 120 };
    stage_start(stage, "xterm", never);
    size_t at = expect(stage, 0, "pane");
    type(stage, "3k");
    at = expect(stage, at, "did <kill 3>");
    type(stage, ":put k \"a b\"\r");
    at = expect(stage, at, "did <put k \"a b\">");
    ioctl(stage->master, TIOCSWINSZ, &small);
    at = expect(stage, at, "too small");
    ioctl(stage->master, TIOCSWINSZ, &large);
    at = expect(stage, at, "follows"); /* a column that only wide tables have */
    type(stage, "q");
    assert_int_equal(stage_wait(stage), 0);
    assert_given_back(stage);
    stage_close(stage);
}

/* ---- refusals ---- */

static const struct refusal_row {
    const char *name, *term;
    unsigned short columns, rows;
    const char *text;
} refusal_rows[] = {
    { "too narrow", "xterm", 79, 24,
      "context: the terminal has 79x24 cells: the dashboard needs 80x24" },
    { "too low", "xterm", 80, 23, "context: the terminal has 80x23 cells" },
    { "dumb", "dumb", 80, 24, "context: terminal type 'dumb' cannot place its cursor" },
    { "unknown", "no-such", 80, 24, "context: terminal type 'no-such' is unknown" },
};

static void refused_in_one_line(void **state)
{
    const struct refusal_row *row = *state;
    struct stage *stage = stage_open(row->columns, row->rows);
    stage_start(stage, row->term, never);
    expect(stage, 0, row->text);
    assert_int_equal(WEXITSTATUS(stage_wait(stage)), 1);
    assert_null(strstr(stage->output, "\033")); /* nothing was drawn */
    stage_close(stage);
}

static void no_terminal_is_refused(void **state)
{
    UNUSED(state);
    int before = dup(STDIN_FILENO);
    FILE *nowhere = fopen("/dev/null", "r");
    dup2(fileno(nowhere), STDIN_FILENO);
    struct viz_options options = { 0 };
    assert_int_equal(viz_run(&options), ERR_INPUT);
    assert_non_null(strstr(err_context(), "needs a terminal"));
    dup2(before, STDIN_FILENO);
    close(before);
    fclose(nowhere);
}

static struct CMUnitTest row_test(const char *name, CMUnitTestFunction function, const void *row)
{
    return (struct CMUnitTest){ name, function, NULL, NULL, (void *)(uintptr_t)row };
}

int main(void)
{
    struct CMUnitTest tests[COUNT(end_rows) + COUNT(refusal_rows)];
    const struct CMUnitTest others[] = {
        cmocka_unit_test(the_end_of_the_cluster_ends_it),
        cmocka_unit_test(last_words_are_heard),
        cmocka_unit_test(keys_and_sizes_are_followed),
        cmocka_unit_test(no_terminal_is_refused),
    };
    size_t n = 0;
    for (size_t i = 0; i < COUNT(end_rows); i++)
        tests[n++] = row_test(end_rows[i].name, terminal_is_given_back, &end_rows[i]);
    for (size_t i = 0; i < COUNT(refusal_rows); i++)
        tests[n++] = row_test(refusal_rows[i].name, refused_in_one_line, &refusal_rows[i]);
    unsetenv("NO_COLOR");
    return cmocka_run_group_tests_name("ends and refusals", tests, NULL, NULL) +
           cmocka_run_group_tests_name("life", others, NULL, NULL);
}
