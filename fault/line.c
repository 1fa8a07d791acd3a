/* fault/line.c - the cursor over one line: words, quotes, and the sentence of the first error. */
#include "fault/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FOUND_MAX 40 /* bytes of a word that an error repeats */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

static bool is_operator(char c)
{
    return c == '|' || c == '>' || c == '<';
}

/* From now on the line reads as ended (N2). */
static void end_line(struct line *line)
{
    line->next = line->end;
    line->word = line->end;
    line->length = 0;
    line->kind = WORD_NONE;
}

/* The sentence is written; note its place. */
static void fail(struct line *line)
{
    line->error->column = (uint32_t)(line->at - line->start) + 1;
    line->failed = true;
    end_line(line);
}

static struct out error_text(struct line *line)
{
    return (struct out){ line->error->text, sizeof(line->error->text), 0 };
}

void line_error(struct line *line, const char *format, ...)
{
    if (line->failed) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line->error->text, sizeof(line->error->text), format, arguments);
    va_end(arguments);
    fail(line);
}

/* Printable ASCII as it is, the rest as \xHH (N3). */
static void out_printable(struct out *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] >= ' ' && bytes[i] <= '~') out_add(out, "%c", bytes[i]);
        else out_add(out, "\\x%02x", (unsigned char)bytes[i]);
    }
}

static void out_found(struct out *out, const struct line *line)
{
    if (line->kind == WORD_NONE) {
        out_add(out, ", found the end of the line");
        return;
    }
    const char *quote = line->kind == WORD_QUOTED ? "\"" : "'";
    out_add(out, ", found %s", quote);
    out_printable(out, line->word, MIN_OF(line->length, FOUND_MAX));
    out_add(out, "%s%s", line->length > FOUND_MAX ? "..." : "", quote);
}

void line_expected(struct line *line, const char *format, ...)
{
    if (line->failed) return;
    char what[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    struct out text = error_text(line);
    out_add(&text, "expected %s", what);
    out_found(&text, line);
    fail(line);
}

/* -1 for what is no digit. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Unescape a quoted word in place: what is written never overtakes what is read (N1). */
static char *scan_escape(struct line *line, char *p, char *to)
{
    char c = p < line->end ? *p++ : '\0';
    if (c == 'n') *to = '\n';
    else if (c == 't') *to = '\t';
    else if (c == '"' || c == '\\') *to = c;
    else if (c == 'x' && line->end - p >= 2) {
        int high = hex_digit(p[0]), low = hex_digit(p[1]);
        if (high < 0 || low < 0 || high + low == 0) return NULL;
        *to = (char)(high * 16 + low);
        p += 2;
    } else return NULL;
    return p;
}

static void scan_quoted(struct line *line, char *p)
{
    char *to = p;
    line->kind = WORD_QUOTED;
    line->word = p;
    while (p < line->end && *p != '"') {
        char *here = p;
        if (*p == '\0') {
            line->at = here;
            line_error(line, "a text cannot hold the byte 0");
            return;
        }
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        p = scan_escape(line, p + 1, to++);
        if (p == NULL) {
            line->at = here;
            line_error(line, "expected \\\" \\\\ \\n \\t or \\xHH (not \\x00) after a backslash");
            return;
        }
    }
    if (p == line->end) {
        line_error(line, "this quote has no end");
        return;
    }
    line->length = (size_t)(to - line->word);
    line->next = p + 1;
    if (line->next < line->end && !is_blank(*line->next)) {
        line->at = line->next;
        line_error(line, "expected a blank after the closing quote");
    }
}

static void scan_bare(struct line *line, char *p)
{
    line->kind = WORD_BARE;
    line->word = p;
    while (p < line->end && !is_blank(*p) && !is_operator(*p)) {
        if (is_control(*p)) {
            line->at = p;
            line_error(line, "expected text, found the control byte \\x%02x", (unsigned char)*p);
            return;
        }
        p++;
    }
    if (p == line->word) p++; /* an operator stands alone */
    line->length = (size_t)(p - line->word);
    line->next = p;
}

void line_next(struct line *line)
{
    if (line->failed) return;
    char *p = line->next;
    while (p < line->end && is_blank(*p)) p++;
    line->at = p;
    if (p == line->end || *p == '#') end_line(line);
    else if (*p == '"') scan_quoted(line, p + 1);
    else scan_bare(line, p);
}

void line_open(struct line *line, char *start, char *end, uint32_t number,
               struct parse_error *error)
{
    if (end > start && end[-1] == '\n') end--;
    if (end > start && end[-1] == '\r') end--;
    *line = (struct line){ .start = start, .end = end, .next = start, .at = start, .error = error };
    *error = (struct parse_error){ .line = number, .column = 1 };
    line_next(line);
}

bool line_at_end(const struct line *line)
{
    return line->kind == WORD_NONE;
}

bool line_is(const struct line *line, const char *word)
{
    return line->kind == WORD_BARE && line->length == strlen(word) &&
           memcmp(line->word, word, line->length) == 0;
}

bool line_take(struct line *line, const char *word)
{
    if (!line_is(line, word)) return false;
    line_next(line);
    return true;
}

bool line_split(struct line *line, const char *separator)
{
    if (line->kind != WORD_BARE) return false;
    char *found = memmem(line->word, line->length, separator, strlen(separator));
    if (found == NULL || found == line->word) return false;
    line->length = (size_t)(found - line->word);
    line->next = found + strlen(separator);
    return true;
}

bool line_at_digit(const struct line *line)
{
    return line->kind == WORD_BARE && line->word[0] >= '0' && line->word[0] <= '9';
}

const char *line_text(struct line *line, const char *what, size_t min, size_t max)
{
    if (line->kind == WORD_NONE) {
        line_expected(line, "%s", what);
        return NULL;
    }
    if (line->kind == WORD_BARE) { /* operators are letters of a text: put k a|b */
        line->next = line->word;
        while (line->next < line->end && !is_blank(*line->next) && !is_control(*line->next))
            line->next++;
        line->length = (size_t)(line->next - line->word);
    }
    if (line->length < min || line->length >= max) {
        line_expected(line, "%s of %zu to %zu bytes", what, min, max - 1);
        return NULL;
    }
    char *text = line->word, *end = text + line->length;
    line->text_taken = true;
    line_next(line); /* before the 0, which may lie on the blank that ends the word */
    *end = '\0';
    return line->failed ? NULL : text;
}

uint64_t line_number(struct line *line, const char *what, uint64_t low, uint64_t high)
{
    uint64_t value = 0;
    if (line->kind != WORD_BARE || memchr(line->word, '.', line->length) != NULL ||
        !decimal_parse(line->word, line->length, 1, high, &value) || value < low) {
        line_expected(line, "%s (%llu to %llu)", what, (unsigned long long)low,
                      (unsigned long long)high);
        return 0;
    }
    line_next(line);
    return value;
}

/* Edit distance, up to 3; words of the language are short. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t row[24];
    if (a_length >= COUNT(row) || b_length >= COUNT(row)) return 3;
    for (size_t j = 0; j <= b_length; j++) row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = diagonal + ((a[i - 1] | 0x20) != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN_OF(replaced, MIN_OF(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_length];
}

static const char *nearest(const struct line *line, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; line->kind == WORD_BARE && i < count; i++) {
        size_t d = distance(line->word, line->length, words[i], strlen(words[i]));
        if (d >= best_distance || d + 1 >= strlen(words[i])) continue;
        best_distance = d;
        best = words[i];
    }
    return best;
}

size_t line_one_of(struct line *line, const char *what, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (line_take(line, words[i])) return line->failed ? count : i;
    if (line->failed) return count;
    struct out text = error_text(line);
    out_add(&text, "expected %s (", what);
    for (size_t i = 0; i < count; i++) out_add(&text, "%s%s", i == 0 ? "" : ", ", words[i]);
    out_add(&text, ")");
    out_found(&text, line);
    const char *meant = nearest(line, words, count);
    if (meant != NULL) out_add(&text, "; did you mean '%s'?", meant);
    fail(line);
    return count;
}

err_t line_close(struct line *line)
{
    if (!line_at_end(line)) {
        struct out text = error_text(line);
        out_add(&text, "expected the end of the line");
        out_found(&text, line);
        if (line->text_taken) out_add(&text, "; a text with blanks needs double quotes");
        fail(line);
    }
    return line->failed ? ERR_INPUT : ERR_OK;
}
