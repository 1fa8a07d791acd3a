/* ctl/status.h - what `status` answers, as JSON and for a person. */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include "ctl/supervisor.h"
#include <jansson.h>
#include <stdio.h>

/* The whole status object; its members are an interface (docs: README, "status"). */
json_t *status_json(const struct supervisor *supervisor);
/* A line a peer, from such an object. */
void status_print(json_t *status, FILE *file);

#endif
