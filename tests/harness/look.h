/* tests/harness/look.h - how messages and peers look in a transcript: one line each.
 * Owns   the notation: entries as term/index, logs as terms with the committed part in brackets.
 * Leaves the commands to tests/harness/transcript.h, the sentences of notes to base/words.h. */
#ifndef TESTS_HARNESS_LOOK_H
#define TESTS_HARNESS_LOOK_H

#include <stdio.h>

#include "tests/harness/cores.h"

/* "2->3 append term 2 after 1/5, entries 2/6..7, commit 4", no end of line. */
void look_message(FILE *out, const struct flight *flight);
/* "2 leader term 2, vote for 2, log [1 1] 2", or what is on disk of a peer that is down. */
void look_status(FILE *out, const struct cores *cores, uint32_t id);

#endif
