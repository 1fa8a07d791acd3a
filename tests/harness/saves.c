/* tests/harness/saves.c - random saves from a seed; a disk compared with what they leave on it. */
#include "tests/harness/saves.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

struct saved {
    uint64_t term, content; /* content: seed of the data's bytes */
    uint32_t kind, bytes;
};
enum { ADDITIONS_MAX = 40, BYTES_MAX = 1 << 16, TRUNCATION_MAX = 60 };

void saves_open(struct saves *saves, uint64_t seed)
{
    *saves = (struct saves){ .seed = seed };
    saves->entries = calloc(ADDITIONS_MAX, sizeof(*saves->entries));
    saves->additions = calloc(ADDITIONS_MAX, sizeof(*saves->additions));
    saves->data = calloc(ADDITIONS_MAX, BYTES_MAX + 8);
    CHECK(saves->entries != NULL && saves->additions != NULL && saves->data != NULL);
}

void saves_close(struct saves *saves)
{
    free(saves->log);
    free(saves->entries);
    free(saves->additions);
    free(saves->data);
}

static void content_fill(const struct saved *saved, uint8_t *data)
{
    struct rng rng = { saved->content };
    for (uint32_t i = 0; i < saved->bytes; i += 8) {
        uint64_t word = rng_next(&rng);
        memcpy(data + i, &word, sizeof(word)); /* the room ends 8 bytes later */
    }
}

static uint32_t bytes_draw(struct rng *rng)
{
    if (rng_chance(rng, 20000)) return (uint32_t)rng_range(rng, 0, BYTES_MAX);
    if (rng_chance(rng, 100000)) return (uint32_t)rng_range(rng, 0, 6000);
    return (uint32_t)rng_range(rng, 0, 150);
}

const struct disk_save *saves_next(struct saves *saves)
{
    struct rng rng;
    rng_seed(&rng, saves->seed, saves->step, 0);
    struct disk_save *save = &saves->next;
    *save = (struct disk_save){ .hard = saves->step == 0 || rng_chance(&rng, 200000),
                                .term = saves->term,
                                .voted_for = saves->voted_for,
                                .entries = saves->entries };
    if (save->hard) {
        save->term += rng_range(&rng, saves->step == 0, 2);
        save->voted_for = (uint32_t)rng_range(&rng, 0, 3);
    }
    if (saves->count > 0 && rng_chance(&rng, 150000)) {
        uint64_t most = rng_chance(&rng, 20000) ? saves->count : TRUNCATION_MAX;
        save->truncate_from = saves->count - rng_range(&rng, 0, MIN_OF(saves->count, most) - 1);
    }
    uint64_t keep = save->truncate_from == 0 ? saves->count : save->truncate_from - 1;
    save->first_index = keep + 1;
    save->count = (uint32_t)rng_range(&rng, 0, rng_chance(&rng, 300000) ? ADDITIONS_MAX : 3);
    for (uint32_t i = 0; i < save->count; i++) {
        struct saved *saved = &saves->additions[i];
        *saved = (struct saved){ .term = save->term,
                                 .content = rng_next(&rng),
                                 .kind = (uint32_t)rng_range(&rng, 0, ENTRY_KIND_COUNT - 1),
                                 .bytes = bytes_draw(&rng) };
        uint8_t *data = saves->data + (size_t)i * (BYTES_MAX + 8);
        content_fill(saved, data);
        saves->entries[i] = (struct entry){ saved->term, saved->kind, saved->bytes, data };
    }
    return save;
}

void saves_done(struct saves *saves)
{
    const struct disk_save *save = saves_next(saves);
    if (save->hard) {
        saves->term = save->term;
        saves->voted_for = save->voted_for;
    }
    if (save->truncate_from != 0) saves->count = save->truncate_from - 1;
    while (saves->count + save->count > saves->capacity) {
        saves->capacity = saves->capacity == 0 ? 256 : 2 * saves->capacity;
        saves->log = realloc(saves->log, saves->capacity * sizeof(*saves->log));
        CHECK(saves->log != NULL);
    }
    for (uint32_t i = 0; i < save->count; i++) saves->log[saves->count++] = saves->additions[i];
    saves->step++;
}

struct comparison {
    const struct saves *saves;
    uint64_t next;
    const char *difference;
    uint8_t data[BYTES_MAX + 8];
};

static bool compare(void *context, uint64_t index, const struct entry *entry)
{
    struct comparison *c = context;
    CHECK(index == c->next);
    const struct saved *saved = &c->saves->log[index - 1];
    c->next++;
    if (entry->term != saved->term) c->difference = "term of an entry";
    else if (entry->kind != saved->kind) c->difference = "kind of an entry";
    else if (entry->bytes != saved->bytes) c->difference = "length of an entry";
    else {
        content_fill(saved, c->data);
        if (memcmp(entry->data, c->data, entry->bytes) != 0) c->difference = "data of an entry";
    }
    return c->difference == NULL;
}

static bool stop(void *context, uint64_t index, const struct entry *entry)
{
    UNUSED(context), UNUSED(index), UNUSED(entry);
    return false;
}

const char *saves_differ(const struct saves *saves, const struct disk *disk)
{
    struct comparison *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->saves = saves;
    c->next = 1;
    if (saves->count > 0 && disk->read(disk->state, 1, saves->count, compare, c) != ERR_OK)
        c->difference = err_context();
    else if (c->difference == NULL &&
             disk->read(disk->state, saves->count + 1, saves->count + 1, stop, NULL) != ERR_CORRUPT)
        c->difference = "an entry past the end";
    const char *difference = c->difference;
    free(c);
    return difference;
}

const char *saves_found_differ(const struct saves *saves, const struct disk_found *found)
{
    if (found->term != saves->term) return "term";
    if (found->voted_for != saves->voted_for) return "vote";
    if (found->first_index != 1) return "first index";
    if (found->last_index != saves->count) return "last index";
    return NULL;
}
