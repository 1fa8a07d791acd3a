/* fault/plan.c - plans from text. Back to text: fault/plan_print.c. */
#include "fault/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct statement_row statement_rows[STATEMENT_COUNT] = {
#define STATEMENT_ROW(name, word, arguments, help) { word, arguments, help },
    STATEMENT_LIST(STATEMENT_ROW)
#undef STATEMENT_ROW
};
const struct expect_row expect_rows[EXPECT_COUNT] = {
#define EXPECT_ROW(name, words, argument, waits, help) { words, argument, waits, help },
    EXPECT_LIST(EXPECT_ROW)
#undef EXPECT_ROW
};

struct parser {
    struct plan plan;
    size_t step_capacity, command_count, command_capacity;
    uint32_t depth;                         /* repeats that are open */
    uint32_t open[REPEAT_DEPTH_MAX];        /* their steps */
    uint64_t last_at[REPEAT_DEPTH_MAX + 1]; /* of the round at each depth: times do not go back */
    bool header, out_of_memory;
    uint32_t number; /* of the line */
    struct line line;
};

/* Room for one more element. NULL when out of memory, and the line reads as ended. */
static void *grow(struct parser *parser, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return array;
    size_t wanted = MAX_OF(*capacity * 2, 16);
    void *grown = realloc(array, wanted * size);
    if (grown == NULL) {
        parser->out_of_memory = true;
        line_error(&parser->line, "out of memory");
        return array;
    }
    *capacity = wanted;
    return grown;
}

static void add_step(struct parser *parser, struct step step)
{
    struct plan *plan = &parser->plan;
    if (plan->count == PLAN_STEPS_MAX)
        line_error(&parser->line, "a plan has at most %u steps", PLAN_STEPS_MAX);
    if (parser->line.failed) return;
    plan->steps =
        grow(parser, plan->steps, plan->count, &parser->step_capacity, sizeof(*plan->steps));
    if (parser->line.failed) return;
    step.line = parser->number;
    plan->steps[plan->count++] = step;
}

/* The n-th step that has a command gets the n-th command at the end; until then the array moves. */
static void add_command_step(struct parser *parser, struct step step, const struct command *command)
{
    struct plan *plan = &parser->plan;
    plan->commands = grow(parser, plan->commands, parser->command_count, &parser->command_capacity,
                          sizeof(*plan->commands));
    add_step(parser, step);
    if (!parser->line.failed) plan->commands[parser->command_count++] = *command;
}

static void connect_commands(struct plan *plan)
{
    const struct command *command = plan->commands;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].kind == STEP_COMMAND || plan->steps[i].kind == STEP_EVERY)
            plan->steps[i].command = command++;
}

static void parse_cluster(struct parser *parser)
{
    static const char *const presets[] = { "lab", "watch", "fast" };
    struct line *line = &parser->line;
    struct plan *plan = &parser->plan;
    plan->peers = (uint32_t)line_number(line, "a number of peers", 1, PEER_MAX);
    if (line_take(line, "seed")) plan->seed = line_number(line, "a seed", 0, UINT64_MAX);
    if (line_take(line, "preset")) {
        size_t i = line_one_of(line, "a preset", presets, COUNT(presets));
        if (i < COUNT(presets)) snprintf(plan->preset, sizeof(plan->preset), "%s", presets[i]);
    }
}

static void parse_at(struct parser *parser)
{
    struct line *line = &parser->line, before = *line;
    uint64_t at = line_time(line, "a time", 0), *last = &parser->last_at[parser->depth];
    if (!line->failed && at < *last) {
        char text[32];
        time_print(*last, text, sizeof(text));
        *line = before;
        line_expected(line, "a time of %s or more (the `at` above)", text);
    }
    *last = at;
    add_step(parser, (struct step){ .kind = STEP_AT, .at_ns = at });
}

/* A line that can be a verb, or one of the statements from `first` on: name them all. */
static void expected_statement(struct line *line, const char *what, enum statement first)
{
    const char *words[STATEMENT_COUNT + VERB_COUNT];
    size_t count = 0;
    for (size_t i = first; i < STATEMENT_COUNT; i++) words[count++] = statement_rows[i].word;
    for (size_t i = 0; i < VERB_COUNT; i++) words[count++] = verb_rows[i].word;
    line_one_of(line, what, words, count);
}

static void parse_every(struct parser *parser)
{
    struct line *line = &parser->line;
    struct step step = { .kind = STEP_EVERY, .until_ns = TIME_NEVER };
    struct command command;
    step.at_ns = line_time(line, "a period", EVERY_MIN_NS);
    if (line_take(line, "until")) step.until_ns = line_time(line, "a time", 0);
    if (!command_parse(line, parser->plan.peers, &command))
        expected_statement(line, "a verb", STATEMENT_COUNT);
    add_command_step(parser, step, &command);
}

/* "one leader": the first word finds the row, the second must follow. */
static bool take_words(struct line *line, const char *words)
{
    char first[16];
    const char *second = strchr(words, ' ');
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(words, " "), words);
    if (!line_take(line, first)) return false;
    if (second != NULL && !line_take(line, second + 1)) line_expected(line, "'%s'", second + 1);
    return true;
}

/* EXPECTATION [within TIME]; only those that waiting can bring about where `waits`. */
static void parse_expectation(struct line *line, bool waits, struct step *step)
{
    const char *words[EXPECT_COUNT];
    size_t count = 0, i = 0;
    for (size_t e = 0; e < EXPECT_COUNT; e++)
        if (!waits || expect_rows[e].waits) words[count++] = expect_rows[e].words;
    while (i < EXPECT_COUNT &&
           !((!waits || expect_rows[i].waits) && take_words(line, expect_rows[i].words)))
        i++;
    if (i == EXPECT_COUNT) {
        line_one_of(line, waits ? "a time, or an expectation" : "an expectation", words, count);
        return;
    }
    step->expect = (enum expectation)i;
    if (i == EXPECT_COMMIT || i == EXPECT_RPCS)
        step->number = line_number(line, "a number", 0, INT64_MAX);
    if (i == EXPECT_VALUE) {
        step->key = line_text(line, "a key", 1, TEXT_MAX);
        step->value = line_text(line, "a value", 0, TEXT_MAX);
    }
    if (expect_rows[i].waits && line_take(line, "within"))
        step->within_ns = line_time(line, "a time", 0);
    else if (!line_at_end(line) && expect_rows[i].waits && i != EXPECT_VALUE)
        line_expected(line, "'within' and a time, or the end of the line");
}

static void parse_wait(struct parser *parser)
{
    struct line *line = &parser->line;
    struct step step = { .kind = STEP_WAIT };
    if (line_at_digit(line)) {
        step.at_ns = line_time(line, "a time", 1);
    } else {
        step.within_ns = WAIT_WITHIN_NS;
        parse_expectation(line, true, &step);
    }
    add_step(parser, step);
}

static void parse_expect(struct parser *parser)
{
    struct step step = { .kind = STEP_EXPECT };
    parse_expectation(&parser->line, false, &step);
    add_step(parser, step);
}

static void parse_say(struct parser *parser)
{
    struct step step = { .kind = STEP_SAY };
    step.value = line_text(&parser->line, "a text", 0, TEXT_MAX);
    add_step(parser, step);
}

static void parse_repeat(struct parser *parser)
{
    struct step step = { .kind = STEP_REPEAT };
    step.number = line_number(&parser->line, "how many times", 1, UINT32_MAX);
    if (parser->depth == REPEAT_DEPTH_MAX)
        line_error(&parser->line, "more than %d repeats inside each other", REPEAT_DEPTH_MAX);
    add_step(parser, step);
    if (parser->line.failed) return;
    parser->open[parser->depth++] = (uint32_t)(parser->plan.count - 1);
    parser->last_at[parser->depth] = 0;
}

static void parse_end(struct parser *parser)
{
    add_step(parser, (struct step){ .kind = STEP_END });
    if (parser->line.failed) return;
    struct step *steps = parser->plan.steps;
    uint32_t repeat = parser->open[--parser->depth], end = (uint32_t)(parser->plan.count - 1);
    steps[repeat].match = end;
    steps[end].match = repeat;
}

static void parse_command(struct parser *parser)
{
    struct command command;
    if (command_parse(&parser->line, parser->plan.peers, &command))
        add_command_step(parser, (struct step){ .kind = STEP_COMMAND }, &command);
    else expected_statement(&parser->line, "a verb or statement", STATEMENT_AT);
}

static void parse_statement(struct parser *parser, bool after_at)
{
    static void (*const parsers[STATEMENT_COUNT])(struct parser *) = {
        [STATEMENT_CLUSTER] = parse_cluster, [STATEMENT_AT] = parse_at,
        [STATEMENT_EVERY] = parse_every,     [STATEMENT_WAIT] = parse_wait,
        [STATEMENT_EXPECT] = parse_expect,   [STATEMENT_SAY] = parse_say,
        [STATEMENT_REPEAT] = parse_repeat,   [STATEMENT_END] = parse_end,
    };
    struct line *line = &parser->line;
    enum statement statement = 0;
    while (statement < STATEMENT_COUNT && !line_is(line, statement_rows[statement].word))
        statement++;
    if (statement == STATEMENT_CLUSTER && (parser->header || parser->plan.count > 0))
        line_error(line, "'cluster' can only be the first statement");
    if (statement == STATEMENT_END && parser->depth == 0)
        line_error(line, "'end' without a repeat");
    if (after_at && (statement <= STATEMENT_AT || statement >= STATEMENT_REPEAT) &&
        statement < STATEMENT_COUNT)
        line_expected(line, "a verb, every, wait, expect or say");
    if (line->failed) return;
    parser->header = true;
    if (statement == STATEMENT_COUNT) {
        parse_command(parser);
        return;
    }
    line_next(line);
    parsers[statement](parser);
    if (statement == STATEMENT_AT && !line_at_end(line)) parse_statement(parser, true);
}

static err_t parse_lines(struct parser *parser, size_t length, struct parse_error *error)
{
    char *text = parser->plan.text, *end = text + length;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* what some editors put there */
    while (text < end) {
        char *stop = memchr(text, '\n', (size_t)(end - text));
        if (stop == NULL) stop = end;
        line_open(&parser->line, text, stop, ++parser->number, error);
        if (!line_at_end(&parser->line)) parse_statement(parser, false);
        if (line_close(&parser->line) != ERR_OK) return ERR_INPUT;
        text = stop + 1;
    }
    if (parser->depth == 0) return ERR_OK;
    *error = (struct parse_error){ .column = 1, .text = "this repeat has no end" };
    error->line = parser->plan.steps[parser->open[parser->depth - 1]].line;
    return ERR_INPUT;
}

err_t plan_parse(const char *text, size_t length, struct plan *plan, struct parse_error *error)
{
    struct parser parser = { .plan = { .peers = 5, .seed = 1, .preset = "fast" } };
    *plan = (struct plan){ 0 };
    *error = (struct parse_error){ .line = 1, .column = 1 };
    if (length > PLAN_BYTES_MAX) {
        snprintf(error->text, sizeof(error->text), "a plan has at most %u bytes", PLAN_BYTES_MAX);
        return ERR_INPUT;
    }
    err_t err = ERR_SYSTEM;
    parser.plan.text = malloc(length + 1);
    if (parser.plan.text == NULL) return err_begin(ERR_SYSTEM, "no memory for a plan");
    if (length > 0) memcpy(parser.plan.text, text, length);
    parser.plan.text[length] = '\0';
    err = parse_lines(&parser, length, error);
    if (parser.out_of_memory) err = err_begin(ERR_SYSTEM, "no memory for a plan");
    if (err != ERR_OK) {
        plan_free(&parser.plan);
        return err;
    }
    connect_commands(&parser.plan);
    *plan = parser.plan;
    return ERR_OK;
}

void plan_free(struct plan *plan)
{
    free(plan->steps);
    free(plan->commands);
    free(plan->text);
    *plan = (struct plan){ 0 };
}

/* The whole file, or one byte more than a plan can have. *text is NULL and *length 0 on entry. */
static err_t read_file(const char *path, char **text, size_t *length)
{
    size_t capacity = 0;
    err_t err = ERR_SYSTEM;
    FILE *file = fopen(path, "rbe");
    if (file == NULL) return err_begin(ERR_SYSTEM, "%s: %s", path, strerror(errno));
    do {
        capacity = MIN_OF(MAX_OF(capacity * 2, 65536), PLAN_BYTES_MAX + 1);
        char *grown = realloc(*text, capacity);
        if (grown == NULL) goto failed;
        *text = grown;
        *length += fread(*text + *length, 1, capacity - *length, file);
    } while (*length == capacity && capacity <= PLAN_BYTES_MAX);
    if (ferror(file)) goto failed;
    fclose(file);
    return ERR_OK;
failed:
    err_begin(err, "%s: %s", path, strerror(errno));
    free(*text);
    fclose(file);
    return err;
}

err_t plan_load(const char *path, struct plan *plan, struct parse_error *error)
{
    char *text = NULL;
    size_t length = 0;
    *plan = (struct plan){ 0 };
    *error = (struct parse_error){ 0 };
    err_t err = read_file(path, &text, &length);
    if (err != ERR_OK) return err;
    err = plan_parse(text, length, plan, error);
    free(text);
    if (err == ERR_INPUT)
        return err_begin(err, "%s:%u:%u: %s", path, error->line, error->column, error->text);
    return err == ERR_OK ? ERR_OK : err_note(err, "%s", path);
}

/* ---- what it asks for ---- */

bool plan_is_empty(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->command != NULL || step->kind == STEP_EXPECT) return false;
        if (step->kind == STEP_WAIT && step->at_ns == 0) return false;
    }
    return true;
}

uint32_t plan_clients(const struct plan *plan)
{
    uint32_t clients = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].command != NULL && plan->steps[i].command->verb == VERB_LOAD)
            clients = MAX_OF(clients, plan->steps[i].command->load.clients);
    return clients;
}
