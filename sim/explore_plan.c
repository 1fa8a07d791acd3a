/* sim/explore_plan.c - the run is played once to see which message of which event arrives at which;
 * then its events are written with times. */
#include "sim/explore_plan.h"

#include "sim/explore_tell.h"

#include <stdlib.h>
#include <string.h>

/* of the presets: lab where new leaders append nothing, else fast */
static const uint64_t LAB_HEARTBEAT_US = 100000, FAST_HEARTBEAT_US = 50000;
enum {
    BEGIN_US = 100000,
    SLOT_US = 10000,  /* from one event to the next */
    BEFORE_US = 2000, /* links are opened so long before an event, */
    AFTER_US = 2000,  /* and closed so long after it: turns come a little late */
    SLOW = 100,
    FAST = 10, /* clocks: a hundredth of real time; ten times real time */
    COPIES = 4,
    FLIGHTS_MAX = EXPLORE_DEPTH_MAX * (STATE_PEERS + 1),
};

struct flight { /* a message, and all its copies */
    uint64_t message;
    uint32_t sent;            /* the event that sends it; events count from 0 */
    uint32_t arrives[COPIES]; /* the events that deliver it */
    uint32_t arrivals;
    uint32_t under_way; /* copies */
};
struct script {
    const struct explore_options *options;
    const struct explore_result *result;
    FILE *file;
    struct rig rig;
    struct state states[EXPLORE_DEPTH_MAX + 1];
    struct flight flights[FLIGHTS_MAX];
    uint32_t flights_count;
    uint64_t at_us[EXPLORE_DEPTH_MAX];
    /* clocks of leaders: how much of a heartbeat had passed by its own clock, and when */
    uint64_t beat_us[STATE_PEERS + 1], seen_us[STATE_PEERS + 1];
};

/* ---- which message arrives when ---- */

static uint32_t copies_in(const struct state *state, uint64_t message)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < state->count; i++) n += state->messages[i] == message;
    return n;
}

static uint32_t copies_flying(const struct script *script, uint64_t message)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < script->flights_count; i++)
        if (script->flights[i].message == message) n += script->flights[i].under_way;
    return n;
}

/* A flight of that message with a copy under way: of equal ones the first. */
static struct flight *flying(struct script *script, uint64_t message)
{
    for (uint32_t i = 0; i < script->flights_count; i++)
        if (script->flights[i].message == message && script->flights[i].under_way > 0)
            return &script->flights[i];
    check_failed(__FILE__, __LINE__, "what is under way was sent");
}

static void follow(struct script *script, uint32_t event)
{
    const struct state *before = &script->states[event], *after = before + 1;
    struct act act = script->result->acts[event];
    if (act.kind <= ACT_DUPLICATE) {
        struct flight *flight = flying(script, before->messages[act.which]);
        if (act.kind == ACT_DUPLICATE) flight->under_way++;
        else flight->under_way--;
        if (act.kind == ACT_DELIVER && flight->arrivals < COPIES)
            flight->arrives[flight->arrivals++] = event;
    }
    for (uint32_t i = 0; i < after->count; i++) {
        uint64_t message = after->messages[i];
        if (copies_in(after, message) == copies_flying(script, message)) continue;
        CHECK(script->flights_count < FLIGHTS_MAX);
        script->flights[script->flights_count++] =
            (struct flight){ .message = message, .sent = event, .under_way = 1 };
    }
}

/* ---- clocks ---- */

static uint64_t heartbeat_us(const struct script *script)
{
    return script->options->bounds.noop ? FAST_HEARTBEAT_US : LAB_HEARTBEAT_US;
}

static bool is_heartbeat(const struct script *script, uint32_t event)
{
    return script->result->acts[event].kind == ACT_HEARTBEAT;
}

static void set_times(struct script *script)
{
    uint64_t at_us = BEGIN_US;
    for (uint32_t i = 0; i < script->result->depth; i++) {
        if (is_heartbeat(script, i)) at_us += heartbeat_us(script) / FAST;
        script->at_us[i] = at_us;
        at_us += SLOT_US;
    }
}

/* ---- writing ---- */

static void put_time(struct script *script, uint64_t us)
{
    bool whole = us % 1000 == 0;
    fprintf(script->file, "%llu%s", (unsigned long long)(whole ? us / 1000 : us),
            whole ? "ms" : "us");
}

static void at(struct script *script, uint64_t us)
{
    fprintf(script->file, "at ");
    put_time(script, us);
    fprintf(script->file, " ");
}

static void open_links(struct script *script, uint32_t event)
{
    uint64_t now_us = script->at_us[event];
    for (uint32_t i = 0; i < script->flights_count; i++) {
        const struct flight *flight = &script->flights[i];
        if (flight->sent != event || flight->arrivals == 0) continue;
        uint64_t first = script->at_us[flight->arrives[0]] - now_us;
        uint64_t last = script->at_us[flight->arrives[flight->arrivals - 1]] - now_us;
        uint32_t from = (uint32_t)FIELD_GET(flight->message, FROM);
        uint32_t to = (uint32_t)FIELD_GET(flight->message, TO);
        if (flight->arrivals > 1)
            fprintf(script->file, "# copies of this one are to arrive apart, as chance has it\n");
        at(script, now_us - BEFORE_US);
        fprintf(script->file, "drop 0%% delay ");
        put_time(script, first);
        if (last != first) {
            fprintf(script->file, "..");
            put_time(script, last);
        }
        fprintf(script->file, "%s on %u > %u\n", flight->arrivals > 1 ? " dup 100%" : "", from, to);
    }
}

static void close_links(struct script *script, uint32_t event)
{
    for (uint32_t i = 0; i < script->flights_count; i++) {
        const struct flight *flight = &script->flights[i];
        if (flight->sent != event || flight->arrivals == 0) continue;
        at(script, script->at_us[event] + AFTER_US);
        fprintf(script->file, "drop 100%% delay 0%s on %u > %u\n",
                flight->arrivals > 1 ? " dup 0%" : "", (uint32_t)FIELD_GET(flight->message, FROM),
                (uint32_t)FIELD_GET(flight->message, TO));
    }
}

/* Let the clock of a leader run fast, so that its next heartbeat is due at the event's time. */
static void hurry(struct script *script, uint32_t event, uint32_t id)
{
    uint64_t at_us = script->at_us[event], period_us = heartbeat_us(script);
    uint64_t passed_us = script->beat_us[id] + (at_us - script->seen_us[id]) / SLOW;
    uint64_t left_us = passed_us < period_us ? period_us - passed_us : 0;
    at(script, at_us - left_us / FAST);
    fprintf(script->file, "skew +900%% on %u\n", id);
}

static void slow_down(struct script *script, uint32_t event, uint32_t id)
{
    at(script, script->at_us[event] + AFTER_US);
    fprintf(script->file, "skew -99%% on %u\n", id);
    script->beat_us[id] = (uint64_t)AFTER_US * FAST;
    script->seen_us[id] = script->at_us[event] + AFTER_US;
}

static bool highest_leader(const struct state *state, uint32_t peers, uint32_t id)
{
    for (uint32_t i = 0; i < peers; i++)
        if (FIELD_GET(state->peer[i], ROLE) == LEADER &&
            FIELD_GET(state->peer[i], TERM) > FIELD_GET(state->peer[id - 1], TERM))
            return false;
    return true;
}

static void write_action(struct script *script, uint32_t event)
{
    struct act act = script->result->acts[event];
    const struct state *before = &script->states[event];
    uint64_t at_us = script->at_us[event];
    switch (act.kind) {
    case ACT_TIMEOUT:
        at(script, at_us);
        fprintf(script->file, "timeout %u\n", act.which);
        break;
    case ACT_PROPOSE:
        if (!highest_leader(before, script->options->bounds.peers, act.which))
            fprintf(script->file, "# a plan cannot choose the leader of a lower term\n");
        at(script, at_us); /* once, and nobody waits for the answer */
        fprintf(script->file, "every 1s until ");
        put_time(script, at_us + 1000);
        fprintf(script->file, " put x %u\n", event + 1);
        break;
    case ACT_CRASH:
    case ACT_RESTART:
        at(script, at_us);
        fprintf(script->file, "%s %u\n", act.kind == ACT_CRASH ? "kill" : "restart", act.which);
        break;
    default: break; /* links or clocks do it */
    }
}

static void write_event(struct script *script, uint32_t event)
{
    struct act act = script->result->acts[event];
    struct state after;
    const struct state *before = &script->states[event];
    bool turn = act.kind != ACT_DROP && act.kind != ACT_DUPLICATE;
    uint32_t id = act.which;
    if (act.kind == ACT_DELIVER) id = (uint32_t)FIELD_GET(before->messages[act.which], TO);
    enum played played = explore_play(&script->rig, before, act, &after); /* its notes are told */
    fprintf(script->file, "\n# %u. ", event + 1);
    act_tell(script->file, &script->rig, before, act);
    fprintf(script->file, "\n");
    if (act.kind == ACT_HEARTBEAT) hurry(script, event, id);
    open_links(script, event);
    if (act.torn) {
        const struct update *update = &script->rig.update;
        bool saves = update->save_hard || update->save_from != 0;
        at(script, script->at_us[event] - BEFORE_US / 2);
        fprintf(script->file, "kill %u %s\n", id, saves ? "before-commit" : "before-send");
    }
    write_action(script, event);
    close_links(script, event);
    if (act.kind == ACT_HEARTBEAT) slow_down(script, event, id);
    if (!turn || played == PLAYED_BROKEN || FIELD_GET(before->peer[id - 1], ROLE) == LEADER) return;
    if (FIELD_GET(after.peer[id - 1], ROLE) != LEADER) return;
    script->beat_us[id] = 0; /* a new leader's first heartbeat has just left */
    script->seen_us[id] = script->at_us[event];
}

static void write_plan(struct script *script, const char *bug)
{
    const struct explore_result *result = script->result;
    const struct bounds *bounds = &script->options->bounds;
    uint64_t end_us = script->at_us[result->depth - 1] + SLOT_US;
    fprintf(script->file, "# %s is broken by %u events, and by no fewer:\n# %s,\n# %s.\n",
            result->finding.invariant, result->depth, result->finding.first,
            result->finding.second);
    if (bug != NULL) fprintf(script->file, "# Found and to be seen with --bug %s.\n", bug);
    fprintf(script->file, "cluster %u seed 1 preset %s\n\n", bounds->peers,
            bounds->noop ? "fast" : "lab");
    fprintf(script->file, "skew -99%% on all\n");
    if (bounds->peers > 1) fprintf(script->file, "drop 100%% on all\n");
    for (uint32_t i = 0; i < result->depth; i++) write_event(script, i);
    fprintf(script->file, "\nat ");
    put_time(script, end_us);
    fprintf(script->file, "\n");
}

char *explore_plan(const struct explore_options *options, const struct explore_result *result,
                   const char *bug)
{
    CHECK(result->end == EXPLORED_BROKEN);
    char *text = NULL;
    size_t size = 0;
    struct script *script = calloc(1, sizeof(*script));
    FILE *file = script == NULL ? NULL : open_memstream(&text, &size);
    if (file == NULL) {
        free(script);
        return NULL;
    }
    script->options = options;
    script->result = result;
    script->file = file;
    rig_init(&script->rig, &options->bounds, &options->rules);
    state_begin(&script->states[0], options->bounds.peers, options->bounds.budgets);
    for (uint32_t i = 0; i < result->depth; i++) {
        script->states[i + 1] = (struct state){ 0 };
        explore_play(&script->rig, &script->states[i], result->acts[i], &script->states[i + 1]);
        follow(script, i);
    }
    set_times(script);
    write_plan(script, bug);
    free(script);
    return fclose(file) == 0 ? text : NULL;
}
