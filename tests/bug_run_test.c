/* tests/bug_run_test.c - the museum as a person uses it: `ringside bugs`, and plans/bugs on real
 * processes. Each schedule is whole without its bug; some bugs are shown by theirs each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/bug_story.h"
#include "tests/harness/arena.h"
#include "tests/harness/tap.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the command ---- */

struct said {
    int code;
    char *out, *err;
};

static struct said say(const char *const *words)
{
    struct program program;
    program_start(&program, words);
    struct said said = { .code = program_wait(&program) };
    said.out = program_text(program.out);
    said.err = program_text(program.err);
    program_close(&program);
    return said;
}

static void forget(struct said *said)
{
    free(said->out);
    free(said->err);
}

static void holds(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL) fail_msg("no '%s' in:\n%s", wanted, text);
}

static void all_are_listed(void **state)
{
    UNUSED(state);
    struct said said = say((const char *const[]){ "bugs", NULL });
    assert_int_equal(said.code, 0);
    assert_string_equal(said.err, "");
    const char *at = said.out;
    for (size_t i = 0; i < bugs_count; i++) { /* in the table's order */
        holds(at, bugs[i].name);
        at = strstr(at, bugs[i].name);
        holds(at, bugs[i].title);
    }
    for (uint32_t group = 0; group < BUG_GROUP_COUNT; group++)
        holds(said.out, bug_group_name((enum bug_group)group));
    forget(&said);
}

/* The widest line, in characters. */
static size_t widest(const char *text)
{
    size_t width = 0, widest = 0;
    for (; *text != '\0'; text++) {
        if (*text == '\n') width = 0;
        else width += (*text & 0xc0) != 0x80;
        widest = MAX_OF(widest, width);
    }
    return widest;
}

static void each_is_told(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < bugs_count; i++) {
        struct said said = say((const char *const[]){ "bugs", bugs[i].name, NULL });
        assert_int_equal(said.code, 0);
        holds(said.out, bugs[i].title);
        holds(said.out, bugs[i].breaks);
        holds(said.out, "Source: ");
        holds(said.out, "right (");
        holds(said.out, "wrong (sim/wrong_");
        if (bugs[i].plan != NULL) holds(said.out, bugs[i].plan);
        forget(&said);
    }
}

static void wide_is_side_by_side(void **state)
{
    UNUSED(state);
    struct said wide = say((const char *const[]){ "bugs", "6", "--width", "130", NULL });
    assert_int_equal(wide.code, 0);
    holds(wide.out, " | wrong (sim/wrong_rules.c)\n");
    holds(wide.out, " | /* a vote is a vote */\n");
    holds(wide.out, " | bool any_vote_counts(");
    assert_true(widest(wide.out) <= 130);
    struct said narrow = say((const char *const[]){ "bugs", "6", "--width", "119", NULL });
    assert_null(strstr(narrow.out, " | "));
    holds(narrow.out, "\n/* a vote is a vote */\nbool any_vote_counts(");
    forget(&wide);
    forget(&narrow);
}

static void json_has_all(void **state)
{
    UNUSED(state);
    struct said said = say((const char *const[]){ "bugs", "--json", NULL });
    assert_int_equal(said.code, 0);
    char *rest = said.out;
    for (size_t i = 0; i < bugs_count; i++) {
        json_t *json = json_loads(strsep(&rest, "\n"), 0, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "name")), bugs[i].name);
        static const char *const texts[] = { "group",  "title", "breaks", "story",
                                             "source", "right", "wrong" };
        for (size_t t = 0; t < COUNT(texts); t++)
            assert_true(json_string_length(json_object_get(json, texts[t])) > 1);
        assert_int_equal(json_is_null(json_object_get(json, "plan")), bugs[i].plan == NULL);
        json_decref(json);
    }
    assert_string_equal(rest, "");
    forget(&said);
}

#define NONE "'nope' is no bug of the museum; `ringside bugs` lists them\n"
static struct refusal {
    const char *words[5], *err;
} refusals[] = {
    { { "bugs", "nope" }, "ringside bugs: " NONE },
    { { "up", "--bug", "nope" }, "ringside up: " NONE },
    { { "run", "--bug", "nope", "plans/election.plan" }, "ringside run: " NONE },
    { { "bugs", "6", "7" }, "ringside bugs: '7' is too much: one bug at a time\n" },
    { { "bugs", "--width", "3" },
      "ringside bugs: --width is '3'; it must be a whole number from 40 to 1000\n" },
};

static void bad_input_is_one_line(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct said said = say(refusals[i].words);
        assert_int_equal(said.code, 1);
        assert_string_equal(said.out, "");
        assert_string_equal(said.err, refusals[i].err);
        forget(&said);
    }
}

/* ---- schedules on real processes ---- */

enum { AT_ONCE = 3 };
static const uint64_t RUN_NS = 240 * NS_PER_S;

static struct run {
    const char *name; /* of the plan, and of its bug */
    bool with;        /* the bug */
    int code;         /* that it has to end with */
    const char *says;
    char title[64];
    bool started;
    struct program program;
} runs[128] = {
    { .name = "vote-forgotten", .with = true, .code = 3, .says = "failure: \"safety " },
    { .name = "vote-not-stored", .with = true, .code = 3, .says = "failure: \"safety " },
    { .name = "sync-rpc", .with = true, .code = 2, .says = "expect leader within 5s" },
    { .name = "retry-executed-twice", .with = true, .code = 3, .says = "not linearizable" },
};
static size_t runs_count = 4;

static void start_some(void)
{
    size_t running = 0;
    for (size_t i = 0; i < runs_count; i++) {
        struct run *run = &runs[i];
        if (run->started && !program_ended(&run->program)) running++;
        if (run->started || running >= AT_ONCE) continue;
        char path[96];
        snprintf(path, sizeof(path), "plans/bugs/%s.plan", run->name);
        const char *plain[] = { "run", path, NULL };
        const char *bugged[] = { "run", "--bug", run->name, path, NULL };
        program_start(&run->program, run->with ? bugged : plain);
        run->started = true;
        running++;
    }
}

/* A failed run leaves one file, and says which; it goes now. */
static void remove_trace(const char *out)
{
    char path[256];
    const char *at = strstr(out, "\n# trace: ");
    if (at == NULL || sscanf(at, "\n# trace: %255s", path) != 1) fail_msg("no trace in:\n%s", out);
    assert_int_equal(unlink(path), 0);
}

static void run_ends_as_it_has_to(void **state)
{
    char problem[256], bug[96];
    struct run *run = *state;
    uint64_t end_ns = real_now_ns() + RUN_NS;
    while (start_some(), !run->started || !program_ended(&run->program)) {
        struct timespec moment = { 0, 20 * (long)NS_PER_MS };
        if (real_now_ns() >= end_ns) fail_msg("%s does not end", run->title);
        nanosleep(&moment, NULL);
    }
    int code = program_wait(&run->program);
    char *out = program_text(run->program.out), *err = program_text(run->program.err);
    program_close(&run->program);
    if (code != run->code) fprintf(stderr, "%s%s", out, err);
    assert_int_equal(code, run->code);
    if (!tap_check(out, problem, sizeof(problem))) fail_msg("%s\n%s", problem, out);
    holds(out, run->says);
    snprintf(bug, sizeof(bug), "\n  bug: \"%s\"\n", run->name);
    if (run->with) holds(out, bug);
    else assert_null(strstr(out, "\n  bug: "));
    if (code != 0) remove_trace(out);
    free(out);
    free(err);
}

static void status_names_the_bug(void **state)
{
    UNUSED(state);
    struct program up;
    const char *const words[] = { "up",   "-n",    "1", "--headless", "--name", "sick", "--preset",
                                  "fast", "--bug", "6", "--for",      "60s",    NULL };
    program_start(&up, words);
    for (;;) {
        char *out = program_text(up.out);
        bool is_up = strstr(out, "all peers have the bug stale-vote-reply\n") != NULL;
        free(out);
        if (is_up) break;
        if (program_ended(&up)) fail_msg("it is not up");
        nanosleep(&(struct timespec){ 0, 5 * (long)NS_PER_MS }, NULL);
    }
    struct said json = say((const char *const[]){ "status", "--json", "--name", "sick", NULL });
    json_t *status = json_loads(json.out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(status, "bug")), "stale-vote-reply");
    json_decref(status);
    struct said text = say((const char *const[]){ "status", "--name", "sick", NULL });
    holds(text.out, "sick: safe, with the bug stale-vote-reply, clock 1x");
    const char *const frame_words[] = { "watch", "sick", "--dump", "--size", "120x40", NULL };
    struct said frame = say(frame_words);
    assert_int_equal(frame.code, 0);
    holds(frame.out, "bug stale-vote-reply");
    struct said down = say((const char *const[]){ "down", "sick", NULL });
    assert_int_equal(down.code, 0);
    program_wait(&up);
    program_close(&up);
    forget(&json);
    forget(&text);
    forget(&frame);
    forget(&down);
}

static int open_world(void **state)
{
    UNUSED(state);
    arena_open();
    return 0;
}

static int close_world(void **state)
{
    UNUSED(state);
    return arena_close();
}

int main(void)
{
    static const struct CMUnitTest fixed[] = {
        cmocka_unit_test(all_are_listed),        cmocka_unit_test(each_is_told),
        cmocka_unit_test(wide_is_side_by_side),  cmocka_unit_test(json_has_all),
        cmocka_unit_test(bad_input_is_one_line), cmocka_unit_test(status_names_the_bug),
    };
    static struct CMUnitTest tests[COUNT(fixed) + COUNT(runs)];
    memcpy(tests, fixed, sizeof(fixed));
    for (size_t i = 0; i < bugs_count; i++)
        if (bugs[i].plan != NULL)
            runs[runs_count++] = (struct run){ .name = bugs[i].name, .says = "  safe: \"yes\"" };
    for (size_t i = 0; i < runs_count; i++) {
        struct run *run = &runs[i];
        snprintf(run->title, sizeof(run->title), "%s %s", run->name, run->with ? "bug" : "right");
        tests[COUNT(fixed) + i] =
            (struct CMUnitTest){ run->title, run_ends_as_it_has_to, NULL, NULL, run };
    }
    return _cmocka_run_group_tests("museum", tests, COUNT(fixed) + runs_count, open_world,
                                   close_world);
}
