/* sim/search.c - just-in-time linearization of one key, with situations that cover others
 * forgotten. */
#include "sim/search.h"
#include "sim/register.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NO_SLOT UINT32_MAX
#define COVER_LOOKS                                                                                \
    64 /* situations of one state to compare a new one with: more is exact, but slower */

/* A situation is 1 + 2 * words numbers: state, todo[words], free[words]; a bit per slot. */
static uint64_t *todo_of(uint64_t *situation)
{
    return situation + 1;
}

static bool bit_get(const uint64_t *bits, uint32_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t at)
{
    bits[at / 64] |= 1ull << (at % 64);
}

static void bit_clear(uint64_t *bits, uint32_t at)
{
    bits[at / 64] &= ~(1ull << (at % 64));
}

/* --- a bag of situations, none of which covers another (as far as COVER_LOOKS sees) ----------- */

struct bag {
    uint64_t *items;  /* `stride` numbers each; STATE_NONE: covered by a later one */
    uint64_t *same;   /* hash of the situation -> item; epoch << 32 | index, as below */
    uint64_t *newest; /* hash of the state -> newest item of this hash */
    uint32_t *older;  /* item -> the next older one of this hash, or NO_SLOT */
    size_t count, capacity, stride, words;
    uint64_t epoch; /* entries of other epochs are empty: forgetting everything is one addition */
};

static void bag_free(struct bag *bag)
{
    free(bag->items);
    free(bag->same);
    free(bag->newest);
    free(bag->older);
    *bag = (struct bag){ 0 };
}

static void bag_clear(struct bag *bag)
{
    bag->count = 0;
    bag->epoch++;
}

static uint64_t *bag_item(const struct bag *bag, size_t at)
{
    return bag->items + at * bag->stride;
}

/* Both tables have twice as many places as there are items. */
static size_t bag_mask(const struct bag *bag)
{
    return 2 * bag->capacity - 1;
}

/* What it has, and what growing would take if it is about to. */
static size_t bag_bytes(const struct bag *bag, size_t about_to_add)
{
    size_t each = (bag->stride + 4) * sizeof(uint64_t) + sizeof(uint32_t);
    return bag->capacity * each * (bag->count + about_to_add > bag->capacity ? 3 : 1);
}

/* The item that this entry of a table means in this epoch, or NO_SLOT. */
static uint32_t bag_entry(const struct bag *bag, uint64_t entry)
{
    return entry >> 32 == (bag->epoch & UINT32_MAX) ? (uint32_t)entry : NO_SLOT;
}

static void bag_link(struct bag *bag, uint32_t at)
{
    const uint64_t *item = bag_item(bag, at);
    size_t mask = bag_mask(bag);
    uint64_t entry = (bag->epoch & UINT32_MAX) << 32 | at;
    size_t place = XXH3_64bits(item, bag->stride * sizeof(*item)) & mask;
    while (bag_entry(bag, bag->same[place]) != NO_SLOT) place = (place + 1) & mask;
    bag->same[place] = entry;
    place = XXH3_64bits(item, sizeof(*item)) & mask;
    bag->older[at] = bag_entry(bag, bag->newest[place]);
    bag->newest[place] = entry;
}

/* Room for one more. False: out of memory. */
static bool bag_reserve(struct bag *bag)
{
    if (bag->count < bag->capacity) return true;
    size_t capacity = MAX_OF(2 * bag->capacity, 16u);
    if (capacity >= NO_SLOT) return false;
    struct bag grown = *bag;
    grown.capacity = capacity;
    grown.epoch = 1;
    grown.items = malloc(capacity * bag->stride * sizeof(uint64_t));
    grown.same = calloc(2 * capacity, sizeof(uint64_t));
    grown.newest = calloc(2 * capacity, sizeof(uint64_t));
    grown.older = malloc(capacity * sizeof(uint32_t));
    if (!grown.items || !grown.same || !grown.newest || !grown.older) {
        bag_free(&grown);
        return false;
    }
    if (bag->count > 0)
        memcpy(grown.items, bag->items, bag->count * bag->stride * sizeof(uint64_t));
    for (uint32_t i = 0; i < bag->count; i++) bag_link(&grown, i);
    bag_free(bag);
    *bag = grown;
    return true;
}

/* (Q6) Is everything that can happen from `b` possible from `a`, of the same state, too? */
static bool covers(const uint64_t *a, const uint64_t *b, size_t words)
{
    const uint64_t *todo_a = a + 1, *free_a = todo_a + words;
    const uint64_t *todo_b = b + 1, *free_b = todo_b + words;
    for (size_t i = 0; i < words; i++) {
        if ((free_b[i] & ~free_a[i]) != 0) return false;
        if (((todo_a[i] ^ todo_b[i]) & ~free_a[i]) != 0) return false;
    }
    return true;
}

static bool bag_has(const struct bag *bag, const uint64_t *situation)
{
    size_t mask = bag_mask(bag), bytes = bag->stride * sizeof(*situation);
    size_t place = XXH3_64bits(situation, bytes) & mask;
    uint32_t at;
    while ((at = bag_entry(bag, bag->same[place])) != NO_SLOT) {
        if (memcmp(bag_item(bag, at), situation, bytes) == 0) return true;
        place = (place + 1) & mask;
    }
    return false;
}

/* Add unless it is there or covered; what it covers dies. False: out of memory. */
static bool bag_add(struct bag *bag, const uint64_t *situation)
{
    if (!bag_reserve(bag)) return false;
    if (bag_has(bag, situation)) return true;
    size_t place = XXH3_64bits(situation, sizeof(*situation)) & bag_mask(bag);
    uint32_t at = bag_entry(bag, bag->newest[place]);
    for (int looks = 0; at != NO_SLOT && looks < COVER_LOOKS; looks++, at = bag->older[at]) {
        uint64_t *other = bag_item(bag, at);
        if (other[0] != situation[0]) continue;
        if (covers(other, situation, bag->words)) return true;
        if (covers(situation, other, bag->words)) other[0] = STATE_NONE;
    }
    memcpy(bag_item(bag, bag->count), situation, bag->stride * sizeof(*situation));
    bag_link(bag, (uint32_t)bag->count++);
    return true;
}

/* --- the search ----------------------------------------------------------------------------- */

struct search {
    struct registry registry;
    struct move *moves; /* sorted by call */
    size_t count;
    size_t *by_return; /* the required ones, as indexes into moves */
    size_t required;
    size_t words;
    const struct move **open; /* slot -> the move that has it now */
    uint64_t *called;         /* 2 * words: todo and free of moves called since the last return */
    uint64_t *blind;          /* slots of blind moves */
    uint64_t *from, *to;      /* two situations to work on */
    struct bag now, next, middle;
    uint64_t memory_bytes, deadline_ns;
    uint64_t steps;
};

/* (Q2) What would change nothing happens, or may happen, now. */
static void absorb(const struct search *search, uint64_t *situation)
{
    uint64_t *todo = todo_of(situation), *free = todo + search->words;
    for (size_t word = 0; word < search->words; word++) {
        for (uint64_t left = todo[word]; left != 0; left &= left - 1) {
            uint64_t bit = left & -left;
            const struct move *move = search->open[word * 64 + (size_t)__builtin_ctzll(left)];
            if (!move_fits(move, situation[0]) || !move_keeps(move, situation[0])) continue;
            todo[word] &= ~bit;
            if (move->effect != EFFECT_KEEP) free[word] |= bit;
        }
    }
}

/* (Q4) Is there an open move that could come next and needs `state`? */
static bool is_wanted(const struct search *search, const uint64_t *situation, uint64_t state)
{
    const uint64_t *todo = situation + 1, *free = todo + search->words;
    for (size_t word = 0; word < search->words; word++) {
        for (uint64_t left = todo[word] | free[word]; left != 0; left &= left - 1) {
            size_t at = word * 64 + (size_t)__builtin_ctzll(left);
            const struct move *move = search->open[at];
            if (move->effect == EFFECT_APPEND &&
                (state != STATE_OTHER || search->registry.negatives))
                return true;
            if (move->need != NEED_NOTHING && move_fits(move, state)) return true;
        }
    }
    return false;
}

/* (Q3) The blind writes that are todo in `situation` become free. Were there any? */
static bool bury(const struct search *search, uint64_t *situation)
{
    uint64_t *todo = todo_of(situation), *free = todo + search->words, any = 0;
    for (size_t i = 0; i < search->words; i++) {
        uint64_t buried = todo[i] & search->blind[i];
        todo[i] &= ~buried;
        free[i] |= buried;
        any |= buried;
    }
    return any != 0;
}

/* Search->to becomes search->from after the move in `slot`. False: it cannot, or need not, be the
 * next one on the way to `last`. */
static bool take(struct search *search, uint32_t slot, uint32_t last)
{
    const struct move *move = search->open[slot];
    uint64_t *to = search->to, *todo = todo_of(to), *free = todo + search->words;
    uint64_t state = search->from[0];
    memcpy(to, search->from, search->now.stride * sizeof(*to));
    bool is_free = bit_get(free, slot);
    if (!move_fits(move, state)) return false;
    if (move->twin != NO_SLOT && bit_get(free, move->twin)) return false; /* (Q5) */
    bit_clear(todo, slot);
    bit_clear(free, slot);
    to[0] = move_result(&search->registry, move, state);
    bool buries = move_overwrites(move) && bury(search, to);
    if (to[0] == state && !buries) return false; /* (Q2) */
    bool pointless = to[0] == STATE_OTHER && !search->registry.negatives;
    if (is_free && pointless) return false; /* (Q7) */
    if (slot != last && (is_free || move_is_blind(move)))
        if (pointless || !is_wanted(search, to, to[0])) return false; /* (Q4) */
    absorb(search, to);
    return true;
}

/* Put a situation where it belongs at the return of `last`: to the next ones when that has
 * happened or may be said to have, to the middle when something can still lead to it. `due`: it
 * had not happened before. */
static bool settle(struct search *search, uint64_t *situation, uint32_t last, bool due)
{
    uint64_t *todo = todo_of(situation), *free = todo + search->words;
    bool may = bit_get(free, last), must = bit_get(todo, last);
    if ((may || must) && !bag_add(&search->middle, situation)) return false;
    bit_clear(free, last);
    return must || !due || bag_add(&search->next, situation);
}

static bool expand(struct search *search, uint32_t last)
{
    const uint64_t *todo = search->from + 1, *free = todo + search->words;
    bool due = bit_get(todo, last);
    for (size_t word = 0; word < search->words; word++) {
        for (uint64_t left = todo[word] | free[word]; left != 0; left &= left - 1) {
            uint32_t slot = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(left);
            if (!take(search, slot, last)) continue;
            if (!settle(search, search->to, last, due || slot == last)) return false;
        }
    }
    return true;
}

static bool is_over(struct search *search)
{
    const struct bag *bags[] = { &search->now, &search->next, &search->middle };
    size_t bytes = 0;
    for (size_t i = 0; i < COUNT(bags); i++) bytes += bag_bytes(bags[i], 64 * search->words);
    if (bytes > search->memory_bytes) return true;
    return search->steps++ % 64 == 0 && real_now_ns() > search->deadline_ns;
}

/* The move in `last` returns. False: out of memory or time. */
static bool on_return(struct search *search, uint32_t last)
{
    size_t stride = search->now.stride;
    bag_clear(&search->next);
    bag_clear(&search->middle);
    for (size_t i = 0; i < search->now.count; i++) {
        const uint64_t *item = bag_item(&search->now, i);
        if (item[0] == STATE_NONE) continue;
        if (is_over(search)) return false;
        memcpy(search->to, item, stride * sizeof(*item));
        for (size_t word = 0; word < 2 * search->words; word++)
            search->to[1 + word] |= search->called[word];
        absorb(search, search->to);
        if (!settle(search, search->to, last, true)) return false;
    }
    for (size_t i = 0; i < search->middle.count; i++) {
        if (is_over(search)) return false;
        memcpy(search->from, bag_item(&search->middle, i), stride * sizeof(uint64_t));
        if (search->from[0] != STATE_NONE && !expand(search, last)) return false;
    }
    memset(search->called, 0, 2 * search->words * sizeof(uint64_t));
    struct bag swap = search->now;
    search->now = search->next;
    search->next = swap;
    return true;
}

static void on_call(struct search *search, const struct move *move)
{
    search->open[move->slot] = move;
    bit_set(search->called + (move->optional ? search->words : 0), move->slot);
    bit_clear(search->blind, move->slot);
    if (move_is_blind(move)) bit_set(search->blind, move->slot);
}

static bool is_empty(const struct bag *bag)
{
    for (size_t i = 0; i < bag->count; i++)
        if (bag_item(bag, i)[0] != STATE_NONE) return false;
    return true;
}

static enum linear_verdict run(struct search *search, size_t *failed)
{
    size_t call = 0;
    if (!bag_add(&search->now, search->from))
        return LINEAR_UNDECIDED; /* all zero: absent, nothing open */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): search_key frees what prepare made */
    for (size_t i = 0; i < search->required; i++) {
        const struct move *move = &search->moves[search->by_return[i]];
        /* Who is called in the nanosecond of a return may have come first. */
        while (call < search->count && search->moves[call].call_ns <= move->return_ns)
            on_call(search, &search->moves[call++]);
        if (!on_return(search, move->slot)) return LINEAR_UNDECIDED;
        *failed = move->place;
        if (is_empty(&search->now)) return LINEAR_NO;
    }
    return LINEAR_YES;
}

/* --- preparation ---------------------------------------------------------------------------- */

static int by_return(const void *a, const void *b, void *moves)
{
    const struct move *left = (const struct move *)moves + *(const size_t *)a;
    const struct move *right = (const struct move *)moves + *(const size_t *)b;
    if (left->return_ns != right->return_ns) return left->return_ns < right->return_ns ? -1 : 1;
    return left < right ? -1 : left > right;
}

#define ORDER_BY(field)                                                                            \
    if (left->field != right->field) return left->field < right->field ? -1 : 1

/* What two moves do, whenever they do it. */
static int by_kind(const struct move *left, const struct move *right)
{
    ORDER_BY(need);
    ORDER_BY(effect);
    ORDER_BY(expect);
    ORDER_BY(result);
    ORDER_BY(suffix);
    return 0;
}

static int by_kind_and_call(const void *a, const void *b, void *moves)
{
    const struct move *left = (const struct move *)moves + *(const size_t *)a;
    const struct move *right = (const struct move *)moves + *(const size_t *)b;
    int order = by_kind(left, right);
    return order != 0 ? order : (left < right ? -1 : left > right);
}

/* Sort the returns, and give each move a slot that no other has while it is open. */
static uint32_t give_slots(struct search *search, uint32_t *spare)
{
    uint32_t slots = 0, spares = 0;
    size_t returned = 0;
    for (size_t i = 0; i < search->count; i++)
        if (!search->moves[i].optional) search->by_return[search->required++] = i;
    qsort_r(search->by_return, search->required, sizeof(size_t), by_return, search->moves);
    for (size_t i = 0; i < search->count; i++) {
        struct move *move = &search->moves[i];
        for (; returned < search->required; returned++) {
            const struct move *gone = &search->moves[search->by_return[returned]];
            if (gone->return_ns >= move->call_ns) break;
            spare[spares++] = gone->slot;
        }
        move->slot = spares > 0 ? spare[--spares] : slots++;
    }
    return slots;
}

static void find_twins(struct search *search, size_t *optional)
{
    size_t count = 0;
    for (size_t i = 0; i < search->count; i++) {
        search->moves[i].twin = NO_SLOT;
        if (search->moves[i].optional) optional[count++] = i;
    }
    qsort_r(optional, count, sizeof(size_t), by_kind_and_call, search->moves);
    for (size_t i = 1; i < count; i++) {
        const struct move *before = &search->moves[optional[i - 1]];
        struct move *move = &search->moves[optional[i]];
        if (by_kind(before, move) == 0) move->twin = before->slot;
    }
}

/* False: out of memory. */
static bool prepare(struct search *search)
{
    size_t *scratch = calloc(search->count + 1, sizeof(*scratch));
    search->by_return = calloc(search->count + 1, sizeof(*search->by_return));
    if (scratch == NULL || search->by_return == NULL) {
        free(scratch);
        return false;
    }
    uint32_t slots = give_slots(search, (uint32_t *)scratch);
    size_t words = search->words = slots / 64 + 1, stride = 1 + 2 * words;
    search->now.words = search->next.words = search->middle.words = words;
    search->now.stride = search->next.stride = search->middle.stride = stride;
    search->now.epoch = search->next.epoch = search->middle.epoch = 1;
    search->open = calloc(words * 64, sizeof(struct move *));
    search->called = calloc(2 * words, sizeof(uint64_t));
    search->blind = calloc(words, sizeof(uint64_t));
    search->from = calloc(stride, sizeof(uint64_t));
    search->to = calloc(stride, sizeof(uint64_t));
    bool made = search->open && search->called && search->blind && search->from && search->to;
    if (made) find_twins(search, scratch);
    free(scratch);
    return made;
}

enum linear_verdict search_key(const struct operation **operations, size_t count,
                               const bool *optional, uint64_t memory_bytes, uint64_t deadline_ns,
                               size_t *failed)
{
    struct search search = { .memory_bytes = memory_bytes, .deadline_ns = deadline_ns };
    enum linear_verdict verdict = LINEAR_UNDECIDED;
    size_t bytes = count * (sizeof(struct move) + 8 * sizeof(size_t));
    if (count < NO_SLOT && bytes < memory_bytes) {
        search.memory_bytes -= bytes;
        search.moves = calloc(count + 1, sizeof(*search.moves));
        if (search.moves != NULL &&
            registry_build(&search.registry, operations, count, optional, search.moves,
                           &search.count) &&
            prepare(&search))
            verdict = run(&search, failed);
    }
    registry_free(&search.registry);
    bag_free(&search.now);
    bag_free(&search.next);
    bag_free(&search.middle);
    free(search.moves);
    free(search.by_return);
    free(search.open);
    free(search.called);
    free(search.blind);
    free(search.from);
    free(search.to);
    return verdict;
}
