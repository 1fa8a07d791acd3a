/* sim/callers.c - one operation after the other, until it is known or given up. */
#include "sim/callers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILLER = '~' }; /* makes values large; the history leaves it out */

static uint32_t some_peer(struct callers *callers)
{
    return (uint32_t)rng_range(&callers->rng, 1, callers->world->peers);
}

static void plan_wake(struct callers *callers)
{
    uint64_t due_ns = TIME_NEVER;
    for (uint32_t i = 0; i < callers->count; i++)
        due_ns = MIN_OF(due_ns, callers->caller[i].due_ns);
    callers->world->guests_due_ns = due_ns;
}

/* ---- an operation begins ---- */

/* A value that nobody else writes, sometimes followed by filler. */
static uint32_t draw_value(struct callers *callers, struct caller *caller, uint8_t **value)
{
    static const uint32_t edges[] = { WIRE_BYTES_SOFT, WIRE_BYTES_SOFT / 2, KV_VALUE_MAX,
                                      KV_VALUE_MAX + 1u, ENTRY_BYTES_MAX + 1u };
    struct rng *rng = &callers->rng;
    uint32_t used =
        (uint32_t)snprintf(caller->value, CALLER_TEXT, "%u.%llu;", (unsigned)caller->session,
                           (unsigned long long)caller->sequence);
    uint32_t bytes = used;
    bool pads = caller->operation.op == HISTORY_PUT;
    if (pads && rng_chance(rng, callers->large_ppm)) {
        bytes = edges[rng_range(rng, 0, COUNT(edges) - 1)] - (uint32_t)rng_range(rng, 0, 1);
        if (rng_chance(rng, PPM / 3)) bytes = (uint32_t)rng_range(rng, 200u << 10, KV_VALUE_MAX);
        callers->said[SAID_LARGE] += bytes > WIRE_BYTES_SOFT;
    } else if (pads && rng_chance(rng, PPM / 3)) {
        bytes += (uint32_t)rng_range(rng, 0, 2000);
    }
    *value = malloc(bytes);
    CHECK(*value != NULL);
    memset(*value, FILLER, bytes);
    memcpy(*value, caller->value, used);
    return bytes;
}

static enum history_op draw_op(struct callers *callers)
{
    static const struct {
        enum history_op op;
        uint32_t until;
    } shares[] = { { HISTORY_GET, 40 },
                   { HISTORY_PUT, 75 },
                   { HISTORY_APPEND, 87 },
                   { HISTORY_CAS, 95 },
                   { HISTORY_DEL, 100 } };
    uint64_t draw = rng_range(&callers->rng, 0, 99);
    size_t i = 0;
    while (draw >= shares[i].until) i++;
    return shares[i].op;
}

static void encode(struct callers *callers, struct caller *caller, uint32_t key)
{
    static const enum kv_op ops[] = { [HISTORY_PUT] = KV_PUT,
                                      [HISTORY_GET] = KV_GET,
                                      [HISTORY_DEL] = KV_DEL,
                                      [HISTORY_APPEND] = KV_APPEND,
                                      [HISTORY_CAS] = KV_CAS };
    struct operation *operation = &caller->operation;
    struct kv_command command = { .client = caller->session,
                                  .sequence = caller->sequence,
                                  .op = ops[operation->op],
                                  .key = (const uint8_t *)caller->key,
                                  .key_bytes = (uint32_t)strlen(caller->key) };
    uint8_t *value = NULL;
    if (operation->op != HISTORY_GET && operation->op != HISTORY_DEL) {
        command.value_bytes = draw_value(callers, caller, &value);
        command.value = value;
        operation->value = caller->value;
    }
    if (operation->op == HISTORY_CAS) {
        memcpy(caller->expect, caller->seen[key], sizeof(caller->expect));
        operation->expect = caller->expect;
        command.expected = (const uint8_t *)caller->expect;
        command.expected_bytes = (uint32_t)strlen(caller->expect);
    }
    free(caller->body);
    caller->body = malloc(kv_encoded_bytes(&command));
    CHECK(caller->body != NULL);
    caller->body_bytes = (uint32_t)kv_encode(&command, caller->body, kv_encoded_bytes(&command));
    free(value);
}

static void begin(struct callers *callers, struct caller *caller)
{
    uint32_t key = (uint32_t)rng_range(&callers->rng, 0, CALLERS_KEYS - 1);
    enum history_op op = draw_op(callers);
    if (callers->ending) {
        key = --caller->reads_left;
        op = HISTORY_GET;
    }
    caller->busy = true;
    caller->sequence++;
    snprintf(caller->key, sizeof(caller->key), "k%u", key);
    caller->operation = (struct operation){
        .client = caller->session, .call_ns = callers->world->now_ns, .op = op, .key = caller->key
    };
    encode(callers, caller, key);
    bool patient = callers->ending || rng_chance(&callers->rng, PPM / 2);
    caller->give_up_ns = patient ? TIME_NEVER : callers->world->now_ns + 10 * callers->patience_ns;
}

static void send(struct callers *callers, struct caller *caller)
{
    struct packet packet = {
        .frame = { .kind = MESSAGE_CLIENT_REQUEST,
                   .from = (uint8_t)caller->endpoint,
                   .to = (uint8_t)caller->target,
                   .body_bytes = caller->body_bytes,
                   .client = { .request = caller->sequence } },
        .body = caller->body,
    };
    world_send(callers->world, &packet);
    caller->due_ns = callers->world->now_ns + callers->patience_ns;
}

/* ---- an operation ends ---- */

static void end(struct callers *callers, struct caller *caller, enum history_status status)
{
    struct operation *operation = &caller->operation;
    operation->status = status;
    operation->return_ns = status == HISTORY_UNKNOWN ? TIME_NEVER : callers->world->now_ns;
    callers->said[status == HISTORY_OK     ? SAID_OK
                  : status == HISTORY_FAIL ? SAID_FAILED
                                           : SAID_UNKNOWN]++;
    CHECK(history_add(&callers->history, operation) == ERR_OK);
    caller->busy = false;
    caller->due_ns = callers->world->now_ns + rng_range(&callers->rng, 0, callers->think_ns);
    if (callers->ending && caller->reads_left == 0) caller->due_ns = TIME_NEVER;
}

static void remember(struct caller *caller, const char *text, size_t bytes)
{
    if (bytes >= CALLER_TEXT) return;
    memcpy(caller->seen[caller->key[1] - '0'], text, bytes);
    caller->seen[caller->key[1] - '0'][bytes] = '\0';
}

static void succeed(struct callers *callers, struct caller *caller, const struct packet *packet)
{
    struct operation *operation = &caller->operation;
    char *output = NULL;
    operation->done = packet->frame.flag != 0;
    operation->done_known = operation->op == HISTORY_DEL;
    if (operation->op == HISTORY_GET && operation->done) {
        size_t used = 0;
        output = malloc(packet->frame.body_bytes + 1u);
        CHECK(output != NULL);
        for (uint32_t i = 0; i < packet->frame.body_bytes; i++)
            if (packet->body[i] != FILLER) output[used++] = (char)packet->body[i];
        output[used] = '\0';
        operation->output = output;
        if (used == packet->frame.body_bytes) remember(caller, output, used);
    }
    if (operation->op != HISTORY_GET) /* a read is judged by what it saw */
        ledger_answered(&callers->world->ledger, caller->session, caller->sequence);
    end(callers, caller, HISTORY_OK);
    free(output);
}

static void on_reply(struct callers *callers, struct caller *caller, const struct packet *packet)
{
    const struct frame *frame = &packet->frame;
    uint64_t now_ns = callers->world->now_ns;
    if (!caller->busy || frame->client.request != caller->sequence) {
        callers->said[SAID_LATE]++;
        return;
    }
    switch (frame->client.status) {
    case REPLY_OK: succeed(callers, caller, packet); return;
    case REPLY_TOO_LARGE: end(callers, caller, HISTORY_FAIL); return;
    case REPLY_NOT_LEADER:
        if (frame->from != caller->target) return; /* it was asked before another one was */
        callers->said[SAID_NOT_LEADER]++;
        caller->target = frame->client.leader != 0 ? frame->client.leader : some_peer(callers);
        caller->due_ns = now_ns + rng_range(&callers->rng, 0, 20) * NS_PER_MS;
        return;
    case REPLY_LEADERSHIP_LOST:
        callers->said[SAID_LEADERSHIP_LOST]++;
        caller->due_ns = now_ns + rng_range(&callers->rng, 0, 20) * NS_PER_MS;
        return;
    case REPLY_BUSY: return;
    default:
        ledger_broken(&callers->world->ledger, "AN", "peer %u answers client %u: %s", frame->from,
                      frame->to, reply_text(frame->client.status));
    }
}

static void take(void *guests, const struct packet *packet)
{
    struct callers *callers = guests;
    const struct frame *frame = &packet->frame;
    if (frame->kind == MESSAGE_START_REPLY) {
        callers->said[SAID_STARTED] += frame->client.status == REPLY_OK;
    } else if (frame->kind == MESSAGE_APPLIED_REPLY) {
        callers->said[SAID_APPLIED] += frame->count > 0;
        ledger_applied(&callers->world->ledger, frame->client.index, packet->entries, frame->count);
    } else {
        for (uint32_t i = 0; i < callers->count; i++)
            if (callers->caller[i].endpoint == frame->to)
                on_reply(callers, &callers->caller[i], packet);
    }
    plan_wake(callers);
}

/* ---- what the world asks of its guests ---- */

static void act(void *guests)
{
    struct callers *callers = guests;
    for (uint32_t i = 0; i < callers->count; i++) {
        struct caller *caller = &callers->caller[i];
        if (caller->due_ns > callers->world->now_ns) continue;
        if (!caller->busy) {
            begin(callers, caller);
            send(callers, caller);
        } else if (callers->world->now_ns >= caller->give_up_ns) {
            end(callers, caller, HISTORY_UNKNOWN);
        } else {
            callers->said[SAID_AGAIN]++;
            if (rng_chance(&callers->rng, PPM / 2)) caller->target = some_peer(callers);
            send(callers, caller);
        }
    }
    plan_wake(callers);
}

void callers_flood(struct callers *callers, uint32_t to, uint32_t count)
{
    uint8_t bytes[32];
    for (uint32_t i = 0; i < count; i++) {
        memset(bytes, (int)(i % 251), sizeof(bytes));
        struct packet packet = {
            .frame = { .kind = MESSAGE_START_REQUEST,
                       .from = (uint8_t)callers->caller[0].endpoint,
                       .to = (uint8_t)to,
                       .body_bytes = (uint32_t)rng_range(&callers->rng, 0, sizeof(bytes)) },
            .body = bytes,
        };
        world_send(callers->world, &packet);
    }
}

void callers_ask(struct callers *callers, uint32_t to, uint64_t from_index)
{
    struct packet packet = {
        .frame = { .kind = MESSAGE_APPLIED_QUERY,
                   .from = (uint8_t)callers->caller[0].endpoint,
                   .to = (uint8_t)to,
                   .client = { .index = from_index } },
    };
    world_send(callers->world, &packet);
}

void callers_end(struct callers *callers)
{
    callers->ending = true;
    for (uint32_t i = 0; i < callers->count; i++) {
        callers->caller[i].give_up_ns = TIME_NEVER;
        callers->caller[i].reads_left = CALLERS_KEYS;
    }
}

bool callers_rest(const struct callers *callers)
{
    for (uint32_t i = 0; i < callers->count; i++)
        if (callers->caller[i].busy || callers->caller[i].reads_left > 0) return false;
    return callers->ending;
}

/* ---- life ---- */

void callers_open(struct callers *callers, struct world *world, uint64_t seed)
{
    memset(callers, 0, sizeof(*callers));
    callers->world = world;
    rng_seed(&callers->rng, seed, 3, 0);
    history_init(&callers->history);
    callers->count = (uint32_t)rng_range(&callers->rng, 2, WORLD_CALLERS);
    callers->think_ns = rng_range(&callers->rng, 1, 200) * NS_PER_MS;
    callers->patience_ns = rng_range(&callers->rng, 30, 200) * NS_PER_MS;
    callers->large_ppm = rng_chance(&callers->rng, PPM / 8) ? PPM / 15 : 0;
    if (rng_chance(&callers->rng, PPM / 20)) { /* then followers are behind by more than a turn */
        callers->large_ppm = PPM / 3;
        callers->think_ns = 200 * NS_PER_MS;
    }
    for (uint32_t i = 0; i < callers->count; i++) {
        struct caller *caller = &callers->caller[i];
        caller->endpoint = world->peers + 1 + i;
        caller->session = i + 1;
        caller->target = some_peer(callers);
        caller->due_ns = rng_range(&callers->rng, 0, NS_PER_S);
    }
    world->guests = callers;
    world->guests_act = act;
    world->guests_take = take;
    plan_wake(callers);
}

void callers_close(struct callers *callers)
{
    for (uint32_t i = 0; i < callers->count; i++) free(callers->caller[i].body);
    history_free(&callers->history);
}
