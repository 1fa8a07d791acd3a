/* tests/fuzz/control.c - a connection sends any bytes, in any pieces: each line gets one answer, a
 * JSON object with "ok", in their order (T1); nothing else comes unless it has subscribed. The
 * first byte: bits 0-2 how often it is answered in between; then it hangs up, without a look at its
 * answers (DEAF), or the socket is closed while questions are open (CLOSED). */
#include "ctl/control.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stage.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECES_MAX = 16, DEAF = 8, CLOSED = 16 };

struct talk {
    struct supervisor *supervisor;
    struct control *control;
    int fd;
    bool deaf;
    char *said; /* all answers so far */
    size_t said_bytes, said_size;
};

static void hear(struct talk *talk)
{
    while (!talk->deaf) {
        if (talk->said_size - talk->said_bytes < 4096) {
            talk->said_size = 2 * talk->said_size + 8192;
            talk->said = realloc(talk->said, talk->said_size);
            CHECK(talk->said != NULL);
        }
        ssize_t got = recv(talk->fd, talk->said + talk->said_bytes,
                           talk->said_size - talk->said_bytes, MSG_DONTWAIT);
        if (got <= 0) return;
        talk->said_bytes += (size_t)got;
    }
}

static void poll_once(struct talk *talk)
{
    struct pollfd fds[8];
    size_t count = control_fds(talk->control, fds, COUNT(fds));
    if (poll(fds, (nfds_t)count, 0) < 0) { /* libFuzzer has a timer */
        CHECK(errno == EINTR);
        return;
    }
    control_poll(talk->control, fds, count);
    hear(talk);
}

/* All of them, unless the other side hangs up. */
static void say(struct talk *talk, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(talk->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
        poll_once(talk);
    }
}

/* Events of a subscription aside, as many answers as lines. */
static void check_answers(const struct talk *talk, size_t lines)
{
    size_t answers = 0;
    const char *at = talk->said, *end = at + talk->said_bytes, *stop;
    for (; at < end; at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop != NULL); /* whole lines only */
        json_t *answer =
            json_loadb(at, (size_t)(stop - at), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        CHECK(json_is_object(answer));
        json_t *ok = json_object_get(answer, "ok");
        if (ok != NULL) {
            CHECK(json_is_boolean(ok));
            CHECK(json_is_true(ok) || json_is_string(json_object_get(answer, "error")));
            answers++;
        } else {
            CHECK(json_is_string(json_object_get(answer, "event")));
        }
        json_decref(answer);
    }
    CHECK(answers == lines);
}

static size_t count_lines(const uint8_t *bytes, size_t length)
{
    size_t lines = 0;
    for (size_t i = 0; i < length; i++) lines += bytes[i] == '\n';
    return lines;
}

/* The answers in the input's own bytes: what a peer says is as arbitrary as what is asked. */
static void answer_some(struct talk *talk, uint32_t most, uint8_t how)
{
    for (; most > 0 && stage_questions() > 0; most--) stage_answer(how++);
    poll_once(talk);
}

void fuzz_control(const uint8_t *bytes, size_t length)
{
    struct input input = { bytes, length };
    struct talk talk = { .supervisor = stage_open() };
    uint8_t how = input_byte(&input);
    size_t piece = MAX_OF(input.left / PIECES_MAX, (size_t)(how & 7) + 1);
    CHECK(control_open(talk.supervisor, "stage", &talk.control) == ERR_OK);
    talk.fd = stage_connect();
    poll_once(&talk);
    talk.deaf = how & DEAF;
    if (talk.deaf) say(&talk, (const uint8_t *)"help\n", 5); /* what nobody reads is a reset */
    for (size_t at = 0; at < input.left; at += piece) {
        struct note note = { .kind = (uint16_t)(at % (NOTE_KIND_COUNT + 1)), .term = at };
        say(&talk, input.at + at, MIN_OF(piece, input.left - at));
        control_note(talk.control, &note);
        answer_some(&talk, how & 7, input.at[at]);
    }
    if ((how & (DEAF | CLOSED)) == 0) {
        while (stage_questions() > 0) answer_some(&talk, 1, how);
        for (uint32_t id = 1; id <= STAGE_PEERS; id++) /* peers that have begun speak at last */
            talk.supervisor->cluster->children[id].starts = 1;
        poll_once(&talk);
        while (stage_questions() > 0) answer_some(&talk, 1, how);
        check_answers(&talk, count_lines(input.at, input.left));
    }
    if (how & CLOSED) { /* as supervisor_close: the client that had the questions went before */
        control_close(talk.control);
        close(talk.fd);
    } else {
        close(talk.fd);
        poll_once(&talk); /* it has gone; what was asked for it is still answered */
        while (stage_questions() > 0) stage_answer(how);
        control_close(talk.control);
    }
    free(talk.said);
}
