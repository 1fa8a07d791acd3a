/* tests/check_test.c - `ringside check`: sizes, exit codes, and that it says why. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "ctl/check.h"
#include "ctl/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct size_row {
    const char *text;
    uint64_t bytes; /* 0: is refused */
} size_rows[] = {
    { "1", 1 },
    { "1000000", 1000000 },
    { "64k", 64 << 10 },
    { "512M", 512 << 20 },
    { "4GiB", 4ull << 30 },
    { "2GB", 2ull << 30 },
    { "1t", 1ull << 40 },
    { "16777215T", 16777215ull << 40 },
    { "16777216T", 0 },
    { "99999999999999999999", 0 },
    { "0", 0 },
    { "", 0 },
    { "M", 0 },
    { "-1", 0 },
    { " 1", 0 },
    { "5X", 0 },
    { "5MM", 0 },
    { "5 M", 0 },
};

static void size_holds(void **state)
{
    const struct size_row *row = *state;
    uint64_t bytes = 0;
    assert_int_equal(size_parse(row->text, &bytes), row->bytes != 0 ? ERR_OK : ERR_INPUT);
    assert_int_equal(bytes, row->bytes);
}

/* --- the command ----------------------------------------------------------------------------- */

#define OP(op, more) "{\"key\":\"k\",\"op\":\"" op "\",\"status\":\"ok\"," more "}\n"
#define PUT OP("put", "\"value\":\"v\",\"call\":1,\"return\":2")

static const struct check_row {
    const char *name, *history; /* NULL: no such file */
    const char *option;         /* NULL: none */
    int code;
    const char *says; /* a part of what is printed, on either stream */
} check_rows[] = {
    { "linearizable", PUT OP("get", "\"output\":\"v\",\"call\":3,\"return\":4"), NULL, EXIT_WELL,
      "2 operations on 1 keys are linearizable" },
    { "nothing at all", "", NULL, EXIT_WELL, "0 operations" },
    { "not linearizable", PUT OP("get", "\"output\":\"w\",\"call\":3,\"return\":4"), NULL,
      EXIT_UNSAFE, "not linearizable" },
    { "undecided", PUT, "--memory=1", EXIT_UNMET, "undecided" },
    { "a bad line", PUT "{}\n", NULL, EXIT_INPUT, ":2: \"op\" is missing" },
    { "no such file", NULL, NULL, EXIT_INPUT, "/nowhere: No such file or directory" },
    { "a bad size", PUT, "--memory=much", EXIT_INPUT, "--memory: 'much' is no size" },
    { "a bad time", PUT, "--timeout=soon", EXIT_INPUT, "--timeout is 'soon'" },
    { "two histories", PUT, "another", EXIT_INPUT, "too much: one history at a time" },
};

/* Both streams of this process go to a memory file meanwhile. */
static int run_check(int argc, char **argv, char *said, size_t size)
{
    int to = memfd_create("said", MFD_CLOEXEC), out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    assert_true(to >= 0 && out >= 0 && err >= 0);
    fflush(NULL);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    int code = check_main(argc, argv);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    ssize_t length = pread(to, said, size - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    close(to);
    close(out);
    close(err);
    return code;
}

static void check_holds(void **state)
{
    const struct check_row *row = *state;
    char path[64] = "/nowhere", name[] = "check", option[32] = "", said[4096];
    int fd = -1;
    if (row->history != NULL) {
        fd = memfd_create("history", MFD_CLOEXEC);
        size_t length = strlen(row->history);
        assert_int_equal(write(fd, row->history, length), length);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (row->option != NULL) snprintf(option, sizeof(option), "%s", row->option);
    char *argv[] = { name, path, row->option != NULL ? option : NULL, NULL };
    assert_int_equal(run_check(row->option != NULL ? 3 : 2, argv, said, sizeof(said)), row->code);
    if (strstr(said, row->says) == NULL) assert_string_equal(said, row->says);
    if (fd >= 0) close(fd);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(size_rows) + COUNT(check_rows)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(size_rows); i++)
        tests[n++] = (struct CMUnitTest){ size_rows[i].text, size_holds, NULL, NULL,
                                          (void *)(uintptr_t)&size_rows[i] };
    for (size_t i = 0; i < COUNT(check_rows); i++)
        tests[n++] = (struct CMUnitTest){ check_rows[i].name, check_holds, NULL, NULL,
                                          (void *)(uintptr_t)&check_rows[i] };
    return _cmocka_run_group_tests("check", tests, n, NULL, NULL);
}
