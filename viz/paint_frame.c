/* viz/paint_frame.c - the layout: which part of a frame gets which rows and columns. */
#include "viz/paint.h"

enum {
    PANE_MIN = 6,    /* rows of the lower pane with its title */
    PANE_ROOMY = 14, /* with so many left the log gets its rows of marks */
    SIDE_MIN = 48,   /* columns that are left for events beside the links */
    GRID_MIN = 24,   /* columns of the log when it shares rows with the table */
    TAPE_ROWS = 36,  /* a screen of so many has the tape in any case */
};

static struct area area_at(WINDOW *window, const struct view *view, int y, int x, int rows,
                           int columns)
{
    return (struct area){ window, &view->look, y, x, MAX_OF(rows, 0), MAX_OF(columns, 0) };
}

/* Table above, log below. Returns the first row that is left. */
static int split_rows(struct layout *layout, WINDOW *window, const struct view *view, int rows,
                      int columns)
{
    int peers = (int)layout->visible, left = rows - 2 - (1 + peers) - (1 + peers);
    bool roomy = left >= PANE_ROOMY + 1;
    layout->marks = left - (peers - 1) >= PANE_ROOMY && peers > 1;
    int log_rows = 1 + (layout->marks ? 2 * peers : peers), y = 1 + roomy;
    if (roomy) layout->tape = area_at(window, view, 1, 0, 1, columns);
    layout->peers = area_at(window, view, y, 0, 1 + peers, columns);
    y += 1 + peers + roomy;
    layout->log = area_at(window, view, y, 0, log_rows, columns);
    return y + log_rows;
}

/* One row for each peer: table to the left, log to the right. */
static int share_rows(struct layout *layout, WINDOW *window, const struct view *view,
                      const struct model *model, int rows, int columns)
{
    int pane = MAX_OF(PANE_MIN, rows / 4), y = 1 + (rows >= TAPE_ROWS);
    layout->merged = true;
    layout->visible = (uint32_t)MIN_OF((int)model->peers, rows - 2 - y - pane);
    uint32_t before = layout->visible / 2; /* keep the selected peer in the middle */
    layout->top = view->selected > before ? view->selected - before : 1;
    layout->top = MIN_OF(layout->top, model->peers - layout->visible + 1);
    int table = peers_columns(MAX_OF(columns / 2 + 6, columns - GRID_MIN - 2 * columns / 5));
    int shown = (int)layout->visible;
    if (y > 1) layout->tape = area_at(window, view, 1, 0, 1, columns);
    layout->peers = area_at(window, view, y, 0, 1 + shown, table);
    layout->log = area_at(window, view, y, table, 1 + shown, columns - table);
    return y + 1 + shown;
}

struct layout layout_of(WINDOW *window, const struct model *model, const struct view *view)
{
    int rows, columns;
    getmaxyx(window, rows, columns);
    struct layout layout = { .top = 1, .visible = model->peers };
    layout.header = area_at(window, view, 0, 0, 1, columns);
    layout.bottom = area_at(window, view, rows - 1, 0, 1, columns);
    int both = 2 * (1 + (int)model->peers);
    int y = both + PANE_MIN + 2 <= rows ? split_rows(&layout, window, view, rows, columns)
                                        : share_rows(&layout, window, view, model, rows, columns);
    layout.pane = area_at(window, view, y, 0, rows - 1 - y, columns);
    int links = 6 + 10 * (int)model->peers; /* columns of a matrix that tells all */
    if (view->pane != PANE_LINKS &&
        columns - links >= SIDE_MIN + (view->pane == PANE_PEER ? 40 : 0) &&
        layout.pane.rows > (int)model->peers + 2) {
        layout.side = layout.pane;
        layout.side.columns = links;
        layout.side.x = columns - links;
        layout.pane.columns = columns - links - 1;
    }
    return layout;
}

void paint_tabs(const struct area *area, const struct model *model, const struct view *view)
{
    static const char *const titles[] = {
#define PANE_TITLE(name, title) title,
        PANE_LIST(PANE_TITLE)
#undef PANE_TITLE
    };
    put_fill(area, 0, 0, area->columns, INK_QUIET, glyph_char(area->look, GLYPH_RULE));
    int x = 2;
    for (unsigned i = 0; i < COUNT(titles); i++) {
        enum ink ink = i == view->pane ? INK_STRONG : INK_QUIET;
        x = put_char(area, 0, x, ink, L' ');
        x = put_text(area, 0, x, ink, "%s", titles[i]);
        if (i == PANE_FLIGHT && model->flights > 0)
            x = put_text(area, 0, x, ink, " %u", model->flights);
        if (i == PANE_PEER) x = put_text(area, 0, x, ink, " %u", view->selected);
        x = put_char(area, 0, x, ink, L' ') + 1;
    }
    if (view->pane == PANE_EVENTS) {
        char count[32];
        if (view->quiet) x = put_text(area, 0, x, INK_QUIET, " routine hidden ") + 1;
        if (view->pane_back > 0)
            x = put_text(area, 0, x, INK_WARN, " %u newer ", view->pane_back) + 1;
        if (model->skipped > 0)
            put_text(area, 0, x, INK_QUIET, " %s notes skipped ",
                     text_count(model->skipped, count));
    }
}

static void paint_pane(const struct layout *layout, const struct model *model,
                       const struct view *view)
{
    static void (*const paint[PANE_COUNT])(const struct area *, const struct model *,
                                           const struct view *) = { [PANE_EVENTS] = paint_events,
                                                                    [PANE_LINKS] = paint_links,
                                                                    [PANE_FLIGHT] = paint_flight,
                                                                    [PANE_PEER] = paint_peer };
    struct area body = layout->pane;
    paint_tabs(&body, model, view);
    body.y++;
    body.rows--;
    paint[view->pane](&body, model, view);
    if (layout->side.rows == 0) return;
    struct area side = layout->side;
    put_fill(&side, 0, -1, side.columns + 1, INK_QUIET, glyph_char(side.look, GLYPH_RULE));
    put_text(&side, 0, 1, INK_QUIET, " links ");
    side.y++;
    side.rows--;
    paint_links(&side, model, view);
}

static void paint_too_small(const struct area *all)
{
    char text[80];
    int length = snprintf(text, sizeof(text), "%dx%d is too small: %dx%d needed", all->columns,
                          all->rows, VIEW_COLUMNS_MIN, VIEW_ROWS_MIN);
    put_text(all, all->rows / 2, MAX_OF((all->columns - length) / 2, 0), INK_STRONG, "%s", text);
}

void paint_frame(WINDOW *window, const struct model *model, const struct view *view)
{
    int rows, columns;
    getmaxyx(window, rows, columns);
    werase(window);
    struct area all = area_at(window, view, 0, 0, rows, columns);
    if (rows < VIEW_ROWS_MIN || columns < VIEW_COLUMNS_MIN) {
        paint_too_small(&all);
        return;
    }
    struct layout layout = layout_of(window, model, view);
    paint_header(&layout.header, model);
    if (view->help) {
        all.y++;
        all.rows -= 2;
        paint_help(&all, view);
    } else {
        paint_tape(&layout.tape, model);
        paint_peers(&layout, model, view);
        paint_log(&layout, model, view);
        paint_pane(&layout, model, view);
    }
    paint_bottom(&layout, view, model->now_ns);
}
