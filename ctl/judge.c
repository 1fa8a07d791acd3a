/* ctl/judge.c - see ctl/judge.h. */
#include "ctl/judge.h"

#include "sim/verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int judge_run(int report_fd, const struct history *history,
                     const struct linear_limits *limits)
{
    FILE *file = fdopen(report_fd, "w");
    if (file == NULL) return LINEAR_UNDECIDED;
    enum linear_verdict verdict = verdict_write(file, history, limits);
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
