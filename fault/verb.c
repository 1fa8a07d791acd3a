/* fault/verb.c - the verbs' arguments, from text to command and back. */
#include "fault/verb.h"

#include <errno.h>
#include <string.h>

const struct verb_row verb_rows[VERB_COUNT] = {
#define VERB_ROW(name, word, arguments, key, line, help) { word, arguments, key, line, help },
    VERB_LIST(VERB_ROW)
#undef VERB_ROW
};

static const char *const kill_points[] = {
#define KILL_POINT_WORD(word) word,
    KILL_POINT_LIST(KILL_POINT_WORD)
#undef KILL_POINT_WORD
};

static const char *const load_words[] = { "put", "get", "del", "append",
                                          "cas" }; /* by bit of load_op */

/* The arguments of one verb; the verb itself is taken already. */
typedef void arguments_parser(struct line *line, uint32_t peers, struct command *command);

static void parse_group(struct line *line, uint32_t peers, struct command *command)
{
    struct selector *group = &command->group[command->groups];
    selector_parse(line, peers, command->groups == 0, NULL, 0, group);
    command->groups++;
}

static void every_peer(struct command *command)
{
    command->group[0] = (struct selector){ .words = SELECT_BIT(ALL) };
    command->groups = 1;
}

static void parse_on_peers(struct line *line, uint32_t peers, struct command *command)
{
    if (line_take(line, "on")) parse_group(line, peers, command);
    else every_peer(command);
}

static void parse_heal(struct line *line, uint32_t peers, struct command *command)
{
    if (line_at_end(line)) every_peer(command);
    else parse_group(line, peers, command);
}

static void parse_kill(struct line *line, uint32_t peers, struct command *command)
{
    selector_parse(line, peers, true, kill_points, COUNT(kill_points), &command->group[0]);
    command->groups = 1;
    for (uint32_t i = 0; i < COUNT(kill_points); i++) {
        if (!line_take(line, kill_points[i])) continue;
        command->number = i + 1;
        break;
    }
}

static void parse_cut(struct line *line, uint32_t peers, struct command *command)
{
    parse_group(line, peers, command);
    if (!line_take(line, ">")) line_expected(line, "'>' and the peers that shall not hear");
    parse_group(line, peers, command);
}

static void parse_partition(struct line *line, uint32_t peers, struct command *command)
{
    peer_set named = 0;
    parse_group(line, peers, command);
    if (!line_is(line, "|")) line_expected(line, "'|' and another group of peers");
    for (;;) {
        peer_set *group = &command->group[command->groups - 1].peers;
        if (*group & named)
            line_error(line, "peer %d is in two groups", __builtin_ctzll(*group & named));
        named |= *group;
        if (!line_is(line, "|")) break;
        if (command->groups == GROUPS_MAX) {
            line_expected(line, "at most %d groups", GROUPS_MAX);
            break;
        }
        line_next(line);
        parse_group(line, peers, command);
    }
}

/* A percentage as millionths. Nothing is taken where it is none. */
static bool take_percent(struct line *line, uint64_t max_ppm, uint64_t *ppm)
{
    if (line->kind != WORD_BARE || line->word[line->length - 1] != '%' ||
        !decimal_parse(line->word, line->length - 1, PPM / 100, max_ppm, ppm))
        return false;
    line_next(line);
    return true;
}

static uint32_t parse_chance(struct line *line)
{
    uint64_t ppm = 0;
    if (!take_percent(line, PPM, &ppm))
        line_expected(line, "a percentage like 5%% or 0.1%% (0%% to 100%%)");
    return (uint32_t)ppm;
}

static void parse_delay(struct line *line, struct link_rule *rule)
{
    bool range = line_split(line, "..");
    rule->delay_min_ns = line_time(line, "a delay", 0);
    rule->delay_max_ns =
        range ? line_time(line, "the longest delay", rule->delay_min_ns) : rule->delay_min_ns;
}

static uint32_t parse_course(struct line *line)
{
    if (line_take(line, "off")) return COURSE_OFF;
    return line_take(line, "long") ? COURSE_LONG : COURSE_UNRELIABLE;
}

static void parse_link_fault(struct line *line, enum verb verb, struct link_rule *rule)
{
    switch (verb) {
    case VERB_LOSS: rule->loss_ppm = parse_chance(line); break;
    case VERB_DELAY: parse_delay(line, rule); break;
    case VERB_DUP: rule->dup_ppm = parse_chance(line); break;
    case VERB_REORDER: rule->reorder_ppm = line_at_digit(line) ? parse_chance(line) : PPM; break;
    case VERB_CORRUPT: rule->corrupt_ppm = parse_chance(line); break;
    default: rule->course = parse_course(line); break;
    }
}

bool verb_is_link_fault(enum verb verb)
{
    return verb >= VERB_LOSS && verb <= VERB_UNRELIABLE;
}

bool verb_is_question(enum verb verb)
{
    return verb >= VERB_PUT && verb <= VERB_CAS;
}

/* "5% delay 1ms..20ms dup 1% on LINKS": the first verb is taken already. */
static void parse_link_faults(struct line *line, uint32_t peers, struct command *command)
{
    enum verb verb = command->verb;
    do {
        command->rule_fields |= RULE_FIELD(verb);
        command->verb = MIN_OF(command->verb, verb);
        parse_link_fault(line, verb, &command->rule);
        for (verb = VERB_LOSS; verb <= VERB_UNRELIABLE; verb++)
            if (line_is(line, verb_rows[verb].word)) break;
        if (verb_is_link_fault(verb) && (command->rule_fields & RULE_FIELD(verb)))
            line_error(line, "'%s' is there twice", verb_rows[verb].word);
    } while (verb_is_link_fault(verb) && line_take(line, verb_rows[verb].word));
    if (!line_is(line, "on") && !line_at_end(line))
        line_expected(line, "'on' and links, another link fault, or the end of the line");
    parse_on_peers(line, peers, command);
    if (line_take(line, ">")) parse_group(line, peers, command);
}

static void parse_slow_disk(struct line *line, uint32_t peers, struct command *command)
{
    command->time_ns = line_time(line, "a time", 0);
    parse_on_peers(line, peers, command);
}

static void parse_fail_disk(struct line *line, uint32_t peers, struct command *command)
{
    static const char *const words[] = { "eio", "enospc", "off" };
    static const uint32_t numbers[] = { EIO, ENOSPC, 0, 0 };
    command->number = numbers[line_one_of(line, "an error", words, COUNT(words))];
    parse_on_peers(line, peers, command);
}

static void parse_skew(struct line *line, uint32_t peers, struct command *command)
{
    bool signed_word = line->kind == WORD_BARE && (*line->word == '+' || *line->word == '-');
    bool slow = signed_word && *line->word == '-';
    struct line number = *line;
    uint64_t ppm = 0;
    if (signed_word) {
        number.word++;
        number.length--;
    }
    if (number.length > 0 && take_percent(&number, slow ? PPM - PPM / 100 : 9 * PPM, &ppm))
        *line = number;
    else line_expected(line, "a percentage like +5%% or -0.1%% (-99%% to +900%%)");
    command->rate_ppm = slow ? PPM - ppm : PPM + ppm;
    parse_on_peers(line, peers, command);
}

static void parse_rate(struct line *line, uint32_t peers, struct command *command)
{
    UNUSED(peers);
    if (line->kind == WORD_BARE &&
        decimal_parse(line->word, line->length, PPM, 100ull * PPM, &command->rate_ppm))
        line_next(line);
    else line_expected(line, "a factor like 1, 0.02 or 0 (100 at most)");
}

static void parse_step(struct line *line, uint32_t peers, struct command *command)
{
    UNUSED(peers);
    if (!line_at_end(line)) command->time_ns = line_time(line, "a time", 0);
}

static void parse_key(struct line *line, uint32_t peers, struct command *command)
{
    UNUSED(peers);
    command->key = line_text(line, "a key", 1, TEXT_MAX);
}

static void parse_key_value(struct line *line, uint32_t peers, struct command *command)
{
    parse_key(line, peers, command);
    command->value = line_text(line, "a value", 0, TEXT_MAX);
}

static void parse_cas(struct line *line, uint32_t peers, struct command *command)
{
    parse_key(line, peers, command);
    command->expected = line_text(line, "the value that is expected", 0, TEXT_MAX);
    command->value = line_text(line, "a value", 0, TEXT_MAX);
}

static void parse_load_options(struct line *line, struct command *command)
{
    enum { KEYS, CLIENTS, BYTES, OPTIONS };
    static const char *const words[OPTIONS] = { "keys", "clients", "bytes" };
    static const uint64_t limits[OPTIONS] = { 1000000, LOAD_CLIENTS_MAX, LOAD_BYTES_MAX };
    uint32_t *const numbers[OPTIONS] = { &command->load.keys, &command->load.clients,
                                         &command->load.bytes };
    uint32_t seen = 0;
    while (!line_at_end(line)) {
        struct line before = *line;
        size_t i = line_one_of(line, "the end of the line, or one", words, OPTIONS);
        if (i == OPTIONS) return;
        if ((seen >> i) & 1) {
            *line = before;
            line_error(line, "'%s' is there twice", words[i]);
            return;
        }
        seen |= 1u << i;
        *numbers[i] = (uint32_t)line_number(line, "a number", 1, limits[i]);
    }
}

static void parse_load(struct line *line, uint32_t peers, struct command *command)
{
    UNUSED(peers);
    if (line_take(line, "off")) return;
    for (bool more = true; more;) {
        more = line_split(line, "+");
        size_t i =
            line_one_of(line, "'off' or operations joined by +", load_words, COUNT(load_words));
        if (i == COUNT(load_words)) return;
        command->load.ops |= 1u << i;
    }
    command->load.keys = LOAD_KEYS;
    command->load.clients = LOAD_CLIENTS;
    command->load.bytes = LOAD_BYTES;
    if (line_at_digit(line)) {
        bool slash = line_split(line, "/");
        command->load.per_second = (uint32_t)line_number(line, "operations a second", 1, 1000000);
        if (!slash || !line_take(line, "s")) line_expected(line, "a rate like 200/s");
    }
    parse_load_options(line, command);
}

static arguments_parser *const parsers[VERB_COUNT] = {
    [VERB_KILL] = parse_kill,
    [VERB_POWER_CUT] = parse_group,
    [VERB_RESTART] = parse_group,
    [VERB_PAUSE] = parse_group,
    [VERB_RESUME] = parse_group,
    [VERB_TIMEOUT_NOW] = parse_group,
    [VERB_CUT] = parse_cut,
    [VERB_ISOLATE] = parse_group,
    [VERB_PARTITION] = parse_partition,
    [VERB_HEAL] = parse_heal,
    [VERB_LOSS] = parse_link_faults,
    [VERB_DELAY] = parse_link_faults,
    [VERB_DUP] = parse_link_faults,
    [VERB_REORDER] = parse_link_faults,
    [VERB_CORRUPT] = parse_link_faults,
    [VERB_UNRELIABLE] = parse_link_faults,
    [VERB_SLOW_DISK] = parse_slow_disk,
    [VERB_FAIL_DISK] = parse_fail_disk,
    [VERB_SKEW] = parse_skew,
    [VERB_RATE] = parse_rate,
    [VERB_STEP] = parse_step,
    [VERB_PUT] = parse_key_value,
    [VERB_GET] = parse_key,
    [VERB_DEL] = parse_key,
    [VERB_APPEND] = parse_key_value,
    [VERB_CAS] = parse_cas,
    [VERB_LOAD] = parse_load,
};

bool command_parse(struct line *line, uint32_t peers, struct command *command)
{
    *command = (struct command){ 0 };
    for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
        if (!line_take(line, verb_rows[verb].word)) continue;
        command->verb = verb;
        parsers[verb](line, peers, command);
        return true;
    }
    return false;
}

err_t verb_parse(char *line, uint32_t peers, struct command *command, struct parse_error *error)
{
    struct line cursor;
    struct command parsed;
    CHECK(peers <= PEER_MAX);
    line_open(&cursor, line, line + strlen(line), 1, error);
    if (!command_parse(&cursor, peers, &parsed)) {
        const char *words[VERB_COUNT];
        for (size_t i = 0; i < VERB_COUNT; i++) words[i] = verb_rows[i].word;
        line_one_of(&cursor, "a verb", words, VERB_COUNT);
    }
    err_t err = line_close(&cursor);
    if (err == ERR_OK) *command = parsed;
    return err;
}

static void out_percent(struct out *out, uint64_t ppm)
{
    out_decimal(out, ppm, PPM / 100);
    out_add(out, "%%");
}

static void out_groups(struct out *out, const struct command *command, const char *between)
{
    for (uint32_t i = 0; i < command->groups && i < GROUPS_MAX; i++) {
        out_add(out, "%s", i > 0 ? between : "");
        selector_print(out, &command->group[i]);
    }
}

static void out_link_faults(struct out *out, const struct command *command)
{
    const struct link_rule *rule = &command->rule;
    static const char *const courses[COURSE_COUNT] = { " off", "", " long" };
    const char *blank = "";
    for (enum verb verb = VERB_LOSS; verb <= VERB_UNRELIABLE; verb++) {
        if (!(command->rule_fields & RULE_FIELD(verb))) continue;
        out_add(out, "%s%s", blank, verb_rows[verb].word);
        blank = " ";
        if (verb == VERB_UNRELIABLE) {
            out_add(out, "%s", courses[rule->course % COURSE_COUNT]);
            continue;
        }
        out_add(out, " ");
        if (verb == VERB_LOSS) out_percent(out, rule->loss_ppm);
        if (verb == VERB_DUP) out_percent(out, rule->dup_ppm);
        if (verb == VERB_REORDER) out_percent(out, rule->reorder_ppm);
        if (verb == VERB_CORRUPT) out_percent(out, rule->corrupt_ppm);
        if (verb == VERB_DELAY) out_time(out, rule->delay_min_ns);
        if (verb == VERB_DELAY && rule->delay_max_ns != rule->delay_min_ns) {
            out_add(out, "..");
            out_time(out, rule->delay_max_ns);
        }
    }
    out_add(out, " on ");
    out_groups(out, command, " > ");
}

static void out_skew(struct out *out, uint64_t rate_ppm)
{
    out_add(out, rate_ppm < PPM ? "-" : "+");
    out_percent(out, rate_ppm < PPM ? PPM - rate_ppm : rate_ppm - PPM);
}

static void out_load(struct out *out, const struct command *command)
{
    const char *plus = "";
    if (command->load.ops == 0) out_add(out, "off");
    for (size_t i = 0; i < COUNT(load_words); i++) {
        if (!((command->load.ops >> i) & 1)) continue;
        out_add(out, "%s%s", plus, load_words[i]);
        plus = "+";
    }
    if (command->load.ops == 0) return;
    if (command->load.per_second > 0) out_add(out, " %u/s", command->load.per_second);
    if (command->load.keys != LOAD_KEYS) out_add(out, " keys %u", command->load.keys);
    if (command->load.clients != LOAD_CLIENTS) out_add(out, " clients %u", command->load.clients);
    if (command->load.bytes != LOAD_BYTES) out_add(out, " bytes %u", command->load.bytes);
}

static bool is_all(const struct selector *selector)
{
    return selector->words == SELECT_BIT(ALL) && selector->peers == 0;
}

/* Is there nothing to print but the verb? */
static bool is_bare(const struct command *command)
{
    return (command->verb == VERB_HEAL && is_all(&command->group[0])) ||
           (command->verb == VERB_STEP && command->time_ns == 0);
}

static void out_texts(struct out *out, const struct command *command)
{
    const char *const texts[] = { command->key, command->expected, command->value };
    const char *blank = "";
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (texts[i] == NULL) continue;
        out_add(out, "%s", blank);
        out_word(out, texts[i]);
        blank = " ";
    }
}

static void out_arguments(struct out *out, const struct command *command)
{
    switch (command->verb) {
    case VERB_CUT: out_groups(out, command, " > "); break;
    case VERB_PARTITION: out_groups(out, command, " | "); break;
    case VERB_SLOW_DISK:
    case VERB_STEP: out_time(out, command->time_ns); break;
    case VERB_FAIL_DISK:
        out_add(out, command->number == 0 ? "off" : command->number == EIO ? "eio" : "enospc");
        break;
    case VERB_SKEW: out_skew(out, command->rate_ppm); break;
    case VERB_RATE: out_decimal(out, command->rate_ppm, PPM); break;
    case VERB_LOAD: out_load(out, command); break;
    case VERB_PUT:
    case VERB_GET:
    case VERB_DEL:
    case VERB_APPEND:
    case VERB_CAS: out_texts(out, command); break;
    default: out_groups(out, command, ""); break;
    }
    if (command->verb == VERB_KILL && command->number - 1 < COUNT(kill_points))
        out_add(out, " %s", kill_points[command->number - 1]);
    if (command->verb == VERB_SLOW_DISK || command->verb == VERB_FAIL_DISK ||
        command->verb == VERB_SKEW) {
        out_add(out, " on ");
        out_groups(out, command, "");
    }
}

size_t verb_print(const struct command *command, char *text, size_t size)
{
    struct out out = { text, size, 0 };
    CHECK((unsigned)command->verb < VERB_COUNT);
    if (verb_is_link_fault(command->verb)) {
        out_link_faults(&out, command);
        return out.length;
    }
    out_add(&out, "%s%s", verb_rows[command->verb].word, is_bare(command) ? "" : " ");
    if (!is_bare(command)) out_arguments(&out, command);
    return out.length;
}
