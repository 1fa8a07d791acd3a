/* ctl/bench_check.c - `ringside check` as a person runs it, a process of its own, on histories like
 * those of real clients; beside it a process that reads and parses the same file and judges
 * nothing. */
#include "ctl/bench.h"

#include "ctl/commands.h"
#include "sim/recipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIX(gets, puts, appends, cas, dels) gets, puts, appends, cas, dels
/* By the bench's name. A few thousandths of the answers never came, as when leaders die. */
static const struct recipe recipes[] = {
    { "check-keys", 1, 100000, 20, 50, 0, 2000, MIX(8, 6, 1, 4, 1), false, LINEAR_YES },
    { "check-one-key", 2, 10000, 10, 1, 0, 1000, MIX(8, 6, 1, 4, 1), false, LINEAR_YES },
    { "check-stale", 3, 20000, 10, 1, 0, 1000, MIX(8, 6, 1, 4, 1), true, LINEAR_NO },
};

struct measured {
    uint64_t took_ns, cpu_ns;
    double rss_kib;
    int code;
};

/* In a process of its own: the peak memory of a child begins with what its parent has. */
_Noreturn static void run_write(const struct recipe *recipe, const char *path)
{
    struct history history;
    FILE *file = fopen(path, "we");
    if (file == NULL) _exit(EXIT_INPUT);
    recipe_make(recipe, &history);
    for (size_t i = 0; i < history.count; i++)
        if (history_write(file, &history.operations[i]) != ERR_OK) _exit(EXIT_INPUT);
    _exit(fclose(file) == 0 ? EXIT_WELL : EXIT_INPUT);
}

_Noreturn static void run_check(const struct recipe *recipe, const char *path)
{
    UNUSED(recipe);
    static char check[] = "check", name[] = "ringside";
    char *argv[] = { name, check, (char *)(uintptr_t)path, NULL };
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
    execv("/proc/self/exe", argv);
    _exit(EXIT_INPUT);
}

_Noreturn static void run_read(const struct recipe *recipe, const char *path)
{
    UNUSED(recipe);
    struct history history;
    history_init(&history);
    _exit(history_load(&history, path) == ERR_OK ? EXIT_WELL : EXIT_INPUT);
}

static err_t measure(void (*run)(const struct recipe *recipe, const char *path),
                     const struct recipe *recipe, const char *path, struct measured *measured)
{
    struct rusage usage;
    int status;
    uint64_t begun_ns = real_now_ns();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return err_begin(ERR_SYSTEM, "fork: %s", strerror(errno));
    if (pid == 0) run(recipe, path);
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR) return err_begin(ERR_SYSTEM, "wait4: %s", strerror(errno));
    measured->took_ns = real_now_ns() - begun_ns;
    measured->cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
                       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
    measured->rss_kib = (double)usage.ru_maxrss;
    measured->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ERR_OK;
}

err_t bench_check(const struct bench *bench, struct figures *figures)
{
    const struct recipe *recipe = recipes;
    struct measured written = { 0 }, read = { 0 }, check = { 0 };
    char path[64];
    while (strcmp(recipe->name, bench->name) != 0) recipe++;
    int fd = memfd_create("history", 0); /* kept over exec */
    if (fd < 0) return err_begin(ERR_SYSTEM, "memfd_create: %s", strerror(errno));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    err_t err = measure(run_write, recipe, path, &written);
    if (err == ERR_OK) err = measure(run_read, recipe, path, &read);
    if (err == ERR_OK) err = measure(run_check, recipe, path, &check);
    close(fd);
    if (err != ERR_OK) return err;
    if (written.code != EXIT_WELL) return err_begin(ERR_SYSTEM, "no room to write a history");
    if (read.code != EXIT_WELL) return err_begin(ERR_SYSTEM, "the history could not be read");
    if (check.code != (recipe->stale ? EXIT_UNSAFE : EXIT_WELL))
        return err_begin(ERR_SYSTEM, "ringside check ended with %d", check.code);
    figures->ops_per_s = (double)recipe->operations * 1e9 / (double)check.took_ns;
    figures->p50_us = (double)check.took_ns / 1e3;
    figures->cpu_s = (double)check.cpu_ns / 1e9;
    figures->rss_kib = check.rss_kib;
    figures->ratio = (double)check.took_ns / (double)read.took_ns;
    return ERR_OK;
}
