/* viz/tape.h - the last minutes in one line: which term, whether it was led, what was done to it.
 * Owns   a ring of cells, each half a second of real time in which the cluster clock ran.
 * Leaves drawing to viz/paint_tape.c.
 * Holds  (P1) a frozen clock adds no cells   (P2) a cell keeps the weightiest of its marks. */
#ifndef VIZ_TAPE_H
#define VIZ_TAPE_H

#include "base/words.h"

#define TAPE_CELLS 512
#define TAPE_CELL_NS (NS_PER_S / 2)

/* In order of weight. */
enum tape_mark { TAPE_NOTHING, TAPE_LINKS, TAPE_RESTART, TAPE_PAUSE, TAPE_KILL, TAPE_UNSAFE };
struct tape_cell {
    uint64_t term;
    bool led; /* a leader was seen in it, and at no time none */
    enum tape_mark mark;
};
struct tape {
    uint64_t ran_ns;  /* how long the tape has run */
    uint64_t seen_ns; /* real time of the last step */
    uint64_t count;   /* cells ever begun; the newest is cells[(count - 1) % TAPE_CELLS] */
    struct tape_cell cells[TAPE_CELLS];
};

/* Once a frame. */
void tape_step(struct tape *tape, uint64_t now_ns, bool frozen, uint64_t term, bool led);
/* A note of `kind` marks the newest cell, if it is one that marks. */
void tape_note(struct tape *tape, uint32_t kind);

#endif
