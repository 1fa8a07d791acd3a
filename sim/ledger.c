/* sim/ledger.c - each rule where the fact that it needs becomes known. */
#include "sim/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)XXH3_64bits((key), (bytes)))
#include <uthash.h>

#define U(x) ((unsigned long long)(x))

struct text {
    struct text_key {
        uint64_t hash, bytes;
    } key;
    UT_hash_handle hh;
    uint8_t data[];
};

struct known {
    struct log_id id;
    uint64_t chain;
    UT_hash_handle hh;
};

/* ---- memory ---- */

/* Room for at[index], what is new being zero. */
static void *room(void *at, uint64_t *capacity, uint64_t index, size_t size)
{
    if (index < *capacity) return at;
    uint64_t larger = MAX_OF(2 * *capacity, index + 64);
    at = realloc(at, larger * size);
    CHECK(at != NULL);
    memset((char *)at + *capacity * size, 0, (larger - *capacity) * size);
    *capacity = larger;
    return at;
}

void ledger_open(struct ledger *ledger, uint32_t peers)
{
    CHECK(peers <= LEDGER_PEERS);
    memset(ledger, 0, sizeof(*ledger));
    ledger->peers = peers;
    ledger->safety = safety_new();
    CHECK(ledger->safety != NULL);
}

void ledger_close(struct ledger *ledger)
{
    struct text *text, *next_text;
    HASH_ITER(hh, ledger->texts, text, next_text)
    {
        HASH_DEL(ledger->texts, text);
        free(text);
    }
    struct known *known, *next_known;
    HASH_ITER(hh, ledger->known, known, next_known)
    {
        HASH_DEL(ledger->known, known);
        free(known);
    }
    for (uint32_t id = 0; id <= LEDGER_PEERS; id++) {
        free(ledger->disks[id].log);
        free(ledger->votes[id]);
    }
    for (uint32_t i = 0; i < LEDGER_SESSIONS; i++) free(ledger->done[i]);
    free(ledger->committed.log);
    free(ledger->states);
    free(ledger->leaders);
    safety_free(ledger->safety);
    memset(ledger, 0, sizeof(*ledger));
}

void ledger_broken(struct ledger *ledger, const char *what, const char *format, ...)
{
    if (ledger->broken != NULL) return;
    va_list arguments;
    ledger->broken = what;
    va_start(arguments, format);
    vsnprintf(ledger->text, sizeof(ledger->text), format, arguments);
    va_end(arguments);
}

/* The ledger's own copy of these bytes; one for all that are equal. */
static const struct text *intern(struct ledger *ledger, const uint8_t *data, uint32_t bytes)
{
    struct text *text = NULL;
    struct text_key key = { XXH3_64bits(data, bytes), bytes };
    HASH_FIND(hh, ledger->texts, &key, sizeof(key), text);
    if (text != NULL) return text;
    text = malloc(sizeof(*text) + bytes);
    CHECK(text != NULL);
    text->key = key;
    if (bytes > 0) memcpy(text->data, data, bytes);
    HASH_ADD(hh, ledger->texts, key, sizeof(text->key), text);
    return text;
}

static uint64_t term_at(const struct image *image, uint64_t index)
{
    return index >= 1 && index <= image->count ? image->log[index - 1].entry.term : 0;
}

/* ---- disks ---- */

static void check_known(struct ledger *ledger, uint32_t id, struct log_id at, uint64_t chain)
{
    struct known *known = NULL;
    HASH_FIND(hh, ledger->known, &at, sizeof(at), known);
    if (known == NULL) {
        known = malloc(sizeof(*known));
        CHECK(known != NULL);
        known->id = at;
        known->chain = chain;
        HASH_ADD(hh, ledger->known, id, sizeof(known->id), known);
    }
    if (known->chain != chain)
        ledger_broken(ledger, "LM", "peer %u stores index %llu term %llu otherwise than others", id,
                      U(at.index), U(at.term));
}

static void push(struct ledger *ledger, struct image *image, const struct entry *entry)
{
    const struct text *text = intern(ledger, entry->data, entry->bytes);
    uint64_t chain = image->count > 0 ? image->log[image->count - 1].chain : 0;
    uint64_t parts[] = { chain, entry->term, entry->kind, text->key.hash, entry->bytes };
    image->log = room(image->log, &image->capacity, image->count, sizeof(*image->log));
    struct page *page = &image->log[image->count++];
    page->entry = *entry;
    page->entry.data = text->data;
    page->chain = XXH3_64bits(parts, sizeof(parts));
}

void ledger_save(struct ledger *ledger, uint32_t id, const struct disk_save *save)
{
    struct image *disk = &ledger->disks[id];
    if (save->hard) {
        if (save->term < disk->term)
            ledger_broken(ledger, "TM", "peer %u stores term %llu after %llu", id, U(save->term),
                          U(disk->term));
        if (save->term == disk->term && disk->voted_for != 0 && save->voted_for != disk->voted_for)
            ledger_broken(ledger, "V1", "peer %u stores a second vote in term %llu", id,
                          U(save->term));
        disk->term = save->term;
        disk->voted_for = save->voted_for;
    }
    uint64_t from = save->truncate_from;
    if (from != 0) {
        if (from > disk->count)
            ledger_broken(ledger, "LM", "peer %u deletes from %llu on and has %llu entries", id,
                          U(from), U(disk->count));
        const struct image *committed = &ledger->committed;
        for (uint64_t i = from; i <= MIN_OF(committed->count, disk->count); i++) {
            bool again = i - from < save->count && save->entries[i - from].term == term_at(disk, i);
            if (term_at(committed, i) == term_at(disk, i) && !again)
                ledger_broken(ledger, "CQ", "peer %u deletes index %llu, which is committed", id,
                              U(i));
        }
        disk->count = MIN_OF(disk->count, from - 1);
    }
    if (save->count > 0 && save->first_index != disk->count + 1)
        ledger_broken(ledger, "LM", "peer %u stores index %llu after %llu", id,
                      U(save->first_index), U(disk->count));
    for (uint32_t i = 0; i < save->count; i++) {
        push(ledger, disk, &save->entries[i]);
        check_known(ledger, id, (struct log_id){ save->entries[i].term, disk->count },
                    disk->log[disk->count - 1].chain);
    }
}

/* ---- messages ---- */

static void check_leader(struct ledger *ledger, const struct frame *frame)
{
    ledger->leaders = room(ledger->leaders, &ledger->leaders_capacity, frame->term, 1);
    uint8_t *leader = &ledger->leaders[frame->term];
    if (*leader == 0) *leader = frame->from;
    if (*leader != frame->from)
        ledger_broken(ledger, "ES", "peers %u and %u both lead term %llu", *leader, frame->from,
                      U(frame->term));
}

static void check_vote(struct ledger *ledger, const struct frame *frame, uint32_t whom)
{
    const struct image *disk = &ledger->disks[frame->from];
    uint8_t **votes = &ledger->votes[frame->from];
    *votes = room(*votes, &ledger->votes_capacity[frame->from], frame->term, 1);
    if ((*votes)[frame->term] == 0) (*votes)[frame->term] = (uint8_t)whom;
    if ((*votes)[frame->term] != whom)
        ledger_broken(ledger, "V1", "peer %u votes for %u and for %u in term %llu", frame->from,
                      (*votes)[frame->term], whom, U(frame->term));
    if (disk->term == frame->term && disk->voted_for != whom)
        ledger_broken(ledger, "PR", "peer %u votes for %u and its disk says %u", frame->from, whom,
                      disk->voted_for);
}

static void check_acknowledged(struct ledger *ledger, const struct frame *frame)
{
    const struct image *disk = &ledger->disks[frame->from];
    if (disk->term > frame->term) return; /* another leader's entries may have taken their place */
    uint64_t match = frame->raft.match_index;
    struct log_id prev = frame->raft.prev;
    if (match > disk->count || term_at(disk, prev.index) != prev.term)
        ledger_broken(ledger, "PR", "peer %u acknowledges %llu after (%llu, term %llu): not stored",
                      frame->from, U(match), U(prev.index), U(prev.term));
}

void ledger_sent(struct ledger *ledger, const struct packet *packet)
{
    const struct frame *frame = &packet->frame;
    if (frame->kind > MESSAGE_TIMEOUT_NOW) return;
    if (frame->term > ledger->disks[frame->from].term)
        ledger_broken(ledger, "PR", "peer %u speaks of term %llu and has stored %llu", frame->from,
                      U(frame->term), U(ledger->disks[frame->from].term));
    if (frame->kind == MESSAGE_APPEND_REQUEST) check_leader(ledger, frame);
    if (frame->kind == MESSAGE_VOTE_REQUEST) check_vote(ledger, frame, frame->from);
    if (frame->kind == MESSAGE_VOTE_REPLY && frame->flag) check_vote(ledger, frame, frame->to);
    if (frame->kind == MESSAGE_APPEND_REPLY && frame->flag) check_acknowledged(ledger, frame);
}

void ledger_note(struct ledger *ledger, const struct note *note)
{
    struct violation violation;
    if (safety_note(ledger->safety, note, &violation))
        ledger_broken(ledger, violation.invariant, "%s", violation.text);
}

/* ---- what is committed ---- */

static void mark_done(struct ledger *ledger, const struct entry *entry)
{
    struct kv_command command;
    if (entry->kind != ENTRY_COMMAND) return;
    if (kv_decode(entry->data, entry->bytes, &command) != ERR_OK) return;
    if (command.client >= LEDGER_SESSIONS) return;
    uint64_t *capacity = &ledger->done_capacity[command.client];
    ledger->done[command.client] =
        room(ledger->done[command.client], capacity, command.sequence, 1);
    ledger->done[command.client][command.sequence] = 1;
}

/* Nobody knew before that `index` is committed: a majority of disks has it, and the model applies
 * it. */
static void commit_first(struct ledger *ledger, uint32_t id, uint64_t index, uint64_t term)
{
    uint32_t have = 0;
    const struct page *page = NULL;
    for (uint32_t i = 1; i <= ledger->peers; i++) {
        if (term_at(&ledger->disks[i], index) != term) continue;
        page = &ledger->disks[i].log[index - 1];
        have++;
    }
    if (have <= ledger->peers / 2) {
        ledger_broken(ledger, "CQ", "peer %u commits index %llu term %llu, which %u disks have", id,
                      U(index), U(term), have);
        return;
    }
    struct image *committed = &ledger->committed;
    uint64_t before = index > 1 ? committed->log[index - 2].chain : 0;
    const struct entry *entry = &page->entry;
    push(ledger, committed, entry);
    if (page->chain != committed->log[index - 1].chain)
        ledger_broken(ledger, "SM", "index %llu follows %llx in the committed log, not on disk",
                      U(index), U(before));
    mark_done(ledger, entry);
    ledger->states = room(ledger->states, &ledger->states_capacity, index, sizeof(uint64_t));
    uint64_t seed = ledger->states[index - 1] ^ (entry->term << 8 | entry->kind);
    ledger->states[index] = XXH3_64bits_withSeed(entry->data, entry->bytes, seed);
}

void ledger_committed(struct ledger *ledger, const struct peer *peer, uint64_t before)
{
    const struct raft *raft = &peer->raft;
    uint32_t id = raft->config.self;
    if (raft->commit_index < before)
        ledger_broken(ledger, "CM", "the commit index of peer %u goes back to %llu", id,
                      U(raft->commit_index));
    uint64_t last_term = log_term(&raft->log, raft->commit_index);
    if (raft->role == LEADER && raft->commit_index > before && last_term != raft->current_term)
        ledger_broken(ledger, "CQ", "peer %u leads term %llu and commits index %llu of term %llu",
                      id, U(raft->current_term), U(raft->commit_index), U(last_term));
    for (uint64_t i = before + 1; i <= raft->commit_index && ledger->broken == NULL; i++) {
        uint64_t term = log_term(&raft->log, i);
        if (i > ledger->committed.count) commit_first(ledger, id, i, term);
        else if (term != term_at(&ledger->committed, i))
            ledger_broken(ledger, "SM", "peer %u commits index %llu term %llu, others term %llu",
                          id, U(i), U(term), U(term_at(&ledger->committed, i)));
    }
}

void ledger_state(struct ledger *ledger, const struct peer *peer)
{
    const struct raft *raft = &peer->raft;
    if (ledger->broken != NULL || raft->last_applied == 0) return;
    if (raft->last_applied > raft->commit_index ||
        peer->state_hash != ledger->states[raft->last_applied])
        ledger_broken(ledger, "SM", "peer %u has another state after index %llu", raft->config.self,
                      U(raft->last_applied));
}

void ledger_answered(struct ledger *ledger, uint64_t session, uint64_t sequence)
{
    CHECK(session < LEDGER_SESSIONS);
    if (sequence >= ledger->done_capacity[session] || !ledger->done[session][sequence])
        ledger_broken(ledger, "AK", "command %llu of client %llu is answered, not committed",
                      U(sequence), U(session));
}

void ledger_applied(struct ledger *ledger, uint64_t index, const struct entry *entries,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, index++) {
        const struct entry *said = &entries[i], *ours;
        ours = index <= ledger->committed.count ? &ledger->committed.log[index - 1].entry : NULL;
        if (ours == NULL || said->term != ours->term || said->kind != ours->kind ||
            said->bytes != ours->bytes || memcmp(said->data, ours->data, said->bytes) != 0)
            ledger_broken(ledger, "SM", "somebody says to have applied another index %llu",
                          U(index));
    }
}
