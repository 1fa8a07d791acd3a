/* viz/tape.c - time goes on, cells are begun. */
#include "viz/tape.h"

void tape_step(struct tape *tape, uint64_t now_ns, bool frozen, uint64_t term, bool led)
{
    bool first = tape->count == 0;
    if (!first && !frozen && now_ns > tape->seen_ns)
        tape->ran_ns += now_ns - tape->seen_ns; /* P1 */
    tape->seen_ns = now_ns;
    uint64_t wanted = tape->ran_ns / TAPE_CELL_NS + 1;
    struct tape_cell *cell = &tape->cells[(tape->count + TAPE_CELLS - 1) % TAPE_CELLS];
    if (tape->count == wanted) {
        cell->term = term;
        cell->led = cell->led && led;
    }
    if (wanted > tape->count + TAPE_CELLS) tape->count = wanted - TAPE_CELLS;
    while (tape->count < wanted)
        tape->cells[tape->count++ % TAPE_CELLS] = (struct tape_cell){ term, led, TAPE_NOTHING };
}

void tape_note(struct tape *tape, uint32_t kind)
{
    enum tape_mark mark = kind == NOTE_UNSAFE                              ? TAPE_UNSAFE
                          : kind == NOTE_KILLED || kind == NOTE_DIED       ? TAPE_KILL
                          : kind == NOTE_PAUSED                            ? TAPE_PAUSE
                          : kind == NOTE_RESTARTED || kind == NOTE_RESUMED ? TAPE_RESTART
                          : kind == NOTE_LINKS_CHANGED                     ? TAPE_LINKS
                                                                           : TAPE_NOTHING;
    if (tape->count == 0) return;
    struct tape_cell *cell = &tape->cells[(tape->count - 1) % TAPE_CELLS];
    cell->mark = MAX_OF(cell->mark, mark); /* P2 */
}
