/* fault/line.h - one line of hostile text as words, numbers and times; errors that say where.
 * Owns   quoting, comments, columns, the sentence of an error; numbers and times as text.
 * Leaves what the words mean to fault/verb.h and fault/plan.h.
 * Holds  (N1) nothing outside start..end is read; only quoted words and texts that were taken are
 *             written to, and *end
 *        (N2) the first error wins: after it every word reads as the end of the line
 *        (N3) an error's text is printable ASCII, whatever the input was.
 * Words end at blanks, bare words also around | > <. '#' where a word could begin starts a comment.
 * Words in double quotes may hold blanks, and \" \\ \n \t \xHH (but not \x00). */
#ifndef FAULT_LINE_H
#define FAULT_LINE_H

#include "base/base.h"
#include "base/err.h"

struct parse_error {
    uint32_t line, column; /* in bytes, from 1; line is 1 for a single command */
    char text[512];        /* "expected a peer (1..63, leader, ...), found 'lead'" */
};

/* A cursor that holds the current word. */
struct line {
    char *start, *end; /* of the line */
    char *next;        /* what was not yet looked at */
    char *at;          /* where the current word begins in the source, for columns */
    char *word;        /* the current word, without quotes; not ended by a 0 */
    size_t length;     /* of the word */
    enum { WORD_NONE, WORD_BARE, WORD_QUOTED } kind; /* NONE: the end of the line */
    bool text_taken; /* then a surplus word may be a forgotten quote */
    bool failed;     /* N2 */
    struct parse_error *error;
};
/* Begin with the first word of start..end as the current one. A newline before `end` and a CR
 * before that are no part of the line. *end must be writable: a 0 may be put there. */
void line_open(struct line *line, char *start, char *end, uint32_t number,
               struct parse_error *error);
bool line_at_end(const struct line *line);
/* Is the current word this bare word? Taking means to go on to the next. */
bool line_is(const struct line *line, const char *word);
bool line_take(struct line *line, const char *word);
/* Where the current bare word holds `separator`, end the word there and let the next one begin
 * after it: "1ms..20ms" becomes two words. */
bool line_split(struct line *line, const char *separator);
/* Does the current word begin with a digit, bare? */
bool line_at_digit(const struct line *line);
void line_next(struct line *line);
/* Take any word as a text of `min` .. `max` - 1 bytes, ended by a 0; NULL after an error. */
const char *line_text(struct line *line, const char *what, size_t min, size_t max);
/* Take a whole number of low..high, a time of `low_ns` or more. 0 after an error. */
uint64_t line_number(struct line *line, const char *what, uint64_t low, uint64_t high);
uint64_t line_time(struct line *line, const char *what, uint64_t low_ns);
/* Take one of `words` and return its place; `count` after an error, which lists them all. */
size_t line_one_of(struct line *line, const char *what, const char *const *words, size_t count);
/* "expected WHAT, found 'word'" at the current word, or any other sentence. */
void line_expected(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void line_error(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end of the line must be here. ERR_INPUT after any error. */
err_t line_close(struct line *line);

/* A decimal number ("2.5", "20") times `scale`. False where it is none, where it is finer than one
 * part of `scale`, or where the product exceeds `max`. */
bool decimal_parse(const char *text, size_t length, uint64_t scale, uint64_t max, uint64_t *value);
/* Times are written 300ms, 1.5s, 20us, 2m, 1h, 7ns; a bare number is refused (0 is not). At most
 * TIME_MAX_NS, so that sums of times do not overflow. ERR_INPUT says why in err_context. */
#define TIME_MAX_NS (1000ull * 3600 * NS_PER_S)
err_t time_parse(const char *text, uint64_t *ns);

/* Text that grows in a buffer and is cut to its size, always with a 0 at the end; `length` is what
 * it would be uncut, so that size 0 measures. */
struct out {
    char *text;
    size_t size, length;
};
void out_add(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `value` / `scale`, exact; scale is a power of ten. */
void out_decimal(struct out *out, uint64_t value, uint64_t scale);
void out_time(struct out *out, uint64_t ns);
/* A text as one word of a line: bare where that is enough, else in quotes, with \xHH for what is
 * not printable ASCII. */
void out_word(struct out *out, const char *word);
/* The same for one value. Return the uncut length, as snprintf. */
size_t time_print(uint64_t ns, char *text, size_t size);
size_t word_print(const char *word, char *text, size_t size);

#endif
