/* viz/paint_links.c - the matrix of directed links: rule, what waits, what was lost.
 * A link that is well shows one dot, so that what is wrong stands out. */
#include "viz/paint.h"

#include "fault/verb.h"

#include <string.h>

enum { LABEL = 6, CELL_WIDEST = 18, CELL_TELLING = 8 };

/* The rule in a few columns: "cut", "5%", "20ms", or the name of what else is wrong. */
static const char *rule_word(const struct link_rule *rule, char text[32])
{
    char time[32];
    size_t used = 0;
    if (rule->cut) return "cut";
    text[0] = '\0';
    if (rule->loss_ppm > 0)
        used += (size_t)snprintf(text, 32, "%g%% ", (double)rule->loss_ppm * 100 / PPM);
    if (rule->delay_max_ns > 0) {
        time_print(rule->delay_max_ns, time, sizeof(time));
        used += (size_t)snprintf(text + used, 32 - used, "%.12s ", time);
    }
    if (used == 0 && rule->dup_ppm > 0) return "dup";
    if (used == 0 && rule->reorder_ppm > 0) return "reorder";
    if (used == 0 && rule->corrupt_ppm > 0) return "corrupt";
    if (used == 0 && rule->course != COURSE_OFF) return "unreliable";
    if (used > 0) text[used - 1] = '\0';
    return text;
}

static void paint_cell(const struct area *area, int y, int x, int width,
                       const struct model_link *link)
{
    char rule[32], number[32];
    bool faulty = !link_rule_faultless(&link->rule);
    enum ink ink = link->rule.cut ? INK_DEAD : INK_FAULT;
    if (!faulty && link->queued_bytes == 0 && link->held == 0 && link->dropped == 0) {
        put_glyph(area, y, x, INK_QUIET, GLYPH_LINK_FINE);
        return;
    }
    struct area cell = *area; /* what is too long is cut here */
    cell.columns = MIN_OF(area->columns, x + width - 1);
    if (faulty) x = put_text(&cell, y, x, ink, "%s", rule_word(&link->rule, rule)) + 1;
    if (link->queued_bytes > 0)
        x = put_text(&cell, y, x, INK_WARN, "q%s", text_short(link->queued_bytes, number)) + 1;
    if (link->held > 0)
        x = put_text(&cell, y, x, INK_WARN, "h%s", text_short(link->held, number)) + 1;
    if (link->dropped > 0)
        put_text(&cell, y, x, INK_QUIET, "-%s", text_short(link->dropped, number));
}

/* Many peers: one sign a link. */
static void paint_sign(const struct area *area, int y, int x, const struct model_link *link)
{
    if (link->rule.cut) put_glyph(area, y, x, INK_DEAD, GLYPH_LINK_CUT);
    else if (!link_rule_faultless(&link->rule)) put_glyph(area, y, x, INK_FAULT, GLYPH_LINK_FAULTY);
    else if (link->queued_bytes > 0 || link->held > 0)
        put_glyph(area, y, x, INK_WARN, GLYPH_LINK_BUSY);
    else put_glyph(area, y, x, INK_QUIET, GLYPH_LINK_FINE);
}

static void paint_titles(const struct area *area, const struct model *model, int width)
{
    put_text(area, 0, 1, INK_TITLE, "from");
    for (uint32_t to = 1; to <= model->peers; to++) {
        int x = LABEL + (int)(to - 1) * width;
        if (width <= 3) put_text(area, 0, x, INK_TITLE, "%u", width < 3 ? to % 10 : to);
        else put_text(area, 0, x, peer_ink(model, to), "> %u", to);
    }
}

/* broadcastTime << electionTimeout [R §5.6]: say when the delays break it. */
static void paint_warning(const struct area *area, int y, const struct model *model)
{
    uint64_t worst_ns = 0;
    char trip[32], timer[32];
    for (uint32_t a = 1; a <= model->peers; a++)
        for (uint32_t b = a + 1; b <= model->peers; b++) {
            uint64_t there = MIN_OF(link_longest_ns(&model->link[a][b].rule), TIME_NEVER / 4);
            uint64_t back = MIN_OF(link_longest_ns(&model->link[b][a].rule), TIME_NEVER / 4);
            worst_ns = MAX_OF(worst_ns, there + back);
        }
    if (model->election_min_ns == 0 || worst_ns < model->election_min_ns) return;
    time_print(worst_ns, trip, sizeof(trip));
    time_print(model->election_min_ns, timer, sizeof(timer));
    put_text(area, y, 1, INK_WARN, "round trips of up to %s: timers of %s may run out", trip,
             timer);
}

void paint_links(const struct area *area, const struct model *model, const struct view *view)
{
    int width = MIN_OF((area->columns - LABEL) / (int)model->peers, CELL_WIDEST);
    int room = area->rows - 1, skip = 0; /* keep the selected peer in sight */
    if ((int)model->peers > room)
        skip = MIN_OF(MAX_OF((int)view->selected - 1 - room / 2, 0), (int)model->peers - room);
    width = MAX_OF(width, 1);
    if (width < CELL_TELLING) width = MIN_OF(width, 3);
    paint_titles(area, model, width);
    for (int row = 0; row < room && row + skip < (int)model->peers; row++) {
        uint32_t from = (uint32_t)(row + skip + 1);
        bool selected = from == view->selected;
        if (selected) put_glyph(area, row + 1, 0, INK_SELECTED, GLYPH_SELECTED);
        put_text(area, row + 1, 1, selected ? INK_SELECTED : peer_ink(model, from), "%2u", from);
        for (uint32_t to = 1; to <= model->peers; to++) {
            int x = LABEL + (int)(to - 1) * width;
            if (to == from) continue;
            if (width < CELL_TELLING) paint_sign(area, row + 1, x, &model->link[from][to]);
            else paint_cell(area, row + 1, x, width, &model->link[from][to]);
        }
    }
    if (room <= (int)model->peers + 1 || width < CELL_TELLING) return;
    put_text(area, (int)model->peers + 2, 1, INK_QUIET,
             "q bytes waiting   h messages held back   - lost");
    paint_warning(area, (int)model->peers + 3, model);
}
