/* sim/state.c - bits in and out; see the fields of sim/state.h. */
#include "sim/state.h"

#include <string.h>

void state_begin(struct state *state, uint32_t peers, const uint32_t budgets[BUDGET_COUNT])
{
    memset(state, 0, sizeof(*state));
    for (uint32_t i = 0; i < peers; i++) state->peer[i] = FIELD_PUT(UP, 1);
    for (uint32_t i = 0; i < BUDGET_COUNT; i++) {
        CHECK(budgets[i] <= 15);
        state->committed |= (uint64_t)budgets[i] << (4 * STATE_ENTRIES + 4 * i);
    }
}

/* ---- peers ---- */

static void load_log(uint64_t word, struct log *log)
{
    log->count = 0;
    log->last_index = 0;
    log->first_index = 1;
    log->base_term = 0;
    for (uint64_t last = 0; word != 0; word >>= 4) {
        uint64_t term = word & 15;
        log->last_index++;
        if (term == last) continue;
        log->runs[log->count++] = (struct term_run){ log->last_index, term };
        last = term;
    }
}

static uint64_t store_log(const struct log *log)
{
    CHECK(log->last_index <= STATE_ENTRIES);
    uint64_t word = 0;
    for (uint32_t run = 0; run < log->count; run++) {
        uint64_t end = run + 1 < log->count ? log->runs[run + 1].first_index : log->last_index + 1;
        CHECK(log->runs[run].term <= STATE_TERMS);
        for (uint64_t i = log->runs[run].first_index; i < end; i++)
            word |= log->runs[run].term << (4 * (i - 1));
    }
    return word;
}

void state_load(const struct state *state, uint32_t id, struct raft *raft)
{
    uint64_t word = state->peer[id - 1], lead = state->lead[id - 1];
    raft->config.self = id;
    raft->current_term = FIELD_GET(word, TERM);
    raft->voted_for = (uint32_t)FIELD_GET(word, VOTED);
    load_log(word >> LOG_AT, &raft->log);
    raft->role = (enum role)FIELD_GET(word, ROLE);
    raft->leader = (uint32_t)FIELD_GET(word, LEADER);
    raft->commit_index = FIELD_GET(word, COMMIT);
    raft->last_applied = FIELD_GET(word, APPLIED);
    raft->durable_index = raft->log.last_index; /* S3 */
    raft->votes = FIELD_GET(lead, VOTES) << 1;
    raft->now_ns = raft->random = raft->timer_started_ns = 0;
    raft->election_deadline_ns = raft->role == LEADER ? TIME_NEVER : NS_PER_S;
    raft->heartbeat_deadline_ns = raft->role == LEADER ? 1 : TIME_NEVER;
    raft->notify_deadline_ns = TIME_NEVER;
    raft->proposed_from = 0;
    if (raft->role != LEADER) return;
    for (uint32_t to = 1; to <= raft->config.peers; to++) {
        uint64_t seen = lead >> (FOLLOWERS_AT + FOLLOWER_BITS * (to - 1));
        raft->followers[to] = (struct follower){
            .next_index = to == id ? 1 : FIELD_GET(seen, NEXT),
            .match_index = to == id ? 0 : FIELD_GET(seen, MATCH),
            .probing = FIELD_GET(seen, PROBING),
            .waiting = FIELD_GET(seen, WAITING),
        };
    }
}

void state_store(struct state *state, uint32_t id, const struct raft *raft)
{
    uint64_t word = state->peer[id - 1], lead = raft->votes >> 1;
    CHECK(raft->current_term <= STATE_TERMS);
    CHECK(raft->durable_index == raft->log.last_index); /* S3 */
    word &= FIELD_MASK(PROMISED) << PROMISED_AT | FIELD_MASK(KNOWN) << KNOWN_AT;
    word |= FIELD_PUT(VOTED, raft->voted_for) | FIELD_PUT(LEADER, raft->leader) |
            FIELD_PUT(ROLE, raft->role) | FIELD_PUT(UP, 1) | FIELD_PUT(TERM, raft->current_term) |
            FIELD_PUT(COMMIT, raft->commit_index) | FIELD_PUT(APPLIED, raft->last_applied) |
            store_log(&raft->log) << LOG_AT;
    if (raft->role == LEADER) {
        for (uint32_t to = 1; to <= raft->config.peers; to++) {
            const struct follower *follower = &raft->followers[to];
            if (to == id) continue;
            CHECK(follower->next_index <= STATE_ENTRIES + 1);
            uint64_t seen =
                FIELD_PUT(NEXT, follower->next_index) | FIELD_PUT(MATCH, follower->match_index) |
                FIELD_PUT(PROBING, follower->probing) | FIELD_PUT(WAITING, follower->waiting);
            lead |= seen << (FOLLOWERS_AT + FOLLOWER_BITS * (to - 1));
        }
    }
    state->peer[id - 1] = word;
    state->lead[id - 1] = lead;
}

/* ---- messages ---- */

uint64_t message_word(const struct message *message, const struct log *log)
{
    CHECK(message->kind <= MESSAGE_APPEND_REPLY);
    uint64_t word = FIELD_PUT(FROM, message->from) | FIELD_PUT(TO, message->to) |
                    FIELD_PUT(KIND, message->kind) | FIELD_PUT(SENT_TERM, message->term) |
                    FIELD_PUT(PREV_INDEX, message->prev.index) |
                    FIELD_PUT(PREV_TERM, message->prev.term);
    if (message->kind == MESSAGE_APPEND_REQUEST) {
        word |= FIELD_PUT(SENT_COMMIT, message->commit_index) | FIELD_PUT(ENTRIES, message->count);
        for (uint32_t i = 0; i < message->count; i++)
            word |= log_term(log, message->prev.index + 1 + i) << (SENT_LOG_AT + 4 * i);
    } else if (message->kind != MESSAGE_VOTE_REQUEST) {
        word |= FIELD_PUT(GRANTED, message->granted) | FIELD_PUT(ACKED, message->match_index) |
                FIELD_PUT(CONFLICT_TERM, message->conflict.term) |
                FIELD_PUT(CONFLICT_INDEX, message->conflict.index);
    }
    return word;
}

void message_load(uint64_t word, struct message *message, uint64_t *terms)
{
    *message = (struct message){
        .kind = (uint8_t)FIELD_GET(word, KIND),
        .from = (uint8_t)FIELD_GET(word, FROM),
        .to = (uint8_t)FIELD_GET(word, TO),
        .term = FIELD_GET(word, SENT_TERM),
        .prev = { FIELD_GET(word, PREV_TERM), FIELD_GET(word, PREV_INDEX) },
    };
    if (message->kind == MESSAGE_APPEND_REQUEST) {
        message->commit_index = FIELD_GET(word, SENT_COMMIT);
        message->count = (uint32_t)FIELD_GET(word, ENTRIES);
        for (uint32_t i = 0; i < message->count; i++) terms[i] = word >> (SENT_LOG_AT + 4 * i) & 15;
        message->terms = terms;
    } else if (message->kind != MESSAGE_VOTE_REQUEST) {
        message->granted = FIELD_GET(word, GRANTED);
        message->match_index = FIELD_GET(word, ACKED);
        message->conflict.term = FIELD_GET(word, CONFLICT_TERM);
        message->conflict.index = FIELD_GET(word, CONFLICT_INDEX);
    }
}

void state_send(struct state *state, uint64_t message)
{
    CHECK(state->count < COUNT(state->messages));
    uint32_t at = state->count++;
    for (; at > 0 && state->messages[at - 1] > message; at--)
        state->messages[at] = state->messages[at - 1];
    state->messages[at] = message;
}

void state_take(struct state *state, uint32_t which)
{
    CHECK(which < state->count);
    state->count--;
    for (uint32_t i = which; i < state->count; i++) state->messages[i] = state->messages[i + 1];
}

/* ---- the short form: the number of messages, how many bytes each word takes, those bytes ---- */

static uint32_t words_of(const struct state *state, uint32_t peers, uint64_t *words)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < peers; i++) words[n++] = state->peer[i];
    for (uint32_t i = 0; i < peers; i++) words[n++] = state->lead[i];
    words[n++] = state->leaders;
    words[n++] = state->committed;
    words[n++] = state->commit_terms;
    for (uint32_t i = 0; i < state->count; i++) words[n++] = state->messages[i];
    return n;
}

static uint32_t bytes_of(uint64_t word)
{
    return word == 0 ? 0 : (71 - (uint32_t)__builtin_clzll(word)) / 8;
}

uint32_t state_pack(const struct state *state, uint32_t peers, uint8_t *bytes)
{
    uint64_t words[STATE_WORDS_MAX + 1];
    CHECK(state->count <= STATE_MESSAGES);
    uint32_t n = words_of(state, peers, words);
    words[n] = 0;
    uint8_t *sizes = bytes, *to = bytes + 1 + (n + 1) / 2;
    *sizes++ = (uint8_t)state->count;
    for (uint32_t i = 0; i < n; i += 2) {
        uint32_t low = bytes_of(words[i]), high = bytes_of(words[i + 1]);
        *sizes++ = (uint8_t)(low | high << 4);
        memcpy(to, &words[i], 8); /* little-endian: the low bytes come first */
        memcpy(to + low, &words[i + 1], 8);
        to += low + high;
    }
    return (uint32_t)(to - bytes);
}

struct reader {
    const uint8_t *sizes, *from;
    uint32_t high; /* 1: the high half of *sizes is next */
};

static uint64_t next_word(struct reader *reader)
{
    uint64_t word;
    uint32_t size = *reader->sizes >> (4 * reader->high) & 15;
    reader->sizes += reader->high;
    reader->high ^= 1;
    memcpy(&word, reader->from, 8);
    reader->from += size;
    return size == 0 ? 0 : word & ~(uint64_t)0 >> (64 - 8 * size);
}

uint32_t state_unpack(const uint8_t *bytes, uint32_t peers, struct state *state)
{
    CHECK(*bytes <= STATE_MESSAGES);
    state->count = *bytes;
    uint32_t n = 2 * peers + 3 + state->count;
    struct reader reader = { bytes + 1, bytes + 1 + (n + 1) / 2, 0 };
    for (uint32_t i = 0; i < peers; i++) state->peer[i] = next_word(&reader);
    for (uint32_t i = 0; i < peers; i++) state->lead[i] = next_word(&reader);
    state->leaders = next_word(&reader);
    state->committed = next_word(&reader);
    state->commit_terms = next_word(&reader);
    for (uint32_t i = 0; i < state->count; i++) state->messages[i] = next_word(&reader);
    return (uint32_t)(reader.from - bytes);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the short form cuts high bytes");
