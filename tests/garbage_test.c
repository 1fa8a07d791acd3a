/* tests/garbage_test.c - `check` and `run` on what is no history and no plan, is far too large, or
 * never ends: an answer or one line of error, with little memory and within a minute of CPU time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ctl/commands.h"
#include "tests/harness/arena.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define SHADOWS 4 /* ThreadSanitizer keeps as many bytes beside each */
#else
#define SHADOWS 1
#endif
enum { CPU_SECONDS = 60, MEMORY_KIB = SHADOWS << 20, LINES = 1000000 };

#define PUT                                                                                        \
    "{\"client\":1,\"op\":\"put\",\"key\":\"k%u\",\"value\":\"v\",\"call\":%u,\"return\":%u,"      \
    "\"status\":\"ok\"}\n"

/* ---- inputs: written to a file without a name, or to a pipe ---- */

static void write_nothing(FILE *file)
{
    UNUSED(file);
}

static void write_random(FILE *file)
{
    struct rng rng;
    rng_seed(&rng, 1, 0, 0);
    for (int i = 0; i < 1 << 17; i++) {
        uint64_t bits = rng_next(&rng);
        fwrite(&bits, sizeof(bits), 1, file);
    }
}

static void write_zeros(FILE *file)
{
    for (int i = 0; i < 1000; i++) fputc('\0', file);
}

static void write_long_line(FILE *file)
{
    static char some[1 << 20];
    memset(some, 'x', sizeof(some));
    for (int i = 0; i < 100; i++) fwrite(some, sizeof(some), 1, file);
}

static void write_deep(FILE *file)
{
    for (int i = 0; i < 10000000; i++) fputc(i % 2 ? '[' : ' ', file);
}

static void write_plan(FILE *file)
{
    for (int i = 0; i < LINES; i++) fprintf(file, "every 1s until %us drop 5%% on leader\n", i % 9);
    fprintf(file, "nonsense\n");
}

static void write_history(FILE *file)
{
    for (unsigned i = 0; i < LINES; i++) fprintf(file, PUT, i % 500, i, i + 30);
}

static void write_statement(FILE *file)
{
    fprintf(file, "kil 1\n");
}

static void write_operation(FILE *file)
{
    fprintf(file, PUT, 1u, 1u, 2u);
}

/* Until nobody reads any more. */
static void write_plan_for_ever(FILE *file)
{
    while (fprintf(file, "kill 1\n") > 0) continue;
}

static void write_history_for_ever(FILE *file)
{
    while (fprintf(file, PUT, 1u, 1u, 2u) > 0) continue;
}

static const struct row {
    const char *name, *command, *option, *path;
    void (*write)(FILE *file); /* where there is no path */
    bool pipe;
    int code;
    const char *says; /* a part of what is printed, on either stream */
} rows[] = {
    { "check: nothing", "check", NULL, NULL, write_nothing, false, EXIT_WELL, "0 operations" },
    { "run: nothing", "run", NULL, NULL, write_nothing, false, EXIT_UNMET, "neither does" },
    { "check: a folder", "check", NULL, "/", NULL, false, EXIT_INPUT, "/: Is a directory" },
    { "run: a folder", "run", NULL, "/", NULL, false, EXIT_INPUT, "/: Is a directory" },
    { "check: zeros without end", "check", NULL, "/dev/zero", NULL, false, EXIT_INPUT,
      ":1: longer than 64 MiB" },
    { "run: zeros without end", "run", NULL, "/dev/zero", NULL, false, EXIT_INPUT,
      "at most 67108864 bytes" },
    { "check: random bytes", "check", NULL, NULL, write_random, false, EXIT_INPUT, "not JSON" },
    { "run: random bytes", "run", NULL, NULL, write_random, false, EXIT_INPUT, ":1:" },
    { "check: NUL bytes", "check", NULL, NULL, write_zeros, false, EXIT_INPUT, "not JSON" },
    { "run: NUL bytes", "run", NULL, NULL, write_zeros, false, EXIT_INPUT, "byte \\x00" },
    { "check: a line of 100 MiB", "check", NULL, NULL, write_long_line, false, EXIT_INPUT,
      ":1: longer than 64 MiB" },
    { "run: a line of 100 MiB", "run", NULL, NULL, write_long_line, false, EXIT_INPUT,
      "at most 67108864 bytes" },
    { "check: five million brackets", "check", NULL, NULL, write_deep, false, EXIT_INPUT,
      "maximum parsing depth" },
    { "run: a plan of a million lines", "run", NULL, NULL, write_plan, false, EXIT_INPUT,
      ":1000001:1: expected a verb" },
    { "check: a million operations", "check", NULL, NULL, write_history, false, EXIT_WELL,
      "1000000 operations on 500 keys are linearizable" },
    { "check: from a pipe", "check", NULL, NULL, write_operation, true, EXIT_WELL, "1 operations" },
    { "run: from a pipe", "run", NULL, NULL, write_statement, true, EXIT_INPUT, ":1:1: expected" },
    { "check: a pipe without end", "check", "--memory=32M", NULL, write_history_for_ever, true,
      EXIT_UNMET, "take more than 33554432 bytes" },
    { "run: a pipe without end", "run", NULL, NULL, write_plan_for_ever, true, EXIT_INPUT,
      "at most 67108864 bytes" },
};

/* ---- one row ---- */

/* What the program reads from; *writer is a process that fills it, or 0. */
static int open_input(const struct row *row, pid_t *writer)
{
    int ends[2] = { -1, -1 };
    if (!row->pipe) {
        ends[0] = memfd_create("input", 0);
        FILE *file = fdopen(dup(ends[0]), "w");
        assert_non_null(file);
        row->write(file);
        assert_int_equal(fclose(file), 0);
        return ends[0];
    }
    assert_int_equal(pipe(ends), 0);
    *writer = fork();
    assert_true(*writer >= 0);
    if (*writer == 0) {
        close(ends[0]);
        FILE *file = fdopen(ends[1], "w");
        if (file != NULL) row->write(file);
        if (file != NULL) fclose(file);
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

_Noreturn static void run_program(const struct row *row, const char *path, int said)
{
    struct rlimit limit = { CPU_SECONDS, CPU_SECONDS };
    const char *argv[] = { "ringside", row->command, path, row->option, NULL };
    setrlimit(RLIMIT_CPU, &limit);
    dup2(said, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    execv(program_path(), (char **)(uintptr_t)argv);
    _exit(127);
}

static void row_holds(void **state)
{
    const struct row *row = *state;
    char path[64], text[4096];
    pid_t writer = 0;
    struct rusage usage;
    int status, input = -1, said = memfd_create("said", 0);
    if (row->path == NULL) input = open_input(row, &writer);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", input);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) run_program(row, row->path != NULL ? row->path : path, said);
    if (input >= 0) close(input);
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    if (writer > 0) assert_int_equal(waitpid(writer, NULL, 0), writer);
    ssize_t length = pread(said, text, sizeof(text) - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    close(said);
    if (!WIFEXITED(status)) fail_msg("ended by signal %d: %s", WTERMSIG(status), text);
    if (strstr(text, row->says) == NULL) assert_string_equal(text, row->says);
    assert_int_equal(WEXITSTATUS(status), row->code);
    if (row->code == EXIT_INPUT) /* one line, which ends */
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_true(usage.ru_maxrss <= MEMORY_KIB);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(rows)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] =
            (struct CMUnitTest){ rows[i].name, row_holds, NULL, NULL, (void *)(uintptr_t)&rows[i] };
    return _cmocka_run_group_tests("garbage", tests, COUNT(rows), NULL, NULL);
}
