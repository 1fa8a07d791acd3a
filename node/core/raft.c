/* node/core/raft.c - the step: one switch over events, the three roles, and time.
 * Safety: (I1..I6) are checked on entry and exit; (I7) is checked where terms, votes and commit
 * change. */
#include "node/core/inside.h"

#include <string.h>

/* ---- small helpers ---- */

struct note *note_add(struct raft *raft, struct update *update, enum note_kind kind, uint32_t other)
{
    struct note *note = &update->overflow;
    if (update->notes_count < UPDATE_NOTES_MAX) note = &update->notes[update->notes_count++];
    else update->notes_lost++;
    *note = (struct note){
        .time_ns = raft->now_ns,
        .kind = (uint16_t)kind,
        .self = (uint8_t)raft->config.self,
        .other = (uint8_t)other,
        .term = raft->current_term,
    };
    return note;
}

struct message *send_late(const struct raft *raft, struct update *update, enum message_kind kind,
                          uint32_t to)
{
    CHECK(update->late_count < UPDATE_LATE_MAX);
    struct message *message = &update->late[update->late_count++];
    *message = (struct message){
        .kind = (uint8_t)kind,
        .from = (uint8_t)raft->config.self,
        .to = (uint8_t)to,
        .term = raft->current_term,
    };
    return message;
}

/* [R §5.2] "chosen randomly from a fixed interval", anew at each reset */
void reset_election_timer(struct raft *raft)
{
    struct rng rng = { raft->random };
    uint64_t bits = rng_next(&rng);
    raft->random = rng.state;
    raft->timer_started_ns = raft->now_ns;
    raft->election_deadline_ns =
        raft->now_ns + raft->config.rules->election_timeout(&raft->config, bits);
}

void append_entry(struct raft *raft, struct update *update, uint64_t term)
{
    log_append(&raft->log, term);
    if (update->save_from == 0 || update->save_from > raft->log.last_index)
        update->save_from = raft->log.last_index;
}

void delete_from(struct raft *raft, struct update *update, uint64_t from, uint32_t because_of)
{
    struct log *log = &raft->log;
    struct note *note = note_add(raft, update, NOTE_TRUNCATED, because_of);
    note->a = from;
    note->b = log->last_index;
    log_truncate(log, from);
    raft->durable_index = MIN_OF(raft->durable_index, from - 1); /* I2 */
    if (update->save_from == 0 || update->save_from > from) update->save_from = from;
}

void set_commit(struct raft *raft, struct update *update, uint64_t index, enum note_kind how)
{
    if (index == raft->commit_index) return;
    raft->commit_index = index;
    struct note *note = note_add(raft, update, how, raft->leader);
    note->a = index;
    if (how != NOTE_COMMITTED) return;
    note->b = raft->durable_index >= index ? peer_bit(raft->config.self) : 0;
    note->c = log_term(&raft->log, index);
    note->d = raft->config.peers;
    for (uint32_t id = 1; id <= raft->config.peers; id++)
        if (id != raft->config.self && raft->followers[id].match_index >= index)
            note->b |= peer_bit(id);
}

/* ---- the roles ---- */

void become_follower(struct raft *raft, struct update *update, uint64_t term, uint32_t because_of)
{
    CHECK(term >= raft->current_term); /* I7 */
    uint64_t old_term = raft->current_term;
    bool was_leader = raft->role == LEADER;
    if (term > old_term) {
        raft->voted_for = raft->config.rules->vote_kept(raft, term);
        raft->current_term = term;
        raft->leader = PEER_NONE;
        update->save_hard = true;
        note_add(raft, update, NOTE_TERM_SEEN, because_of)->a = old_term;
    } else {
        raft->voted_for = raft->config.rules->vote_kept(raft, term);
    }
    if (was_leader) {
        note_add(raft, update, NOTE_STEPPED_DOWN, because_of)->a = old_term;
        uint64_t kept = raft->config.rules->kept_as_follower(raft);
        if (kept < raft->log.last_index) delete_from(raft, update, kept + 1, because_of);
    }
    if (raft->role != FOLLOWER) {
        raft->role = FOLLOWER;
        note_add(raft, update, NOTE_BECAME_FOLLOWER, because_of);
        if (was_leader) reset_election_timer(raft); /* it had none */
    }
    raft->votes = 0;
    raft->proposed_from = 0;
    raft->heartbeat_deadline_ns = TIME_NEVER;
    raft->notify_deadline_ns = TIME_NEVER;
}

/* [R §5.2] "increments its current term and transitions to candidate state. It then votes for
 * itself and issues RequestVote RPCs in parallel": all at once, waiting for nobody. */
void become_candidate(struct raft *raft, struct update *update)
{
    CHECK(raft->role != LEADER);
    raft->role = CANDIDATE;
    raft->current_term++;
    raft->voted_for = raft->config.self;
    raft->leader = PEER_NONE;
    raft->votes = 0; /* its own vote counts when it is on disk: EVENT_STORED */
    update->save_hard = true;
    reset_election_timer(raft);

    struct log_id last = log_last(&raft->log);
    struct note *note = note_add(raft, update, NOTE_BECAME_CANDIDATE, 0);
    note->a = last.term;
    note->b = last.index;
    for (uint32_t id = 1; id <= raft->config.peers; id++)
        if (id != raft->config.self) send_late(raft, update, MESSAGE_VOTE_REQUEST, id)->prev = last;
}

void become_leader(struct raft *raft, struct update *update)
{
    CHECK(raft->role != LEADER);
    CHECK(raft->voted_for == raft->config.self);
    raft->role = LEADER;
    raft->leader = raft->config.self;
    raft->election_deadline_ns = TIME_NEVER;
    raft->heartbeat_deadline_ns = raft->now_ns + raft->config.heartbeat_ns;
    raft->notify_deadline_ns = TIME_NEVER;

    struct note *note = note_add(raft, update, NOTE_BECAME_LEADER, 0);
    note->a = peer_count(raft->votes);
    note->b = raft->config.peers;
    note->c = raft->log.last_index;
    note->d = log_last(&raft->log).term;
    for (uint32_t id = 1; id <= raft->config.peers; id++)
        raft->followers[id] = (struct follower){
            .next_index = raft->log.last_index + 1, /* [R Fig.2] */
            .match_index = 0,
            .probing = true,
            /* "sends heartbeat messages to all of the other servers" at once [R §5.2] */
            .beat = true,
        };
    if (raft->config.noop_on_election) append_entry(raft, update, raft->current_term); /* [R §8] */
}

/* ---- events ---- */

static void on_tick(struct raft *raft, struct update *update)
{
    if (raft->role == LEADER) {
        if (raft->now_ns < raft->heartbeat_deadline_ns) return;
        raft->heartbeat_deadline_ns = raft->now_ns + raft->config.heartbeat_ns;
        for (uint32_t id = 1; id <= raft->config.peers; id++) raft->followers[id].beat = true;
        return;
    }
    if (raft->now_ns < raft->election_deadline_ns) return;
    note_add(raft, update, NOTE_ELECTION_TIMEOUT, 0)->a = raft->now_ns - raft->timer_started_ns;
    become_candidate(raft, update);
}

static void on_timeout_now(struct raft *raft, struct update *update)
{
    if (raft->role == LEADER) return; /* it has no election timer */
    note_add(raft, update, NOTE_TIMEOUT_FORCED, 0);
    become_candidate(raft, update);
}

static void on_propose(struct raft *raft, struct update *update)
{
    update->proposed = (struct log_id){ 0, 0 };
    if (raft->role != LEADER) return;
    append_entry(raft, update, raft->current_term);
    update->proposed = log_last(&raft->log);
    if (raft->proposed_from == 0) raft->proposed_from = update->proposed.index;
}

static void on_message(struct raft *raft, const struct message *message, struct update *update)
{
    CHECK(message->to == raft->config.self); /* the host has validated addresses */
    CHECK(message->from != raft->config.self);
    /* [R §5.1] "If one server's current term is smaller than the other's, then it updates its
     * current term"; below this line no handler sees a newer term */
    if (message->term > raft->current_term)
        become_follower(raft, update, message->term, message->from);
    switch (message->kind) {
    case MESSAGE_VOTE_REQUEST: on_vote_request(raft, message, update); break;
    case MESSAGE_VOTE_REPLY: on_vote_reply(raft, message, update); break;
    case MESSAGE_APPEND_REQUEST: on_append_request(raft, message, update); break;
    case MESSAGE_APPEND_REPLY: on_append_reply(raft, message, update); break;
    case MESSAGE_TIMEOUT_NOW:
        if (message->term == raft->current_term) on_timeout_now(raft, update); /* [T §3.10] */
        break;
    default: CHECK(false);
    }
}

static void on_stored(struct raft *raft, uint64_t index, struct update *update)
{
    CHECK(index <= raft->log.last_index);
    raft->durable_index = index;
    if (raft->role == CANDIDATE) count_vote(raft, raft->config.self, update);
    if (raft->role == LEADER) advance_commit(raft, update);
}

static void on_applied(struct raft *raft, uint64_t index)
{
    CHECK(index >= raft->last_applied);
    raft->last_applied = index;
}

void raft_step(struct raft *raft, const struct event *event, struct update *update)
{
    raft_check(raft);
    CHECK(event->now_ns >= raft->now_ns);
    raft->now_ns = event->now_ns;
    raft->random ^= event->random;
    switch (event->kind) {
    case EVENT_TICK: on_tick(raft, update); break;
    case EVENT_MESSAGE: on_message(raft, event->message, update); break;
    case EVENT_PROPOSE: on_propose(raft, update); break;
    case EVENT_TIMEOUT_NOW: on_timeout_now(raft, update); break;
    case EVENT_FLUSH: flush_appends(raft, update); break;
    case EVENT_UNSENT: on_unsent(raft, event->message, event->index); break;
    case EVENT_STORED: on_stored(raft, event->index, update); break;
    case EVENT_APPLIED: on_applied(raft, event->index); break;
    }
    uint64_t limit = raft->config.rules->apply_limit(raft);
    update->apply_to = limit > raft->last_applied ? limit : 0;
    raft_check(raft);
}

/* ---- life ---- */

void raft_init(struct raft *raft, const struct raft_config *config, uint64_t term,
               uint32_t voted_for, const struct log *log, uint64_t now_ns, uint64_t random)
{
    CHECK(config->self >= 1);
    CHECK(config->self <= config->peers);
    CHECK(config->peers <= PEER_MAX);
    CHECK(config->election_min_ns <= config->election_max_ns);
    CHECK(config->window >= 1);
    memset(raft, 0, sizeof(*raft));
    raft->config = *config;
    if (raft->config.rules == NULL) raft->config.rules = &rules_raft;
    raft->current_term = term;
    raft->voted_for = voted_for;
    raft->log = *log;
    raft->durable_index = log->last_index;
    raft->commit_index = raft->last_applied = log->first_index - 1;
    raft->now_ns = now_ns;
    raft->random = random;
    raft->heartbeat_deadline_ns = raft->notify_deadline_ns = TIME_NEVER;
    reset_election_timer(raft);
    raft_check(raft);
}

uint64_t raft_deadline(const struct raft *raft)
{
    if (raft->role != LEADER) return raft->election_deadline_ns;
    return MIN_OF(raft->heartbeat_deadline_ns, raft->notify_deadline_ns);
}

bool update_has_room(const struct update *update)
{
    return update->late_count + PEER_MAX <= UPDATE_LATE_MAX &&
           update->notes_count + 16 <= UPDATE_NOTES_MAX;
}

void update_reset(struct update *update)
{
    update->early_count = update->late_count = update->notes_count = update->notes_lost = 0;
    update->save_hard = false;
    update->save_from = update->apply_to = 0;
    update->proposed = (struct log_id){ 0, 0 };
}

void raft_check(const struct raft *raft)
{
    CHECK(raft->last_applied <= raft->commit_index);        /* I1 */
    CHECK(raft->commit_index <= raft->log.last_index);      /* I1 */
    CHECK(raft->durable_index <= raft->log.last_index);     /* I2 */
    CHECK(log_last(&raft->log).term <= raft->current_term); /* I3 */
    if (raft->role == FOLLOWER) return;
    CHECK(raft->voted_for == raft->config.self);                                   /* I4 */
    CHECK(raft->leader == (raft->role == LEADER ? raft->config.self : PEER_NONE)); /* I6 */
    if (raft->role != LEADER) return;
    for (uint32_t id = 1; id <= raft->config.peers; id++) { /* I5 */
        CHECK(raft->followers[id].match_index < raft->followers[id].next_index);
        CHECK(raft->followers[id].next_index <= raft->log.last_index + 1);
    }
}
