/* ctl/check.h - `ringside check`: is a recorded history linearizable? */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include "base/err.h"
#include <stdint.h>

/* Sizes are written 512M, 4GiB, 100k, 1000000 (bytes): powers of 1024, at least 1 byte. ERR_INPUT
 * says why in err_context. */
err_t size_parse(const char *text, uint64_t *bytes);

#endif
