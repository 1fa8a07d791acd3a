/* sim/spool.c - see sim/spool.h. */
#include "sim/spool.h"

#include <stdlib.h>

static void free_chunks(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void pool_free(struct pool *pool)
{
    free_chunks(pool->unused);
    *pool = (struct pool){ 0 };
}

void spool_free(struct pool *pool, struct spool *spool)
{
    while (spool->first != NULL) spool_drop(pool, spool);
}

static struct chunk *take_chunk(struct pool *pool)
{
    struct chunk *chunk = pool->unused;
    if (chunk != NULL) {
        pool->unused = chunk->next;
    } else {
        if (pool->bytes + sizeof(*chunk) > pool->bytes_max) return NULL;
        chunk = malloc(sizeof(*chunk));
        if (chunk == NULL) return NULL;
        pool->bytes += sizeof(*chunk);
    }
    chunk->next = NULL;
    chunk->used = chunk->items = chunk->parents = chunk->children = 0;
    return chunk;
}

uint8_t *spool_room(struct pool *pool, struct spool *spool, uint32_t size)
{
    CHECK(size < SPOOL_CHUNK);
    if (spool->last == NULL || spool->last->used + size > SPOOL_CHUNK) {
        struct chunk *chunk = take_chunk(pool);
        if (chunk == NULL) return NULL;
        if (spool->last != NULL) spool->last->next = chunk;
        else spool->first = chunk;
        spool->last = chunk;
    }
    return spool->last->bytes + spool->last->used;
}

void spool_add(struct spool *spool, uint32_t used)
{
    spool->last->used += used;
    spool->last->items++;
    spool->items++;
    spool->bytes += used;
}

void spool_drop(struct pool *pool, struct spool *spool)
{
    struct chunk *chunk = spool->first;
    spool->first = chunk->next;
    if (spool->first == NULL) spool->last = NULL;
    spool->items -= chunk->items;
    spool->bytes -= chunk->used;
    chunk->next = pool->unused;
    pool->unused = chunk;
}
