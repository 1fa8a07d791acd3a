/* shm/ring.c - a record is an 8-byte header and its payload, filled up to 8 bytes. It never wraps:
 * where it does not fit before the end, a lone padding header stands for the rest, and both are
 * published by the same store. A header holds the position it was written for, so that the bytes
 * of an earlier lap are never taken for a record of this one. */
#include "shm/ring.h"

#include <string.h>

enum { HEADER_BYTES = 8, WARM_BYTES = 16384 };
#define RECORD_TAG 0x52494e47u
#define PADDING_TAG 0x50414444u

static uint64_t record_bytes(uint64_t length)
{
    return HEADER_BYTES + ((length + 7) & ~(uint64_t)7);
}

static uint64_t header_for(uint32_t tag, uint64_t position, uint64_t length)
{
    return (uint64_t)(tag ^ (uint32_t)(position / 8)) << 32 | length;
}

/* Atomic, so that the compiler loads it once and keeps the copy (R4). */
static _Atomic uint64_t *header_at(const struct ring *ring, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(ring->data + (position & (ring->capacity - 1)));
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed); /* R2: nobody else stores */
    atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

static void ring_check(const struct ring *ring)
{
    CHECK(ring->capacity >= 64);
    CHECK(ring->capacity <= UINT32_MAX);
    CHECK((ring->capacity & (ring->capacity - 1)) == 0);
    CHECK((uintptr_t)ring->data % 8 == 0);
}

void ring_writer_open(struct ring_writer *writer, const struct ring *ring)
{
    ring_check(ring);
    memset(writer, 0, sizeof(*writer));
    writer->ring = *ring;
    writer->tail = atomic_load_explicit(&ring->producer->tail, memory_order_relaxed);
    writer->tail = (writer->tail + 7) & ~(uint64_t)7; /* crooked by a wild write only */
    writer->cached_head = atomic_load_explicit(&ring->consumer->head, memory_order_acquire);
    add(&ring->producer->life, 1);
}

/* The head is the consumer's word: an impossible one means no room (R1). */
static bool has_room(const struct ring_writer *writer, uint64_t bytes)
{
    uint64_t used = writer->tail - writer->cached_head;
    return used <= writer->ring.capacity && bytes <= writer->ring.capacity - used;
}

static void refresh_head(struct ring_writer *writer)
{
    writer->cached_head = atomic_load_explicit(&writer->ring.consumer->head, memory_order_acquire);
}

/* What to skip so that a record of `size` bytes lies in one piece. A reader that keeps up is met
 * at the start of the buffer again and again: a quiet link then costs a few pages, not the whole
 * ring. */
static uint64_t padding_before(struct ring_writer *writer, uint64_t size)
{
    uint64_t offset = writer->tail & (writer->ring.capacity - 1);
    uint64_t rest = writer->ring.capacity - offset;
    if (size > rest) return rest;
    if (offset / WARM_BYTES == (offset + size) / WARM_BYTES) return 0;
    refresh_head(writer);
    return writer->cached_head == writer->tail && size <= offset ? rest : 0;
}

err_t ring_claim(struct ring_writer *writer, size_t length, void **record)
{
    const struct ring *ring = &writer->ring;
    CHECK(length > 0);
    writer->claimed = 0;
    if (length > RING_RECORD_MAX(ring->capacity)) return ERR_TOO_LARGE;
    uint64_t size = record_bytes(length);
    uint64_t padding = padding_before(writer, size);
    if (!has_room(writer, padding + size)) refresh_head(writer);
    if (!has_room(writer, padding + size)) {
        add(&ring->producer->refused, 1);
        /* A consumer that believed the tail of a wild write finds out by the true one. */
        if (writer->tail - writer->cached_head > ring->capacity)
            atomic_store_explicit(&ring->producer->tail, writer->tail, memory_order_release);
        return ERR_FULL;
    }
    uint64_t start = writer->tail + padding;
    if (padding > 0)
        atomic_store_explicit(header_at(ring, writer->tail),
                              header_for(PADDING_TAG, writer->tail, 0), memory_order_relaxed);
    atomic_store_explicit(header_at(ring, start), header_for(RECORD_TAG, start, length),
                          memory_order_relaxed);
    writer->claimed = padding + size;
    writer->length = length;
    *record = ring->data + (start & (ring->capacity - 1)) + HEADER_BYTES;
    return ERR_OK;
}

void ring_commit(struct ring_writer *writer)
{
    struct ring_producer *producer = writer->ring.producer;
    if (writer->claimed == 0) return;
    writer->tail += writer->claimed;
    writer->claimed = 0;
    add(&producer->sent, 1);
    add(&producer->bytes, writer->length);
    atomic_store_explicit(&producer->tail, writer->tail, memory_order_release); /* R3 */
}

void ring_reader_open(struct ring_reader *reader, const struct ring *ring)
{
    ring_check(ring);
    memset(reader, 0, sizeof(*reader));
    reader->ring = *ring;
    reader->cached_tail = atomic_load_explicit(&ring->producer->tail, memory_order_acquire);
    reader->head = reader->cached_tail; /* R5 */
    atomic_store_explicit(&ring->consumer->head, reader->head, memory_order_release);
    add(&ring->consumer->life, 1);
}

bool ring_pending(struct ring_reader *reader)
{
    if (reader->head != reader->cached_tail) return true;
    reader->cached_tail = atomic_load_explicit(&reader->ring.producer->tail, memory_order_acquire);
    return reader->head != reader->cached_tail;
}

static err_t give_up(struct ring_reader *reader)
{
    const struct ring *ring = &reader->ring;
    reader->cached_tail = atomic_load_explicit(&ring->producer->tail, memory_order_acquire);
    reader->head = reader->cached_tail; /* R4 */
    add(&ring->consumer->corrupt, 1);
    atomic_store_explicit(&ring->consumer->head, reader->head, memory_order_release);
    return ERR_CORRUPT;
}

err_t ring_read(struct ring_reader *reader, void *to, size_t size, size_t *length)
{
    const struct ring *ring = &reader->ring;
    if (!ring_pending(reader)) return ERR_EMPTY;
    uint64_t start = reader->head;
    uint64_t left = reader->cached_tail - start;
    if (left > ring->capacity) return give_up(reader);
    if ((start | left) % 8 != 0) return give_up(reader);
    uint64_t rest = ring->capacity - (start & (ring->capacity - 1));
    uint64_t header = atomic_load_explicit(header_at(ring, start), memory_order_relaxed);
    if (header == header_for(PADDING_TAG, start, 0)) {
        if (left <= rest) return give_up(reader); /* padding comes with a record behind it */
        start += rest;
        left -= rest;
        rest = ring->capacity;
        header = atomic_load_explicit(header_at(ring, start), memory_order_relaxed);
    }
    uint64_t bytes = header & UINT32_MAX;
    if (header != header_for(RECORD_TAG, start, bytes)) return give_up(reader);
    if (bytes == 0) return give_up(reader);
    if (bytes > RING_RECORD_MAX(ring->capacity)) return give_up(reader);
    if (bytes > size) return give_up(reader);
    if (record_bytes(bytes) > MIN_OF(left, rest)) return give_up(reader);
    memcpy(to, ring->data + (start & (ring->capacity - 1)) + HEADER_BYTES, bytes);
    *length = bytes;
    reader->head = start + record_bytes(bytes);
    add(&ring->consumer->taken, 1);
    atomic_store_explicit(&ring->consumer->head, reader->head, memory_order_release);
    return ERR_OK;
}

uint64_t ring_depth(const struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->consumer->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->producer->tail, memory_order_acquire);
    return MIN_OF(tail - head, ring->capacity);
}
