/* ctl/cli.h - one side of the control socket as a program uses it: a line out, a line in. */
#ifndef CTL_CLI_H
#define CTL_CLI_H

#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>

struct caller {
    int fd;
    char *buffer;
    size_t used, size;
};
/* Connect to the cluster `name`. ERR_INPUT when none runs. */
err_t caller_open(struct caller *caller, const char *name);
/* Send `line` and read the answer. ERR_SYSTEM when the cluster has ended. The caller decrefs
 * *answer. */
err_t caller_ask(struct caller *caller, const char *line, json_t **answer);
void caller_close(struct caller *caller);
/* True for {"ok":true,...}; else *error is what it says. The text lives with the answer. */
bool answer_ok(json_t *answer, const char **error);

#endif
