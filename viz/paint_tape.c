/* viz/paint_tape.c - the tape below the header: terms as bands, newest to the right. */
#include "viz/paint.h"

static const struct {
    enum ink ink;
    enum glyph glyph;
} marks[] = {
    [TAPE_LINKS] = { INK_FAULT, GLYPH_TAPE_LINKS },
    [TAPE_RESTART] = { INK_GOOD, GLYPH_TAPE_RESTART },
    [TAPE_PAUSE] = { INK_PAUSED, GLYPH_TAPE_PAUSE },
    [TAPE_KILL] = { INK_DEAD, GLYPH_TAPE_KILL },
    [TAPE_UNSAFE] = { INK_BAD, GLYPH_TAPE_UNSAFE },
};

void paint_tape(const struct area *area, const struct model *model)
{
    const struct tape *tape = &model->tape;
    uint64_t room = (uint64_t)MAX_OF(area->columns, 0);
    uint64_t shown = MIN_OF(MIN_OF(tape->count, room), TAPE_CELLS - 1);
    int x = area->columns - (int)shown;
    for (uint64_t i = tape->count - shown; i < tape->count; i++, x++) {
        const struct tape_cell *cell = &tape->cells[i % TAPE_CELLS];
        const struct tape_cell *before = &tape->cells[(i + TAPE_CELLS - 1) % TAPE_CELLS];
        enum ink ink = ink_of_term(cell->term, cell->led);
        if (cell->mark != TAPE_NOTHING)
            put_glyph(area, 0, x, marks[cell->mark].ink, marks[cell->mark].glyph);
        else if (i == 0 || (i + TAPE_CELLS > tape->count && cell->term != before->term))
            put_char(area, 0, x, ink, (wchar_t)(L'0' + (wchar_t)(cell->term % 10)));
        else put_glyph(area, 0, x, ink, cell->led ? GLYPH_TAPE_LED : GLYPH_TAPE_LEADERLESS);
    }
}
