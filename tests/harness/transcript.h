/* tests/harness/transcript.h - conversations of cores as text: commands, `----`, what comes of it.
 * Owns   the little language of tests/core (transcript_help lists it) and the look of its output.
 * Leaves running the peers to tests/harness/cores.h, the verdict to tests/harness/witness.h. */
#ifndef TESTS_HARNESS_TRANSCRIPT_H
#define TESTS_HARNESS_TRANSCRIPT_H

#include <stdbool.h>
#include <stdio.h>

/* Run `text`; write it again, with the output that really comes, to `out`. False: a command makes
 * no sense or safety is broken; `error` says line and reason, and nothing after it was run. */
bool transcript_run(const char *text, FILE *out, char *error, size_t size);
/* The commands, one a line. */
void transcript_help(FILE *out);

#endif
