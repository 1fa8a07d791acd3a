/* tests/docs_test.c - the documents say what the program says: verbs and plans from their
 * tables, every preset, every topic. A table that changes without its documents turns this red. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/words.h"
#include "ctl/help.h"
#include "fault/preset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole file, with a 0 at the end; to be freed. */
static char *slurp(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) fail_msg("%s is missing (run the tests from the project's root)", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, size, file), size);
    text[size] = '\0';
    fclose(file);
    return text;
}

static char *printed(void (*help)(FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    help(file);
    fclose(file);
    return text;
}

static void holds(const char *path, const char *text, const char *what)
{
    char *document = slurp(path);
    if (strstr(document, text) == NULL)
        fail_msg("%s does not hold the text of `ringside help %s`: copy it there", path, what);
    free(document);
}

static void documents_hold_the_verbs(void **state)
{
    UNUSED(state);
    char *text = printed(help_verbs);
    holds("README.md", text, "verbs");
    holds("docs/ringside.1", text, "verbs");
    free(text);
}

static void documents_hold_the_plan_language(void **state)
{
    UNUSED(state);
    char *text = printed(help_plans);
    holds("README.md", text, "plans");
    holds("docs/ringside.1", text, "plans");
    free(text);
}

static void documents_name_every_preset_and_topic(void **state)
{
    UNUSED(state);
    char *man = slurp("docs/ringside.1"), *readme = slurp("README.md");
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        assert_non_null(strstr(man, presets[i].name));
        assert_non_null(strstr(readme, presets[i].name));
    }
    for (unsigned i = 0; i < TOPIC_COUNT; i++)
        assert_non_null(strstr(man, topic_name((enum topic)i)));
    free(man);
    free(readme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_hold_the_verbs),
        cmocka_unit_test(documents_hold_the_plan_language),
        cmocka_unit_test(documents_name_every_preset_and_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
