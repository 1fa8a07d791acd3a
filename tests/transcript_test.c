/* tests/transcript_test.c - plays tests/core: conversations come out as they are written, and safe.
 * With REWRITE=1 the files are written again from what comes; the diff is for a person to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/harness/transcript.h"

#define FILES_MIN 25
#define FILES_MAX 200

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("cannot read %s", path);
    char *text = NULL;
    size_t size = 0;
    FILE *copy = open_memstream(&text, &size);
    for (int c; (c = fgetc(file)) != EOF;) fputc(c, copy);
    fclose(copy);
    fclose(file);
    return text;
}

static void write_all(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) fail_msg("cannot write %s", path);
    fputs(text, file);
    fclose(file);
}

/* What the conversation really is; to be freed. */
static char *play(const char *text, char *error, size_t size, bool *well)
{
    char *real = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&real, &length);
    *error = '\0';
    *well = transcript_run(text, out, error, size);
    fclose(out);
    return real;
}

/* The first line in which they differ, and its number; 0: none. */
static long first_difference(const char *a, const char *b, char *ours, char *theirs, size_t size)
{
    for (long line = 1;; line++) {
        size_t length_a = strcspn(a, "\n"), length_b = strcspn(b, "\n");
        if (length_a != length_b || strncmp(a, b, length_a) != 0 || a[length_a] != b[length_b]) {
            snprintf(ours, size, "%.*s", (int)length_a, a);
            snprintf(theirs, size, "%.*s", (int)length_b, b);
            return line;
        }
        if (a[length_a] == '\0') return 0;
        a += length_a + 1;
        b += length_b + 1;
    }
}

static void transcript_holds(void **state)
{
    const char *path = *state;
    char error[512], real_line[256], written_line[256];
    bool well;
    char *written = read_all(path);
    char *real = play(written, error, sizeof(error), &well);
    if (!well) fprintf(stderr, "%s\n", real);
    long line = first_difference(real, written, real_line, written_line, sizeof(real_line));
    if (well && line != 0 && getenv("REWRITE") != NULL) {
        write_all(path, real);
        line = 0;
    }
    free(written);
    free(real);
    if (!well) fail_msg("%s: %s", path, error);
    if (line != 0)
        fail_msg("%s:%ld\n  written: %s\n  comes:   %s", path, line, written_line, real_line);
}

/* A conversation that was tampered with must not pass. */
static void a_wrong_line_is_found(void **state)
{
    UNUSED(state);
    char error[512], real_line[256], written_line[256];
    bool well;
    const char *written =
        "cluster 3\n----\nok\n\n# a comment\ntimeout 2\nflight to=3\n----\n"
        "2 told to time out now\n2 candidate in term 7, log ends at index 0 term 0\n";
    char *real = play(written, error, sizeof(error), &well);
    assert_true(well);
    assert_int_equal(first_difference(real, written, real_line, written_line, sizeof(real_line)),
                     10);
    assert_string_equal(real_line, "2 candidate in term 1, log ends at index 0 term 0");
    char *again = play(real, error, sizeof(error), &well); /* what was rewritten holds */
    assert_string_equal(real, again);
    free(real);
    free(again);
}

static const struct mistake_row {
    const char *name, *text, *error;
} mistake_rows[] = {
    { "a word that is no command", "cluster 3\nfly 2\n", "'fly' is no command (line 2)" },
    { "a command before the cluster", "# a\n\ntimeout 2\n",
      "'cluster N' comes before 'timeout' (line 3)" },
    { "a peer that is not there", "cluster 3\ntimeout 4\n",
      "'4' is no peer of this cluster (line 2)" },
    { "no peer at all", "cluster 3\ncrash\n", "'' is no peer of this cluster (line 2)" },
    { "too many words", "cluster 3\ntimeout 2 now\n", "'now' is one word too many (line 2)" },
    { "a filter that is none", "cluster 3\ndrop all\n",
      "'all' is neither a filter nor a kind of message (line 2)" },
    { "no time", "cluster 3\ntick soon\n", "how long? like 100ms, not 'soon' (line 2)" },
    { "a disk with words on it", "cluster 3\ndisk 1 log one\n",
      "'one' belongs on no disk (line 2)" },
    { "a cluster of none", "cluster 0\n", "how many peers? 1..63 (line 1)" },
    { "disks that cannot come from Raft", "cluster 2\ndisk 1 log 1 2\ndisk 2 log 2 2\n",
      "SAFETY BROKEN (LM): 2 has another log up to index 2 of term 2 than a peer before it (line "
      "3)" },
    { "a disk that has forgotten a vote", "cluster 3\ntimeout 2\ndeliver\ndisk 1\ntimeout 1\n",
      "SAFETY BROKEN (V1): 1 votes for 1 in term 1, and has voted for 2 in it (line 5)" },
};

static void mistake_is_told(void **state)
{
    const struct mistake_row *row = *state;
    char error[512];
    bool well;
    char *real = play(row->text, error, sizeof(error), &well);
    free(real);
    assert_false(well);
    assert_string_equal(error, row->error);
}

int main(void)
{
    static struct CMUnitTest tests[FILES_MAX + COUNT(mistake_rows) + 1];
    size_t count = 0;
    glob_t files;
    if (glob("tests/core/*.txt", 0, NULL, &files) != 0 || files.gl_pathc < FILES_MIN) {
        fprintf(stderr, "tests/core/*.txt is not here; run this in the folder of the Makefile\n");
        return 1;
    }
    CHECK(files.gl_pathc <= FILES_MAX);
    for (size_t i = 0; i < files.gl_pathc; i++)
        tests[count++] = (struct CMUnitTest){ .name = files.gl_pathv[i],
                                              .test_func = transcript_holds,
                                              .initial_state = files.gl_pathv[i] };
    for (size_t i = 0; i < COUNT(mistake_rows); i++)
        tests[count++] =
            (struct CMUnitTest){ .name = mistake_rows[i].name,
                                 .test_func = mistake_is_told,
                                 .initial_state = (void *)(uintptr_t)&mistake_rows[i] };
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(a_wrong_line_is_found);
    int failed = _cmocka_run_group_tests("transcript", tests, count, NULL, NULL);
    globfree(&files);
    return failed;
}
