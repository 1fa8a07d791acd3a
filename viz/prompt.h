/* viz/prompt.h - the line editor behind `:`, with history.
 * Owns   one line of wide characters, the cursor, what was entered before.
 * Leaves drawing to viz/paint_bars.c, the meaning of the line to the verb table. */
#ifndef VIZ_PROMPT_H
#define VIZ_PROMPT_H

#include "base/base.h"
#include <wchar.h>

enum { PROMPT_MAX = 1024, PROMPT_HISTORY = 32 };
enum prompt_result { PROMPT_EDITING, PROMPT_CANCELLED, PROMPT_ENTERED };

struct prompt {
    bool open;
    size_t length, cursor;
    wchar_t text[PROMPT_MAX]; /* 0-terminated */
    uint32_t entries, at;     /* of the history; at == entries: the line being typed */
    wchar_t history[PROMPT_HISTORY][PROMPT_MAX];
    wchar_t draft[PROMPT_MAX]; /* the line being typed, while older ones are shown */
};

/* Open with `text` typed already. */
void prompt_open(struct prompt *prompt, const char *text);
/* One key, as get_wch reports it: `function` for KEY_*. Closes the prompt when the line is entered
 * (it stays in `text`) or cancelled. */
enum prompt_result prompt_key(struct prompt *prompt, bool function, wint_t key);
/* The line in the locale's bytes, '?' for what they cannot say; always ends with 0. */
void prompt_line(const struct prompt *prompt, char *line, size_t size);

#endif
