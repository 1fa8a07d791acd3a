/* tests/harness/group.c - one group for each program, with room for all that any of them adds. */
#include "tests/harness/group.h"
#include "tests/harness/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct CMUnitTest tests[256];
static size_t tests_count;
static char names[64][100];
static size_t names_count;

void group_add(const char *name, void (*test)(void **), void *state)
{
    CHECK(tests_count < COUNT(tests));
    tests[tests_count++] = (struct CMUnitTest){ name, test, NULL, NULL, state };
}

void group_add_in_modes(const char *name, void (*test)(void **))
{
    for (size_t i = 0; i < PLACE_MODES; i++) {
        CHECK(names_count < COUNT(names));
        char *full = names[names_count++];
        snprintf(full, sizeof(names[0]), "%s (%s)", name, place_modes[i].name);
        group_add(full, test, &place_modes[i]);
    }
}

int group_run(const char *title)
{
    return _cmocka_run_group_tests(title, tests, tests_count, NULL, NULL);
}
