/* viz/paint_log.c - the logs as a grid: a row each peer, a column each index. */
#include "viz/paint.h"

#include <inttypes.h>
#include <string.h>

enum { LABEL = 4, CELL = 2, RULER_STEP = 5 };

/* Which indexes the columns stand for. */
struct window {
    uint64_t first, last;
    int x; /* of `first` */
};

/* The right edge is just behind the leader's end, where next_index stands, or some way behind when
 * others have more: a lonely former leader that goes on taking commands must not carry it away. */
static uint64_t edge_of(const struct model *model, const struct view *view, uint64_t cells)
{
    uint64_t end = model->log_end, room = MIN_OF(cells, end) / 4;
    if (view->log_last > 0) return MIN_OF(end, MAX_OF(view->log_last, cells));
    if (model->leader != 0) {
        uint64_t last = MIN_OF(model->peer[model->leader].board.last_index, end);
        if (end - last > room) end = MAX_OF(last + room, cells - 1);
    }
    return end + 1;
}

static struct window window_of(const struct layout *layout, const struct model *model,
                               const struct view *view)
{
    struct window window = { .x = layout->merged ? 1 : LABEL };
    uint64_t cells = (uint64_t)MAX_OF((layout->log.columns - window.x) / CELL, 1);
    uint64_t end = edge_of(model, view, cells);
    window.first = end > cells ? end - cells + 1 : 1;
    window.last = window.first + cells - 1;
    return window;
}

static void paint_ruler(const struct area *area, const struct window *window,
                        const struct model *model, bool scrolled)
{
    int x = window->x;
    for (uint64_t index = window->first; index <= window->last; index++, x += CELL) {
        char text[32];
        if ((index - 1) % RULER_STEP != 0) continue;
        int length = snprintf(text, sizeof(text), "%" PRIu64, index);
        if (length >= RULER_STEP * CELL)
            length = snprintf(text, sizeof(text), "..%04" PRIu64, index % 10000);
        if (x + length <= area->columns) put_text(area, 0, x, INK_TITLE, "%s", text);
    }
    if (scrolled && window->last < model->log_end) {
        char text[48], count[32];
        int length = snprintf(text, sizeof(text), " %s newer ",
                              text_count(model->log_end - window->last, count));
        put_text(area, 0, area->columns - length, INK_WARN, "%s", text);
    }
}

static void paint_entry(const struct area *area, int y, int x, const struct board *board,
                        uint64_t index, uint64_t term)
{
    bool committed = index <= board->commit_index;
    enum ink ink = ink_of_term(term, committed);
    put_char(area, y, x, ink, (wchar_t)(L'0' + (wchar_t)(term % 10)));
    if (index == board->commit_index) put_glyph(area, y, x + 1, ink, GLYPH_COMMIT);
    else if (index > board->durable_index) put_glyph(area, y, x + 1, ink, GLYPH_VOLATILE);
    else put_char(area, y, x + 1, ink, L' ');
}

static void paint_cells(const struct area *area, int y, const struct window *window,
                        const struct model *model, uint32_t id)
{
    int x = window->x;
    for (uint64_t index = window->first; index <= window->last; index++, x += CELL) {
        uint64_t term = 0;
        switch (model_entry(model, id, index, &term)) {
        case ENTRY_HERE: paint_entry(area, y, x, &model->peer[id].board, index, term); break;
        case ENTRY_GAP: put_glyph(area, y, x, INK_FAINT, GLYPH_GAP); break;
        case ENTRY_UNKNOWN: put_glyph(area, y, x, INK_FAINT, GLYPH_UNKNOWN); break;
        case ENTRY_COMPACTED: put_glyph(area, y, x, INK_FAINT, GLYPH_COMPACTED); break;
        case ENTRY_BEYOND: break;
        }
    }
}

/* How many entries lie beyond the right edge. */
static void paint_beyond(const struct area *area, int y, uint64_t last, uint64_t edge)
{
    char text[40], count[32];
    if (last <= edge) return;
    int length = snprintf(text, sizeof(text), " +%s ", text_count(last - edge, count));
    put_text(area, y, area->columns - length, INK_WARN, "%s", text);
}

static void paint_mark(const struct area *area, int y, const struct window *window, uint64_t index,
                       enum glyph glyph)
{
    if (index >= window->first && index <= window->last)
        put_glyph(area, y, window->x + (int)(index - window->first) * CELL, INK_QUIET, glyph);
}

/* Below a follower's row: what the leader believes of it. */
static void paint_marks(const struct area *area, int y, const struct window *window,
                        const struct model *model, uint32_t id)
{
    if (model->leader == 0 || model->leader == id || !model->peer[id].life.alive) return;
    const struct board_follower *follower = &model->peer[model->leader].board.followers[id];
    paint_mark(area, y, window, follower->match_index, GLYPH_MATCH);
    paint_mark(area, y, window, follower->next_index, GLYPH_NEXT);
}

void paint_log(const struct layout *layout, const struct model *model, const struct view *view)
{
    const struct area *area = &layout->log;
    struct window window = window_of(layout, model, view);
    if (!layout->merged) put_text(area, 0, 0, INK_TITLE, "log");
    paint_ruler(area, &window, model, view->log_last > 0);
    int y = 1;
    for (uint32_t i = 0; i < layout->visible; i++) {
        uint32_t id = layout->top + i;
        if (!layout->merged) {
            bool selected = id == view->selected;
            if (selected) put_glyph(area, y, 0, INK_SELECTED, GLYPH_SELECTED);
            put_text(area, y, 1, selected ? INK_SELECTED : peer_ink(model, id), "%2u", id);
        }
        paint_cells(area, y, &window, model, id);
        if (view->log_last == 0 && model->peer[id].published)
            paint_beyond(area, y, model->peer[id].board.last_index, window.last);
        y++;
        if (layout->marks) paint_marks(area, y++, &window, model, id);
    }
}
