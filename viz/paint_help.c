/* viz/paint_help.c - the help, made from the tables of keys, verbs and signs. */
#include "viz/keys.h"
#include "viz/paint.h"

#include "fault/verb.h"

#include <string.h>

enum { KEY = 2, WORD = 11, HELP = 23, ARGUMENTS = 80 }; /* columns */

/* A page that is longer than its window. */
struct page {
    const struct area *area;
    int row; /* the next one, counted from the first visible */
};

static void title(struct page *page, const char *text)
{
    page->row++;
    put_text(page->area, page->row++, KEY, INK_STRONG, "%s", text);
}

static void line(struct page *page, enum ink ink, const char *key, const char *word,
                 const char *help)
{
    put_text(page->area, page->row, KEY, ink, "%s", key);
    if (word[0] != '\0') put_text(page->area, page->row, WORD, INK_PLAIN, "%s", word);
    put_text(page->area, page->row++, word[0] != '\0' ? HELP : WORD, INK_QUIET, "%s", help);
}

/* What a verb takes stands to its right where there is room; the prompt says it, too. */
static void verb_line(struct page *page, const struct verb_row *verb)
{
    char key[2] = { verb->key, '\0' };
    int row = page->row, x = MAX_OF(ARGUMENTS, HELP + (int)strlen(verb->help) + 2);
    line(page, INK_KEY, key, verb->word, verb->help);
    if (x + (int)strlen(verb->arguments) <= page->area->columns)
        put_text(page->area, row, x, INK_QUIET, "%s", verb->arguments);
}

void paint_help(const struct area *area, const struct view *view)
{
    struct page page = { area, -(int)view->help_top };
    put_text(area, area->rows - 1, KEY, INK_QUIET,
             "up, down, pgup, pgdn scroll; any other key closes");
    struct area body = *area;
    body.rows -= 1;
    page.area = &body;
    title(&page, "The screen");
    for (size_t i = 0; i < VIEW_KEY_COUNT; i++)
        line(&page, INK_KEY, key_rows[i].shown, "", key_rows[i].help);
    title(&page, "The cluster: a key acts on the selected peer, or asks what it needs to know");
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (verb_rows[i].key != 0) verb_line(&page, &verb_rows[i]);
    title(&page, "More verbs, typed after :");
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (verb_rows[i].key == 0) verb_line(&page, &verb_rows[i]);
    title(&page, "Signs");
    for (unsigned i = 0; i < GLYPH_COUNT; i++) {
        if (glyph_legend((enum glyph)i) == NULL) continue;
        put_glyph(&body, page.row, KEY, INK_STRONG, (enum glyph)i);
        put_text(&body, page.row++, WORD, INK_QUIET, "%s", glyph_legend((enum glyph)i));
    }
    put_text(&body, page.row++, WORD, INK_QUIET,
             "a digit in the log is the last digit of the entry's term; so is its colour");
}
