/* ctl/client.c - slots of outstanding operations, found again by the request number that comes
 * back. */
#include "ctl/client.h"

#include <stdlib.h>
#include <string.h>

enum { NO_SLOT = -1 };
/* how often deadlines of outstanding operations are looked at */
static const uint64_t LOOK_NS = 5 * NS_PER_MS;
/* before asking again when nobody knows a leader */
static const uint64_t PAUSE_NS = 10 * NS_PER_MS;

struct slot {
    bool used, command;
    uint32_t generation;
    uint32_t open;       /* tries whose answer is not known: the command may have been taken (K2) */
    uint32_t last_reply; /* enum reply_status of the last refusal */
    uint64_t sequence;
    uint64_t again_ns, give_up_ns;
    void *tag;
    uint8_t *bytes;
    uint32_t length, capacity;
};

struct client {
    struct region *region;
    struct net_live *live;
    struct net net;
    uint32_t self, peers, leader;
    uint64_t session, sequence, retry_ns, give_up_ns, look_ns;
    uint32_t outstanding;
    uint32_t free_head; /* stack of free slots */
    uint16_t free_slots[CLIENT_OUTSTANDING_MAX];
    struct slot slots[CLIENT_OUTSTANDING_MAX];
    uint32_t looked; /* next slot of a look at deadlines; CLIENT_OUTSTANDING_MAX: none under way */
    uint64_t oldest; /* sequence below which nothing is outstanding; a lower bound */
    struct packet packet;
};

struct client *client_open(struct region *region, uint32_t self, uint64_t session,
                           uint64_t retry_ns, uint64_t give_up_ns)
{
    struct client *client = calloc(1, sizeof(*client));
    CHECK(client != NULL);
    client->region = region;
    client->self = self;
    client->peers = region_config(region)->peers;
    client->leader = 1;
    client->session = session;
    client->retry_ns = retry_ns;
    client->give_up_ns = give_up_ns;
    client->live = net_live_open(region, self, -1);
    client->net = net_live_seam(client->live);
    client->looked = CLIENT_OUTSTANDING_MAX;
    client->look_ns = real_now_ns() + LOOK_NS;
    client->oldest = 1;
    for (uint32_t i = 0; i < CLIENT_OUTSTANDING_MAX; i++)
        client->free_slots[i] = (uint16_t)(CLIENT_OUTSTANDING_MAX - 1 - i);
    /* answers to an earlier client of this endpoint may still come: they must fit no request of
     * this one */
    for (uint32_t i = 0; i < CLIENT_OUTSTANDING_MAX; i++)
        client->slots[i].generation = (uint32_t)(session >> 32);
    client->free_head = CLIENT_OUTSTANDING_MAX;
    return client;
}

void client_close(struct client *client)
{
    for (uint32_t i = 0; i < CLIENT_OUTSTANDING_MAX; i++) free(client->slots[i].bytes);
    net_live_close(client->live);
    free(client);
}

static uint64_t request_number(const struct client *client, const struct slot *slot)
{
    return (uint64_t)slot->generation << 32 | (uint64_t)(slot - client->slots);
}

static struct slot *take_slot(struct client *client, uint32_t length)
{
    struct slot *slot = &client->slots[client->free_slots[--client->free_head]];
    uint8_t *bytes = slot->bytes;
    uint32_t capacity = slot->capacity, generation = slot->generation;
    if (capacity < length || (capacity > 65536 && length < 4096)) {
        free(bytes);
        capacity = MAX_OF(length, 256);
        bytes = malloc(capacity);
        CHECK(bytes != NULL);
    }
    *slot = (struct slot){ .used = true,
                           .generation = generation + 1,
                           .bytes = bytes,
                           .capacity = capacity,
                           .length = length };
    client->outstanding++;
    return slot;
}

static void free_slot(struct client *client, struct slot *slot)
{
    slot->used = false;
    client->outstanding--;
    client->free_slots[client->free_head++] = (uint16_t)(slot - client->slots);
}

static void send_to(struct client *client, struct slot *slot, uint32_t peer, enum message_kind kind,
                    uint64_t index)
{
    struct packet packet = {
        .frame = { .kind = (uint8_t)kind,
                   .from = (uint8_t)client->self,
                   .to = (uint8_t)peer,
                   .term = 1,
                   .body_bytes = slot->length },
        .body = slot->bytes,
    };
    /* Raft's own messages have no room for these, and no answer */
    if (kind > MESSAGE_TIMEOUT_NOW) {
        packet.frame.client.request = request_number(client, slot);
        packet.frame.client.index = index;
    }
    client->net.send(client->net.state, &packet);
}

static void send_command(struct client *client, struct slot *slot, uint64_t now_ns)
{
    send_to(client, slot, client->leader, MESSAGE_CLIENT_REQUEST, 0);
    slot->open++;
    slot->again_ns = now_ns + client->retry_ns;
}

/* A session's window must cover all that is outstanding: do not run ahead of the oldest open
 * sequence. */
static bool window_open(struct client *client)
{
    if (client->sequence - client->oldest < KV_WINDOW / 2) return true;
    uint64_t oldest = client->sequence + 1;
    for (uint32_t i = 0; i < CLIENT_OUTSTANDING_MAX; i++)
        if (client->slots[i].used && client->slots[i].command)
            oldest = MIN_OF(oldest, client->slots[i].sequence);
    client->oldest = oldest;
    return client->sequence + 1 - oldest < KV_WINDOW - 1;
}

bool client_submit(struct client *client, const struct kv_command *command, void *tag)
{
    if (client->free_head == 0 || !window_open(client)) return false;
    struct kv_command numbered = *command;
    numbered.client = client->session;
    numbered.sequence = ++client->sequence;
    struct slot *slot = take_slot(client, (uint32_t)kv_encoded_bytes(&numbered));
    kv_encode(&numbered, slot->bytes, slot->capacity);
    uint64_t now_ns = real_now_ns();
    slot->command = true;
    slot->sequence = numbered.sequence;
    slot->give_up_ns = now_ns + client->give_up_ns;
    slot->tag = tag;
    send_command(client, slot, now_ns);
    return true;
}

bool client_ask(struct client *client, uint32_t peer, enum message_kind kind, const uint8_t *body,
                size_t bytes, uint64_t index, uint64_t within_ns, bool answered, void *tag)
{
    if (client->free_head == 0) return false;
    struct slot *slot = take_slot(client, (uint32_t)bytes);
    if (bytes > 0) memcpy(slot->bytes, body, bytes);
    slot->again_ns = slot->give_up_ns = real_now_ns() + within_ns;
    slot->tag = tag;
    send_to(client, slot, peer, kind, index);
    if (!answered) free_slot(client, slot);
    client->net.flush(client->net.state);
    return true;
}

/* Whom to ask next when the answer names nobody: the next one around. */
static uint32_t next_peer(const struct client *client, uint32_t peer)
{
    return peer % client->peers + 1;
}

/* An answer to `slot`. True when it ends the operation. */
static bool take_answer(struct client *client, struct slot *slot, const struct packet *packet,
                        uint64_t now_ns)
{
    uint32_t status = packet->frame.client.status, leader = packet->frame.client.leader;
    if (!slot->command) return true;
    if (status == REPLY_OK || status == REPLY_STALE || status == REPLY_BAD ||
        status == REPLY_TOO_LARGE)
        return true;
    slot->last_reply = status;
    /* surely not taken by that try */
    if (status != REPLY_LEADERSHIP_LOST && slot->open > 0) slot->open--;
    bool known = leader >= 1 && leader <= client->peers && leader != packet->frame.from;
    if (known) client->leader = leader;
    else if (client->leader == packet->frame.from && status != REPLY_BUSY)
        client->leader = next_peer(client, client->leader);
    if (known) send_command(client, slot, now_ns);
    else slot->again_ns = now_ns + PAUSE_NS;
    return false;
}

static bool poll_answers(struct client *client, uint64_t now_ns, struct client_result *result)
{
    while (client->net.receive(client->net.state, &client->packet)) {
        const struct frame *frame = &client->packet.frame;
        uint32_t index = (uint32_t)frame->client.request;
        if (frame->kind <= MESSAGE_TIMEOUT_NOW || index >= CLIENT_OUTSTANDING_MAX) continue;
        struct slot *slot = &client->slots[index];
        /* answered before */
        if (!slot->used || slot->generation != frame->client.request >> 32) continue;
        if (!take_answer(client, slot, &client->packet, now_ns)) continue;
        *result = (struct client_result){ .tag = slot->tag,
                                          .reply = frame->client.status,
                                          .packet = &client->packet };
        if (frame->client.status == REPLY_STALE) result->status = RESULT_UNKNOWN;
        else if (slot->command && frame->client.status != REPLY_OK) result->status = RESULT_FAIL;
        else result->status = RESULT_OK;
        free_slot(client, slot);
        return true;
    }
    return false;
}

/* Look at some deadlines. True: *result is an operation that was given up. */
static bool poll_deadlines(struct client *client, uint64_t now_ns, struct client_result *result)
{
    if (client->looked == CLIENT_OUTSTANDING_MAX) {
        if (now_ns < client->look_ns || client->outstanding == 0) return false;
        client->looked = 0;
        client->look_ns = now_ns + LOOK_NS;
    }
    uint32_t asked = client->leader;
    while (client->looked < CLIENT_OUTSTANDING_MAX) {
        struct slot *slot = &client->slots[client->looked++];
        if (!slot->used || now_ns < MIN_OF(slot->again_ns, slot->give_up_ns)) continue;
        if (now_ns >= slot->give_up_ns) {
            *result = (struct client_result){ .tag = slot->tag,
                                              .timed_out = true,
                                              .reply = slot->last_reply };
            result->status = slot->command && slot->open > 0 ? RESULT_UNKNOWN : RESULT_FAIL;
            free_slot(client, slot);
            return true;
        }
        /* no answer at all: its leader may be dead or cut off. One step around for all that wait */
        if (slot->open > 0 && client->leader == asked) client->leader = next_peer(client, asked);
        send_command(client, slot, now_ns);
    }
    return false;
}

bool client_poll(struct client *client, struct client_result *result)
{
    uint64_t now_ns = real_now_ns();
    net_live_turn(client->live, now_ns);
    if (poll_answers(client, now_ns, result)) return true;
    bool done = poll_deadlines(client, now_ns, result);
    client->net.flush(client->net.state);
    return done;
}

uint32_t client_outstanding(const struct client *client)
{
    return client->outstanding;
}

uint64_t client_deadline(const struct client *client)
{
    return client->outstanding > 0 ? client->look_ns : TIME_NEVER;
}

void client_sleep(struct client *client, uint64_t until_ns)
{
    client->net.flush(client->net.state);
    net_live_sleep(client->live, MIN_OF(until_ns, client_deadline(client)));
}

struct net_live *client_net(struct client *client)
{
    return client->live;
}
