/* sim/shrink.c - delta debugging (Zeller and Hildebrandt 2002) over the lines of a plan, then one
 * small change after the other. */
#include "sim/shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_LINES = 10, SEEDS_TRIED = 20 };

struct shrink {
    struct runner_config config;
    const struct outcome *failed;
    uint32_t runs_left;
    uint32_t seeds; /* how many a candidate is given to fail with, its own first */
    char *text;     /* the best so far */
};

static bool parse(const char *text, struct plan *plan)
{
    struct parse_error error;
    return plan_parse(text, strlen(text), plan, &error) == ERR_OK;
}

/* "line 36: expect leader within 15s: no leader" -> "expect leader within 15s" */
static size_t statement_of(const char *failure, const char **statement)
{
    const char *begin = strstr(failure, ": "), *end;
    *statement = begin != NULL ? begin + 2 : failure;
    end = strstr(*statement, ": ");
    return end != NULL ? (size_t)(end - *statement) : strlen(*statement);
}

/* The same invariant; where that is an expectation, the same one. */
static bool same_failure(const struct outcome *a, const struct outcome *b)
{
    const char *one, *other;
    if (a->end != b->end || strcmp(a->invariant, b->invariant) != 0) return false;
    if (a->end != PLAYER_UNMET) return true;
    size_t length = statement_of(a->failure, &one);
    return length == statement_of(b->failure, &other) && memcmp(one, other, length) == 0;
}

static bool fails(struct shrink *shrink, const struct plan *plan)
{
    struct outcome outcome;
    shrink->runs_left--;
    runner_run(&shrink->config, plan, NULL, &outcome);
    if (!same_failure(&outcome, shrink->failed)) return false;
    if (shrink->failed->end != PLAYER_UNMET || shrink->config.bug == NULL) return true;
    runner_run(&(struct runner_config){ .bug = NULL }, plan, NULL, &outcome);
    return outcome.end == PLAYER_DONE; /* the bug is to blame, not the plan */
}

/* Keep `text`, which it takes, where it fails the same way; with another seed, too: without a line
 * all that chance brings afterwards is different. */
static bool try(struct shrink *shrink, char *text)
{
    struct plan plan;
    bool same = false;
    if (text != NULL && strcmp(text, shrink->text) != 0 && parse(text, &plan)) {
        uint64_t seed = plan.seed;
        for (uint32_t i = 0; !same && i < shrink->seeds && shrink->runs_left > 0; i++) {
            plan.seed = seed + i;
            same = fails(shrink, &plan);
        }
        if (same && plan.seed != seed) {
            free(text);
            text = plan_print(&plan);
        }
        plan_free(&plan);
    }
    free(same ? shrink->text : text);
    if (same) shrink->text = text;
    return same;
}

/* ---- lines ---- */

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++) lines += *text == '\n';
    return lines;
}

/* An expectation that is not met is met nowhere without what mends the cluster before it: where no
 * bug can be turned off to see, such lines stay, or the plan that is left would blame nobody. */
static bool is_needed(const struct shrink *shrink, const char *line, size_t length)
{
    static const char *const words[] = { "heal",   "resume", "restart", "off",
                                         "disk 0", "expect", "wait" };
    if (shrink->failed->end != PLAYER_UNMET || shrink->config.bug != NULL) return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (memmem(line, length, words[i], strlen(words[i])) != NULL) return true;
    return false;
}

/* Without `count` lines from the one with number `from` on, but for those that are needed. */
static char *without(const struct shrink *shrink, size_t from, size_t count)
{
    const char *text = shrink->text;
    char *rest = malloc(strlen(text) + 1), *to = rest;
    CHECK(rest != NULL);
    for (size_t line = 0; *text != '\0'; line++) {
        size_t length = strcspn(text, "\n");
        length += text[length] == '\n';
        if (line < from || line >= from + count || is_needed(shrink, text, length)) {
            memcpy(to, text, length);
            to += length;
        }
        text += length;
    }
    *to = '\0';
    return rest;
}

/* The header stays. From the end on: what comes after the failure goes first. */
static bool leave_out(struct shrink *shrink, size_t chunk)
{
    bool any = false;
    size_t lines = count_lines(shrink->text);
    for (size_t from = lines; from > 1;) {
        size_t count = MIN_OF(chunk, from - 1);
        from -= count;
        any |= try(shrink, without(shrink, from, count));
    }
    return any;
}

static void leave_out_lines(struct shrink *shrink)
{
    for (size_t chunk = count_lines(shrink->text) / 2; chunk > 1; chunk /= 2)
        leave_out(shrink, chunk);
    while (leave_out(shrink, 1)) continue;
}

/* ---- what a line says ---- */

/* One small change to a command or a step; false: there is none with this number. */
static bool weaken_command(struct command *command, uint32_t change)
{
    uint32_t bit = 1u << change;
    if (verb_is_link_fault(command->verb)) {
        uint32_t fields = command->rule_fields;
        for (uint32_t verb = 0; verb < VERB_COUNT; verb++) {
            if ((fields & RULE_FIELD(verb)) == 0 || change-- > 0) continue;
            command->rule_fields &= ~RULE_FIELD(verb);
            return command->rule_fields != 0;
        }
        return false;
    }
    if (command->verb != VERB_LOAD || command->load.ops == 0) return false;
    if (bit <= LOAD_CAS) {
        command->load.ops &= ~bit;
        if (command->load.ops == 0) command->load.ops = LOAD_PUT;
        return true;
    }
    switch (change) {
    case 5: command->load.clients = 1; return true;
    case 6: command->load.keys = 1; return true;
    case 7: command->load.per_second = MAX_OF(command->load.per_second / 4, 1); return true;
    default: return false;
    }
}

/* All that follows comes earlier by the half of the gap before step `index`. */
static bool move_up(struct plan *plan, size_t index)
{
    uint64_t before_ns = 0;
    if (plan->steps[index].kind != STEP_AT) return false;
    for (size_t i = 0; i < index; i++)
        if (plan->steps[i].kind == STEP_AT) before_ns = plan->steps[i].at_ns;
    uint64_t gap_ms =
        (plan->steps[index].at_ns - MIN_OF(before_ns, plan->steps[index].at_ns)) / NS_PER_MS;
    if (gap_ms < 2) return false;
    for (size_t i = index; i < plan->count; i++)
        if (plan->steps[i].kind == STEP_AT) plan->steps[i].at_ns -= gap_ms / 2 * NS_PER_MS;
    return true;
}

/* Change number `change` of step `index`. False: there is no such change. */
static bool weaken(struct shrink *shrink, size_t index, uint32_t change, bool *better)
{
    struct plan plan;
    bool changed = false;
    *better = false;
    if (!parse(shrink->text, &plan)) return false;
    if (index < plan.count && plan.steps[index].command != NULL)
        /* the commands are the plan's own, const for readers */
        changed = weaken_command((struct command *)(uintptr_t)plan.steps[index].command, change);
    else if (index < plan.count && change == 0) changed = move_up(&plan, index);
    if (changed) *better = try(shrink, plan_print(&plan));
    plan_free(&plan);
    return changed;
}

static void weaken_lines(struct shrink *shrink)
{
    struct plan plan;
    if (!parse(shrink->text, &plan)) return;
    size_t steps = plan.count;
    plan_free(&plan);
    for (size_t index = 0; index < steps && shrink->runs_left > 0; index++) {
        bool better;
        for (uint32_t change = 0; weaken(shrink, index, change, &better);)
            change += !better; /* after a change that helped the same number is another one */
    }
}

static void use_fewer_peers(struct shrink *shrink)
{
    struct plan plan;
    bool better = shrink->failed->end != PLAYER_UNMET || shrink->config.bug != NULL;
    while (better && parse(shrink->text, &plan)) {
        better = plan.peers-- > 1 && try(shrink, plan_print(&plan));
        plan_free(&plan);
    }
}

char *shrink_plan(const struct runner_config *config, const char *text,
                  const struct outcome *failed, uint32_t runs_max)
{
    struct shrink shrink = { .config = { .bug = config->bug },
                             .failed = failed,
                             .runs_left = runs_max,
                             .seeds = 1,
                             .text = strdup(text) };
    CHECK(shrink.text != NULL);
    leave_out_lines(&shrink);
    if (count_lines(shrink.text) > FEW_LINES) {
        shrink.seeds = SEEDS_TRIED;
        leave_out_lines(&shrink);
    }
    use_fewer_peers(&shrink);
    weaken_lines(&shrink);
    leave_out_lines(&shrink);
    return shrink.text;
}
