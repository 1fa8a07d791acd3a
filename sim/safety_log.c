/* sim/safety_log.c - what is stored, what is promised, what leaders believe of it. */
#include "sim/safety_inside.h"

static bool tells_disk(const struct note *note)
{
    return note->kind == NOTE_STORED || note->kind == NOTE_STARTED;
}

/* PR: a restart finds what was stored. The last turn may be unseen (a peer dies before it tells);
 * what no turn of the same term can change is judged. */
bool check_kept(struct safety *safety, const struct note *note, struct violation *violation)
{
    const struct disk_seen *disk = &safety->disks[note->self];
    const struct note before = disk->note;
    if (note->kind != NOTE_STARTED || !disk->known) return false;
    if (note->term < before.term)
        return broken(violation, "PR", &before, note,
                      "peer %u had stored term %llu and starts with term %llu", note->self,
                      U(before.term), U(note->term));
    if (note->term > before.term) return false;
    if (before.other != PEER_NONE && note->other != before.other)
        return broken(violation, "PR", &before, note,
                      "peer %u had stored its vote for %u in term %llu and starts with %u",
                      note->self, before.other, U(note->term), note->other);
    if (before.c == before.term && note->b < before.b)
        return broken(violation, "PR", &before, note,
                      "peer %u had stored its log up to %llu and starts with %llu", note->self,
                      U(before.b), U(note->b));
    return false;
}

/* PR: what leaves promises what the disk has. */
bool check_promise(struct safety *safety, const struct note *note, struct violation *violation)
{
    const struct disk_seen *disk = &safety->disks[note->self];
    const struct note has = disk->note;
    if (note->kind != NOTE_PROMISED || !disk->known) return false;
    if (note->term > has.term)
        return broken(violation, "PR", &has, note,
                      "peer %u speaks of term %llu and has stored term %llu", note->self,
                      U(note->term), U(has.term));
    if (note->term < has.term) return false; /* of a term that it left in the same turn */
    if (note->other != PEER_NONE && note->other != has.other)
        return broken(violation, "PR", &has, note,
                      "peer %u promises its vote to %u in term %llu and has stored %u", note->self,
                      note->other, U(note->term), has.other);
    if (note->a > has.b)
        return broken(violation, "PR", &has, note,
                      "peer %u acknowledges its log up to %llu and has stored %llu", note->self,
                      U(note->a), U(has.b));
    return false;
}

/* CQ: what a leader knows when it commits. */
bool check_quorum(struct safety *safety, const struct note *note, struct violation *violation)
{
    const struct disk_seen *disk = &safety->disks[note->self];
    if (note->kind != NOTE_COMMITTED) return false;
    const struct reign *reign = reign_of(safety, note->term);
    const struct note *first = reign->leader.self != 0 ? &reign->leader : note;
    uint32_t peers = (uint32_t)MIN_OF(note->d, (uint64_t)PEER_MAX);
    uint32_t have = peer_count(note->b & peer_first(peers));
    if (note->c != note->term)
        return broken(violation, "CQ", first, note,
                      "peer %u commits index %llu of term %llu in term %llu by counting",
                      note->self, U(note->a), U(note->c), U(note->term));
    if (have <= peers / 2)
        return broken(violation, "CQ", first, note,
                      "peer %u commits index %llu and knows %u of %u peers to have it", note->self,
                      U(note->a), have, peers);
    if (peer_in(note->b, note->self) && disk->known && disk->note.b < note->a) {
        const struct note has = disk->note;
        return broken(violation, "CQ", &has, note,
                      "peer %u commits index %llu, counts itself, and has stored %llu", note->self,
                      U(note->a), U(has.b));
    }
    return false;
}

static bool lacks(const struct note *disk, const struct note *commit, struct violation *violation,
                  bool commit_first)
{
    return broken(violation, "CQ", commit_first ? commit : disk, commit_first ? disk : commit,
                  "peer %u is counted on for index %llu, committed in term %llu, and has %llu in "
                  "term %llu",
                  disk->self, U(commit->a), U(commit->term), U(disk->b), U(disk->term));
}

/* A commit counts on `id` to have its index in every later term. */
static bool count_on(struct safety *safety, uint32_t id, const struct note *commit,
                     struct violation *violation)
{
    struct counted *counted = &safety->counted[id];
    const struct disk_seen *disk = &safety->disks[id];
    if (commit->term > counted->latest.term) {
        if (counted->latest.a > counted->before.a) counted->before = counted->latest;
        counted->latest = *commit;
    } else if (commit->term == counted->latest.term) {
        if (commit->a > counted->latest.a) counted->latest = *commit;
    } else if (commit->a > counted->before.a) {
        counted->before = *commit;
    }
    if (!disk->known || disk->lowest.term <= commit->term || disk->lowest.b >= commit->a)
        return false;
    return lacks(&disk->lowest, commit, violation, false);
}

/* CQ: who was counted for a commit has it, seen when it has come to a later term. Within the
 * commit's own term its notes may be older than its acknowledgement (Y3). */
bool check_counted(struct safety *safety, const struct note *note, struct violation *violation)
{
    if (note->kind == NOTE_COMMITTED) {
        bool any = false;
        for (peer_set left = note->b & peer_first(PEER_MAX); left != 0; left &= left - 1)
            any |= count_on(safety, (uint32_t)__builtin_ctzll(left), note, violation);
        return any;
    }
    if (!tells_disk(note)) return false;
    struct counted *counted = &safety->counted[note->self];
    struct note *commit = &counted->before;
    if (note->term > counted->latest.term && counted->latest.a > commit->a)
        commit = &counted->latest;
    if (note->term <= commit->term || note->b >= commit->a) return false;
    struct note told = *commit;
    commit->a = note->b; /* (Y2) */
    return lacks(note, &told, violation, true);
}

/* [R §5.4.1] Can a log that ends like this hold the entry? */
static bool is_missing(const struct reign *reign, const struct note *commit)
{
    if (reign->leader.self == 0 || commit->self == 0) return false;
    return reign->leader.c < commit->a || reign->leader.d < commit->c;
}

static bool incomplete(const struct reign *reign, const struct note *commit,
                       const struct note *note, struct violation *violation)
{
    const struct note *first = note == commit ? &reign->leader : commit;
    return broken(violation, "LC", first, note,
                  "peer %u leads term %llu with a log that ends at %llu term %llu, and index %llu "
                  "term %llu was committed in term %llu",
                  reign->leader.self, U(reign->term), U(reign->leader.c), U(reign->leader.d),
                  U(commit->a), U(commit->c), U(commit->term));
}

/* LC: whoever is elected later has what was committed before. The notes of both may come in either
 * order. */
bool check_complete(struct safety *safety, const struct note *note, struct violation *violation)
{
    if (note->kind == NOTE_COMMITTED) {
        struct reign *reign = reign_of(safety, note->term);
        if (note->a > reign->commit.a) reign->commit = *note;
        if (safety->committing == NULL || safety->committing->term < reign->term)
            safety->committing = reign;
        for (struct reign *later = safety->newest; later != reign; later = later->older)
            if (is_missing(later, note)) return incomplete(later, note, note, violation);
        return false;
    }
    if (note->kind != NOTE_BECAME_LEADER) return false;
    struct reign *reign = reign_of(safety, note->term), *before = safety->committing;
    if (before == NULL || reign->leader.self != note->self) return false;
    if (before->term >= reign->term)
        for (before = reign->older; before != NULL && before->commit.self == 0;)
            before = before->older;
    if (before == NULL || !is_missing(reign, &before->commit)) return false;
    return incomplete(reign, &before->commit, note, violation);
}

/* LM: logs that end alike are alike. */
bool check_prefix(struct safety *safety, const struct note *note, struct violation *violation)
{
    if (!tells_disk(note) || note->b == 0 || note->d == 0) return false;
    struct note *slots = &safety->stored[2 * (note->b % SAFETY_STORED_MAX)];
    for (uint32_t i = 0; i < 2; i++) {
        const struct note other = slots[i];
        if (other.b != note->b || other.c != note->c) continue;
        if (other.d == note->d) return false;
        slots[i] = *note; /* (Y2) */
        return broken(violation, "LM", &other, note,
                      "the logs of peer %u and peer %u end at index %llu term %llu and differ: "
                      "%08llx and %08llx",
                      other.self, note->self, U(note->b), U(note->c), U(other.d & UINT32_MAX),
                      U(note->d & UINT32_MAX));
    }
    bool first_goes = slots[0].b != note->b || slots[0].c < slots[1].c;
    slots[slots[1].b == note->b && !first_goes] = *note;
    return false;
}

/* MI: within a term a leader learns more of a follower, never less [R Fig.2]. */
bool check_match(struct safety *safety, const struct note *note, struct violation *violation)
{
    if (note->kind != NOTE_MATCH_BACK) return false;
    const struct reign *reign = reign_of(safety, note->term);
    const struct note *first = reign->leader.self != 0 ? &reign->leader : note;
    return broken(violation, "MI", first, note,
                  "peer %u leads term %llu and knew that %u has its log up to %llu, then only %llu",
                  note->self, U(note->term), note->other, U(note->a), U(note->b));
}

void remember_disk(struct safety *safety, const struct note *note)
{
    struct disk_seen *disk = &safety->disks[note->self];
    if (!tells_disk(note)) return;
    if (!disk->known || note->term != disk->lowest.term || note->b < disk->lowest.b)
        disk->lowest = *note;
    disk->note = *note;
    disk->known = true;
}
