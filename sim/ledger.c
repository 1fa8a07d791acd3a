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

enum { SESSION_MAX = 4095 };
enum fate { FATE_OPEN, FATE_COMMITTED, FATE_REFUSED };

struct text {
    struct text_key {
        uint64_t hash, bytes;
    } key;
    UT_hash_handle hh;
    uint8_t data[];
};

struct undo { /* what a commit that was not synced has replaced */
    struct undo *next;
    uint64_t term, from, unsynced_from;
    uint32_t voted_for;
    bool unsynced_vote;
    uint64_t count; /* of the pages from `from` on */
    struct page pages[];
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
    memset(ledger, 0, sizeof(*ledger));
    ledger->peers = peers;
    ledger->safety = safety_new();
    ledger->disks = calloc(peers + 1u, sizeof(*ledger->disks));
    ledger->votes = calloc(peers + 1u, sizeof(*ledger->votes));
    CHECK(ledger->safety != NULL);
    CHECK(ledger->disks != NULL);
    CHECK(ledger->votes != NULL);
    for (uint32_t id = 0; id <= peers; id++) ledger->disks[id].unsynced_from = TIME_NEVER;
}

static void sync(struct image *image)
{
    while (image->unsynced != NULL) {
        struct undo *undo = image->unsynced;
        image->unsynced = undo->next;
        free(undo);
    }
    image->unsynced_from = TIME_NEVER;
    image->unsynced_vote = false;
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
    for (uint32_t id = 0; id <= ledger->peers; id++) {
        sync(&ledger->disks[id]);
        free(ledger->disks[id].log);
        free(ledger->votes[id].whom);
    }
    free(ledger->disks);
    free(ledger->votes);
    for (uint64_t i = 0; i < ledger->sessions_capacity; i++) free(ledger->sessions[i].fate);
    free(ledger->sessions);
    free(ledger->leaders);
    free(ledger->committed.log);
    free(ledger->committed_in);
    free(ledger->states);
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

/* What `save` is about to replace, in case that the power goes. */
static void remember(struct image *disk, const struct disk_save *save)
{
    uint64_t from = save->count > 0 ? save->first_index : TIME_NEVER;
    if (save->truncate_from != 0) from = MIN_OF(from, save->truncate_from);
    uint64_t count = from <= disk->count ? disk->count + 1 - from : 0;
    struct undo *undo = malloc(sizeof(*undo) + count * sizeof(undo->pages[0]));
    CHECK(undo != NULL);
    *undo = (struct undo){ .next = disk->unsynced,
                           .term = disk->term,
                           .voted_for = disk->voted_for,
                           .from = from,
                           .count = count,
                           .unsynced_from = disk->unsynced_from,
                           .unsynced_vote = disk->unsynced_vote };
    if (count > 0) memcpy(undo->pages, &disk->log[from - 1], count * sizeof(undo->pages[0]));
    disk->unsynced = undo;
    disk->unsynced_from = MIN_OF(disk->unsynced_from, from);
    disk->unsynced_vote |= save->hard;
}

void ledger_power_cut(struct ledger *ledger, uint32_t id, struct rng *rng)
{
    struct image *disk = &ledger->disks[id];
    uint64_t commits = 0;
    for (struct undo *undo = disk->unsynced; undo != NULL; undo = undo->next) commits++;
    if (commits == 0) return;
    for (uint64_t lost = rng_range(rng, 1, commits); lost > 0; lost--) {
        struct undo *undo = disk->unsynced;
        CHECK(undo != NULL);
        disk->term = undo->term;
        disk->voted_for = undo->voted_for;
        disk->unsynced_from = undo->unsynced_from;
        disk->unsynced_vote = undo->unsynced_vote;
        if (undo->from != TIME_NEVER) {
            disk->count = undo->from - 1 + undo->count;
            memcpy(&disk->log[undo->from - 1], undo->pages, undo->count * sizeof(undo->pages[0]));
        }
        disk->unsynced = undo->next;
        free(undo);
    }
    sync(disk); /* what is there now has survived */
}

static void save_vote(struct ledger *ledger, uint32_t id, const struct disk_save *save)
{
    struct image *disk = &ledger->disks[id];
    if (save->term < disk->term)
        ledger_broken(ledger, "TM", "peer %u stores term %llu after %llu", id, U(save->term),
                      U(disk->term));
    if (save->term == disk->term && disk->voted_for != 0 && save->voted_for != disk->voted_for)
        ledger_broken(ledger, "V1",
                      "peer %u has stored a vote for %u in term %llu and stores one for %u", id,
                      disk->voted_for, U(save->term), save->voted_for);
    disk->term = save->term;
    disk->voted_for = save->voted_for;
}

/* What is committed may still give way on a peer that is in an earlier term: nobody counted on it,
 * and the leader that it follows need not have it. It was in `term` or later when it did this. But
 * only another entry makes one give way (§5.3): to delete and store nothing is never right. */
static void save_truncation(struct ledger *ledger, uint32_t id, const struct disk_save *save,
                            uint64_t term)
{
    struct image *disk = &ledger->disks[id];
    const struct image *committed = &ledger->committed;
    uint64_t from = save->truncate_from;
    bool replaced = save->count > 0;
    if (from > disk->count)
        ledger_broken(ledger, "LM", "peer %u deletes from %llu on and has %llu entries", id,
                      U(from), U(disk->count));
    for (uint64_t i = from; i <= MIN_OF(committed->count, disk->count); i++) {
        bool again = i - from < save->count && save->entries[i - from].term == term_at(disk, i);
        bool may_give_way = replaced && ledger->committed_in[i] > term;
        if (term_at(committed, i) == term_at(disk, i) && !again && !may_give_way)
            ledger_broken(ledger, "CQ", "peer %u deletes index %llu term %llu, which is committed",
                          id, U(i), U(term_at(disk, i)));
    }
    disk->count = MIN_OF(disk->count, from - 1);
}

void ledger_save(struct ledger *ledger, uint32_t id, const struct disk_save *save)
{
    struct image *disk = &ledger->disks[id];
    uint64_t term = disk->term;
    if (save->lazy) remember(disk, save);
    else sync(disk);
    if (save->hard) save_vote(ledger, id, save);
    if (save->truncate_from != 0) save_truncation(ledger, id, save, term);
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
    struct votes *votes = &ledger->votes[frame->from];
    votes->whom = room(votes->whom, &votes->capacity, frame->term, 1);
    if (votes->whom[frame->term] == 0) votes->whom[frame->term] = (uint8_t)whom;
    if (votes->whom[frame->term] != whom)
        ledger_broken(ledger, "V1", "peer %u votes for %u and for %u in term %llu", frame->from,
                      votes->whom[frame->term], whom, U(frame->term));
    if (disk->term == frame->term && (disk->voted_for != whom || disk->unsynced_vote))
        ledger_broken(ledger, "PR", "peer %u votes for %u in term %llu and its disk says %u%s",
                      frame->from, whom, U(frame->term), disk->voted_for,
                      disk->unsynced_vote ? ", not synced" : "");
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
    if (match >= disk->unsynced_from)
        ledger_broken(ledger, "PR", "peer %u acknowledges %llu: from %llu on it is not synced",
                      frame->from, U(match), U(disk->unsynced_from));
}

void ledger_sent(struct ledger *ledger, const struct frame *frame)
{
    if (frame->kind > MESSAGE_TIMEOUT_NOW) return;
    if (frame->term > ledger->disks[frame->from].term)
        ledger_broken(ledger, "PR", "peer %u speaks of term %llu and has stored %llu", frame->from,
                      U(frame->term), U(ledger->disks[frame->from].term));
    if (frame->kind == MESSAGE_APPEND_REQUEST) check_leader(ledger, frame);
    if (frame->kind == MESSAGE_VOTE_REQUEST) check_vote(ledger, frame, frame->from);
    if (frame->kind == MESSAGE_VOTE_REPLY && frame->flag) check_vote(ledger, frame, frame->to);
    if (frame->kind == MESSAGE_APPEND_REPLY && frame->flag) check_acknowledged(ledger, frame);
}

/* [R §5.4] "if a log entry is committed in a given term, then that entry will be present in the
 * logs of the leaders for all higher-numbered terms"; by (LM) to have the last is to have all. */
static void check_elected(struct ledger *ledger, const struct note *note)
{
    const struct image *committed = &ledger->committed, *disk = &ledger->disks[note->self];
    if (note->kind != NOTE_BECAME_LEADER) return;
    ledger->newest_term = MAX_OF(ledger->newest_term, note->term);
    uint64_t last = committed->count;
    while (last > 0 && ledger->committed_in[last] >= note->term) last--;
    uint64_t term = term_at(committed, last);
    if (last > 0 && term_at(disk, last) != term)
        ledger_broken(ledger, "LC",
                      "peer %u leads term %llu without index %llu term %llu, which is committed",
                      note->self, U(note->term), U(last), U(term));
}

void ledger_note(struct ledger *ledger, const struct note *note)
{
    struct violation violation;
    check_elected(ledger, note);
    if (safety_note(ledger->safety, note, &violation))
        ledger_broken(ledger, violation.invariant, "%s", violation.text);
}

/* ---- what is committed ---- */

/* NULL: of no client that we know. */
static uint8_t *fate_of(struct ledger *ledger, uint64_t client, uint64_t sequence)
{
    if (client > SESSION_MAX) return NULL;
    ledger->sessions =
        room(ledger->sessions, &ledger->sessions_capacity, client, sizeof(*ledger->sessions));
    struct sessions *session = &ledger->sessions[client];
    session->fate = room(session->fate, &session->capacity, sequence, 1);
    return &session->fate[sequence];
}

static void mark_done(struct ledger *ledger, const struct entry *entry)
{
    struct kv_command command;
    if (entry->kind != ENTRY_COMMAND) return;
    if (kv_decode(entry->data, entry->bytes, &command) != ERR_OK) return;
    uint8_t *fate = fate_of(ledger, command.client, command.sequence);
    if (fate == NULL) return;
    if (*fate == FATE_REFUSED)
        ledger_broken(ledger, "X1", "command %llu of client %llu was refused and is committed",
                      U(command.sequence), U(command.client));
    *fate = FATE_COMMITTED;
}

/* A leader that is already elected has it, too. */
static void check_newest_leader(struct ledger *ledger, const struct raft *raft, uint64_t index,
                                uint64_t term)
{
    uint64_t newest = ledger->newest_term;
    uint32_t leader = newest < ledger->leaders_capacity ? ledger->leaders[newest] : 0;
    if (leader == 0 || newest <= raft->current_term) return;
    if (ledger->disks[leader].term != newest) return; /* a newer one may have cut its log back */
    if (term_at(&ledger->disks[leader], index) == term) return;
    ledger_broken(ledger, "LC",
                  "peer %u commits index %llu term %llu, which peer %u, leader of term %llu, lacks",
                  raft->config.self, U(index), U(term), leader, U(newest));
}

/* Nobody knew before that `index` is committed: a majority of disks has it, and the model applies
 * it. */
static void commit_first(struct ledger *ledger, const struct raft *raft, uint64_t index,
                         uint64_t term)
{
    uint32_t have = 0, id = raft->config.self;
    const struct page *page = NULL;
    for (uint32_t i = 1; i <= ledger->peers; i++) {
        if (term_at(&ledger->disks[i], index) != term) continue;
        if (index >= ledger->disks[i].unsynced_from) continue;
        page = &ledger->disks[i].log[index - 1];
        have++;
    }
    if (have <= ledger->peers / 2) {
        ledger_broken(ledger, "CQ",
                      "peer %u commits index %llu term %llu, which %u of %u disks have", id,
                      U(index), U(term), have, ledger->peers);
        return;
    }
    check_newest_leader(ledger, raft, index, term);
    struct image *committed = &ledger->committed;
    uint64_t before = index > 1 ? committed->log[index - 2].chain : 0;
    const struct entry *entry = &page->entry;
    push(ledger, committed, entry);
    if (page->chain != committed->log[index - 1].chain)
        ledger_broken(ledger, "SM", "index %llu follows %llx in the committed log, not on disk",
                      U(index), U(before));
    mark_done(ledger, entry);
    ledger->committed_in = room(ledger->committed_in, &ledger->committed_in_capacity, index,
                                sizeof(*ledger->committed_in));
    ledger->committed_in[index] = raft->current_term;
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
    /* [R §5.4.2] "only log entries from the leader's current term are committed by counting" */
    uint64_t last = log_term(&raft->log, raft->commit_index);
    if (raft->role == LEADER && raft->commit_index > before && last != raft->current_term &&
        raft->commit_index > ledger->committed.count)
        ledger_broken(ledger, "CQ", "peer %u, leader of term %llu, commits index %llu of term %llu",
                      id, U(raft->current_term), U(raft->commit_index), U(last));
    for (uint64_t i = before + 1; i <= raft->commit_index && ledger->broken == NULL; i++) {
        uint64_t term = log_term(&raft->log, i);
        if (i > ledger->committed.count) commit_first(ledger, raft, i, term);
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

void ledger_match(struct ledger *ledger, const struct raft *leader, uint32_t id, uint64_t before)
{
    uint64_t match = leader->followers[id].match_index, term = log_term(&leader->log, match);
    const struct image *disk = &ledger->disks[id];
    if (match < before)
        ledger_broken(ledger, "MI",
                      "peer %u, leader, moves match_index of %u back from %llu to %llu",
                      leader->config.self, id, U(before), U(match));
    if (disk->term > leader->current_term)
        return; /* a newer leader's entries may have replaced it */
    if (term_at(disk, match) != term)
        ledger_broken(
            ledger, "MI",
            "peer %u believes %u to have index %llu term %llu; its disk has term %llu there",
            leader->config.self, id, U(match), U(term), U(term_at(disk, match)));
}

void ledger_answered(struct ledger *ledger, uint64_t session, uint64_t sequence)
{
    const uint8_t *fate = fate_of(ledger, session, sequence);
    CHECK(fate != NULL);
    if (*fate != FATE_COMMITTED)
        ledger_broken(ledger, "AK", "command %llu of client %llu is answered, not committed",
                      U(sequence), U(session));
}

void ledger_refused(struct ledger *ledger, uint64_t session, uint64_t sequence)
{
    uint8_t *fate = fate_of(ledger, session, sequence);
    CHECK(fate != NULL);
    if (*fate == FATE_COMMITTED)
        ledger_broken(ledger, "X1", "command %llu of client %llu is committed and refused",
                      U(sequence), U(session));
    *fate = FATE_REFUSED;
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
