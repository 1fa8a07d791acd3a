/* base/words.c - the tables of base/words.h, and how a note becomes a sentence. */
#include "base/words.h"

#include <stdio.h>
#include <string.h>

const char *role_name(uint32_t role)
{
#define ROLE_TEXT(name, text) text,
    static const char *const names[] = { ROLE_LIST(ROLE_TEXT) };
#undef ROLE_TEXT
    return role < COUNT(names) ? names[role] : "?";
}

const char *message_kind_name(uint32_t kind)
{
#define MESSAGE_TEXT(name, text) text,
    static const char *const names[] = { MESSAGE_LIST(MESSAGE_TEXT) };
#undef MESSAGE_TEXT
    return kind < COUNT(names) ? names[kind] : "?";
}

#define TOPIC_TEXT(name, text) text,
static const char *const topic_names[] = { TOPIC_LIST(TOPIC_TEXT) };
#undef TOPIC_TEXT

const char *topic_name(enum topic topic)
{
    return (unsigned)topic < COUNT(topic_names) ? topic_names[topic] : "?";
}

enum topic topic_find(const char *name)
{
    for (unsigned i = 0; i < TOPIC_COUNT; i++)
        if (strcmp(name, topic_names[i]) == 0) return (enum topic)i;
    return TOPIC_COUNT;
}

static const struct {
    const char *name;
    enum topic topic;
    const char *text;
} notes[] = {
#define NOTE_ROW(name, topic, text) { #name, TOPIC_##topic, text },
    NOTE_LIST(NOTE_ROW)
#undef NOTE_ROW
};

const char *note_name(uint32_t kind)
{
    return kind < COUNT(notes) ? notes[kind].name : "?";
}

enum topic note_topic(uint32_t kind)
{
    return kind < COUNT(notes) ? notes[kind].topic : TOPIC_COUNT;
}

/* The value that a placeholder such as "a.ms" names; false when the table has a name that is
 * none. */
static bool field_text(const struct note *note, const char *field, char *text, size_t size)
{
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        { "self", note->self }, { "other", note->other }, { "term", note->term }, { "a", note->a },
        { "b", note->b },       { "c", note->c },         { "d", note->d },
    };
    size_t length = strcspn(field, ".");
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (strlen(fields[i].name) != length || strncmp(fields[i].name, field, length) != 0)
            continue;
        unsigned long long value = fields[i].value;
        const char *unit = field + length;
        if (strcmp(unit, ".ms") == 0) snprintf(text, size, "%.1f", (double)value / 1e6);
        else if (strcmp(unit, ".x") == 0) snprintf(text, size, "%gx", (double)value / PPM);
        else if (strcmp(unit, ".hex") == 0) snprintf(text, size, "%08llx", value & 0xffffffffull);
        else snprintf(text, size, "%llu", value);
        return true;
    }
    return false;
}

size_t note_text(const struct note *note, char *text, size_t size)
{
    CHECK(size > 0);
    const char *from = note->kind < COUNT(notes) ? notes[note->kind].text : "?";
    size_t used = 0;
    while (*from != '\0' && used + 1 < size) {
        const char *close = *from == '{' ? strchr(from, '}') : NULL;
        char field[16], value[32];
        if (close == NULL || (size_t)(close - from) > sizeof(field)) {
            text[used++] = *from++;
            continue;
        }
        snprintf(field, sizeof(field), "%.*s", (int)(close - from - 1), from + 1);
        bool known = field_text(note, field, value, sizeof(value));
        CHECK(known);
        size_t length = MIN_OF(strlen(value), size - 1 - used);
        memcpy(text + used, value, length);
        used += length;
        from = close + 1;
    }
    text[used] = '\0';
    return used;
}
