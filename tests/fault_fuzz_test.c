/* tests/fault_fuzz_test.c - random commands and plans print and parse to themselves; mutated and
 * random bytes get a plan or an error that says where, never a crash. All from fixed seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault/plan.h"
#include "tests/fault_equal.h"

#define COMMANDS 20000
#define PLANS 1000
#define MUTATIONS 100000
#define STEPS 40
#define TEXT 12

static uint64_t below(struct rng *rng, uint64_t limit)
{
    return rng_range(rng, 0, limit - 1);
}

/* One of few or of all values, so that bounds and round numbers come up. */
static uint64_t number(struct rng *rng, uint64_t low, uint64_t high)
{
    static const uint64_t round[] = {
        0, 1, 10, 1000, 50000, PPM, 300 * NS_PER_MS, 2 * NS_PER_S, 60 * NS_PER_S, 5400 * NS_PER_S
    };
    uint64_t value = round[below(rng, COUNT(round))];
    if (below(rng, 8) == 0) return below(rng, 2) ? low : high;
    return below(rng, 2) && value >= low && value <= high ? value : rng_range(rng, low, high);
}

/* Any bytes but 0; many that mean something to the parser. */
static const char *text(struct rng *rng, size_t min, char *space)
{
    static const char special[] = " \t\n\r\"\\|><#%./+-kx\x7f\xc3\xff";
    size_t length = rng_range(rng, min, TEXT - 1);
    for (size_t i = 0; i < length; i++)
        space[i] =
            below(rng, 2) ? special[below(rng, sizeof(special) - 1)] : (char)rng_range(rng, 1, 255);
    space[length] = '\0';
    return space;
}

static struct selector selector(struct rng *rng, uint32_t peers, peer_set but, bool first)
{
    struct selector s;
    do {
        s.words = (uint32_t)below(rng, 1u << SELECT_COUNT) & ~SELECT_BIT(SET);
        s.peers = rng_next(rng) & peer_first(peers) & ~but;
        if (first) s.words &= ~SELECT_BIT(REST);
        if (below(rng, 2)) s.words = 0;
        else if (below(rng, 2)) s.peers = 0;
    } while (s.words == 0 && s.peers == 0);
    return s;
}

static void groups(struct rng *rng, uint32_t peers, uint32_t count, struct command *command)
{
    peer_set named = 0;
    command->groups = count;
    for (uint32_t i = 0; i < count; i++) {
        command->group[i] = selector(rng, peers, named, i == 0);
        if (command->verb == VERB_PARTITION) named |= command->group[i].peers;
    }
}

static void link_faults(struct rng *rng, uint32_t peers, struct command *command)
{
    struct link_rule *rule = &command->rule;
    groups(rng, peers, (uint32_t)rng_range(rng, 1, 2), command);
    for (enum verb verb = VERB_UNRELIABLE; verb >= VERB_LOSS; verb--) {
        if (verb != command->verb && below(rng, 2)) continue;
        command->rule_fields |= RULE_FIELD(verb);
        command->verb = MIN_OF(command->verb, verb);
        if (verb == VERB_LOSS) rule->loss_ppm = (uint32_t)number(rng, 0, PPM);
        if (verb == VERB_DUP) rule->dup_ppm = (uint32_t)number(rng, 0, PPM);
        if (verb == VERB_REORDER) rule->reorder_ppm = (uint32_t)number(rng, 0, PPM);
        if (verb == VERB_CORRUPT) rule->corrupt_ppm = (uint32_t)number(rng, 0, PPM);
        if (verb == VERB_UNRELIABLE) rule->course = (uint32_t)below(rng, COURSE_COUNT);
        if (verb != VERB_DELAY) continue;
        rule->delay_min_ns = number(rng, 0, TIME_MAX_NS);
        rule->delay_max_ns = number(rng, rule->delay_min_ns, TIME_MAX_NS);
    }
}

static struct command random_command(struct rng *rng, uint32_t peers, char space[3][TEXT])
{
    struct command command = { .verb = (enum verb)below(rng, VERB_COUNT) };
    switch (command.verb) {
    case VERB_CUT: groups(rng, peers, 2, &command); break;
    case VERB_PARTITION:
        groups(rng, peers, (uint32_t)rng_range(rng, 2, GROUPS_MAX), &command);
        break;
    case VERB_LOSS:
    case VERB_DELAY:
    case VERB_DUP:
    case VERB_REORDER:
    case VERB_CORRUPT:
    case VERB_UNRELIABLE: link_faults(rng, peers, &command); break;
    case VERB_RATE: command.rate_ppm = number(rng, 0, 100 * PPM); break;
    case VERB_STEP: command.time_ns = number(rng, 0, TIME_MAX_NS); break;
    case VERB_CAS: command.expected = text(rng, 0, space[2]); /* fall through */
    case VERB_PUT:
    case VERB_APPEND: command.value = text(rng, 0, space[1]); /* fall through */
    case VERB_GET:
    case VERB_DEL: command.key = text(rng, 1, space[0]); break;
    case VERB_LOAD:
        command.load.ops = (uint32_t)below(rng, 32);
        if (command.load.ops == 0) break;
        command.load.per_second = (uint32_t)number(rng, 0, 1000000);
        command.load.keys = (uint32_t)number(rng, 1, 1000000);
        command.load.clients = (uint32_t)number(rng, 1, LOAD_CLIENTS_MAX);
        command.load.bytes = (uint32_t)number(rng, 1, LOAD_BYTES_MAX);
        break;
    default: groups(rng, peers, 1, &command); break;
    }
    if (command.verb == VERB_KILL) command.number = (uint32_t)below(rng, 6);
    if (command.verb == VERB_SLOW_DISK) command.time_ns = number(rng, 0, TIME_MAX_NS);
    if (command.verb == VERB_FAIL_DISK)
        command.number = (uint32_t[]){ 0, EIO, ENOSPC }[below(rng, 3)];
    if (command.verb == VERB_SKEW) command.rate_ppm = number(rng, PPM / 100, 10 * PPM);
    return command;
}

static void random_commands_survive_the_trip(void **unused)
{
    struct rng rng;
    rng_seed(&rng, 1, 0, 0);
    for (uint32_t i = 0; i < COMMANDS; i++) {
        char space[3][TEXT], line[4096], printed[4096];
        uint32_t peers = (uint32_t)rng_range(&rng, GROUPS_MAX, PEER_MAX);
        struct command command = random_command(&rng, peers, space), again;
        struct parse_error error;
        size_t length = verb_print(&command, line, sizeof(line));
        assert_in_range(length, 1, sizeof(line) - 1);
        strcpy(printed, line);
        if (verb_parse(line, below(&rng, 2) ? peers : 0, &again, &error) != ERR_OK)
            fail_msg("%s: column %u: %s", printed, error.column, error.text);
        if (!command_equal(&command, &again)) fail_msg("'%s' is another command", printed);
    }
    UNUSED(unused);
}

/* A plan in memory of its own: free(steps), free(commands), free(text). */
static struct plan random_plan(struct rng *rng)
{
    static const char *const presets[] = { "lab", "watch", "fast" };
    struct plan plan = { .peers = (uint32_t)rng_range(rng, GROUPS_MAX, PEER_MAX),
                         .seed = number(rng, 0, UINT64_MAX),
                         .steps = calloc(STEPS, sizeof(struct step)),
                         .commands = calloc(STEPS, sizeof(struct command)),
                         .text = calloc(STEPS, 3 * TEXT) };
    uint32_t open[REPEAT_DEPTH_MAX], depth = 0;
    uint64_t last[REPEAT_DEPTH_MAX + 1] = { 0 };
    snprintf(plan.preset, sizeof(plan.preset), "%s", presets[below(rng, COUNT(presets))]);
    size_t wanted = below(rng, STEPS + 1);
    while (plan.count + depth < wanted) {
        uint32_t i = (uint32_t)plan.count;
        struct step *step = &plan.steps[i];
        char(*space)[TEXT] = (char(*)[TEXT])(plan.text + (size_t)i * 3 * TEXT);
        step->kind = (enum step_kind)below(rng, STEP_END + 1);
        step->line = i + 1;
        if (step->kind == STEP_END && depth == 0) continue;
        if (step->kind == STEP_REPEAT && (depth == REPEAT_DEPTH_MAX || i + depth + 2 > wanted))
            continue;
        if (step->kind == STEP_COMMAND || step->kind == STEP_EVERY) {
            plan.commands[i] = random_command(rng, plan.peers, space);
            step->command = &plan.commands[i];
        }
        switch (step->kind) {
        case STEP_COMMAND: break;
        case STEP_AT: step->at_ns = last[depth] = number(rng, last[depth], TIME_MAX_NS); break;
        case STEP_EVERY:
            step->at_ns = number(rng, EVERY_MIN_NS, TIME_MAX_NS);
            step->until_ns = below(rng, 2) ? TIME_NEVER : number(rng, 0, TIME_MAX_NS);
            break;
        case STEP_WAIT:
        case STEP_EXPECT: {
            bool waits = step->kind == STEP_WAIT;
            step->at_ns = waits && below(rng, 2) ? number(rng, 1, TIME_MAX_NS) : 0;
            if (step->at_ns > 0) break;
            step->expect = (enum expectation)below(rng, waits ? EXPECT_RPCS : EXPECT_COUNT);
            if (waits) step->within_ns = WAIT_WITHIN_NS;
            if (expect_rows[step->expect].waits && below(rng, 2))
                step->within_ns = number(rng, 0, TIME_MAX_NS);
            if (step->expect == EXPECT_COMMIT || step->expect == EXPECT_RPCS)
                step->number = number(rng, 0, INT64_MAX);
            if (step->expect != EXPECT_VALUE) break;
            step->key = text(rng, 1, space[0]);
            step->value = text(rng, 0, space[1]);
            break;
        }
        case STEP_SAY: step->value = text(rng, 0, space[0]); break;
        case STEP_REPEAT:
            step->number = number(rng, 1, UINT32_MAX);
            open[depth++] = i;
            last[depth] = 0;
            break;
        case STEP_END:
            step->match = open[--depth];
            plan.steps[step->match].match = i;
            break;
        }
        plan.count++;
    }
    for (; depth > 0; plan.count++) {
        plan.steps[plan.count] = (struct step){ .kind = STEP_END, .match = open[--depth] };
        plan.steps[open[depth]].match = (uint32_t)plan.count;
    }
    return plan;
}

static void assert_survives_the_trip(const struct plan *plan)
{
    struct plan again;
    struct parse_error error;
    char *printed = plan_print(plan);
    if (plan_parse(printed, strlen(printed), &again, &error) != ERR_OK)
        fail_msg("%s\n%u:%u: %s", printed, error.line, error.column, error.text);
    if (!plan_equal(plan, &again)) fail_msg("another plan comes out of:\n%s", printed);
    plan_free(&again);
    free(printed);
}

static void random_plans_survive_the_trip(void **unused)
{
    struct rng rng;
    rng_seed(&rng, 2, 0, 0);
    for (uint32_t i = 0; i < PLANS; i++) {
        struct plan plan = random_plan(&rng);
        assert_survives_the_trip(&plan);
        plan_free(&plan);
    }
    UNUSED(unused);
}

/* Change, insert, delete, double or exchange bytes; `text` has room for twice its length. */
static size_t mutate(struct rng *rng, char *bytes, size_t length)
{
    static const char special[] = "\0\n\r\t \"\\|><#%.+-/0198msx\x7f\x80\xff";
    size_t at = below(rng, length + 1), run = below(rng, 9), to = below(rng, length + 1);
    char any = below(rng, 2) ? special[below(rng, sizeof(special))] : (char)rng_next(rng);
    run = MIN_OF(run, length - at);
    switch (below(rng, 5)) {
    case 0:
        if (at < length) bytes[at] = any;
        return length;
    case 1:
        memmove(bytes + at + 1, bytes + at, length - at);
        bytes[at] = any;
        return length + 1;
    case 2: memmove(bytes + at, bytes + at + run, length - at - run); return length - run;
    case 3: memmove(bytes + at + run, bytes + at, length - at); return length + run;
    default: memmove(bytes + MIN_OF(to, length - run), bytes + at, run); return length;
    }
}

static bool printable(const char *error)
{
    for (; *error != '\0'; error++)
        if (*error < ' ' || *error > '~') return false;
    return true;
}

/* Whatever the bytes are: a plan that prints and parses to itself, or an error at a place there. */
static bool assert_answered(const char *bytes, size_t length)
{
    struct plan plan;
    struct parse_error error;
    char *exact = malloc(MAX_OF(length, 1)); /* asan sees a byte too far */
    memcpy(exact, bytes, length);
    uint32_t lines = 1;
    for (size_t i = 0; i < length; i++) lines += exact[i] == '\n';
    err_t err = plan_parse(exact, length, &plan, &error);
    free(exact);
    if (err == ERR_OK) {
        assert_survives_the_trip(&plan);
        plan_free(&plan);
        return true;
    }
    assert_int_equal(err, ERR_INPUT);
    assert_in_range(error.line, 1, lines);
    assert_in_range(error.column, 1, length + 1);
    assert_true(error.text[0] != '\0');
    assert_true(printable(error.text)); /* N3 */
    return false;
}

static void mutated_plans_are_answered(void **unused)
{
    struct rng rng;
    char bytes[32768];
    uint32_t good = 0;
    rng_seed(&rng, 3, 0, 0);
    for (uint32_t i = 0; i < MUTATIONS;) {
        struct plan plan = random_plan(&rng);
        plan.count = MIN_OF(plan.count, 8);
        for (size_t s = 0; s < plan.count; s++) /* a part of a plan may have lost its ends */
            if (plan.steps[s].kind >= STEP_REPEAT)
                plan.steps[s] = (struct step){ .kind = STEP_SAY, .value = "x" };
        char *printed = plan_print(&plan);
        size_t whole = strlen(printed);
        assert_in_range(whole, 1, sizeof(bytes) / 2);
        for (uint32_t k = 0; k < 100; k++, i++) {
            size_t length = whole;
            memcpy(bytes, printed, whole);
            for (uint64_t times = rng_range(&rng, 1, 4); times > 0; times--)
                length = mutate(&rng, bytes, length);
            good += assert_answered(bytes, length);
        }
        free(printed);
        plan_free(&plan);
    }
    assert_in_range(good, MUTATIONS / 100, MUTATIONS / 2); /* both answers were seen */
    UNUSED(unused);
}

static void random_words_and_bytes_are_answered(void **unused)
{
    static const char *const words[] = { "kill",    "at",        "every",   "until",
                                         "cut",     "partition", "|",       ">",
                                         "<",       "all",       "rest",    "leader",
                                         "drop",    "5%",        "delay",   "1ms..2ms",
                                         "on",      "load",      "put+get", "200/s",
                                         "keys",    "7",         "0",       "2s",
                                         "\"a b\"", "\"",        "#",       "\n",
                                         "\n",      "repeat",    "end",     "expect",
                                         "wait",    "within",    "value",   "rpcs",
                                         "cluster", "seed",      "preset",  "fast",
                                         "skew",    "-5%",       "say",     "99999999999999999999",
                                         "\\",      "\r\n" };
    struct rng rng;
    rng_seed(&rng, 4, 0, 0);
    for (uint32_t i = 0; i < MUTATIONS / 2; i++) {
        char bytes[512];
        size_t length = 0, wanted = below(&rng, 20);
        for (size_t w = 0; w < wanted; w++)
            length += (size_t)snprintf(bytes + length, sizeof(bytes) - length, "%s%s",
                                       words[below(&rng, COUNT(words))], below(&rng, 8) ? " " : "");
        assert_answered(bytes, length);
        for (size_t b = 0; b < wanted; b++) bytes[b] = (char)rng_next(&rng);
        assert_answered(bytes, wanted);
    }
    UNUSED(unused);
}

/* Single lines come from sockets and people: the same for verb_parse. */
static void mutated_commands_are_answered(void **unused)
{
    struct rng rng;
    rng_seed(&rng, 5, 0, 0);
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        char space[3][TEXT], line[8192];
        struct command command = random_command(&rng, PEER_MAX, space), again;
        struct parse_error error;
        size_t length = verb_print(&command, line, sizeof(line) / 2);
        for (uint64_t times = rng_range(&rng, 1, 4); times > 0; times--)
            length = mutate(&rng, line, length);
        line[length] = '\0';
        char *exact = strdup(line);
        if (verb_parse(exact, 0, &command, &error) == ERR_OK) {
            char printed[8192];
            verb_print(&command, printed, sizeof(printed));
            assert_int_equal(verb_parse(printed, 0, &again, &error), ERR_OK);
            assert_true(command_equal(&command, &again));
        } else {
            assert_in_range(error.column, 1, strlen(line) + 1);
            assert_true(printable(error.text));
        }
        free(exact);
    }
    UNUSED(unused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commands_survive_the_trip),
        cmocka_unit_test(random_plans_survive_the_trip),
        cmocka_unit_test(mutated_plans_are_answered),
        cmocka_unit_test(random_words_and_bytes_are_answered),
        cmocka_unit_test(mutated_commands_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
