/* tests/harness/group.h - a cmocka group put together at run time: a row of a table is a test. */
#ifndef TESTS_HARNESS_GROUP_H
#define TESTS_HARNESS_GROUP_H

/* Names and states live until the run; what `test` gets as *state is `state`. */
void group_add(const char *name, void (*test)(void **), void *state);
/* Once for each of place_modes (tests/harness/place.h), which is the state. */
void group_add_in_modes(const char *name, void (*test)(void **));
/* Run what was added; what main returns. */
int group_run(const char *title);

#endif
