/* ctl/judge.c - see ctl/judge.h. */
#include "ctl/judge.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN_MAX = 40, VALUE_SHOWN = 32 };

/* ---- the verdict as text ---- */

static void write_text(FILE *file, const char *text)
{
    size_t length = strlen(text);
    if (length <= VALUE_SHOWN) fprintf(file, " %s", text);
    else fprintf(file, " %.*s...(%zu bytes)", VALUE_SHOWN - 16, text, length);
}

/* "  client 3   1.204s ..  1.210s  cas k1 c3-1 c3-7: false" */
static void write_operation(FILE *file, const struct operation *operation, uint64_t origin_ns)
{
    static const char *const statuses[] = { "ok", "fail", "unknown" };
    fprintf(file, "  client %-3llu %8.4fs ..", (unsigned long long)operation->client,
            (double)(operation->call_ns - origin_ns) / 1e9);
    if (operation->return_ns == TIME_NEVER) fprintf(file, "         ?");
    else fprintf(file, " %8.4fs", (double)(operation->return_ns - origin_ns) / 1e9);
    fprintf(file, "  %s %s", history_op_name(operation->op), operation->key);
    if (operation->expect != NULL) write_text(file, operation->expect);
    if (operation->value != NULL) write_text(file, operation->value);
    if (operation->status != HISTORY_OK) {
        fprintf(file, ": %s\n", statuses[operation->status]);
        return;
    }
    if (operation->op == HISTORY_GET) {
        fprintf(file, ":");
        write_text(file, operation->output != NULL ? operation->output : "(absent)");
    }
    if (operation->op == HISTORY_CAS || (operation->op == HISTORY_DEL && operation->done_known))
        fprintf(file, ": %s", operation->done ? "true" : "false");
    fprintf(file, "\n");
}

static uint64_t first_call(const struct history *history)
{
    uint64_t first_ns = TIME_NEVER;
    for (size_t i = 0; i < history->count; i++)
        first_ns = MIN_OF(first_ns, history->operations[i].call_ns);
    return first_ns;
}

enum linear_verdict judge_write(FILE *file, const struct history *history,
                                const struct linear_limits *limits)
{
    struct linear_result result;
    linear_check(history, limits, &result);
    if (result.verdict == LINEAR_YES)
        fprintf(file, "%zu operations on %zu keys are linearizable\n", result.operations,
                result.keys);
    if (result.verdict == LINEAR_UNDECIDED)
        fprintf(file, "undecided: the limits of time or memory did not suffice for key %s\n",
                result.key != NULL ? result.key : "?");
    if (result.verdict == LINEAR_NO) {
        fprintf(file,
                "not linearizable: no order of these %zu operations on key %s explains them\n",
                result.stretch_count, result.key);
        for (size_t i = 0; i < MIN_OF(result.stretch_count, (size_t)SHOWN_MAX); i++)
            write_operation(file, &history->operations[result.stretch[i]], first_call(history));
        if (result.stretch_count > SHOWN_MAX)
            fprintf(file, "  and %zu more\n", result.stretch_count - SHOWN_MAX);
    }
    free(result.stretch);
    return result.verdict;
}

/* ---- the process ---- */

static int judge_run(int report_fd, const struct history *history,
                     const struct linear_limits *limits)
{
    FILE *file = fdopen(report_fd, "w");
    if (file == NULL) return LINEAR_UNDECIDED;
    enum linear_verdict verdict = judge_write(file, history, limits);
    return fclose(file) == 0 ? (int)verdict : LINEAR_UNDECIDED;
}

err_t judge_start(struct judge *judge, const struct history *history,
                  const struct linear_limits *limits)
{
    judge->report_fd = memfd_create("ringside-verdict", MFD_CLOEXEC);
    if (judge->report_fd < 0) return err_begin(ERR_SYSTEM, "memfd: %s", strerror(errno));
    fflush(NULL);
    pid_t parent = getpid();
    judge->pid = fork();
    if (judge->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(LINEAR_UNDECIDED);
        _exit(judge_run(judge->report_fd, history, limits));
    }
    if (judge->pid > 0) return ERR_OK;
    judge->pid = 0;
    close(judge->report_fd);
    return err_begin(ERR_SYSTEM, "fork of the checker: %s", strerror(errno));
}

static char *read_report(int fd)
{
    off_t length = lseek(fd, 0, SEEK_END);
    char *report = calloc(1, (size_t)MAX_OF(length, 0) + 1);
    CHECK(report != NULL);
    if (length > 0 && pread(fd, report, (size_t)length, 0) != length) report[0] = '\0';
    return report;
}

bool judge_done(struct judge *judge, enum linear_verdict *verdict, char **report)
{
    int status = 0;
    CHECK(judge->pid > 0);
    if (waitpid(judge->pid, &status, WNOHANG) != judge->pid) return false;
    judge->pid = 0;
    *verdict = LINEAR_UNDECIDED;
    if (WIFEXITED(status) && WEXITSTATUS(status) <= LINEAR_UNDECIDED)
        *verdict = (enum linear_verdict)WEXITSTATUS(status);
    *report = read_report(judge->report_fd);
    close(judge->report_fd);
    if ((*report)[0] != '\0') return true;
    free(*report);
    *report = strdup("undecided: the checker died\n");
    CHECK(*report != NULL);
    *verdict = LINEAR_UNDECIDED;
    return true;
}

void judge_stop(struct judge *judge)
{
    if (judge->pid == 0) return;
    kill(judge->pid, SIGKILL);
    while (waitpid(judge->pid, NULL, 0) < 0 && errno == EINTR) continue;
    close(judge->report_fd);
    judge->pid = 0;
}
