/* tests/harness/transcript.c - reads blocks, runs commands on cores, prints what happened. */
#include "tests/harness/transcript.h"
#include "tests/harness/cores.h"
#include "tests/harness/look.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SEED 1
#define TERMS_MAX 256
#define STABLE_MAX 10000 /* messages after which a conversation counts as endless */

struct script {
    struct cores *cores; /* NULL before `cluster` */
    FILE *out;
    bool inside; /* notes belong to a message that was just printed */
    char *error;
    size_t error_size;
};
struct filter { /* which of the messages in flight */
    peer_set from, to;
    int kind; /* -1: any */
    size_t count;
    bool newest;
};

static void print_note(void *context, const struct note *note)
{
    struct script *script = context;
    char text[200];
    note_text(note, text, sizeof(text));
    fprintf(script->out, "%s%u %s\n", script->inside ? "  " : "", note->self, text);
}

#define ULL(x) ((unsigned long long)(x))

/* ---- arguments ---- */

__attribute__((format(printf, 2, 3))) static bool fail(struct script *script, const char *format,
                                                       ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(script->error, script->error_size, format, list);
    va_end(list);
    return false;
}

static char *word(char **rest)
{
    char *found = strtok_r(NULL, " ", rest);
    return found;
}

static bool number(const char *text, uint64_t *value)
{
    char *end;
    if (text == NULL || *text < '0' || *text > '9') return false;
    *value = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool peer(struct script *script, const char *text, uint32_t *id)
{
    uint64_t value;
    if (!number(text, &value) || value < 1 || value > script->cores->config.peers)
        return fail(script, "'%s' is no peer of this cluster", text == NULL ? "" : text);
    *id = (uint32_t)value;
    return true;
}

static bool peers(struct script *script, char *text, peer_set *set)
{
    char *rest = NULL;
    *set = 0;
    for (char *each = strtok_r(text, ",", &rest); each != NULL; each = strtok_r(NULL, ",", &rest)) {
        uint32_t id;
        if (!peer(script, each, &id)) return false;
        *set |= peer_bit(id);
    }
    return true;
}

static bool read_filter(struct script *script, char **rest, struct filter *filter)
{
    *filter = (struct filter){ ~(peer_set)0, ~(peer_set)0, -1, SIZE_MAX, false };
    for (char *each; (each = word(rest)) != NULL;) {
        uint64_t value;
        if (strncmp(each, "from=", 5) == 0) {
            if (!peers(script, each + 5, &filter->from)) return false;
        } else if (strncmp(each, "to=", 3) == 0) {
            if (!peers(script, each + 3, &filter->to)) return false;
        } else if (strncmp(each, "count=", 6) == 0 && number(each + 6, &value)) {
            filter->count = value;
        } else if (strcmp(each, "newest") == 0) {
            filter->newest = true;
        } else {
            for (uint32_t kind = 0; kind <= MESSAGE_TIMEOUT_NOW; kind++)
                if (strcmp(each, message_kind_name(kind)) == 0) filter->kind = (int)kind;
            if (filter->kind < 0)
                return fail(script, "'%s' is neither a filter nor a kind of message", each);
        }
    }
    return true;
}

static bool matches(const struct filter *filter, const struct message *message)
{
    return peer_in(filter->from, message->from) && peer_in(filter->to, message->to) &&
           (filter->kind < 0 || filter->kind == message->kind);
}

/* ---- commands; their usage is in the table below ---- */

static bool run_cluster(struct script *script, char **rest)
{
    uint64_t value, high;
    if (!number(word(rest), &value) || value < 1 || value > PEER_MAX)
        return fail(script, "how many peers? 1..63");
    struct raft_config config = {
        .peers = (uint32_t)value,
        .election_min_ns = 150 * NS_PER_MS,
        .election_max_ns = 300 * NS_PER_MS,
        .heartbeat_ns = 50 * NS_PER_MS,
        .notify_ns = 10 * NS_PER_MS,
        .window = 16,
    };
    for (char *each; (each = word(rest)) != NULL;) {
        if (strcmp(each, "noop") == 0) config.noop_on_election = true;
        else if (sscanf(each, "election=%lu..%lums", &value, &high) == 2 && value <= high) {
            config.election_min_ns = value * NS_PER_MS;
            config.election_max_ns = high * NS_PER_MS;
        } else if (sscanf(each, "heartbeat=%lums", &value) == 1)
            config.heartbeat_ns = value * NS_PER_MS;
        else if (sscanf(each, "notify=%lums", &value) == 1) config.notify_ns = value * NS_PER_MS;
        else if (sscanf(each, "window=%lu", &value) == 1 && value >= 1 && value <= CORES_WINDOW_MAX)
            config.window = (uint32_t)value;
        else return fail(script, "'%s' is no option of a cluster", each);
    }
    if (script->cores != NULL) return fail(script, "there is a cluster already");
    script->cores = malloc(sizeof(*script->cores));
    CHECK(script->cores != NULL);
    cores_open(script->cores, &config, SEED);
    script->cores->on_note = print_note;
    script->cores->context = script;
    return true;
}

static bool run_disk(struct script *script, char **rest)
{
    uint32_t id, voted = 0;
    uint64_t term = 0, terms[TERMS_MAX], count = 0, value, times;
    if (!peer(script, word(rest), &id)) return false;
    bool log = false;
    for (char *each; (each = word(rest)) != NULL;) {
        if (strcmp(each, "log") == 0) {
            log = true;
        } else if (!log && strcmp(each, "term") == 0 && number(word(rest), &value)) {
            term = value;
        } else if (!log && strcmp(each, "vote") == 0) {
            if (!peer(script, word(rest), &voted)) return false;
        } else {
            int read = sscanf(each, "%lux%lu", &value, &times);
            if (!log || read < 1) return fail(script, "'%s' belongs on no disk", each);
            for (times = read == 2 ? times : 1; times > 0 && count < TERMS_MAX; times--)
                terms[count++] = value;
        }
    }
    if (term == 0 && count > 0) term = terms[count - 1];
    cores_load(script->cores, id, term, voted, terms, count);
    return true;
}

static bool run_timeout(struct script *script, char **rest)
{
    uint32_t id;
    if (!peer(script, word(rest), &id)) return false;
    cores_event(script->cores, id, EVENT_TIMEOUT_NOW);
    cores_turn(script->cores, id);
    return true;
}

static bool run_propose(struct script *script, char **rest)
{
    uint32_t id;
    uint64_t times = 1;
    if (!peer(script, word(rest), &id)) return false;
    char *text = word(rest);
    if (text != NULL && !number(text, &times))
        return fail(script, "'%s' is no number of entries", text);
    bool taken = true;
    for (; times > 0; times--) taken = cores_propose(script->cores, id).index != 0 && taken;
    uint32_t leader = script->cores->core[id].raft.leader;
    if (!taken && leader != 0) fprintf(script->out, "%u does not take it: ask %u\n", id, leader);
    else if (!taken) fprintf(script->out, "%u does not take it: it knows no leader\n", id);
    cores_turn(script->cores, id);
    return true;
}

/* Message `n` arrives, or is found lost; its receiver's turn ends. */
static void deliver_one(struct script *script, size_t n)
{
    struct cores *cores = script->cores;
    struct message message = cores->flights[n]->message;
    look_message(script->out, cores->flights[n]);
    if (!cores->core[message.to].up) fprintf(script->out, ": lost, %u is down", message.to);
    else if (peer_in(cores->cut[message.from], message.to))
        fprintf(script->out, ": lost, link is cut");
    fprintf(script->out, "\n");
    script->inside = true;
    if (cores_deliver(cores, n)) cores_turn(cores, message.to);
    script->inside = false;
}

static void drop_one(struct script *script, size_t n)
{
    look_message(script->out, script->cores->flights[n]);
    fprintf(script->out, ": lost\n");
    cores_lose(script->cores, n);
}

static void copy_one(struct script *script, size_t n)
{
    look_message(script->out, script->cores->flights[n]);
    fprintf(script->out, ": twice in flight\n");
    cores_copy(script->cores, n);
}

/* `act` on each message that is in flight now and matches; what is sent meanwhile is left for the
 * next command. */
static bool for_flights(struct script *script, char **rest, void (*act)(struct script *, size_t))
{
    struct filter filter;
    if (!read_filter(script, rest, &filter)) return false;
    struct cores *cores = script->cores;
    size_t limit = cores->flights_count, done = 0;
    for (size_t seen = 0; seen < limit && done < filter.count;) {
        size_t n = filter.newest ? limit - 1 - seen : seen;
        if (!matches(&filter, &cores->flights[n]->message)) {
            seen++;
            continue;
        }
        act(script, n);
        done++;
        if (act == copy_one) seen++;
        else limit--;
    }
    return true;
}

static bool run_deliver(struct script *script, char **rest)
{
    return for_flights(script, rest, deliver_one);
}

static bool run_drop(struct script *script, char **rest)
{
    return for_flights(script, rest, drop_one);
}

static bool run_copy(struct script *script, char **rest)
{
    return for_flights(script, rest, copy_one);
}

static bool run_stabilize(struct script *script, char **rest)
{
    char *option = word(rest);
    if (option != NULL && strcmp(option, "quietly") != 0)
        return fail(script, "'%s'? quietly, or nothing", option);
    FILE *out = script->out;
    if (option != NULL) {
        script->out = fopen("/dev/null", "w");
        CHECK(script->out != NULL);
    }
    size_t delivered = 0;
    for (; script->cores->flights_count > 0 && delivered < STABLE_MAX; delivered++)
        deliver_one(script, 0);
    if (script->out != out) fclose(script->out);
    script->out = out;
    if (option != NULL) fprintf(out, "%zu messages\n", delivered);
    if (delivered == STABLE_MAX) return fail(script, "they do not stop talking");
    return true;
}

static bool for_peer(struct script *script, char **rest, void (*act)(struct cores *, uint32_t))
{
    char *text = word(rest);
    uint32_t id;
    if (text != NULL && strcmp(text, "all") == 0) {
        for (id = 1; id <= script->cores->config.peers; id++) act(script->cores, id);
        return true;
    }
    if (!peer(script, text, &id)) return false;
    act(script->cores, id);
    return true;
}

static bool run_crash(struct script *script, char **rest)
{
    return for_peer(script, rest, cores_crash);
}

static void arm(struct cores *cores, uint32_t id)
{
    cores->core[id].dies_after_save = cores->core[id].up;
}

static bool run_crash_after_save(struct script *script, char **rest)
{
    return for_peer(script, rest, arm);
}

static bool run_restart(struct script *script, char **rest)
{
    return for_peer(script, rest, cores_restart);
}

static bool run_hold_disk(struct script *script, char **rest)
{
    return for_peer(script, rest, cores_hold_disk);
}

static bool run_release_disk(struct script *script, char **rest)
{
    return for_peer(script, rest, cores_release_disk);
}

static bool run_cut(struct script *script, char **rest)
{
    uint32_t from, to;
    if (!peer(script, word(rest), &from)) return false;
    char *arrow = word(rest);
    if (arrow == NULL || strcmp(arrow, ">") != 0)
        return fail(script, "cut FROM > TO, not '%s'", arrow ? arrow : "");
    if (!peer(script, word(rest), &to)) return false;
    script->cores->cut[from] |= peer_bit(to);
    return true;
}

static bool run_isolate(struct script *script, char **rest)
{
    uint32_t id;
    if (!peer(script, word(rest), &id)) return false;
    script->cores->cut[id] = ~(peer_set)0;
    for (uint32_t from = 1; from <= script->cores->config.peers; from++)
        script->cores->cut[from] |= peer_bit(id);
    return true;
}

static bool run_heal(struct script *script, char **rest)
{
    UNUSED(rest);
    memset(script->cores->cut, 0, sizeof(script->cores->cut));
    return true;
}

static bool run_tick(struct script *script, char **rest)
{
    uint64_t ms;
    char *text = word(rest);
    char unit[3];
    if (text == NULL || sscanf(text, "%lu%2s", &ms, unit) != 2 || strcmp(unit, "ms") != 0)
        return fail(script, "how long? like 100ms, not '%s'", text == NULL ? "" : text);
    cores_advance(script->cores, ms * NS_PER_MS);
    return true;
}

static bool run_flight(struct script *script, char **rest)
{
    struct filter filter;
    if (!read_filter(script, rest, &filter)) return false;
    size_t shown = 0;
    for (size_t n = 0; n < script->cores->flights_count; n++) {
        if (!matches(&filter, &script->cores->flights[n]->message)) continue;
        look_message(script->out, script->cores->flights[n]);
        fprintf(script->out, "\n");
        shown++;
    }
    if (shown == 0) fprintf(script->out, "nothing in flight\n");
    return true;
}

static bool run_status(struct script *script, char **rest)
{
    char *each = word(rest);
    uint32_t id;
    for (id = 1; each == NULL && id <= script->cores->config.peers; id++)
        look_status(script->out, script->cores, id);
    for (; each != NULL; each = word(rest)) {
        if (!peer(script, each, &id)) return false;
        look_status(script->out, script->cores, id);
    }
    return true;
}

static bool run_progress(struct script *script, char **rest)
{
    uint32_t self;
    if (!peer(script, word(rest), &self)) return false;
    const struct raft *raft = &script->cores->core[self].raft;
    for (uint32_t id = 1; id <= raft->config.peers; id++) {
        const struct follower *follower = &raft->followers[id];
        if (id == self) continue;
        fprintf(script->out, "%u: match %llu next %llu%s%s\n", id, ULL(follower->match_index),
                ULL(follower->next_index), follower->probing ? ", probing" : "",
                follower->waiting ? ", waiting for an answer" : "");
    }
    return true;
}

static bool run_timers(struct script *script, char **rest)
{
    UNUSED(rest);
    for (uint32_t id = 1; id <= script->cores->config.peers; id++) {
        const struct core *core = &script->cores->core[id];
        uint64_t at = core->raft.election_deadline_ns;
        if (!core->up) fprintf(script->out, "%u down\n", id);
        else if (at == TIME_NEVER) fprintf(script->out, "%u never\n", id);
        else
            fprintf(script->out, "%u in %.1f ms, drawn %.1f ms\n", id,
                    (double)(at - script->cores->now_ns) / 1e6,
                    (double)(at - core->raft.timer_started_ns) / 1e6);
    }
    return true;
}

static const struct command {
    const char *name;
    bool (*run)(struct script *script, char **rest);
    const char *usage;
} commands[] = {
    { "cluster", run_cluster,
      "N [noop] [window=16] [election=150..300ms] [heartbeat=50ms] [notify=10ms]" },
    { "disk", run_disk, "ID [term T] [vote ID] log T T TxCOUNT ...: what it finds at its start" },
    { "timeout", run_timeout, "ID: its election timer runs out" },
    { "propose", run_propose, "ID [N]: a client wants N entries, in one turn" },
    { "deliver", run_deliver,
      "[from=IDS] [to=IDS] [KIND] [count=N] [newest]: those in flight now, each a turn" },
    { "drop", run_drop, "same filters: they are lost" },
    { "copy", run_copy, "same filters: they will arrive twice" },
    { "stabilize", run_stabilize, "[quietly]: deliver until nothing is in flight; no time passes" },
    { "crash", run_crash, "ID|all: keeps its disk only" },
    { "crash-after-save", run_crash_after_save,
      "ID|all: at its next save, before the messages after it" },
    { "restart", run_restart, "ID|all" },
    { "hold-disk", run_hold_disk, "ID|all: it does not answer from now on" },
    { "release-disk", run_release_disk, "ID|all: it answers again" },
    { "cut", run_cut, "FROM > TO" },
    { "isolate", run_isolate, "ID: cut all its links" },
    { "heal", run_heal, "restore all links" },
    { "tick", run_tick, "100ms: time passes, timers run out, no message arrives" },
    { "flight", run_flight, "same filters: show what is in flight" },
    { "status", run_status,
      "[ID...]: role, term, vote; log as terms, the committed part in brackets" },
    { "progress", run_progress, "ID: what a leader knows of its followers" },
    { "timers", run_timers, "when the election timers run out" },
};

void transcript_help(FILE *out)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(out, "%-16s %s\n", commands[i].name, commands[i].usage);
}

static bool run_line(struct script *script, const char *line, size_t length)
{
    char copy[1024];
    if (length >= sizeof(copy)) return fail(script, "line is too long");
    memcpy(copy, line, length);
    copy[length] = '\0';
    char *rest = NULL;
    const char *name = strtok_r(copy, " ", &rest);
    for (size_t i = 0; name != NULL && i < COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) != 0) continue;
        if (script->cores == NULL && commands[i].run != run_cluster)
            return fail(script, "'cluster N' comes before '%s'", name);
        if (!commands[i].run(script, &rest)) return false;
        const char *extra = word(&rest);
        if (extra != NULL) return fail(script, "'%s' is one word too many", extra);
        if (script->cores->witness.broken == NULL) return true;
        snprintf(script->error, script->error_size, "SAFETY BROKEN (%s): %s",
                 script->cores->witness.broken, script->cores->witness.text);
        return false;
    }
    return fail(script, "'%s' is no command", name == NULL ? "" : name);
}

/* ---- blocks: command lines, `----`, output, an empty line; comments stand between them ---- */

struct reader {
    const char *line; /* where it is; at a 0: the text is over */
    long number;
};

static size_t line_length(const char *line)
{
    return strcspn(line, "\n");
}

static bool line_is(const char *line, const char *text)
{
    return line_length(line) == strlen(text) && strncmp(line, text, strlen(text)) == 0;
}

static void read_on(struct reader *reader)
{
    reader->line += line_length(reader->line);
    if (*reader->line == '\n') reader->line++;
    reader->number++;
}

static bool in_block(const struct reader *reader)
{
    return *reader->line != '\0' && *reader->line != '\n';
}

/* Write the block's commands, run them, pass over the output that was expected. */
static bool run_block(struct script *script, struct reader *reader)
{
    struct reader command = *reader;
    for (; in_block(reader) && !line_is(reader->line, "----"); read_on(reader))
        fprintf(script->out, "%.*s\n", (int)line_length(reader->line), reader->line);
    fprintf(script->out, "----\n");
    long before = ftell(script->out);
    for (; command.number < reader->number; read_on(&command)) {
        if (run_line(script, command.line, line_length(command.line))) continue;
        size_t used = strlen(script->error);
        snprintf(script->error + used, script->error_size - used, " (line %ld)", command.number);
        return false;
    }
    if (ftell(script->out) == before) fprintf(script->out, "ok\n");
    while (in_block(reader)) read_on(reader);
    return true;
}

bool transcript_run(const char *text, FILE *out, char *error, size_t size)
{
    struct script script = { .out = out, .error = error, .error_size = size };
    struct reader reader = { .line = text, .number = 1 };
    bool well = true;
    while (well && *reader.line != '\0') {
        if (in_block(&reader) && *reader.line != '#') {
            well = run_block(&script, &reader);
        } else {
            fprintf(out, "%.*s\n", (int)line_length(reader.line), reader.line);
            read_on(&reader);
        }
    }
    if (script.cores != NULL) cores_close(script.cores);
    free(script.cores);
    return well;
}
