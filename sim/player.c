/* sim/player.c - program counter, frames of repeats, background commands. */
#include "sim/player.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_A_POLL = 64, EVERY_A_POLL = 16, SEEN_SIZE = 768 };
static const uint64_t ASK_AGAIN_NS = 20 * NS_PER_MS;  /* a get that answered another value */
static const uint64_t LOOK_AGAIN_NS = 10 * NS_PER_MS; /* what time alone does not bring */

struct round { /* the plan, or a round of a repeat */
    uint64_t number, start_ns, rpcs;
};
struct background { /* an `every` */
    const struct step *step;
    uint64_t next_ns, until_ns;
    uint32_t depth;
    uint64_t times, refused;
    char why[128]; /* the first refusal */
};
enum phase { PHASE_STEPS, PHASE_JUDGE, PHASE_LOOK, PHASE_END };

struct player {
    const struct stage *stage;
    const struct plan *plan;
    struct tap *tap;
    struct player_result result;
    enum phase phase;
    size_t pc;
    uint32_t depth;
    struct round rounds[REPEAT_DEPTH_MAX + 1];
    struct background *backgrounds;
    size_t backgrounds_count;
    uint64_t now_ns, wake_ns; /* the plan's clock */
    bool outside;             /* what is waited for may come before wake_ns */
    /* of the step under way */
    bool entered;
    uint64_t entered_ns;
    struct asked *asking;
    uint64_t ask_again_ns;
    char seen[SEEN_SIZE];
    /* the history */
    bool judging;
    bool unjudged; /* operations were begun since the last verdict */
};

/* ---- time ---- */

static void wake_at(struct player *player, uint64_t plan_ns)
{
    player->wake_ns = MIN_OF(player->wake_ns, plan_ns);
}

static bool time_is(struct player *player, uint64_t plan_ns)
{
    if (player->now_ns >= plan_ns) return true;
    wake_at(player, plan_ns);
    return false;
}

/* For what the stage brings. */
static void wait_outside(struct player *player)
{
    player->outside = true;
    wake_at(player, player->now_ns + LOOK_AGAIN_NS);
}

uint64_t player_wake_ns(const struct player *player)
{
    return player->wake_ns;
}

/* ---- telling ---- */

/* "line 12: expect leader within 2s (round 3)" */
static void name_step(const struct player *player, const struct step *step, char *text, size_t size)
{
    char statement[512];
    step_print(step, statement, sizeof(statement));
    struct out out = { text, size, 0 };
    out_add(&out, "line %u: %s", step->line, statement);
    for (uint32_t depth = 1; depth <= player->depth; depth++)
        out_add(&out, "%s%llu%s", depth == 1 ? " (round " : ".",
                (unsigned long long)player->rounds[depth].number,
                depth == player->depth ? ")" : "");
}

static double seconds(const struct player *player)
{
    return (double)player->now_ns / 1e9;
}

static void fail(struct player *player, enum player_end end, const char *what, const char *why)
{
    if (player->result.failure[0] == '\0')
        snprintf(player->result.failure, sizeof(player->result.failure), "%s: %s", what, why);
    player->result.end = MAX_OF(player->result.end, end);
    if (player->tap == NULL) return;
    tap_point(player->tap, false, "%s", what);
    tap_yaml_begin(player->tap);
    tap_yaml_text(player->tap, "seen", why);
    fprintf(player->tap->file, "%*s  at: %.3f\n", player->tap->indent, "", seconds(player));
    tap_yaml_end(player->tap);
}

static void fail_step(struct player *player, const struct step *step, const char *why)
{
    char name[640];
    name_step(player, step, name, sizeof(name));
    fail(player, PLAYER_UNMET, name, why);
}

static void pass_step(struct player *player, const struct step *step)
{
    char name[640];
    if (player->tap == NULL) return;
    name_step(player, step, name, sizeof(name));
    tap_point(player->tap, true, "%s", name);
}

static void tell_step(struct player *player, const struct step *step, const char *done)
{
    char name[640];
    if (player->tap == NULL) return;
    name_step(player, step, name, sizeof(name));
    tap_comment(player->tap, "%8.3f %s: %s", seconds(player), name, done);
}

/* "ok", "value: x", "absent", "unknown: no answer in time" ... */
static void answer_text(const struct command *command, const struct answer *answer, char *text,
                        size_t size)
{
    const char *word = answer->status == HISTORY_FAIL ? "fail" : "unknown";
    if (answer->status != HISTORY_OK) snprintf(text, size, "%s: %s", word, answer->why);
    else if (command->verb == VERB_GET && answer->found)
        snprintf(text, size, "value: %.200s", answer->output);
    else if (command->verb == VERB_GET) snprintf(text, size, "absent");
    else if (command->verb == VERB_DEL)
        snprintf(text, size, "ok, it %s", answer->found ? "existed" : "did not exist");
    else if (command->verb == VERB_CAS)
        snprintf(text, size, "ok, %s", answer->found ? "replaced" : "not replaced");
    else snprintf(text, size, "ok");
}

/* ---- commands ---- */

/* Carry out what has no answer to wait for. */
static err_t carry(struct player *player, const struct command *command, char *done, size_t size)
{
    if (command->verb == VERB_LOAD && command->load.ops != 0) player->unjudged = true;
    return player->stage->carry(player->stage->state, command, done, size);
}

static err_t ask(struct player *player, const struct command *command, struct asked **asked)
{
    err_t err = player->stage->ask(player->stage->state, command, asked);
    if (err == ERR_OK) player->unjudged = true;
    return err;
}

/* The question under way. False: no answer yet. */
static bool answered(struct player *player, struct answer *answer)
{
    if (player->stage->answer(player->stage->state, player->asking, answer)) return true;
    wait_outside(player);
    return false;
}

/* True when the step is over, well or not. */
static bool run_question(struct player *player, const struct step *step)
{
    char text[SEEN_SIZE];
    struct answer answer;
    if (player->asking == NULL) {
        err_t err = ask(player, step->command, &player->asking);
        wait_outside(player);
        if (err == ERR_FULL) return false;
        if (err == ERR_OK) return false;
        fail_step(player, step, err_context());
        return true;
    }
    if (!answered(player, &answer)) return false;
    if (answer.status == HISTORY_OK && player->tap == NULL) return true;
    answer_text(step->command, &answer, text, sizeof(text));
    if (answer.status == HISTORY_OK) tell_step(player, step, text);
    else fail_step(player, step, text);
    return true;
}

static bool run_command(struct player *player, const struct step *step)
{
    char done[SEEN_SIZE] = "";
    size_t size = player->tap != NULL ? sizeof(done) : 0;
    if (verb_is_question(step->command->verb)) return run_question(player, step);
    if (carry(player, step->command, done, size) == ERR_OK) tell_step(player, step, done);
    else fail_step(player, step, err_context());
    return true;
}

/* ---- every ---- */

static void end_every(struct player *player, size_t index)
{
    struct background *background = &player->backgrounds[index];
    char text[SEEN_SIZE] = "";
    struct out out = { text, sizeof(text), 0 };
    out_add(&out, "%llu times", (unsigned long long)background->times);
    if (background->refused > 0)
        out_add(&out, ", %llu of them could not be (%s)", (unsigned long long)background->refused,
                background->why);
    tell_step(player, background->step, text);
    player->backgrounds[index] = player->backgrounds[--player->backgrounds_count];
}

/* End those of this depth and deeper. */
static void end_round(struct player *player, uint32_t depth)
{
    for (size_t i = player->backgrounds_count; i-- > 0;)
        if (player->backgrounds[i].depth >= depth) end_every(player, i);
}

static void run_background(struct player *player, struct background *background)
{
    struct asked *asked;
    const struct command *command = background->step->command;
    bool question = verb_is_question(command->verb);
    err_t err = question ? ask(player, command, &asked) : carry(player, command, NULL, 0);
    background->times++;
    if (err == ERR_OK) return;
    if (background->refused++ == 0)
        snprintf(background->why, sizeof(background->why), "%s", err_context());
}

/* At once, and then each period. */
static void begin_every(struct player *player, const struct step *step)
{
    struct background *grown =
        reallocarray(player->backgrounds, player->backgrounds_count + 1, sizeof(*grown));
    CHECK(grown != NULL);
    player->backgrounds = grown;
    struct background *background = &grown[player->backgrounds_count++];
    *background = (struct background){ .step = step,
                                       .next_ns = player->now_ns + step->at_ns,
                                       .until_ns = TIME_NEVER,
                                       .depth = player->depth };
    if (step->until_ns != TIME_NEVER)
        background->until_ns = player->rounds[player->depth].start_ns + step->until_ns;
    if (player->now_ns < background->until_ns) run_background(player, background);
    wake_at(player, MIN_OF(background->next_ns, background->until_ns));
}

static void run_backgrounds(struct player *player)
{
    for (size_t i = player->backgrounds_count; i-- > 0;) {
        struct background *background = &player->backgrounds[i];
        for (int n = 0; n < EVERY_A_POLL && background->next_ns <= player->now_ns &&
                        background->next_ns < background->until_ns;
             n++) {
            run_background(player, background);
            background->next_ns += background->step->at_ns;
        }
        if (player->now_ns >= background->until_ns) {
            end_every(player, i);
            continue;
        }
        background->next_ns = MAX_OF(background->next_ns, player->now_ns + 1); /* too far behind */
        wake_at(player, MIN_OF(background->next_ns, background->until_ns));
    }
}

/* ---- the history ---- */

static void take_verdict(struct player *player, const struct step *step,
                         const struct verdict *verdict)
{
    char what[640] = "all operations of the run", first[256];
    if (verdict->err == ERR_OK) {
        player->result.judged = true;
        player->result.linearizable = verdict->linear;
        if (verdict->linear == LINEAR_YES && player->tap == NULL) return;
    }
    const char *report = verdict->err == ERR_OK ? verdict->report : err_context();
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(report, "\n"), report);
    if (step != NULL) name_step(player, step, what, sizeof(what));
    if (verdict->err != ERR_OK) {
        fail(player, PLAYER_UNMET, what, first);
        return;
    }
    if (verdict->linear == LINEAR_YES) {
        tap_point(player->tap, true, "%s: %s", what, first);
        return;
    }
    if (verdict->linear == LINEAR_NO) fail(player, PLAYER_UNSAFE, what, first);
    else if (step != NULL) fail(player, PLAYER_UNMET, what, first);
    if (player->tap != NULL) tap_comment(player->tap, "%s", report);
}

/* Have the history judged, for a step or (NULL) because the run ends. True when that is done, well
 * or not. */
static bool run_judge(struct player *player, const struct step *step)
{
    struct verdict verdict = { .err = ERR_OK };
    if (!player->judging) player->unjudged = false;
    player->judging = !player->stage->judge(player->stage->state, &verdict);
    if (player->judging) {
        wait_outside(player);
        return false;
    }
    take_verdict(player, step, &verdict);
    free(verdict.report);
    return true;
}

/* ---- expectations ---- */

/* A get through the log, again and again. True when it has answered the value. */
static bool value_holds(struct player *player, const struct step *step)
{
    struct command get = { .verb = VERB_GET, .key = step->key };
    struct answer answer;
    if (player->asking == NULL) {
        if (!time_is(player, player->ask_again_ns)) return false;
        if (ask(player, &get, &player->asking) != ERR_OK) player->asking = NULL;
        wait_outside(player);
        return false;
    }
    if (!answered(player, &answer)) return false;
    player->asking = NULL;
    player->ask_again_ns = player->now_ns + ASK_AGAIN_NS;
    wake_at(player, player->ask_again_ns);
    answer_text(&get, &answer, player->seen, sizeof(player->seen));
    return answer.status == HISTORY_OK && answer.found && strcmp(answer.output, step->value) == 0;
}

static bool holds(struct player *player, const struct step *step, bool last)
{
    struct expect_view view;
    if (step->expect == EXPECT_VALUE) return value_holds(player, step);
    player->stage->look(player->stage->state, &view);
    return expect_holds(&view, step, player->rounds[player->depth].rpcs, player->seen,
                        last ? sizeof(player->seen) : 0);
}

/* True when the step is over, well or not. */
static bool run_expect(struct player *player, const struct step *step)
{
    if (step->expect == EXPECT_LINEARIZABLE) return run_judge(player, step);
    uint64_t until_ns = player->entered_ns + step->within_ns;
    if (holds(player, step, player->now_ns >= until_ns)) {
        pass_step(player, step);
        return true;
    }
    /* without `within` a value is judged by one answer, however long that takes */
    bool unasked = step->expect == EXPECT_VALUE && step->within_ns == 0 && player->seen[0] == '\0';
    if (player->now_ns < until_ns || unasked) {
        if (!unasked) wake_at(player, until_ns);
        if (step->expect != EXPECT_VALUE) wait_outside(player);
        return false;
    }
    fail_step(player, step, player->seen[0] != '\0' ? player->seen : "no answer to a get");
    return true;
}

/* ---- repeats ---- */

static uint64_t rpcs_now(const struct player *player)
{
    struct expect_view view;
    player->stage->look(player->stage->state, &view);
    return view.rpcs;
}

static void begin_round(struct player *player, uint64_t number)
{
    player->rounds[player->depth] = (struct round){ number, player->now_ns, rpcs_now(player) };
}

static void run_repeat(struct player *player)
{
    CHECK(player->depth < REPEAT_DEPTH_MAX);
    player->depth++;
    begin_round(player, 1);
}

/* The step that comes next. */
static size_t run_end(struct player *player, const struct step *step)
{
    uint64_t number = player->rounds[player->depth].number;
    end_round(player, player->depth);
    if (number < player->plan->steps[step->match].number) {
        begin_round(player, number + 1);
        return step->match + 1;
    }
    player->depth--;
    return player->pc + 1;
}

/* ---- steps ---- */

/* False: it has to wait. */
static bool run_step(struct player *player, const struct step *step)
{
    size_t next = player->pc + 1;
    bool over = true;
    if (!player->entered) {
        player->entered = true;
        player->entered_ns = player->now_ns;
        player->asking = NULL;
        player->ask_again_ns = 0;
        player->seen[0] = '\0';
    }
    switch (step->kind) {
    case STEP_COMMAND: over = run_command(player, step); break;
    case STEP_AT:
        over = time_is(player, player->rounds[player->depth].start_ns + step->at_ns);
        break;
    case STEP_EVERY: begin_every(player, step); break;
    case STEP_WAIT:
        if (step->at_ns == 0) over = run_expect(player, step);
        else over = time_is(player, player->entered_ns + step->at_ns);
        break;
    case STEP_EXPECT: over = run_expect(player, step); break;
    case STEP_SAY:
        if (player->tap != NULL) tap_comment(player->tap, "say: %s", step->value);
        break;
    case STEP_REPEAT: run_repeat(player); break;
    case STEP_END: next = run_end(player, step); break;
    }
    if (!over) return false;
    player->entered = false;
    player->pc = next;
    return true;
}

/* ---- the whole ---- */

struct player *player_open(const struct stage *stage, const struct plan *plan, struct tap *tap)
{
    struct player *player = calloc(1, sizeof(*player));
    CHECK(player != NULL);
    player->stage = stage;
    player->plan = plan;
    player->tap = tap;
    player->now_ns = player->wake_ns = stage->now(stage->state);
    begin_round(player, 1);
    return player;
}

static void tell_note(struct player *player, const char *which, const struct note *note)
{
    char text[256];
    note_text(note, text, sizeof(text));
    tap_comment(player->tap, "%s: at %.6f peer %u %s", which, (double)note->time_ns / 1e9,
                note->self, text);
}

/* (X2) */
static void end_unsafe(struct player *player, const struct violation *violation)
{
    char what[32];
    snprintf(what, sizeof(what), "safety %s", violation->invariant);
    fail(player, PLAYER_UNSAFE, what, violation->text);
    if (player->tap != NULL && violation->second.self != 0) {
        tell_note(player, "first", &violation->first);
        tell_note(player, "second", &violation->second);
    }
    player->phase = PHASE_END;
}

static void end_crashed(struct player *player, const char *crash)
{
    fail(player, PLAYER_UNMET, "peers live until they are killed", crash);
    end_round(player, 0);
    player->phase = PHASE_JUDGE;
}

static void run_steps(struct player *player)
{
    run_backgrounds(player);
    for (int n = 0; n < STEPS_A_POLL && player->result.end == PLAYER_GOING; n++) {
        if (player->pc == player->plan->count) break;
        if (!run_step(player, &player->plan->steps[player->pc])) return;
    }
    if (player->result.end == PLAYER_GOING && player->pc < player->plan->count) {
        wake_at(player, player->now_ns); /* there is more to do, after a look around */
        return;
    }
    end_round(player, 0);
    player->phase = PHASE_JUDGE;
}

/* What the last operations did is judged even when nobody asked for it. */
static void run_last_judge(struct player *player)
{
    if (player->unjudged || player->judging)
        if (!run_judge(player, NULL)) return;
    player->phase = PHASE_LOOK; /* (X4) */
    wake_at(player, player->now_ns);
}

enum player_end player_poll(struct player *player)
{
    const struct stage *stage = player->stage;
    if (player->phase == PHASE_END) return player->result.end;
    const struct violation *violation = stage->violated(stage->state);
    const char *crash = player->phase == PHASE_STEPS ? stage->crashed(stage->state) : NULL;
    player->now_ns = stage->now(stage->state);
    bool due = player->outside || player->now_ns >= player->wake_ns;
    if (!due && violation == NULL && crash == NULL) return PLAYER_GOING;
    player->wake_ns = TIME_NEVER;
    player->outside = false;
    if (violation != NULL) end_unsafe(player, violation);
    else if (crash != NULL) end_crashed(player, crash);
    if (player->phase == PHASE_LOOK) player->phase = PHASE_END;
    if (player->phase == PHASE_STEPS) run_steps(player);
    if (player->phase == PHASE_JUDGE) run_last_judge(player);
    if (player->phase != PHASE_END) return PLAYER_GOING;
    if (player->result.end == PLAYER_GOING) player->result.end = PLAYER_DONE;
    return player->result.end;
}

const struct player_result *player_result(const struct player *player)
{
    return &player->result;
}

void player_close(struct player *player)
{
    free(player->backgrounds);
    free(player);
}
