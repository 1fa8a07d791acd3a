/* ctl/help.h - help that comes from the tables: `ringside help`, `help verbs`, `help plans`.
 * README.md and docs/ringside.1 hold the same texts; tests/docs_test.c compares them. */
#ifndef CTL_HELP_H
#define CTL_HELP_H

#include <stdio.h>

/* A line a verb: word and arguments, dashboard key, what it does. */
void help_verbs(FILE *file);
/* Statements of plans, then what `expect` and `wait` understand. */
void help_plans(FILE *file);

#endif
