/* tests/fault_apply_test.c - whom selectors name, and what commands do to the rules of links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fault/verb.h"

#define PEERS 5
#define SEED 7u

static struct command parse(const char *text)
{
    static char line[256];
    struct command command;
    struct parse_error error;
    snprintf(line, sizeof(line), "%s", text);
    if (verb_parse(line, 0, &command, &error) != ERR_OK) fail_msg("%s: %s", text, error.text);
    return command;
}

/* Links as a picture: a row for each sender, a letter for each receiver. */
static void picture(const struct link_table *table, uint32_t peers, char *text)
{
    for (uint32_t from = 1; from <= peers; from++) {
        for (uint32_t to = 1; to <= peers; to++) {
            const struct link_rule *rule = &table->rule[from][to];
            *text++ = rule->cut ? 'x' : link_rule_faultless(rule) ? '.' : 'f';
        }
        *text++ = from == peers ? '\0' : ' ';
    }
}

static const struct apply_row {
    const char *lines; /* separated by ; */
    const char *links;
    uint32_t changed; /* by the last line */
} apply_rows[] = {
    { "cut 1 > 2", ".x... ..... ..... ..... .....", 1 },
    { "cut 1 > all", ".xxxx ..... ..... ..... .....", 4 },
    { "cut leader > rest", "..... ..... xx.xx ..... .....", 4 },
    { "cut 1 > 2; cut 1 > 2", ".x... ..... ..... ..... .....", 0 },
    { "isolate 2", ".x... x.xxx .x... .x... .x...", 8 },
    { "isolate 1 2", ".xxxx x.xxx xx... xx... xx...", 14 },
    { "isolate 63", "..... ..... ..... ..... .....", 0 },
    { "partition leader 1 | rest", ".x.xx x.x.. .x.xx x.x.. x.x..", 12 },
    { "partition 1 | 2", ".x... x.... ..... ..... .....", 2 },
    { "partition 1 | 2 | rest", ".xxxx x.xxx xx... xx... xx...", 14 },
    { "partition leader | 3 4", "..... ..... ...x. ..x.. .....", 2 }, /* 3 is in the first */
    { "partition all | rest", "..... ..... ..... ..... .....", 0 },
    { "drop 5% on 1 > 2 3", ".ff.. ..... ..... ..... .....", 2 },
    { "drop 5% on 2", ".f... f.fff .f... .f... .f...", 8 },
    { "delay 1ms on all", ".ffff f.fff ff.ff fff.f ffff.", 20 },
    { "drop 5%; drop 0%", "..... ..... ..... ..... .....", 20 },
    { "drop 5% dup 1%; drop 0% on 1", ".ffff f.fff ff.ff fff.f ffff.", 8 },
    { "drop 5%; isolate 1; heal", "..... ..... ..... ..... .....", 20 },
    { "isolate 1; heal 2", ".xxxx x.... x.... x.... x....", 0 }, /* 1 still is isolated */
    { "isolate 1 2; heal 1", ".x... x.xxx .x... .x... .x...", 6 },
    { "isolate 1; isolate 2; heal", "..... ..... ..... ..... .....", 14 },
    { "isolate 1; heal 1; heal 2", "..... ..... ..... ..... .....", 0 },
    { "cut 1 > 2; corrupt 1% on 1 > 2; heal 1", "..... ..... ..... ..... .....", 1 },
    { "reorder on leader > 1", "..... ..... f.... ..... .....", 1 },
    { "kill all", "..... ..... ..... ..... .....", 0 },
    { "slow-disk 5ms", "..... ..... ..... ..... .....", 0 },
};

static void apply_row_holds(void **state)
{
    const struct apply_row *row = *state;
    static struct link_table table;
    const struct cluster_view view = { .peers = PEERS, .leader = 3, .alive = peer_first(PEERS) };
    struct rng rng;
    char lines[128], links[64];
    uint32_t changed = 0;
    memset(&table, 0, sizeof(table));
    rng_seed(&rng, SEED, 0, 0);
    snprintf(lines, sizeof(lines), "%s", row->lines);
    char *rest = lines;
    for (char *line; (line = strsep(&rest, ";")) != NULL;) {
        struct command command = parse(line);
        changed = command_apply_links(&command, &view, &rng, &table);
    }
    picture(&table, PEERS, links);
    assert_string_equal(links, row->links);
    assert_int_equal(changed, row->changed);
    for (uint32_t id = 0; id <= PEER_MAX; id++) { /* nobody talks to himself, 0 is unused */
        assert_true(link_rule_faultless(&table.rule[id][id]));
        assert_true(link_rule_faultless(&table.rule[0][id]));
        assert_true(link_rule_faultless(&table.rule[id][PEER_MAX]));
    }
}

static void fields_are_set_one_by_one(void **unused)
{
    static struct link_table table;
    const struct cluster_view view = { .peers = 2 };
    struct rng rng = { 1 };
    const char *const lines[] = { "drop 1%",    "delay 1ms..2ms", "dup 3%",  "reorder 4%",
                                  "corrupt 5%", "cut 1 > 2",      "drop 6%", "unreliable long" };
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct command command = parse(lines[i]);
        command_apply_links(&command, &view, &rng, &table);
    }
    const struct link_rule wanted = { .delay_min_ns = NS_PER_MS,
                                      .delay_max_ns = 2 * NS_PER_MS,
                                      .loss_ppm = 60000,
                                      .dup_ppm = 30000,
                                      .reorder_ppm = 40000,
                                      .corrupt_ppm = 50000,
                                      .cut = 1,
                                      .course = COURSE_LONG };
    assert_memory_equal(&table.rule[1][2], &wanted, sizeof(wanted));
    assert_true(link_rule_valid(&table.rule[1][2]));
    UNUSED(unused);
}

static peer_set resolve(const char *words, const struct cluster_view *view, peer_set named,
                        struct rng *rng)
{
    char line[128];
    snprintf(line, sizeof(line), "partition 63 | %s", words);
    struct command command = parse(line);
    return selector_resolve(&command.group[1], view, named, rng);
}

static void words_without_dice(void **unused)
{
    struct cluster_view view = { .peers = 5, .leader = 2, .alive = peer_first(5) };
    struct rng rng = { 9 };
    assert_int_equal(resolve("leader", &view, 0, &rng), peer_bit(2));
    assert_int_equal(resolve("leader 1 4", &view, 0, &rng),
                     peer_bit(1) | peer_bit(2) | peer_bit(4));
    assert_int_equal(resolve("all", &view, 0, &rng), peer_first(5));
    assert_int_equal(resolve("rest", &view, peer_bit(2) | peer_bit(5), &rng),
                     peer_bit(1) | peer_bit(3) | peer_bit(4));
    assert_int_equal(resolve("rest 2", &view, peer_first(5), &rng), peer_bit(2));
    assert_int_equal(resolve("6", &view, 0, &rng), 0); /* no such peer */
    view.leader = PEER_NONE;
    assert_int_equal(resolve("leader", &view, 0, &rng), 0);
    assert_int_equal(resolve("candidate", &view, 0, &rng), 0);
    assert_true(rng.state == 9); /* nothing was drawn */
    UNUSED(unused);
}

/* Each word that chooses: over many draws exactly the wanted peers turn up, about equally often. */
static void words_with_dice(void **unused)
{
    enum { DRAWS = 10000 };
    const struct cluster_view view = { .peers = 7,
                                       .leader = 2,
                                       .candidates = peer_bit(3) | peer_bit(4) | peer_bit(6),
                                       .alive = peer_first(7) & ~peer_bit(6) & ~peer_bit(7) };
    static const struct {
        const char *word;
        peer_set from;
        uint32_t size;
    } rows[] = {
        { "follower", 1 << 1 | 1 << 5, 1 }, /* 6 and 7 are dead */
        { "candidate", 1 << 3 | 1 << 4, 1 },
        { "random", 254, 1 },
        { "minority", 254, 3 },
        { "majority", 254, 4 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t seen[PEER_MAX + 1] = { 0 };
        struct rng rng;
        rng_seed(&rng, SEED, i, 0);
        for (uint32_t draw = 0; draw < DRAWS; draw++) {
            peer_set set = resolve(rows[i].word, &view, 0, &rng);
            assert_int_equal(peer_count(set), rows[i].size);
            for (uint32_t id = 1; id <= 7; id++) seen[id] += peer_in(set, id);
        }
        for (uint32_t id = 1; id <= 7; id++) {
            uint32_t wanted = DRAWS * rows[i].size / peer_count(rows[i].from);
            if (!peer_in(rows[i].from, id)) assert_int_equal(seen[id], 0);
            else assert_in_range(seen[id], wanted - 250, wanted + 250); /* 5 sigma */
        }
    }
    UNUSED(unused);
}

static void sizes_of_minority_and_majority(void **unused)
{
    for (uint32_t n = 1; n <= PEER_MAX; n++) {
        const struct cluster_view view = { .peers = n };
        struct rng rng = { n };
        peer_set minority = resolve("minority", &view, 0, &rng);
        peer_set majority = resolve("majority", &view, 0, &rng);
        assert_int_equal(peer_count(minority), (n - 1) / 2);
        assert_int_equal(peer_count(majority), n / 2 + 1);
        assert_true(((minority | majority) & ~peer_first(n)) == 0);
    }
    UNUSED(unused);
}

static void same_dice_same_peers(void **unused)
{
    const struct cluster_view view = { .peers = 63, .alive = peer_first(63) };
    struct rng a, b;
    rng_seed(&a, SEED, 0, 0);
    rng_seed(&b, SEED, 0, 0);
    for (int i = 0; i < 100; i++)
        assert_true(resolve("minority random follower", &view, 0, &a) ==
                    resolve("follower random minority", &view, 0, &b));
    UNUSED(unused);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(apply_rows) + 8];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(apply_rows); i++)
        tests[n++] = (struct CMUnitTest){ .name = apply_rows[i].lines,
                                          .test_func = apply_row_holds,
                                          .initial_state = (void *)(uintptr_t)&apply_rows[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(fields_are_set_one_by_one);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(words_without_dice);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(words_with_dice);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(sizes_of_minority_and_majority);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(same_dice_same_peers);
    return _cmocka_run_group_tests("fault_apply", tests, n, NULL, NULL);
}
