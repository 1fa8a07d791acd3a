/* sim/safety.c - each invariant is one function: what it remembers, and what contradicts it. */
#include "sim/safety.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)XXH3_64bits((key), (bytes)))
#include <uthash.h>

/* A note remembered under a number (ES, SM: peer is 0) or a number and a peer (V1). */
struct fact {
    struct fact_key {
        uint64_t number, peer;
    } key;
    struct note note;
    struct fact *sibling; /* a vote of the same peer and turn */
    UT_hash_handle hh;    /* also a list, oldest first */
};

struct peer {
    bool known, commit_known; /* in this life */
    struct note term;         /* the last note that told its term */
    struct note commit;       /* the last one of this life */
    struct note committed;    /* the highest of all lives; a is 0: none */
    uint64_t applied;         /* in this life */
    bool applies;             /* has ever applied: others wait for it (Y1) */
    struct fact *turn_votes;  /* what it voted in the turn of its last note */
};

struct safety {
    struct fact *leaders, *votes, *applied;
    struct peer peers[PEER_MAX + 1];
    struct peer durable[PEER_MAX + 1]; /* as before the turn of its last note (Y4) */
    uint64_t turn_ns[PEER_MAX + 1];    /* the time of that turn */
    peer_set failing;                  /* that turn never reached the disk */
};

struct safety *safety_new(void)
{
    return calloc(1, sizeof(struct safety));
}

static void forget(struct fact **facts, struct fact *fact)
{
    CHECK(*facts != NULL);
    HASH_DEL(*facts, fact);
    free(fact);
}

void safety_free(struct safety *safety)
{
    if (safety == NULL) return;
    while (safety->leaders != NULL) forget(&safety->leaders, safety->leaders);
    while (safety->votes != NULL) forget(&safety->votes, safety->votes);
    while (safety->applied != NULL) forget(&safety->applied, safety->applied);
    free(safety);
}

/* What is remembered under this key; where that is nothing, `note` from now on. */
static struct fact *recall(struct fact **facts, uint64_t number, uint64_t peer,
                           const struct note *note)
{
    struct fact *fact = NULL;
    struct fact_key key = { number, peer };
    HASH_FIND(hh, *facts, &key, sizeof(key), fact);
    if (fact != NULL) return fact;
    fact = calloc(1, sizeof(*fact));
    CHECK(fact != NULL); /* a checker that forgets would say "safe" */
    fact->key = key;
    fact->note = *note;
    HASH_ADD(hh, *facts, key, sizeof(key), fact);
    return fact;
}

__attribute__((format(printf, 5, 6))) static bool broken(struct violation *violation,
                                                         const char *invariant,
                                                         const struct note *first,
                                                         const struct note *second,
                                                         const char *format, ...)
{
    va_list arguments;
    violation->invariant = invariant;
    violation->first = *first;
    violation->second = *second;
    va_start(arguments, format);
    vsnprintf(violation->text, sizeof(violation->text), format, arguments);
    va_end(arguments);
    return true;
}

#define U(x) ((unsigned long long)(x))

/* The notes of the core, and of a start from disk: all of them carry the term. */
static bool tells_term(const struct note *note)
{
    enum topic topic = note_topic(note->kind);
    return note->kind == NOTE_STARTED || topic == TOPIC_TIMER || topic == TOPIC_VOTE ||
           topic == TOPIC_TERM || topic == TOPIC_LEAD || topic == TOPIC_APPEND ||
           topic == TOPIC_COMMIT;
}

static bool check_term(struct safety *safety, const struct note *note, struct violation *violation)
{
    struct peer *peer = &safety->peers[note->self];
    struct note before = peer->term;
    if (!tells_term(note)) return false;
    bool known = peer->known;
    peer->known = true;
    peer->term = *note;
    if (!known || note->term >= before.term) return false;
    return broken(violation, "TM", &before, note, "peer %u was in term %llu and is in term %llu%s",
                  note->self, U(before.term), U(note->term),
                  note->kind == NOTE_STARTED ? " after a restart" : "");
}

static bool check_leader(struct safety *safety, const struct note *note,
                         struct violation *violation)
{
    if (note->kind != NOTE_BECAME_LEADER) return false;
    const struct note *other = &recall(&safety->leaders, note->term, 0, note)->note;
    if (other->self == note->self) return false;
    return broken(violation, "ES", other, note,
                  "peer %u and peer %u both became leader of term %llu", other->self, note->self,
                  U(note->term));
}

/* Whom this note says that its peer votes for; PEER_NONE: it is about something else. */
static uint32_t vote_of(const struct note *note)
{
    if (note->kind == NOTE_VOTE_GRANTED) return note->other;
    return note->kind == NOTE_BECAME_CANDIDATE ? note->self : PEER_NONE;
}

static bool check_vote(struct safety *safety, const struct note *note, struct violation *violation)
{
    uint32_t now = vote_of(note);
    if (now == PEER_NONE) return false;
    size_t before = HASH_COUNT(safety->votes);
    struct fact *vote = recall(&safety->votes, note->term, note->self, note);
    if (HASH_COUNT(safety->votes) > before) {
        vote->sibling = safety->peers[note->self].turn_votes;
        safety->peers[note->self].turn_votes = vote;
    }
    if (vote_of(&vote->note) == now) return false;
    return broken(violation, "V1", &vote->note, note,
                  "peer %u voted for %u and for %u in term %llu", note->self, vote_of(&vote->note),
                  now, U(note->term));
}

static bool check_append_only(struct safety *safety, const struct note *note,
                              struct violation *violation)
{
    struct fact *leader = NULL;
    struct fact_key key = { note->term, 0 };
    if (note->kind != NOTE_TRUNCATED) return false;
    HASH_FIND(hh, safety->leaders, &key, sizeof(key), leader);
    if (leader == NULL || leader->note.self != note->self) return false;
    return broken(violation, "LA", &leader->note, note,
                  "peer %u leads term %llu and deletes %llu..%llu of its log", note->self,
                  U(note->term), U(note->a), U(note->b));
}

static bool check_commit(struct safety *safety, const struct note *note,
                         struct violation *violation)
{
    struct peer *peer = &safety->peers[note->self];
    if (note->kind == NOTE_STARTED) peer->commit_known = false;
    if (note->kind == NOTE_TRUNCATED && note->a <= peer->committed.a) {
        struct note committed = peer->committed;
        peer->committed.a = note->a - (note->a > 0);
        return broken(violation, "CM", &committed, note,
                      "peer %u deletes %llu..%llu and knew that %llu is committed", note->self,
                      U(note->a), U(note->b), U(committed.a));
    }
    if (note->kind != NOTE_COMMITTED && note->kind != NOTE_COMMIT_LEARNED) return false;
    struct note before = peer->commit;
    bool known = peer->commit_known;
    peer->commit = *note;
    peer->commit_known = true;
    if (note->a > peer->committed.a) peer->committed = *note;
    if (!known || note->a >= before.a) return false;
    return broken(violation, "CM", &before, note,
                  "the commit index of peer %u goes back from %llu to %llu", note->self,
                  U(before.a), U(note->a));
}

/* The highest index that all peers who apply have passed. */
static uint64_t passed_by_all(const struct safety *safety)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 1; i <= PEER_MAX; i++)
        if (safety->peers[i].applies) least = MIN_OF(least, safety->peers[i].applied);
    return least;
}

static bool check_state(struct safety *safety, const struct note *note, struct violation *violation)
{
    struct peer *peer = &safety->peers[note->self];
    if (note->kind == NOTE_STARTED) peer->applied = 0; /* it will apply its log again */
    if (note->kind != NOTE_APPLIED) return false;
    peer->applies = true;
    peer->applied = note->a;
    struct note first = recall(&safety->applied, note->a, 0, note)->note;
    uint64_t passed = passed_by_all(safety);
    while (safety->applied != NULL && (safety->applied->key.number < passed ||
                                       HASH_COUNT(safety->applied) > SAFETY_APPLIED_MAX))
        forget(&safety->applied, safety->applied);
    if (first.b == note->b) return false;
    return broken(violation, "SM", &first, note,
                  "peer %u and peer %u applied index %llu and differ: state %08llx and %08llx",
                  first.self, note->self, U(note->a), U(first.b & UINT32_MAX),
                  U(note->b & UINT32_MAX));
}

/* (Y4) */
static void follow_turn(struct safety *safety, const struct note *note)
{
    struct peer *peer = &safety->peers[note->self];
    bool failing = peer_in(safety->failing, note->self);
    if (note->kind == NOTE_DISK_FAILED) safety->failing |= peer_bit(note->self);
    if (note->kind == NOTE_DISK_RESUMED || note->kind == NOTE_STARTED)
        safety->failing &= ~peer_bit(note->self);
    if (note->kind == NOTE_STARTED && failing) {
        while (peer->turn_votes != NULL) {
            struct fact *vote = peer->turn_votes;
            peer->turn_votes = vote->sibling;
            forget(&safety->votes, vote);
        }
        *peer = safety->durable[note->self];
    }
    if (failing && note->kind != NOTE_STARTED) return; /* no turn begins: the disk is tried again */
    if (note->time_ns == safety->turn_ns[note->self]) return;
    peer->turn_votes = NULL; /* these are there to stay */
    safety->turn_ns[note->self] = note->time_ns;
    safety->durable[note->self] = *peer;
}

bool safety_note(struct safety *safety, const struct note *note, struct violation *violation)
{
    static bool (*const checks[])(struct safety *, const struct note *, struct violation *) = {
        check_leader, check_vote, check_append_only, check_commit, check_state, check_term,
    };
    bool any = false;
    if (note->self == 0 || note->self > PEER_MAX) return false;
    follow_turn(safety, note);
    for (size_t i = 0; i < COUNT(checks); i++) /* all of them: each has to remember the note */
        any |= checks[i](safety, note, any ? &(struct violation){ 0 } : violation);
    return any;
}
