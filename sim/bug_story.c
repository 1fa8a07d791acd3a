/* sim/bug_story.c - texts built in by the assembler, and the cutting of functions out of them. */
#include "sim/bug_story.h"

#include <stdio.h>
#include <string.h>

/* The bytes of a file as they were when the program was built, and a 0. */
#define EMBED(symbol, file)                                                                        \
    __asm__(".section .rodata\n"                                                                   \
            ".global embedded_" #symbol "\n"                                                       \
            "embedded_" #symbol ":\n"                                                              \
            ".incbin \"" file "\"\n"                                                               \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char embedded_##symbol[];

EMBED(stories, "sim/stories.txt")
EMBED(rules, "node/core/rules.c")
EMBED(steps, "node/steps.c")
EMBED(turn, "node/turn.c")
EMBED(store, "node/store.c")
EMBED(wrong_rules, "sim/wrong_rules.c")
EMBED(wrong_steps, "sim/wrong_steps.c")

static const struct embedded {
    const char *file, *text;
} files[] = {
    { "node/core/rules.c", embedded_rules },
    { "node/steps.c", embedded_steps },
    { "node/turn.c", embedded_turn },
    { "node/store.c", embedded_store },
    { "sim/wrong_rules.c", embedded_wrong_rules },
    { "sim/wrong_steps.c", embedded_wrong_steps },
};

/* ---- stories ---- */

/* "# name" begins a story, an empty line a paragraph. */
bool bug_story(const struct bug *bug, struct span *story, struct span *source)
{
    char heading[64];
    int length = snprintf(heading, sizeof(heading), "\n# %s\n", bug->name);
    const char *begin = strstr(embedded_stories, heading);
    if (begin == NULL) return false;
    begin += length;
    const char *next = strstr(begin, "\n# ");
    const char *end = next != NULL ? next : begin + strlen(begin);
    while (end > begin && end[-1] == '\n') end--;
    const char *paragraph = NULL;
    for (const char *at = begin; at + 1 < end; at++)
        if (at[0] == '\n' && at[1] == '\n') paragraph = at;
    if (paragraph == NULL) return false;
    *story = (struct span){ begin, (size_t)(paragraph - begin) };
    *source = (struct span){ paragraph + 2, (size_t)(end - paragraph - 2) };
    return true;
}

/* ---- code ---- */

static const char *line_after(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL ? end + 1 : line + strlen(line);
}

/* A definition begins in the first column and has its name before the first '('. */
static bool defines(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (line[0] < 'a' || line[0] > 'z') return false;
    const char *end = line_after(line), *open = memchr(line, '(', (size_t)(end - line));
    if (open == NULL || (size_t)(open - line) <= length) return false;
    if (strncmp(open - length, name, length) != 0) return false;
    return open[-(ptrdiff_t)length - 1] == ' ' || open[-(ptrdiff_t)length - 1] == '*';
}

/* Its last line is a "}" in the first column; before that there is a "{" in the first one, or it is
 * a declaration. */
static const char *end_of(const char *line)
{
    for (; *line != '\0' && *line != '{'; line = line_after(line))
        if (memchr(line, ';', (size_t)(line_after(line) - line)) != NULL) return NULL;
    for (; *line != '\0'; line = line_after(line))
        if (line[0] == '}') return line + 1;
    return NULL;
}

bool source_function(const char *file, const char *name, struct span *code)
{
    const char *text = NULL;
    for (size_t i = 0; i < COUNT(files); i++)
        if (strcmp(files[i].file, file) == 0) text = files[i].text;
    if (text == NULL) return false;
    const char *block = text; /* where the lines without an empty one among them begin */
    for (const char *line = text; *line != '\0'; line = line_after(line)) {
        if (line[0] == '\n') block = line + 1;
        if (!defines(line, name)) continue;
        const char *end = end_of(line);
        if (end == NULL) continue;
        *code = (struct span){ block, (size_t)(end - block) };
        return true;
    }
    return false;
}

void code_file(const char *code, char *file, size_t size)
{
    snprintf(file, size, "%.*s", (int)strcspn(code, " "), code);
}

bool code_next(const char *code, const char **at, struct span *function)
{
    char file[64], name[64];
    if (*at == NULL) return false;
    if (*at == code) *at += strcspn(code, " ") + 1;
    size_t length = strcspn(*at, ",");
    code_file(code, file, sizeof(file));
    snprintf(name, sizeof(name), "%.*s", (int)length, *at);
    if (!source_function(file, name, function)) return false;
    *at = (*at)[length] == ',' ? *at + length + 1 : NULL;
    return true;
}
