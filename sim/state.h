/* sim/state.h - everything there is at one moment of an exploration, in a few words of 64 bits.
 * Owns   how peers (struct raft), messages under way and remembered history are laid out in bits,
 *        and the short form in bytes that a frontier is kept in.
 * Leaves which events there are to sim/act.h; which states are the same to sim/canon.h.
 * Holds  (S1) equal runs of events give equal bits: messages are sorted, what has no effect is zero
 *        (S2) time is not in it: timers, clocks and random bits are what the next event makes them
 *        (S3) between events the disk of a peer has all of its term, vote and log. */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "node/core/raft.h"

enum { STATE_PEERS = 5, STATE_ENTRIES = 9, STATE_TERMS = 15, STATE_MESSAGES = 10 };

/* What may still happen; all at most 15. */
#define BUDGET_LIST(X)                                                                             \
    X(TIMEOUTS, "timeouts", "election timeouts")                                                   \
    X(HEARTBEATS, "heartbeats", "heartbeats of leaders")                                           \
    X(PROPOSALS, "proposals", "entries that clients propose to leaders")                           \
    X(DROPS, "drops", "messages dropped")                                                          \
    X(DUPLICATES, "duplicates", "messages duplicated")                                             \
    X(CRASHES, "crashes", "crashes; each may be followed by a restart")
#define BUDGET_ENUM(name, word, help) BUDGET_##name,
enum budget { BUDGET_LIST(BUDGET_ENUM) BUDGET_COUNT };
#undef BUDGET_ENUM

/* A field of a word: FIELD_GET(word, TERM). Place of the lowest bit, width.
 * Peers: `peer` */
enum {
    VOTED_AT = 0,
    VOTED_BITS = 3,
    PROMISED_AT = 3,
    PROMISED_BITS = 3, /* the vote of this term that really left */
    LEADER_AT = 6,
    LEADER_BITS = 3,
    IDS_AT = 0,
    IDS_BITS = 9, /* the three above: what a renaming of peers changes */
    ROLE_AT = 9,
    ROLE_BITS = 2,
    UP_AT = 11,
    UP_BITS = 1,
    TERM_AT = 12,
    TERM_BITS = 4,
    COMMIT_AT = 16,
    COMMIT_BITS = 4,
    APPLIED_AT = 20,
    APPLIED_BITS = 4,
    KNOWN_AT = 24,
    KNOWN_BITS = 4, /* the highest commit index of all its lives */
    LOG_AT = 28,
    LOG_BITS = 36, /* the term of entry i at LOG_AT + 4 * (i - 1); 0: no entry */
    /* Peers: `lead` of candidates and leaders. Bit id - 1: a vote; from FOLLOWERS_AT on, for each
     * id: next_index, match_index, probing, waiting */
    VOTES_AT = 0,
    VOTES_BITS = 5,
    FOLLOWERS_AT = 5,
    FOLLOWER_BITS = 10,
    NEXT_AT = 0,
    NEXT_BITS = 4,
    MATCH_AT = 4,
    MATCH_BITS = 4,
    PROBING_AT = 8,
    PROBING_BITS = 1,
    WAITING_AT = 9,
    WAITING_BITS = 1,
    /* Messages */
    FROM_AT = 0,
    FROM_BITS = 3,
    TO_AT = 3,
    TO_BITS = 3,
    ENDS_AT = 0,
    ENDS_BITS = 6, /* the two above */
    KIND_AT = 6,
    KIND_BITS = 2,
    SENT_TERM_AT = 8,
    SENT_TERM_BITS = 4,
    PREV_INDEX_AT = 12,
    PREV_INDEX_BITS = 4,
    PREV_TERM_AT = 16,
    PREV_TERM_BITS = 4,
    GRANTED_AT = 20,
    GRANTED_BITS = 1,
    ACKED_AT = 21,
    ACKED_BITS = 4, /* replies */
    CONFLICT_TERM_AT = 25,
    CONFLICT_TERM_BITS = 4,
    CONFLICT_INDEX_AT = 29,
    CONFLICT_INDEX_BITS = 4,
    SENT_COMMIT_AT = 20,
    SENT_COMMIT_BITS = 4,
    ENTRIES_AT = 24,
    ENTRIES_BITS = 4, /* appends */
    SENT_LOG_AT = 28,
};
#define FIELD_MASK(name) (((uint64_t)1 << name##_BITS) - 1)
#define FIELD_GET(word, name) (((word) >> name##_AT) & FIELD_MASK(name))
#define FIELD_PUT(name, value) ((uint64_t)(value) << name##_AT)
#define FIELD_CLEAR(word, name) ((word) & ~(FIELD_MASK(name) << name##_AT))

struct state {
    uint64_t peer[STATE_PEERS], lead[STATE_PEERS]; /* of peer id at id - 1 */
    /* History that can still be contradicted. `leaders`: who led term t, 3 bits each, from the
     * lowest term of a peer on. `committed`: the committed log, 4 bits an entry, and in the bits
     * above it what is left of each budget. `commit_terms`: in which term a leader committed an
     * entry first; 0: in one that is over for all peers */
    uint64_t leaders, committed, commit_terms;
    uint64_t messages[STATE_MESSAGES + STATE_PEERS]; /* sorted; some room for a turn's sends */
    uint32_t count;
};

/* A log is a word: the term of each entry in 4 bits, the first lowest. */
static inline uint32_t word_entries(uint64_t log)
{
    return log == 0 ? 0 : (67 - (uint32_t)__builtin_clzll(log)) / 4;
}
static inline uint32_t word_term(uint64_t log, uint64_t index) /* index >= 1 */
{
    return (uint32_t)(log >> (4 * (index - 1))) & 15;
}
static inline uint64_t word_mask(uint64_t entries)
{
    return ((uint64_t)1 << (4 * entries)) - 1;
}
static inline uint64_t committed_log(const struct state *state)
{
    return state->committed & word_mask(STATE_ENTRIES);
}
static inline uint32_t budget_left(const struct state *state, enum budget budget)
{
    return (uint32_t)(state->committed >> (4 * STATE_ENTRIES + 4 * (uint32_t)budget)) & 15;
}
static inline void budget_take(struct state *state, enum budget budget)
{
    state->committed -= (uint64_t)1 << (4 * STATE_ENTRIES + 4 * (uint32_t)budget);
}
static inline uint32_t leader_of(const struct state *state, uint32_t term)
{
    return (uint32_t)(state->leaders >> (3 * (term - 1))) & 7;
}

/* All peers are up, in term 0, with empty logs; nothing is under way. */
void state_begin(struct state *state, uint32_t peers, const uint32_t budgets[BUDGET_COUNT]);

/* Peer `id` of the state as the core has it: config is set but for `self`; raft->log has memory
 * for STATE_ENTRIES + 1 runs. Heartbeats of a leader are due from now_ns 1 on, nothing else ever
 * is by itself. */
void state_load(const struct state *state, uint32_t id, struct raft *raft);
/* Back again. CHECKs that all of it fits. PROMISED and KNOWN stay as they are. */
void state_store(struct state *state, uint32_t id, const struct raft *raft);

uint64_t message_word(const struct message *message, const struct log *log);
/* `terms` has room for STATE_ENTRIES. */
void message_load(uint64_t word, struct message *message, uint64_t *terms);
void state_send(struct state *state, uint64_t message);
void state_take(struct state *state, uint32_t which);

/* The short form: at most STATE_BYTES_MAX bytes; returns how many. It writes and reads (not uses)
 * up to 8 bytes behind its end. */
enum { STATE_WORDS_MAX = 2 * STATE_PEERS + 3 + STATE_MESSAGES };
enum { STATE_BYTES_MAX = 1 + STATE_WORDS_MAX / 2 + 1 + 8 * STATE_WORDS_MAX };
uint32_t state_pack(const struct state *state, uint32_t peers, uint8_t *bytes);
uint32_t state_unpack(const uint8_t *bytes, uint32_t peers, struct state *state);

#endif
