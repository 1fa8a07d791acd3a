/* ctl/note_log.h - the log of transitions as text, live and simulated: one line each, time first,
 * one fixed column per peer, as role letter and term:
 *         12.345 vote    F4   F4  >C5   F4   ---  3 candidate in term 5, ...
 * '>' marks the peer that speaks; '---' is a dead one.
 * Owns   the columns; the words for topics. */
#ifndef CTL_NOTE_LOG_H
#define CTL_NOTE_LOG_H

#include "base/err.h"
#include "base/words.h"

#include <stdio.h>

struct column { /* what the notes so far say of a peer */
    bool alive;
    uint32_t role;
    uint64_t term;
};
struct note_log {
    uint32_t peers; /* the rest may be zero */
    struct column columns[PEER_MAX + 1];
};

/* Each note in its order, before it is written. */
void note_log_follow(struct note_log *log, const struct note *note);
void note_log_write(const struct note_log *log, FILE *file, const struct note *note);
/* "vote,term" -> bits; "all" -> all. ERR_INPUT lists the topics. */
err_t topics_parse(const char *text, uint32_t *topics);

#endif
