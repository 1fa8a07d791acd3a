/* ctl/cluster.c - fork, pidfds, signals; see ctl/cluster.h for (C1..C3). */
#include "ctl/cluster.h"

#include "node/live.h"
#include "sim/bug.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t START_NS = 60 * NS_PER_S; /* opening a long log takes a while */

/* ---- publishing ---- */

void cluster_note(struct cluster *cluster, enum note_kind kind, uint32_t other, uint64_t a,
                  uint64_t b)
{
    struct note note = { .time_ns = cluster_now_ns(cluster),
                         .kind = (uint16_t)kind,
                         .other = (uint8_t)other,
                         .a = a,
                         .b = b };
    trail_write(region_trail(cluster->region, SUPERVISOR), &note);
}

void cluster_ring_all(struct cluster *cluster)
{
    for (uint32_t id = 1; id < region_endpoints(cluster->region); id++)
        bell_ring(region_bell(cluster->region, id), -1);
}

void cluster_publish_links(struct cluster *cluster)
{
    for (uint32_t from = 1; from <= cluster->config.peers; from++)
        for (uint32_t to = 1; to <= cluster->config.peers; to++) {
            struct link_rule old, *rule = &cluster->links.rule[from][to];
            struct latch *latch = region_rule(cluster->region, from, to);
            if (from == to) continue;
            if (latch_read(latch, &old, LINK_RULE_WORDS, NULL) &&
                memcmp(&old, rule, sizeof(old)) == 0)
                continue;
            latch_write(latch, rule, LINK_RULE_WORDS);
        }
    cluster_ring_all(cluster);
}

void cluster_publish_orders(struct cluster *cluster, uint32_t peer)
{
    latch_write(region_orders(cluster->region, peer), &cluster->orders[peer], ORDERS_WORDS);
    bell_ring(region_bell(cluster->region, peer), -1);
}

void cluster_publish_facts(struct cluster *cluster)
{
    latch_write(region_facts(cluster->region), &cluster->facts, FACTS_WORDS);
}

static void publish_life(struct cluster *cluster, uint32_t peer)
{
    const struct child *child = &cluster->children[peer];
    struct peer_life life = { .pid = (uint64_t)child->pid,
                              .alive = child->pid != 0,
                              .paused = child->paused,
                              .starts = child->starts };
    latch_write(region_life(cluster->region, peer), &life, LIFE_WORDS);
}

/* ---- looking ---- */

bool cluster_board(const struct cluster *cluster, uint32_t peer, struct board *board)
{
    struct latch *latch = region_board(cluster->region, peer);
    if (latch_version(latch) == 0 || !latch_read(latch, board, BOARD_WORDS, NULL)) return false;
    if (!cluster_alive(cluster, peer) || board->life == cluster->children[peer].starts) return true;
    board->role = FOLLOWER; /* of a former life: what was on disk is true, the rest is over */
    board->leader = PEER_NONE;
    board->votes = board->commit_index = board->last_applied = 0;
    return true;
}

bool cluster_has_spoken(const struct cluster *cluster, uint32_t peer)
{
    struct board board;
    return cluster_alive(cluster, peer) && cluster_board(cluster, peer, &board) &&
           board.life == cluster->children[peer].starts;
}

bool cluster_alive(const struct cluster *cluster, uint32_t peer)
{
    return cluster->children[peer].pid != 0;
}

uint64_t cluster_now_ns(const struct cluster *cluster)
{
    struct clock_face face;
    bool whole = clock_read(region_clock(cluster->region), &face);
    CHECK(whole); /* this process is the only writer */
    return clock_at(&face, real_now_ns());
}

void cluster_view(const struct cluster *cluster, struct cluster_view *view)
{
    uint64_t term = 0;
    *view = (struct cluster_view){ .peers = cluster->config.peers };
    for (uint32_t id = 1; id <= cluster->config.peers; id++) {
        struct board board;
        if (!cluster_alive(cluster, id)) continue;
        view->alive |= peer_bit(id);
        if (!cluster_board(cluster, id, &board)) continue;
        if (board.role == CANDIDATE) view->candidates |= peer_bit(id);
        if (board.role != LEADER || board.term <= term) continue;
        view->leader = id;
        term = board.term;
    }
}

/* ---- children ---- */

/* In the child: own group (a terminal's Ctrl-C is for the supervisor), default signals, death with
 * the parent. */
static void become_child(pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0); /* it died between fork and prctl */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        if (number != SIGKILL && number != SIGSTOP) signal(number, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

/* Sockets, pidfds and terminals of the supervisor are not the child's: close all but stdio and what
 * it needs. */
static void close_others(const int *keep, size_t count)
{
    int low = 3;
    for (;;) { /* close the gaps between the kept ones, in ascending order */
        int next = -1;
        for (size_t i = 0; i < count; i++)
            if (keep[i] >= low && (next < 0 || keep[i] < next)) next = keep[i];
        if (next < 0) break;
        if (next > low) close_range((unsigned)low, (unsigned)next - 1, 0);
        low = next + 1;
    }
    close_range((unsigned)low, ~0u, 0);
}

/* What it allocates lives as long as the peer: until the process ends. */
static void wrap_peer(const void *bug, const struct peer *peer, struct disk *disk, struct net *net,
                      struct peer_config *config)
{
    bug_wrap(bug, peer, disk, net, config);
}

static int run_peer(struct cluster *cluster, uint32_t peer)
{
    const struct cluster_config *config = &cluster->config;
    const struct preset *preset = config->preset;
    char directory[4096];
    dup2(cluster->errors_fd, STDERR_FILENO);
    int keep[] = { cluster->eventfd, cluster->children[peer].file_fd };
    close_others(keep, COUNT(keep));
    char title[16];
    snprintf(title, sizeof(title), "ringside-p%u", peer);
    prctl(PR_SET_NAME, title);
    if (config->data != NULL)
        snprintf(directory, sizeof(directory), "%s/peer-%u", config->data, peer);
    struct rng rng;
    rng_seed(&rng, config->seed, peer, cluster->children[peer].starts);
    struct live_config live = {
        .region = cluster->region,
        .self = peer,
        .life = cluster->children[peer].starts,
        .supervisor_eventfd = cluster->eventfd,
        .wrap = wrap_peer,
        .wrap_context = config->bug,
        .random = rng_next(&rng),
        .store = { .directory = config->data != NULL ? directory : NULL,
                   .file_fd = cluster->children[peer].file_fd,
                   .durable = config->durable,
                   .peer = peer,
                   .peers = config->peers },
        .peer = { .retry_ns = 100 * NS_PER_MS,
                  .raft = { .self = peer,
                            .peers = config->peers,
                            .election_min_ns = region_config(cluster->region)->election_min_ns,
                            .election_max_ns = region_config(cluster->region)->election_max_ns,
                            .heartbeat_ns = preset->heartbeat_ns,
                            .notify_ns = preset->notify_ns,
                            .window = 16384,
                            .noop_on_election = preset->noop_on_election } },
    };
    return live_run(&live);
}

static err_t fork_peer(struct cluster *cluster, uint32_t peer)
{
    struct child *child = &cluster->children[peer];
    CHECK(child->pid == 0); /* C3 */
    child->starts++;
    child->started_ns = real_now_ns();
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) return err_begin(ERR_SYSTEM, "fork of peer %u: %s", peer, strerror(errno));
    if (pid == 0) {
        become_child(parent);
        _exit(run_peer(cluster, peer));
    }
    setpgid(pid, pid);
    child->pid = pid;
    child->paused = false;
    child->pidfd = pidfd_open(pid, 0);
    if (child->pidfd < 0)
        return err_begin(ERR_SYSTEM, "pidfd_open of peer %u: %s", peer, strerror(errno));
    publish_life(cluster, peer);
    return ERR_OK;
}

/* Show what peers have written to stderr since the last time. */
static void show_errors(struct cluster *cluster)
{
    char text[4096];
    ssize_t length;
    while ((length = pread(cluster->errors_fd, text, sizeof(text), cluster->errors_read)) > 0) {
        fwrite(text, 1, (size_t)length, stderr);
        cluster->errors_read += length;
    }
}

static void bury(struct cluster *cluster, uint32_t peer, const siginfo_t *info)
{
    struct child *child = &cluster->children[peer];
    bool by_signal = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
    close(child->pidfd);
    child->pidfd = -1;
    child->pid = 0;
    child->paused = false;
    if (cluster->orders[peer].kill_point != KILL_NOWHERE) { /* it was for that life */
        cluster->orders[peer].kill_point = KILL_NOWHERE;
        cluster_publish_orders(cluster, peer);
    }
    if (!by_signal || info->si_status != SIGKILL) cluster->exits++;
    cluster_note(cluster, NOTE_DIED, peer, by_signal ? (uint64_t)info->si_status : 0,
                 by_signal ? 0 : (uint64_t)info->si_status);
    publish_life(cluster, peer);
    cluster_ring_all(cluster);
    if (!cluster->config.quiet) show_errors(cluster);
}

void cluster_reap(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->config.peers; id++) {
        siginfo_t info = { 0 };
        if (cluster->children[id].pid == 0) continue;
        if (waitid(P_PID, (id_t)cluster->children[id].pid, &info, WEXITED | WNOHANG) != 0) continue;
        if (info.si_pid != 0) bury(cluster, id, &info);
    }
    for (uint32_t i = 0; i < cluster->config.clients; i++) {
        siginfo_t info = { 0 };
        struct child *client = &cluster->clients[i];
        if (client->pid == 0) continue;
        if (waitid(P_PID, (id_t)client->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
            continue;
        client->pid = 0;
    }
}

/* Wait for a child that was just sent SIGKILL. */
static void reap_killed(struct cluster *cluster, uint32_t peer)
{
    siginfo_t info = { 0 };
    while (waitid(P_PID, (id_t)cluster->children[peer].pid, &info, WEXITED) != 0 && errno == EINTR)
        continue;
    bury(cluster, peer, &info);
}

err_t cluster_kill(struct cluster *cluster, uint32_t peer)
{
    if (!cluster_alive(cluster, peer)) return err_begin(ERR_DOWN, "peer %u is dead already", peer);
    pidfd_send_signal(cluster->children[peer].pidfd, SIGKILL, NULL, 0);
    cluster_note(cluster, NOTE_KILLED, peer, 0, 0);
    reap_killed(cluster, peer);
    return ERR_OK;
}

err_t cluster_pause(struct cluster *cluster, uint32_t peer)
{
    struct child *child = &cluster->children[peer];
    if (!cluster_alive(cluster, peer))
        return err_begin(ERR_DOWN, "peer %u is dead, it cannot be paused", peer);
    if (child->paused) return err_begin(ERR_DOWN, "peer %u is paused already", peer);
    pidfd_send_signal(child->pidfd, SIGSTOP, NULL, 0);
    siginfo_t info = { 0 }; /* it may still run for a moment: wait until it has stopped or died */
    while (waitid(P_PID, (id_t)child->pid, &info, WSTOPPED | WEXITED | WNOWAIT) != 0 &&
           errno == EINTR)
        continue;
    if (info.si_code != CLD_STOPPED) {
        cluster_reap(cluster);
        return err_begin(ERR_DOWN, "peer %u died before it could be paused", peer);
    }
    waitid(P_PID, (id_t)child->pid, &info, WSTOPPED | WNOHANG);
    child->paused = true;
    publish_life(cluster, peer);
    cluster_note(cluster, NOTE_PAUSED, peer, 0, 0);
    return ERR_OK;
}

err_t cluster_resume(struct cluster *cluster, uint32_t peer)
{
    struct child *child = &cluster->children[peer];
    if (!cluster_alive(cluster, peer))
        return err_begin(ERR_DOWN, "peer %u is dead, it cannot be resumed", peer);
    if (!child->paused) return err_begin(ERR_DOWN, "peer %u is not paused", peer);
    child->paused = false;
    publish_life(cluster, peer);
    cluster_note(cluster, NOTE_RESUMED, peer, 0, 0);
    pidfd_send_signal(child->pidfd, SIGCONT, NULL, 0);
    return ERR_OK;
}

err_t cluster_restart(struct cluster *cluster, uint32_t peer)
{
    if (cluster_alive(cluster, peer))
        return err_begin(ERR_DOWN, "peer %u is running; kill it first", peer);
    err_t err = fork_peer(cluster, peer);
    if (err == ERR_OK)
        cluster_note(cluster, NOTE_RESTARTED, peer, (uint64_t)cluster->children[peer].pid, 0);
    return err;
}

/* ---- clients ---- */

err_t cluster_fork_client(struct cluster *cluster, uint32_t client, int (*run)(void *),
                          void *context, const int *keep, size_t keep_count)
{
    CHECK(client < cluster->config.clients);
    CHECK(cluster->clients[client].pid == 0);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) return err_begin(ERR_SYSTEM, "fork of a client: %s", strerror(errno));
    if (pid == 0) {
        become_child(parent);
        prctl(PR_SET_NAME, "ringside-load");
        close_others(keep, keep_count);
        if (region_protect(cluster->region, cluster_client_endpoint(cluster, client)) != ERR_OK)
            _exit(1);
        _exit(run(context));
    }
    setpgid(pid, pid);
    cluster->clients[client].pid = pid;
    return ERR_OK;
}

void cluster_kill_client(struct cluster *cluster, uint32_t client)
{
    struct child *child = &cluster->clients[client];
    if (child->pid == 0) return;
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) continue;
    child->pid = 0;
}

/* ---- life ---- */

/* A file without a name (C2): the peer's database where no data directory is given. */
static int unnamed_file(const char *directory, int flags)
{
    if (directory == NULL) directory = getenv("TMPDIR");
    if (directory == NULL || directory[0] == '\0') directory = "/tmp";
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
    /* a file system that cannot: memory then */
    if (fd < 0) fd = memfd_create("ringside-db", MFD_CLOEXEC);
    return fd;
}

static err_t prepare_storage(struct cluster *cluster)
{
    const char *data = cluster->config.data;
    for (uint32_t id = 1; id <= cluster->config.peers; id++) {
        struct child *child = &cluster->children[id];
        child->pidfd = child->file_fd = -1;
        if (data != NULL) continue;
        child->file_fd = unnamed_file(cluster->config.scratch, 0);
        if (child->file_fd < 0)
            return err_begin(ERR_SYSTEM, "a file for peer %u: %s", id, strerror(errno));
    }
    if (data != NULL && mkdir(data, 0700) != 0 && errno != EEXIST)
        return err_begin(ERR_STORAGE, "%s: cannot make the data directory: %s", data,
                         strerror(errno));
    return ERR_OK;
}

static err_t make_region(struct cluster *cluster)
{
    const struct cluster_config *config = &cluster->config;
    const struct preset *preset = config->preset;
    struct region_config region = {
        .peers = config->peers,
        .clients = config->clients,
        .ring_bytes = config->ring_bytes != 0 ? config->ring_bytes : RING_BYTES,
        .seed = config->seed,
        .election_min_ns =
            config->election_min_ns != 0 ? config->election_min_ns : preset->election_min_ns,
        .election_max_ns =
            config->election_max_ns != 0 ? config->election_max_ns : preset->election_max_ns,
        .heartbeat_ns = preset->heartbeat_ns,
    };
    snprintf(region.name, sizeof(region.name), "%s", config->name);
    snprintf(region.bug, sizeof(region.bug), "%s", config->bug != NULL ? config->bug->name : "");
    err_t err = region_create(&region, &cluster->region);
    if (err != ERR_OK) return err;
    clock_start(region_clock(cluster->region), real_now_ns(), PPM);
    return ERR_OK;
}

/* Wait for peers 1..last. One that cannot open its database says so on stderr and exits: that line
 * is the answer to cluster_start. */
static err_t await_start(struct cluster *cluster, uint32_t last)
{
    uint64_t end_ns = real_now_ns() + START_NS;
    for (uint32_t id = 1; id <= last;) {
        char line[1024] = "";
        if (cluster_has_spoken(cluster, id)) {
            id++;
            continue;
        }
        struct pollfd death = { .fd = cluster->children[id].pidfd, .events = POLLIN };
        poll(&death, 1, 1);
        siginfo_t info = { 0 };
        waitid(P_PID, (id_t)cluster->children[id].pid, &info, WEXITED | WNOHANG);
        if (info.si_pid == 0 && real_now_ns() < end_ns) continue;
        if (info.si_pid != 0) cluster->children[id].pid = 0;
        ssize_t length = pread(cluster->errors_fd, line, sizeof(line) - 1, 0);
        if (length > 0) cluster->errors_read = lseek(cluster->errors_fd, 0, SEEK_END);
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0') return err_begin(ERR_SYSTEM, "peer %u did not start", id);
        const char *reason = strncmp(line, "ringside: ", 10) == 0 ? line + 10 : line;
        return err_begin(ERR_STORAGE, "%s", reason);
    }
    return ERR_OK;
}

err_t cluster_start(const struct cluster_config *config, struct cluster **made)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    if (cluster == NULL) return err_begin(ERR_SYSTEM, "out of memory");
    cluster->config = *config;
    cluster->config.durable |= config->data != NULL;
    cluster->began_ns = real_now_ns();
    rng_seed(&cluster->rng, config->seed, 0, 0);
    cluster->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cluster->errors_fd = unnamed_file(NULL, O_APPEND);
    err_t err = prepare_storage(cluster);
    if (err == ERR_OK) err = make_region(cluster);
    for (uint32_t id = 1; err == ERR_OK && id <= config->peers; id++) {
        err = fork_peer(cluster, id);
        /* a database that refuses this cluster does so before any other is made */
        if (err == ERR_OK && id == 1) err = await_start(cluster, 1);
    }
    if (err == ERR_OK) err = await_start(cluster, config->peers);
    if (err != ERR_OK) {
        cluster_stop(cluster);
        return err;
    }
    *made = cluster;
    return ERR_OK;
}

void cluster_stop(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->config.clients; i++) cluster_kill_client(cluster, i);
    for (uint32_t id = 1; id <= cluster->config.peers; id++) { /* all at once, then wait for each */
        struct child *child = &cluster->children[id];
        if (child->pid != 0) kill(child->pid, SIGKILL);
    }
    for (uint32_t id = 1; id <= cluster->config.peers; id++) {
        struct child *child = &cluster->children[id];
        while (child->pid != 0 && waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) continue;
        if (child->pidfd >= 0) close(child->pidfd);
        if (child->file_fd >= 0) close(child->file_fd);
    }
    if (cluster->errors_fd >= 0) {
        show_errors(cluster);
        close(cluster->errors_fd);
    }
    if (cluster->eventfd >= 0) close(cluster->eventfd);
    if (cluster->region != NULL) region_close(cluster->region);
    free(cluster);
}
