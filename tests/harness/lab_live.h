/* tests/harness/lab_live.h - the lab's tests on real processes, through the control socket, as any
 * student's program could drive them.
 * Owns   a cluster per test; the program that runs a group of tests.
 * Leaves the words of the control socket to tests/harness/control.h.
 * Holds  (V1) a test leaves nothing behind. A crash is SIGKILL. */
#ifndef TESTS_HARNESS_LAB_LIVE_H
#define TESTS_HARNESS_LAB_LIVE_H

#include "tests/harness/lab.h"

/* The whole program; argv[1] may be a pattern of names to run. */
int lab_main(const char *group, const struct lab_test *tests, size_t count, int argc, char **argv);

#endif
