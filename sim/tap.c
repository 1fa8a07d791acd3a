/* sim/tap.c - see sim/tap.h. */
#include "sim/tap.h"

#include <stdarg.h>
#include <string.h>

enum { TEXT_SIZE = 8192 };

void tap_point(struct tap *tap, bool ok, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tap->points++;
    if (!ok) tap->failed++;
    fprintf(tap->file, "%*s%sok %u - ", tap->indent, "", ok ? "" : "not ", tap->points);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '#' || *c == '\\') fputc('\\', tap->file); /* else a directive */
        fputc((unsigned char)*c < ' ' ? ' ' : *c, tap->file);
    }
    fputc('\n', tap->file);
    fflush(tap->file);
}

void tap_comment(struct tap *tap, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        for (char *c = line; *c != '\0'; c++)
            if ((unsigned char)*c < ' ') *c = ' ';
        fprintf(tap->file, "%*s# %s\n", tap->indent, "", line);
    }
    fflush(tap->file);
}

void tap_plan(struct tap *tap)
{
    fprintf(tap->file, "%*s1..%u\n", tap->indent, "", tap->points);
}

void tap_yaml_begin(struct tap *tap)
{
    fprintf(tap->file, "%*s  ---\n", tap->indent, "");
}

void tap_yaml_text(struct tap *tap, const char *key, const char *text)
{
    fprintf(tap->file, "%*s  %s: \"", tap->indent, "", key);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\n') {
            fputs("\\n", tap->file);
            continue;
        }
        if (*c == '"' || *c == '\\') fputc('\\', tap->file);
        fputc((unsigned char)*c < ' ' ? ' ' : *c, tap->file);
    }
    fputs("\"\n", tap->file);
}

void tap_yaml_number(struct tap *tap, const char *key, uint64_t value)
{
    fprintf(tap->file, "%*s  %s: %llu\n", tap->indent, "", key, (unsigned long long)value);
}

void tap_yaml_end(struct tap *tap)
{
    fprintf(tap->file, "%*s  ...\n", tap->indent, "");
    fflush(tap->file);
}
