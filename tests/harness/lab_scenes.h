/* tests/harness/lab_scenes.h - MIT 6.824 labs 2A, 2B and 2C: the staff's tests by their names, with
 * their numbers. What they do is written once, for any cluster (tests/harness/lab.h). */
#ifndef TESTS_HARNESS_LAB_SCENES_H
#define TESTS_HARNESS_LAB_SCENES_H

#include "tests/harness/lab.h"

extern const struct lab_test lab_2a[3];  /* leader election */
extern const struct lab_test lab_2b[10]; /* the log */
extern const struct lab_test lab_2c[8];  /* persistence */

#endif
