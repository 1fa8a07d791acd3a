/* tests/harness/look.c - messages, logs and peers of a transcript, each on a line. */
#include "tests/harness/look.h"

#define ULL(x) ((unsigned long long)(x))

/* 4/5 6/6..8: one entry of term 4, three of term 6 */
static void print_entries(FILE *out, const struct flight *flight)
{
    uint32_t count = flight->message.count;
    for (uint32_t i = 0, end; i < count; i = end + 1) {
        uint64_t index = flight->message.prev.index + 1 + i;
        for (end = i; end + 1 < count && flight->entries[end + 1].term == flight->entries[i].term;)
            end++;
        fprintf(out, " %llu/%llu", ULL(flight->entries[i].term), ULL(index));
        if (end > i) fprintf(out, "..%llu", ULL(index + end - i));
    }
}

static void print_append(FILE *out, const struct flight *flight)
{
    const struct message *m = &flight->message;
    fprintf(out, " after %llu/%llu, %s", ULL(m->prev.term), ULL(m->prev.index),
            m->count == 0 ? "empty" : "entries");
    print_entries(out, flight);
    fprintf(out, ", commit %llu", ULL(m->commit_index));
}

/* Entries and logs' ends are written term/index. */
void look_message(FILE *out, const struct flight *flight)
{
    const struct message *m = &flight->message;
    fprintf(out, "%u->%u %s term %llu", m->from, m->to, message_kind_name(m->kind), ULL(m->term));
    switch (m->kind) {
    case MESSAGE_VOTE_REQUEST:
        fprintf(out, " last %llu/%llu", ULL(m->prev.term), ULL(m->prev.index));
        break;
    case MESSAGE_VOTE_REPLY: fprintf(out, m->granted ? " granted" : " refused"); break;
    case MESSAGE_APPEND_REQUEST: print_append(out, flight); break;
    case MESSAGE_APPEND_REPLY:
        if (m->granted) {
            fprintf(out, " up to %llu", ULL(m->match_index));
            break;
        }
        fprintf(out, " refused after %llu/%llu", ULL(m->prev.term), ULL(m->prev.index));
        if (m->conflict.term != 0)
            fprintf(out, ", term %llu is there from %llu on", ULL(m->conflict.term),
                    ULL(m->conflict.index));
        else if (m->conflict.index != 0)
            fprintf(out, ", log ends at %llu", ULL(m->conflict.index - 1));
        break;
    default: break;
    }
}

/* Terms by index, runs of eight and more as TERMxCOUNT, the committed part in brackets. */
static void print_log(FILE *out, const struct entries *log, uint64_t commit)
{
    if (log->count == 0) fprintf(out, " empty");
    for (uint64_t i = 1; i <= log->count;) {
        uint64_t term = log->at[i - 1].term, end = i;
        uint64_t limit = i <= commit ? MIN_OF(commit, log->count) : log->count;
        while (end < limit && log->at[end].term == term) end++;
        if (end - i + 1 < 8) end = i;
        fprintf(out, i == 1 && commit > 0 ? " [" : " ");
        fprintf(out, end > i ? "%llux%llu" : "%llu", ULL(term), ULL(end - i + 1));
        if (end == commit) fprintf(out, "]");
        i = end + 1;
    }
}

void look_status(FILE *out, const struct cores *cores, uint32_t id)
{
    const struct core *core = &cores->core[id];
    const struct image *disk = &cores->disks[id];
    if (!core->up) {
        fprintf(out, "%u down, on disk: term %llu", id, ULL(disk->term));
        if (disk->voted_for != 0) fprintf(out, ", vote for %u", disk->voted_for);
        fprintf(out, ", log");
        print_log(out, &disk->log, 0);
        fprintf(out, "\n");
        return;
    }
    const struct raft *raft = &core->raft;
    fprintf(out, "%u %s term %llu", id, role_name(raft->role), ULL(raft->current_term));
    if (raft->voted_for != 0) fprintf(out, ", vote for %u", raft->voted_for);
    fprintf(out, ", log");
    print_log(out, &core->log, raft->commit_index);
    if (raft->durable_index < raft->log.last_index)
        fprintf(out, ", durable %llu", ULL(raft->durable_index));
    fprintf(out, "\n");
}
