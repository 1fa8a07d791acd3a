/* ctl/executor.c - program counter, frames of repeats, background commands. */
#include "ctl/executor.h"

#include "ctl/asked.h"
#include "ctl/carry.h"
#include "ctl/expect.h"
#include "ctl/load.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_A_POLL = 64, EVERY_A_POLL = 16, SEEN_SIZE = 768 };
static const uint64_t ASK_AGAIN_NS = 20 * NS_PER_MS;

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
enum stage { STAGE_STEPS, STAGE_JUDGE, STAGE_END };
enum judging { JUDGE_IDLE, JUDGE_DRAINING, JUDGE_WORKING };

struct executor {
    struct supervisor *supervisor;
    const struct plan *plan;
    struct tap *tap;
    struct executor_result result;
    enum stage stage;
    size_t pc;
    uint32_t depth;
    struct round rounds[REPEAT_DEPTH_MAX + 1];
    struct background *backgrounds;
    size_t backgrounds_count;
    uint64_t now_ns, wake_ns;     /* the plan's clock */
    uint64_t cluster_ns, real_ns; /* at the last look */
    /* of the step under way */
    bool entered;
    uint64_t entered_ns;
    struct asked *asking;
    uint64_t ask_again_ns; /* real time */
    char seen[SEEN_SIZE];
    /* the history */
    struct asked_list asked;
    enum judging judging;
    struct judge judge;
    bool unjudged;   /* operations were begun since the last verdict */
    char crash[128]; /* a peer died that nobody had killed */
};

/* ---- time ---- */

static void look_at_clock(struct executor *executor)
{
    struct clock_face face = { .rate_ppm = PPM };
    uint64_t real_ns = real_now_ns(), cluster_ns = cluster_now_ns(executor->supervisor->cluster);
    clock_read(region_clock(executor->supervisor->cluster->region), &face);
    uint64_t passed_ns = cluster_ns - executor->cluster_ns;
    if (face.rate_ppm == 0) passed_ns = MAX_OF(passed_ns, real_ns - executor->real_ns);
    executor->now_ns += passed_ns;
    executor->cluster_ns = cluster_ns;
    executor->real_ns = real_ns;
    executor->wake_ns = TIME_NEVER;
}

static void wake_at(struct executor *executor, uint64_t plan_ns)
{
    executor->wake_ns = MIN_OF(executor->wake_ns, plan_ns);
}

uint64_t executor_wake_ns(const struct executor *executor)
{
    struct clock_face face = { .rate_ppm = PPM };
    if (executor->wake_ns == TIME_NEVER) return TIME_NEVER;
    clock_read(region_clock(executor->supervisor->cluster->region), &face);
    uint64_t left_ns =
        executor->wake_ns > executor->now_ns ? executor->wake_ns - executor->now_ns : 0;
    double rate = face.rate_ppm == 0 ? 1.0 : (double)face.rate_ppm / PPM;
    double real_ns = MIN_OF((double)left_ns / rate, (double)NS_PER_S);
    return executor->real_ns + (uint64_t)real_ns;
}

/* ---- telling ---- */

/* "line 12: expect leader within 2s (round 3)" */
static void name_step(const struct executor *executor, const struct step *step, char *text,
                      size_t size)
{
    char statement[512];
    step_print(step, statement, sizeof(statement));
    struct out out = { text, size, 0 };
    out_add(&out, "line %u: %s", step->line, statement);
    for (uint32_t depth = 1; depth <= executor->depth; depth++)
        out_add(&out, "%s%llu%s", depth == 1 ? " (round " : ".",
                (unsigned long long)executor->rounds[depth].number,
                depth == executor->depth ? ")" : "");
}

static double seconds(const struct executor *executor)
{
    return (double)executor->now_ns / 1e9;
}

static void fail(struct executor *executor, enum executor_end end, const char *what,
                 const char *why)
{
    if (executor->result.failure[0] == '\0')
        snprintf(executor->result.failure, sizeof(executor->result.failure), "%s: %s", what, why);
    executor->result.end = MAX_OF(executor->result.end, end);
    tap_point(executor->tap, false, "%s", what);
    tap_yaml_begin(executor->tap);
    tap_yaml_text(executor->tap, "seen", why);
    fprintf(executor->tap->file, "%*s  at: %.3f\n", executor->tap->indent, "", seconds(executor));
    tap_yaml_end(executor->tap);
}

static void fail_step(struct executor *executor, const struct step *step, const char *why)
{
    char name[640];
    name_step(executor, step, name, sizeof(name));
    fail(executor, EXECUTOR_UNMET, name, why);
}

static void pass_step(struct executor *executor, const struct step *step)
{
    char name[640];
    name_step(executor, step, name, sizeof(name));
    tap_point(executor->tap, true, "%s", name);
}

static void tell_step(struct executor *executor, const struct step *step, const char *done)
{
    char name[640];
    name_step(executor, step, name, sizeof(name));
    tap_comment(executor->tap, "%8.3f %s: %s", seconds(executor), name, done);
}

/* ---- commands ---- */

/* Carry out what has no answer to wait for. */
static err_t carry(struct executor *executor, const struct command *command, char *done,
                   size_t size)
{
    if (command->verb == VERB_LOAD && command->load.ops != 0) executor->unjudged = true;
    return carry_out(executor->supervisor, command, done, size);
}

static err_t ask(struct executor *executor, const struct command *command, struct asked **asked)
{
    err_t err = asked_new(&executor->asked, executor->supervisor, command, asked);
    if (err == ERR_OK) executor->unjudged = true;
    return err;
}

/* True when the step is over, well or not. */
static bool run_question(struct executor *executor, const struct step *step)
{
    char text[SEEN_SIZE];
    if (executor->asking == NULL) {
        err_t err = ask(executor, step->command, &executor->asking);
        if (err == ERR_FULL) return false;
        if (err == ERR_OK) return false;
        fail_step(executor, step, err_context());
        return true;
    }
    if (!executor->asking->done) return false;
    asked_text(executor->asking, text, sizeof(text));
    if (executor->asking->status == RESULT_OK) tell_step(executor, step, text);
    else fail_step(executor, step, text);
    return true;
}

static bool run_command(struct executor *executor, const struct step *step)
{
    char done[SEEN_SIZE] = "";
    if (carry_is_question(step->command->verb)) return run_question(executor, step);
    if (carry(executor, step->command, done, sizeof(done)) == ERR_OK)
        tell_step(executor, step, done);
    else fail_step(executor, step, err_context());
    return true;
}

/* ---- every ---- */

static void end_every(struct executor *executor, size_t index)
{
    struct background *background = &executor->backgrounds[index];
    char text[SEEN_SIZE];
    struct out out = { text, sizeof(text), 0 };
    out_add(&out, "%llu times", (unsigned long long)background->times);
    if (background->refused > 0)
        out_add(&out, ", %llu of them could not be (%s)", (unsigned long long)background->refused,
                background->why);
    tell_step(executor, background->step, text);
    executor->backgrounds[index] = executor->backgrounds[--executor->backgrounds_count];
}

/* End those of this depth and deeper. */
static void end_round(struct executor *executor, uint32_t depth)
{
    for (size_t i = executor->backgrounds_count; i-- > 0;)
        if (executor->backgrounds[i].depth >= depth) end_every(executor, i);
}

static void run_background(struct executor *executor, struct background *background)
{
    char done[SEEN_SIZE];
    struct asked *asked;
    const struct command *command = background->step->command;
    bool question = carry_is_question(command->verb);
    err_t err =
        question ? ask(executor, command, &asked) : carry(executor, command, done, sizeof(done));
    background->times++;
    if (err == ERR_OK) return;
    if (background->refused++ == 0)
        snprintf(background->why, sizeof(background->why), "%s", err_context());
}

/* At once, and then each period. */
static void begin_every(struct executor *executor, const struct step *step)
{
    struct background *grown =
        reallocarray(executor->backgrounds, executor->backgrounds_count + 1, sizeof(*grown));
    CHECK(grown != NULL);
    executor->backgrounds = grown;
    struct background *background = &grown[executor->backgrounds_count++];
    *background = (struct background){ .step = step,
                                       .next_ns = executor->now_ns + step->at_ns,
                                       .until_ns = TIME_NEVER,
                                       .depth = executor->depth };
    if (step->until_ns != TIME_NEVER)
        background->until_ns = executor->rounds[executor->depth].start_ns + step->until_ns;
    if (executor->now_ns < background->until_ns) run_background(executor, background);
}

static void run_backgrounds(struct executor *executor)
{
    for (size_t i = executor->backgrounds_count; i-- > 0;) {
        struct background *background = &executor->backgrounds[i];
        for (int n = 0; n < EVERY_A_POLL && background->next_ns <= executor->now_ns &&
                        background->next_ns < background->until_ns;
             n++) {
            run_background(executor, background);
            background->next_ns += background->step->at_ns;
        }
        if (executor->now_ns >= background->until_ns) {
            end_every(executor, i);
            continue;
        }
        background->next_ns =
            MAX_OF(background->next_ns, executor->now_ns + 1); /* too far behind */
        wake_at(executor, MIN_OF(background->next_ns, background->until_ns));
    }
}

/* ---- the history ---- */

err_t executor_history(const struct executor *executor, struct history *history)
{
    const struct supervisor *supervisor = executor->supervisor;
    err_t err = supervisor->load != NULL ? load_history(supervisor->load, history) : ERR_OK;
    return err == ERR_OK ? asked_history(&executor->asked, history) : err;
}

static err_t start_judge(struct executor *executor)
{
    static const struct linear_limits limits = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS };
    struct history history;
    history_init(&history);
    executor->unjudged = false;
    err_t err = executor_history(executor, &history);
    if (err == ERR_OK) err = judge_start(&executor->judge, &history, &limits);
    history_free(&history);
    return err;
}

static void take_verdict(struct executor *executor, const struct step *step, const char *what,
                         enum linear_verdict verdict, const char *report)
{
    char first[256];
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(report, "\n"), report);
    executor->result.judged = true;
    executor->result.linearizable = verdict;
    if (verdict == LINEAR_YES) {
        tap_point(executor->tap, true, "%s: %s", what, first);
        return;
    }
    if (verdict == LINEAR_NO) fail(executor, EXECUTOR_UNSAFE, what, first);
    else if (step != NULL) fail(executor, EXECUTOR_UNMET, what, first);
    tap_comment(executor->tap, "%s", report);
}

/* Let the load end, then have the history judged, for a step or (NULL) because the run ends. True
 * when that is done, well or not. */
static bool run_judge(struct executor *executor, const struct step *step)
{
    char what[640] = "all operations of the run";
    struct load *load = executor->supervisor->load;
    enum linear_verdict verdict;
    char *report;
    if (step != NULL) name_step(executor, step, what, sizeof(what));
    if (executor->judging == JUDGE_IDLE) {
        if (load != NULL) load_finish(load);
        executor->judging = JUDGE_DRAINING;
    }
    if (executor->judging == JUDGE_DRAINING) {
        if (load != NULL && load_running(load)) return false;
        executor->judging = JUDGE_WORKING;
        if (start_judge(executor) == ERR_OK) return false;
        fail(executor, EXECUTOR_UNMET, what, err_context());
        executor->judging = JUDGE_IDLE;
        return true;
    }
    if (!judge_done(&executor->judge, &verdict, &report)) return false;
    executor->judging = JUDGE_IDLE;
    take_verdict(executor, step, what, verdict, report);
    free(report);
    return true;
}

/* ---- expectations ---- */

/* A get through the log, again and again. True when it has answered the value. */
static bool value_holds(struct executor *executor, const struct step *step)
{
    struct command get = { .verb = VERB_GET, .key = step->key };
    if (executor->asking == NULL) {
        if (real_now_ns() < executor->ask_again_ns) return false;
        if (ask(executor, &get, &executor->asking) != ERR_OK) executor->asking = NULL;
        return false;
    }
    struct asked *asked = executor->asking;
    if (!asked->done) return false;
    executor->asking = NULL;
    executor->ask_again_ns = real_now_ns() + ASK_AGAIN_NS;
    asked_text(asked, executor->seen, sizeof(executor->seen));
    return asked->status == RESULT_OK && asked->found && strcmp(asked->output, step->value) == 0;
}

static bool holds(struct executor *executor, const struct step *step)
{
    struct expect_view view;
    if (step->expect == EXPECT_VALUE) return value_holds(executor, step);
    expect_look(executor->supervisor->cluster, &view);
    return expect_holds(&view, step, executor->rounds[executor->depth].rpcs, executor->seen,
                        sizeof(executor->seen));
}

/* True when the step is over, well or not. */
static bool run_expect(struct executor *executor, const struct step *step)
{
    if (step->expect == EXPECT_LINEARIZABLE) return run_judge(executor, step);
    uint64_t until_ns = executor->entered_ns + step->within_ns;
    if (holds(executor, step)) {
        pass_step(executor, step);
        return true;
    }
    /* without `within` a value is judged by one answer, however long that takes */
    bool unasked =
        step->expect == EXPECT_VALUE && step->within_ns == 0 && executor->seen[0] == '\0';
    if (executor->now_ns < until_ns || unasked) {
        if (!unasked) wake_at(executor, until_ns);
        return false;
    }
    fail_step(executor, step, executor->seen[0] != '\0' ? executor->seen : "no answer to a get");
    return true;
}

/* ---- repeats ---- */

static uint64_t rpcs_now(const struct executor *executor)
{
    struct expect_view view;
    expect_look(executor->supervisor->cluster, &view);
    return view.rpcs;
}

static void begin_round(struct executor *executor, uint64_t number)
{
    executor->rounds[executor->depth] =
        (struct round){ number, executor->now_ns, rpcs_now(executor) };
}

static void run_repeat(struct executor *executor)
{
    CHECK(executor->depth < REPEAT_DEPTH_MAX);
    executor->depth++;
    begin_round(executor, 1);
}

/* The step that comes next. */
static size_t run_end(struct executor *executor, const struct step *step)
{
    uint64_t number = executor->rounds[executor->depth].number;
    end_round(executor, executor->depth);
    if (number < executor->plan->steps[step->match].number) {
        begin_round(executor, number + 1);
        return step->match + 1;
    }
    executor->depth--;
    return executor->pc + 1;
}

/* ---- steps ---- */

static bool time_is(struct executor *executor, uint64_t plan_ns)
{
    if (executor->now_ns >= plan_ns) return true;
    wake_at(executor, plan_ns);
    return false;
}

/* False: it has to wait. */
static bool run_step(struct executor *executor, const struct step *step)
{
    size_t next = executor->pc + 1;
    bool over = true;
    if (!executor->entered) {
        executor->entered = true;
        executor->entered_ns = executor->now_ns;
        executor->asking = NULL;
        executor->ask_again_ns = 0;
        executor->seen[0] = '\0';
    }
    switch (step->kind) {
    case STEP_COMMAND: over = run_command(executor, step); break;
    case STEP_AT:
        over = time_is(executor, executor->rounds[executor->depth].start_ns + step->at_ns);
        break;
    case STEP_EVERY: begin_every(executor, step); break;
    case STEP_WAIT:
        if (step->at_ns == 0) over = run_expect(executor, step);
        else over = time_is(executor, executor->entered_ns + step->at_ns);
        break;
    case STEP_EXPECT: over = run_expect(executor, step); break;
    case STEP_SAY: tap_comment(executor->tap, "say: %s", step->value); break;
    case STEP_REPEAT: run_repeat(executor); break;
    case STEP_END: next = run_end(executor, step); break;
    }
    if (!over) return false;
    executor->entered = false;
    executor->pc = next;
    return true;
}

/* ---- the whole ---- */

static void on_note(void *context, const struct note *note)
{
    struct executor *executor = context;
    if (note->kind != NOTE_DIED) return;
    if (note->a == SIGKILL) {
        executor->result.kills++;
        return;
    }
    if (executor->crash[0] != '\0') return;
    if (note->a != 0)
        snprintf(executor->crash, sizeof(executor->crash), "peer %u died by itself: signal %llu",
                 note->other, (unsigned long long)note->a);
    else
        snprintf(executor->crash, sizeof(executor->crash),
                 "peer %u ended by itself: exit code %llu", note->other,
                 (unsigned long long)note->b);
}

struct executor *executor_open(struct supervisor *supervisor, const struct plan *plan,
                               struct tap *tap)
{
    struct executor *executor = calloc(1, sizeof(*executor));
    CHECK(executor != NULL);
    executor->supervisor = supervisor;
    executor->plan = plan;
    executor->tap = tap;
    executor->cluster_ns = cluster_now_ns(supervisor->cluster);
    executor->real_ns = real_now_ns();
    supervisor->each_note = on_note;
    supervisor->context = executor;
    begin_round(executor, 1);
    return executor;
}

static void tell_note(struct executor *executor, const char *which, const struct note *note)
{
    char text[256];
    note_text(note, text, sizeof(text));
    tap_comment(executor->tap, "%s: at %.6f peer %u %s", which, (double)note->time_ns / 1e9,
                note->self, text);
}

/* (X2) */
static void freeze(struct executor *executor)
{
    struct supervisor *supervisor = executor->supervisor;
    for (uint32_t id = 1; id <= supervisor->cluster->config.peers; id++) {
        if (cluster_pause(supervisor->cluster, id) != ERR_OK) continue; /* dead or paused already */
    }
    observer_poll(supervisor->observer);
    fail(executor, EXECUTOR_UNSAFE, "safety", supervisor->violation.text);
    tell_note(executor, "first", &supervisor->violation.first);
    tell_note(executor, "second", &supervisor->violation.second);
    executor->stage = STAGE_END;
}

static void run_steps(struct executor *executor)
{
    run_backgrounds(executor);
    for (int n = 0; n < STEPS_A_POLL && executor->result.end == EXECUTOR_GOING; n++) {
        if (executor->pc == executor->plan->count) break;
        if (!run_step(executor, &executor->plan->steps[executor->pc])) return;
    }
    if (executor->result.end == EXECUTOR_GOING && executor->pc < executor->plan->count) {
        wake_at(executor, executor->now_ns); /* there is more to do, after a look around */
        return;
    }
    end_round(executor, 0);
    executor->stage = STAGE_JUDGE;
}

/* What the last operations did is judged even when nobody asked for it. */
static void run_last_judge(struct executor *executor)
{
    if (executor->unjudged || executor->judging != JUDGE_IDLE)
        if (!run_judge(executor, NULL)) return;
    executor->stage = STAGE_END;
}

enum executor_end executor_poll(struct executor *executor)
{
    look_at_clock(executor);
    if (executor->stage != STAGE_END && executor->supervisor->violated) freeze(executor);
    if (executor->stage == STAGE_STEPS && executor->crash[0] != '\0') {
        fail(executor, EXECUTOR_UNMET, "peers live until they are killed", executor->crash);
        end_round(executor, 0);
        executor->stage = STAGE_JUDGE;
    }
    if (executor->stage == STAGE_STEPS) run_steps(executor);
    if (executor->stage == STAGE_JUDGE) run_last_judge(executor);
    if (executor->stage != STAGE_END) return EXECUTOR_GOING;
    if (executor->result.end == EXECUTOR_GOING) executor->result.end = EXECUTOR_DONE;
    return executor->result.end;
}

const struct executor_result *executor_result(const struct executor *executor)
{
    return &executor->result;
}

void executor_close(struct executor *executor)
{
    judge_stop(&executor->judge);
    asked_free(&executor->asked);
    free(executor->backgrounds);
    free(executor);
}
