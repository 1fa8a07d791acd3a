/* viz/paint.h - from a model and a view to cells: layout, areas, one function a part of a frame.
 * Owns   where things are on a screen of any size; clipping.
 * Leaves numbers to viz/model.h, colours and signs to viz/palette.h, the terminal to viz/loop.c.
 * Holds  (A1) painting changes nothing but the window   (A2) nothing is drawn outside its area
 *        (A3) the same model, view and size give the same cells. */
#ifndef VIZ_PAINT_H
#define VIZ_PAINT_H

#include "viz/view.h"

struct area {
    WINDOW *window;
    const struct look *look;
    int y, x, rows, columns;
};
struct layout {
    struct area header, tape, peers, log, pane, side, bottom; /* side: links beside; may be empty */
    bool merged;           /* many peers: table and log share rows */
    bool marks;            /* a row under each follower for next_index and match_index */
    uint32_t top, visible; /* the first peer shown and how many */
};

/* All drawing goes through these. They clip, and return the column after what they drew. */
int put_glyph(const struct area *area, int y, int x, enum ink ink, enum glyph glyph);
int put_char(const struct area *area, int y, int x, enum ink ink, wchar_t character);
int put_wide(const struct area *area, int y, int x, enum ink ink, const wchar_t *text);
int put_text(const struct area *area, int y, int x, enum ink ink, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same, right-aligned in `width` columns, cut on the left: low digits are those that differ. */
int put_number(const struct area *area, int y, int x, enum ink ink, int width, uint64_t number);
void put_fill(const struct area *area, int y, int x, int columns, enum ink ink, wchar_t character);

/* 1,234 */
const char *text_count(uint64_t number, char text[32]);
/* At most 5 columns: 999, 12k, 3.4M */
const char *text_short(uint64_t number, char text[32]);
/* mm:ss.mmm */
const char *text_time(uint64_t cluster_ns, char text[32]);
/* "drop 5% delay 1ms..20ms", "" for a perfect link */
const char *text_rule(const struct link_rule *rule, char *text, size_t size);

/* How a peer's row is drawn: by what it is now, then by its role. */
enum ink peer_ink(const struct model *model, uint32_t peer);

struct layout layout_of(WINDOW *window, const struct model *model, const struct view *view);
void paint_header(const struct area *area, const struct model *model);
void paint_tape(const struct area *area, const struct model *model);
void paint_peers(const struct layout *layout, const struct model *model, const struct view *view);
/* Columns that the table of peers needs, at most `columns`. */
int peers_columns(int columns);
void paint_log(const struct layout *layout, const struct model *model, const struct view *view);
void paint_tabs(const struct area *area, const struct model *model, const struct view *view);
void paint_events(const struct area *area, const struct model *model, const struct view *view);
void paint_links(const struct area *area, const struct model *model, const struct view *view);
void paint_flight(const struct area *area, const struct model *model, const struct view *view);
void paint_peer(const struct area *area, const struct model *model, const struct view *view);
void paint_help(const struct area *area, const struct view *view);
void paint_bottom(const struct layout *layout, const struct view *view, uint64_t now_ns);

/* A whole frame into `window`, which it erases. */
void paint_frame(WINDOW *window, const struct model *model, const struct view *view);
/* The cells of `window` as lines of text, without blanks at their ends. */
void frame_write(WINDOW *window, FILE *file);

#endif
