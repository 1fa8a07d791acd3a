/* fault/line.h - one line of hostile text as words, numbers and times, with errors that say where.
 * Owns   quoting, comments, columns, the sentence of an error; times and percentages in text, both ways.
 * Leaves what the words mean to fault/verb.h and fault/plan.h.
 * Holds  (N1) nothing outside text..end is read; only quoted or taken texts in it are written
 *        (N2) the first error wins: after it every word reads as the end of the line
 *        (N3) an error's text is printable ASCII, whatever the input was. */
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
    char *start, *end; /* of the line; *end is writable, a 0 may be put there */
    char *next;        /* what was not yet looked at */
    char *word;        /* the current word, without quotes; not ended by a 0 */
    size_t length;     /* of the word; 0 with !quoted: end of the line */
    char *at;          /* where the word begins in the source, for columns */
    bool quoted;       /* "kill" is a text, not a verb */
    bool failed;       /* (N2) */
    struct parse_error *error;
};
/* Begin with the first word of start..end as the current one. A CR before `end` is not part of it. */
void line_open(struct line *line, char *start, char *end, uint32_t number, struct parse_error *error);
bool line_at_end(const struct line *line);
/* Is the current word this bare word? Taking means to go on to the next. */
bool line_is(const struct line *line, const char *word);
bool line_take(struct line *line, const char *word);
void line_next(struct line *line);
/* Take any word as a text of at most `max` - 1 bytes, ended by a 0; NULL after an error. `what`: "a key". */
const char *line_text(struct line *line, const char *what, size_t max);
/* Take a whole number of low..high. 0 after an error. */
uint64_t line_number(struct line *line, const char *what, uint64_t low, uint64_t high);
/* Take a time, see time_parse. `low_ns` is the least that makes sense. */
uint64_t line_time(struct line *line, const char *what, uint64_t low_ns);
/* "expected WHAT, found 'word'" at the current word; or any sentence. Only the first is kept (N2). */
void line_expected(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void line_error(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end of the line must be here. ERR_INPUT after any error. */
err_t line_close(struct line *line);

/* The word of `words` that `word` probably was meant to be, or NULL. */
const char *word_nearest(const char *word, size_t length, const char *const *words, size_t count);
/* A text as one word of a line: bare where that is enough, else in double quotes, not ASCII as \xHH. Cut to
 * `size` with a 0 at the end; returns the uncut length. */
size_t word_print(const char *word, char *text, size_t size);

/* Times are written 300ms, 1.5s, 20us, 2m, 1h, 7ns; a bare number is refused (0 is not). At most TIME_MAX_NS,
 * so that sums of times do not overflow. ERR_INPUT says why in err_context. For options of commands, too. */
#define TIME_MAX_NS (1000ull * 3600 * NS_PER_S)
err_t time_parse(const char *text, uint64_t *ns);
/* The shortest of the forms above, exact. Returns the uncut length. */
size_t time_print(uint64_t ns, char *text, size_t size);
/* A decimal number with an optional sign as millionths of `unit`s: "2.5" is 2500000 with unit 1, 25000 with unit
 * 100 (percent). False where it is none, is finer than a millionth, or its size exceeds `max`. */
bool ppm_parse(const char *text, size_t length, uint32_t unit, uint64_t max, bool *negative, uint64_t *ppm);
size_t ppm_print(uint64_t ppm, uint32_t unit, char *text, size_t size);

#endif
