/* shm/trail.c - an event's slot is marked empty, filled, numbered, and only then counted in `last`.
 * Release stores and acquire loads word by word, as in the latch: a reader that sees one word of a
 * later event also sees that the slot's number is no longer the one it wanted. */
#include "shm/trail.h"

#include <string.h>

enum { EVENT_WORDS = 7 };
_Static_assert(sizeof(struct note) == EVENT_WORDS * sizeof(uint64_t), "a note fills an event");
#define LAST_MAX (UINT64_MAX / 2) /* no writer comes so far: more is a wild write */

static uint64_t newest(const struct trail *trail)
{
    uint64_t last = atomic_load_explicit(&trail->last, memory_order_acquire);
    return last <= LAST_MAX ? last : 0;
}

/* The oldest event that nobody can be overwriting yet. */
static uint64_t oldest(uint64_t last)
{
    return last < TRAIL_EVENTS ? 1 : last - TRAIL_EVENTS + 2;
}

void trail_write(struct trail *trail, const struct note *note)
{
    uint64_t next = newest(trail) + 1; /* T1, T3 */
    struct trail_event *event = &trail->events[next % TRAIL_EVENTS];
    uint64_t words[EVENT_WORDS];
    memcpy(words, note, sizeof(words));
    atomic_store_explicit(&event->sequence, 0, memory_order_relaxed);
    for (size_t i = 0; i < EVENT_WORDS; i++)
        atomic_store_explicit(&event->words[i], words[i], memory_order_release);
    atomic_store_explicit(&event->sequence, next, memory_order_release);
    atomic_store_explicit(&trail->last, next, memory_order_release); /* T2 */
}

void trail_follow(struct trail_reader *reader, const struct trail *trail, bool from_start)
{
    uint64_t last = newest(trail);
    reader->trail = trail;
    reader->next = from_start ? oldest(last) : last + 1;
    reader->missed = 0;
}

static bool copy_event(const struct trail *trail, uint64_t wanted, struct note *note)
{
    const struct trail_event *event = &trail->events[wanted % TRAIL_EVENTS];
    uint64_t words[EVENT_WORDS];
    if (atomic_load_explicit(&event->sequence, memory_order_acquire) != wanted) return false;
    for (size_t i = 0; i < EVENT_WORDS; i++)
        words[i] = atomic_load_explicit(&event->words[i], memory_order_acquire);
    if (atomic_load_explicit(&event->sequence, memory_order_relaxed) != wanted) return false;
    memcpy(note, words, sizeof(words));
    return true;
}

bool trail_read(struct trail_reader *reader, struct note *note)
{
    uint64_t last = newest(reader->trail);
    if (reader->next > last + 1) reader->next = last + 1; /* a wild write came and went */
    while (reader->next <= last) {
        if (copy_event(reader->trail, reader->next, note)) {
            reader->next++;
            return true;
        }
        uint64_t next = MAX_OF(reader->next + 1, oldest(last)); /* lapped */
        reader->missed += next - reader->next;
        reader->next = next;
    }
    return false;
}
