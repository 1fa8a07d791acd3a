/* ctl/help.c - the tables of fault/verb.h and fault/plan.h as text. */
#include "ctl/help.h"

#include "fault/plan.h"

#include <string.h>

enum { LEFT = 40 };

/* "word arguments" in a column of its own; a longer one gets a line to itself. */
static void left(FILE *file, const char *word, const char *arguments)
{
    int length = fprintf(file, "%s%s%s", word, arguments[0] != '\0' ? " " : "", arguments);
    if (length >= LEFT) fprintf(file, "\n%*s", LEFT, "");
    else fprintf(file, "%*s", LEFT - length, "");
}

void help_verbs(FILE *file)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        left(file, verb_rows[i].word, verb_rows[i].arguments);
        fprintf(file, "%c  %s\n", verb_rows[i].key != 0 ? verb_rows[i].key : ' ',
                verb_rows[i].help);
    }
}

void help_plans(FILE *file)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        left(file, statement_rows[i].word, statement_rows[i].arguments);
        fprintf(file, "%s\n", statement_rows[i].help);
    }
    for (size_t i = 0; i < EXPECT_COUNT; i++) {
        char words[64];
        snprintf(words, sizeof(words), "expect %s", expect_rows[i].words);
        left(file, words, expect_rows[i].argument);
        fprintf(file, "%s\n", expect_rows[i].help);
    }
}
