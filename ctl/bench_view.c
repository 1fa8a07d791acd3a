/* ctl/bench_view.c - what the dashboard costs: a real one, on a pseudo-terminal of 120x40, beside a
 * cluster under full load. It is stopped and continued in turn (SIGSTOP, SIGCONT), so that both
 * halves of the comparison come from the same run. */
#include "ctl/bench.h"

#include "ctl/bench_cluster.h"
#include "viz/viz.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COLUMNS_WIDE = 120, ROWS_HIGH = 40, PHASES = 20, FPS = 20 };
static const uint64_t PHASE_NS = NS_PER_S / 2;

static bool refuse(void *context, const char *line, char *answer, size_t size)
{
    UNUSED(context);
    UNUSED(line);
    if (size > 0) answer[0] = '\0';
    return false;
}

static bool never(void *context)
{
    UNUSED(context);
    return false;
}

static pid_t fork_view(const struct supervisor *supervisor, int *terminal)
{
    struct winsize size = { .ws_row = ROWS_HIGH, .ws_col = COLUMNS_WIDE };
    pid_t parent = getpid(), pid = forkpty(terminal, NULL, NULL, &size);
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setenv("TERM", "xterm-256color", 1);
    struct viz_options options = {
        .region = supervisor->cluster->region,
        .frames_per_second = FPS,
        .send = refuse,
        .ended = never,
    };
    _exit(getppid() == parent && viz_run(&options) == ERR_OK ? 0 : 1);
}

/* What the dashboard writes has to be read, as a terminal would. */
static uint64_t drain(int terminal)
{
    char bytes[65536];
    uint64_t sum = 0;
    for (ssize_t got; (got = read(terminal, bytes, sizeof(bytes))) > 0;) sum += (uint64_t)got;
    return sum;
}

struct phases {
    uint64_t commits[2], ns[2], cpu_ns, bytes; /* [0] without the dashboard, [1] with it */
};

static void run_phase(struct supervisor *supervisor, uint32_t leader, int terminal, pid_t view,
                      bool with, struct phases *phases)
{
    struct board before = { 0 }, after = { 0 };
    kill(view, with ? SIGCONT : SIGSTOP);
    cluster_board(supervisor->cluster, leader, &before);
    uint64_t begun = real_now_ns(), cpu_ns = process_cpu_ns(view);
    while (real_now_ns() - begun < PHASE_NS) {
        supervisor_poll(supervisor, real_now_ns() + 10 * NS_PER_MS);
        phases->bytes += drain(terminal);
    }
    cluster_board(supervisor->cluster, leader, &after);
    phases->commits[with] += after.commit_index - before.commit_index;
    phases->ns[with] += real_now_ns() - begun;
    phases->cpu_ns += process_cpu_ns(view) - cpu_ns;
}

/* ratio: commits with a dashboard to commits without; cpu_percent: of the dashboard. */
err_t bench_dashboard(const struct bench *bench, struct figures *figures)
{
    struct bench_cluster cluster;
    struct phases phases = { { 0 }, { 0 }, 0, 0 };
    int terminal = -1;
    err_t err = bench_cluster_open(bench, "fast", PHASES * PHASE_NS + 4 * NS_PER_S, &cluster);
    if (err != ERR_OK) return err;
    pid_t view = fork_view(&cluster.supervisor, &terminal);
    if (view > 0) {
        fcntl(terminal, F_SETFL, O_NONBLOCK);
        uint64_t warm_ns = real_now_ns() + NS_PER_S;
        while (real_now_ns() < warm_ns) {
            supervisor_poll(&cluster.supervisor, warm_ns);
            drain(terminal);
        }
        for (int i = 0; i < PHASES; i++)
            run_phase(&cluster.supervisor, cluster.leader, terminal, view, i % 2 == 1, &phases);
        kill(view, SIGKILL);
        while (waitpid(view, NULL, 0) < 0 && errno == EINTR) continue;
        close(terminal);
    }
    double with = (double)phases.commits[1] / (double)phases.ns[1];
    double without = (double)phases.commits[0] / (double)phases.ns[0];
    figures->ops_per_s = with * 1e9;
    figures->ratio = without > 0 ? with / without : 0;
    figures->cpu_percent = (double)phases.cpu_ns * 100 / (double)phases.ns[1];
    figures->bytes_per_frame = (double)phases.bytes / ((double)phases.ns[1] / 1e9 * FPS);
    bench_cluster_close(&cluster);
    return view > 0 ? ERR_OK : err_begin(ERR_SYSTEM, "no pseudo-terminal");
}
