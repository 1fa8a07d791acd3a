/* ctl/load.c - forking load clients, ending them, and their records as a history. */
#include "ctl/load.h"

#include "ctl/load_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t FINISH_NS = 3 * NS_PER_S; /* a client that has not ended by then is killed */

/* What one process wrote: a stretch of its endpoint's file. A torn entry can only be at its end. */
struct section {
    uint32_t place, first;
    uint64_t start;
};

struct load {
    struct cluster *cluster;
    struct load_counts *counts; /* shared with the clients; by place, over all loads */
    int fds[CLIENT_MAX];        /* by place; -1: never used */
    struct section *sections;
    size_t sections_count;
    uint32_t callers;   /* numbers given so far */
    uint64_t finish_ns; /* real time; TIME_NEVER: not finishing */
    uint64_t published; /* operations that cluster->facts holds */
};

/* ---- starting ---- */

static struct load *load_new(struct cluster *cluster)
{
    struct load *load = calloc(1, sizeof(*load));
    CHECK(load != NULL);
    load->cluster = cluster;
    load->finish_ns = TIME_NEVER;
    for (size_t i = 0; i < CLIENT_MAX; i++) load->fds[i] = -1;
    load->counts = mmap(NULL, CLIENT_MAX * sizeof(*load->counts), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(load->counts != MAP_FAILED);
    return load;
}

static int record_file(void)
{
    const char *directory = getenv("TMPDIR");
    if (directory == NULL || directory[0] != '/') directory = "/tmp";
    int fd = open(directory, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    fd = memfd_create("ringside-load", MFD_CLOEXEC); /* a file system that cannot: memory then */
    if (fd >= 0) fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

/* The end of a client's file; it has no process now. */
static err_t file_end(const struct load *load, uint32_t place, uint64_t *end)
{
    struct stat info;
    if (fstat(load->fds[place], &info) != 0)
        return err_begin(ERR_SYSTEM, "a load's record: %s", strerror(errno));
    *end = (uint64_t)info.st_size;
    return ERR_OK;
}

static err_t start_client(struct load *load, uint32_t place, const struct command *command)
{
    struct section section = { .place = place, .first = load->callers + 1 };
    if (load->fds[place] < 0) load->fds[place] = record_file();
    if (load->fds[place] < 0)
        return err_begin(ERR_SYSTEM, "a file for a load's record: %s", strerror(errno));
    err_t err = file_end(load, place, &section.start);
    if (err != ERR_OK) return err;
    struct section *grown = reallocarray(load->sections, load->sections_count + 1, sizeof(*grown));
    CHECK(grown != NULL);
    load->sections = grown;
    load->sections[load->sections_count++] = section;
    load->callers += LOAD_CALLERS;
    uint32_t places = command->load.clients;
    struct load_client client = {
        .region = load->cluster->region,
        .endpoint = cluster_client_endpoint(load->cluster, place),
        .first = section.first,
        .place = place,
        .places = places,
        .seed = load->cluster->config.seed,
        .record_fd = load->fds[place],
        .ops = command->load.ops,
        .per_second = command->load.per_second,
        .keys = command->load.keys,
        .bytes = command->load.bytes,
        .counts = &load->counts[place],
    };
    if (getrandom(&client.session, sizeof(client.session), 0) != sizeof(client.session))
        return err_begin(ERR_SYSTEM, "random numbers: %s", strerror(errno));
    client.session |= 1;
    return cluster_fork_client(load->cluster, place, load_client_run, &client, &client.record_fd,
                               1);
}

static void kill_clients(struct load *load)
{
    for (uint32_t i = 0; i < load->cluster->config.clients; i++)
        cluster_kill_client(load->cluster, i);
}

err_t load_start(struct cluster *cluster, const struct command *command, struct load **load)
{
    if (command->load.clients > cluster->config.clients)
        return err_begin(ERR_INPUT, "%u clients are asked for, this cluster has room for %u",
                         command->load.clients, cluster->config.clients);
    if (*load == NULL) *load = load_new(cluster);
    kill_clients(*load);
    (*load)->finish_ns = TIME_NEVER;
    for (uint32_t place = 0; place < command->load.clients; place++) {
        err_t err = start_client(*load, place, command);
        if (err == ERR_OK) continue;
        kill_clients(*load);
        return err_note(err, "load client %u", place + 1);
    }
    load_poll(*load);
    return ERR_OK;
}

/* ---- while it runs ---- */

void load_finish(struct load *load)
{
    if (load->finish_ns != TIME_NEVER) return;
    load->finish_ns = real_now_ns() + FINISH_NS;
    for (uint32_t i = 0; i < load->cluster->config.clients; i++)
        if (load->cluster->clients[i].pid != 0) kill(load->cluster->clients[i].pid, SIGTERM);
}

bool load_running(const struct load *load)
{
    for (uint32_t i = 0; i < load->cluster->config.clients; i++)
        if (load->cluster->clients[i].pid != 0) return true;
    return false;
}

uint64_t load_operations(const struct load *load)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < CLIENT_MAX; i++)
        sum += atomic_load_explicit(&load->counts[i].ok, memory_order_relaxed);
    return sum;
}

void load_poll(struct load *load)
{
    struct cluster_facts *facts = &load->cluster->facts;
    uint64_t operations = load_operations(load), on = load_running(load);
    if (real_now_ns() >= load->finish_ns) kill_clients(load);
    if (operations == load->published && on == facts->load_on) return;
    facts->operations += operations - load->published;
    facts->load_on = on;
    load->published = operations;
    cluster_publish_facts(load->cluster);
}

/* ---- the history ---- */

struct open_call { /* of one caller: called, not yet returned */
    bool open;
    struct load_entry entry;
    const char *texts; /* in the mapped file */
};

/* One operation: its call, and its return or NULL. */
static err_t add_operation(struct history *history, uint32_t first, const struct open_call *call,
                           const struct load_entry *end, const char *output)
{
    char key[16];
    const struct load_entry *entry = &call->entry;
    bool ok = end != NULL && end->status == HISTORY_OK;
    bool writes =
        entry->op == HISTORY_PUT || entry->op == HISTORY_APPEND || entry->op == HISTORY_CAS;
    load_key(entry->key, key);
    char *value = writes ? strndup(call->texts, entry->value_bytes) : NULL;
    char *expect = entry->op == HISTORY_CAS
                       ? strndup(call->texts + entry->value_bytes, entry->other_bytes)
                       : NULL;
    char *read =
        ok && entry->op == HISTORY_GET && end->found ? strndup(output, end->value_bytes) : NULL;
    struct operation operation = {
        .client = first + entry->caller,
        .call_ns = entry->time_ns,
        .return_ns = end != NULL ? end->time_ns : TIME_NEVER,
        .op = entry->op,
        .status = end != NULL ? (enum history_status)end->status : HISTORY_UNKNOWN,
        .key = key,
        .value = value,
        .expect = expect,
        .output = read,
        .done = ok && end->found,
        .done_known = ok && entry->op == HISTORY_DEL,
    };
    err_t err = history_add(history, &operation);
    free(value);
    free(expect);
    free(read);
    return err;
}

/* The next whole entry of from..end; false at the end and where the rest is torn. */
static bool next_entry(const char **from, const char *end, struct load_entry *entry,
                       const char **texts)
{
    if ((size_t)(end - *from) < sizeof(*entry)) return false;
    memcpy(entry, *from, sizeof(*entry));
    uint64_t bytes = (uint64_t)entry->value_bytes + entry->other_bytes;
    if ((uint64_t)(end - *from) - sizeof(*entry) < bytes) return false;
    *texts = *from + sizeof(*entry);
    *from = *texts + bytes;
    return entry->caller < LOAD_CALLERS && entry->op <= HISTORY_CAS &&
           entry->status <= HISTORY_UNKNOWN;
}

static err_t read_section(const struct section *section, const char *from, const char *end,
                          struct history *history)
{
    struct open_call calls[LOAD_CALLERS] = { 0 };
    struct load_entry entry;
    const char *texts;
    err_t err = ERR_OK;
    while (err == ERR_OK && next_entry(&from, end, &entry, &texts)) {
        struct open_call *call = &calls[entry.caller];
        if (entry.kind == LOAD_CALL) {
            *call = (struct open_call){ true, entry, texts };
        } else if (call->open) {
            call->open = false;
            err = add_operation(history, section->first, call, &entry, texts);
        }
    }
    for (size_t i = 0; err == ERR_OK && i < LOAD_CALLERS; i++)
        if (calls[i].open) err = add_operation(history, section->first, &calls[i], NULL, "");
    return err;
}

/* All that was written at one place. */
static err_t read_place(const struct load *load, uint32_t place, struct history *history)
{
    uint64_t bytes = 0;
    err_t err = file_end(load, place, &bytes);
    if (err != ERR_OK || bytes == 0) return err;
    char *text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, load->fds[place], 0);
    if (text == MAP_FAILED) return err_begin(ERR_SYSTEM, "a load's record: %s", strerror(errno));
    uint64_t end = bytes; /* of the section looked at: from the last to the first */
    for (size_t i = load->sections_count; err == ERR_OK && i-- > 0;) {
        const struct section *section = &load->sections[i];
        if (section->place != place) continue;
        err = read_section(section, text + section->start, text + end, history);
        end = section->start;
    }
    munmap(text, bytes);
    return err;
}

err_t load_history(struct load *load, struct history *history)
{
    CHECK(!load_running(load));
    for (uint32_t place = 0; place < CLIENT_MAX; place++) {
        if (load->fds[place] < 0) continue;
        int problem = (int)atomic_load(&load->counts[place].record_errno);
        if (problem != 0)
            return err_begin(ERR_STORAGE, "load client %u could not write its record: %s",
                             place + 1, strerror(problem));
        err_t err = read_place(load, place, history);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

void load_close(struct load *load)
{
    kill_clients(load);
    for (size_t i = 0; i < CLIENT_MAX; i++)
        if (load->fds[i] >= 0) close(load->fds[i]);
    munmap(load->counts, CLIENT_MAX * sizeof(*load->counts));
    free(load->sections);
    free(load);
}
