/* ctl/note_log.c - see ctl/note_log.h. */
#include "ctl/note_log.h"

#include <string.h>

enum { COLUMNS_MAX = 16 };

err_t topics_parse(const char *text, uint32_t *topics)
{
    char copy[128], *save = NULL;
    *topics = 0;
    if (strcmp(text, "all") == 0) {
        *topics = (1u << TOPIC_COUNT) - 1;
        return ERR_OK;
    }
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
        enum topic topic = topic_find(word);
#define TOPIC_WORD(name, word) " " word
        if (topic == TOPIC_COUNT)
            return err_begin(ERR_INPUT, "'%s' is no topic; topics are: all" TOPIC_LIST(TOPIC_WORD),
                             word);
#undef TOPIC_WORD
        *topics |= 1u << topic;
    }
    return ERR_OK;
}

void note_log_follow(struct note_log *log, const struct note *note)
{
    struct column *self = &log->columns[MIN_OF(note->self, PEER_MAX)];
    struct column *other = &log->columns[MIN_OF(note->other, PEER_MAX)];
    if (note->self != 0 && note->term > self->term) self->term = note->term;
    switch (note->kind) {
    case NOTE_STARTED: *self = (struct column){ true, FOLLOWER, note->term }; break;
    case NOTE_BECAME_FOLLOWER: self->role = FOLLOWER; break;
    case NOTE_BECAME_CANDIDATE: self->role = CANDIDATE; break;
    case NOTE_BECAME_LEADER: self->role = LEADER; break;
    case NOTE_KILLED:
    case NOTE_DIED: other->alive = false; break;
    default: break;
    }
}

void note_log_write(const struct note_log *log, FILE *file, const struct note *note)
{
    static const char letters[] = "FCL";
    char text[256];
    uint32_t peers = MIN_OF(log->peers, COLUMNS_MAX);
    fprintf(file, "%10.3f %-7s", (double)note->time_ns / 1e6 / 1e3,
            topic_name(note_topic(note->kind)));
    for (uint32_t id = 1; id <= peers; id++) {
        const struct column *column = &log->columns[id];
        char cell[24] = "---";
        if (column->alive)
            snprintf(cell, sizeof(cell), "%c%llu", letters[column->role % 3],
                     (unsigned long long)column->term);
        fprintf(file, " %c%-4s", note->self == id ? '>' : ' ', cell);
    }
    note_text(note, text, sizeof(text));
    if (note->self == 0) fprintf(file, "  ringside %s\n", text);
    else fprintf(file, "  %u %s\n", note->self, text);
}
