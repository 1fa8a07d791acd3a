/* ctl/options.c - see ctl/options.h. */
#include "ctl/options.h"

#include "fault/verb.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool options_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    int index = argc;
    err_begin(ERR_OK, "%s", "");
    char *name = argv[0], full[64];
    snprintf(full, sizeof(full), "ringside %s", name);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-?") == 0) {
            argp_help(argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, full);
            exit(0);
        }
    argv[0] = full;
    error_t error = argp_parse(argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, &index, input);
    argv[0] = name;
    if (error == 0) return true;
    if (err_context()[0] != '\0') {
        fprintf(stderr, "ringside %s: %s\n", name, err_context());
    } else {
        const char *what = index >= 1 && index <= argc ? argv[index - 1] : "";
        fprintf(stderr,
                "ringside %s: '%s' is not understood or lacks its value; see: ringside %s --help\n",
                name, what, name);
    }
    return false;
}

error_t option_number(const char *option, const char *text, uint64_t low, uint64_t high,
                      uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && number >= low &&
        number <= high) {
        *value = number;
        return 0;
    }
    err_begin(ERR_INPUT, "%s is '%.64s'; it must be a whole number from %llu to %llu", option, text,
              (unsigned long long)low, (unsigned long long)high);
    return EINVAL;
}

error_t option_time(const char *option, const char *text, uint64_t *ns)
{
    if (time_parse(text, ns) == ERR_OK) return 0;
    err_begin(ERR_INPUT, "%s is '%.64s'; it must be a time such as 300ms, 1.5s or 2m", option,
              text);
    return EINVAL;
}
