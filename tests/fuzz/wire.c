/* tests/fuzz/wire.c - frames that arrive at peer 1 of 3, which takes its turns over a disk in
 * memory. A frame is refused or decodes (W2, W3), and what the peer sends decodes (W1).
 *
 * Whoever can make a checksum can also lie: say that it leads a term that another leads, delete
 * what is committed. Raft does not stand that, and the core's CHECKs (I1..I6) end the peer then.
 * Such an end is an answer here; anything that a sanitizer sees, and any CHECK outside the core, is
 * a finding. */
#include "node/turn.h"
#include "tests/fuzz/fuzz.h"

#include <setjmp.h>
#include <stdlib.h>
#include <xxhash.h>

enum { SELF = 1, PEERS = 3, ENDPOINTS = 5, QUEUE_MAX = 64, LOG_MAX = 512 };
/* what the byte before a frame says */
enum { SEALED = 1, TURN = 2, LATE = 4, DISK_FAILS = 8, READ_FAILS = 16 };

struct frame_at { /* a frame under way; its bytes are owned and end where it ends */
    uint8_t *bytes;
    size_t length;
    uint32_t from;
};
struct bench {
    struct peer peer;
    struct frame_at queue[QUEUE_MAX];
    size_t count, taken;
    uint64_t now_ns, term;
    uint32_t voted_for;
    struct entry log[LOG_MAX];
    uint64_t last_index;
    bool disk_fails, read_fails;
    struct wire_scratch scratch, sent;
};
static struct bench bench;
static jmp_buf liar;

static void on_check(const char *file, int line, const char *condition)
{
    UNUSED(line);
    UNUSED(condition);
    if (strncmp(file, "node/core/", 10) == 0) longjmp(liar, 1);
}

/* ---- the disk ---- */

static err_t disk_load(void *state, struct disk_found *found)
{
    UNUSED(state);
    *found = (struct disk_found){ bench.term, bench.voted_for, 1, bench.last_index };
    return ERR_OK;
}

static void forget_from(uint64_t index)
{
    for (; bench.last_index >= index; bench.last_index--)
        free((void *)(uintptr_t)bench.log[bench.last_index - 1].data);
}

static err_t disk_commit(void *state, const struct disk_save *save, int *why)
{
    UNUSED(state);
    *why = 5;
    if (bench.disk_fails) return ERR_STORAGE;
    uint64_t keep = save->truncate_from != 0 ? save->truncate_from - 1 : bench.last_index;
    if (save->count > LOG_MAX || keep > LOG_MAX - save->count) return ERR_STORAGE; /* full */
    if (save->hard) {
        bench.term = save->term;
        bench.voted_for = save->voted_for;
    }
    if (save->truncate_from != 0) forget_from(save->truncate_from);
    for (uint32_t i = 0; i < save->count; i++) {
        struct entry entry = save->entries[i];
        CHECK(save->first_index + i == bench.last_index + 1);
        uint8_t *data = malloc(entry.bytes + 1u);
        CHECK(data != NULL);
        if (entry.bytes > 0) memcpy(data, entry.data, entry.bytes);
        entry.data = data;
        bench.log[bench.last_index++] = entry;
    }
    return ERR_OK;
}

static err_t disk_read(void *state, uint64_t first, uint64_t last,
                       bool (*each)(void *context, uint64_t index, const struct entry *entry),
                       void *context)
{
    UNUSED(state);
    if (bench.read_fails) return ERR_STORAGE;
    CHECK(first >= 1);
    CHECK(last <= bench.last_index);
    for (uint64_t index = first; index <= last; index++)
        if (!each(context, index, &bench.log[index - 1])) break;
    return ERR_OK;
}

/* ---- the network ---- */

static void net_send(void *state, struct packet *packet)
{
    struct packet back;
    UNUSED(state);
    size_t length = wire_bytes(packet);
    uint8_t *bytes = malloc(length);
    CHECK(bytes != NULL);
    wire_encode(packet, bytes);
    CHECK(packet->frame.from == SELF);
    CHECK(wire_decode(bytes, length, SELF, packet->frame.to, &bench.sent, &back) ==
          ERR_OK); /* W1 */
    CHECK(back.frame.count == packet->frame.count);
    CHECK(back.frame.term == packet->frame.term);
    for (uint32_t i = 0; i < back.frame.count; i++) {
        CHECK(back.entries[i].term == packet->entries[i].term);
        CHECK(back.entries[i].bytes == packet->entries[i].bytes);
    }
    free(bytes);
}

static bool net_receive(void *state, struct packet *packet)
{
    UNUSED(state);
    while (bench.taken < bench.count) {
        const struct frame_at *frame = &bench.queue[bench.taken++];
        err_t err =
            wire_decode(frame->bytes, frame->length, frame->from, SELF, &bench.scratch, packet);
        if (err == ERR_OK) {
            struct packet copy = *packet;
            CHECK(wire_bytes(&copy) == frame->length); /* nothing that nobody looks at */
            return true;
        }
        CHECK(err == ERR_CORRUPT);
    }
    return false;
}

static void net_flush(void *state)
{
    UNUSED(state);
}

/* ---- frames ---- */

/* The fields that a sender cannot get wrong: else nothing would come through. */
static void seal(struct frame_at *at)
{
    struct frame frame;
    if (at->length < sizeof(frame)) return;
    memcpy(&frame, at->bytes, sizeof(frame));
    frame.magic = 0x52494e47;
    frame.body_bytes = (uint32_t)(at->length - sizeof(frame));
    frame.from = (uint8_t)at->from;
    frame.to = SELF;
    memcpy(at->bytes, &frame, sizeof(frame));
    frame.checksum = XXH3_64bits(at->bytes + 8, at->length - 8);
    memcpy(at->bytes, &frame.checksum, sizeof(frame.checksum));
}

static void queue_frame(struct input *input, bool sealed)
{
    struct frame_at at = { .from = input_byte(input) % ENDPOINTS };
    const uint8_t *bytes = input_bytes(input, &at.length);
    if (at.from == SELF) at.from = 2;
    at.bytes = malloc(MAX_OF(at.length, 1));
    CHECK(at.bytes != NULL);
    if (at.length > 0) memcpy(at.bytes, bytes, at.length);
    if (sealed) seal(&at);
    bench.queue[bench.count++] = at;
}

static void turn(void)
{
    uint64_t before = bench.peer.raft.commit_index;
    peer_turn(&bench.peer, bench.now_ns, bench.now_ns * 0x9e3779b97f4a7c15u);
    CHECK(bench.peer.raft.commit_index >= before); /* I7 */
    for (size_t i = 0; i < bench.count; i++) free(bench.queue[i].bytes);
    bench.count = bench.taken = 0;
}

static void take_all(struct input *input)
{
    while (input->left > 0) {
        uint8_t what = input_byte(input);
        bench.now_ns += what & LATE ? NS_PER_S : NS_PER_MS;
        bench.disk_fails = what & DISK_FAILS;
        bench.read_fails = what & READ_FAILS;
        queue_frame(input, what & SEALED);
        if (what & TURN || bench.count == QUEUE_MAX) turn();
    }
    turn();
}

/* To the end, or to the CHECK that ends the peer. */
static void take_until_checked(struct input *input)
{
    check_catch(on_check);
    if (setjmp(liar) == 0) take_all(input);
    check_catch(NULL);
}

void fuzz_wire(const uint8_t *bytes, size_t length)
{
    static const struct peer_config config = {
        .raft = { .self = SELF,
                  .peers = PEERS,
                  .election_min_ns = 150 * NS_PER_MS,
                  .election_max_ns = 300 * NS_PER_MS,
                  .heartbeat_ns = 50 * NS_PER_MS,
                  .notify_ns = NS_PER_MS,
                  .window = 64,
                  .noop_on_election = true },
        .retry_ns = NS_PER_MS,
        .tail_keep_bytes = 64, /* so that followers are served from the disk */
    };
    static const struct disk disk = { NULL, disk_load, disk_commit, disk_read, NULL };
    static const struct net net = { NULL, net_send, net_receive, net_flush };
    struct input input = { bytes, length };
    bench.count = bench.taken = 0;
    bench.now_ns = bench.term = bench.voted_for = 0;
    bench.disk_fails = bench.read_fails = false;
    CHECK(peer_open(&bench.peer, &config, &disk, &net, 0, 1) == ERR_OK);
    take_until_checked(&input);
    for (size_t i = 0; i < bench.count; i++) free(bench.queue[i].bytes);
    peer_close(&bench.peer);
    forget_from(1);
}
