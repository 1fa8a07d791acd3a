/* sim/spool.h - queues of bytes in chunks, all from one pool of bounded size.
 * Owns   memory for frontiers and traces: chunks that were read are used again.
 * Leaves what the bytes mean to sim/explore.c.
 * Holds  (P1) a piece of bytes is never spread over two chunks. */
#ifndef SIM_SPOOL_H
#define SIM_SPOOL_H

#include "base/base.h"

enum { SPOOL_CHUNK = 64 << 10 };
struct chunk {
    struct chunk *next;
    uint32_t used, items;
    uint32_t parents, children; /* the owner's */
    uint8_t bytes[SPOOL_CHUNK];
};
struct pool {
    struct chunk *unused;
    uint64_t bytes, bytes_max; /* bytes_max may be changed at any time */
};
struct spool {
    struct chunk *first, *last;
    uint64_t items, bytes;
};

void pool_free(struct pool *pool);
void spool_free(struct pool *pool, struct spool *spool);
/* Where the next `size` bytes may go, which are not SPOOL_CHUNK or more. NULL: the pool is full. */
uint8_t *spool_room(struct pool *pool, struct spool *spool, uint32_t size);
/* One item of so many bytes is there, at most what was asked for. */
void spool_add(struct spool *spool, uint32_t used);
/* The first chunk is read: its memory is the pool's again. */
void spool_drop(struct pool *pool, struct spool *spool);

#endif
