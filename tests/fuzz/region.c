/* tests/fuzz/region.c - pages of a region that say anything: the dashboard paints a frame of any
 * size from them, and status answers. */
#include "ctl/status.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stage.h"
#include "viz/keys.h"
#include "viz/paint.h"

#include <stdlib.h>

enum { ROWS_MAX = 60, COLUMNS_MAX = 200, POKES_MAX = 32 };

static void poke(struct input *input, const struct region *region)
{
    size_t length;
    uint8_t what = input_byte(input);
    uint32_t id = 1 + what % STAGE_PEERS, other = 1 + id % STAGE_PEERS;
    uint32_t slot = input_byte(input) % HELD_SLOTS;
    uint16_t offset = input_short(input);
    const uint8_t *bytes = input_bytes(input, &length);
    struct ring ring = region_ring(region, id, other);
    struct trail *trail = region_trail(region, id);
#define LATCH(part, words) stage_poke(part, latch_bytes(words), offset, bytes, length)
    switch (what / STAGE_PEERS % 10) {
    case 0:
    case 1: LATCH(region_board(region, id), BOARD_WORDS); break;
    case 2: LATCH(region_held(region, id, slot), HELD_WORDS); break;
    case 3: LATCH(region_life(region, id), LIFE_WORDS); break;
    case 4: LATCH(region_rule(region, id, other), LINK_RULE_WORDS); break;
    case 5: LATCH(region_clock(region), CLOCK_WORDS); break;
    case 6: LATCH(region_facts(region), FACTS_WORDS); break;
    case 7:
        stage_poke(region_link(region, id, other), sizeof(struct link_counts), offset, bytes,
                   length);
        break;
    case 8: stage_poke(ring.producer, sizeof(*ring.producer), offset, bytes, length); break;
    case 9: /* `last`, and the events with the lowest numbers */
        stage_poke(trail, sizeof(*trail) / TRAIL_EVENTS * 16, offset, bytes, length);
        break;
    }
#undef LATCH
}

/* A terminal that goes nowhere, made once: ncurses is slow to begin. */
static WINDOW *open_frame(void)
{
    static WINDOW *frame;
    if (frame != NULL) return frame;
    FILE *nowhere = fopen("/dev/null", "r+e");
    CHECK(nowhere != NULL);
    CHECK(newterm("dumb", nowhere, nowhere) != NULL);
    frame = newpad(ROWS_MAX, COLUMNS_MAX);
    CHECK(frame != NULL);
    return frame;
}

static void show(struct input *input, const struct region *region, uint64_t now_ns)
{
    WINDOW *frame = open_frame();
    struct model *model = model_new(region);
    struct view *view = calloc(1, sizeof(*view));
    CHECK(view != NULL);
    uint8_t how = input_byte(input);
    model_read(model, region, now_ns);
    model_read(model, region, now_ns + NS_PER_S);
    view_init(view, model, (struct look){ VIZ_MONO, how & 1 });
    view->pane = (enum pane)(how / 2 % PANE_COUNT);
    view->selected = 1 + input_byte(input) % STAGE_PEERS;
    input_take(input, &view->log_last, sizeof(view->log_last));
    view->pane_back = input_byte(input);
    wresize(frame, how & 8 ? VIEW_ROWS_MIN : ROWS_MAX, how & 16 ? VIEW_COLUMNS_MIN : COLUMNS_MAX);
    paint_frame(frame, model, view);
    free(view);
    model_free(model);
}

void fuzz_region(const uint8_t *bytes, size_t length)
{
    struct input input = { bytes, length };
    struct supervisor *supervisor = stage_open();
    uint8_t pokes = input_byte(&input) % POKES_MAX;
    for (uint8_t i = 0; i < pokes; i++) poke(&input, supervisor->cluster->region);
    show(&input, supervisor->cluster->region, 5 * NS_PER_S);
    json_t *status = status_json(supervisor);
    char *text = json_dumps(status, JSON_COMPACT);
    CHECK(text != NULL);
    free(text);
    json_decref(status);
}
