/* fault/plan_print.c - plans as text, so that they parse to the same plan (P1). */
#include "fault/plan.h"

#include <stdlib.h>

static void out_expectation(struct out *out, const struct step *step)
{
    const struct expect_row *row = &expect_rows[step->expect];
    out_add(out, "%s", row->words);
    if (step->expect == EXPECT_COMMIT || step->expect == EXPECT_RPCS)
        out_add(out, " %llu", (unsigned long long)step->number);
    if (step->expect == EXPECT_VALUE) {
        out_add(out, " ");
        out_word(out, step->key);
        out_add(out, " ");
        out_word(out, step->value);
    }
    if (row->waits && step->within_ns != (step->kind == STEP_WAIT ? WAIT_WITHIN_NS : 0)) {
        out_add(out, " within ");
        out_time(out, step->within_ns);
    }
}

static void out_command(struct out *out, const struct command *command)
{
    size_t room = out->length < out->size ? out->size - out->length : 0;
    out->length += verb_print(command, room > 0 ? out->text + out->length : NULL, room);
}

static void out_step(struct out *out, const struct step *step)
{
    switch (step->kind) {
    case STEP_COMMAND: out_command(out, step->command); break;
    case STEP_AT:
        out_add(out, "at ");
        out_time(out, step->at_ns);
        break;
    case STEP_EVERY:
        out_add(out, "every ");
        out_time(out, step->at_ns);
        if (step->until_ns != TIME_NEVER) {
            out_add(out, " until ");
            out_time(out, step->until_ns);
        }
        out_add(out, " ");
        out_command(out, step->command);
        break;
    case STEP_WAIT:
        out_add(out, "wait ");
        if (step->at_ns > 0) out_time(out, step->at_ns);
        else out_expectation(out, step);
        break;
    case STEP_EXPECT:
        out_add(out, "expect ");
        out_expectation(out, step);
        break;
    case STEP_SAY:
        out_add(out, "say ");
        out_word(out, step->value);
        break;
    case STEP_REPEAT: out_add(out, "repeat %llu", (unsigned long long)step->number); break;
    case STEP_END: out_add(out, "end"); break;
    }
}

size_t step_print(const struct step *step, char *text, size_t size)
{
    struct out out = { text, size, 0 };
    out_step(&out, step);
    return out.length;
}

/* Can it stand on the line of an `at`? */
static bool follows_at(const struct step *step)
{
    return step->kind != STEP_AT && step->kind != STEP_REPEAT && step->kind != STEP_END;
}

static void out_plan(struct out *out, const struct plan *plan)
{
    int depth = 0;
    out_add(out, "cluster %u seed %llu preset %s\n", plan->peers, (unsigned long long)plan->seed,
            plan->preset);
    for (size_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->kind == STEP_END && depth > 0) depth--;
        out_add(out, "%*s", 4 * depth, "");
        if (step->kind == STEP_AT && i + 1 < plan->count && follows_at(step + 1)) {
            out_step(out, step++);
            out_add(out, " ");
            i++;
        }
        out_step(out, step);
        out_add(out, "\n");
        if (step->kind == STEP_REPEAT) depth++;
    }
}

char *plan_print(const struct plan *plan)
{
    struct out measure = { NULL, 0, 0 };
    out_plan(&measure, plan);
    struct out out = { malloc(measure.length + 1), measure.length + 1, 0 };
    if (out.text == NULL) return NULL;
    out_plan(&out, plan);
    return out.text;
}
