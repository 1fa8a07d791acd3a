/* shm/trail.h - what a peer did, as a stream of fixed 64-byte events that anybody may follow.
 * Owns   an overwritable ring of events: the writer never waits, a slow reader is lapped and knows
 *        it.
 * Leaves what the notes say to base/words.h.
 * Holds  (T1) one writer
 *        (T2) an event is whole or absent, also when the writer dies half-way
 *        (T3) sequence numbers start at 1 and go on over the lives of the peer. */
#ifndef SHM_TRAIL_H
#define SHM_TRAIL_H

#include "base/words.h"
#include <stdatomic.h>

#define TRAIL_EVENTS 32768u /* a power of two: 2 MiB, touched as far as it is used */

struct trail_event {
    _Atomic uint64_t sequence; /* 0 while it is being written */
    _Atomic uint64_t words[7]; /* a struct note */
};
_Static_assert(sizeof(struct trail_event) == 64, "one event, one cache line");
struct trail {
    _Atomic uint64_t last; /* newest whole event */
    uint64_t unused[15];
    struct trail_event events[TRAIL_EVENTS];
};
/* Private to a reader. */
struct trail_reader {
    const struct trail *trail;
    uint64_t next;   /* sequence that is wanted next */
    uint64_t missed; /* events that were overwritten before they were read */
};

/* Append one event. Writer only. Wait-free. */
void trail_write(struct trail *trail, const struct note *note);
/* Follow from the oldest event that is still there (from_start) or from what comes next. */
void trail_follow(struct trail_reader *reader, const struct trail *trail, bool from_start);
/* The next event; false when there is none yet. When lapped it counts `missed` and goes on at the
 * oldest. */
bool trail_read(struct trail_reader *reader, struct note *note);

#endif
