/* sim/tap.h - TAP version 14, as far as `run` and `sim` need it.
 * Owns   the look of points, comments, YAML blocks and subtests; escaping.
 * Leaves what is told to its users. */
#ifndef SIM_TAP_H
#define SIM_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct tap {
    FILE *file;
    int indent; /* 4 in a subtest */
    uint32_t points, failed;
};

/* "ok 3 - NAME" or "not ok 3 - NAME". */
void tap_point(struct tap *tap, bool ok, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Each line of the text as "# line". */
void tap_comment(struct tap *tap, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "1..N" at the end, N being the points so far. */
void tap_plan(struct tap *tap);
/* The block behind a point: begin, any number of members, end. */
void tap_yaml_begin(struct tap *tap);
void tap_yaml_text(struct tap *tap, const char *key, const char *text);
void tap_yaml_number(struct tap *tap, const char *key, uint64_t value);
void tap_yaml_end(struct tap *tap);

#endif
