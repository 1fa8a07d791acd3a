/* viz/feed.c - folding: many notes, few lines. */
#include "viz/feed.h"

#include <string.h>

enum { LOOK_BACK = 96 }; /* lines that a repeat may be away: more than one election of 63 peers */

bool feed_routine(uint32_t kind)
{
    return kind == NOTE_APPENDED || kind == NOTE_PROPOSED || kind == NOTE_COMMITTED ||
           kind == NOTE_COMMIT_LEARNED || kind == NOTE_APPLIED;
}

bool feed_refusal(uint32_t kind)
{
    return kind == NOTE_VOTE_REFUSED_TERM || kind == NOTE_VOTE_REFUSED_VOTED ||
           kind == NOTE_VOTE_REFUSED_LOG || kind == NOTE_VOTE_DENIED ||
           kind == NOTE_APPEND_REFUSED_TERM || kind == NOTE_APPEND_REFUSED_SHORT ||
           kind == NOTE_APPEND_REFUSED_PREV || kind == NOTE_TRUNCATED || kind == NOTE_DISK_FAILED ||
           note_topic(kind) == TOPIC_DROP;
}

static bool turning_point(uint32_t kind)
{
    enum topic topic = note_topic(kind);
    return topic == TOPIC_LEAD || topic == TOPIC_FAULT;
}

static bool same_words(const struct note *x, const struct note *y)
{
    return x->other == y->other && x->term == y->term && x->a == y->a && x->b == y->b &&
           x->c == y->c && x->d == y->d;
}

/* The same sentence: of several peers, or again of one, unless it is a turning point (E2). */
static bool same_sentence(const struct feed_line *line, const struct note *note)
{
    if (line->note.kind != note->kind || !same_words(&line->note, note)) return false;
    return !turning_point(note->kind) || !peer_in(line->selves, note->self);
}

/* The same with other numbers: routine in one term, or what a peer says again of the same other. */
static bool same_story(const struct feed_line *line, const struct note *note)
{
    if (line->note.kind != note->kind || line->note.other != note->other) return false;
    if (turning_point(note->kind) || note_topic(note->kind) == TOPIC_TERM) return false;
    if (feed_routine(note->kind)) return line->note.term == note->term;
    return line->selves == peer_bit(note->self);
}

/* The line that may tell `note` too, or NULL. After a turning point begins another story. */
static struct feed_line *find_line(struct feed *feed, const struct note *note)
{
    uint32_t stop = feed->count > LOOK_BACK ? feed->count - LOOK_BACK : 0;
    bool turned = false;
    for (uint32_t i = feed->count; i > stop; i--) {
        struct feed_line *line = &feed->lines[i - 1];
        if (same_sentence(line, note)) return line;
        if (!turned && same_story(line, note)) return line;
        turned = turned || turning_point(line->note.kind);
    }
    return NULL;
}

static void fold(struct feed_line *line, const struct note *note)
{
    uint64_t first = MIN_OF(line->note.a, note->a), last = MAX_OF(line->note.b, note->b);
    line->note = *note;
    if (note->kind == NOTE_APPENDED || note->kind == NOTE_PROPOSED) { /* a range that grows */
        line->note.a = first;
        line->note.b = last;
    }
    line->selves |= peer_bit(note->self);
    line->count++;
}

void feed_add(struct feed *feed, const struct note *note)
{
    if (note->self > PEER_MAX) return; /* shared memory may say anything */
    if (note->kind == NOTE_STORED || note->kind == NOTE_PROMISED) return; /* for checkers */
    struct feed_line *line = find_line(feed, note);
    if (line != NULL) {
        fold(line, note);
        return;
    }
    if (feed->count == FEED_LINES) {
        uint32_t forget = FEED_LINES / 4;
        feed->count -= forget;
        memmove(feed->lines, feed->lines + forget, feed->count * sizeof(feed->lines[0]));
    }
    uint32_t at = feed->count;
    while (at > 0 && feed->lines[at - 1].first_ns > note->time_ns) at--; /* E1 */
    memmove(feed->lines + at + 1, feed->lines + at, (feed->count - at) * sizeof(feed->lines[0]));
    feed->lines[at] = (struct feed_line){ *note, note->time_ns, peer_bit(note->self), 1 };
    feed->count++;
}
