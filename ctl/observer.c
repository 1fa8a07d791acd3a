/* ctl/observer.c - merge, check, print. */
#include "ctl/observer.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 16384, BATCHES_A_POLL = 8, GAP = NOTE_KIND_COUNT };

struct observer {
    struct cluster *cluster;
    struct observer_config config;
    struct safety *safety;
    struct trail_reader readers[PEER_MAX + 1];
    struct note_log lines;
    uint64_t counts[NOTE_KIND_COUNT];
    struct note *batch;
    size_t batch_count;
};

struct observer *observer_open(struct cluster *cluster, const struct observer_config *config)
{
    struct observer *observer = calloc(1, sizeof(*observer));
    CHECK(observer != NULL);
    observer->cluster = cluster;
    observer->config = *config;
    observer->lines.peers = cluster->config.peers;
    observer->safety = safety_new();
    observer->batch = malloc(BATCH_MAX * sizeof(*observer->batch));
    CHECK(observer->safety != NULL);
    CHECK(observer->batch != NULL);
    for (uint32_t id = 0; id <= cluster->config.peers; id++)
        trail_follow(&observer->readers[id], region_trail(cluster->region, id), true);
    return observer;
}

void observer_close(struct observer *observer)
{
    safety_free(observer->safety);
    free(observer->batch);
    free(observer);
}

uint64_t observer_count(const struct observer *observer, enum note_kind kind)
{
    return observer->counts[kind];
}

/* ---- merging ---- */

static int by_time(const void *left, const void *right)
{
    const struct note *a = left, *b = right;
    if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
    if (a->self != b->self) return a->self < b->self ? -1 : 1;
    return a->spare < b->spare ? -1 : a->spare > b->spare; /* order within one peer's turn */
}

/* Take up to `share` notes of one trail. True when it may have more. Where some were overwritten, a
 * mark stands in their place (GAP). */
static bool collect_from(struct observer *observer, uint32_t id, uint32_t share)
{
    struct trail_reader *reader = &observer->readers[id];
    struct note note;
    uint32_t order = 0;
    while (order + 1 < share) {
        uint64_t missed = reader->missed;
        if (!trail_read(reader, &note)) return false;
        if (reader->missed != missed)
            observer->batch[observer->batch_count++] = (struct note){
                .time_ns = note.time_ns, .kind = GAP, .self = (uint8_t)id, .spare = order++
            };
        note.spare = order++;
        if (note.kind >= NOTE_KIND_COUNT || note.self != id || note.other > PEER_MAX)
            continue; /* hostile */
        observer->batch[observer->batch_count++] = note;
    }
    return true;
}

/* True when some peer may have more: its share of the batch was full. */
static bool collect(struct observer *observer)
{
    uint64_t missed = 0;
    bool more = false;
    uint32_t share = BATCH_MAX / (observer->cluster->config.peers + 1);
    observer->batch_count = 0;
    for (uint32_t id = 0; id <= observer->cluster->config.peers; id++) {
        more |= collect_from(observer, id, share);
        missed += observer->readers[id].missed;
    }
    observer->cluster->facts.missed = missed;
    qsort(observer->batch, observer->batch_count, sizeof(*observer->batch), by_time);
    return more;
}

static void take_batch(struct observer *observer)
{
    for (size_t i = 0; i < observer->batch_count; i++) {
        const struct note *note = &observer->batch[i];
        struct violation violation;
        if (note->kind == GAP) {
            safety_missed(observer->safety, note->self);
            continue;
        }
        observer->counts[note->kind]++;
        observer->cluster->facts.checked++;
        note_log_follow(&observer->lines, note);
        if (observer->config.log != NULL && (observer->config.topics >> note_topic(note->kind)) & 1)
            note_log_write(&observer->lines, observer->config.log, note);
        if (observer->config.trace != NULL)
            note_log_write(&observer->lines, observer->config.trace, note);
        if (observer->config.each != NULL) observer->config.each(observer->config.context, note);
        if (!safety_note(observer->safety, note, &violation)) continue;
        observer->cluster->facts.violations++;
        if (observer->config.violated != NULL)
            observer->config.violated(observer->config.context, &violation);
    }
}

void observer_poll(struct observer *observer)
{
    struct cluster_facts before = observer->cluster->facts;
    bool more = true;
    for (int batches = 0; more && batches < BATCHES_A_POLL; batches++) {
        more = collect(observer);
        take_batch(observer);
    }
    if (observer->config.log != NULL && observer->batch_count > 0) fflush(observer->config.log);
    if (memcmp(&before, &observer->cluster->facts, sizeof(before)) != 0)
        cluster_publish_facts(observer->cluster);
}
