/* viz/paint_events.c - the feed: who, when, what and why, newest last; long sentences wrap. */
#include "viz/paint.h"

#include <inttypes.h>
#include <string.h>

enum { TIME_WIDTH = 10, SENTENCE_MAX = 256, BUSY = 100 };

struct sentence {
    uint64_t first_ns;
    peer_set selves;
    enum ink ink;
    char text[SENTENCE_MAX];
    int rows;
};

static enum ink line_ink(const struct feed_line *line)
{
    uint32_t kind = line->note.kind;
    if (kind == NOTE_UNSAFE) return INK_BAD;
    if (kind == NOTE_BECAME_LEADER) return INK_LEADER;
    if (kind == NOTE_BECAME_CANDIDATE) return INK_CANDIDATE;
    if (feed_refusal(kind) || kind == NOTE_STEPPED_DOWN) return INK_WARN;
    if (note_topic(kind) == TOPIC_FAULT && kind != NOTE_STARTED) return INK_FAULT;
    return feed_routine(kind) ? INK_QUIET : INK_PLAIN;
}

/* "1345" where numbers are of one digit, "12 +3" where they are not, "host" for the supervisor. */
static int selves_width(const struct model *model)
{
    return model->peers > 9 ? 6 : MAX_OF((int)model->peers, 4);
}

static const char *text_selves(peer_set selves, uint32_t peers, char text[32])
{
    size_t used = 0;
    if (selves == peer_bit(0)) return "host";
    selves &= peer_first(peers);
    text[0] = '\0';
    for (uint32_t i = 1; i <= PEER_MAX; i++) {
        if (!peer_in(selves, i)) continue;
        if (peers <= 9) text[used++] = (char)('0' + i);
        else {
            uint32_t others = peer_count(selves) - 1;
            snprintf(text, 32, others > 0 ? "%u +%u" : "%u", i, others);
            return text;
        }
    }
    text[used] = '\0';
    return text;
}

/* How many bytes of `text` go into a row of `width`: up to a blank where there is one. */
static size_t row_length(const char *text, size_t width)
{
    size_t length = strlen(text);
    if (length <= width) return length;
    for (size_t i = width; i > width / 2; i--)
        if (text[i] == ' ') return i;
    return width;
}

static int rows_of(const char *text, size_t width)
{
    int rows = 0;
    do {
        text += row_length(text, width);
        while (*text == ' ') text++;
        rows++;
    } while (*text != '\0');
    return rows;
}

static void make_sentence(struct sentence *sentence, const struct feed_line *line)
{
    size_t used = note_text(&line->note, sentence->text, sizeof(sentence->text) - 32);
    if (line->count > peer_count(line->selves))
        snprintf(sentence->text + used, sizeof(sentence->text) - used, " x%" PRIu64, line->count);
    sentence->first_ns = line->first_ns;
    sentence->selves = line->selves;
    sentence->ink = line_ink(line);
}

/* Routine of a busy cluster in one sentence: `lines` ends with it. Returns how many lines it tells;
 * 0 when there is so little that each can be told by itself. */
static uint32_t make_busy(struct sentence *sentence, const struct feed_line *lines, uint32_t count)
{
    uint64_t notes = 0, appended = 0, committed = 0;
    uint32_t told = 0;
    sentence->selves = 0;
    for (; told < count && feed_routine(lines[count - 1 - told].note.kind); told++) {
        const struct feed_line *line = &lines[count - 1 - told];
        if (note_topic(line->note.kind) == TOPIC_COMMIT)
            committed = MAX_OF(committed, line->note.a);
        else appended = MAX_OF(appended, line->note.b);
        notes += line->count;
        sentence->selves |= line->selves;
        sentence->first_ns = line->first_ns;
    }
    if (notes < BUSY) return 0;
    snprintf(sentence->text, sizeof(sentence->text), "%s up to %" PRIu64 " x%" PRIu64,
             committed > 0 ? "replicates and commits" : "appends",
             committed > 0 ? committed : appended, notes);
    sentence->ink = INK_QUIET;
    return told;
}

static void paint_sentence(const struct area *area, int y, const struct sentence *sentence,
                           const struct model *model, size_t width)
{
    char text[32];
    int x = TIME_WIDTH + 1;
    put_text(area, y, 1, INK_QUIET, "%s", text_time(sentence->first_ns, text));
    put_text(area, y, x, INK_PLAIN, "%s", text_selves(sentence->selves, model->peers, text));
    x += selves_width(model) + 1;
    for (const char *from = sentence->text; *from != '\0'; y++) {
        size_t length = row_length(from, width);
        put_text(area, y, x, sentence->ink, "%.*s", (int)length, from);
        from += length;
        while (*from == ' ') from++;
    }
}

void paint_events(const struct area *area, const struct model *model, const struct view *view)
{
    struct sentence sentences[256];
    int indent = TIME_WIDTH + 1 + selves_width(model) + 1, rows = 0, count = 0;
    if (area->rows <= 0 || area->columns < indent + 8) return;
    size_t width = (size_t)(area->columns - indent);
    uint32_t skip = view->pane_back, told;
    for (uint32_t i = model->feed.count;
         i > 0 && rows < area->rows && count < (int)COUNT(sentences); i -= told) {
        struct sentence *sentence = &sentences[count];
        const struct feed_line *line = &model->feed.lines[i - 1];
        bool routine = feed_routine(line->note.kind);
        told = routine && !view->quiet ? make_busy(sentence, model->feed.lines, i) : 0;
        if (told == 0) {
            make_sentence(sentence, line);
            told = 1;
        }
        if ((routine && view->quiet) || (skip > 0 && skip-- > 0)) continue;
        sentence->rows = rows_of(sentence->text, width);
        rows += sentence->rows;
        count++;
    }
    int y = MIN_OF(area->rows - rows, 0); /* the oldest sentence may begin above the area */
    for (int i = count - 1; i >= 0; i--) {
        paint_sentence(area, y, &sentences[i], model, width);
        y += sentences[i].rows;
    }
}
