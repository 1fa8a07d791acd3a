/* ctl/supervisor.c - one poll(): signals, pidfds, the eventfd that peers ring, sockets. */
#include "ctl/supervisor.h"

#include "ctl/control.h"
#include "ctl/load.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FDS_MAX = 512 };
static const uint64_t NOTES_NS = 10 * NS_PER_MS; /* trails are looked at this often */
static const uint64_t RETRY_NS = 300 * NS_PER_MS;
static const uint64_t GIVE_UP_NS = 8 * NS_PER_S;

static int signal_fd = -1; /* signals belong to the process, so there is one */

static void on_violation(void *context, const struct violation *violation)
{
    struct supervisor *supervisor = context;
    if (supervisor->violated) return;
    supervisor->violated = true;
    supervisor->violation = *violation;
    cluster_note(supervisor->cluster, NOTE_UNSAFE, violation->second.self, violation->first.self,
                 0);
}

static void on_note(void *context, const struct note *note)
{
    struct supervisor *supervisor = context;
    if (supervisor->control != NULL) control_note(supervisor->control, note);
    if (supervisor->each_note != NULL) supervisor->each_note(supervisor->context, note);
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (signal_fd < 0) signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

err_t supervisor_open(const struct supervisor_config *config, struct supervisor *supervisor)
{
    memset(supervisor, 0, sizeof(*supervisor));
    supervisor->config = *config;
    block_signals();
    err_t err = ERR_OK;
    if (config->listen) err = control_open(supervisor, config->cluster.name, &supervisor->control);
    if (err == ERR_OK) err = cluster_start(&config->cluster, &supervisor->cluster);
    if (err != ERR_OK) {
        if (supervisor->control != NULL) control_close(supervisor->control);
        return err;
    }
    struct observer_config observer = { .log = config->log,
                                        .trace = config->trace,
                                        .topics = config->topics,
                                        .each = on_note,
                                        .violated = on_violation,
                                        .context = supervisor };
    supervisor->observer = observer_open(supervisor->cluster, &observer);
    uint64_t session;
    if (getrandom(&session, sizeof(session), 0) != sizeof(session)) session = real_now_ns();
    supervisor->client =
        client_open(supervisor->cluster->region, SUPERVISOR, session | 1, RETRY_NS, GIVE_UP_NS);
    return ERR_OK;
}

static void take_results(struct supervisor *supervisor)
{
    struct client_result result;
    while (client_poll(supervisor->client, &result)) {
        struct question *question = result.tag;
        if (question != NULL) question->done(question, &result);
    }
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
        supervisor->stop = true;
        supervisor->stop_signal = (int)info.ssi_signo;
    }
}

static nfds_t gather_fds(struct supervisor *supervisor, struct pollfd *fds)
{
    nfds_t count = 0;
    fds[count++] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
    fds[count++] = (struct pollfd){ .fd = supervisor->cluster->eventfd, .events = POLLIN };
    for (uint32_t id = 1; id <= supervisor->config.cluster.peers; id++) {
        int pidfd = supervisor->cluster->children[id].pidfd;
        if (pidfd >= 0) fds[count++] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
    }
    if (supervisor->control != NULL)
        count += (nfds_t)control_fds(supervisor->control, fds + count, FDS_MAX - count);
    return count;
}

/* (S2) */
static void freeze(struct supervisor *supervisor)
{
    supervisor->frozen = true;
    for (uint32_t id = 1; id <= supervisor->config.cluster.peers; id++) {
        if (cluster_pause(supervisor->cluster, id) != ERR_OK) continue; /* dead or paused already */
    }
    observer_poll(supervisor->observer);
}

void supervisor_poll(struct supervisor *supervisor, uint64_t until_ns)
{
    struct pollfd fds[FDS_MAX];
    struct bell *bell = region_bell(supervisor->cluster->region, SUPERVISOR);
    nfds_t count = gather_fds(supervisor, fds);
    uint64_t now_ns = real_now_ns();
    until_ns = MIN_OF(until_ns, now_ns + NOTES_NS);
    until_ns = MIN_OF(until_ns, client_deadline(supervisor->client));
    bell_announce(bell, BELL_POLLING);
    bool pending = net_live_pending(client_net(supervisor->client));
    uint64_t wait_ns = pending || until_ns <= now_ns ? 0 : until_ns - now_ns;
    struct timespec timeout = { (time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S) };
    int ready = ppoll(fds, count, &timeout, NULL);
    bell_awake(bell);
    if (ready > 0) {
        uint64_t rung;
        if (read(supervisor->cluster->eventfd, &rung, sizeof(rung)) > 0) MAYBE(rung > 1);
        take_signals(supervisor);
    }
    cluster_reap(supervisor->cluster);
    if (supervisor->load != NULL) load_poll(supervisor->load);
    take_results(supervisor);
    observer_poll(supervisor->observer);
    if (supervisor->violated && !supervisor->frozen) freeze(supervisor);
    if (supervisor->control != NULL) control_poll(supervisor->control, fds, count);
}

void supervisor_close(struct supervisor *supervisor)
{
    if (supervisor->load != NULL) load_close(supervisor->load);
    client_close(supervisor->client);
    observer_close(supervisor->observer);
    cluster_stop(supervisor->cluster);
    if (supervisor->control != NULL) control_close(supervisor->control);
}
