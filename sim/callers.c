/* sim/callers.c - one operation after the other, until it is known or given up. */
#include "sim/callers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILLER = '~' }; /* makes values large; the history leaves it out */
enum { VALUE_TEXT = 48, SESSION_ASKED = 1 };
enum { ASKED_MAX = KV_WINDOW / 2 }; /* beyond it the session would forget those that still wait */
static const uint64_t HINT_NS = 20 * NS_PER_MS; /* until it follows a hint, at most */
static const uint64_t ASK_PATIENCE_NS = 300 * NS_PER_MS, ASK_GIVE_UP_NS = 8 * NS_PER_S;

static const struct {
    enum verb verb;
    enum kv_op op;
    uint32_t load, share; /* how often it is chosen beside the others */
} kinds[] = {
    [HISTORY_PUT] = { VERB_PUT, KV_PUT, LOAD_PUT, 35 },
    [HISTORY_GET] = { VERB_GET, KV_GET, LOAD_GET, 40 },
    [HISTORY_DEL] = { VERB_DEL, KV_DEL, LOAD_DEL, 5 },
    [HISTORY_APPEND] = { VERB_APPEND, KV_APPEND, LOAD_APPEND, 12 },
    [HISTORY_CAS] = { VERB_CAS, KV_CAS, LOAD_CAS, 8 },
};

static uint32_t some_peer(struct callers *callers)
{
    return (uint32_t)rng_range(&callers->rng, 1, callers->world->peers);
}

static void plan_wake(struct callers *callers)
{
    uint64_t due_ns = TIME_NEVER;
    for (uint32_t i = 0; i < callers->count; i++) due_ns = MIN_OF(due_ns, callers->calls[i].due_ns);
    for (size_t i = callers->asked_from; i < callers->asked_count; i++)
        if (callers->asked[i]->open) due_ns = MIN_OF(due_ns, callers->asked[i]->due_ns);
    callers->world->guests.due_ns = due_ns;
}

/* ---- an operation begins ---- */

/* The command as bytes; `padded` stands in for the value where it is longer than the history's. */
static void encode(struct call *call, const uint8_t *padded, uint32_t padded_bytes)
{
    const struct operation *operation = &call->operation;
    const char *value = operation->value, *expect = operation->expect;
    struct kv_command command = {
        .client = call->session,
        .sequence = call->sequence,
        .op = kinds[operation->op].op,
        .key = (const uint8_t *)operation->key,
        .key_bytes = (uint32_t)strlen(operation->key),
        .value = padded != NULL ? padded : (const uint8_t *)value,
        .value_bytes = padded != NULL  ? padded_bytes
                       : value != NULL ? (uint32_t)strlen(value)
                                       : 0,
        .expected = (const uint8_t *)expect,
        .expected_bytes = expect != NULL ? (uint32_t)strlen(expect) : 0,
    };
    free(call->body);
    call->body = malloc(kv_encoded_bytes(&command));
    CHECK(call->body != NULL);
    call->body_bytes = (uint32_t)kv_encode(&command, call->body, kv_encoded_bytes(&command));
}

static void send(struct callers *callers, struct call *call)
{
    struct packet packet = {
        .frame = { .kind = MESSAGE_CLIENT_REQUEST,
                   .from = (uint8_t)call->endpoint,
                   .to = (uint8_t)call->target,
                   .body_bytes = call->body_bytes,
                   .client = { .request = call->sequence } },
        .body = call->body,
    };
    world_send(callers->world, &packet);
    call->unrefused++;
    call->told = false;
    call->due_ns = callers->world->now_ns + call->patience_ns;
}

/* How long a value shall be; 0: as its text. */
static uint32_t draw_length(struct callers *callers, const struct call *call, size_t text)
{
    static const uint32_t edges[] = { WIRE_BYTES_SOFT, WIRE_BYTES_SOFT / 2, KV_VALUE_MAX,
                                      KV_VALUE_MAX + 1u, ENTRY_BYTES_MAX + 1u };
    struct rng *rng = &callers->rng;
    uint32_t bytes = MAX_OF(callers->shape.bytes, (uint32_t)text);
    if (callers->shape.large_ppm == 0 || call->operation.op != HISTORY_PUT) return bytes;
    if (rng_chance(rng, callers->shape.large_ppm)) {
        bytes = edges[rng_range(rng, 0, COUNT(edges) - 1)] - (uint32_t)rng_range(rng, 0, 1);
        if (rng_chance(rng, PPM / 3)) bytes = (uint32_t)rng_range(rng, 200u << 10, KV_VALUE_MAX);
        callers->said[SAID_LARGE] += bytes > WIRE_BYTES_SOFT;
    } else if (rng_chance(rng, PPM / 3)) {
        bytes += (uint32_t)rng_range(rng, 0, 2000);
    }
    return bytes;
}

static enum history_op draw_op(struct callers *callers, uint32_t key)
{
    uint32_t sum = 0, i = 0;
    for (uint32_t kind = 0; kind < COUNT(kinds); kind++)
        if (callers->shape.ops & kinds[kind].load) sum += kinds[kind].share;
    uint64_t draw = rng_range(&callers->rng, 0, sum - 1);
    for (;; i++) {
        if ((callers->shape.ops & kinds[i].load) == 0) continue;
        if (draw < kinds[i].share) break;
        draw -= kinds[i].share;
    }
    /* without a value to expect a cas could not succeed */
    if (i == HISTORY_CAS && callers->seen[key] == NULL) return HISTORY_PUT;
    return (enum history_op)i;
}

static void begin(struct callers *callers, struct call *call)
{
    char key[16], text[VALUE_TEXT];
    const struct load_shape *shape = &callers->shape;
    struct world *world = callers->world;
    call->key = callers->ending ? --call->reads_left
                                : (uint32_t)rng_range(&callers->rng, 0, shape->keys - 1);
    snprintf(key, sizeof(key), "k%u", call->key + 1);
    call->operation = (struct operation){
        .client = call->session,
        .call_ns = world->now_ns,
        .op = callers->ending ? HISTORY_GET : draw_op(callers, call->key),
        .key = history_text(&callers->history, key),
    };
    call->sequence++;
    uint8_t *padded = NULL;
    uint32_t bytes = 0;
    if (call->operation.op != HISTORY_GET && call->operation.op != HISTORY_DEL) {
        /* unlike any other value of the history: whose it is and which */
        int length = snprintf(text, sizeof(text), "c%u-%llu;", (unsigned)call->session,
                              (unsigned long long)call->sequence);
        call->operation.value = history_text(&callers->history, text);
        bytes = draw_length(callers, call, (size_t)length);
        padded = malloc(bytes);
        CHECK(padded != NULL);
        memset(padded, FILLER, bytes);
        memcpy(padded, text, (size_t)length);
    }
    if (call->operation.op == HISTORY_CAS) call->operation.expect = callers->seen[call->key];
    encode(call, padded, bytes);
    free(padded);
    bool patient = callers->ending || rng_chance(&callers->rng, shape->patient_ppm);
    call->unrefused = 0;
    call->give_up_ns = patient ? TIME_NEVER : world->now_ns + shape->give_up_ns;
    call->open = true;
}

/* ---- an operation ends ---- */

static bool is_client(const struct call *call)
{
    return call->endpoint != 0;
}

static void rest_until_next(struct callers *callers, struct call *call)
{
    uint64_t now_ns = callers->world->now_ns;
    if (callers->shape.period_ns > 0) {
        call->next_ns = MAX_OF(call->next_ns + callers->shape.period_ns, now_ns);
        call->due_ns = call->next_ns;
    } else {
        call->due_ns = now_ns + rng_range(&callers->rng, 0, callers->shape.think_ns);
    }
    if (callers->ending && call->reads_left == 0) call->due_ns = TIME_NEVER;
}

static void end(struct callers *callers, struct call *call, enum history_status status)
{
    struct operation *operation = &call->operation;
    operation->status = status;
    operation->return_ns = status == HISTORY_UNKNOWN ? TIME_NEVER : callers->world->now_ns;
    callers->said[status == HISTORY_OK     ? SAID_OK
                  : status == HISTORY_FAIL ? SAID_FAILED
                                           : SAID_UNKNOWN]++;
    CHECK(history_add(&callers->history, operation) == ERR_OK);
    call->open = false;
    call->due_ns = TIME_NEVER;
    if (is_client(call)) rest_until_next(callers, call);
    while (callers->asked_from < callers->asked_count && !callers->asked[callers->asked_from]->open)
        callers->asked_from++;
}

/* The text without its filler; NULL: it is too long to be met again. */
static const char *met(struct callers *callers, const struct packet *packet)
{
    uint32_t bytes = packet->frame.body_bytes, used = 0;
    char *text = malloc(bytes + 1u);
    CHECK(text != NULL);
    for (uint32_t i = 0; i < bytes; i++)
        if (packet->body[i] != FILLER) text[used++] = (char)packet->body[i];
    text[used] = '\0';
    const char *kept = history_text(&callers->history, text);
    free(text);
    return kept;
}

static void succeed(struct callers *callers, struct call *call, const struct packet *packet)
{
    struct operation *operation = &call->operation;
    operation->done = packet->frame.flag != 0;
    operation->done_known = operation->op == HISTORY_DEL;
    if (operation->op == HISTORY_GET && operation->done) {
        operation->output = met(callers, packet);
        bool whole = strlen(operation->output) == packet->frame.body_bytes;
        if (is_client(call) && whole) callers->seen[call->key] = operation->output;
    }
    if (operation->op != HISTORY_GET) /* a read is judged by what it saw */
        ledger_answered(&callers->world->ledger, call->session, call->sequence);
    end(callers, call, HISTORY_OK);
}

static void on_reply(struct callers *callers, struct call *call, const struct packet *packet)
{
    const struct frame *frame = &packet->frame;
    uint64_t now_ns = callers->world->now_ns;
    switch (frame->client.status) {
    case REPLY_OK: succeed(callers, call, packet); return;
    case REPLY_TOO_LARGE: end(callers, call, HISTORY_FAIL); return;
    case REPLY_NOT_LEADER:
        call->unrefused -= call->unrefused > 0;
        if (frame->from != call->target) return; /* it was asked before another one was */
        callers->said[SAID_NOT_LEADER]++;
        call->target = frame->client.leader != 0 ? frame->client.leader : some_peer(callers);
        call->told = true;
        call->due_ns = now_ns + rng_range(&callers->rng, 0, HINT_NS);
        return;
    case REPLY_LEADERSHIP_LOST:
        callers->said[SAID_LEADERSHIP_LOST]++;
        call->due_ns = now_ns + rng_range(&callers->rng, 0, HINT_NS);
        return;
    case REPLY_BUSY: return;
    default:
        ledger_broken(&callers->world->ledger, "AN", "peer %u answers client %u: %s", frame->from,
                      frame->to, reply_text(frame->client.status));
    }
}

/* Whose answer this is; NULL: what it answers is over. */
static struct call *asker(struct callers *callers, const struct frame *frame)
{
    struct call *call = NULL;
    if (frame->to == 0) {
        if (frame->client.request - 1 < callers->asked_count)
            call = callers->asked[frame->client.request - 1];
    } else if (frame->to - callers->world->peers - 1 < callers->count) {
        call = &callers->calls[frame->to - callers->world->peers - 1];
    }
    return call != NULL && call->open && call->sequence == frame->client.request ? call : NULL;
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
        struct call *call = asker(callers, frame);
        if (call != NULL) on_reply(callers, call, packet);
        else callers->said[SAID_LATE]++;
    }
    plan_wake(callers);
}

/* ---- what the world asks of its guests ---- */

static void give_up(struct callers *callers, struct call *call)
{
    bool failed = callers->shape.believes_refusals && is_client(call) && call->unrefused == 0;
    if (failed) ledger_refused(&callers->world->ledger, call->session, call->sequence);
    end(callers, call, failed ? HISTORY_FAIL : HISTORY_UNKNOWN);
}

/* Clients at work ask whom they like, so that everybody is asked. A single operation comes to
 * whoever can answer it: it does as it is told, else asks the next one around. */
static uint32_t whom_next(struct callers *callers, const struct call *call)
{
    if (is_client(call))
        return rng_chance(&callers->rng, PPM / 2) ? some_peer(callers) : call->target;
    return call->told ? call->target : call->target % callers->world->peers + 1;
}

static void go_on(struct callers *callers, struct call *call)
{
    if (call->due_ns > callers->world->now_ns) return;
    if (!call->open) {
        begin(callers, call);
        send(callers, call);
    } else if (callers->world->now_ns >= call->give_up_ns) {
        give_up(callers, call);
    } else {
        callers->said[SAID_AGAIN]++;
        call->target = whom_next(callers, call);
        send(callers, call);
    }
}

static void act(void *guests)
{
    struct callers *callers = guests;
    for (uint32_t i = 0; i < callers->count; i++) go_on(callers, &callers->calls[i]);
    for (size_t i = callers->asked_from; i < callers->asked_count; i++)
        if (callers->asked[i]->open) go_on(callers, callers->asked[i]);
    plan_wake(callers);
}

/* ---- what others ask of them ---- */

void callers_work(struct callers *callers, const struct load_shape *shape)
{
    struct world *world = callers->world;
    CHECK(shape->clients < world->network.endpoints - world->peers);
    callers->seen = reallocarray(callers->seen, shape->keys, sizeof(*callers->seen));
    callers->calls = reallocarray(callers->calls, MAX_OF(shape->clients, callers->count),
                                  sizeof(*callers->calls));
    CHECK(callers->seen != NULL);
    CHECK(callers->calls != NULL);
    memset(callers->seen, 0, shape->keys * sizeof(*callers->seen));
    callers->shape = *shape;
    callers->ending = false;
    for (uint32_t i = 0; i < MAX_OF(shape->clients, callers->count); i++) {
        struct call *call = &callers->calls[i];
        bool open = i < callers->count && call->open;
        if (open) end(callers, call, HISTORY_UNKNOWN); /* whoever waited for it is gone */
        if (i < callers->count) free(call->body);
        *call = (struct call){ .endpoint = world->peers + 1 + i,
                               .session = ++callers->sessions,
                               .target = some_peer(callers),
                               .due_ns = TIME_NEVER,
                               .patience_ns = shape->patience_ns };
        if (i >= shape->clients) continue;
        uint64_t spread_ns = MAX_OF(shape->period_ns, shape->think_ns);
        call->next_ns = call->due_ns = world->now_ns + rng_range(&callers->rng, 0, spread_ns);
    }
    callers->count = MAX_OF(shape->clients, callers->count);
    plan_wake(callers);
}

void callers_stop(struct callers *callers)
{
    callers->ending = true;
    for (uint32_t i = 0; i < callers->count; i++) {
        callers->calls[i].reads_left = 0;
        if (!callers->calls[i].open) callers->calls[i].due_ns = TIME_NEVER;
    }
    plan_wake(callers);
}

void callers_read_all(struct callers *callers)
{
    callers->ending = true;
    for (uint32_t i = 0; i < callers->count; i++) {
        struct call *call = &callers->calls[i];
        call->give_up_ns = TIME_NEVER;
        call->reads_left = callers->shape.keys;
        if (!call->open) call->due_ns = callers->world->now_ns;
    }
    plan_wake(callers);
}

bool callers_rest(const struct callers *callers)
{
    for (uint32_t i = 0; i < callers->count; i++)
        if (callers->calls[i].open || callers->calls[i].reads_left > 0) return false;
    return callers->ending || callers->count == 0;
}

err_t callers_ask(struct callers *callers, const struct command *command, const struct call **asked)
{
    struct world *world = callers->world;
    size_t needed = strlen(command->key) + (command->value != NULL ? strlen(command->value) : 0) +
                    (command->expected != NULL ? strlen(command->expected) : 0) + 64;
    if (needed > ENTRY_BYTES_MAX)
        return err_begin(ERR_TOO_LARGE, "the entry has %zu bytes; 1 MiB is the limit", needed);
    if (callers->asked_count - callers->asked_from >= ASKED_MAX)
        return err_begin(ERR_FULL, "%u operations wait for an answer already", ASKED_MAX);
    struct call *call = calloc(1, sizeof(*call));
    callers->asked = reallocarray(callers->asked, callers->asked_count + 1, sizeof(struct call *));
    CHECK(call != NULL);
    CHECK(callers->asked != NULL);
    callers->asked[callers->asked_count++] = call;
    enum history_op op = HISTORY_PUT;
    while (kinds[op].verb != command->verb) op++;
    *call = (struct call){
        .target = world_leader(world),
        .session = SESSION_ASKED,
        .sequence = callers->asked_count,
        .open = true,
        .patience_ns = ASK_PATIENCE_NS,
        .give_up_ns = world->now_ns + ASK_GIVE_UP_NS,
        .operation = { .call_ns = world->now_ns,
                       .op = op,
                       .key = history_text(&callers->history, command->key),
                       .value = history_text(&callers->history, command->value),
                       .expect = history_text(&callers->history, command->expected) },
    };
    if (call->target == 0) call->target = some_peer(callers);
    encode(call, NULL, 0);
    send(callers, call);
    plan_wake(callers);
    *asked = call;
    return ERR_OK;
}

void callers_flood(struct callers *callers, uint32_t to, uint32_t count)
{
    uint8_t bytes[32];
    for (uint32_t i = 0; i < count; i++) {
        memset(bytes, (int)(i % 251), sizeof(bytes));
        struct packet packet = {
            .frame = { .kind = MESSAGE_START_REQUEST,
                       .from = (uint8_t)callers->calls[0].endpoint,
                       .to = (uint8_t)to,
                       .body_bytes = (uint32_t)rng_range(&callers->rng, 0, sizeof(bytes)) },
            .body = bytes,
        };
        world_send(callers->world, &packet);
    }
}

void callers_query(struct callers *callers, uint32_t to, uint64_t from_index)
{
    struct packet packet = {
        .frame = { .kind = MESSAGE_APPLIED_QUERY,
                   .from = (uint8_t)callers->calls[0].endpoint,
                   .to = (uint8_t)to,
                   .client = { .index = from_index } },
    };
    world_send(callers->world, &packet);
}

/* ---- life ---- */

void callers_open(struct callers *callers, struct world *world, uint64_t seed)
{
    memset(callers, 0, sizeof(*callers));
    callers->world = world;
    callers->sessions = SESSION_ASKED;
    rng_seed(&callers->rng, seed, 3, 0);
    history_init(&callers->history);
    world->guests = (struct world_guests){ TIME_NEVER, act, take, callers };
}

void callers_close(struct callers *callers)
{
    for (uint32_t i = 0; i < callers->count; i++) free(callers->calls[i].body);
    for (size_t i = 0; i < callers->asked_count; i++) {
        free(callers->asked[i]->body);
        free(callers->asked[i]);
    }
    free(callers->calls);
    free(callers->asked);
    free(callers->seen);
    history_free(&callers->history);
}
