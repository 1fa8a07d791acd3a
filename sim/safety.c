/* sim/safety.c - each invariant is one function: what it remembers, and what contradicts it. */
#include "sim/safety_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct safety *safety_new(void)
{
    struct safety *safety = calloc(1, sizeof(struct safety));
    if (safety == NULL) return NULL;
    safety->applied = calloc(SAFETY_APPLIED_MAX, sizeof(*safety->applied));
    safety->stored = calloc(2 * SAFETY_STORED_MAX, sizeof(*safety->stored));
    if (safety->applied != NULL && safety->stored != NULL) return safety;
    safety_free(safety);
    return NULL;
}

static void forget_vote(struct safety *safety, struct vote *vote)
{
    CHECK(safety->votes != NULL);
    HASH_DEL(safety->votes, vote);
    free(vote);
}

void safety_free(struct safety *safety)
{
    if (safety == NULL) return;
    while (safety->votes != NULL) forget_vote(safety, safety->votes);
    HASH_CLEAR(hh, safety->reigns);
    for (struct reign *reign = safety->newest, *older; reign != NULL; reign = older) {
        older = reign->older;
        free(reign);
    }
    free(safety->applied);
    free(safety->stored);
    free(safety);
}

bool broken(struct violation *violation, const char *invariant, const struct note *first,
            const struct note *second, const char *format, ...)
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

struct reign *reign_of(struct safety *safety, uint64_t term)
{
    struct reign *reign = NULL, *newer = NULL, *older = safety->newest;
    if (older != NULL && older->term == term) return older;
    HASH_FIND(hh, safety->reigns, &term, sizeof(term), reign);
    if (reign != NULL) return reign;
    reign = calloc(1, sizeof(*reign));
    CHECK(reign != NULL); /* a checker that forgets would say "safe" */
    reign->term = term;
    for (; older != NULL && older->term > term; older = older->older) newer = older;
    reign->older = older;
    if (newer != NULL) newer->older = reign;
    else safety->newest = reign;
    HASH_ADD(hh, safety->reigns, term, sizeof(reign->term), reign);
    return reign;
}

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
    struct reign *reign = reign_of(safety, note->term);
    if (reign->leader.self == 0) reign->leader = *note;
    if (reign->leader.self != note->self)
        return broken(violation, "ES", &reign->leader, note,
                      "peer %u and peer %u both became leader of term %llu", reign->leader.self,
                      note->self, U(note->term));
    if (note->a > note->b / 2) return false;
    return broken(violation, "ES", note, note,
                  "peer %u became leader of term %llu with %llu votes of %llu", note->self,
                  U(note->term), U(note->a), U(note->b));
}

/* Whom this note says that its peer votes for, or has voted for; PEER_NONE: it does not say. */
static uint32_t vote_of(const struct note *note)
{
    if (note->kind == NOTE_VOTE_GRANTED || note->kind == NOTE_STARTED) return note->other;
    return note->kind == NOTE_BECAME_CANDIDATE ? note->self : PEER_NONE;
}

static bool check_vote(struct safety *safety, const struct note *note, struct violation *violation)
{
    uint32_t now = vote_of(note);
    struct peer *peer = &safety->peers[note->self];
    struct vote *vote = NULL;
    struct vote_key key = { note->term, note->self };
    if (now == PEER_NONE && note->kind != NOTE_STARTED) return false;
    HASH_FIND(hh, safety->votes, &key, sizeof(key), vote);
    if (vote != NULL && now == PEER_NONE)
        return broken(violation, "V1", &vote->note, note,
                      "peer %u voted for %u in term %llu and does not know it after a restart",
                      note->self, vote_of(&vote->note), U(note->term));
    if (now == PEER_NONE) return false;
    if (vote == NULL) {
        vote = calloc(1, sizeof(*vote));
        CHECK(vote != NULL);
        vote->key = key;
        vote->note = *note;
        vote->sibling = peer->turn_votes;
        peer->turn_votes = vote;
        HASH_ADD(hh, safety->votes, key, sizeof(vote->key), vote);
    }
    if (vote_of(&vote->note) == now) return false;
    return broken(violation, "V1", &vote->note, note,
                  "peer %u voted for %u and for %u in term %llu", note->self, vote_of(&vote->note),
                  now, U(note->term));
}

static bool check_append_only(struct safety *safety, const struct note *note,
                              struct violation *violation)
{
    if (note->kind != NOTE_TRUNCATED) return false;
    struct reign *reign = NULL;
    HASH_FIND(hh, safety->reigns, &note->term, sizeof(note->term), reign);
    if (reign == NULL || reign->leader.self != note->self) return false;
    return broken(violation, "LA", &reign->leader, note,
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
    if ((note->kind == NOTE_STORED || note->kind == NOTE_STARTED) && note->b < peer->committed.a) {
        struct note committed = peer->committed;
        peer->committed.a = note->b;
        return broken(violation, "CM", &committed, note,
                      "peer %u has on disk a log up to %llu and knew that %llu is committed",
                      note->self, U(note->b), U(committed.a));
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

/* In one life each index is applied once, in order, and only what is known to be committed. */
static bool check_order(const struct peer *peer, const struct note *before, const struct note *note,
                        struct violation *violation)
{
    if (!peer->whole_life) return false;
    if (note->a <= before->a)
        return broken(violation, "SM", before, note, "peer %u applies index %llu after %llu",
                      note->self, U(note->a), U(before->a));
    uint64_t committed = peer->commit_known ? peer->commit.a : 0;
    if (note->a <= committed) return false;
    return broken(violation, "SM", peer->commit_known ? &peer->commit : &peer->term, note,
                  "peer %u applies index %llu and knows %llu to be committed", note->self,
                  U(note->a), U(committed));
}

static bool check_state(struct safety *safety, const struct note *note, struct violation *violation)
{
    struct peer *peer = &safety->peers[note->self];
    if (note->kind == NOTE_STARTED) { /* it will apply its log again */
        peer->applied = (struct note){ 0 };
        peer->whole_life = true;
    }
    if (note->kind != NOTE_APPLIED) return false;
    struct note before = peer->applied;
    peer->applied = *note;
    struct note *slot = &safety->applied[note->a % SAFETY_APPLIED_MAX];
    if (slot->self == 0 || slot->a < note->a) *slot = *note;
    if (check_order(peer, &before, note, violation)) return true;
    if (slot->a != note->a || slot->b == note->b) return false;
    return broken(violation, "SM", slot, note,
                  "peer %u and peer %u applied index %llu and differ: state %08llx and %08llx",
                  slot->self, note->self, U(note->a), U(slot->b & UINT32_MAX),
                  U(note->b & UINT32_MAX));
}

/* What it said in a turn that its disk refused, or that is not known whole, is forgotten. */
static void roll_back(struct safety *safety, uint32_t id)
{
    struct peer *peer = &safety->peers[id];
    while (peer->turn_votes != NULL) {
        struct vote *vote = peer->turn_votes;
        peer->turn_votes = vote->sibling;
        forget_vote(safety, vote);
    }
    *peer = safety->durable[id];
    peer->turn_votes = NULL;
}

/* (Y4), (Y5) */
static void follow_turn(struct safety *safety, const struct note *note)
{
    struct peer *peer = &safety->peers[note->self];
    peer_set self = peer_bit(note->self);
    bool failing = peer_in(safety->failing, note->self);
    bool missing = peer_in(safety->missing, note->self);
    safety->missing &= ~self;
    if (note->kind == NOTE_DISK_FAILED) safety->failing |= self;
    if (note->kind == NOTE_DISK_RESUMED || note->kind == NOTE_STARTED) safety->failing &= ~self;
    if (note->kind == NOTE_STARTED && (failing || missing)) roll_back(safety, note->self);
    if (failing && note->kind != NOTE_STARTED) return; /* no turn begins: the disk is tried again */
    if (note->time_ns == safety->turn_ns[note->self] && !missing) return;
    peer->turn_votes = NULL; /* these are there to stay */
    safety->turn_ns[note->self] = note->time_ns;
    safety->durable[note->self] = *peer;
}

void safety_missed(struct safety *safety, uint32_t self)
{
    if (self == 0 || self > PEER_MAX) return;
    safety->missing |= peer_bit(self);
    safety->failing &= ~peer_bit(self);
    safety->peers[self].whole_life = safety->durable[self].whole_life = false;
    safety->peers[self].commit_known = safety->durable[self].commit_known = false;
    safety->disks[self].known = false;
}

bool safety_note(struct safety *safety, const struct note *note, struct violation *violation)
{
    static bool (*const checks[])(struct safety *, const struct note *, struct violation *) = {
        check_term,    check_leader, check_vote,    check_append_only, check_commit,
        check_state,   check_kept,   check_promise, check_quorum,      check_complete,
        check_counted, check_prefix, check_match,
    };
    bool any = false;
    if (note->self == 0 || note->self > PEER_MAX) return false;
    follow_turn(safety, note);
    for (size_t i = 0; i < COUNT(checks); i++) /* all of them: each has to remember the note */
        any |= checks[i](safety, note, any ? &(struct violation){ 0 } : violation);
    remember_disk(safety, note);
    return any;
}
