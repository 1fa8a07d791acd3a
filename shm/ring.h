/* shm/ring.h - single-producer, single-consumer byte ring between two processes.
 * Owns   one power-of-two buffer in a mapped region: no pointers stored, no system calls.
 * Leaves waking the reader to shm/bell.h, the meaning of the bytes to node/wire.h.
 * Holds  (R1) 0 <= tail - head <= capacity, both free-running 64-bit byte positions
 *        (R2) each side stores only into its own page; nobody resets another's index
 *        (R3) nothing exists for the consumer before ring_commit: its release store of `tail` is
 *             the last instruction of a put, so a producer killed or paused anywhere leaves no
 *             trace
 *        (R4) what is read is hostile until checked: the consumer copies the record header once
 *             and uses only the copy; bad bytes are counted, the ring is emptied (head = tail),
 *             life goes on
 *        (R5) a restarted consumer begins with head = tail: a reboot loses what was in flight. */
#ifndef SHM_RING_H
#define SHM_RING_H

#include "base/base.h"
#include "base/err.h"
#include <stdatomic.h>

#define CACHE_LINE 64
#define RING_RECORD_MAX(capacity) ((capacity) / 2 - 8) /* payload bytes of the largest record */

/* Owned by the producer; counters are for the people who watch. */
struct ring_producer {
    _Atomic uint64_t tail;    /* bytes published */
    _Atomic uint64_t life;    /* incarnation of the producer, 1 for its first */
    _Atomic uint64_t sent;    /* records published */
    _Atomic uint64_t bytes;   /* payload bytes published */
    _Atomic uint64_t refused; /* records dropped because the ring was full */
    uint64_t unused[11];
};
/* Owned by the consumer. */
struct ring_consumer {
    _Atomic uint64_t head; /* bytes taken */
    _Atomic uint64_t life;
    _Atomic uint64_t taken;   /* records read, before any fault rule */
    _Atomic uint64_t corrupt; /* times that bad bytes emptied the ring */
    uint64_t unused[12];
};
_Static_assert(sizeof(struct ring_producer) == 2 * CACHE_LINE, "no false sharing");
_Static_assert(sizeof(struct ring_consumer) == 2 * CACHE_LINE, "no false sharing");

/* Where the three parts lie in this process's mapping. capacity: a power of two, 64 bytes or
 * more. */
struct ring {
    struct ring_producer *producer;
    struct ring_consumer *consumer;
    uint8_t *data; /* 8-byte aligned; belongs to the producer */
    uint64_t capacity;
};
/* Private to one side; the cached index of the other side lives here, never in shared memory. */
struct ring_writer {
    struct ring ring;
    uint64_t tail, cached_head;
    uint64_t claimed, length; /* of the record under way: with header and padding; payload */
};
struct ring_reader {
    struct ring ring;
    uint64_t head, cached_tail;
};

/* Begin a life of the producer: go on at the published tail (R2), raise its incarnation. */
void ring_writer_open(struct ring_writer *writer, const struct ring *ring);
/* Reserve `length` bytes (1 .. RING_RECORD_MAX) and return where to write them, 8-byte aligned.
 * Producer only; wait-free. A second claim before the commit replaces the first.
 * ERR_FULL: the consumer is behind; counted. Drop the message: the sender's retry is the recovery
 * [R §5.1]. ERR_TOO_LARGE: never fits. */
err_t ring_claim(struct ring_writer *writer, size_t length, void **record);
/* Publish the claimed record: one release store. Without a claim it does nothing. */
void ring_commit(struct ring_writer *writer);

/* Begin a life of the consumer (R5). */
void ring_reader_open(struct ring_reader *reader, const struct ring *ring);
/* Copy the next record into `to`. Consumer only; wait-free. Sets *length.
 * ERR_EMPTY: nothing there. ERR_CORRUPT: positions or header made no sense, or the record is larger
 * than `size`; counted, everything in flight is given up (R4). */
err_t ring_read(struct ring_reader *reader, void *to, size_t size, size_t *length);
/* True when ring_read would not answer ERR_EMPTY. */
bool ring_pending(struct ring_reader *reader);
/* Bytes between head and tail as anybody sees them, at most `capacity`; for display. */
uint64_t ring_depth(const struct ring *ring);

#endif
