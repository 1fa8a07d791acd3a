/* tests/fuzz/ring.c - a ring whose producer writes anything anywhere: its consumer reads nothing
 * beyond the buffer, ends, and what it takes for a record is at most what fits (R1, R4). */
#include "node/wire.h"
#include "shm/ring.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { CAPACITY = 1024, FROM = 2, TO = 1 };

static void read_all(struct ring_reader *reader, struct wire_scratch *scratch)
{
    struct packet packet;
    for (int reads = 0; reads <= CAPACITY; reads++) {
        size_t length = 0;
        _Alignas(8) uint8_t record[CAPACITY / 2];
        err_t err = ring_read(reader, record, sizeof(record), &length);
        if (err == ERR_EMPTY) return;
        if (err == ERR_CORRUPT) continue;
        CHECK(err == ERR_OK);
        CHECK(length > 0);
        CHECK(length <= RING_RECORD_MAX(CAPACITY));
        if (wire_decode(record, length, FROM, TO, scratch, &packet) == ERR_OK)
            CHECK(packet.frame.to == TO);
    }
    CHECK(false); /* no records without end */
}

void fuzz_ring(const uint8_t *bytes, size_t length)
{
    static struct wire_scratch scratch;
    struct input input = { bytes, length };
    struct ring_producer producer = { 0 };
    struct ring_consumer consumer = { 0 };
    struct ring_reader reader;
    struct ring_writer writer;
    uint8_t *data = calloc(1, CAPACITY); /* asan sees a byte too far */
    CHECK(data != NULL);
    struct ring ring = { &producer, &consumer, data, CAPACITY };
    ring_reader_open(&reader, &ring);
    ring_writer_open(&writer, &ring);
    while (input.left > 0) {
        size_t count;
        void *record;
        const uint8_t *from;
        uint8_t what = input_byte(&input);
        switch (what % 6) {
        case 0: /* an honest record */
            from = input_bytes(&input, &count);
            count = MIN_OF(count, CAPACITY / 2);
            if (count > 0 && ring_claim(&writer, count, &record) == ERR_OK) {
                memcpy(record, from, count);
                ring_commit(&writer);
            }
            break;
        case 1: input_take(&input, &producer.tail, sizeof(producer.tail)); break;
        case 2: producer.tail += (uint64_t)8 * input_byte(&input); break;
        case 3: data[input_short(&input) % CAPACITY] = input_byte(&input); break;
        case 4: input_take(&input, &consumer.head, sizeof(consumer.head)); break;
        case 5: read_all(&reader, &scratch); break;
        }
        CHECK(ring_depth(&ring) <= CAPACITY);
    }
    read_all(&reader, &scratch);
    free(data);
}
