/* tests/harness/witness.c - the invariants, one function each; the first violation stays. */
#include "tests/harness/witness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct known {
    struct log_id id;
    uint64_t chain;
    UT_hash_handle hh;
};
#define ULL(x) ((unsigned long long)(x))

__attribute__((format(printf, 3, 4))) static void violated(struct witness *witness,
                                                           const char *invariant,
                                                           const char *format, ...)
{
    if (witness->broken != NULL) return;
    witness->broken = invariant;
    va_list list;
    va_start(list, format);
    vsnprintf(witness->text, sizeof(witness->text), format, list);
    va_end(list);
}

/* The element `index` of a growing array of zeros. */
static uint32_t *slot(uint32_t **array, uint64_t *count, uint64_t index)
{
    if (index >= *count) {
        uint64_t size = 2 * index + 16;
        *array = realloc(*array, size * sizeof(**array));
        CHECK(*array != NULL);
        memset(*array + *count, 0, (size - *count) * sizeof(**array));
        *count = size;
    }
    return &(*array)[index];
}

/* Peers that have the first `index` entries of `log` on disk. */
static uint32_t holders(const struct witness *witness, const struct entries *log, uint64_t index)
{
    uint32_t count = 0;
    for (uint32_t id = 1; id <= witness->peers; id++)
        if (entries_agree(&witness->disks[id].log, log, index)) count++;
    return count;
}

/* LM: two logs that agree on the (index, term) of an entry agree on everything up to it */
static void judge_log(struct witness *witness, uint32_t id, const struct entries *log,
                      uint64_t from)
{
    for (uint64_t index = from; index <= log->count; index++) {
        const struct entry *entry = &log->at[index - 1];
        struct log_id key = { .term = entry->term, .index = index };
        struct known *known;
        HASH_FIND(hh, witness->known, &key, sizeof(key), known);
        if (known == NULL) {
            known = calloc(1, sizeof(*known));
            CHECK(known != NULL);
            known->id = key;
            known->chain = entry->chain;
            HASH_ADD(hh, witness->known, id, sizeof(known->id), known);
        } else if (known->chain != entry->chain) {
            violated(witness, "LM",
                     "%u has another log up to index %llu of term %llu than a peer before it", id,
                     ULL(index), ULL(entry->term));
        }
    }
}

/* ES, LC */
static void judge_leader(struct witness *witness, const struct raft *raft,
                         const struct entries *log)
{
    uint32_t id = raft->config.self;
    uint32_t *leader = slot(&witness->leaders, &witness->leaders_count, raft->current_term);
    if (*leader == id) return;
    if (*leader != 0) {
        violated(witness, "ES", "%u leads term %llu, which %u has led already", id,
                 ULL(raft->current_term), *leader);
        return;
    }
    *leader = id;
    witness->elections++;
    /* a vote may arrive when the term is over: that leader need not have what came after it */
    for (uint64_t index = witness->committed.count; index >= 1; index--) {
        if (witness->committed_in[index - 1] >= raft->current_term) continue;
        if (!entries_agree(&witness->committed, log, index))
            violated(witness, "LC", "%u leads term %llu without entry %llu, committed in term %llu",
                     id, ULL(raft->current_term), ULL(index),
                     ULL(witness->committed_in[index - 1]));
        break; /* agreeing on one is agreeing on all before */
    }
}

/* LA, MI, while it stays leader of the term */
static void judge_leading(struct witness *witness, const struct raft *raft,
                          const struct entries *log, uint64_t changed)
{
    uint32_t self = raft->config.self;
    struct witness_peer *seen = &witness->peer[self];
    bool stays = seen->led && seen->term == raft->current_term;
    if (stays && (changed <= seen->length || log->count < seen->length))
        violated(witness, "LA", "%u, leader of term %llu, changes its own entry %llu", self,
                 ULL(raft->current_term), ULL(changed));
    for (uint32_t id = 1; id <= witness->peers; id++) {
        uint64_t match = raft->followers[id].match_index, before = stays ? seen->match[id] : 0;
        seen->match[id] = match;
        if (id == self || match == before) continue;
        if (match < before)
            violated(witness, "MI", "%u moves match_index of %u back from %llu to %llu", self, id,
                     ULL(before), ULL(match));
        /* a follower that has seen a later term is not bound by what it said in this one */
        const struct image *disk = &witness->disks[id];
        if (disk->term == raft->current_term && !entries_agree(&disk->log, log, match))
            violated(witness, "MI", "%u believes that %u has its log up to %llu, but it has not",
                     self, id, ULL(match));
    }
}

/* CQ: a leader's commit */
static void judge_quorum(struct witness *witness, const struct raft *raft,
                         const struct entries *log)
{
    uint64_t index = raft->commit_index;
    if (log->at[index - 1].term != raft->current_term)
        violated(witness, "CQ", "%u, leader of term %llu, commits entry %llu of term %llu",
                 raft->config.self, ULL(raft->current_term), ULL(index),
                 ULL(log->at[index - 1].term));
    uint32_t have = holders(witness, log, index);
    if (2 * have <= witness->peers)
        violated(witness, "CQ", "%u commits entry %llu, which is on %u of %u disks",
                 raft->config.self, ULL(index), have, witness->peers);
}

/* CM, CQ, SM */
static void judge_commit(struct witness *witness, const struct raft *raft,
                         const struct entries *log)
{
    uint32_t self = raft->config.self;
    struct witness_peer *seen = &witness->peer[self];
    uint64_t index = raft->commit_index;
    if (index == seen->commit_index) return;
    if (index < seen->commit_index || index > log->count) {
        violated(witness, "CM", "%u moves its commit index from %llu to %llu; its log ends at %llu",
                 self, ULL(seen->commit_index), ULL(index), ULL(log->count));
        return;
    }
    seen->commit_index = index;
    if (raft->role == LEADER) judge_quorum(witness, raft, log);
    struct entries *committed = &witness->committed;
    if (!entries_agree(committed, log, MIN_OF(index, committed->count)))
        violated(witness, "SM",
                 "%u commits up to %llu, but has another log there than was committed", self,
                 ULL(index));
    if (index <= committed->count) return;
    if (raft->role != LEADER)
        violated(witness, "SM", "%u takes %llu as committed, but no leader has committed it", self,
                 ULL(index));
    if (index > witness->committed_in_count) {
        witness->committed_in_count = 2 * index;
        witness->committed_in = realloc(witness->committed_in, 2 * index * sizeof(uint64_t));
        CHECK(witness->committed_in != NULL);
    }
    for (uint64_t i = committed->count; i < index; i++) {
        witness->committed_in[i] = raft->current_term;
        entries_push(committed, log->at[i].term, log->at[i].id);
    }
}

void witness_stepped(struct witness *witness, const struct raft *raft, const struct entries *log,
                     uint64_t changed)
{
    struct witness_peer *seen = &witness->peer[raft->config.self];
    if (raft->current_term < seen->term)
        violated(witness, "TM", "%u goes from term %llu back to %llu", raft->config.self,
                 ULL(seen->term), ULL(raft->current_term));
    judge_log(witness, raft->config.self, log, changed);
    if (raft->role == LEADER) {
        judge_leader(witness, raft, log);
        judge_leading(witness, raft, log, changed);
    }
    judge_commit(witness, raft, log);
    seen->term = raft->current_term;
    seen->led = raft->role == LEADER;
    seen->length = log->count;
}

/* CQ: what is committed stays on a majority of disks */
void witness_saved(struct witness *witness, uint32_t id, uint64_t from)
{
    for (uint64_t index = from; index >= 1 && index <= witness->committed.count; index++) {
        uint32_t have = holders(witness, &witness->committed, index);
        if (2 * have <= witness->peers)
            violated(witness, "CQ",
                     "%u writes its disk, and committed entry %llu is left on %u of %u disks", id,
                     ULL(index), have, witness->peers);
    }
}

/* V1, PR for a vote of `id` for `candidate` in `term`, given in a message that leaves now */
static void judge_vote(struct witness *witness, uint32_t id, uint32_t candidate, uint64_t term)
{
    struct witness_peer *peer = &witness->peer[id];
    uint32_t *vote = slot(&peer->votes, &peer->votes_count, term);
    if (*vote != 0 && *vote != candidate)
        violated(witness, "V1", "%u votes for %u in term %llu, and has voted for %u in it", id,
                 candidate, ULL(term), *vote);
    *vote = candidate;
    const struct image *disk = &witness->disks[id];
    if (disk->term == term && disk->voted_for != candidate)
        violated(witness, "PR", "%u votes for %u in term %llu, but its disk does not know", id,
                 candidate, ULL(term));
}

void witness_sent(struct witness *witness, const struct message *message)
{
    const struct image *disk = &witness->disks[message->from];
    if (disk->term < message->term)
        violated(witness, "PR", "%u speaks in term %llu, its disk is still in term %llu",
                 message->from, ULL(message->term), ULL(disk->term));
    if (message->kind == MESSAGE_VOTE_REQUEST) /* a candidate votes for itself */
        judge_vote(witness, message->from, message->from, message->term);
    if (message->kind == MESSAGE_VOTE_REPLY && message->granted)
        judge_vote(witness, message->from, message->to, message->term);
    if (message->kind != MESSAGE_APPEND_REPLY || !message->granted) return;
    if (disk->term == message->term && disk->log.count < message->match_index)
        violated(witness, "PR", "%u acknowledges entry %llu, its disk ends at %llu", message->from,
                 ULL(message->match_index), ULL(disk->log.count));
}

void witness_applied(struct witness *witness, uint32_t id, const struct entries *log,
                     uint64_t index)
{
    struct witness_peer *seen = &witness->peer[id];
    if (index < seen->applied)
        violated(witness, "SM", "%u applies %llu after %llu", id, ULL(index), ULL(seen->applied));
    seen->applied = index;
    if (!entries_agree(&witness->committed, log, index))
        violated(witness, "SM", "%u applies up to %llu, which is not what was committed", id,
                 ULL(index));
}

void witness_started(struct witness *witness, uint32_t id)
{
    struct witness_peer *peer = &witness->peer[id];
    uint32_t *votes = peer->votes;
    uint64_t count = peer->votes_count;
    *peer = (struct witness_peer){ .votes = votes, .votes_count = count };
    peer->term = witness->disks[id].term;
    peer->length = witness->disks[id].log.count;
    judge_log(witness, id, &witness->disks[id].log, 1);
}

void witness_open(struct witness *witness, uint32_t peers, const struct image *disks)
{
    memset(witness, 0, sizeof(*witness));
    witness->peers = peers;
    witness->disks = disks;
}

void witness_close(struct witness *witness)
{
    struct known *known, *next;
    HASH_ITER(hh, witness->known, known, next)
    {
        HASH_DEL(witness->known, known);
        free(known);
    }
    for (uint32_t id = 1; id <= witness->peers; id++) free(witness->peer[id].votes);
    free(witness->leaders);
    free(witness->committed_in);
    entries_free(&witness->committed);
}
