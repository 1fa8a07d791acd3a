/* tests/harness/tap.h - reads TAP 14 as a consumer does that accepts nothing beside it. */
#ifndef TESTS_HARNESS_TAP_H
#define TESTS_HARNESS_TAP_H

#include <stdbool.h>
#include <stddef.h>

/* Version, plan, points numbered from 1, comments, YAML blocks, subtests of one level whose failure
 * is the failure of the point behind them. False: `problem` says what is wrong. */
bool tap_check(const char *text, char *problem, size_t size);

#endif
