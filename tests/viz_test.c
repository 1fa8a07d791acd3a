/* tests/viz_test.c - frames of made-up clusters are as recorded in tests/screens; then a region.
 * With REWRITE=1 they are recorded again; the diff is for a person to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/scenes.h"
#include "viz/keys.h"
#include "viz/paint.h"

/* ---- screens ---- */

static const struct screen {
    const char *name;
    struct model *(*build)(void);
    int columns, rows;
    bool ascii;
    const char *keys;
} screens[] = {
    { "fresh-80x24", scene_fresh, 80, 24, false, "" },
    { "candidate-80x24", scene_candidate, 80, 24, false, "2" },
    { "candidate-80x24-ascii", scene_candidate, 80, 24, true, "2" },
    { "steady-80x24", scene_steady, 80, 24, false, "2" },
    { "steady-120x40", scene_steady, 120, 40, false, "2" },
    { "steady-200x60-ascii", scene_steady, 200, 60, true, "2" },
    { "steady-peer-80x24", scene_steady, 80, 24, false, "2\t\t\t" },
    { "steady-peer-120x40", scene_steady, 120, 40, false, "2\t\t\t" },
    { "figure7-80x24", scene_figure_7, 80, 24, false, "" },
    { "figure7-120x40", scene_figure_7, 120, 40, false, "" },
    { "figure7-120x40-ascii", scene_figure_7, 120, 40, true, "" },
    { "faults-80x24", scene_faults, 80, 24, false, "3" },
    { "faults-80x24-ascii", scene_faults, 80, 24, true, "3" },
    { "faults-120x40", scene_faults, 120, 40, false, "3" },
    { "faults-quiet-80x24", scene_isolated, 80, 24, false, "f" },
    { "links-80x24", scene_isolated, 80, 24, false, "5\t" },
    { "links-80x24-ascii", scene_isolated, 80, 24, true, "5\t" },
    { "links-120x40", scene_isolated, 120, 40, false, "5" },
    { "tape-120x40", scene_tape, 120, 40, false, "" },
    { "tape-100x40-ascii", scene_tape, 100, 40, true, "\t" },
    { "flight-80x24", scene_flight, 80, 24, false, "\t\t" },
    { "flight-120x40-ascii", scene_flight, 120, 40, true, "\t\t" },
    { "flight-none-80x24", scene_steady, 80, 24, false, "\t\t" },
    { "busy-80x24", scene_busy, 80, 24, false, "" },
    { "lonely-80x24", scene_lonely, 80, 24, false, "" },
    { "unsafe-80x24", scene_unsafe, 80, 24, false, "" },
    { "single-80x24", scene_single, 80, 24, false, "" },
    { "nine-80x24", scene_nine, 80, 24, false, "8" },
    { "nine-160x50", scene_nine, 160, 50, false, "8" },
    { "many-80x24", scene_many, 80, 24, false, "40" },
    { "many-links-80x24", scene_many, 80, 24, false, "\t" },
    { "many-200x60", scene_many, 200, 60, false, "63" },
    { "many-links-200x60", scene_many, 200, 60, false, "63\t" },
    { "help-80x24", scene_steady, 80, 24, false, "?" },
    { "help-160x50", scene_steady, 160, 50, true, "?" },
    { "prompt-80x24", scene_steady, 80, 24, false, "x3 > 2" },
    { "small-79x24", scene_steady, 79, 24, false, "" },
    { "small-20x3", scene_steady, 20, 3, true, "" },
};

static struct view *new_view(const struct model *model, bool ascii)
{
    struct view *view = calloc(1, sizeof(*view));
    assert_non_null(view);
    view_init(view, model, (struct look){ VIZ_MONO, ascii });
    return view;
}

static void type(struct view *view, const struct model *model, const char *keys)
{
    for (; *keys != '\0'; keys++) keys_handle(view, model, false, (wint_t)(unsigned char)*keys);
}

/* The frame as text, to be freed. */
static char *frame_text(const struct model *model, const struct view *view, int columns, int rows)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    WINDOW *window = newpad(rows, columns);
    assert_non_null(window);
    paint_frame(window, model, view);
    frame_write(window, file);
    delwin(window);
    fclose(file);
    return text;
}

static char *read_text(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r"), *copy = open_memstream(&text, &size);
    for (int c; file != NULL && (c = fgetc(file)) != EOF;) fputc(c, copy);
    if (file != NULL) fclose(file);
    fclose(copy);
    return text;
}

static void screen_is_as_recorded(void **state)
{
    const struct screen *screen = *state;
    struct model *model = screen->build();
    model_derive(model);
    struct view *view = new_view(model, screen->ascii);
    type(view, model, screen->keys);
    char path[128], *text = frame_text(model, view, screen->columns, screen->rows);
    snprintf(path, sizeof(path), "tests/screens/%s.txt", screen->name);
    if (getenv("REWRITE") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
    }
    char *expected = read_text(path);
    const char *now = text, *then = expected;
    for (int line = 1; *now != '\0' || *then != '\0'; line++) {
        int length = (int)strcspn(now, "\n"), recorded = (int)strcspn(then, "\n");
        if (length != recorded || strncmp(now, then, (size_t)length) != 0)
            fail_msg("line %d of %s (REWRITE=1 records it again)\nwas: %.*s\nis:  %.*s", line, path,
                     recorded, then, length, now);
        now += length + (now[length] == '\n');
        then += recorded + (then[recorded] == '\n');
    }
    free(expected);
    free(text);
    free(view);
    free(model);
}

static void ascii_screens_are_ascii(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < COUNT(screens); i++) {
        struct model *model = screens[i].build();
        model_derive(model);
        struct view *view = new_view(model, true);
        type(view, model, screens[i].keys);
        char *text = frame_text(model, view, screens[i].columns, screens[i].rows);
        for (const char *c = text; *c != '\0'; c++)
            assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
        free(text);
        free(view);
        free(model);
    }
}

/* ---- a real region ---- */

static void a_region_is_shown(void **state)
{
    UNUSED(state);
    struct region_config config = { .peers = 3, .ring_bytes = 4096, .seed = 1, .name = "real" };
    struct region *region;
    assert_int_equal(region_create(&config, &region), ERR_OK);
    struct board board = { .role = LEADER,
                           .term = 7,
                           .voted_for = 1,
                           .first_index = 1,
                           .last_index = 2,
                           .durable_index = 2,
                           .commit_index = 2,
                           .runs = UINT64_MAX,
                           .timer_deadline_ns = TIME_NEVER,
                           .log_runs = { { 1, 6 }, { 2, 7 } } };
    struct peer_life life = { 1234, 1, 0, 1 };
    struct link_rule rule = { .cut = 1 };
    struct cluster_facts facts = { .violations = 2 };
    board.published_ns = real_now_ns();
    latch_write(region_board(region, 1), &board, BOARD_WORDS);
    latch_write(region_life(region, 1), &life, LIFE_WORDS);
    latch_write(region_rule(region, 1, 2), &rule, LINK_RULE_WORDS);
    latch_write(region_facts(region), &facts, FACTS_WORDS);
    clock_start(region_clock(region), board.published_ns, PPM / 2);
    struct model *model = model_new(region);
    model_read(model, region, board.published_ns + 2 * NS_PER_S);
    assert_int_equal(model->leader, 1);
    assert_int_equal(model->term, 7);
    assert_int_equal(model->peer[1].board.runs, BOARD_RUNS); /* hostile */
    assert_int_equal(model->peer[1].life.pid, 1234);
    assert_int_equal(model->peer[1].age_ns, 2 * NS_PER_S);
    assert_false(model->peer[2].published);
    assert_int_equal(model->cluster_ns, NS_PER_S);
    assert_int_equal(model->link[1][2].rule.cut, 1);
    assert_int_equal(model->facts.violations, 2);
    board.runs = 2; /* half a second later ten more are committed */
    board.commit_index = board.last_index = 12;
    latch_write(region_board(region, 1), &board, BOARD_WORDS);
    model_read(model, region, board.published_ns + 2 * NS_PER_S + NS_PER_S / 2);
    assert_float_equal(model->commits_per_s, 20, 0.001);
    uint64_t term;
    assert_int_equal(model_entry(model, 1, 1, &term), ENTRY_HERE);
    assert_int_equal(term, 6);
    assert_int_equal(model_entry(model, 1, 13, &term), ENTRY_BEYOND);
    assert_int_equal(model_entry(model, 2, 12, &term), ENTRY_GAP);
    model_free(model);
    region_close(region);
}

/* Routine is skipped, counted and folded; a rare note in its midst is found. */
static void a_flood_hides_nothing_rare(void **state)
{
    enum { NOTES = 3 * TRAIL_EVENTS, RARE = NOTES - 3000 };
    UNUSED(state);
    struct region_config config = { .peers = 1, .ring_bytes = 4096, .seed = 1, .name = "flood" };
    struct region *region;
    assert_int_equal(region_create(&config, &region), ERR_OK);
    struct model *model = model_new(region);
    for (uint64_t i = 0; i < NOTES; i++) {
        struct note one = { i, NOTE_APPENDED, 1, 0, 0, 7, i, i, 0, 0 };
        if (i == RARE) one.kind = NOTE_BECAME_LEADER;
        trail_write(region_trail(region, 1), &one);
    }
    model_read(model, region, real_now_ns());
    assert_int_equal(model->feed.count, 2);
    assert_int_equal(model->feed.lines[0].note.kind, NOTE_BECAME_LEADER);
    assert_int_equal(model->feed.lines[1].note.b, NOTES - 1);
    assert_int_equal(model->skipped + 1 + model->feed.lines[1].count, NOTES);
    model_free(model);
    region_close(region);
}

static void held_messages_are_sorted(void **state)
{
    UNUSED(state);
    struct region_config config = { .peers = 3, .ring_bytes = 4096, .seed = 1, .name = "held" };
    struct region *region;
    struct board board = { .held = 4 };
    struct peer_life life = { 1234, 1, 0, 1 };
    static const struct held_message held[] = {
        { 30, 1, 1, 1, 10, 1, 2, MESSAGE_APPEND_REQUEST, 0 },
        { 10, 1, 2, 1, 10, 3, 2, MESSAGE_APPEND_REQUEST, 0 },
        { 20, 1, 3, 1, 10, 200, 2, MESSAGE_APPEND_REQUEST, 0 }, /* of nobody */
        { 20, 1, 4, 1, 10, 1, 3, MESSAGE_APPEND_REQUEST, 0 },   /* not his */
        { 0, 1, 5, 1, 10, 1, 2, MESSAGE_APPEND_REQUEST, 0 },    /* a free slot */
    };
    assert_int_equal(region_create(&config, &region), ERR_OK);
    latch_write(region_board(region, 2), &board, BOARD_WORDS);
    latch_write(region_life(region, 2), &life, LIFE_WORDS);
    for (uint32_t i = 0; i < COUNT(held); i++)
        latch_write(region_held(region, 2, i), &held[i], HELD_WORDS);
    struct model *model = model_new(region);
    model_read(model, region, real_now_ns());
    assert_int_equal(model->flights, 2);
    assert_int_equal(model->flight[0].sequence, 2);
    assert_int_equal(model->flight[1].sequence, 1);
    model_free(model);
    region_close(region);
}

static void dump_needs_no_terminal(void **state)
{
    UNUSED(state);
    struct region_config config = { .peers = 2, .ring_bytes = 4096, .seed = 1, .name = "dumped" };
    struct viz_options options = { 0 };
    char *text = NULL;
    size_t size;
    assert_int_equal(region_create(&config, &options.region), ERR_OK);
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(viz_dump(&options, 100, 30, file), ERR_OK);
    fclose(file);
    assert_non_null(strstr(text, "ringside dumped"));
    assert_non_null(strstr(text, "not started"));
    free(text);
    region_close(options.region);
}

static struct CMUnitTest row_test(const char *name, CMUnitTestFunction function, const void *row)
{
    return (struct CMUnitTest){ name, function, NULL, NULL, (void *)(uintptr_t)row };
}

int main(void)
{
    struct CMUnitTest tests[COUNT(screens)];
    const struct CMUnitTest others[] = { cmocka_unit_test(ascii_screens_are_ascii),
                                         cmocka_unit_test(a_region_is_shown),
                                         cmocka_unit_test(a_flood_hides_nothing_rare),
                                         cmocka_unit_test(held_messages_are_sorted) };
    const struct CMUnitTest last[] = { cmocka_unit_test(dump_needs_no_terminal) };
    for (size_t i = 0; i < COUNT(screens); i++)
        tests[i] = row_test(screens[i].name, screen_is_as_recorded, &screens[i]);
    setlocale(LC_CTYPE, "C.UTF-8");
    FILE *nowhere = fopen("/dev/null", "r+");
    SCREEN *screen = newterm("xterm-256color", nowhere, nowhere);
    if (screen == NULL) return 1;
    int failed = cmocka_run_group_tests_name("screens", tests, NULL, NULL) +
                 cmocka_run_group_tests_name("regions", others, NULL, NULL);
    endwin();
    delscreen(screen);
    fclose(nowhere);
    return failed + cmocka_run_group_tests_name("without a terminal", last, NULL, NULL);
}
