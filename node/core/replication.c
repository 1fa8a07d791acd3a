/* node/core/replication.c - the log's way from a leader to its followers, and commitment [R §5.3,
 * §5.4.2]. A leader knows of each follower one of two things. Probing: where the logs part is
 * unknown; one empty message at a time finds it. Otherwise appends follow one another without
 * waiting, up to a window, and nothing that is in flight is sent again: a heartbeat names the last
 * entry sent, so a follower that missed one refuses it, and the refusal turns the leader back to
 * probing. */
#include "node/core/inside.h"

/* ---- follower ---- */

/* [R §5.3] tell the leader where to go on: the refused entry's term and where that term begins
 * here */
static void refuse_prev(struct raft *raft, const struct message *append, struct message *reply,
                        struct update *update)
{
    struct log *log = &raft->log;
    if (append->prev.index > log->last_index) {
        reply->conflict = (struct log_id){ .term = 0, .index = log->last_index + 1 };
        struct note *note = note_add(raft, update, NOTE_APPEND_REFUSED_SHORT, append->from);
        note->a = append->prev.index;
        note->b = log->last_index;
        return;
    }
    uint64_t term = log_term(log, append->prev.index);
    reply->conflict.term = term;
    reply->conflict.index = append->prev.index < log->first_index
                                ? log->first_index
                                : log_first_of_run(log, append->prev.index);
    struct note *note = note_add(raft, update, NOTE_APPEND_REFUSED_PREV, append->from);
    note->a = append->prev.index;
    note->b = append->prev.term;
    note->c = term;
}

/* [R Fig.2 AppendEntries 3, 4] */
static void take_entries(struct raft *raft, const struct message *append, struct update *update)
{
    struct log *log = &raft->log;
    uint64_t from = raft->config.rules->truncate_from(log, append);
    if (from != 0) delete_from(raft, update, from, append->from);
    uint64_t last_new = append->prev.index + append->count;
    if (last_new <= log->last_index) return;
    struct note *note = note_add(raft, update, NOTE_APPENDED, append->from);
    note->a = log->last_index + 1;
    note->b = last_new;
    while (log->last_index < last_new)
        append_entry(raft, update, append->terms[log->last_index - append->prev.index]);
}

/* [R Fig.2 AppendEntries RPC, receiver] */
void on_append_request(struct raft *raft, const struct message *append, struct update *update)
{
    const struct rules *rules = raft->config.rules;
    uint64_t term = rules->append_term(raft, append);
    /* two leaders: not from Raft */
    if (append->term == term && raft->role == LEADER) return;
    struct message *reply = send_late(raft, update, MESSAGE_APPEND_REPLY, append->from);
    reply->prev = append->prev;
    reply->term = term;
    if (raft->role != LEADER && rules->is_contact(raft, append, false)) reset_election_timer(raft);
    if (append->term < term) { /* 1 */
        note_add(raft, update, NOTE_APPEND_REFUSED_TERM, append->from)->a = append->term;
        return;
    }
    /* [R §5.2] a candidate recognises the leader */
    become_follower(raft, update, raft->current_term, append->from);
    if (raft->leader != append->from) {
        raft->leader = append->from;
        note_add(raft, update, NOTE_LEADER_KNOWN, append->from);
    }
    if (!rules->prev_matches(&raft->log, append->prev)) { /* 2 */
        refuse_prev(raft, append, reply, update);
        return;
    }
    /* 3, 4 */
    take_entries(raft, append, update);
    set_commit(raft, update, rules->follower_commit(raft, append), NOTE_COMMIT_LEARNED); /* 5 */
    reply->granted = true;
    reply->match_index = rules->acknowledged(raft, append);
}

/* ---- leader ---- */

void advance_commit(struct raft *raft, struct update *update)
{
    uint64_t index = raft->config.rules->leader_commit(raft);
    if (index == raft->commit_index) return;
    set_commit(raft, update, index, NOTE_COMMITTED);
    if (raft->notify_deadline_ns == TIME_NEVER)
        raft->notify_deadline_ns = raft->now_ns + raft->config.notify_ns;
}

static void on_refusal(struct raft *raft, struct follower *follower, const struct message *reply,
                       struct update *update)
{
    if (reply->prev.index <= follower->match_index) return; /* old news: it has that entry since */
    /* answers an older probe */
    if (follower->probing && reply->prev.index + 1 != follower->next_index) return;
    struct note *note = note_add(raft, update, NOTE_BACKED_OFF, reply->from);
    note->a = follower->next_index;
    follower->next_index = raft->config.rules->next_after(raft, follower, reply);
    note->b = follower->next_index;
    follower->probing = true;
    follower->waiting = false;
}

void on_append_reply(struct raft *raft, const struct message *reply, struct update *update)
{
    if (raft->role != LEADER) return;
    if (reply->term != raft->current_term) return;
    /* never sent: hostile */
    if (MAX_OF(reply->prev.index, reply->match_index) > raft->log.last_index) return;
    struct follower *follower = &raft->followers[reply->from];
    if (!reply->granted) {
        on_refusal(raft, follower, reply, update);
        return;
    }
    uint64_t match = raft->config.rules->match_after(follower, reply->match_index);
    bool moved = match != follower->match_index;
    if (match < follower->match_index) {
        struct note *note = note_add(raft, update, NOTE_MATCH_BACK, reply->from);
        note->a = follower->match_index;
        note->b = match;
    }
    follower->match_index = match;
    if (follower->probing) follower->next_index = match + 1;
    else follower->next_index = MAX_OF(follower->next_index, match + 1);
    follower->probing = follower->waiting = false;
    if (moved) advance_commit(raft, update);
}

/* One append to `id`: `count` entries after next_index - 1. It leaves before the leader's own disk
 * write. */
static void send_append(struct raft *raft, uint32_t id, uint32_t count, struct update *update)
{
    struct follower *follower = &raft->followers[id];
    CHECK(update->early_count < UPDATE_EARLY_MAX);
    uint64_t prev = follower->next_index - 1;
    update->early[update->early_count++] = (struct message){
        .kind = MESSAGE_APPEND_REQUEST,
        .from = (uint8_t)raft->config.self,
        .to = (uint8_t)id,
        .term = raft->current_term,
        .prev = { .term = log_term(&raft->log, prev), .index = prev },
        .count = count,
        .commit_index = raft->commit_index,
    };
    follower->next_index += count;
    follower->commit_told = raft->commit_index;
    follower->waiting = follower->probing;
    follower->beat = false;
}

/* Entries that may go to `follower` now: what it lacks, less what would pass the window. */
static uint32_t sendable(const struct raft *raft, const struct follower *follower)
{
    if (follower->probing) return 0;
    uint64_t in_flight = follower->next_index - 1 - follower->match_index;
    uint64_t lacking = raft->log.last_index + 1 - follower->next_index;
    uint64_t room = in_flight < raft->config.window ? raft->config.window - in_flight : 0;
    return (uint32_t)MIN_OF(lacking, room);
}

void flush_appends(struct raft *raft, struct update *update)
{
    if (raft->role != LEADER) return;
    if (raft->proposed_from != 0) {
        struct note *note = note_add(raft, update, NOTE_PROPOSED, 0);
        note->a = raft->proposed_from;
        note->b = raft->log.last_index;
        raft->proposed_from = 0;
    }
    bool notify = raft->now_ns >= raft->notify_deadline_ns;
    if (notify) raft->notify_deadline_ns = TIME_NEVER;
    for (uint32_t id = 1; id <= raft->config.peers; id++) {
        struct follower *follower = &raft->followers[id];
        if (id == raft->config.self) continue;
        uint32_t count = sendable(raft, follower);
        bool probe = follower->probing && !follower->waiting;
        bool tell = notify && !follower->probing && follower->commit_told < raft->commit_index;
        if (count > 0 || follower->beat || probe || tell) send_append(raft, id, count, update);
    }
}

/* The rest is sent when the next flush finds it lacking: with the follower's answer at the latest,
 * or with a heartbeat. */
void on_unsent(struct raft *raft, const struct message *append, uint64_t sent_to)
{
    struct follower *follower = &raft->followers[append->to];
    CHECK(raft->role == LEADER);
    CHECK(append->term == raft->current_term);
    CHECK(sent_to >= append->prev.index);
    CHECK(sent_to < follower->next_index);
    follower->next_index = sent_to + 1;
}
