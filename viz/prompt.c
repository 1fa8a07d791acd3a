/* viz/prompt.c - the editing keys that people's fingers know: arrows, Home, End, ^A ^E ^K ^U ^W. */
#include "viz/prompt.h"

#include "fault/verb.h"

#include <limits.h>
#include <ncursesw/curses.h>
#include <stdio.h>
#include <string.h>
#include <wctype.h>

enum {
    CTRL_A = 1,
    CTRL_B = 2,
    CTRL_D = 4,
    CTRL_E = 5,
    CTRL_F = 6,
    CTRL_G = 7,
    CTRL_H = 8,
    TAB = 9,
    CTRL_K = 11,
    CTRL_N = 14,
    CTRL_P = 16,
    CTRL_U = 21,
    CTRL_W = 23,
    ESCAPE = 27,
    DEL = 127
};

static void set(struct prompt *prompt, const wchar_t *text)
{
    wcsncpy(prompt->text, text, PROMPT_MAX - 1);
    prompt->text[PROMPT_MAX - 1] = L'\0';
    prompt->length = prompt->cursor = wcslen(prompt->text);
}

void prompt_open(struct prompt *prompt, const char *text)
{
    wchar_t wide[PROMPT_MAX];
    size_t length = strlen(text);
    CHECK(length < PROMPT_MAX);
    for (size_t i = 0; i <= length; i++)
        wide[i] = (wchar_t)(unsigned char)text[i]; /* the tables are ASCII */
    set(prompt, wide);
    prompt->open = true;
    prompt->at = prompt->entries;
}

static void insert(struct prompt *prompt, wchar_t c)
{
    if (prompt->length + 1 >= PROMPT_MAX) return;
    wchar_t *at = prompt->text + prompt->cursor;
    wmemmove(at + 1, at, prompt->length - prompt->cursor + 1);
    *at = c;
    prompt->length++;
    prompt->cursor++;
}

static void cut_out(struct prompt *prompt, size_t from, size_t to)
{
    CHECK(from <= to);
    CHECK(to <= prompt->length);
    wmemmove(prompt->text + from, prompt->text + to, prompt->length - to + 1);
    prompt->length -= to - from;
    prompt->cursor = from;
}

static void erase_word(struct prompt *prompt)
{
    size_t from = prompt->cursor;
    while (from > 0 && prompt->text[from - 1] == L' ') from--;
    while (from > 0 && prompt->text[from - 1] != L' ') from--;
    cut_out(prompt, from, prompt->cursor);
}

static void recall(struct prompt *prompt, uint32_t at)
{
    if (prompt->at == prompt->entries) wcscpy(prompt->draft, prompt->text);
    prompt->at = at;
    set(prompt, at == prompt->entries ? prompt->draft : prompt->history[at]);
}

static void remember(struct prompt *prompt)
{
    if (prompt->entries > 0 && wcscmp(prompt->history[prompt->entries - 1], prompt->text) == 0)
        return;
    if (prompt->entries == PROMPT_HISTORY) {
        memmove(prompt->history[0], prompt->history[1],
                sizeof(prompt->history) - sizeof(prompt->history[0]));
        prompt->entries--;
    }
    wcscpy(prompt->history[prompt->entries++], prompt->text);
}

/* Complete the first word when just one verb begins like it. */
static void complete(struct prompt *prompt)
{
    const char *found = NULL;
    if (wcschr(prompt->text, L' ') != NULL || prompt->length == 0) return;
    for (size_t v = 0; v < VERB_COUNT; v++) {
        const char *word = verb_rows[v].word;
        size_t i = 0;
        while (i < prompt->length && word[i] != '\0' && prompt->text[i] == (wchar_t)word[i]) i++;
        if (i < prompt->length) continue;
        if (found != NULL) return;
        found = word;
    }
    if (found == NULL) return;
    prompt->cursor = prompt->length;
    for (size_t i = prompt->length; found[i] != '\0'; i++) insert(prompt, (wchar_t)found[i]);
    insert(prompt, L' ');
}

static enum prompt_result close_prompt(struct prompt *prompt, enum prompt_result result)
{
    prompt->open = false;
    return result;
}

static enum prompt_result enter(struct prompt *prompt)
{
    if (wcsspn(prompt->text, L" ") == prompt->length) return close_prompt(prompt, PROMPT_CANCELLED);
    remember(prompt);
    return close_prompt(prompt, PROMPT_ENTERED);
}

/* Move or edit; the same whether an arrow or a control character asks for it. */
static void move_key(struct prompt *prompt, wint_t key)
{
    switch (key) {
    case KEY_LEFT: prompt->cursor -= prompt->cursor > 0; break;
    case KEY_RIGHT: prompt->cursor += prompt->cursor < prompt->length; break;
    case KEY_HOME: prompt->cursor = 0; break;
    case KEY_END: prompt->cursor = prompt->length; break;
    case KEY_BACKSPACE:
        if (prompt->cursor > 0) cut_out(prompt, prompt->cursor - 1, prompt->cursor);
        break;
    case KEY_DC:
        if (prompt->cursor < prompt->length) cut_out(prompt, prompt->cursor, prompt->cursor + 1);
        break;
    case KEY_UP:
        if (prompt->at > 0) recall(prompt, prompt->at - 1);
        break;
    case KEY_DOWN:
        if (prompt->at < prompt->entries) recall(prompt, prompt->at + 1);
        break;
    default: break;
    }
}

static wint_t arrow_of(wint_t control)
{
    switch (control) {
    case CTRL_A: return KEY_HOME;
    case CTRL_B: return KEY_LEFT;
    case CTRL_D: return KEY_DC;
    case CTRL_E: return KEY_END;
    case CTRL_F: return KEY_RIGHT;
    case CTRL_H:
    case DEL: return KEY_BACKSPACE;
    case CTRL_N: return KEY_DOWN;
    case CTRL_P: return KEY_UP;
    default: return 0;
    }
}

enum prompt_result prompt_key(struct prompt *prompt, bool function, wint_t key)
{
    if (function && key == KEY_ENTER) return enter(prompt);
    if (function) {
        move_key(prompt, key);
        return PROMPT_EDITING;
    }
    switch (key) {
    case L'\n':
    case L'\r': return enter(prompt);
    case ESCAPE:
    case CTRL_G: return close_prompt(prompt, PROMPT_CANCELLED);
    case TAB: complete(prompt); break;
    case CTRL_K: cut_out(prompt, prompt->cursor, prompt->length); break;
    case CTRL_U: cut_out(prompt, 0, prompt->cursor); break;
    case CTRL_W: erase_word(prompt); break;
    default:
        if (arrow_of(key) != 0) {
            if ((key == CTRL_H || key == DEL) && prompt->length == 0)
                return close_prompt(prompt, PROMPT_CANCELLED);
            move_key(prompt, arrow_of(key));
        } else if (iswprint(key)) {
            insert(prompt, (wchar_t)key);
        }
    }
    return PROMPT_EDITING;
}

void prompt_line(const struct prompt *prompt, char *line, size_t size)
{
    CHECK(size > MB_LEN_MAX);
    size_t used = 0;
    mbstate_t state = { 0 };
    for (size_t i = 0; i < prompt->length && used + MB_LEN_MAX < size; i++) {
        size_t length = wcrtomb(line + used, prompt->text[i], &state);
        if (length == (size_t)-1) {
            line[used] = '?';
            length = 1;
            state = (mbstate_t){ 0 };
        }
        used += length;
    }
    line[used] = '\0';
}
