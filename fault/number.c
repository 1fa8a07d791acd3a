/* fault/number.c - numbers, times and words as text, both ways (declared in fault/line.h). */
#include "fault/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool decimal_parse(const char *text, size_t length, uint64_t scale, uint64_t max, uint64_t *value)
{
    uint64_t whole = 0, sum = 0;
    size_t i = 0, digits = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++, digits++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(text[i] - '0'), &whole))
            return false;
    if (digits == 0 || __builtin_mul_overflow(whole, scale, &sum)) return false;
    if (i < length && text[i] == '.') {
        for (digits = 0, i++; i < length && text[i] >= '0' && text[i] <= '9'; i++, digits++) {
            uint64_t digit = (uint64_t)(text[i] - '0');
            if (digit > 0 && (scale == 0 || digit * scale % 10 != 0)) return false; /* too fine */
            if (__builtin_add_overflow(sum, digit * scale / 10, &sum)) return false;
            scale = scale % 10 == 0 ? scale / 10 : 0;
        }
    }
    if (digits == 0 || i != length || sum > max) return false;
    *value = sum;
    return true;
}

static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    /* the smallest first: out_time */
    { "ns", 1 },       { "us", NS_PER_US },    { "ms", NS_PER_MS },
    { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
};
#define UNIT_S 3

/* NULL, or what it should be: "a time ..." */
static const char *time_scan(const char *text, size_t length, uint64_t *ns)
{
    size_t digits = 0;
    while (digits < length && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
        digits++;
    for (size_t i = 0; i < COUNT(units); i++) {
        if (strlen(units[i].name) != length - digits) continue;
        if (memcmp(text + digits, units[i].name, length - digits) != 0) continue;
        if (decimal_parse(text, digits, units[i].ns, TIME_MAX_NS, ns)) return NULL;
        return "of whole nanoseconds, 1000h at most";
    }
    if (length == 1 && text[0] == '0') {
        *ns = 0;
        return NULL;
    }
    return digits == length && digits > 0 ? "with its unit (ns, us, ms, s, m, h)"
                                          : "like 300ms, 1.5s or 2m";
}

err_t time_parse(const char *text, uint64_t *ns)
{
    const char *expected = time_scan(text, strlen(text), ns);
    if (expected == NULL) return ERR_OK;
    char found[64];
    struct out out = { found, sizeof(found), 0 };
    out_word(&out, text);
    return err_begin(ERR_INPUT, "expected a time %s, found %s", expected, found);
}

uint64_t line_time(struct line *line, const char *what, uint64_t low_ns)
{
    uint64_t ns = 0;
    const char *expected = "like 300ms, 1.5s or 2m";
    if (line->kind == WORD_BARE) expected = time_scan(line->word, line->length, &ns);
    if (expected != NULL) {
        line_expected(line, "%s %s", what, expected);
    } else if (ns < low_ns) {
        char low[32];
        time_print(low_ns, low, sizeof(low));
        line_expected(line, "%s of %s or more", what, low);
    } else {
        line_next(line);
        return line->failed ? 0 : ns;
    }
    return 0;
}

void out_add(struct out *out, const char *format, ...)
{
    size_t room = out->length < out->size ? out->size - out->length : 0;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(room > 0 ? out->text + out->length : NULL, room, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    out->length += (size_t)length;
}

void out_decimal(struct out *out, uint64_t value, uint64_t scale)
{
    CHECK(scale > 0);
    out_add(out, "%llu", (unsigned long long)(value / scale));
    uint64_t rest = value % scale;
    if (rest == 0) return;
    int digits = 0;
    for (; scale > 1; scale /= 10) digits++;
    for (; rest % 10 == 0; rest /= 10) digits--;
    out_add(out, ".%0*llu", digits, (unsigned long long)rest);
}

void out_time(struct out *out, uint64_t ns)
{
    const struct unit *unit = ns == 0 ? &units[UNIT_S] : &units[0];
    for (size_t i = 1; i < COUNT(units); i++) { /* minutes and hours only where they are whole */
        CHECK(units[i].ns > 0);
        if (ns >= units[i].ns && (i <= UNIT_S || ns % units[i].ns == 0)) unit = &units[i];
    }
    if (unit > &units[UNIT_S]) out_decimal(out, ns / unit->ns, 1);
    else out_decimal(out, ns, unit->ns);
    out_add(out, "%s", unit->name);
}

static bool plain(const char *word)
{
    if (word[0] == '\0' || word[0] == '#' || word[0] == '"') return false;
    for (const char *p = word; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || strchr("\"\\|<>", *p) != NULL) return false;
    return true;
}

void out_word(struct out *out, const char *word)
{
    if (plain(word)) {
        out_add(out, "%s", word);
        return;
    }
    out_add(out, "\"");
    for (const char *p = word; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') out_add(out, "\\%c", *p);
        else if (*p == '\n') out_add(out, "\\n");
        else if (*p == '\t') out_add(out, "\\t");
        else if (*p >= ' ' && *p <= '~') out_add(out, "%c", *p);
        else out_add(out, "\\x%02x", (unsigned char)*p);
    }
    out_add(out, "\"");
}

size_t time_print(uint64_t ns, char *text, size_t size)
{
    struct out out = { text, size, 0 };
    out_time(&out, ns);
    return out.length;
}

size_t word_print(const char *word, char *text, size_t size)
{
    struct out out = { text, size, 0 };
    out_word(&out, word);
    return out.length;
}
