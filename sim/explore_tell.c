/* sim/explore_tell.c - the events are played again; the core's own notes are the sentences. */
#include "sim/explore_tell.h"

void message_tell(uint64_t message, char *text, size_t size)
{
    uint64_t terms[STATE_ENTRIES];
    struct message m;
    message_load(message, &m, terms);
    char more[96];
#define MORE(...) snprintf(more, sizeof(more), __VA_ARGS__)
    unsigned long long prev = m.prev.index, last = m.prev.index + m.count;
    if (m.kind == MESSAGE_VOTE_REQUEST)
        MORE(", log ends at %llu of term %llu", prev, (unsigned long long)m.prev.term);
    else if (m.kind == MESSAGE_VOTE_REPLY) MORE(": %s", m.granted ? "granted" : "refused");
    else if (m.kind == MESSAGE_APPEND_REPLY && m.granted)
        MORE(": equal up to %llu", (unsigned long long)m.match_index);
    else if (m.kind == MESSAGE_APPEND_REPLY) MORE(": refused after %llu", prev);
    else if (m.count == 0)
        MORE(" after %llu of term %llu, no entries, commit %llu", prev,
             (unsigned long long)m.prev.term, (unsigned long long)m.commit_index);
    else
        MORE(" after %llu of term %llu, entries %llu..%llu, commit %llu", prev,
             (unsigned long long)m.prev.term, prev + 1, last, (unsigned long long)m.commit_index);
#undef MORE
    snprintf(text, size, "%u->%u %s term %llu%s", m.from, m.to, message_kind_name(m.kind),
             (unsigned long long)m.term, more);
}

static void tell_notes(FILE *file, const struct rig *rig)
{
    const struct update *update = &rig->update;
    char text[160];
    bool any = false;
    for (uint32_t i = 0; i < update->notes_count; i++) {
        if (update->notes[i].kind == NOTE_TIMEOUT_FORCED) continue;
        note_text(&update->notes[i], text, sizeof(text));
        fprintf(file, "%s %s", any ? ";" : ":", text);
        any = true;
    }
    if (!any) fprintf(file, ": no news");
}

void act_tell(FILE *file, const struct rig *rig, const struct state *before, struct act act)
{
    char text[160] = "";
    bool turn = true;
    if (act.kind <= ACT_DUPLICATE) message_tell(before->messages[act.which], text, sizeof(text));
    switch (act.kind) {
    case ACT_DELIVER:
        fprintf(file, "%s; peer %u", text, (uint32_t)FIELD_GET(before->messages[act.which], TO));
        break;
    case ACT_DROP:
        fprintf(file, "%s is lost", text);
        turn = false;
        break;
    case ACT_DUPLICATE:
        fprintf(file, "%s is under way twice", text);
        turn = false;
        break;
    case ACT_TIMEOUT: fprintf(file, "peer %u times out", act.which); break;
    case ACT_HEARTBEAT: fprintf(file, "peer %u sends heartbeats", act.which); break;
    case ACT_PROPOSE: fprintf(file, "a client proposes an entry to peer %u", act.which); break;
    case ACT_CRASH:
    default:
        fprintf(file, "peer %u %s", act.which, act.kind == ACT_CRASH ? "crashes" : "restarts");
        turn = false;
        break;
    }
    if (!turn) return;
    tell_notes(file, rig);
    if (act.torn) fprintf(file, "; and crashes before anything is saved");
}

void explore_tell(FILE *file, const struct explore_options *options,
                  const struct explore_result *result)
{
    static struct rig rig;
    struct state before, after;
    rig_init(&rig, &options->bounds, &options->rules);
    state_begin(&before, options->bounds.peers, options->bounds.budgets);
    fprintf(file, "%s is broken by %u events, and by no fewer:\n", result->finding.invariant,
            result->depth);
    fprintf(file, "  %s\n  %s\n\n", result->finding.first, result->finding.second);
    for (uint32_t i = 0; i < result->depth; i++) {
        enum played played = explore_play(&rig, &before, result->acts[i], &after);
        CHECK((played == PLAYED_BROKEN) == (i + 1 == result->depth));
        fprintf(file, "%3u. ", i + 1);
        act_tell(file, &rig, &before, result->acts[i]);
        fprintf(file, "\n");
        before = after;
    }
}
