/* tests/fuzz/trail.c - trails whose writers write anything anywhere, as the observer follows them
 * and the safety checker judges them. Reading ends, and what is taken is in range. */
#include "ctl/observer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stage.h"

#include <stdio.h>

static void each(void *context, const struct note *note)
{
    char text[64], whole[512];
    uint64_t *seen = context;
    (*seen)++;
    CHECK(note->kind < NOTE_KIND_COUNT);
    CHECK(note->self <= STAGE_PEERS);
    CHECK(note->other <= PEER_MAX);
    CHECK(strcmp(note_name(note->kind), "?") != 0);
    size_t length = note_text(note, whole, sizeof(whole));
    CHECK(length == strlen(whole));
    CHECK(note_text(note, text, sizeof(text)) < sizeof(text));
}

static void violated(void *context, const struct violation *violation)
{
    UNUSED(context);
    CHECK(violation->invariant != NULL);
    CHECK(strlen(violation->text) < sizeof(violation->text));
}

/* An honest note, of small numbers so that notes meet. */
static void write_note(struct input *input, struct trail *trail, uint32_t id)
{
    struct note note = { .self = (uint8_t)id };
    note.kind = input_byte(input) % NOTE_KIND_COUNT;
    note.other = input_byte(input) % (STAGE_PEERS + 1);
    note.term = input_byte(input) % 8;
    note.time_ns = input_byte(input) % 8;
    note.a = input_byte(input) % 8;
    note.b = input_byte(input) % 8;
    trail_write(trail, &note);
}

static void poke(struct input *input, struct trail *trail)
{
    size_t slot = input_short(input) % TRAIL_EVENTS, length;
    uint8_t offset = input_byte(input);
    const uint8_t *bytes = input_bytes(input, &length);
    struct trail_event *event = &trail->events[slot];
    stage_poke(event, sizeof(*event), offset, bytes, length);
}

/* Wild writes come and go: what an honest writer then says is seen. */
static void check_goes_on(const struct region *region, struct observer *observer,
                          const uint64_t *seen)
{
    for (uint32_t id = 0; id <= STAGE_PEERS; id++) {
        struct note note = { .kind = NOTE_TIMEOUT_FORCED, .self = (uint8_t)id };
        struct trail *trail = region_trail(region, id);
        atomic_store(&trail->last, 40);
        observer_poll(observer);
        uint64_t before = *seen;
        trail_write(trail, &note);
        observer_poll(observer);
        CHECK(*seen == before + 1);
    }
}

void fuzz_trail(const uint8_t *bytes, size_t length)
{
    static FILE *nowhere;
    struct input input = { bytes, length };
    struct supervisor *supervisor = stage_open();
    if (nowhere == NULL) nowhere = fopen("/dev/null", "we");
    CHECK(nowhere != NULL);
    uint64_t seen = 0;
    struct observer_config config = {
        .log = nowhere, .topics = ~0u, .each = each, .violated = violated, .context = &seen
    };
    struct observer *observer = observer_open(supervisor->cluster, &config);
    uint64_t written[STAGE_PEERS + 1] = { 0 };
    while (input.left > 0) {
        uint8_t what = input_byte(&input);
        uint32_t id = what % (STAGE_PEERS + 1);
        struct trail *trail = region_trail(supervisor->cluster->region, id);
        uint64_t last;
        switch (what / 4 % 8) {
        case 0:
            input_take(&input, &last, sizeof(last));
            stage_poke(trail, offsetof(struct trail, unused), 0, &last, sizeof(last));
            break;
        case 1: poke(&input, trail); break;
        case 2: observer_poll(observer); break;
        default:
            if (++written[id] <= 32) write_note(&input, trail, id);
            break;
        }
    }
    observer_poll(observer);
    check_goes_on(supervisor->cluster->region, observer, &seen);
    observer_close(observer);
    for (uint32_t id = 0; id <= STAGE_PEERS; id++) { /* (S1) for what trail_write has touched */
        struct trail *trail = region_trail(supervisor->cluster->region, id);
        atomic_store(&trail->last, 0);
        memset(trail->events, 0, 64 * sizeof(trail->events[0]));
    }
}
