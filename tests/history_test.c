/* tests/history_test.c - the JSON lines of histories: what is read, what is refused and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/history.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file that leaves nothing behind; `path` names it. */
static int make_file(const char *bytes, size_t length, char path[64])
{
    int fd = memfd_create("history", MFD_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(fd, bytes + done, length - done);
        assert_true(wrote > 0);
        done += (size_t)wrote;
    }
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void replace(char *text, char from, char to)
{
    for (; *text != '\0'; text++)
        if (*text == from) *text = to;
}

static err_t load_text(struct history *history, const char *bytes, size_t length)
{
    char path[64];
    int fd = make_file(bytes, length, path);
    err_t err = history_load(history, path);
    close(fd);
    return err;
}

/* --- what is refused ------------------------------------------------------------------------- */

/* Rows are written with ' for ". */
#define PUT "{'op':'put','key':'k','value':'v','call':1,'return':2,'status':'ok'}"

static const struct error_row {
    const char *name, *text, *says; /* after the file's name */
} error_rows[] = {
    { "not JSON", "what?", ":1: column 4: not JSON: invalid token near 'what'" },
    { "half a line", PUT "\n{'op':'put',", ":2: column 12: not JSON: string or '}' expected" },
    { "two objects in one line", PUT " " PUT,
      ":1: column 70: not JSON: end of file expected near '{'" },
    { "a field twice", "{'op':'get','op':'put'}", ":1: column 16: not JSON: duplicate object key" },
    { "a string cut short", PUT "\n\n{'op':'pu", ":3: column 9: not JSON: premature end of input" },
    { "not UTF-8", "{'op':'\xff'}", ":1: column 7: not JSON: unable to decode byte 0xff" },
    { "a control character", "\x1b[2J", ":1: column 1: not JSON: invalid token near '?'" },
    { "a list", "[1,2]", ":1: not an object, it should be {'op':...}" },
    { "a number", "7", ":1: not an object, it should be {'op':...}" },
    { "no op", "{}", ":1: 'op' is missing, it should be 'put', 'get', 'del', 'append' or 'cas'" },
    { "an op of others", "{'op':'swap'}", ":1: 'op' is 'swap', it should be 'put', 'get'" },
    { "op is a number", PUT "\n{'op':1}", ":2: 'op' is 1, it should be 'put', 'get'" },
    { "a very long op", "{'op':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
      ":1: 'op' is too long a string, it should be" },
    { "client is a name", "{'op':'get','client':'a'}",
      ":1: 'client' is 'a', it should be a whole" },
    { "no status", "{'op':'get','key':'k'}", ":1: 'status' is missing, it should be 'ok', 'fail'" },
    { "a status of others", "{'op':'get','status':'info'}",
      ":1: 'status' is 'info', it should be" },
    { "no key", "{'op':'get','status':'ok'}", ":1: 'key' is missing, it should be a string" },
    { "key is a number", "{'op':'get','status':'ok','key':1}",
      ":1: 'key' is 1, it should be a string" },
    { "put without a value", "{'op':'put','status':'ok','key':'k'}",
      ":1: 'value' is missing, it should be a string" },
    { "append of null", "{'op':'append','status':'ok','key':'k','value':null}",
      ":1: 'value' is null, it should be a string" },
    { "cas without expect", "{'op':'cas','status':'ok','key':'k','value':'v'}",
      ":1: 'expect' is missing, it should be a string, or null for an absent key" },
    { "no call", "{'op':'get','status':'ok','key':'k'}",
      ":1: 'call' is missing, it should be a whole" },
    { "call is a fraction", "{'op':'get','status':'ok','key':'k','call':1.5}",
      ":1: 'call' is 1.5, it should be a whole number of nanoseconds" },
    { "call is negative", "{'op':'get','status':'ok','key':'k','call':-1}",
      ":1: 'call' is -1, it" },
    { "call is too large", "{'op':'get','call':99999999999999999999}",
      ":1: column 39: not JSON: too big integer" },
    { "ok without a return", "{'op':'get','status':'ok','key':'k','call':1}",
      ":1: 'return' is missing, it should be a time: the operation is ok" },
    { "ok with return null", "{'op':'get','status':'ok','key':'k','call':1,'return':null}",
      ":1: 'return' is null, it should be a time" },
    { "return before call", "{'op':'get','status':'ok','key':'k','call':5,'return':4}",
      ":1: 'return' is 4, it should be the same as 'call' or later" },
    { "return is a string", "{'op':'get','status':'fail','key':'k','call':5,'return':'9'}",
      ":1: 'return' is '9', it should be a whole number" },
    { "ok get without output", "{'op':'get','status':'ok','key':'k','call':1,'return':2}",
      ":1: 'output' is missing, it should be the string that the get saw, or null" },
    { "get of a number", "{'op':'get','status':'ok','key':'k','call':1,'return':2,'output':3}",
      ":1: 'output' is 3, it should be the string that the get saw" },
    { "ok cas without output",
      "{'op':'cas','status':'ok','key':'k','value':'v','expect':null,'call':1,"
      "'return':2}",
      ":1: 'output' is missing, it should be true (it replaced the value) or false" },
    { "del with a strange output",
      "{'op':'del','status':'ok','key':'k','call':1,'return':2,'output':"
      "'maybe'}",
      ":1: 'output' is 'maybe', it should be true (the key existed)" },
};

static void error_holds(void **state)
{
    const struct error_row *row = *state;
    struct history history;
    struct operation before = { .op = HISTORY_GET, .key = "k" };
    history_init(&history);
    assert_int_equal(history_add(&history, &before), ERR_OK);
    char text[256], says[512];
    snprintf(text, sizeof(text), "%s", row->text);
    replace(text, '\'', '"');
    assert_int_equal(load_text(&history, text, strlen(text)), ERR_INPUT);
    snprintf(says, sizeof(says), "%s", strchrnul(err_context(), ':'));
    replace(says, '"', '\'');
    if (strncmp(says, row->says, strlen(row->says)) != 0) assert_string_equal(says, row->says);
    assert_int_equal(history.count, 1); /* nothing was added */
    history_free(&history);
}

static void a_file_that_is_not_there(void **state)
{
    UNUSED(state);
    struct history history;
    history_init(&history);
    assert_int_equal(history_load(&history, "/nowhere/h.jsonl"), ERR_SYSTEM);
    assert_string_equal(err_context(), "/nowhere/h.jsonl: No such file or directory");
    assert_int_equal(history_load(&history, "/"), ERR_SYSTEM);
    assert_string_equal(err_context(), "/: Is a directory");
    history_free(&history);
}

/* A file without line ends must not take all memory before it is refused. */
static void a_line_without_end(void **state)
{
    UNUSED(state);
    struct history history;
    int fd = memfd_create("history", MFD_CLOEXEC);
    char path[64];
    assert_int_equal(ftruncate(fd, 1ll << 33), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    history_init(&history);
    assert_int_equal(history_load(&history, path), ERR_INPUT);
    assert_non_null(strstr(err_context(), ":1: longer than 64 MiB"));
    history_free(&history);
    close(fd);
}

/* --- what is read ---------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void assert_same(const struct operation *a, const struct operation *b)
{
    assert_int_equal(a->client, b->client);
    assert_int_equal(a->call_ns, b->call_ns);
    assert_int_equal(a->return_ns, b->return_ns);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->status, b->status);
    assert_true(same_text(a->key, b->key));
    assert_true(same_text(a->value, b->value));
    assert_true(same_text(a->expect, b->expect));
    assert_true(same_text(a->output, b->output));
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->done_known, b->done_known);
}

static const struct line_row {
    const char *name, *text;
    struct operation read;
} line_rows[] = {
    { "put",
      "{'client':3,'op':'put','key':'k','value':'v','call':1,'return':2,"
      "'status':'ok'}",
      { .client = 3, .call_ns = 1, .return_ns = 2, .op = HISTORY_PUT, .key = "k", .value = "v" } },
    { "get",
      "{'op':'get','key':'','output':'\\u00e9','call':0,'return':0,'status':"
      "'ok'}",
      { .op = HISTORY_GET, .key = "", .output = "\xc3\xa9" } },
    { "get of an absent key",
      "{'op':'get','key':'k','output':null,'call':1,'return':2,'status':'ok'}",
      { .call_ns = 1, .return_ns = 2, .op = HISTORY_GET, .key = "k" } },
    { "an unknown get without output",
      "{'op':'get','key':'k','call':1,'status':'unknown'}",
      { .call_ns = 1,
        .return_ns = TIME_NEVER,
        .op = HISTORY_GET,
        .key = "k",
        .status = HISTORY_UNKNOWN } },
    { "the return of an unknown one does not count",
      "{'op':'del','key':'k','call':1,'return':9,'status':'unknown'}",
      { .call_ns = 1,
        .return_ns = TIME_NEVER,
        .op = HISTORY_DEL,
        .key = "k",
        .status = HISTORY_UNKNOWN } },
    { "further fields and useless values are ignored",
      " { 'process': [1], "
      "'op':'del','key':'k','value':7,'expect':{},'call':1,'return':2,"
      "'status':'ok' } \r",
      { .call_ns = 1, .return_ns = 2, .op = HISTORY_DEL, .key = "k" } },
    { "del that found something",
      "{'op':'del','key':'k','output':true,'call':1,'return':2,'status':'ok'}",
      { .call_ns = 1,
        .return_ns = 2,
        .op = HISTORY_DEL,
        .key = "k",
        .done = true,
        .done_known = true } },
    { "cas that replaced",
      "{'op':'cas','key':'k','value':'v','expect':'o','output':'true','call':"
      "1,"
      "'return':2,'status':'ok'}",
      { .call_ns = 1,
        .return_ns = 2,
        .op = HISTORY_CAS,
        .key = "k",
        .value = "v",
        .expect = "o",
        .done = true } },
    { "cas that did not",
      "{'op':'cas','key':'k','value':'v','expect':null,'output':false,'call':1,"
      "'return':2,'status':'ok'}",
      { .call_ns = 1, .return_ns = 2, .op = HISTORY_CAS, .key = "k", .value = "v" } },
    { "a failed append",
      "{'op':'append','key':'k','value':'v','call':1,'status':'fail'}",
      { .call_ns = 1,
        .return_ns = TIME_NEVER,
        .op = HISTORY_APPEND,
        .key = "k",
        .value = "v",
        .status = HISTORY_FAIL } },
};

/* Read, then written and read again. */
static void line_holds(void **state)
{
    const struct line_row *row = *state;
    struct history history;
    char text[256], *again = NULL;
    size_t length = 0;
    history_init(&history);
    snprintf(text, sizeof(text), "%s", row->text);
    replace(text, '\'', '"');
    assert_int_equal(load_text(&history, text, strlen(text)), ERR_OK);
    assert_int_equal(history.count, 1);
    assert_same(&history.operations[0], &row->read);
    FILE *file = open_memstream(&again, &length);
    assert_int_equal(history_write(file, &history.operations[0]), ERR_OK);
    fclose(file);
    assert_int_equal(load_text(&history, again, length), ERR_OK);
    assert_int_equal(history.count, 2);
    assert_same(&history.operations[1], &row->read);
    assert_ptr_equal(history.operations[0].key, history.operations[1].key); /* (H2) */
    free(again);
    history_free(&history);
}

static void lines_are_numbered_and_may_be_blank(void **state)
{
    UNUSED(state);
    struct history history;
    char text[] = "\n" PUT "\r\n \t\n" PUT "\n" PUT; /* the last one without an end */
    replace(text, '\'', '"');
    history_init(&history);
    assert_int_equal(load_text(&history, text, strlen(text)), ERR_OK);
    assert_int_equal(history.count, 3);
    assert_int_equal(history.operations[0].line, 2);
    assert_int_equal(history.operations[1].line, 4);
    assert_int_equal(history.operations[2].line, 5);
    assert_int_equal(load_text(&history, "", 0), ERR_OK);
    assert_int_equal(history.count, 3);
    history_free(&history);
}

/* Values longer than the reader's buffer, many of them. */
static void long_lines_are_read_whole(void **state)
{
    UNUSED(state);
    struct history history, back;
    size_t bytes = 3000000, length = 0;
    char *value = malloc(bytes + 1), *text = NULL;
    assert_non_null(value);
    memset(value, 'x', bytes);
    value[bytes] = '\0';
    history_init(&history);
    history_init(&back);
    FILE *file = open_memstream(&text, &length);
    for (size_t i = 0; i < 5; i++) {
        struct operation put = {
            .client = i, .op = HISTORY_PUT, .key = "k", .value = value + i * 1000
        };
        assert_int_equal(history_add(&history, &put), ERR_OK);
        assert_int_equal(history_write(file, &history.operations[i]), ERR_OK);
    }
    fclose(file);
    assert_int_equal(load_text(&back, text, length), ERR_OK);
    assert_int_equal(back.count, 5);
    for (size_t i = 0; i < 5; i++) assert_same(&back.operations[i], &history.operations[i]);
    history_free(&history);
    history_free(&back);
    free(value);
    free(text);
}

static void what_is_not_utf8_is_not_written(void **state)
{
    UNUSED(state);
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    struct operation put = { .op = HISTORY_PUT, .key = "k", .value = "\xff" };
    assert_int_equal(history_write(file, &put), ERR_INPUT);
    fclose(file);
    assert_int_equal(length, 0);
    free(text);
}

/* A good line with some bytes changed is read or refused, nothing else. */
static void any_bytes_do_no_harm(void **state)
{
    UNUSED(state);
    struct rng rng;
    size_t good = 0, rounds = 20000;
    rng_seed(&rng, 1, 2, 3);
    for (size_t i = 0; i < rounds; i++) {
        struct history history;
        char text[512];
        const char *from = line_rows[rng_range(&rng, 0, COUNT(line_rows) - 1)].text;
        size_t length = strlen(from);
        memcpy(text, from, length + 1);
        replace(text, '\'', '"');
        for (uint64_t n = rng_range(&rng, 0, 3); n > 0; n--)
            text[rng_range(&rng, 0, length - 1)] = (char)rng_range(&rng, 0, 255);
        history_init(&history);
        err_t err = load_text(&history, text, length);
        assert_true(err == ERR_OK || err == ERR_INPUT);
        good += err == ERR_OK;
        history_free(&history);
    }
    assert_true(good > rounds / 10);
    assert_true(good < rounds - rounds / 10);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(error_rows) + COUNT(line_rows) + 8] = {
        cmocka_unit_test(a_file_that_is_not_there),
        cmocka_unit_test(a_line_without_end),
        cmocka_unit_test(lines_are_numbered_and_may_be_blank),
        cmocka_unit_test(long_lines_are_read_whole),
        cmocka_unit_test(what_is_not_utf8_is_not_written),
        cmocka_unit_test(any_bytes_do_no_harm),
    };
    size_t n = 6;
    for (size_t i = 0; i < COUNT(error_rows); i++)
        tests[n++] = (struct CMUnitTest){ error_rows[i].name, error_holds, NULL, NULL,
                                          (void *)(uintptr_t)&error_rows[i] };
    for (size_t i = 0; i < COUNT(line_rows); i++)
        tests[n++] = (struct CMUnitTest){ line_rows[i].name, line_holds, NULL, NULL,
                                          (void *)(uintptr_t)&line_rows[i] };
    return _cmocka_run_group_tests("history", tests, n, NULL, NULL);
}
