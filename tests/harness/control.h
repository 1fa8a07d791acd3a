/* tests/harness/control.h - a running cluster as an outsider sees it: lines in, JSON out.
 * Owns   connections to control sockets; a headless cluster as a child process.
 * Leaves processes and folders to tests/harness/arena.h. Nothing of Ringside's own code is used,
 *        so that what it says here is what a stranger's program would be told. */
#ifndef TESTS_HARNESS_CONTROL_H
#define TESTS_HARNESS_CONTROL_H

#include "tests/harness/arena.h"

#include <jansson.h>

struct control { /* one connection */
    int fd;
    char *buffer;
    size_t used, size;
};
/* Path of the control socket of `name`; lives until the next call. */
const char *control_path(const char *name);
/* One try. */
bool control_open(struct control *control, const char *name);
void control_close(struct control *control);
/* All of `bytes`; false when the other side has closed. */
bool control_send(struct control *control, const char *bytes, size_t length);
/* The next line as JSON, within PATIENCE_NS; NULL: the other side has closed. */
json_t *control_receive(struct control *control);
/* One line, formatted, and its answer. The caller drops it (json_decref). */
json_t *control_ask(struct control *control, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same where the answer must be ok; else the test fails with the answer's error. */
json_t *control_must(struct control *control, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* control_must without interest in what the answer holds. */
void control_do(struct control *control, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

long long json_number(json_t *object, const char *key);
bool json_flag(json_t *object, const char *key);
const char *json_text(json_t *object, const char *key);
/* Rows of a status answer. */
json_t *status_peer(json_t *status, uint32_t id);
json_t *status_link(json_t *status, uint32_t from, uint32_t to);

struct ringside { /* one headless cluster */
    struct program program;
    char name[33];
    uint32_t peers;
    struct control control;
};
/* Start it with `words` added to the command line, or NULL; wait until all peers have spoken. */
void ringside_up(struct ringside *ringside, uint32_t peers, const char *const *words);
/* End it by the word `down`. Exit code as program_wait. */
int ringside_down(struct ringside *ringside);
/* Close files and connections; for clusters that have ended or that arena_close shall end. What
 * the program said on stderr is printed when there is something. */
void ringside_close(struct ringside *ringside);
/* A member of one peer's status. */
long long ringside_peer_number(struct ringside *ringside, uint32_t id, const char *key);
bool ringside_peer_flag(struct ringside *ringside, uint32_t id, const char *key);
/* A member of the links, summed over those from `from` to `to`; 0 stands for all. */
long long ringside_link_number(struct ringside *ringside, uint32_t from, uint32_t to,
                               const char *key);
/* The leader of the highest term among living, running peers but `not_this`; 0: none. */
uint32_t ringside_leader(struct ringside *ringside, uint32_t not_this);

#endif
