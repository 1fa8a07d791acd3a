/* viz/feed.h - the event feed: notes of all trails as lines that a person can follow.
 * Owns   the newest lines in order of time, and how repeats are folded into one line.
 * Leaves reading trails to viz/model.h, the sentence of a note to base/words.h.
 * Holds  (E1) lines are ordered by the cluster time of their first note
 *        (E2) a change of leader and a fault always get a line, shared only with other peers. */
#ifndef VIZ_FEED_H
#define VIZ_FEED_H

#include "base/words.h"

#define FEED_LINES 512

struct feed_line {
    struct note note;  /* the newest one */
    uint64_t first_ns; /* cluster time of the first one */
    peer_set selves;   /* who says it; bit 0 is the supervisor */
    uint64_t count;    /* notes in this line */
};
struct feed {
    uint32_t count;
    struct feed_line lines[FEED_LINES]; /* oldest first */
};

void feed_add(struct feed *feed, const struct note *note);
/* Replication that goes well, of which there may be thousands a second. */
bool feed_routine(uint32_t kind);
/* A refusal or a loss: somebody did not get what he asked for. */
bool feed_refusal(uint32_t kind);

#endif
