/* tests/harness/step.c - PTRACE_SINGLESTEP from the moment the child says "begun" in shared
 * memory. */
#include "tests/harness/step.h"

#include "base/base.h"
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Steps spent on one operation: enough for every instruction of up to 280, which the optimizer
 * leaves of them; sanitizers and -O0 make more, and there it is every n-th. */
enum { STEPS_MAX = 40000 };

enum phase { WAITING, BEGUN, ENDED };
static _Atomic uint32_t *phase; /* shared with the child */

static pid_t wait_for(pid_t pid, int *status)
{
    pid_t got = waitpid(pid, status, 0);
    CHECK(got == pid);
    return got;
}

static _Noreturn void child(const struct step_case *c)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP);
    atomic_store(phase, BEGUN);
    c->operate(c->context);
    atomic_store(phase, ENDED);
    for (;;) pause();
}

static pid_t begin(const struct step_case *c)
{
    int status;
    atomic_store(phase, WAITING);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) child(c);
    wait_for(pid, &status);
    if (!WIFSTOPPED(status)) return -1;
    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
    return pid;
}

/* Instructions made before the end of the operation or `most`. */
static uint64_t step(pid_t pid, uint64_t most)
{
    uint64_t made = 0;
    while (atomic_load(phase) == WAITING || (atomic_load(phase) == BEGUN && made < most)) {
        int status;
        if (atomic_load(phase) == BEGUN) made++;
        long stepped = ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
        CHECK(stepped == 0);
        wait_for(pid, &status);
        CHECK(WIFSTOPPED(status));
        CHECK(WSTOPSIG(status) == SIGTRAP);
    }
    return made;
}

static void end(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    wait_for(pid, &status);
    CHECK(WIFSIGNALED(status));
}

static void map_phase(void)
{
    if (phase != NULL) return;
    phase = mmap(NULL, sizeof(*phase), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(phase != MAP_FAILED);
}

static void nothing(void *context)
{
    UNUSED(context);
}

bool step_possible(void)
{
    struct step_case c = { .operate = nothing };
    map_phase();
    pid_t pid = begin(&c);
    if (pid < 0) {
        fprintf(stderr, "ptrace is not permitted here: nothing was killed step by step\n");
        return false;
    }
    end(pid);
    return true;
}

static bool holds_at(const struct step_case *c, uint64_t at)
{
    if (c->prepare != NULL) c->prepare(c->context);
    pid_t pid = begin(c);
    CHECK(pid >= 0);
    step(pid, at);
    end(pid);
    return c->check(c->context);
}

static bool holds_some_time(const struct step_case *c, uint64_t at)
{
    for (uint32_t try = 0; try < MAX_OF(c->tries, 1); try++)
        if (holds_at(c, at)) return true;
    return false;
}

/* Stepping is a switch between two processes: several times faster when they share a processor. */
static void share_processor(cpu_set_t *before)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_getaffinity(0, sizeof(*before), before);
    sched_setaffinity(0, sizeof(one), &one);
}

struct step_report step_each(const struct step_case *c)
{
    struct step_report report = { 0 };
    cpu_set_t before;
    map_phase();
    share_processor(&before);
    if (c->prepare != NULL) c->prepare(c->context);
    pid_t pid = begin(c);
    CHECK(pid >= 0);
    report.instructions = step(pid, UINT64_MAX);
    end(pid);
    report.violated = !c->check(c->context);
    report.violated_at = report.instructions;
    uint64_t n = report.instructions, stride = n * n / 2 / STEPS_MAX + 1;
    for (uint64_t at = 0; at < n && !report.violated; at += stride) {
        report.kills++;
        report.violated = !holds_some_time(c, at);
        report.violated_at = at;
    }
    sched_setaffinity(0, sizeof(before), &before);
    return report;
}
