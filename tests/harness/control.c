/* tests/harness/control.c - sockets, lines, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

/* ---- one connection ---- */

const char *control_path(const char *name)
{
    static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    snprintf(path, sizeof(path), "%s/ringside/%s/control", getenv("XDG_RUNTIME_DIR"), name);
    return path;
}

bool control_open(struct control *control, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strcpy(address.sun_path, control_path(name));
    *control = (struct control){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    CHECK(control->fd >= 0);
    if (connect(control->fd, (struct sockaddr *)&address, sizeof(address)) == 0) return true;
    control_close(control);
    return false;
}

void control_close(struct control *control)
{
    if (control->fd > 0) close(control->fd);
    free(control->buffer);
    *control = (struct control){ 0 };
}

bool control_send(struct control *control, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(control->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* More bytes into the buffer; false at the end of the file. */
static bool read_more(struct control *control, uint64_t end_ns)
{
    if (control->size - control->used < READ_BYTES) {
        control->size += 2 * READ_BYTES;
        control->buffer = realloc(control->buffer, control->size);
        CHECK(control->buffer != NULL);
    }
    struct pollfd ready = { .fd = control->fd, .events = POLLIN };
    uint64_t now_ns = real_now_ns();
    int wait_ms = now_ns < end_ns ? (int)((end_ns - now_ns) / NS_PER_MS) : 0;
    if (poll(&ready, 1, wait_ms) == 0) fail_msg("no answer on the control socket");
    ssize_t got = recv(control->fd, control->buffer + control->used, READ_BYTES, 0);
    if (got > 0) control->used += (size_t)got;
    return got > 0 || (got < 0 && errno == EINTR);
}

json_t *control_receive(struct control *control)
{
    char *end;
    uint64_t end_ns = real_now_ns() + PATIENCE_NS;
    while (control->used == 0 || (end = memchr(control->buffer, '\n', control->used)) == NULL)
        if (!read_more(control, end_ns)) return NULL;
    json_t *answer = json_loadb(control->buffer, (size_t)(end - control->buffer), 0, NULL);
    if (answer == NULL)
        fail_msg("no JSON: %.*s", (int)MIN_OF(end - control->buffer, 200), control->buffer);
    size_t taken = (size_t)(end + 1 - control->buffer);
    memmove(control->buffer, end + 1, control->used - taken);
    control->used -= taken;
    return answer;
}

__attribute__((format(printf, 3, 0))) static json_t *ask(struct control *control, char **line,
                                                         const char *format, va_list arguments)
{
    int length = vasprintf(line, format, arguments);
    CHECK(length >= 0);
    (*line)[length] = '\n'; /* in place of the final 0 */
    json_t *answer = NULL;
    if (control_send(control, *line, (size_t)length + 1)) answer = control_receive(control);
    (*line)[length] = '\0';
    if (answer == NULL) fail_msg("the cluster has ended before it answered '%.80s'", *line);
    return answer;
}

json_t *control_ask(struct control *control, const char *format, ...)
{
    char *line;
    va_list arguments;
    va_start(arguments, format);
    json_t *answer = ask(control, &line, format, arguments);
    va_end(arguments);
    free(line);
    return answer;
}

__attribute__((format(printf, 2, 0))) static json_t *must(struct control *control,
                                                          const char *format, va_list arguments)
{
    char *line;
    json_t *answer = ask(control, &line, format, arguments);
    if (!json_flag(answer, "ok"))
        fail_msg("'%.80s' is answered with: %s", line, json_text(answer, "error"));
    free(line);
    return answer;
}

json_t *control_must(struct control *control, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    json_t *answer = must(control, format, arguments);
    va_end(arguments);
    return answer;
}

void control_do(struct control *control, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    json_decref(must(control, format, arguments));
    va_end(arguments);
}

/* ---- JSON ---- */

long long json_number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("there is no number '%s'", key);
    return json_is_integer(value) ? json_integer_value(value) : (long long)json_real_value(value);
}

bool json_flag(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value)) fail_msg("there is no true or false '%s'", key);
    return json_is_true(value);
}

const char *json_text(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) fail_msg("there is no text '%s'", key);
    return json_string_value(value);
}

json_t *status_peer(json_t *status, uint32_t id)
{
    json_t *peer = json_array_get(json_object_get(status, "peers"), id - 1);
    assert_int_equal(json_number(peer, "id"), id);
    return peer;
}

json_t *status_link(json_t *status, uint32_t from, uint32_t to)
{
    size_t index;
    json_t *link;
    json_array_foreach (json_object_get(status, "links"), index, link)
        if (json_number(link, "from") == from && json_number(link, "to") == to) return link;
    fail_msg("there is no link from %u to %u", from, to);
    return NULL;
}

/* ---- a cluster ---- */

/* Its socket takes connections. */
static bool answers(struct ringside *ringside)
{
    if (control_open(&ringside->control, ringside->name)) return true;
    if (program_ended(&ringside->program))
        fail_msg("the cluster does not start"); /* see ringside_close */
    return false;
}

/* Every peer has published its first page, and the answer shows it. */
static bool all_have_spoken(struct ringside *ringside)
{
    json_t *status = control_must(&ringside->control, "status");
    bool all = json_array_size(json_object_get(status, "peers")) == ringside->peers;
    for (uint32_t id = 1; all && id <= ringside->peers; id++)
        all = json_number(status_peer(status, id), "life") > 0;
    json_decref(status);
    return all;
}

void ringside_up(struct ringside *ringside, uint32_t peers, const char *const *words)
{
    static unsigned clusters;
    char number[16];
    memset(ringside, 0, sizeof(*ringside));
    ringside->peers = peers;
    snprintf(number, sizeof(number), "%u", peers);
    snprintf(ringside->name, sizeof(ringside->name), "test-%d-%u", (int)getpid(), ++clusters);
    const char *all[WORDS_MAX + 1] = { "up", "--headless", "-n", number, "--name", ringside->name };
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) all[6 + i] = words[i];
    program_start(&ringside->program, all);
    WAIT_UNTIL(answers(ringside));
    WAIT_UNTIL(all_have_spoken(ringside));
}

int ringside_down(struct ringside *ringside)
{
    control_do(&ringside->control, "down");
    control_close(&ringside->control);
    return program_wait(&ringside->program);
}

void ringside_close(struct ringside *ringside)
{
    control_close(&ringside->control);
    if (ringside->program.err > 0) {
        char *text = program_text(ringside->program.err);
        if (text[0] != '\0') print_error("stderr of %s:\n%s", ringside->name, text);
        free(text);
    }
    program_close(&ringside->program);
}

long long ringside_peer_number(struct ringside *ringside, uint32_t id, const char *key)
{
    json_t *status = control_must(&ringside->control, "status");
    long long number = json_number(status_peer(status, id), key);
    json_decref(status);
    return number;
}

bool ringside_peer_flag(struct ringside *ringside, uint32_t id, const char *key)
{
    json_t *status = control_must(&ringside->control, "status");
    bool flag = json_flag(status_peer(status, id), key);
    json_decref(status);
    return flag;
}

long long ringside_link_number(struct ringside *ringside, uint32_t from, uint32_t to,
                               const char *key)
{
    size_t index;
    json_t *link, *status = control_must(&ringside->control, "status");
    long long sum = 0;
    json_array_foreach (json_object_get(status, "links"), index, link) {
        if (from != 0 && json_number(link, "from") != from) continue;
        if (to != 0 && json_number(link, "to") != to) continue;
        sum += json_number(link, key);
    }
    json_decref(status);
    return sum;
}

uint32_t ringside_leader(struct ringside *ringside, uint32_t not_this)
{
    uint32_t leader = 0;
    long long term = 0;
    json_t *status = control_must(&ringside->control, "status");
    for (uint32_t id = 1; id <= ringside->peers; id++) {
        json_t *peer = status_peer(status, id);
        bool runs = json_flag(peer, "alive") && !json_flag(peer, "paused");
        if (!runs || id == not_this || strcmp(json_text(peer, "role"), "leader") != 0) continue;
        if (json_number(peer, "term") <= term) continue;
        term = json_number(peer, "term");
        leader = id;
    }
    json_decref(status);
    return leader;
}
