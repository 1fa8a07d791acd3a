/* ctl/options.h - command lines through argp, with one line for bad input instead of argp's two.
 * A parser reports its own errors with err_begin(ERR_INPUT, ...) and returns EINVAL. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include "base/err.h"
#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* Parse argv[1..]; argv[0] is the subcommand's name. `--help` prints and exits 0. False: one line
 * was printed on stderr, exit with 1. */
bool options_parse(const struct argp *argp, int argc, char **argv, void *input);
/* A whole number of low..high. EINVAL and the context on anything else; 0 when fine. For
 * parsers. */
error_t option_number(const char *option, const char *text, uint64_t low, uint64_t high,
                      uint64_t *value);
error_t option_time(const char *option, const char *text, uint64_t *ns);

#endif
