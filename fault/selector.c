/* fault/selector.c - names for peers: text to selector to set. */
#include "fault/selector.h"

#include <string.h>

static const char *const select_words[SELECT_COUNT] = {
#define SELECT_WORD(name, word) word,
    SELECT_LIST(SELECT_WORD)
#undef SELECT_WORD
};

static void expected_peer(struct line *line, uint32_t peers, const char *const *after,
                          size_t after_count)
{
    char words[256];
    struct out out = { words, sizeof(words), 0 };
    for (size_t i = SELECT_SET + 1; i < SELECT_COUNT; i++) out_add(&out, ", %s", select_words[i]);
    for (size_t i = 0; i < after_count; i++) out_add(&out, "%s%s", i ? ", " : ") or (", after[i]);
    line_expected(line, "a peer (1..%u%s)", peers > 0 ? peers : PEER_MAX, words);
}

/* Take one name. False when the current word is none. */
static bool take_name(struct line *line, uint32_t peers, bool first, struct selector *selector)
{
    uint64_t id;
    if (line_at_digit(line)) {
        if (!decimal_parse(line->word, line->length, 1, peers > 0 ? peers : PEER_MAX, &id) ||
            id == PEER_NONE)
            return false;
        selector->peers |= peer_bit((uint32_t)id);
        line_next(line);
        return true;
    }
    for (uint32_t i = SELECT_SET + 1; i < SELECT_COUNT; i++) {
        if (!line_is(line, select_words[i])) continue;
        if (i == SELECT_REST && first)
            line_error(line, "'rest' is what earlier groups leave over: partition leader | rest");
        selector->words |= 1u << i;
        line_next(line);
        return true;
    }
    return false;
}

void selector_parse(struct line *line, uint32_t peers, bool first, const char *const *after,
                    size_t after_count, struct selector *selector)
{
    *selector = (struct selector){ 0 };
    if (!take_name(line, peers, first, selector)) {
        expected_peer(line, peers, NULL, 0);
        return;
    }
    while (!line_at_end(line) && !line_is(line, "|") && !line_is(line, ">")) {
        for (size_t i = 0; i < after_count; i++)
            if (line_is(line, after[i])) return;
        if (!take_name(line, peers, first, selector)) {
            expected_peer(line, peers, after, after_count);
            return;
        }
    }
}

void selector_print(struct out *out, const struct selector *selector)
{
    const char *blank = "";
    for (uint32_t i = SELECT_SET + 1; i < SELECT_COUNT; i++) {
        if (!((selector->words >> i) & 1)) continue;
        out_add(out, "%s%s", blank, select_words[i]);
        blank = " ";
    }
    for (uint32_t id = 1; id <= PEER_MAX; id++) {
        if (!peer_in(selector->peers, id)) continue;
        out_add(out, "%s%u", blank, id);
        blank = " ";
    }
}

/* One of `set`; empty when it is. */
static peer_set one_of(peer_set set, struct rng *rng)
{
    if (set == 0) return 0;
    uint64_t skip = rng_range(rng, 0, peer_count(set) - 1);
    for (; skip > 0; skip--) set &= set - 1;
    return set & -set;
}

/* `wanted` of the peers 1..n, each set equally likely. */
static peer_set some_of(uint32_t n, uint32_t wanted, struct rng *rng)
{
    peer_set set = 0;
    for (uint32_t id = 1; id <= n; id++) {
        if (rng_range(rng, 1, n - id + 1) > wanted) continue;
        set |= peer_bit(id);
        wanted--;
    }
    return set;
}

peer_set selector_resolve(const struct selector *selector, const struct cluster_view *view,
                          peer_set named, struct rng *rng)
{
    uint32_t n = view->peers;
    CHECK(n <= PEER_MAX);
    peer_set all = peer_first(n), set = selector->peers;
    peer_set leader = view->leader == PEER_NONE ? 0 : peer_bit(view->leader);
    if (selector->words & SELECT_BIT(LEADER)) set |= leader;
    if (selector->words & SELECT_BIT(FOLLOWER))
        set |= one_of(all & view->alive & ~view->candidates & ~leader, rng);
    if (selector->words & SELECT_BIT(CANDIDATE))
        set |= one_of(all & view->alive & view->candidates & ~leader, rng);
    if (selector->words & SELECT_BIT(RANDOM)) set |= one_of(all, rng);
    if (selector->words & SELECT_BIT(MINORITY)) set |= some_of(n, n > 0 ? (n - 1) / 2 : 0, rng);
    if (selector->words & SELECT_BIT(MAJORITY)) set |= some_of(n, n / 2 + 1, rng);
    if (selector->words & SELECT_BIT(ALL)) set |= all;
    if (selector->words & SELECT_BIT(REST)) set |= all & ~named;
    return set & all;
}
