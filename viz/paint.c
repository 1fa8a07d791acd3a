/* viz/paint.c - the brush: clipping, wide characters, numbers as text, a frame as lines of text. */
#include "viz/paint.h"

#include "fault/verb.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int put_char(const struct area *area, int y, int x, enum ink ink, wchar_t character)
{
    wchar_t text[2] = { character, L'\0' };
    int width = wcwidth(character);
    if (width <= 0 || (area->look->ascii && character > L'~')) {
        text[0] = L'?';
        width = 1;
    }
    if (y < 0 || y >= area->rows || x < 0 || x + width > area->columns) return x + width; /* A2 */
    cchar_t cell;
    setcchar(&cell, text, ink_attributes(area->look, ink), ink_pair(area->look, ink), NULL);
    mvwadd_wch(area->window, area->y + y, area->x + x, &cell);
    return x + width;
}

int put_glyph(const struct area *area, int y, int x, enum ink ink, enum glyph glyph)
{
    return put_char(area, y, x, ink, glyph_char(area->look, glyph));
}

int put_wide(const struct area *area, int y, int x, enum ink ink, const wchar_t *text)
{
    for (; *text != L'\0'; text++) x = put_char(area, y, x, ink, *text);
    return x;
}

int put_text(const struct area *area, int y, int x, enum ink ink, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (const char *c = text; *c != '\0'; c++)
        x = put_char(area, y, x, ink, (wchar_t)(unsigned char)*c);
    return x;
}

int put_number(const struct area *area, int y, int x, enum ink ink, int width, uint64_t number)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%" PRIu64, number);
    if (length <= width) return put_text(area, y, x, ink, "%*s", width, text);
    put_glyph(area, y, x, ink, GLYPH_MORE_LEFT);
    return put_text(area, y, x + 1, ink, "%s", text + length - width + 1);
}

void put_fill(const struct area *area, int y, int x, int columns, enum ink ink, wchar_t character)
{
    for (int i = 0; i < columns; i++) put_char(area, y, x + i, ink, character);
}

const char *text_count(uint64_t number, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number), used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *text_short(uint64_t number, char text[32])
{
    static const char units[] = " kMGTPE";
    double value = (double)number;
    size_t unit = 0;
    while (value >= 999.5 && units[unit + 1] != '\0') {
        value /= 1000;
        unit++;
    }
    if (unit == 0) snprintf(text, 32, "%" PRIu64, number);
    else snprintf(text, 32, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return text;
}

const char *text_time(uint64_t cluster_ns, char text[32])
{
    uint64_t ms = cluster_ns / NS_PER_MS;
    snprintf(text, 32, "%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64, ms / 60000, ms / 1000 % 60,
             ms % 1000);
    return text;
}

const char *text_rule(const struct link_rule *rule, char *text, size_t size)
{
    struct {
        const char *word;
        uint32_t ppm;
    } rates[] = { { "drop", rule->loss_ppm },
                  { "dup", rule->dup_ppm },
                  { "reorder", rule->reorder_ppm },
                  { "corrupt", rule->corrupt_ppm } };
    char low[32], high[32];
    size_t used = (size_t)snprintf(text, size, "%s", rule->cut ? "cut " : "");
    for (size_t i = 0; i < COUNT(rates) && used < size; i++)
        if (rates[i].ppm > 0)
            used += (size_t)snprintf(text + used, size - used, "%s %g%% ", rates[i].word,
                                     (double)rates[i].ppm * 100 / PPM);
    if (rule->delay_max_ns > 0 && used < size) {
        time_print(rule->delay_min_ns, low, sizeof(low));
        time_print(rule->delay_max_ns, high, sizeof(high));
        used += (size_t)snprintf(
            text + used, size - used,
            rule->delay_min_ns == rule->delay_max_ns ? "delay %s " : "delay %s..%s ", low, high);
    }
    if (rule->course != COURSE_OFF && used < size)
        used += (size_t)snprintf(text + used, size - used, "unreliable%s ",
                                 rule->course == COURSE_LONG ? " long" : "");
    used = MIN_OF(used, size - 1);
    if (used > 0) text[used - 1] = '\0'; /* the last blank */
    return text;
}

void frame_write(WINDOW *window, FILE *file)
{
    int rows, columns;
    getmaxyx(window, rows, columns);
    for (int y = 0; y < rows; y++) {
        int blanks = 0;
        for (int x = 0; x < columns; x++) {
            cchar_t cell;
            wchar_t text[CCHARW_MAX + 1];
            attr_t attributes;
            short pair;
            if (mvwin_wch(window, y, x, &cell) == ERR) break;
            if (getcchar(&cell, text, &attributes, &pair, NULL) == ERR) continue;
            if (text[0] == L' ' || text[0] == L'\0') {
                blanks++;
                continue;
            }
            for (; blanks > 0; blanks--) fputc(' ', file);
            char bytes[MB_LEN_MAX];
            mbstate_t state = { 0 };
            size_t length = wcrtomb(bytes, text[0], &state);
            if (length == (size_t)-1) fputc('?', file);
            else fwrite(bytes, 1, length, file);
            x += MAX_OF(wcwidth(text[0]), 1) - 1;
        }
        fputc('\n', file);
    }
}
