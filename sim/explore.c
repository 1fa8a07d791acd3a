/* sim/explore.c - the search. (X1) is in explore's loop: a depth is complete before the next. */
#include "sim/explore.h"

#include "sim/canon.h"
#include "sim/spool.h"
#include "sim/visited.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100, BATCH_MORE = 128 };
_Static_assert(BATCH < BATCH_MORE, "their number and a bit are a byte");

struct search {
    const struct explore_options *options;
    struct explore_result *result;
    struct rig rig;
    struct canon canon;
    struct visited visited;
    struct pool pool;
    struct spool frontier, next, trace;
    uint64_t expanded;  /* the number of the state whose children are looked for */
    struct act playing; /* the event that is being played */
    uint32_t depth;
    uint64_t began_ns, told_ns;
    /* children of one state, kept together until their fingerprints are looked up */
    struct state children[BATCH];
    uint64_t fingerprints[BATCH];
    struct act by[BATCH];
    uint32_t count;
};

/* ---- a CHECK that fails in the core ---- */

static jmp_buf *escape;
static struct rig *escaped;

static void caught(const char *file, int line, const char *condition)
{
    if (escape == NULL || strncmp(file, "node/core/", 10) != 0) return; /* our own fault */
    act_blame(escaped, file, line, condition);
    longjmp(*escape, 1);
}

static void lose(const struct rig *rig, struct act act, struct state *after)
{
    uint32_t lost = losses_first(rig, after);
    if (lost == 0) return;
    for (uint32_t i = 0; i < act.loss; i++) lost = losses_next(after, lost);
    state_lose(after, lost);
}

enum played explore_play(struct rig *rig, const struct state *before, struct act act,
                         struct state *after)
{
    jmp_buf here;
    volatile enum played played = PLAYED_BROKEN;
    escape = &here;
    escaped = rig;
    check_catch(caught);
    if (_setjmp(here) == 0) played = act_play(rig, before, act, after);
    check_catch(NULL);
    escape = NULL;
    if (played == PLAYED) lose(rig, act, after);
    return played;
}

/* ---- memory ---- */

/* What one has taken the other cannot have. */
static void share_memory(struct search *search)
{
    uint64_t all = search->options->memory_bytes;
    search->pool.bytes_max = all > search->visited.bytes ? all - search->visited.bytes : 0;
    search->visited.bytes_max = all > search->pool.bytes ? all - search->pool.bytes : 0;
}

static bool keep(struct search *search, const struct state *state)
{
    share_memory(search);
    uint8_t *room = spool_room(&search->pool, &search->next, STATE_BYTES_MAX + 8);
    if (room == NULL) return false;
    spool_add(&search->next, state_pack(state, search->options->bounds.peers, room));
    return true;
}

/* ---- one state ---- */

static void count_event(struct search *search, struct act act, const struct state *before,
                        const struct state *after)
{
    struct explore_result *result = search->result;
    result->events++;
    result->played[act.kind]++;
    for (uint32_t i = 0; i < search->options->bounds.peers; i++) {
        uint64_t was = before->peer[i], is = after->peer[i];
        if (was == is) continue;
        result->elections += FIELD_GET(is, ROLE) == LEADER && FIELD_GET(was, ROLE) != LEADER;
        result->commits += FIELD_GET(is, COMMIT) > FIELD_GET(was, COMMIT);
    }
}

/* Those children that are new go to the next frontier. `more`: the same state has others. False:
 * memory is full. */
static bool keep_new(struct search *search, bool more)
{
    share_memory(search);
    uint8_t *trace = spool_room(&search->pool, &search->trace, 1 + BATCH * ACT_BYTES);
    if (trace == NULL) return false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < search->count; i++) {
        bool added;
        err_t err = visited_add(&search->visited, search->fingerprints[i], &added);
        if (err != ERR_OK) return false;
        if (!added) continue;
        if (!keep(search, &search->children[i])) return false;
        act_pack(search->by[i], trace + 1 + ACT_BYTES * kept++);
    }
    trace[0] = (uint8_t)(kept | (more ? BATCH_MORE : 0));
    spool_add(&search->trace, 1u + ACT_BYTES * kept);
    search->trace.last->parents += more ? 0 : 1;
    search->trace.last->children += kept;
    search->count = 0;
    return true;
}

/* The child at the end of the batch is ready. */
static bool add_child(struct search *search, struct act act)
{
    uint32_t i = search->count++;
    search->by[i] = act;
    search->fingerprints[i] = canon_fingerprint(&search->canon, &search->children[i]);
    visited_expect(&search->visited, search->fingerprints[i]);
    return search->count < BATCH || keep_new(search, true);
}

/* The network has no room for all that is under way: a child for each way to lose some. */
static bool add_losing(struct search *search, struct act act, const struct state *full)
{
    for (uint32_t lost = losses_first(&search->rig, full); lost != 0;
         lost = losses_next(full, lost), act.loss++) {
        struct state *child = &search->children[search->count];
        *child = *full;
        state_lose(child, lost);
        search->result->lost += peer_count(lost);
        if (!add_child(search, act)) return false;
    }
    return true;
}

enum expanded { EXPANDED, EXPANDED_BROKEN, EXPANDED_FULL };

static enum expanded expand(struct search *search, const struct state *state)
{
    struct act acts[ACTS_MAX];
    uint32_t count = acts_of(&search->rig, state, acts);
    for (uint32_t i = 0; i < count; i++) {
        struct state *child = &search->children[search->count];
        search->playing = acts[i];
        enum played played = act_play(&search->rig, state, acts[i], child);
        if (played == PLAYED_NOTHING) continue;
        if (played == PLAYED_BROKEN) return EXPANDED_BROKEN;
        count_event(search, acts[i], state, child);
        bool fits = child->count <= search->options->bounds.messages;
        struct state full;
        if (!fits) full = *child;
        if (fits ? !add_child(search, acts[i]) : !add_losing(search, acts[i], &full))
            return EXPANDED_FULL;
    }
    return keep_new(search, false) ? EXPANDED : EXPANDED_FULL;
}

/* ---- the way back ---- */

/* The parent of state `number` (not 0), and the event between. */
static uint64_t parent_of(const struct search *search, uint64_t number, struct act *act)
{
    uint64_t parent = 0, child = 1; /* the first ones of what comes next */
    const struct chunk *chunk = search->trace.first;
    for (; child + chunk->children <= number; chunk = chunk->next) {
        child += chunk->children;
        parent += chunk->parents;
        CHECK(chunk->next != NULL);
    }
    for (const uint8_t *at = chunk->bytes;;) {
        uint32_t kept = *at & (BATCH_MORE - 1);
        if (child + kept > number) {
            *act = act_unpack(at + 1 + ACT_BYTES * (number - child));
            return parent;
        }
        if ((*at & BATCH_MORE) == 0) parent++;
        child += kept;
        at += 1 + ACT_BYTES * kept;
    }
}

/* The events that lead to what has just been found. */
static void found(struct search *search)
{
    struct explore_result *result = search->result;
    result->end = EXPLORED_BROKEN;
    result->finding = search->rig.finding;
    result->acts[search->depth - 1] = search->playing;
    uint64_t number = search->expanded;
    for (uint32_t i = search->depth - 1; i-- > 0;)
        number = parent_of(search, number, &result->acts[i]);
    CHECK(number == 0);
}

/* ---- one depth ---- */

static void tell(struct search *search)
{
    const struct explore_options *options = search->options;
    if (options->progress == NULL || options->progress_ns == 0) return;
    uint64_t now_ns = real_now_ns();
    if (now_ns - search->told_ns < options->progress_ns) return;
    search->told_ns = now_ns;
    struct explore_progress progress = {
        .depth = search->depth,
        .states = search->visited.count,
        .frontier = search->frontier.items + search->next.items,
        .events = search->result->events,
        .bytes = search->visited.bytes + search->pool.bytes,
        .elapsed_ns = now_ns - search->began_ns,
    };
    options->progress(&progress, options->context);
}

/* Find the children of the whole frontier. False: the search is over, result->end says why. */
static bool expand_all(struct search *search)
{
    struct state state;
    while (search->frontier.first != NULL) {
        const struct chunk *chunk = search->frontier.first;
        const uint8_t *at = chunk->bytes;
        for (uint32_t i = 0; i < chunk->items; i++, search->expanded++) {
            at += state_unpack(at, search->options->bounds.peers, &state);
            enum expanded expanded = expand(search, &state);
            if (expanded == EXPANDED) continue;
            if (expanded == EXPANDED_BROKEN) found(search);
            else search->result->end = EXPLORED_FULL;
            return false;
        }
        spool_drop(&search->pool, &search->frontier);
        tell(search);
    }
    return true;
}

static bool expand_and_catch(struct search *search)
{
    jmp_buf here;
    volatile bool more = false;
    escape = &here;
    escaped = &search->rig;
    check_catch(caught);
    if (_setjmp(here) == 0) more = expand_all(search);
    else found(search);
    check_catch(NULL);
    escape = NULL;
    return more;
}

/* ---- all ---- */

static err_t begin(struct search *search)
{
    const struct explore_options *options = search->options;
    rig_init(&search->rig, &options->bounds, &options->rules);
    canon_init(&search->canon, options->bounds.peers, options->symmetry);
    if (visited_init(&search->visited, options->memory_bytes) != ERR_OK) return ERR_SYSTEM;
    struct state state;
    bool added;
    state_begin(&state, options->bounds.peers, options->bounds.budgets);
    err_t err = visited_add(&search->visited, canon_fingerprint(&search->canon, &state), &added);
    if (err == ERR_OK && keep(search, &state)) return ERR_OK;
    return err_begin(ERR_INPUT, "%llu bytes are not even enough to begin",
                     (unsigned long long)options->memory_bytes);
}

static void run(struct search *search)
{
    struct explore_result *result = search->result;
    for (;;) {
        search->frontier = search->next;
        search->next = (struct spool){ 0 };
        result->frontier_most = MAX_OF(result->frontier_most, search->frontier.items);
        result->end = search->frontier.items == 0 ? EXPLORED_WITHIN : EXPLORED_DEPTH;
        if (result->end == EXPLORED_WITHIN || search->depth == search->options->depth) return;
        search->depth++;
        if (!expand_and_catch(search)) break;
        result->depth = search->depth;
    }
    if (result->end == EXPLORED_BROKEN) result->depth = search->depth;
}

err_t explore(const struct explore_options *options, struct explore_result *result)
{
    CHECK(options->depth >= 1);
    CHECK(options->depth <= EXPLORE_DEPTH_MAX);
    err_t err = bounds_check(&options->bounds);
    if (err != ERR_OK) return err;
    struct search *search = calloc(1, sizeof(*search));
    if (search == NULL) return err_begin(ERR_SYSTEM, "out of memory");
    memset(result, 0, sizeof(*result));
    search->options = options;
    search->result = result;
    search->began_ns = search->told_ns = real_now_ns();
    err = begin(search);
    if (err == ERR_OK) run(search);
    result->states = search->visited.count;
    result->visited_bytes = search->visited.bytes;
    result->bytes = search->visited.bytes + search->pool.bytes;
    result->elapsed_ns = real_now_ns() - search->began_ns;
    spool_free(&search->pool, &search->frontier);
    spool_free(&search->pool, &search->next);
    spool_free(&search->pool, &search->trace);
    pool_free(&search->pool);
    visited_free(&search->visited);
    free(search);
    return err;
}
