/* tests/fault_verb_test.c - every verb: what it parses to, how it prints, and what is answered to
 * bad input, column and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault/verb.h"
#include "shm/board.h"
#include "tests/fault_equal.h"

#define PEERS 5
#define ALL                                                                                        \
    {                                                                                              \
        .words = SELECT_BIT(ALL)                                                                   \
    }
#define LEADER                                                                                     \
    {                                                                                              \
        .words = SELECT_BIT(LEADER)                                                                \
    }
#define REST                                                                                       \
    {                                                                                              \
        .words = SELECT_BIT(REST)                                                                  \
    }
#define IDS(set)                                                                                   \
    {                                                                                              \
        .peers = (set)                                                                             \
    }
#define MS NS_PER_MS

static const struct good_row {
    const char *line;
    const char *printed; /* NULL: as `line` */
    struct command command;
} good_rows[] = {
    { "kill 3", NULL, { .verb = VERB_KILL, .groups = 1, .group = { IDS(1 << 3) } } },
    { "kill leader 1 2",
      NULL,
      { .verb = VERB_KILL, .groups = 1, .group = { { SELECT_BIT(LEADER), 6 } } } },
    { "kill 2 leader 1 2 leader # twice is once",
      "kill leader 1 2",
      { .verb = VERB_KILL, .groups = 1, .group = { { SELECT_BIT(LEADER), 6 } } } },
    { "kill all before-send",
      NULL,
      { .verb = VERB_KILL, .groups = 1, .group = { ALL }, .number = KILL_BEFORE_SEND } },
    { "kill leader before-commit",
      NULL,
      { .verb = VERB_KILL, .groups = 1, .group = { LEADER }, .number = KILL_BEFORE_COMMIT } },
    { "kill leader after-commit",
      NULL,
      { .verb = VERB_KILL, .groups = 1, .group = { LEADER }, .number = KILL_AFTER_COMMIT } },
    { "kill 1 after-send",
      NULL,
      { .verb = VERB_KILL, .groups = 1, .group = { IDS(2) }, .number = KILL_AFTER_SEND } },
    { "restart all", NULL, { .verb = VERB_RESTART, .groups = 1, .group = { ALL } } },
    { "power-cut 2", NULL, { .verb = VERB_POWER_CUT, .groups = 1, .group = { IDS(1 << 2) } } },
    { "pause follower",
      NULL,
      { .verb = VERB_PAUSE, .groups = 1, .group = { { .words = SELECT_BIT(FOLLOWER) } } } },
    { "resume minority",
      NULL,
      { .verb = VERB_RESUME, .groups = 1, .group = { { .words = SELECT_BIT(MINORITY) } } } },
    { "timeout candidate random majority",
      NULL,
      { .verb = VERB_TIMEOUT_NOW,
        .groups = 1,
        .group = { { .words =
                         SELECT_BIT(CANDIDATE) | SELECT_BIT(RANDOM) | SELECT_BIT(MAJORITY) } } } },
    { "cut 1 > 2", NULL, { .verb = VERB_CUT, .groups = 2, .group = { IDS(2), IDS(4) } } },
    { "cut leader>rest",
      "cut leader > rest",
      { .verb = VERB_CUT, .groups = 2, .group = { LEADER, REST } } },
    { "isolate 3", NULL, { .verb = VERB_ISOLATE, .groups = 1, .group = { IDS(8) } } },
    { "partition leader 1 | rest",
      NULL,
      { .verb = VERB_PARTITION, .groups = 2, .group = { { SELECT_BIT(LEADER), 2 }, REST } } },
    { "partition 1|2|3 4",
      "partition 1 | 2 | 3 4",
      { .verb = VERB_PARTITION, .groups = 3, .group = { IDS(2), IDS(4), IDS(8 + 16) } } },
    { "heal", NULL, { .verb = VERB_HEAL, .groups = 1, .group = { ALL } } },
    { "heal all", "heal", { .verb = VERB_HEAL, .groups = 1, .group = { ALL } } },
    { "heal 2 4", NULL, { .verb = VERB_HEAL, .groups = 1, .group = { IDS(4 + 16) } } },
    { "drop 5%",
      "drop 5% on all",
      { .verb = VERB_LOSS,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_LOSS),
        .rule.loss_ppm = 50000 } },
    { "drop 0.0001% on 1 > leader",
      NULL,
      { .verb = VERB_LOSS,
        .groups = 2,
        .group = { IDS(2), LEADER },
        .rule_fields = RULE_FIELD(VERB_LOSS),
        .rule.loss_ppm = 1 } },
    { "delay 20ms on 2 3",
      NULL,
      { .verb = VERB_DELAY,
        .groups = 1,
        .group = { IDS(4 + 8) },
        .rule_fields = RULE_FIELD(VERB_DELAY),
        .rule = { .delay_min_ns = 20 * MS, .delay_max_ns = 20 * MS } } },
    { "delay 0..1.5ms",
      "delay 0s..1.5ms on all",
      { .verb = VERB_DELAY,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_DELAY),
        .rule = { .delay_max_ns = 1500000 } } },
    { "delay 0",
      "delay 0s on all",
      { .verb = VERB_DELAY,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_DELAY) } },
    { "dup 100% on all",
      NULL,
      { .verb = VERB_DUP,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_DUP),
        .rule.dup_ppm = PPM } },
    { "reorder",
      "reorder 100% on all",
      { .verb = VERB_REORDER,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_REORDER),
        .rule.reorder_ppm = PPM } },
    { "reorder 0% on leader",
      NULL,
      { .verb = VERB_REORDER,
        .groups = 1,
        .group = { LEADER },
        .rule_fields = RULE_FIELD(VERB_REORDER) } },
    { "corrupt 0.5% on 1",
      NULL,
      { .verb = VERB_CORRUPT,
        .groups = 1,
        .group = { IDS(2) },
        .rule_fields = RULE_FIELD(VERB_CORRUPT),
        .rule.corrupt_ppm = 5000 } },
    { "unreliable",
      "unreliable on all",
      { .verb = VERB_UNRELIABLE,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_UNRELIABLE),
        .rule.course = COURSE_UNRELIABLE } },
    { "unreliable off on 1",
      NULL,
      { .verb = VERB_UNRELIABLE,
        .groups = 1,
        .group = { IDS(2) },
        .rule_fields = RULE_FIELD(VERB_UNRELIABLE) } },
    { "unreliable long drop 2% on 1 > leader",
      "drop 2% unreliable long on 1 > leader",
      { .verb = VERB_LOSS,
        .groups = 2,
        .group = { IDS(2), LEADER },
        .rule_fields = RULE_FIELD(VERB_LOSS) | RULE_FIELD(VERB_UNRELIABLE),
        .rule = { .loss_ppm = 20000, .course = COURSE_LONG } } },
    { "drop 5% delay 1ms..20ms dup 1% reorder on all",
      "drop 5% delay 1ms..20ms dup 1% reorder 100% on all",
      { .verb = VERB_LOSS,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_LOSS) | RULE_FIELD(VERB_DELAY) | RULE_FIELD(VERB_DUP) |
                       RULE_FIELD(VERB_REORDER),
        .rule = { MS, 20 * MS, .loss_ppm = 50000, .dup_ppm = 10000, .reorder_ppm = PPM } } },
    { "corrupt 1% reorder 50% drop 2%",
      "drop 2% reorder 50% corrupt 1% on all",
      { .verb = VERB_LOSS,
        .groups = 1,
        .group = { ALL },
        .rule_fields = RULE_FIELD(VERB_LOSS) | RULE_FIELD(VERB_REORDER) | RULE_FIELD(VERB_CORRUPT),
        .rule = { .loss_ppm = 20000, .reorder_ppm = PPM / 2, .corrupt_ppm = 10000 } } },
    { "slow-disk 20ms",
      "slow-disk 20ms on all",
      { .verb = VERB_SLOW_DISK, .groups = 1, .group = { ALL }, .time_ns = 20 * MS } },
    { "slow-disk 0s on leader",
      NULL,
      { .verb = VERB_SLOW_DISK, .groups = 1, .group = { LEADER } } },
    { "fail-disk eio on 1",
      NULL,
      { .verb = VERB_FAIL_DISK, .groups = 1, .group = { IDS(2) }, .number = EIO } },
    { "fail-disk enospc on leader",
      NULL,
      { .verb = VERB_FAIL_DISK, .groups = 1, .group = { LEADER }, .number = ENOSPC } },
    { "fail-disk off",
      "fail-disk off on all",
      { .verb = VERB_FAIL_DISK, .groups = 1, .group = { ALL } } },
    { "skew 5% on 1",
      "skew +5% on 1",
      { .verb = VERB_SKEW, .groups = 1, .group = { IDS(2) }, .rate_ppm = PPM + 50000 } },
    { "skew -99%",
      "skew -99% on all",
      { .verb = VERB_SKEW, .groups = 1, .group = { ALL }, .rate_ppm = PPM / 100 } },
    { "skew +900% on 2",
      NULL,
      { .verb = VERB_SKEW, .groups = 1, .group = { IDS(4) }, .rate_ppm = 10 * PPM } },
    { "skew -0%",
      "skew +0% on all",
      { .verb = VERB_SKEW, .groups = 1, .group = { ALL }, .rate_ppm = PPM } },
    { "rate 1", NULL, { .verb = VERB_RATE, .rate_ppm = PPM } },
    { "rate 0.02", NULL, { .verb = VERB_RATE, .rate_ppm = 20000 } },
    { "rate 0", NULL, { .verb = VERB_RATE } },
    { "rate 100.0", "rate 100", { .verb = VERB_RATE, .rate_ppm = 100 * PPM } },
    { "step", NULL, { .verb = VERB_STEP } },
    { "step 15ms", NULL, { .verb = VERB_STEP, .time_ns = 15 * MS } },
    { "put k v", NULL, { .verb = VERB_PUT, .key = "k", .value = "v" } },
    { "put \"a key\" \"\"", NULL, { .verb = VERB_PUT, .key = "a key", .value = "" } },
    { "put kill a|b>c#d",
      "put kill \"a|b>c#d\"",
      { .verb = VERB_PUT, .key = "kill", .value = "a|b>c#d" } },
    { "put \"#\" \"\\\"\\\\\\n\\t\\x01\\xFF\"",
      "put \"#\" \"\\\"\\\\\\n\\t\\x01\\xff\"",
      { .verb = VERB_PUT, .key = "#", .value = "\"\\\n\t\x01\xff" } },
    { "put k \"plain\"", "put k plain", { .verb = VERB_PUT, .key = "k", .value = "plain" } },
    { "get k # why not", "get k", { .verb = VERB_GET, .key = "k" } },
    { "del \">\"", NULL, { .verb = VERB_DEL, .key = ">" } },
    { "append k x", NULL, { .verb = VERB_APPEND, .key = "k", .value = "x" } },
    { "cas k old new", NULL, { .verb = VERB_CAS, .key = "k", .expected = "old", .value = "new" } },
    { "load off", NULL, { .verb = VERB_LOAD } },
    { "load get", NULL, { .verb = VERB_LOAD, .load = { LOAD_GET, 0, 16, 4, 16 } } },
    { "load cas+put+put",
      "load put+cas",
      { .verb = VERB_LOAD, .load = { LOAD_PUT | LOAD_CAS, 0, 16, 4, 16 } } },
    { "load put+get+cas 200/s keys 16",
      "load put+get+cas 200/s",
      { .verb = VERB_LOAD, .load = { LOAD_PUT | LOAD_GET | LOAD_CAS, 200, 16, 4, 16 } } },
    { "load put+get+del+append+cas 1/s keys 2 clients 3 bytes 5",
      NULL,
      { .verb = VERB_LOAD, .load = { 31, 1, 2, 3, 5 } } },
    { "load put bytes 9 clients 1",
      "load put clients 1 bytes 9",
      { .verb = VERB_LOAD, .load = { LOAD_PUT, 0, 16, 1, 9 } } },
    { " \t restart\tall\t\r\n",
      "restart all",
      { .verb = VERB_RESTART, .groups = 1, .group = { ALL } } },
};

static void good_row_holds(void **state)
{
    const struct good_row *row = *state;
    struct command command, again;
    struct parse_error error;
    char line[256], printed[256];
    snprintf(line, sizeof(line), "%s", row->line);
    if (verb_parse(line, PEERS, &command, &error) != ERR_OK) fail_msg("%s", error.text);
    assert_true(command_equal(&command, &row->command));
    size_t length = verb_print(&command, printed, sizeof(printed));
    assert_string_equal(printed, row->printed != NULL ? row->printed : row->line);
    assert_int_equal(length, strlen(printed));
    assert_int_equal(verb_print(&command, NULL, 0), length); /* measures */
    char cut[5];
    assert_int_equal(verb_print(&command, cut, sizeof(cut)), length);
    assert_int_equal(strlen(cut), 4);
    assert_int_equal(verb_parse(printed, PEERS, &again, &error), ERR_OK); /* V1 */
    assert_true(command_equal(&command, &again));
}

static void every_verb_has_a_row(void **unused)
{
    for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
        size_t i = 0;
        while (i < COUNT(good_rows) && good_rows[i].command.verb != verb) i++;
        if (i == COUNT(good_rows)) fail_msg("no row for %s", verb_rows[verb].word);
    }
    UNUSED(unused);
}

/* A key's line must parse once the selected peer stands in it, and no key may be taken twice. */
static void keys_send_lines_that_parse(void **unused)
{
    for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
        const struct verb_row *row = &verb_rows[verb];
        char line[64];
        struct command command;
        struct parse_error error;
        for (enum verb other = 0; row->key != 0 && other < verb; other++)
            assert_int_not_equal(row->key, verb_rows[other].key);
        if (row->line == NULL) continue;
        const char *place = strstr(row->line, "%u");
        snprintf(line, sizeof(line), "%.*s%s", (int)strcspn(row->line, "%"), row->line,
                 place != NULL ? "1" : "");
        assert_int_equal(verb_parse(line, 0, &command, &error), ERR_OK);
        assert_int_equal(command.verb, verb);
    }
    UNUSED(unused);
}

#define PEER_WORDS "leader, follower, candidate, random, minority, majority, all, rest"
#define VERB_WORDS                                                                                 \
    "kill, power-cut, restart, pause, resume, timeout, cut, isolate, partition, heal, drop, "      \
    "delay, dup, "                                                                                 \
    "reorder, corrupt, unreliable, slow-disk, fail-disk, skew, rate, step, put, get, del, "        \
    "append, cas, load"

static const struct bad_row {
    const char *line;
    uint32_t column;
    const char *text;
} bad_rows[] = {
    { "", 1, "expected a verb (" VERB_WORDS "), found the end of the line" },
    { "  # nothing", 3, "expected a verb (" VERB_WORDS "), found the end of the line" },
    { "kil 1", 1, "expected a verb (" VERB_WORDS "), found 'kil'; did you mean 'kill'?" },
    { "Restrat all", 1,
      "expected a verb (" VERB_WORDS "), found 'Restrat'; did you mean 'restart'?" },
    { "\"kill\" 1", 1, "expected a verb (" VERB_WORDS "), found \"kill\"" },
    { "explode", 1, "expected a verb (" VERB_WORDS "), found 'explode'" },
    { "kill", 5, "expected a peer (1..5, " PEER_WORDS "), found the end of the line" },
    { "kill lead", 6, "expected a peer (1..5, " PEER_WORDS "), found 'lead'" },
    { "kill 6", 6, "expected a peer (1..5, " PEER_WORDS "), found '6'" },
    { "kill 0", 6, "expected a peer (1..5, " PEER_WORDS "), found '0'" },
    { "kill 1.5", 6, "expected a peer (1..5, " PEER_WORDS "), found '1.5'" },
    { "kill 1,2", 6, "expected a peer (1..5, " PEER_WORDS "), found '1,2'" },
    { "kill \"1\"", 6, "expected a peer (1..5, " PEER_WORDS "), found \"1\"" },
    { "kill 18446744073709551617", 6,
      "expected a peer (1..5, " PEER_WORDS "), found '18446744073709551617'" },
    { "kill 1 now", 8,
      "expected a peer (1..5, " PEER_WORDS
      ") or (before-send, before-commit, after-commit, after-send, off), found 'now'" },
    { "kill 1 before-send 2", 20, "expected the end of the line, found '2'" },
    { "kill rest", 6, "'rest' is what earlier groups leave over: partition leader | rest" },
    { "restart 1 | 2", 11, "expected the end of the line, found '|'" },
    { "cut 1", 6, "expected '>' and the peers that shall not hear, found the end of the line" },
    { "cut 1 >", 8, "expected a peer (1..5, " PEER_WORDS "), found the end of the line" },
    { "cut 1 > 2 > 3", 11, "expected the end of the line, found '>'" },
    { "partition 1 2", 14, "expected '|' and another group of peers, found the end of the line" },
    { "partition 1 2 | 2 3", 20, "peer 2 is in two groups" },
    { "partition 1|2|3|4|5|leader|rest|random|all", 39, "expected at most 8 groups, found '|'" },
    { "drop", 5, "expected a percentage like 5% or 0.1% (0% to 100%), found the end of the line" },
    { "drop 5", 6, "expected a percentage like 5% or 0.1% (0% to 100%), found '5'" },
    { "drop 101%", 6, "expected a percentage like 5% or 0.1% (0% to 100%), found '101%'" },
    { "drop -1%", 6, "expected a percentage like 5% or 0.1% (0% to 100%), found '-1%'" },
    { "drop 0.00001%", 6, "expected a percentage like 5% or 0.1% (0% to 100%), found '0.00001%'" },
    { "drop % on 1", 6, "expected a percentage like 5% or 0.1% (0% to 100%), found '%'" },
    { "drop 5% 1", 9,
      "expected 'on' and links, another link fault, or the end of the line, found '1'" },
    { "drop 5% on", 11, "expected a peer (1..5, " PEER_WORDS "), found the end of the line" },
    { "drop 5% dup 1% drop 6%", 16, "'drop' is there twice" },
    { "delay 5", 7, "expected a delay with its unit (ns, us, ms, s, m, h), found '5'" },
    { "delay fast", 7, "expected a delay like 300ms, 1.5s or 2m, found 'fast'" },
    { "delay 20ms..1ms", 13, "expected the longest delay of 20ms or more, found '1ms'" },
    { "delay 1ms..", 12,
      "expected the longest delay like 300ms, 1.5s or 2m, found the end of the line" },
    { "delay 0.1ns", 7, "expected a delay of whole nanoseconds, 1000h at most, found '0.1ns'" },
    { "delay 99999h", 7, "expected a delay of whole nanoseconds, 1000h at most, found '99999h'" },
    { "fail-disk broken", 11, "expected an error (eio, enospc, off), found 'broken'" },
    { "fail-disk ei", 11, "expected an error (eio, enospc, off), found 'ei'; did you mean 'eio'?" },
    { "slow-disk 5ms 1", 15, "expected the end of the line, found '1'" },
    { "skew 5", 6, "expected a percentage like +5% or -0.1% (-99% to +900%), found '5'" },
    { "skew -", 6, "expected a percentage like +5% or -0.1% (-99% to +900%), found '-'" },
    { "skew -100%", 6, "expected a percentage like +5% or -0.1% (-99% to +900%), found '-100%'" },
    { "skew +-5%", 6, "expected a percentage like +5% or -0.1% (-99% to +900%), found '+-5%'" },
    { "rate fast", 6, "expected a factor like 1, 0.02 or 0 (100 at most), found 'fast'" },
    { "rate 100.000001", 6,
      "expected a factor like 1, 0.02 or 0 (100 at most), found '100.000001'" },
    { "rate", 5, "expected a factor like 1, 0.02 or 0 (100 at most), found the end of the line" },
    { "step 5", 6, "expected a time with its unit (ns, us, ms, s, m, h), found '5'" },
    { "put", 4, "expected a key, found the end of the line" },
    { "put k", 6, "expected a value, found the end of the line" },
    { "put \"\" v", 5, "expected a key of 1 to 2097151 bytes, found \"\"" },
    { "put k two words", 11,
      "expected the end of the line, found 'words'; a text with blanks needs double quotes" },
    { "put k \"open", 7, "this quote has no end" },
    { "put k \"a\"b", 10, "expected a blank after the closing quote" },
    { "put k \"a\\q\"", 9, "expected \\\" \\\\ \\n \\t or \\xHH (not \\x00) after a backslash" },
    { "put k \"\\x00\"", 8, "expected \\\" \\\\ \\n \\t or \\xHH (not \\x00) after a backslash" },
    { "put k \"\\x\x11\x11\"", 8,
      "expected \\\" \\\\ \\n \\t or \\xHH (not \\x00) after a backslash" },
    { "put k \"\\x1", 8, "expected \\\" \\\\ \\n \\t or \\xHH (not \\x00) after a backslash" },
    { "put k \"\\", 8, "expected \\\" \\\\ \\n \\t or \\xHH (not \\x00) after a backslash" },
    { "put k a\ab", 8, "expected text, found the control byte \\x07" },
    { "get \xc3\xbc \xff", 8,
      "expected the end of the line, found '\\xff'; a text with blanks needs double quotes" },
    { "load", 5,
      "expected 'off' or operations joined by + (put, get, del, append, cas), found the end of the "
      "line" },
    { "load put+got", 10,
      "expected 'off' or operations joined by + (put, get, del, append, cas), found 'got'; did you "
      "mean 'get'?" },
    { "load put+ 5/s", 11,
      "expected 'off' or operations joined by + (put, get, del, append, cas), found '5/s'" },
    { "load put 0/s", 10, "expected operations a second (1 to 1000000), found '0'" },
    { "load put 200", 13, "expected a rate like 200/s, found the end of the line" },
    { "load put 200/m", 14, "expected a rate like 200/s, found 'm'" },
    { "load put keys", 14, "expected a number (1 to 1000000), found the end of the line" },
    { "load put clients 17", 18, "expected a number (1 to 16), found '17'" },
    { "load put keys 1 keys 2", 17, "'keys' is there twice" },
    { "load put key 1", 10,
      "expected the end of the line, or one (keys, clients, bytes), found 'key'; did you mean "
      "'keys'?" },
    { "load off 5", 10, "expected the end of the line, found '5'" },
    { "heal \x1b[2J", 6, "expected text, found the control byte \\x1b" },
    { "kill aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee", 6,
      "expected a peer (1..5, " PEER_WORDS
      "), found 'aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd...'" },
};

static void bad_row_holds(void **state)
{
    const struct bad_row *row = *state;
    struct command command, before;
    struct parse_error error;
    memset(&command, 0x5a, sizeof(command));
    before = command;
    char *line = strdup(row->line); /* exactly as long as it is: a byte too far is seen by asan */
    assert_int_equal(verb_parse(line, PEERS, &command, &error), ERR_INPUT);
    free(line);
    assert_string_equal(error.text, row->text);
    assert_int_equal(error.column, row->column);
    assert_int_equal(error.line, 1);
    assert_memory_equal(&command, &before, sizeof(before)); /* V2 */
}

static void unknown_cluster_size_allows_63(void **unused)
{
    char line[] = "kill 63", over[] = "kill 64";
    struct command command;
    struct parse_error error;
    assert_int_equal(verb_parse(line, 0, &command, &error), ERR_OK);
    assert_true(command.group[0].peers == peer_bit(63));
    assert_int_equal(verb_parse(over, 0, &command, &error), ERR_INPUT);
    assert_non_null(strstr(error.text, "1..63"));
    UNUSED(unused);
}

static void long_texts_are_taken_and_longer_ones_refused(void **unused)
{
    struct command command;
    struct parse_error error;
    char *line = malloc(TEXT_MAX + 16);
    for (size_t quoted = 0; quoted < 2; quoted++) {
        for (size_t extra = 0; extra < 2; extra++) {
            size_t length = TEXT_MAX - 1 + extra, start = 6 + quoted;
            strcpy(line, quoted ? "put k \"" : "put k ");
            memset(line + start, 'x', length);
            strcpy(line + start + length, quoted ? "\"" : "");
            err_t err = verb_parse(line, 0, &command, &error);
            assert_int_equal(err, extra ? ERR_INPUT : ERR_OK);
            if (!extra) assert_int_equal(strlen(command.value), length);
        }
    }
    free(line);
    UNUSED(unused);
}

static const struct time_row {
    const char *text;
    uint64_t ns;
    const char *printed; /* NULL: as `text` */
} time_rows[] = {
    { "0", 0, "0s" },
    { "0s", 0, NULL },
    { "0.0ms", 0, "0s" },
    { "7ns", 7, NULL },
    { "20us", 20000, NULL },
    { "1.5us", 1500, NULL },
    { "300ms", 300 * MS, NULL },
    { "1500ms", 1500 * MS, "1.5s" },
    { "1.000000001s", NS_PER_S + 1, NULL },
    { "1.5s", 1500 * MS, NULL },
    { "90s", 90 * NS_PER_S, NULL },
    { "1.5m", 90 * NS_PER_S, "90s" },
    { "120s", 120 * NS_PER_S, "2m" },
    { "2m", 120 * NS_PER_S, NULL },
    { "60m", 3600 * NS_PER_S, "1h" },
    { "1000h", TIME_MAX_NS, NULL },
    { "0.25h", 900 * NS_PER_S, "15m" },
    { "00001s", NS_PER_S, "1s" },
    { "999999999ns", 999999999, "999.999999ms" },
};

static void times_parse_and_print(void **unused)
{
    for (size_t i = 0; i < COUNT(time_rows); i++) {
        uint64_t ns = 1;
        char text[32];
        assert_int_equal(time_parse(time_rows[i].text, &ns), ERR_OK);
        assert_true(ns == time_rows[i].ns);
        size_t length = time_print(ns, text, sizeof(text));
        assert_int_equal(length, strlen(text));
        const char *printed = time_rows[i].printed;
        assert_string_equal(text, printed != NULL ? printed : time_rows[i].text);
    }
    UNUSED(unused);
}

static void bad_times_are_refused(void **unused)
{
    static const char *const bad[] = { "",       "5",        "s",
                                       "5x",     "5 s",      "-1s",
                                       "1e3s",   ".5s",      "5.s",
                                       "1.2.3s", "0.5ns",    "1000.1h",
                                       "ms5",    "1.0005us", "18446744073709551616ns",
                                       "+1s",    "00",       "99999999999999999999999999h" };
    uint64_t ns = 77;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (time_parse(bad[i], &ns) != ERR_INPUT) fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(strncmp(err_context(), "expected a time ", 16), 0);
        assert_int_equal(ns, 77);
    }
    UNUSED(unused);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(good_rows) + COUNT(bad_rows) + 16];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(good_rows); i++)
        tests[n++] = (struct CMUnitTest){ .name = good_rows[i].line,
                                          .test_func = good_row_holds,
                                          .initial_state = (void *)(uintptr_t)&good_rows[i] };
    for (size_t i = 0; i < COUNT(bad_rows); i++)
        tests[n++] = (struct CMUnitTest){ .name = bad_rows[i].text,
                                          .test_func = bad_row_holds,
                                          .initial_state = (void *)(uintptr_t)&bad_rows[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_verb_has_a_row);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(keys_send_lines_that_parse);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(unknown_cluster_size_allows_63);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(long_texts_are_taken_and_longer_ones_refused);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(times_parse_and_print);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(bad_times_are_refused);
    return _cmocka_run_group_tests("fault_verb", tests, n, NULL, NULL);
}
