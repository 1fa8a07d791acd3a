/* sim/canon.c - peers are sorted by what they are, then all renamings that keep that order are
 * tried: seldom more than one. */
#define XXH_INLINE_ALL
#include "sim/canon.h"

#include <string.h>
#include <xxhash.h>

static void add_renaming(struct canon *canon, const uint8_t *old_of)
{
    uint32_t k = canon->renamings++, new_id[8] = { 0 };
    CHECK(k < CANON_RENAMINGS);
    for (uint32_t i = 0; i < canon->peers; i++) {
        canon->old_of[k][i] = old_of[i];
        new_id[old_of[i] + 1] = i + 1;
    }
    for (uint32_t ids = 0; ids < 512; ids++)
        canon->ids[k][ids] =
            (uint16_t)(new_id[ids & 7] | new_id[ids >> 3 & 7] << 3 | new_id[ids >> 6 & 7] << 6);
    for (uint32_t ends = 0; ends < 64; ends++)
        canon->ends[k][ends] = (uint8_t)(new_id[ends & 7] | new_id[ends >> 3 & 7] << 3);
    for (uint32_t votes = 0; votes < 32; votes++) {
        uint32_t renamed = 0;
        for (uint32_t i = 0; i < canon->peers; i++) renamed |= (votes >> old_of[i] & 1) << i;
        canon->votes[k][votes] = (uint8_t)renamed;
    }
}

/* All orders of the peers from place `at` on. */
static void permute(struct canon *canon, uint8_t *old_of, uint32_t at)
{
    if (at == canon->peers) {
        add_renaming(canon, old_of);
        return;
    }
    for (uint32_t i = at; i < canon->peers; i++) {
        uint8_t first = old_of[at];
        old_of[at] = old_of[i];
        old_of[i] = first;
        permute(canon, old_of, at + 1);
        old_of[i] = old_of[at];
        old_of[at] = first;
    }
}

void canon_init(struct canon *canon, uint32_t peers, bool symmetry)
{
    uint8_t old_of[STATE_PEERS] = { 0, 1, 2, 3, 4 };
    canon->peers = peers;
    canon->renamings = 0;
    if (symmetry) permute(canon, old_of, 0);
    else add_renaming(canon, old_of);
    for (uint32_t self = 1; self <= peers; self++)
        for (uint32_t ids = 0; ids < 512; ids++) {
            uint32_t about = 0;
            for (uint32_t shift = 0; shift < 9; shift += 3) {
                uint32_t id = ids >> shift & 7;
                about = about * 3 + (id == 0 ? 0u : id == self ? 1u : 2u);
            }
            canon->about[self - 1][ids] = (uint8_t)about;
        }
}

static uint64_t mix(uint64_t word)
{
    word *= 0x9e3779b97f4a7c15ull;
    return (word ^ word >> 32) * 0xd6e8feb86659fd93ull;
}

/* What can be said of each peer without naming any: the same under every renaming. */
static void portraits(const struct canon *canon, const struct state *state, uint64_t *portrait)
{
    for (uint32_t i = 0; i < canon->peers; i++) {
        uint64_t word = state->peer[i], lead = state->lead[i];
        uint64_t sum = mix((word & ~FIELD_MASK(IDS)) | canon->about[i][FIELD_GET(word, IDS)]);
        if (lead != 0) {
            sum += mix(peer_count(FIELD_GET(lead, VOTES)) | 64 * (lead >> i & 1)) >> 1;
            for (lead >>= FOLLOWERS_AT; lead != 0; lead >>= FOLLOWER_BITS)
                sum += mix(lead & FIELD_MASK(FOLLOWER)) >> 2;
        }
        portrait[i] = sum;
    }
    for (uint32_t i = 0; i < state->count; i++) {
        uint64_t sum = mix(state->messages[i] >> ENDS_BITS);
        portrait[FIELD_GET(state->messages[i], FROM) - 1] += sum;
        portrait[FIELD_GET(state->messages[i], TO) - 1] += sum * 5 ^ sum >> 7;
    }
}

static uint64_t rename_followers(const struct canon *canon, uint32_t k, uint64_t lead)
{
    uint64_t renamed = 0;
    for (uint32_t i = 0; i < canon->peers; i++) {
        uint64_t seen = lead >> (FOLLOWERS_AT + FOLLOWER_BITS * canon->old_of[k][i]);
        renamed |= (seen & FIELD_MASK(FOLLOWER)) << (FOLLOWERS_AT + FOLLOWER_BITS * i);
    }
    return renamed;
}

static uint64_t hash_renamed(const struct canon *canon, uint32_t k, const struct state *state)
{
    uint64_t words[STATE_WORDS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < canon->peers; i++) {
        uint64_t word = state->peer[canon->old_of[k][i]];
        words[n++] = (word & ~FIELD_MASK(IDS)) | canon->ids[k][FIELD_GET(word, IDS)];
    }
    for (uint32_t i = 0; i < canon->peers; i++) {
        uint64_t lead = state->lead[canon->old_of[k][i]];
        uint64_t renamed = canon->votes[k][FIELD_GET(lead, VOTES)];
        if (lead >> FOLLOWERS_AT != 0) renamed |= rename_followers(canon, k, lead);
        words[n++] = renamed;
    }
    uint64_t leaders = 0;
    for (uint32_t at = 0; state->leaders >> at != 0; at += IDS_BITS)
        leaders |= (uint64_t)canon->ids[k][state->leaders >> at & FIELD_MASK(IDS)] << at;
    words[n++] = leaders;
    words[n++] = state->committed;
    words[n++] = state->commit_terms;
    uint64_t *messages = words + n;
    for (uint32_t i = 0; i < state->count; i++) {
        uint64_t word = state->messages[i];
        word = (word & ~FIELD_MASK(ENDS)) | canon->ends[k][FIELD_GET(word, ENDS)];
        uint32_t at = i;
        for (; at > 0 && messages[at - 1] > word; at--) messages[at] = messages[at - 1];
        messages[at] = word;
    }
    n += state->count;
    return XXH3_64bits(words, n * sizeof(*words));
}

static bool keeps_order(const struct canon *canon, uint32_t k, const uint64_t *portrait)
{
    for (uint32_t i = 0; i + 1 < canon->peers; i++)
        if (portrait[canon->old_of[k][i]] > portrait[canon->old_of[k][i + 1]]) return false;
    return true;
}

uint64_t canon_fingerprint(const struct canon *canon, const struct state *state)
{
    CHECK(state->count <= STATE_MESSAGES);
    if (canon->renamings == 1) return hash_renamed(canon, 0, state);
    uint64_t portrait[STATE_PEERS], least = UINT64_MAX;
    portraits(canon, state, portrait);
    for (uint32_t k = 0; k < canon->renamings; k++) {
        if (!keeps_order(canon, k, portrait)) continue;
        uint64_t hash = hash_renamed(canon, k, state);
        least = MIN_OF(least, hash);
    }
    return least;
}
