/* ctl/control.c - connections, lines, answers in order (T1..T3). */
#include "ctl/control.h"

#include "ctl/carry.h"
#include "ctl/runtime.h"
#include "ctl/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    LINE_MAX_BYTES = 8 << 20,
    OUT_MAX_BYTES = 64 << 20,
    READ_BYTES = 65536
};
/* a peer that does not answer by then is paused or very busy */
static const uint64_t ASK_NS = 2 * NS_PER_S;

/* One line's answer: its place in the order is kept while it is not yet known. */
struct answer {
    struct question question; /* first: a question's `done` gets back to its answer by address */
    struct connection *connection; /* NULL: the asker has gone */
    struct answer *next;
    enum verb verb;
    bool start, applied; /* which of the lab's words, for the shape of the answer */
    uint32_t peer;
    /* a word for a peer whose life has just begun: asked when its rings are open */
    bool waits;
    enum message_kind kind;
    uint64_t index;
    char *body;
    char *text; /* NULL: not yet known */
};

struct connection {
    struct control *control;
    int fd; /* -1: free */
    bool subscribed, closing;
    char *in, *out;
    size_t in_used, in_size;
    size_t out_sent, out_used, out_size; /* out[out_sent .. out_used) waits */
    struct answer *first, *last;
};

struct control {
    struct supervisor *supervisor;
    char name[NAME_LENGTH_MAX + 1];
    struct runtime runtime;
    struct connection connections[CONNECTIONS_MAX];
};

/* ---- bytes out ---- */

static void free_answer(struct answer *answer)
{
    free(answer->body);
    free(answer->text);
    free(answer);
}

static void hang_up(struct connection *connection, bool forget)
{
    for (struct answer *answer = connection->first, *next; answer != NULL; answer = next) {
        next = answer->next;
        bool asked = answer->text == NULL && !answer->waits;
        if (asked && !forget) answer->connection = NULL; /* freed when its question is done */
        else free_answer(answer);
    }
    close(connection->fd);
    free(connection->in);
    free(connection->out);
    *connection = (struct connection){ .control = connection->control, .fd = -1 };
}

static void put_out(struct connection *connection, const char *text, size_t length)
{
    size_t waits = connection->out_used - connection->out_sent;
    if (waits + length > OUT_MAX_BYTES) { /* T2 */
        connection->closing = true;
        return;
    }
    bool fits = connection->out_used + length <= connection->out_size;
    if (!fits && connection->out_sent > waits) { /* moves less than was sent since the last time */
        memmove(connection->out, connection->out + connection->out_sent, waits);
        connection->out_sent = 0;
        connection->out_used = waits;
    }
    if (connection->out_used + length > connection->out_size) {
        size_t size = MAX_OF(2 * connection->out_size, connection->out_used + length);
        char *larger = realloc(connection->out, size);
        if (larger == NULL) {
            connection->closing = true;
            return;
        }
        connection->out = larger;
        connection->out_size = size;
    }
    memcpy(connection->out + connection->out_used, text, length);
    connection->out_used += length;
}

static void send_out(struct connection *connection)
{
    while (connection->out_sent < connection->out_used) {
        ssize_t sent =
            send(connection->fd, connection->out + connection->out_sent,
                 connection->out_used - connection->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (sent < 0) {
            connection->closing = true;
            break;
        }
        connection->out_sent += (size_t)sent;
    }
    connection->out_sent = connection->out_used = 0;
}

/* Answers at the front that are known leave (T1). */
static void move_answers(struct connection *connection)
{
    while (connection->first != NULL && connection->first->text != NULL) {
        struct answer *answer = connection->first;
        put_out(connection, answer->text, strlen(answer->text));
        put_out(connection, "\n", 1);
        connection->first = answer->next;
        if (connection->first == NULL) connection->last = NULL;
        free_answer(answer);
    }
}

/* ---- answers ---- */

static struct answer *new_answer(struct connection *connection)
{
    struct answer *answer = calloc(1, sizeof(*answer));
    CHECK(answer != NULL);
    answer->connection = connection;
    if (connection->last != NULL) connection->last->next = answer;
    else connection->first = answer;
    connection->last = answer;
    return answer;
}

static void finish(struct answer *answer, json_t *object)
{
    answer->text = json_dumps(object, JSON_COMPACT);
    if (answer->text == NULL)
        answer->text = strdup("{\"ok\":false,\"error\":\"the answer is not valid text\"}");
    json_decref(object);
    CHECK(answer->text != NULL);
}

static void finish_error(struct answer *answer, const char *error)
{
    finish(answer, json_pack("{s:b,s:s+}", "ok", 0, "error", error, ""));
}

static void finish_too_much(struct answer *answer, const char *rest)
{
    char error[128];
    snprintf(error, sizeof(error), "expected the end of the line, found '%.64s'", rest);
    finish_error(answer, error);
}

/* Any bytes as a JSON string: what is not UTF-8 is shown as \xHH. */
static json_t *bytes_json(const uint8_t *bytes, size_t length)
{
    json_t *text = json_stringn((const char *)bytes, length);
    if (text != NULL) return text;
    char *escaped = malloc(length * 4 + 1), *at = escaped;
    CHECK(escaped != NULL);
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] >= 0x20 && bytes[i] < 0x7f) *at++ = (char)bytes[i];
        else at += sprintf(at, "\\x%02x", bytes[i]);
    }
    text = json_stringn(escaped, (size_t)(at - escaped));
    free(escaped);
    return text;
}

static void finish_client(struct answer *answer, const struct client_result *result)
{
    if (result->status == RESULT_UNKNOWN) {
        finish(answer, json_pack("{s:b,s:s,s:s}", "ok", 0, "status", "unknown", "error",
                                 "no answer in time; it may still take effect"));
        return;
    }
    if (result->status == RESULT_FAIL) {
        char error[128];
        snprintf(error, sizeof(error), "%s",
                 result->timed_out ? "no leader in time; it had no effect"
                                   : reply_text(result->reply));
        finish(answer, json_pack("{s:b,s:s,s:s}", "ok", 0, "status", "fail", "error", error));
        return;
    }
    const struct frame *frame = &result->packet->frame;
    json_t *object = json_pack("{s:b,s:s,s:I,s:I}", "ok", 1, "status", "ok", "index",
                               (json_int_t)frame->client.index, "leader", (json_int_t)frame->from);
    if (answer->verb == VERB_GET)
        json_object_set_new(object, "output",
                            frame->flag ? bytes_json(result->packet->body, frame->body_bytes)
                                        : json_null());
    if (answer->verb == VERB_CAS || answer->verb == VERB_DEL)
        json_object_set_new(object, "output", json_boolean(frame->flag));
    finish(answer, object);
}

static json_t *applied_json(const struct packet *packet)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < packet->frame.count; i++) {
        static const char *const kinds[] = { "noop", "command", "start" };
        const struct entry *entry = &packet->entries[i];
        char text[512];
        json_t *command;
        if (entry->kind == ENTRY_OPAQUE) command = bytes_json(entry->data, entry->bytes);
        else if (entry->kind == ENTRY_NOOP) command = json_string("");
        else command = json_stringn(text, kv_text(entry->data, entry->bytes, text, sizeof(text)));
        json_array_append_new(list,
                              json_pack("{s:I,s:I,s:s,s:o}", "index",
                                        (json_int_t)packet->frame.client.index + (json_int_t)i,
                                        "term", (json_int_t)entry->term, "kind",
                                        kinds[entry->kind % 3], "command", command));
    }
    return list;
}

static void finish_asked(struct answer *answer, const struct client_result *result)
{
    char error[96];
    if (result->status != RESULT_OK) {
        snprintf(error, sizeof(error), "peer %u does not answer: it is paused, busy or just died",
                 answer->peer);
        finish_error(answer, error);
    } else if (answer->start) {
        const struct frame *frame = &result->packet->frame;
        finish(answer,
               json_pack("{s:b,s:I,s:I,s:b}", "ok", 1, "index", (json_int_t)frame->client.index,
                         "term", (json_int_t)frame->term, "isLeader", (int)frame->flag));
    } else {
        finish(answer, json_pack("{s:b,s:o}", "ok", 1, "applied", applied_json(result->packet)));
    }
}

static void on_done(struct question *question, const struct client_result *result)
{
    struct answer *answer = (struct answer *)question;
    if (answer->connection == NULL) {
        free_answer(answer);
        return;
    }
    if (answer->start || answer->applied) finish_asked(answer, result);
    else finish_client(answer, result);
    move_answers(answer->connection);
}

/* ---- words beside the verbs ---- */

/* "3 rest": a peer of this cluster, and what follows it. 0 after an error was answered. */
static uint32_t take_peer(struct control *control, struct answer *answer, char **rest)
{
    char *end, error[128];
    uint32_t peers = control->supervisor->config.cluster.peers;
    unsigned long peer = strtoul(*rest, &end, 10);
    if (end == *rest || peer < 1 || peer > peers || (*end != '\0' && *end != ' ')) {
        snprintf(error, sizeof(error), "expected a peer (1..%u), found '%.32s'", peers, *rest);
        finish_error(answer, error);
        return 0;
    }
    while (*end == ' ') end++;
    *rest = end;
    return (uint32_t)peer;
}

/* Ask, or wait until the peer's life has begun: what is in its rings before that is lost (R5). */
static void ask_now(struct control *control, struct answer *answer)
{
    struct supervisor *supervisor = control->supervisor;
    char error[64];
    answer->waits = false;
    if (!cluster_alive(supervisor->cluster, answer->peer)) {
        snprintf(error, sizeof(error), "peer %u is dead", answer->peer);
        finish_error(answer, error);
        return;
    }
    answer->waits = !cluster_has_spoken(supervisor->cluster, answer->peer);
    if (answer->waits) return;
    answer->question.done = on_done;
    size_t bytes = answer->body == NULL ? 0 : strlen(answer->body);
    if (!client_ask(supervisor->client, answer->peer, answer->kind, (const uint8_t *)answer->body,
                    bytes, answer->index, ASK_NS, true, &answer->question))
        finish_error(answer, "too many questions are open");
}

static void ask_waiting(struct control *control, struct connection *connection)
{
    for (struct answer *answer = connection->first; answer != NULL; answer = answer->next)
        if (answer->waits) ask_now(control, answer);
}

static void ask_peer(struct control *control, struct answer *answer, enum message_kind kind,
                     const char *body, uint64_t index)
{
    answer->kind = kind;
    answer->index = index;
    if (body != NULL) {
        answer->body = strdup(body);
        CHECK(answer->body != NULL);
    }
    ask_now(control, answer);
}

static void on_start(struct control *control, struct answer *answer, char *rest)
{
    answer->peer = take_peer(control, answer, &rest);
    if (answer->peer == 0) return;
    answer->start = true;
    if (*rest == '\0')
        finish_error(answer, "expected a command after the peer: start PEER COMMAND");
    else if (strlen(rest) > ENTRY_BYTES_MAX) finish_error(answer, "the entry is larger than 1 MiB");
    else ask_peer(control, answer, MESSAGE_START_REQUEST, rest, 0);
}

static void on_applied(struct control *control, struct answer *answer, char *rest)
{
    answer->peer = take_peer(control, answer, &rest);
    if (answer->peer == 0) return;
    answer->applied = true;
    char *end;
    unsigned long long from = *rest == '\0' ? 1 : strtoull(rest, &end, 10);
    if (*rest != '\0' && (*end != '\0' || *rest == '-' || from == 0))
        finish_error(answer, "expected an index, 1 or more: applied PEER FROM");
    else ask_peer(control, answer, MESSAGE_APPLIED_QUERY, NULL, from);
}

static void on_state(struct control *control, struct answer *answer, char *rest)
{
    struct board board;
    uint32_t peer = take_peer(control, answer, &rest);
    if (peer == 0) return;
    struct cluster *cluster = control->supervisor->cluster;
    if (*rest != '\0') finish_too_much(answer, rest);
    else if (!cluster_alive(cluster, peer)) finish_error(answer, "the peer is dead");
    else if (!cluster_board(cluster, peer, &board))
        finish_error(answer, "the peer has not started yet");
    else
        finish(answer,
               json_pack("{s:b,s:I,s:b,s:s}", "ok", 1, "term", (json_int_t)board.term, "isLeader",
                         (int)(board.role == LEADER), "role", role_name((uint32_t)board.role)));
}

static void on_status(struct control *control, struct answer *answer, char *rest)
{
    UNUSED(rest);
    json_t *status = status_json(control->supervisor);
    json_object_set_new(status, "ok", json_true());
    finish(answer, status);
}

static void on_subscribe(struct control *control, struct answer *answer, char *rest)
{
    UNUSED(control);
    UNUSED(rest);
    answer->connection->subscribed = true;
    finish(answer, json_pack("{s:b}", "ok", 1));
}

static void on_down(struct control *control, struct answer *answer, char *rest)
{
    UNUSED(rest);
    control->supervisor->stop = true;
    finish(answer, json_pack("{s:b}", "ok", 1));
}

static void on_help(struct control *control, struct answer *answer, char *rest)
{
    UNUSED(control);
    UNUSED(rest);
    json_t *list = json_array();
#define WORD_JSON(word, arguments, help)                                                           \
    json_array_append_new(                                                                         \
        list, json_pack("{s:s,s:s,s:s}", "word", word, "arguments", arguments, "help", help));
    CONTROL_WORDS(WORD_JSON)
#undef WORD_JSON
    for (size_t i = 0; i < VERB_COUNT; i++)
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:s}", "word", verb_rows[i].word, "arguments",
                                        verb_rows[i].arguments, "help", verb_rows[i].help));
    finish(answer, json_pack("{s:b,s:o}", "ok", 1, "verbs", list));
}

static void on_verb(struct control *control, struct answer *answer, char *line)
{
    struct command command;
    struct parse_error error;
    char text[700], done[512];
    if (verb_parse(line, control->supervisor->config.cluster.peers, &command, &error) != ERR_OK) {
        snprintf(text, sizeof(text), "column %u: %s", error.column, error.text);
        finish_error(answer, text);
        return;
    }
    answer->verb = command.verb;
    answer->question.done = on_done;
    err_t err;
    if (verb_is_question(command.verb))
        err = carry_ask(control->supervisor, &command, &answer->question);
    else err = carry_out(control->supervisor, &command, done, sizeof(done));
    if (err != ERR_OK) finish_error(answer, err_context());
    else if (!verb_is_question(command.verb))
        finish(answer, json_pack("{s:b,s:s}", "ok", 1, "done", done));
}

static void on_line(struct connection *connection, char *line)
{
    static const struct {
        const char *word;
        void (*handle)(struct control *, struct answer *, char *);
        bool alone;
    } words[] = { { "status", on_status, true },
                  { "start", on_start, false },
                  { "state", on_state, false },
                  { "applied", on_applied, false },
                  { "subscribe", on_subscribe, true },
                  { "down", on_down, true },
                  { "help", on_help, true } };
    struct answer *answer = new_answer(connection);
    while (*line == ' ' || *line == '\t') line++;
    size_t length = strcspn(line, " \t");
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strlen(words[i].word) != length || strncmp(words[i].word, line, length) != 0) continue;
        char *rest = line + length;
        while (*rest == ' ' || *rest == '\t') rest++;
        if (words[i].alone && *rest != '\0') finish_too_much(answer, rest);
        else words[i].handle(connection->control, answer, rest);
        return;
    }
    on_verb(connection->control, answer, line);
}

/* ---- connections ---- */

static void take_lines(struct connection *connection)
{
    size_t begin = 0;
    for (;;) {
        char *start = connection->in + begin;
        char *end = memchr(start, '\n', connection->in_used - begin);
        if (end == NULL) break;
        begin = (size_t)(end + 1 - connection->in);
        if (end > start && end[-1] == '\r') end--;
        *end = '\0';
        if (strlen(start) == (size_t)(end - start)) on_line(connection, start);
        else finish_error(new_answer(connection), "a line must not hold NUL bytes");
        move_answers(connection); /* now, so that T2 holds for a read with thousands of lines */
        if (connection->out_used >= READ_BYTES) send_out(connection);
        if (connection->closing) return;
    }
    memmove(connection->in, connection->in + begin, connection->in_used - begin);
    connection->in_used -= begin;
    if (connection->in_used < LINE_MAX_BYTES) return;
    finish_error(new_answer(connection), "the line is longer than 8 MiB");
    connection->closing = true;
}

static void read_in(struct connection *connection)
{
    for (;;) {
        if (connection->in_size - connection->in_used < READ_BYTES) {
            char *larger = realloc(connection->in, connection->in_size + 2 * READ_BYTES);
            CHECK(larger != NULL);
            connection->in = larger;
            connection->in_size += 2 * READ_BYTES;
        }
        ssize_t got =
            recv(connection->fd, connection->in + connection->in_used, READ_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (got <= 0) {
            /* a peer that has shut down its sending side still gets its answers */
            if (got < 0 || connection->first == NULL) connection->closing = true;
            return;
        }
        connection->in_used += (size_t)got;
        take_lines(connection);
        if (connection->closing) return;
    }
}

static void take_connection(struct control *control)
{
    int fd = accept4(control->runtime.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (control->connections[i].fd >= 0) continue;
        control->connections[i] = (struct connection){ .control = control, .fd = fd };
        return;
    }
    close(fd); /* too many: the caller sees the end of the file */
}

err_t control_open(struct supervisor *supervisor, const char *name, struct control **made)
{
    struct control *control = calloc(1, sizeof(*control));
    CHECK(control != NULL);
    control->supervisor = supervisor;
    snprintf(control->name, sizeof(control->name), "%s", name);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        control->connections[i] = (struct connection){ .control = control, .fd = -1 };
    err_t err = runtime_listen(name, &control->runtime);
    if (err != ERR_OK) free(control);
    else *made = control;
    return err;
}

size_t control_fds(const struct control *control, struct pollfd *fds, size_t most)
{
    size_t count = 0;
    if (most == 0) return 0;
    fds[count++] = (struct pollfd){ .fd = control->runtime.listen_fd, .events = POLLIN };
    for (size_t i = 0; i < CONNECTIONS_MAX && count < most; i++) {
        const struct connection *connection = &control->connections[i];
        if (connection->fd < 0) continue;
        short events = (short)(connection->out_used > 0 ? POLLIN | POLLOUT : POLLIN);
        fds[count++] = (struct pollfd){ .fd = connection->fd, .events = events };
    }
    return count;
}

static bool is_ready(int fd, const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd == fd && fds[i].revents != 0) return true;
    return false;
}

void control_poll(struct control *control, const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &control->connections[i];
        if (connection->fd < 0) continue;
        if (is_ready(connection->fd, fds, count)) read_in(connection);
        ask_waiting(control, connection);
        move_answers(connection);
        send_out(connection);
        if (connection->closing) hang_up(connection, false);
    }
    /* last: those that have just left make room */
    if (is_ready(control->runtime.listen_fd, fds, count)) take_connection(control);
}

void control_note(struct control *control, const struct note *note)
{
    char *line = NULL, text[256];
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &control->connections[i];
        if (connection->fd < 0 || !connection->subscribed || connection->closing) continue;
        if (line == NULL) { /* once, and only when somebody listens */
            note_text(note, text, sizeof(text));
            json_t *event =
                json_pack("{s:f,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:s}", "time_ms",
                          (double)note->time_ns / 1e6, "event", note_name(note->kind), "topic",
                          topic_name(note_topic(note->kind)), "peer", (int)note->self, "other",
                          (int)note->other, "term", (json_int_t)note->term, "a",
                          (json_int_t)note->a, "b", (json_int_t)note->b, "c", (json_int_t)note->c,
                          "d", (json_int_t)note->d, "text", text);
            line = json_dumps(event, JSON_COMPACT);
            json_decref(event);
            if (line == NULL) return;
        }
        put_out(connection, line, strlen(line));
        put_out(connection, "\n", 1);
    }
    free(line);
}

void control_close(struct control *control)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &control->connections[i];
        if (connection->fd < 0) continue;
        send_out(connection);
        hang_up(connection, true); /* the client that had the questions is closed already */
    }
    runtime_leave(control->name, &control->runtime);
    free(control);
}
