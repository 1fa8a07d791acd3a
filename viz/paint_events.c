/* viz/paint_events.c - the feed: who, when, what and why, newest last; long sentences wrap. */
#include "viz/paint.h"

#include <inttypes.h>
#include <string.h>

enum { TIME_WIDTH = 10, SENTENCE_MAX = 256 };

struct sentence {
    const struct feed_line *line;
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

static void make_sentence(struct sentence *sentence, const struct feed_line *line, size_t width)
{
    size_t used = note_text(&line->note, sentence->text, sizeof(sentence->text) - 32);
    if (line->count > peer_count(line->selves))
        snprintf(sentence->text + used, sizeof(sentence->text) - used, " x%" PRIu64, line->count);
    sentence->line = line;
    sentence->rows = rows_of(sentence->text, width);
}

static void paint_sentence(const struct area *area, int y, const struct sentence *sentence,
                           const struct model *model, size_t width)
{
    const struct feed_line *line = sentence->line;
    char text[32];
    int x = TIME_WIDTH + 1;
    put_text(area, y, 1, INK_QUIET, "%s", text_time(line->first_ns, text));
    put_text(area, y, x, INK_PLAIN, "%s", text_selves(line->selves, model->peers, text));
    x += selves_width(model) + 1;
    for (const char *from = sentence->text; *from != '\0'; y++) {
        size_t length = row_length(from, width);
        put_text(area, y, x, line_ink(line), "%.*s", (int)length, from);
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
    uint32_t skip = view->pane_back;
    for (uint32_t i = model->feed.count;
         i > 0 && rows < area->rows && count < (int)COUNT(sentences); i--) {
        const struct feed_line *line = &model->feed.lines[i - 1];
        if (view->quiet && feed_routine(line->note.kind)) continue;
        if (skip > 0 && i > 1) {
            skip--;
            continue;
        }
        make_sentence(&sentences[count], line, width);
        rows += sentences[count++].rows;
    }
    int y = MIN_OF(area->rows - rows, 0); /* the oldest sentence may begin above the area */
    for (int i = count - 1; i >= 0; i--) {
        paint_sentence(area, y, &sentences[i], model, width);
        y += sentences[i].rows;
    }
}
