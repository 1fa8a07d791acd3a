/* tests/fault_equal.h - when are two commands, two plans the same? Line numbers do not count. */
#ifndef TESTS_FAULT_EQUAL_H
#define TESTS_FAULT_EQUAL_H

#include <string.h>

#include "fault/plan.h"

static inline bool text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static inline bool command_equal(const struct command *a, const struct command *b)
{
    bool same = a->verb == b->verb && a->groups == b->groups && a->rule_fields == b->rule_fields &&
                memcmp(&a->rule, &b->rule, sizeof(a->rule)) == 0 && a->time_ns == b->time_ns &&
                a->rate_ppm == b->rate_ppm && a->number == b->number &&
                memcmp(&a->load, &b->load, sizeof(a->load)) == 0 && text_equal(a->key, b->key) &&
                text_equal(a->value, b->value) && text_equal(a->expected, b->expected);
    for (size_t i = 0; i < GROUPS_MAX; i++)
        same = same && a->group[i].words == b->group[i].words &&
               a->group[i].peers == b->group[i].peers;
    return same;
}

static inline bool step_equal(const struct step *a, const struct step *b)
{
    if ((a->command == NULL) != (b->command == NULL)) return false;
    if (a->command != NULL && !command_equal(a->command, b->command)) return false;
    return a->kind == b->kind && a->at_ns == b->at_ns && a->until_ns == b->until_ns &&
           a->within_ns == b->within_ns && a->expect == b->expect && a->match == b->match &&
           a->number == b->number && text_equal(a->key, b->key) && text_equal(a->value, b->value);
}

static inline bool plan_equal(const struct plan *a, const struct plan *b)
{
    bool same = a->peers == b->peers && a->seed == b->seed && text_equal(a->preset, b->preset) &&
                a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) same = step_equal(&a->steps[i], &b->steps[i]);
    return same;
}

#endif
