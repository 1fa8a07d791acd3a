/* base/base.c - how a failed CHECK ends the process, and the one clock of the real world. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void (*catcher)(const char *file, int line, const char *condition);

void check_catch(void (*caught)(const char *file, int line, const char *condition))
{
    catcher = caught;
}

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    if (catcher != NULL) catcher(file, line, condition);
    fprintf(stderr, "ringside: %s:%d: CHECK failed: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}

uint64_t real_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}
