/* viz/paint_bars.c - the first and the last line: how the cluster is, and what one can do. */
#include "viz/keys.h"
#include "viz/paint.h"

#include "fault/verb.h"

#include <inttypes.h>
#include <string.h>

static int separator(const struct area *area, int x)
{
    return put_glyph(area, 0, x + 1, INK_BAR_QUIET, GLYPH_DOT) + 1;
}

static int paint_leader(const struct area *area, const struct model *model, int x)
{
    if (model->leader == 0 && model->leaderless_ns < NS_PER_S / 10)
        return put_text(area, 0, x, INK_BAR_WARN, "no leader");
    if (model->leader == 0)
        return put_text(area, 0, x, INK_BAR_WARN, "no leader %.1fs",
                        (double)model->leaderless_ns / (double)NS_PER_S);
    const struct model_peer *leader = &model->peer[model->leader];
    x = put_text(area, 0, x, INK_BAR_STRONG, "leader %u", model->leader);
    if (leader->life.paused) x = put_text(area, 0, x, INK_BAR_WARN, " paused");
    if (leader->board.term < model->term)
        x = put_text(area, 0, x, INK_BAR_WARN, " of term %" PRIu64, leader->board.term);
    return x;
}

/* The safety light is never pushed out of sight. */
static int paint_safety(const struct area *area, const struct cluster_facts *facts, int x)
{
    char text[64] = "safe", count[32];
    enum ink ink = INK_BAR_GOOD;
    if (facts->violations > 0) {
        snprintf(text, sizeof(text), " UNSAFE: %s ", text_count(facts->violations, count));
        ink = INK_BAR_BAD;
    } else if (facts->missed > 0) {
        snprintf(text, sizeof(text), "not vouched: %s missed", text_count(facts->missed, count));
        if (x + (int)strlen(text) > area->columns) snprintf(text, sizeof(text), "not vouched");
        ink = INK_BAR_WARN;
    }
    return put_text(area, 0, MIN_OF(x, area->columns - (int)strlen(text)), ink, "%s", text);
}

void paint_header(const struct area *area, const struct model *model)
{
    char count[32], time[32];
    put_fill(area, 0, 0, area->columns, INK_BAR, L' ');
    int x = put_text(area, 0, 1, INK_BAR, "ringside ");
    x = put_text(area, 0, x, INK_BAR_STRONG, "%.*s", area->columns >= 120 ? 40 : 16, model->name);
    if (model->bug[0] != '\0')
        x = put_text(area, 0, separator(area, x), INK_BAR_WARN, "bug %s", model->bug);
    x = separator(area, x);
    x = put_text(area, 0, x, INK_BAR, "term %" PRIu64, model->term);
    x = paint_leader(area, model, separator(area, x));
    x = separator(area, x);
    x = put_text(area, 0, x, INK_BAR, "%s commits/s",
                 text_count((uint64_t)(model->commits_per_s + 0.5), count));
    x = separator(area, x);
    if (model->face.rate_ppm == 0) x = put_text(area, 0, x, INK_BAR_WARN, "clock frozen");
    else x = put_text(area, 0, x, INK_BAR, "clock %gx", (double)model->face.rate_ppm / PPM);
    x = paint_safety(area, &model->facts, separator(area, x));
    text_time(model->cluster_ns, time);
    int at = area->columns - (int)strlen(time) - 1;
    if (at > x) put_text(area, 0, at, INK_BAR_QUIET, "%s", time);
}

static int key_hint(const struct area *area, int x, const char *key, const char *word)
{
    int width = (int)(strlen(key) + 1 + strlen(word));
    if (x + width > area->columns) return area->columns;
    x = put_text(area, 0, x, INK_KEY, "%s", key);
    return put_text(area, 0, x + 1, INK_QUIET, "%s", word) + 2;
}

static void paint_keys(const struct area *area)
{
    int x = 1;
    for (size_t i = 0; i < VIEW_KEY_COUNT; i++)
        if (key_rows[i].word != NULL) x = key_hint(area, x, key_rows[i].shown, key_rows[i].word);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        char key[2] = { verb_rows[i].key, '\0' };
        if (key[0] != '\0') x = key_hint(area, x, key, verb_rows[i].word);
    }
}

/* The row of the verb whose word the prompt begins with. */
static const struct verb_row *typed_verb(const struct prompt *prompt)
{
    for (size_t v = 0; v < VERB_COUNT; v++) {
        const char *word = verb_rows[v].word;
        size_t i = 0;
        while (word[i] != '\0' && prompt->text[i] == (wchar_t)word[i]) i++;
        if (word[i] == '\0' && (prompt->text[i] == L' ' || prompt->text[i] == L'\0'))
            return &verb_rows[v];
    }
    return NULL;
}

/* What the verb wants, in the row above the prompt. */
static void paint_prompt_hint(const struct layout *layout, const struct prompt *prompt)
{
    struct area row = layout->bottom;
    const struct verb_row *verb = typed_verb(prompt);
    row.y--;
    put_fill(&row, 0, 0, row.columns, INK_BAR, L' ');
    if (verb == NULL) {
        put_text(&row, 0, 1, INK_BAR_QUIET,
                 "a verb, then Enter; Tab completes, Up recalls, Esc leaves");
        return;
    }
    int x = put_text(&row, 0, 1, INK_BAR_STRONG, "%s ", verb->word);
    x = put_text(&row, 0, x, INK_BAR, "%s", verb->arguments);
    put_text(&row, 0, x + 2, INK_BAR_QUIET, "%s", verb->help);
}

static void paint_prompt(const struct layout *layout, const struct prompt *prompt)
{
    const struct area *area = &layout->bottom;
    int room = area->columns - 3, before = 0;
    size_t from = prompt->cursor; /* so much of the line that the cursor is in sight */
    while (from > 0 && before + MAX_OF(wcwidth(prompt->text[from - 1]), 1) < room) {
        from--;
        before += MAX_OF(wcwidth(prompt->text[from]), 1);
    }
    int x = put_text(area, 0, 0, INK_KEY, ":");
    for (size_t i = from; i <= prompt->length; i++) {
        wchar_t c = i < prompt->length ? prompt->text[i] : L' ';
        x = put_char(area, 0, x, i == prompt->cursor ? INK_CURSOR : INK_PLAIN, c);
    }
    paint_prompt_hint(layout, prompt);
}

void paint_bottom(const struct layout *layout, const struct view *view, uint64_t now_ns)
{
    const struct area *area = &layout->bottom;
    if (view->prompt.open) paint_prompt(layout, &view->prompt);
    else if (view->outgoing[0] != '\0') put_text(area, 0, 1, INK_QUIET, "%s ...", view->outgoing);
    else if (view->message[0] != L'\0' && now_ns < view->message_until_ns)
        put_wide(area, 0, 1, view->message_bad ? INK_BAD : INK_GOOD, view->message);
    else paint_keys(area);
}
