/* sim/linear.c - the verdict key by key, and the contradiction made small. */
#include "sim/linear.h"
#include "sim/search.h"

#include <stdlib.h>
#include <string.h>

#define SHRINK_NS (2 * NS_PER_S) /* after a NO, at most so long for a shorter stretch */
#define SHRINK_STEP_NS (20 * NS_PER_MS)
#define SEEN_LOOKS_MAX 10000000u

/* Operations of one key: a part of the list that is sorted by key. */
struct group {
    const struct operation **operations;
    size_t count;
};

/* By key, then call, then place in the history. */
static int by_key(const void *a, const void *b)
{
    const struct operation *left = *(const struct operation *const *)a;
    const struct operation *right = *(const struct operation *const *)b;
    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    if (left->call_ns != right->call_ns) return left->call_ns < right->call_ns ? -1 : 1;
    return left < right ? -1 : left > right;
}

/* Short ones first; the order of the file for equals, so that each run does the same. */
static int by_size(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    if (left->count != right->count) return left->count < right->count ? -1 : 1;
    return left->operations[0] < right->operations[0] ? -1 : 1;
}

/* Fill `operations` and `groups`, each with room for all; returns the number of groups. */
static size_t group_by_key(const struct history *history, const struct operation **operations,
                           struct group *groups)
{
    size_t count = 0;
    for (size_t i = 0; i < history->count; i++) operations[i] = &history->operations[i];
    qsort(operations, history->count, sizeof(struct operation *), by_key);
    for (size_t i = 0; i < history->count; i++) {
        if (i == 0 || operations[i]->key != operations[i - 1]->key)
            groups[count++] = (struct group){ .operations = operations + i };
        groups[count - 1].count++;
    }
    qsort(groups, count, sizeof(*groups), by_size);
    return count;
}

/* --- the stretch ------------------------------------------------------------------------------ */

struct shrink {
    const struct operation **operations;
    size_t count; /* of the prefix */
    bool *excused;
    size_t *kept; /* places of those that are not */
    size_t kept_count;
    uint64_t memory_bytes, step_ns, deadline_ns;
    bool appends;
};

/* No order is left at the return of `failed`: forget what was called later, excuse what returned
 * later. */
static void cut(struct shrink *shrink, size_t failed)
{
    uint64_t end_ns = shrink->operations[failed]->return_ns;
    size_t i = 0;
    for (; i < shrink->count && shrink->operations[i]->call_ns <= end_ns; i++)
        if (shrink->operations[i]->return_ns > end_ns) shrink->excused[i] = true;
    shrink->count = i;
}

/* Only looks: for these, being excused is being left out. */
static bool is_read(const struct operation *operation)
{
    switch (operation->op) {
    case HISTORY_GET: return true;
    case HISTORY_CAS: return !operation->done;
    case HISTORY_DEL: return operation->done_known && !operation->done;
    case HISTORY_PUT:
    case HISTORY_APPEND: break;
    }
    return false;
}

/* Its answer says what was not there (search.h Q7). */
static bool is_negative(const struct operation *operation)
{
    return (operation->op == HISTORY_CAS && !operation->done) ||
           (operation->op == HISTORY_DEL && operation->done_known && operation->done);
}

static bool is_any(const struct operation *operation)
{
    UNUSED(operation);
    return true;
}

static void collect_kept(struct shrink *shrink, bool (*which)(const struct operation *))
{
    shrink->kept_count = 0;
    for (size_t i = 0; i < shrink->count; i++)
        if (!shrink->excused[i] && shrink->operations[i]->status == HISTORY_OK &&
            which(shrink->operations[i]))
            shrink->kept[shrink->kept_count++] = i;
}

/* Excuse these if the rest is still a contradiction. */
static bool excuse(struct shrink *shrink, const size_t *places, size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) /* what a cut has taken since stays so */
        if (shrink->excused[places[i]] || places[i] >= shrink->count) return false;
    for (size_t i = 0; i < count; i++) shrink->excused[places[i]] = true;
    uint64_t deadline_ns = MIN_OF(shrink->deadline_ns, real_now_ns() + shrink->step_ns);
    if (search_key(shrink->operations, shrink->count, shrink->excused, shrink->memory_bytes,
                   deadline_ns, &failed) == LINEAR_NO) {
        cut(shrink, failed);
        return true;
    }
    for (size_t i = 0; i < count; i++) shrink->excused[places[i]] = false;
    return false;
}

/* All that are `which` at once, then groups of half of what is left, a quarter, ..., one; then
 * again one by one until none can be excused. */
static void excuse_all(struct shrink *shrink, bool (*which)(const struct operation *))
{
    collect_kept(shrink, which);
    for (size_t size = shrink->kept_count; size > 0;) {
        bool more = size > 1;
        for (size_t from = 0; from < shrink->kept_count; from += size) {
            if (real_now_ns() > shrink->deadline_ns) return;
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): find_stretch frees what it made */
            more |= excuse(shrink, shrink->kept + from, MIN_OF(size, shrink->kept_count - from));
        }
        if (!more) return;
        collect_kept(shrink, which);
        size = MAX_OF(size / 2, 1u);
    }
}

/* Did `reader` see what `writer` wrote, or may have? */
static bool has_seen(const struct operation *reader, const struct operation *writer, bool appends)
{
    const char *seen = NULL;
    switch (reader->op) {
    case HISTORY_GET: seen = reader->output; break;
    case HISTORY_CAS:
        if (!reader->done) return false;
        seen = reader->expect;
        break;
    case HISTORY_DEL:
        if (!reader->done_known) return false;
        if (reader->done) return writer->op != HISTORY_DEL; /* it saw something */
        break;
    case HISTORY_PUT:
    case HISTORY_APPEND: return false;
    }
    if (writer->op == HISTORY_DEL || seen == NULL) return writer->op == HISTORY_DEL && seen == NULL;
    return appends ? strstr(seen, writer->value) != NULL : seen == writer->value; /* (H2) */
}

static bool is_seen(const struct shrink *shrink, size_t at)
{
    const struct operation *writer = shrink->operations[at];
    if (writer->status == HISTORY_FAIL || (writer->status == HISTORY_OK && is_read(writer)))
        return false;
    if (writer->op == HISTORY_GET) return false;
    for (size_t i = 0; i < shrink->kept_count; i++)
        if (has_seen(shrink->operations[shrink->kept[i]], writer, shrink->appends)) return true;
    return false;
}

static void write_stretch(const struct shrink *shrink, const struct history *history,
                          struct linear_result *result)
{
    size_t next = 0;
    bool look = shrink->kept_count * shrink->count < SEEN_LOOKS_MAX;
    for (size_t i = 0; i < shrink->count; i++) {
        bool kept = next < shrink->kept_count && shrink->kept[next] == i;
        next += kept;
        look = look && real_now_ns() < shrink->deadline_ns + SHRINK_NS; /* texts may be long */
        if (kept || (look && is_seen(shrink, i)))
            result->stretch[result->stretch_count++] =
                (size_t)(shrink->operations[i] - history->operations);
    }
}

/* False: no memory even to begin with. */
static bool find_stretch(const struct history *history, const struct group *group, size_t failed,
                         uint64_t memory_bytes, uint64_t took_ns, uint64_t deadline_ns,
                         struct linear_result *result)
{
    struct shrink shrink = {
        .operations = group->operations,
        .count = group->count,
        .memory_bytes = memory_bytes,
        .step_ns = SHRINK_STEP_NS + 4 * took_ns,
        .deadline_ns = MIN_OF(deadline_ns, real_now_ns() + SHRINK_NS),
        .excused = calloc(group->count, sizeof(bool)),
        .kept = calloc(group->count, sizeof(size_t)),
    };
    result->stretch = calloc(group->count, sizeof(*result->stretch));
    bool made = shrink.excused != NULL && shrink.kept != NULL && result->stretch != NULL;
    if (made) {
        cut(&shrink, failed);
        for (size_t i = 0; i < shrink.count; i++)
            shrink.appends |= shrink.operations[i]->op == HISTORY_APPEND;
        excuse_all(&shrink, is_negative); /* without these the rest is quick */
        excuse_all(&shrink, is_read);
        excuse_all(&shrink, is_any);
        collect_kept(&shrink, is_any);
        write_stretch(&shrink, history, result);
    }
    free(shrink.excused);
    free(shrink.kept);
    return made;
}

/* --- the verdict ------------------------------------------------------------------------------ */

static void check_groups(const struct history *history, const struct group *groups, size_t count,
                         const struct linear_limits *limits, struct linear_result *result)
{
    uint64_t begin_ns = real_now_ns();
    uint64_t deadline_ns =
        limits->timeout_ns > TIME_NEVER - begin_ns ? TIME_NEVER : begin_ns + limits->timeout_ns;
    for (size_t i = 0; i < count; i++) {
        size_t failed = 0;
        uint64_t from_ns = real_now_ns();
        const char *key = groups[i].operations[0]->key;
        enum linear_verdict verdict = search_key(groups[i].operations, groups[i].count, NULL,
                                                 limits->memory_bytes, deadline_ns, &failed);
        if (verdict == LINEAR_YES) continue;
        if (result->verdict == LINEAR_YES) result->key = key; /* the first that was too hard */
        result->verdict = verdict;
        if (verdict == LINEAR_UNDECIDED) continue; /* another key may still say NO */
        result->key = key;
        if (!find_stretch(history, &groups[i], failed, limits->memory_bytes,
                          real_now_ns() - from_ns, deadline_ns, result))
            result->verdict = LINEAR_UNDECIDED;
        return;
    }
}

void linear_check(const struct history *history, const struct linear_limits *limits,
                  struct linear_result *result)
{
    *result = (struct linear_result){ .verdict = LINEAR_YES, .operations = history->count };
    if (history->count == 0) return;
    const struct operation **operations = calloc(history->count, sizeof(struct operation *));
    struct group *groups = calloc(history->count, sizeof(*groups));
    if (operations == NULL || groups == NULL) {
        result->verdict = LINEAR_UNDECIDED;
    } else {
        result->keys = group_by_key(history, operations, groups);
        check_groups(history, groups, result->keys, limits, result);
    }
    free(groups);
    free(operations);
}
