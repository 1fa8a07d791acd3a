/* ctl/judge.c - see ctl/judge.h. */
#include "ctl/judge.h"
#include "fault/line.h"

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

/* As a word of a line: a history may hold anything, and this goes to a terminal. */
static void write_text(FILE *file, const char *text)
{
    char begin[VALUE_SHOWN + 1], word[4 * VALUE_SHOWN + 3];
    size_t length = strlen(text);
    bool whole = length <= VALUE_SHOWN;
    snprintf(begin, sizeof(begin), "%.*s", whole ? VALUE_SHOWN : VALUE_SHOWN - 16, text);
    word_print(begin, word, sizeof(word));
    if (whole) fprintf(file, " %s", word);
    else fprintf(file, " %s...(%zu bytes)", word, length);
}

/* "  client 3   1.204s ..  1.210s  cas k1 c3-1 c3-7: false" */
static void write_operation(FILE *file, const struct operation *operation, uint64_t origin_ns)
{
    static const char *const statuses[] = { "ok", "fail", "unknown" };
    fprintf(file, "  client %-3llu %8.4fs ..", (unsigned long long)operation->client,
            (double)(operation->call_ns - origin_ns) / 1e9);
    if (operation->return_ns == TIME_NEVER) fprintf(file, "         ?");
    else fprintf(file, " %8.4fs", (double)(operation->return_ns - origin_ns) / 1e9);
    fprintf(file, "  %s", history_op_name(operation->op));
    write_text(file, operation->key);
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

static void write_undecided(FILE *file, const struct linear_result *result)
{
    fprintf(file, "undecided: the limits of time or memory did not suffice for key");
    write_text(file, result->key != NULL ? result->key : "?");
    fprintf(file, "\n");
}

enum linear_verdict judge_write(FILE *file, const struct history *history,
                                const struct linear_limits *limits)
{
    struct linear_result result;
    linear_check(history, limits, &result);
    if (result.verdict == LINEAR_YES)
        fprintf(file, "%zu operations on %zu keys are linearizable\n", result.operations,
                result.keys);
    if (result.verdict == LINEAR_UNDECIDED) write_undecided(file, &result);
    if (result.verdict == LINEAR_NO) {
        uint64_t origin_ns = first_call(history);
        fprintf(file, "not linearizable: no order of these %zu operations on key",
                result.stretch_count);
        write_text(file, result.key);
        fprintf(file, " explains them\n");
        for (size_t i = 0; i < MIN_OF(result.stretch_count, (size_t)SHOWN_MAX); i++)
            write_operation(file, &history->operations[result.stretch[i]], origin_ns);
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
