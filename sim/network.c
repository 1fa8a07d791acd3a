/* sim/network.c - a heap of parcels, earliest first. */
#include "sim/network.h"

#include <stdlib.h>
#include <string.h>

/* ---- the heap ---- */

static bool earlier(const struct parcel *a, const struct parcel *b)
{
    if (a->deliver_at_ns != b->deliver_at_ns) return a->deliver_at_ns < b->deliver_at_ns;
    return a->order < b->order; /* (B1) */
}

static void push(struct network *network, struct parcel *parcel)
{
    if (network->count == network->capacity) {
        network->capacity = MAX_OF(2 * network->capacity, 256);
        network->heap = realloc(network->heap, network->capacity * sizeof(struct parcel *));
        CHECK(network->heap != NULL);
    }
    size_t at = network->count++;
    for (; at > 0 && earlier(parcel, network->heap[(at - 1) / 2]); at = (at - 1) / 2)
        network->heap[at] = network->heap[(at - 1) / 2];
    network->heap[at] = parcel;
}

struct parcel *network_take(struct network *network)
{
    CHECK(network->count > 0);
    struct parcel **heap = network->heap, *first = heap[0];
    struct parcel *last = heap[--network->count];
    size_t at = 0, count = network->count;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && earlier(heap[child + 1], heap[child])) child++;
        if (child >= count || !earlier(heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

uint64_t network_due_ns(const struct network *network)
{
    return network->count > 0 ? network->heap[0]->deliver_at_ns : TIME_NEVER;
}

/* ---- links ---- */

static size_t link_of(const struct network *network, uint32_t from, uint32_t to)
{
    CHECK(from < network->endpoints);
    CHECK(to < network->endpoints);
    return (size_t)from * network->endpoints + to;
}

struct link_rule *network_rule(struct network *network, uint32_t from, uint32_t to)
{
    return &network->rules[link_of(network, from, to)];
}

uint64_t network_sent_bytes(const struct network *network, uint32_t from, uint32_t to)
{
    return network->sent_bytes[link_of(network, from, to)];
}

void network_heal(struct network *network)
{
    memset(network->rules, 0,
           (size_t)network->endpoints * network->endpoints * sizeof(*network->rules));
}

/* ---- sending ---- */

struct parcel *parcel_new(struct network *network, struct packet *packet, uint64_t now_ns)
{
    packet->frame.sequence = ++network->order;
    packet->frame.sent_ns = now_ns;
    size_t length = wire_bytes(packet);
    struct parcel *parcel = malloc(sizeof(*parcel) + length);
    CHECK(parcel != NULL);
    *parcel =
        (struct parcel){ .from = packet->frame.from, .to = packet->frame.to, .length = length };
    wire_encode(packet, (uint8_t *)parcel->bytes);
    return parcel;
}

static struct parcel *copy_of(const struct parcel *parcel)
{
    struct parcel *copy = malloc(sizeof(*copy) + parcel->length);
    CHECK(copy != NULL);
    memcpy(copy, parcel, sizeof(*copy) + parcel->length);
    return copy;
}

static void launch(struct network *network, struct parcel *parcel, uint64_t deliver_at_ns,
                   size_t link)
{
    parcel->deliver_at_ns = deliver_at_ns;
    parcel->order = ++network->order;
    if (deliver_at_ns < network->latest_ns[link]) network->counts.overtook++;
    network->latest_ns[link] = MAX_OF(network->latest_ns[link], deliver_at_ns);
    push(network, parcel);
}

void network_send(struct network *network, struct parcel *parcel, uint64_t now_ns)
{
    size_t link = link_of(network, parcel->from, parcel->to);
    struct link_fate fate;
    link_decide(&network->links[link], &network->rules[link],
                ((const struct frame *)(const void *)parcel->bytes)->kind, now_ns, &fate);
    network->counts.sent++;
    network->sent_bytes[link] += parcel->length;
    if (fate.cause == LINK_CUT) network->counts.cut++;
    if (fate.cause == LINK_LOST) network->counts.lost++;
    if (fate.copies == 0) {
        free(parcel);
        return;
    }
    if (fate.deliver_at_ns[0] > now_ns) network->counts.delayed++;
    struct parcel *second = fate.copies == 2 ? copy_of(parcel) : NULL;
    if (fate.corrupt) {
        uint64_t bit = rng_range(&network->rng, 0, 8 * parcel->length - 1);
        ((uint8_t *)parcel->bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        network->counts.corrupted++;
    }
    launch(network, parcel, fate.deliver_at_ns[0], link);
    if (second == NULL) return;
    network->counts.duplicated++;
    launch(network, second, fate.deliver_at_ns[1], link);
}

/* ---- life ---- */

void network_open(struct network *network, uint32_t endpoints, uint64_t seed)
{
    size_t links = (size_t)endpoints * endpoints;
    *network = (struct network){ .endpoints = endpoints };
    rng_seed(&network->rng, seed, 4, 0);
    network->rules = calloc(links, sizeof(*network->rules));
    network->links = calloc(links, sizeof(*network->links));
    network->latest_ns = calloc(links, sizeof(*network->latest_ns));
    CHECK(network->rules != NULL);
    CHECK(network->links != NULL);
    network->sent_bytes = calloc(links, sizeof(*network->sent_bytes));
    CHECK(network->latest_ns != NULL);
    CHECK(network->sent_bytes != NULL);
    for (uint32_t from = 0; from < endpoints; from++)
        for (uint32_t to = 0; to < endpoints; to++)
            link_state_init(&network->links[link_of(network, from, to)], seed, from, to);
}

void network_close(struct network *network)
{
    for (size_t i = 0; i < network->count; i++) free(network->heap[i]);
    free(network->heap);
    free(network->latest_ns);
    free(network->sent_bytes);
    free(network->links);
    free(network->rules);
    *network = (struct network){ 0 };
}
