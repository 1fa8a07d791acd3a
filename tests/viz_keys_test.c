/* tests/viz_keys_test.c - what the dashboard does with notes and keys: folding, verbs, schemes;
 * 200,000 keys and sizes by chance on pages that make no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "fault/verb.h"
#include "tests/harness/scenes.h"
#include "viz/keys.h"
#include "viz/paint.h"

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

/* ---- folding ---- */

/* Notes by a letter each, and the lines that come of them: who, kind, how often. */
static const struct fold_row {
    const char *name;
    struct note notes[6];
    uint32_t count;
    const char *lines;
} fold_rows[] = {
    { "one sentence of several peers is one line",
      { { 1, NOTE_VOTE_GRANTED, 1, 2, 0, 4, 0, 0, 0, 0 },
        { 2, NOTE_VOTE_GRANTED, 3, 2, 0, 4, 0, 0, 0, 0 } },
      2,
      "13 VOTE_GRANTED x2\n" },
    { "votes of different terms are two lines",
      { { 1, NOTE_VOTE_GRANTED, 1, 2, 0, 4, 0, 0, 0, 0 },
        { 2, NOTE_VOTE_GRANTED, 3, 2, 0, 5, 0, 0, 0, 0 } },
      2,
      "1 VOTE_GRANTED x1\n3 VOTE_GRANTED x1\n" },
    { "routine grows into a range",
      { { 1, NOTE_APPENDED, 1, 2, 0, 4, 5, 6, 0, 0 },
        { 2, NOTE_APPENDED, 3, 2, 0, 4, 7, 9, 0, 0 } },
      2,
      "13 APPENDED x2 5..9\n" },
    { "a change of leader begins another story",
      { { 1, NOTE_COMMITTED, 1, 0, 0, 4, 5, 0, 0, 0 },
        { 2, NOTE_BECAME_LEADER, 3, 0, 0, 5, 3, 5, 9, 0 },
        { 3, NOTE_COMMITTED, 1, 0, 0, 4, 6, 0, 0, 0 } },
      3,
      "1 COMMITTED x1 5..0\n3 BECAME_LEADER x1\n1 COMMITTED x1 6..0\n" },
    { "what one peer repeats is folded over what it says between",
      { { 1, NOTE_ELECTION_TIMEOUT, 5, 0, 0, 1, 9, 0, 0, 0 },
        { 1, NOTE_BECAME_CANDIDATE, 5, 0, 0, 2, 0, 0, 0, 0 },
        { 2, NOTE_ELECTION_TIMEOUT, 5, 0, 0, 2, 8, 0, 0, 0 },
        { 2, NOTE_BECAME_CANDIDATE, 5, 0, 0, 3, 0, 0, 0, 0 } },
      4,
      "5 ELECTION_TIMEOUT x2\n5 BECAME_CANDIDATE x2\n" },
    { "a second kill is a line of its own",
      { { 1, NOTE_KILLED, 0, 3, 0, 0, 0, 0, 0, 0 }, { 2, NOTE_KILLED, 0, 3, 0, 0, 0, 0, 0, 0 } },
      2,
      "0 KILLED x1\n0 KILLED x1\n" },
    { "a note that comes late stands where its time is",
      { { 5, NOTE_BECAME_LEADER, 3, 0, 0, 5, 3, 5, 9, 0 },
        { 4, NOTE_KILLED, 0, 1, 0, 0, 0, 0, 0, 0 } },
      2,
      "0 KILLED x1\n3 BECAME_LEADER x1\n" },
    { "a peer that cannot be is ignored", { { 1, NOTE_KILLED, 200, 1, 0, 0, 0, 0, 0, 0 } }, 1, "" },
};

static void notes_fold(void **state)
{
    const struct fold_row *row = *state;
    struct feed *feed = calloc(1, sizeof(*feed));
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    for (uint32_t i = 0; i < row->count; i++) feed_add(feed, &row->notes[i]);
    for (uint32_t i = 0; i < feed->count; i++) {
        const struct feed_line *line = &feed->lines[i];
        for (uint32_t id = 0; id < 10; id++)
            if (peer_in(line->selves, id)) fprintf(file, "%u", id);
        fprintf(file, " %s x%u", note_name(line->note.kind), (unsigned)line->count);
        if (feed_routine(line->note.kind))
            fprintf(file, " %u..%u", (unsigned)line->note.a, (unsigned)line->note.b);
        fputc('\n', file);
    }
    fclose(file);
    assert_string_equal(text, row->lines);
    free(text);
    free(feed);
}

static void feed_forgets_the_oldest(void **state)
{
    UNUSED(state);
    struct feed *feed = calloc(1, sizeof(*feed));
    for (uint64_t i = 0; i < 3 * FEED_LINES; i++) {
        struct note one = { i, NOTE_KILLED, 0, 1, 0, 0, 0, 0, 0, 0 };
        feed_add(feed, &one);
        assert_true(feed->count <= FEED_LINES);
    }
    assert_int_equal(feed->lines[feed->count - 1].first_ns, 3 * FEED_LINES - 1);
    free(feed);
}

/* ---- keys ---- */

static const struct key_case {
    const char *name, *keys, *sent;
    uint64_t rate_ppm;
} key_cases[] = {
    { "k kills the selected peer", "3k", "kill 3", PPM },
    { "j goes down, J up", "jjjJp", "pause 3", PPM },
    { "selection goes round", "Jr", "restart 5", PPM },
    { "two digits after each other start anew where the number is too high", "34c", "resume 4",
      PPM },
    { "space freezes the clock", " ", "rate 0", PPM },
    { "space lets a frozen clock run", " ", "rate 1", 0 },
    { "plus is the next of 1, 2, 5", "+", "rate 5", 2 * PPM },
    { "plus stops at 100", "+", "rate 100", 100 * PPM },
    { "minus below one", "-", "rate 0.5", PPM },
    { "minus from between", "-", "rate 0.02", 30000 },
    { "minus stops at a thousandth", "-", "rate 0.001", 1000 },
    { "h heals without a peer", "2h", "heal", PPM },
    { "x asks for the links", "x3 > 2\n", "cut 3 > 2", PPM },
    { "a prompt takes any verb", ":skew +5% on 2\n", "skew +5% on 2", PPM },
    { "Tab completes", ":fai\teio\n", "fail-disk eio", PPM },
    { "an empty prompt sends nothing", ":\n", "", PPM },
    { "Esc leaves the prompt", ":kill 3\033", "", PPM },
    { "^U ^A ^E ^W ^K edit", ":xx\025put a bb\001\005\027c d\001\013get k\n", "get k", PPM },
    { "^P recalls", ":kill 1\033:get a\n:\020\n", "get a", PPM },
    { "help swallows the key that closes it", "?k", "", PPM },
    { "s steps", "s", "step", PPM },
};

static void key_sends(void **state)
{
    const struct key_case *row = *state;
    struct model *model = scene_steady();
    model_derive(model);
    model->face.rate_ppm = row->rate_ppm;
    struct view *view = new_view(model, true);
    for (const char *c = row->keys; *c != '\0'; c++) {
        view->outgoing[0] = '\0';
        keys_handle(view, model, false, (wint_t)(unsigned char)*c);
    }
    assert_string_equal(view->outgoing, row->sent);
    free(view);
    free(model);
}

static void no_key_is_in_two_tables(void **state)
{
    UNUSED(state);
    for (size_t v = 0; v < VERB_COUNT; v++)
        for (size_t k = 0; verb_rows[v].key != 0 && k < VIEW_KEY_COUNT; k++)
            assert_null(strchr(key_rows[k].keys, verb_rows[v].key));
    for (size_t v = 0; v < VERB_COUNT; v++) /* select digits, so no verb may have one */
        assert_false(verb_rows[v].key >= '0' && verb_rows[v].key <= '9');
}

static bool refuse(void *context, const char *line, char *answer, size_t size)
{
    UNUSED(context);
    snprintf(answer, size, "refused:\n%s \xff", line);
    return false;
}

static void an_answer_is_one_line(void **state)
{
    UNUSED(state);
    struct model *model = scene_steady();
    struct viz_options options = { .send = refuse };
    model_derive(model);
    struct view *view = new_view(model, true);
    type(view, model, "3k");
    keys_send(view, &options);
    assert_true(view->message_bad);
    assert_int_equal(wcscmp(view->message, L"refused: kill 3 ?"), 0);
    assert_string_equal(view->outgoing, "");
    view->message_until_ns = model->now_ns + 1;
    char *text = frame_text(model, view, 80, 24);
    assert_non_null(strstr(text, "refused: kill 3 ?"));
    type(view, model, "j"); /* the next key takes it away */
    assert_int_equal(view->message[0], 0);
    free(text);
    free(view);
    free(model);
}

/* ---- schemes ---- */

static void schemes_tell_states_apart(void **state)
{
    UNUSED(state);
    setlocale(LC_CTYPE, "C");
    assert_true(look_choose(VIZ_MONO, false).ascii);
    setlocale(LC_CTYPE, "C.UTF-8");
    assert_false(look_choose(VIZ_MONO, false).ascii);
    assert_true(look_choose(VIZ_MONO, true).ascii);
    assert_int_equal(look_choose(VIZ_AUTO, false).scheme, VIZ_256);
    assert_int_equal(look_choose(VIZ_8, false).scheme, VIZ_8);
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(look_choose(VIZ_AUTO, false).scheme, VIZ_MONO);
    setenv("NO_COLOR", "", 1); /* the convention: an empty one says nothing */
    assert_int_equal(look_choose(VIZ_AUTO, false).scheme, VIZ_256);
    unsetenv("NO_COLOR");
    for (enum viz_scheme scheme = VIZ_256; scheme <= VIZ_MONO; scheme++)
        for (uint64_t term = 0; term < 12; term++) {
            struct look look = { scheme, false };
            enum ink committed = ink_of_term(term, true), open = ink_of_term(term, false);
            assert_true(ink_attributes(&look, committed) != ink_attributes(&look, open) ||
                        ink_pair(&look, committed) != ink_pair(&look, open));
            assert_int_equal(ink_of_term(term, true), ink_of_term(term + 6, true));
            assert_true(scheme != VIZ_MONO || ink_pair(&look, committed) == 0);
        }
}

/* ---- pages that lie, keys that come by chance ---- */

static void scramble(struct model *model, struct rng *rng)
{
    struct model_peer *peer = &model->peer[rng_range(rng, 1, model->peers)];
    uint64_t *words = (uint64_t *)&peer->board;
    for (int i = 0; i < 40; i++) {
        uint64_t value = rng_next(rng);
        words[rng_range(rng, 0, BOARD_WORDS - 1)] =
            rng_chance(rng, PPM / 10) ? UINT64_MAX : value >> (value % 64);
    }
    peer->board.runs = MIN_OF(peer->board.runs, BOARD_RUNS); /* model_read sees to it */
    peer->life = (struct peer_life){ rng_next(rng), rng_next(rng) & 1, rng_next(rng) & 1, 1 };
    peer->age_ns = rng_next(rng);
    peer->published = rng_chance(rng, PPM / 10 * 9);
    struct model_link *link = &model->link[rng_range(rng, 1, 63)][rng_range(rng, 1, 63)];
    link->rule =
        (struct link_rule){ rng_next(rng), rng_next(rng), (uint32_t)rng_next(rng), 7, 8, 9, 0, 0 };
    link->queued_bytes = link->dropped = link->held = rng_next(rng);
    model->cluster_ns = rng_next(rng);
    struct note one = { model->cluster_ns,
                        (uint16_t)rng_next(rng),
                        (uint8_t)rng_next(rng),
                        (uint8_t)rng_next(rng),
                        0,
                        rng_next(rng),
                        rng_next(rng),
                        1,
                        2,
                        3 };
    one.kind = rng_chance(rng, PPM / 2) ? one.kind : one.kind % NOTE_KIND_COUNT;
    model_note(model, &one);
    model_derive(model);
}

static void chance_breaks_nothing(void **state)
{
    enum { KEYS = 200000, FRAME_EVERY = 64 };
    static const int named[] = { KEY_UP,        KEY_DOWN, KEY_LEFT,  KEY_RIGHT,
                                 KEY_HOME,      KEY_END,  KEY_NPAGE, KEY_PPAGE,
                                 KEY_BACKSPACE, KEY_DC,   KEY_ENTER, KEY_RESIZE };
    UNUSED(state);
    struct viz_options options = { .send = refuse };
    struct rng rng;
    rng_seed(&rng, 7, 1, 1);
    struct model *model = scene_many();
    struct view *view = new_view(model, false);
    int rows = 24, columns = 80;
    for (int i = 0; i < KEYS; i++) {
        bool function = rng_chance(&rng, PPM / 5);
        wint_t key = function
                         ? (wint_t)named[rng_range(&rng, 0, COUNT(named) - 1)]
                         : (wint_t)rng_range(&rng, 0, rng_chance(&rng, PPM / 50) ? 0x10ffff : 127);
        model->now_ns += rng_range(&rng, 0, NS_PER_S);
        keys_handle(view, model, function, key);
        if (view->outgoing[0] != '\0') keys_send(view, &options);
        view->quit = false;
        assert_in_range(view->selected, 1, model->peers);
        if (rng_chance(&rng, PPM / 200)) { /* another size, small ones too */
            rows = (int)rng_range(&rng, 1, 70);
            columns = (int)rng_range(&rng, 1, 220);
        }
        if (rng_chance(&rng, PPM / 2000)) { /* another cluster */
            model->peers = (uint32_t)rng_range(&rng, 1, PEER_MAX);
            view->selected = MIN_OF(view->selected, model->peers);
        }
        if (rng_chance(&rng, PPM / 20)) scramble(model, &rng);
        if (i % FRAME_EVERY != 0) continue;
        WINDOW *window = newpad(rows, columns);
        view->look.scheme = (enum viz_scheme)rng_range(&rng, VIZ_AUTO, VIZ_MONO);
        view->look.ascii = rng_chance(&rng, PPM / 2);
        paint_frame(window, model, view);
        delwin(window);
    }
    free(view);
    free(model);
}

static struct CMUnitTest row_test(const char *name, CMUnitTestFunction function, const void *row)
{
    return (struct CMUnitTest){ name, function, NULL, NULL, (void *)(uintptr_t)row };
}

int main(void)
{
    struct CMUnitTest tests[COUNT(fold_rows) + COUNT(key_cases)];
    const struct CMUnitTest others[] = {
        cmocka_unit_test(feed_forgets_the_oldest), cmocka_unit_test(no_key_is_in_two_tables),
        cmocka_unit_test(an_answer_is_one_line),   cmocka_unit_test(schemes_tell_states_apart),
        cmocka_unit_test(chance_breaks_nothing),
    };
    size_t n = 0;
    for (size_t i = 0; i < COUNT(fold_rows); i++)
        tests[n++] = row_test(fold_rows[i].name, notes_fold, &fold_rows[i]);
    for (size_t i = 0; i < COUNT(key_cases); i++)
        tests[n++] = row_test(key_cases[i].name, key_sends, &key_cases[i]);
    setlocale(LC_CTYPE, "C.UTF-8");
    unsetenv("NO_COLOR");
    FILE *nowhere = fopen("/dev/null", "r+");
    SCREEN *screen = newterm("xterm-256color", nowhere, nowhere);
    if (screen == NULL) return 1;
    int failed = cmocka_run_group_tests_name("folds, keys", tests, NULL, NULL) +
                 cmocka_run_group_tests_name("chance", others, NULL, NULL);
    endwin();
    delscreen(screen);
    fclose(nowhere);
    return failed;
}
