/* tests/wire_test.c - frames as bytes: what was encoded decodes to the same; whatever else comes
 * off a ring is refused, never read beyond, and changes nothing (W1..W3 of node/wire.h). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "node/wire.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FROM = 2, TO = 3, ROUNDS = 20000 };

static struct wire_scratch scratch;

/* Encode into memory of exactly that size, so that a sanitizer sees any byte read beyond it. */
static uint8_t *encoded(struct packet *packet, size_t *length)
{
    *length = wire_bytes(packet);
    uint8_t *bytes = malloc(*length);
    assert_non_null(bytes);
    wire_encode(packet, bytes);
    return bytes;
}

static void seal(uint8_t *bytes, size_t length)
{
    uint64_t sum = XXH3_64bits(bytes + sizeof(sum), length - sizeof(sum));
    memcpy(bytes, &sum, sizeof(sum));
}

static struct packet append(struct entry *entries, uint32_t count)
{
    return (struct packet){
        .frame = { .kind = MESSAGE_APPEND_REQUEST,
                   .from = FROM,
                   .to = TO,
                   .count = count,
                   .sequence = 9,
                   .sent_ns = 11,
                   .term = 7,
                   .raft = { .prev = { 3, 40 }, .commit_index = 38 } },
        .entries = entries,
    };
}

static void entries_survive_the_wire(void **state)
{
    UNUSED(state);
    static uint8_t large[ENTRY_BYTES_MAX];
    struct entry entries[] = {
        { 3, ENTRY_COMMAND, 1, (const uint8_t *)"a" },
        { 5, ENTRY_NOOP, 0, NULL },
        { 5, ENTRY_OPAQUE, 8, (const uint8_t *)"12345678" },
        { 7, ENTRY_COMMAND, sizeof(large), large },
    };
    struct packet packet = append(entries, COUNT(entries)), back;
    struct message message;
    size_t length;
    memset(large, 'x', sizeof(large));
    uint8_t *bytes = encoded(&packet, &length);
    assert_int_equal(wire_decode(bytes, length, FROM, TO, &scratch, &back), ERR_OK);
    for (size_t i = 0; i < COUNT(entries); i++) {
        assert_int_equal(back.entries[i].term, entries[i].term);
        assert_int_equal(back.terms[i], entries[i].term);
        assert_int_equal(back.entries[i].kind, entries[i].kind);
        assert_int_equal(back.entries[i].bytes, entries[i].bytes);
        if (entries[i].bytes > 0)
            assert_memory_equal(back.entries[i].data, entries[i].data, entries[i].bytes);
    }
    message_of_packet(&back, &message);
    assert_int_equal(message.prev.index, 40);
    assert_int_equal(message.prev.term, 3);
    assert_int_equal(message.commit_index, 38);
    assert_int_equal(message.count, COUNT(entries));
    free(bytes);
}

static void any_flipped_bit_is_refused(void **state)
{
    UNUSED(state);
    struct entry entry = { 5, ENTRY_COMMAND, 5, (const uint8_t *)"hello" };
    struct packet packet = append(&entry, 1), back;
    size_t length;
    uint8_t *bytes = encoded(&packet, &length);
    for (size_t bit = 0; bit < length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(wire_decode(bytes, length, FROM, TO, &scratch, &back), ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t cut = 0; cut < length; cut++) /* and any shorter record */
        assert_int_equal(wire_decode(bytes, cut, FROM, TO, &scratch, &back), ERR_CORRUPT);
    free(bytes);
}

/* One field that is wrong although the checksum is right: a sender gone mad. */
static const struct mad_row {
    const char *name;
    size_t offset, bytes;
    uint64_t value;
} mad_rows[] = {
    { "another sender", offsetof(struct frame, from), 1, 1 },
    { "another receiver", offsetof(struct frame, to), 1, 1 },
    { "no such kind", offsetof(struct frame, kind), 1, MESSAGE_KIND_COUNT },
    { "not our magic", offsetof(struct frame, magic), 4, 0 },
    { "more entries than bytes", offsetof(struct frame, count), 4, 2 },
    { "fewer entries than bytes", offsetof(struct frame, count), 4, 0 },
    { "absurdly many entries", offsetof(struct frame, count), 4, UINT32_MAX },
    { "a body that is longer", offsetof(struct frame, body_bytes), 4, 4096 },
    { "term 0", offsetof(struct frame, term), 8, 0 },
    { "a term below its entries", offsetof(struct frame, term), 8, 4 },
    { "a term at the end of numbers", offsetof(struct frame, term), 8, UINT64_MAX },
    { "an index at the end", offsetof(struct frame, raft.prev.index), 8, UINT64_MAX },
    { "prev of a later term", offsetof(struct frame, raft.prev.term), 8, 8 },
    { "an entry before prev", sizeof(struct frame), 8, 2 },
    { "an entry of term 0", sizeof(struct frame), 8, 0 },
    { "an entry longer than all", sizeof(struct frame) + 8, 4, UINT32_MAX },
    { "an entry of no kind", sizeof(struct frame) + 12, 4, ENTRY_KIND_COUNT },
};

static void mad_row_is_refused(void **state)
{
    const struct mad_row *row = *state;
    struct entry entry = { 5, ENTRY_COMMAND, 5, (const uint8_t *)"hello" };
    struct packet packet = append(&entry, 1), back;
    size_t length;
    uint8_t *bytes = encoded(&packet, &length);
    memcpy(bytes + row->offset, &row->value, row->bytes);
    seal(bytes, length);
    assert_int_equal(wire_decode(bytes, length, FROM, TO, &scratch, &back), ERR_CORRUPT);
    free(bytes);
}

/* Random bytes under a right magic and checksum: whatever decodes is in range (W3). */
static void noise_is_refused_or_in_range(void **state)
{
    UNUSED(state);
    struct rng rng;
    uint32_t taken = 0;
    rng_seed(&rng, 1, 2, 3);
    for (int round = 0; round < ROUNDS; round++) {
        size_t length = sizeof(struct frame) + rng_range(&rng, 0, 12) * 8;
        uint8_t *bytes = malloc(length);
        struct packet back;
        struct frame frame;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)(rng_chance(&rng, PPM / 2) ? 0 : rng_next(&rng) % 9);
        memcpy(&frame, bytes, sizeof(frame));
        frame.magic = 0x52494e47;
        frame.from = FROM;
        frame.to = TO;
        frame.count %= 4;
        frame.body_bytes = (uint32_t)(length - sizeof(frame));
        memcpy(bytes, &frame, sizeof(frame));
        seal(bytes, length);
        if (wire_decode(bytes, length, FROM, TO, &scratch, &back) == ERR_OK) {
            taken++;
            assert_true(back.frame.kind < MESSAGE_KIND_COUNT);
            for (uint32_t i = 0; i < back.frame.count; i++)
                assert_in_range(back.entries[i].term, 1, back.frame.term);
        }
        free(bytes);
    }
    assert_in_range(taken, 1, ROUNDS - 1); /* both happen */
}

int main(void)
{
    struct CMUnitTest tests[COUNT(mad_rows) + 3] = {
        cmocka_unit_test(entries_survive_the_wire),
        cmocka_unit_test(any_flipped_bit_is_refused),
        cmocka_unit_test(noise_is_refused_or_in_range),
    };
    for (size_t i = 0; i < COUNT(mad_rows); i++) {
        struct CMUnitTest test = cmocka_unit_test(mad_row_is_refused);
        test.name = mad_rows[i].name;
        test.initial_state = (void *)(uintptr_t)&mad_rows[i];
        tests[3 + i] = test;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
