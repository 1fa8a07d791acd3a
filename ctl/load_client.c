/* ctl/load_client.c - one process of a load. */
#include "ctl/load_client.h"

#include "ctl/client.h"
#include "sim/history.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

static const uint64_t RETRY_NS = 100 * NS_PER_MS;
static const uint64_t GIVE_UP_NS = 5 * NS_PER_S;
static const uint64_t DRAIN_NS = NS_PER_S;
static const uint64_t NAP_NS = 50 * NS_PER_MS; /* SIGTERM may come just before a sleep */

struct caller { /* a client as the history knows it */
    bool open;
    struct rng rng;
    uint64_t operations;
    uint32_t op, key;
    char *value; /* that the open operation writes */
};

struct worker {
    const struct load_client *config;
    struct client *client;
    struct caller callers[LOAD_CALLERS];
    uint64_t next_ns, period_ns; /* cluster time of the next call; period 0: at once */
    char **seen; /* by key: the last value that came by here; NULL: none, or deleted */
};

static volatile sig_atomic_t stopping; /* of this process alone */

static void on_term(int number)
{
    UNUSED(number);
    stopping = 1;
}

void load_key(uint32_t number, char text[16])
{
    snprintf(text, 16, "k%u", number);
}

/* ---- the record ---- */

static bool record(struct worker *worker, const struct load_entry *entry, const char *value,
                   const char *other)
{
    struct iovec parts[] = { { (void *)(uintptr_t)entry, sizeof(*entry) },
                             { (void *)(uintptr_t)value, entry->value_bytes },
                             { (void *)(uintptr_t)other, entry->other_bytes } };
    ssize_t wanted = (ssize_t)(sizeof(*entry) + entry->value_bytes + entry->other_bytes), written;
    while ((written = writev(worker->config->record_fd, parts, COUNT(parts))) < 0 && errno == EINTR)
        continue;
    if (written == wanted) return true;
    atomic_store(&worker->config->counts->record_errno, (uint64_t)(written < 0 ? errno : ENOSPC));
    return false;
}

/* ---- what was seen, for cas ---- */

static void see(struct worker *worker, uint32_t key, const char *value, size_t bytes)
{
    if ((worker->config->ops & LOAD_CAS) == 0) return;
    free(worker->seen[key]);
    worker->seen[key] = value != NULL ? strndup(value, bytes) : NULL;
}

/* ---- calling ---- */

/* Unlike any other value of the history: whose it is and which; then dots up to the length. */
static char *new_value(const struct worker *worker, const struct caller *caller)
{
    char text[48];
    size_t wanted = worker->config->bytes;
    uint32_t number = worker->config->first + (uint32_t)(caller - worker->callers);
    size_t length = (size_t)snprintf(text, sizeof(text), "c%u-%llu", number,
                                     (unsigned long long)caller->operations);
    char *value = malloc(MAX_OF(length, wanted) + 1);
    CHECK(value != NULL);
    memcpy(value, text, length + 1);
    if (wanted > length) {
        memset(value + length, '.', wanted - length);
        value[wanted] = '\0';
    }
    return value;
}

static void choose(struct worker *worker, struct caller *caller)
{
    static const struct {
        uint32_t bit, op;
    } table[] = { { LOAD_PUT, HISTORY_PUT },
                  { LOAD_GET, HISTORY_GET },
                  { LOAD_DEL, HISTORY_DEL },
                  { LOAD_APPEND, HISTORY_APPEND },
                  { LOAD_CAS, HISTORY_CAS } };
    uint32_t choices[COUNT(table)], count = 0;
    for (size_t i = 0; i < COUNT(table); i++)
        if (worker->config->ops & table[i].bit) choices[count++] = table[i].op;
    CHECK(count > 0);
    caller->operations++;
    caller->key = (uint32_t)rng_range(&caller->rng, 1, worker->config->keys);
    caller->op = choices[rng_range(&caller->rng, 0, count - 1)];
    /* without a value to expect a cas could not succeed: the first of a key is a put */
    if (caller->op == HISTORY_CAS && worker->seen[caller->key] == NULL) caller->op = HISTORY_PUT;
    if (caller->op == HISTORY_GET || caller->op == HISTORY_DEL) return;
    caller->value = new_value(worker, caller);
}

static void fill_command(const struct worker *worker, const struct caller *caller, const char *key,
                         struct kv_command *command)
{
    static const uint32_t ops[] = { [HISTORY_PUT] = KV_PUT,
                                    [HISTORY_GET] = KV_GET,
                                    [HISTORY_DEL] = KV_DEL,
                                    [HISTORY_APPEND] = KV_APPEND,
                                    [HISTORY_CAS] = KV_CAS };
    const char *expected = caller->op == HISTORY_CAS ? worker->seen[caller->key] : "";
    const char *value = caller->value != NULL ? caller->value : "";
    *command = (struct kv_command){
        .op = ops[caller->op],
        .key = (const uint8_t *)key,
        .key_bytes = (uint32_t)strlen(key),
        .value = (const uint8_t *)value,
        .value_bytes = (uint32_t)strlen(value),
        .expected = (const uint8_t *)expected,
        .expected_bytes = (uint32_t)strlen(expected),
    };
}

/* Record the call, then send it (L1 of ctl/load.h). */
static bool call(struct worker *worker, struct caller *caller)
{
    char key[16];
    struct kv_command command;
    choose(worker, caller);
    load_key(caller->key, key);
    fill_command(worker, caller, key, &command);
    if (kv_encoded_bytes(&command) > ENTRY_BYTES_MAX) { /* an appended value has outgrown cas */
        caller->op = HISTORY_PUT;
        fill_command(worker, caller, key, &command);
    }
    struct load_entry entry = { .time_ns = real_now_ns(),
                                .caller = (uint32_t)(caller - worker->callers),
                                .key = caller->key,
                                .value_bytes = command.value_bytes,
                                .other_bytes = command.expected_bytes,
                                .kind = LOAD_CALL,
                                .op = (uint8_t)caller->op };
    if (!record(worker, &entry, (const char *)command.value, (const char *)command.expected))
        return false;
    bool sent = client_submit(worker->client, &command, caller);
    CHECK(sent); /* there is room for more than LOAD_CALLERS */
    caller->open = true;
    return true;
}

/* ---- returning ---- */

static bool returned(struct worker *worker, struct caller *caller,
                     const struct client_result *result)
{
    static const uint8_t statuses[] = {
        [RESULT_OK] = HISTORY_OK, [RESULT_FAIL] = HISTORY_FAIL, [RESULT_UNKNOWN] = HISTORY_UNKNOWN
    };
    struct load_entry entry = { .time_ns = real_now_ns(),
                                .caller = (uint32_t)(caller - worker->callers),
                                .key = caller->key,
                                .kind = LOAD_RETURN,
                                .op = (uint8_t)caller->op,
                                .status = statuses[result->status] };
    struct load_counts *counts = worker->config->counts;
    const char *text = "";
    if (result->status == RESULT_OK) {
        entry.found = result->packet->frame.flag != 0;
        if (caller->op == HISTORY_GET && entry.found) {
            text = (const char *)result->packet->body;
            entry.value_bytes = result->packet->frame.body_bytes;
        }
        if (caller->op == HISTORY_GET)
            see(worker, caller->key, entry.found ? text : NULL, entry.value_bytes);
        if (caller->op == HISTORY_DEL) see(worker, caller->key, NULL, 0);
        if (caller->op == HISTORY_PUT || (caller->op == HISTORY_CAS && entry.found))
            see(worker, caller->key, caller->value, strlen(caller->value));
    }
    free(caller->value);
    caller->value = NULL;
    caller->open = false;
    if (!record(worker, &entry, text, "")) return false;
    if (result->status == RESULT_OK) counts->ok++;
    if (result->status == RESULT_FAIL) counts->fail++;
    if (result->status == RESULT_UNKNOWN) counts->unknown++;
    return true;
}

/* ---- the loop ---- */

/* Call whatever is due. *wake_ns: real time when the next is. */
static bool call_due(struct worker *worker, uint64_t now_ns, uint64_t *wake_ns)
{
    struct clock_face face;
    if (!clock_read(region_clock(worker->config->region), &face))
        return true; /* it changes: next round */
    uint64_t cluster_ns = clock_at(&face, now_ns);
    for (size_t i = 0; i < LOAD_CALLERS; i++) {
        struct caller *caller = &worker->callers[i];
        if (caller->open) continue;
        if (worker->period_ns > 0 && cluster_ns < worker->next_ns) {
            *wake_ns = MIN_OF(*wake_ns, clock_when(&face, worker->next_ns));
            return true;
        }
        worker->next_ns += worker->period_ns;
        if (!call(worker, caller)) return false;
    }
    worker->next_ns = MAX_OF(worker->next_ns,
                             cluster_ns); /* what could not be called in time is not made up for */
    return true;
}

static int work(struct worker *worker)
{
    uint64_t drain_ns = TIME_NEVER;
    for (;;) {
        struct client_result result;
        while (client_poll(worker->client, &result))
            if (!returned(worker, result.tag, &result)) return 1;
        uint64_t now_ns = real_now_ns(), wake_ns = now_ns + NAP_NS;
        if (stopping && drain_ns == TIME_NEVER) drain_ns = now_ns + DRAIN_NS;
        if (now_ns >= drain_ns) return 0;
        if (stopping && client_outstanding(worker->client) == 0) return 0;
        if (!stopping && !call_due(worker, now_ns, &wake_ns)) return 1;
        client_sleep(worker->client, MIN_OF(wake_ns, drain_ns));
    }
}

int load_client_run(void *load_client)
{
    const struct load_client *config = load_client;
    struct worker worker = { .config = config };
    struct sigaction action = { .sa_handler = on_term };
    sigaction(SIGTERM, &action, NULL);
    worker.seen = calloc((size_t)config->keys + 1, sizeof(*worker.seen));
    CHECK(worker.seen != NULL);
    if (config->per_second > 0) {
        struct clock_face face = { 0 };
        clock_read(region_clock(config->region), &face);
        worker.period_ns = NS_PER_S * config->places / config->per_second;
        worker.next_ns =
            clock_at(&face, real_now_ns()) + worker.period_ns * config->place / config->places;
    }
    for (uint32_t i = 0; i < LOAD_CALLERS; i++)
        rng_seed(&worker.callers[i].rng, config->seed, config->first + i, 1);
    worker.client =
        client_open(config->region, config->endpoint, config->session, RETRY_NS, GIVE_UP_NS);
    int code = work(&worker);
    client_close(worker.client);
    for (uint32_t key = 0; key <= config->keys; key++) free(worker.seen[key]);
    for (uint32_t i = 0; i < LOAD_CALLERS; i++) free(worker.callers[i].value);
    free(worker.seen);
    return code;
}
