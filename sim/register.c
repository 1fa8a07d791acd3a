/* sim/register.c - operations as moves of a register. */
#include "sim/register.h"

#include <stdlib.h>
#include <string.h>

bool move_fits(const struct move *move, uint64_t state)
{
    switch (move->need) {
    case NEED_EQUAL: return state == move->expect;
    case NEED_DIFFERENT: return state != move->expect;
    case NEED_NOTHING: break;
    }
    return true;
}

bool move_keeps(const struct move *move, uint64_t state)
{
    switch (move->effect) {
    case EFFECT_SET: return state == move->result;
    case EFFECT_APPEND: /* nothing added; or unseen before, unseen after */
        return state == STATE_OTHER || (move->suffix_bytes == 0 && state != STATE_ABSENT);
    case EFFECT_KEEP: break;
    }
    return true;
}

/* A state that is a beginning of values: the first value that begins so, and how far. */
static uint64_t state_of(size_t first, size_t bytes)
{
    return (uint64_t)(first + 1) << 32 | bytes;
}

/* Compare value `at` with prefix + suffix, 0 when it begins with them. */
static int compare(const struct registry *registry, size_t at, const char *prefix,
                   size_t prefix_bytes, const char *suffix, size_t suffix_bytes)
{
    size_t bytes = registry->bytes[at];
    const char *value = registry->values[at];
    int order = prefix_bytes == 0 ? 0 : memcmp(value, prefix, MIN_OF(bytes, prefix_bytes));
    if (order != 0) return order;
    if (bytes < prefix_bytes) return -1;
    bytes -= prefix_bytes;
    order = memcmp(value + prefix_bytes, suffix, MIN_OF(bytes, suffix_bytes));
    if (order != 0) return order;
    return bytes < suffix_bytes ? -1 : 0;
}

/* The state of prefix + suffix, which no value before `from` begins with. */
static uint64_t find(const struct registry *registry, size_t from, const char *prefix,
                     size_t prefix_bytes, const char *suffix, size_t suffix_bytes)
{
    size_t low = from, high = registry->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(registry, middle, prefix, prefix_bytes, suffix, suffix_bytes) < 0)
            low = middle + 1;
        else high = middle;
    }
    if (low == registry->count) return STATE_OTHER;
    if (compare(registry, low, prefix, prefix_bytes, suffix, suffix_bytes) != 0) return STATE_OTHER;
    size_t bytes = prefix_bytes + suffix_bytes;
    if (!registry->appends && registry->bytes[low] != bytes) return STATE_OTHER;
    return state_of(low, bytes);
}

static uint64_t find_text(const struct registry *registry, const char *text)
{
    return text == NULL ? STATE_ABSENT : find(registry, 0, NULL, 0, text, strlen(text));
}

uint64_t move_result(const struct registry *registry, const struct move *move, uint64_t state)
{
    if (move_keeps(move, state)) return state;
    if (move->effect == EFFECT_SET) return move->result;
    if (state == STATE_ABSENT) return find(registry, 0, NULL, 0, move->suffix, move->suffix_bytes);
    size_t first = (size_t)(state >> 32) - 1;
    return find(registry, first, registry->values[first], state & UINT32_MAX, move->suffix,
                move->suffix_bytes);
}

/* Says nothing: it had no effect, or nobody knows what it saw, or it would only have read. */
static bool is_mute(const struct operation *operation, bool optional)
{
    if (operation->status == HISTORY_FAIL) return true;
    if (!optional) return false;
    bool read_only = operation->status == HISTORY_OK && !operation->done;
    return operation->op == HISTORY_GET || (operation->op == HISTORY_CAS && read_only) ||
           (operation->op == HISTORY_DEL && operation->done_known && read_only);
}

/* Need and effect of a move, and the texts they are about. An optional cas that finds another
 * value does nothing, which is as if it never happened: only its success is a move. */
static void classify(const struct operation *operation, struct move *move, const char **expect,
                     const char **result)
{
    *expect = *result = NULL;
    bool known = !move->optional;
    switch (operation->op) {
    case HISTORY_PUT:
        move->effect = EFFECT_SET;
        *result = operation->value;
        break;
    case HISTORY_GET:
        move->need = NEED_EQUAL;
        *expect = operation->output;
        break;
    case HISTORY_DEL: /* it existed: DIFFERENT from absent */
        if (known && operation->done_known)
            move->need = operation->done ? NEED_DIFFERENT : NEED_EQUAL;
        move->effect = move->need == NEED_EQUAL ? EFFECT_KEEP : EFFECT_SET;
        break;
    case HISTORY_APPEND:
        move->effect = EFFECT_APPEND;
        move->suffix = operation->value;
        move->suffix_bytes = strlen(operation->value);
        break;
    case HISTORY_CAS:
        move->need = known && !operation->done ? NEED_DIFFERENT : NEED_EQUAL;
        move->effect = known && !operation->done ? EFFECT_KEEP : EFFECT_SET;
        *expect = operation->expect;
        *result = operation->value;
        break;
    }
}

static int by_text(const void *a, const void *b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    return left == right ? 0 : strcmp(left, right); /* equal texts are one pointer (H2) */
}

static void sort_values(struct registry *registry)
{
    size_t kept = 0;
    if (registry->count > 0) qsort(registry->values, registry->count, sizeof(char *), by_text);
    for (size_t i = 0; i < registry->count; i++)
        if (kept == 0 || registry->values[kept - 1] != registry->values[i])
            registry->values[kept++] = registry->values[i];
    registry->count = kept;
    for (size_t i = 0; i < kept; i++) registry->bytes[i] = strlen(registry->values[i]);
}

/* A number for each state but OTHER, where no operation appends, so that states are whole
 * values. */
static size_t number_of(uint64_t state)
{
    return state == STATE_ABSENT ? 0 : (size_t)(state >> 32);
}

/* Drop optional writes that nobody can tell from others (search.h Q7): they make a state that
 * nobody has seen, or only such a write has. Latest first, since a write is seen by later ones. */
static size_t drop_useless(const struct registry *registry, struct move *moves, size_t count)
{
    size_t kept = 0;
    size_t *seen = calloc(registry->count + 1, sizeof(*seen)); /* state -> moves that need it */
    for (size_t i = 0; seen != NULL && i < count; i++)
        if (moves[i].need == NEED_EQUAL) seen[number_of(moves[i].expect)]++;
    for (size_t i = count; i > 0; i--) {
        struct move *move = &moves[i - 1];
        if (move->effect != EFFECT_SET) continue;
        if (seen != NULL && !registry->appends && move->result != STATE_OTHER &&
            seen[number_of(move->result)] == 0)
            move->result = STATE_OTHER;
        if (!move->optional || move->result != STATE_OTHER) continue;
        move->effect = EFFECT_KEEP; /* dropped below: optional ones do not just read */
        if (seen != NULL && move->need == NEED_EQUAL) seen[number_of(move->expect)]--;
    }
    for (size_t i = 0; i < count; i++)
        if (!moves[i].optional || moves[i].effect != EFFECT_KEEP) moves[kept++] = moves[i];
    free(seen);
    return kept;
}

bool registry_build(struct registry *registry, const struct operation **operations, size_t count,
                    const bool *optional, struct move *moves, size_t *move_count)
{
    *registry = (struct registry){
        .values = calloc(count + 1, sizeof(char *)),
        .bytes = calloc(count + 1, sizeof(size_t)),
    };
    if (registry->values == NULL || registry->bytes == NULL) return false;
    size_t used = 0;
    const char *expect, *result;
    for (size_t i = 0; i < count; i++) {
        bool free = operations[i]->status == HISTORY_UNKNOWN || (optional != NULL && optional[i]);
        if (is_mute(operations[i], free)) continue;
        struct move move = { .place = i, .optional = free, .call_ns = operations[i]->call_ns };
        move.return_ns = free ? TIME_NEVER : operations[i]->return_ns;
        classify(operations[i], &move, &expect, &result);
        if (move.need != NEED_NOTHING && expect != NULL)
            registry->values[registry->count++] = expect;
        registry->appends |= move.effect == EFFECT_APPEND;
        registry->negatives |= move.need == NEED_DIFFERENT;
        moves[used++] = move;
    }
    sort_values(registry);
    for (size_t i = 0; i < used; i++) { /* now that all values are known, states are */
        struct move move = moves[i];
        classify(operations[move.place], &move, &expect, &result);
        if (move.need != NEED_NOTHING) move.expect = find_text(registry, expect);
        if (move.effect == EFFECT_SET) move.result = find_text(registry, result);
        moves[i] = move;
    }
    *move_count = registry->negatives ? used : drop_useless(registry, moves, used);
    return true;
}

void registry_free(struct registry *registry)
{
    free(registry->values);
    free(registry->bytes);
    *registry = (struct registry){ 0 };
}
