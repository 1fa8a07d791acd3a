/* tests/fuzz/history.c - any bytes are a history that is written and read again as the same, with
 * the same verdict, or are refused with a line. */
#include "sim/verdict.h"
#include "sim/history_line.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

/* Without a time limit, so that the same bytes give the same steps (F1). */
static const struct linear_limits limits = { 64 << 10, TIME_NEVER };

static err_t read_bytes(struct history *history, const char *bytes, size_t length)
{
    history_init(history);
    FILE *file = fmemopen((void *)(uintptr_t)bytes, MAX_OF(length, 1), "r");
    CHECK(file != NULL);
    err_t err = length == 0 ? ERR_OK : history_read(history, file, "fuzz");
    fclose(file);
    return err;
}

static void check_printable(const char *text)
{
    for (; *text != '\0'; text++) CHECK((*text >= ' ' && *text <= '~') || *text == '\n');
}

/* The verdict as a person is told it. */
static void check_report(const struct history *history, enum linear_verdict verdict)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    CHECK(file != NULL);
    CHECK(verdict_write(file, history, &limits) == verdict);
    CHECK(fclose(file) == 0);
    CHECK(size == strlen(text));
    CHECK(size > 0);
    check_printable(text);
    free(text);
}

static void check_verdict(const struct history *history, const struct history *again)
{
    struct linear_result first, second;
    linear_check(history, &limits, &first);
    linear_check(again, &limits, &second);
    CHECK(first.verdict == second.verdict);
    CHECK(first.stretch_count <= history->count);
    for (size_t i = 0; i < first.stretch_count; i++) CHECK(first.stretch[i] < history->count);
    CHECK((first.verdict == LINEAR_NO) == (first.stretch_count > 0));
    check_report(history, first.verdict);
    free(first.stretch);
    free(second.stretch);
}

static void check_same(const struct field *scanned, const struct field *parsed)
{
    CHECK(scanned->kind == parsed->kind);
    CHECK(scanned->integer == parsed->integer);
    if (scanned->kind == FIELD_STRING) CHECK(strcmp(scanned->text, parsed->text) == 0);
}

/* (F1), (F2) of sim/history_line.h */
static void try_both_readers(const uint8_t *bytes, size_t length)
{
    struct fields scanned, parsed;
    char *line = malloc(MAX_OF(length, 1));
    CHECK(line != NULL);
    if (length > 0) memcpy(line, bytes, length);
    if (fields_scan(line, length, &scanned)) {
        CHECK(fields_parse((const char *)bytes, length, &parsed) == ERR_OK);
        for (size_t i = 0; i < FIELD_COUNT; i++) check_same(&scanned.field[i], &parsed.field[i]);
        fields_free(&parsed);
        fields_unscan(&scanned);
    }
    if (length > 0) CHECK(memcmp(line, bytes, length) == 0);
    free(line);
}

void fuzz_history(const uint8_t *bytes, size_t length)
{
    const uint8_t *newline = length == 0 ? NULL : memchr(bytes, '\n', length);
    try_both_readers(bytes, newline == NULL ? length : (size_t)(newline - bytes));
    struct history history, again;
    if (read_bytes(&history, (const char *)bytes, length) != ERR_OK) {
        CHECK(history.count == 0);
        CHECK(strncmp(err_context(), "fuzz:", 5) == 0);
        check_printable(err_context());
        history_free(&history);
        return;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    CHECK(file != NULL);
    for (size_t i = 0; i < history.count; i++)
        CHECK(history_write(file, &history.operations[i]) == ERR_OK);
    CHECK(fclose(file) == 0);
    CHECK(read_bytes(&again, text, size) == ERR_OK);
    CHECK(again.count == history.count);
    if (history.count <= 64) check_verdict(&history, &again);
    free(text);
    history_free(&again);
    history_free(&history);
}
