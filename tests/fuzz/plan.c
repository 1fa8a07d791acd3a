/* tests/fuzz/plan.c - any bytes are a plan that prints and parses to itself (P1), or an error at a
 * place within them; and the same as one verb (V1, V2). */
#include "fault/plan.h"
#include "tests/fault_equal.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static void check_error(const struct parse_error *error, const char *text, size_t length)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
    CHECK(error->line >= 1);
    CHECK(error->line <= lines);
    CHECK(error->column >= 1);
    CHECK(error->column <= length + 1);
    CHECK(error->text[0] != '\0');
    for (const char *c = error->text; *c != '\0'; c++) CHECK(*c >= ' ' && *c <= '~'); /* N3 */
}

static void try_plan(const char *text, size_t length)
{
    struct plan plan, again;
    struct parse_error error;
    err_t err = plan_parse(text, length, &plan, &error);
    if (err != ERR_OK) {
        CHECK(err == ERR_INPUT);
        check_error(&error, text, length);
        return;
    }
    char *printed = plan_print(&plan);
    CHECK(printed != NULL);
    CHECK(plan_parse(printed, strlen(printed), &again, &error) == ERR_OK);
    CHECK(plan_equal(&plan, &again));
    plan_free(&again);
    free(printed);
    plan_free(&plan);
}

static void try_verb(const char *text, size_t length)
{
    struct command command, again;
    struct parse_error error;
    char *line = strndup(text, length);
    CHECK(line != NULL);
    size_t given = strlen(line);
    char *before = strdup(line);
    CHECK(before != NULL);
    if (verb_parse(line, 5, &command, &error) != ERR_OK) {
        check_error(&error, before, given);
    } else {
        size_t size = verb_print(&command, NULL, 0) + 1;
        char *printed = malloc(size);
        CHECK(printed != NULL);
        CHECK(verb_print(&command, printed, size) == size - 1);
        CHECK(verb_parse(printed, 5, &again, &error) == ERR_OK);
        CHECK(command_equal(&command, &again));
        free(printed);
    }
    free(before);
    free(line);
}

void fuzz_plan(const uint8_t *bytes, size_t length)
{
    try_plan((const char *)bytes, length);
    try_verb((const char *)bytes, length);
}
