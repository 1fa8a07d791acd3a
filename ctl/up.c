/* ctl/up.c - `ringside up`: a cluster with its supervisor in this process, and a dashboard on it or
 * none. When this process ends, in whatever way, so does the cluster. */
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/runtime.h"
#include "ctl/supervisor.h"
#include "ctl/watch.h"
#include "sim/bug.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct up {
    struct supervisor_config config;
    struct watch_options watch;
    uint64_t peers, clients, seed, for_ns;
    const char *log_path;
    bool headless;
};

enum {
    KEY_SEED = 256,
    KEY_FOR,
    KEY_LOG,
    KEY_TOPICS,
    KEY_COLORS,
    KEY_ASCII,
    KEY_FPS,
    KEY_PRESET,
    KEY_DATA,
    KEY_BUG,
    KEY_HEADLESS
};

static const struct argp_option rows[] = {
    { "peers", 'n', "N", 0, "how many peers, 1 to 63 (default: 5)", 0 },
    { "name", 'N', "NAME", 0, "name of the cluster (default: " NAME_DEFAULT ")", 0 },
    { "data", KEY_DATA, "DIR", 0,
      "keep the databases in DIR, with fdatasync at each commit; without it they are thrown "
      "away at the end and survive the death of processes, not of the machine",
      0 },
    { "preset", KEY_PRESET, "NAME", 0, "timing: watch (default), lab or fast", 0 },
    { "bug", KEY_BUG, "NAME", 0, "give all peers a bug of the museum, see: ringside bugs", 0 },
    { "headless", KEY_HEADLESS, NULL, 0, "no dashboard; end with: ringside down, or Ctrl-C", 0 },
    { "for", KEY_FOR, "TIME", 0, "end by itself after TIME", 0 },
    { "seed", KEY_SEED, "S", 0, "seed of timeouts and link faults (default: from the system)", 0 },
    { "log", KEY_LOG, "FILE", 0, "write a line per transition to FILE; - is standard output", 0 },
    { "topics", KEY_TOPICS, "LIST", 0, "topics of the log, e.g. vote,leader (default: all)", 0 },
    { "colors", KEY_COLORS, "SCHEME", 0, "auto, 256, 8 or mono", 0 },
    { "ascii", KEY_ASCII, NULL, 0, "no characters beyond ASCII", 0 },
    { "fps", KEY_FPS, "N", 0, "frames a second, 1 to 60 (default: 20)", 0 },
    { 0 },
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct up *up = state->input;
    struct cluster_config *cluster = &up->config.cluster;
    switch (key) {
    case 'n': return option_number("-n", argument, 1, PEER_MAX, &up->peers);
    case 'N': cluster->name = argument; return runtime_name_check(argument) == ERR_OK ? 0 : EINVAL;
    case KEY_DATA:
        cluster->data = argument;
        if (argument[0] != '\0') return 0;
        err_begin(ERR_INPUT, "--data is ''; it must name a directory");
        return EINVAL;
    case KEY_PRESET:
        cluster->preset = preset_find(argument);
        return cluster->preset != NULL ? 0 : EINVAL;
    case KEY_BUG: cluster->bug = bug_find(argument); return cluster->bug != NULL ? 0 : EINVAL;
    case KEY_HEADLESS: up->headless = true; return 0;
    case KEY_FOR: return option_time("--for", argument, &up->for_ns);
    case KEY_SEED: return option_number("--seed", argument, 0, UINT64_MAX, &up->seed);
    case KEY_LOG: up->log_path = argument; return 0;
    case KEY_TOPICS: return topics_parse(argument, &up->config.topics) == ERR_OK ? 0 : EINVAL;
    case KEY_COLORS: return watch_scheme(argument, &up->watch.scheme) ? 0 : EINVAL;
    case KEY_ASCII: up->watch.ascii = true; return 0;
    case KEY_FPS: return option_number("--fps", argument, 1, 60, &up->watch.frames_per_second);
    case ARGP_KEY_ARG:
        err_begin(ERR_INPUT, "'%.64s' is too much: up takes options only", argument);
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* One line, exit code 1. */
static int fail(void)
{
    fprintf(stderr, "ringside up: %s\n", err_context());
    return EXIT_INPUT;
}

static err_t open_log(struct up *up)
{
    if (up->log_path == NULL) return ERR_OK;
    if (strcmp(up->log_path, "-") == 0 && !up->headless)
        return err_begin(ERR_INPUT,
                         "--log - and the dashboard cannot share the terminal; add --headless");
    up->config.log = strcmp(up->log_path, "-") == 0 ? stdout : fopen(up->log_path, "we");
    if (up->config.log != NULL) return ERR_OK;
    return err_begin(ERR_INPUT, "--log %s: %s", up->log_path, strerror(errno));
}

/* The dashboard has ended: quit means the end of the cluster, a crash does not. */
static bool dashboard_gone(struct supervisor *supervisor, pid_t *dashboard, int *code)
{
    int status;
    if (*dashboard <= 0 || waitpid(*dashboard, &status, WNOHANG) != *dashboard) return false;
    *dashboard = 0;
    *code = watch_ended(status);
    if (WIFEXITED(status) || *code == EXIT_WELL) return true;
    fprintf(
        stderr,
        "ringside up: the cluster goes on; see it with: ringside watch %s, end it with Ctrl-C\n",
        supervisor->config.cluster.name);
    *code = EXIT_WELL;
    return false;
}

static int supervise(struct up *up, struct supervisor *supervisor)
{
    int code = EXIT_WELL;
    pid_t dashboard = 0;
    uint64_t end_ns = up->for_ns != TIME_NEVER ? real_now_ns() + up->for_ns : TIME_NEVER;
    if (!up->headless && (dashboard = watch_fork(&up->watch)) < 0) {
        err_begin(ERR_SYSTEM, "fork: %s", strerror(errno));
        return fail();
    }
    while (!supervisor->stop && real_now_ns() < end_ns) {
        supervisor_poll(supervisor, end_ns);
        if (dashboard_gone(supervisor, &dashboard, &code)) break;
    }
    if (dashboard > 0) { /* it restores the terminal when its cluster goes or when it is told to */
        int status = 0;
        kill(dashboard, SIGTERM);
        while (waitpid(dashboard, &status, 0) < 0 && errno == EINTR) continue;
        watch_ended(status);
    }
    if (supervisor->violated) {
        fprintf(stderr, "ringside up: safety was broken: %s: %s\n", supervisor->violation.invariant,
                supervisor->violation.text);
        code = EXIT_UNSAFE;
    }
    return code;
}

int up_main(int argc, char **argv)
{
    static const struct argp argp = { rows,
                                      parse,
                                      NULL,
                                      "Start a Raft cluster of real processes and open the "
                                      "dashboard on it.",
                                      NULL,
                                      NULL,
                                      NULL };
    struct up up = { .config = { .cluster = { .name = NAME_DEFAULT,
                                              .preset = preset_find("watch") },
                                 .listen = true,
                                 .topics = ~0u },
                     .watch = { .frames_per_second = 20 },
                     .peers = 5,
                     .clients = 4,
                     .for_ns = TIME_NEVER,
                     .seed = real_now_ns() };
    struct supervisor supervisor;
    if (!options_parse(&argp, argc, argv, &up)) return EXIT_INPUT;
    up.config.cluster.peers = (uint32_t)up.peers;
    up.config.cluster.clients = (uint32_t)up.clients;
    up.config.cluster.seed = up.seed;
    up.config.cluster.quiet = !up.headless;
    up.watch.name = up.config.cluster.name;
    err_t err = up.headless ? ERR_OK : watch_terminal_check();
    if (err == ERR_OK) err = open_log(&up);
    if (err == ERR_OK) err = supervisor_open(&up.config, &supervisor);
    if (err != ERR_OK) return fail();
    if (up.headless)
        fprintf(up.config.log == stdout ? stderr : stdout,
                "ringside: cluster %s is up: %u peers, supervisor pid %d, seed "
                "%llu\n",
                up.config.cluster.name, up.config.cluster.peers, (int)getpid(),
                (unsigned long long)up.seed);
    if (up.headless && up.config.cluster.bug != NULL)
        fprintf(up.config.log == stdout ? stderr : stdout, "ringside: all peers have the bug %s\n",
                up.config.cluster.bug->name);
    fflush(NULL);
    int code = supervise(&up, &supervisor);
    supervisor_close(&supervisor);
    if (up.config.log != NULL && up.config.log != stdout) fclose(up.config.log);
    return code;
}
