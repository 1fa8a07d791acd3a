/* sim/facts.c - each invariant a question on a few words. */
#include "sim/facts.h"

#include <stdarg.h>
#include <stdio.h>

struct view { /* peer `id` before and after its turn */
    const struct state *before;
    struct state *after;
    uint32_t peers, id;
    uint64_t was, is;      /* words */
    uint64_t log_was, log; /* terms of entries */
    uint32_t term_was, term;
    uint32_t commit_was, commit;
    struct finding *finding;
};

static bool broken(struct finding *finding, const char *invariant)
{
    finding->invariant = invariant;
    return false;
}

__attribute__((format(printf, 2, 3))) static void say(char *side, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(side, sizeof(((struct finding *)NULL)->first), format, arguments);
    va_end(arguments);
}

/* ---- V1 ---- */

bool facts_send(struct state *after, uint64_t message, struct finding *finding)
{
    uint32_t kind = (uint32_t)FIELD_GET(message, KIND), from = (uint32_t)FIELD_GET(message, FROM);
    uint32_t vote;
    if (kind == MESSAGE_VOTE_REQUEST) vote = from;
    else if (kind == MESSAGE_VOTE_REPLY && FIELD_GET(message, GRANTED))
        vote = (uint32_t)FIELD_GET(message, TO);
    else return true;
    uint64_t *word = &after->peer[from - 1];
    uint32_t promised = (uint32_t)FIELD_GET(*word, PROMISED);
    if (promised == vote) return true;
    if (promised == 0) {
        *word |= FIELD_PUT(PROMISED, vote);
        return true;
    }
    uint32_t term = (uint32_t)FIELD_GET(message, SENT_TERM);
    say(finding->first, "peer %u has voted for %u in term %u", from, promised, term);
    say(finding->second, "peer %u votes for %u in term %u", from, vote, term);
    return broken(finding, "V1");
}

/* ---- one peer's term, log and commit_index ---- */

static uint32_t first_difference(uint64_t difference) /* an index; difference is not 0 */
{
    return (uint32_t)__builtin_ctzll(difference) / 4 + 1;
}

/* The first entry from `from` on that was committed in this term or before; 0: none. */
static uint32_t lost_committed(const struct view *v, uint32_t from)
{
    uint64_t committed = committed_log(v->before);
    for (uint32_t i = from; i <= word_entries(v->log_was) && i <= word_entries(committed); i++)
        if (word_term(v->log_was, i) == word_term(committed, i) &&
            word_term(v->before->commit_terms, i) <= v->term)
            return i;
    return 0;
}

static bool deletes(const struct view *v)
{
    uint64_t gone = (v->log_was ^ v->log) & word_mask(word_entries(v->log_was));
    if (gone == 0) return true;
    uint32_t from = first_difference(gone), known = (uint32_t)FIELD_GET(v->was, KNOWN);
    say(v->finding->second, "peer %u deletes its entries %u..%u in term %u", v->id, from,
        word_entries(v->log_was), v->term);
    if (from <= known) {
        say(v->finding->first, "peer %u has known that all up to %u is committed", v->id, known);
        return broken(v->finding, "CM");
    }
    if (FIELD_GET(v->was, ROLE) == LEADER && FIELD_GET(v->is, ROLE) == LEADER &&
        v->term == v->term_was) {
        say(v->finding->first, "peer %u leads term %u, before and after", v->id, v->term);
        return broken(v->finding, "LA");
    }
    uint32_t lost = lost_committed(v, from);
    if (lost == 0) return true;
    say(v->finding->first, "entry %u of term %u has been committed, not later than in term %u",
        lost, word_term(v->log_was, lost), v->term);
    return broken(v->finding, "CM");
}

static bool own_facts(const struct view *v)
{
    if (v->term < v->term_was) {
        say(v->finding->first, "peer %u was in term %u", v->id, v->term_was);
        say(v->finding->second, "peer %u is in term %u", v->id, v->term);
        return broken(v->finding, "TM");
    }
    if (v->commit < v->commit_was) {
        say(v->finding->first, "commit_index of peer %u was %u", v->id, v->commit_was);
        say(v->finding->second, "commit_index of peer %u is %u", v->id, v->commit);
        return broken(v->finding, "CM");
    }
    return v->log_was == v->log || deletes(v);
}

static bool logs_match(const struct view *v)
{
    if (v->log == v->log_was) return true;
    for (uint32_t other = 1; other <= v->peers; other++) {
        uint64_t theirs = v->after->peer[other - 1] >> LOG_AT;
        uint32_t last = MIN_OF(word_entries(v->log), word_entries(theirs));
        uint64_t difference = (v->log ^ theirs) & word_mask(last);
        if (other == v->id || difference == 0) continue;
        uint32_t parted = first_difference(difference);
        for (uint32_t i = parted + 1; i <= last; i++) {
            if ((difference >> (4 * (i - 1)) & 15) != 0) continue;
            say(v->finding->first, "entry %u is of term %u at peer %u, of term %u at peer %u",
                parted, word_term(theirs, parted), other, word_term(v->log, parted), v->id);
            say(v->finding->second, "entry %u is of term %u at both", i, word_term(v->log, i));
            return broken(v->finding, "LM");
        }
    }
    return true;
}

/* ---- leaders ---- */

bool facts_lead(struct state *after, uint32_t id, uint32_t term, struct finding *finding)
{
    uint32_t known = leader_of(after, term);
    if (known == 0) after->leaders |= (uint64_t)id << (3 * (term - 1));
    if (known == 0 || known == id) return true;
    say(finding->first, "peer %u has become leader of term %u", known, term);
    say(finding->second, "peer %u becomes leader of term %u", id, term);
    return broken(finding, "ES");
}

static bool new_leader(const struct view *v)
{
    if (!facts_lead(v->after, v->id, v->term, v->finding)) return false;
    uint64_t committed = committed_log(v->before);
    for (uint32_t i = 1; i <= word_entries(committed); i++) {
        uint32_t since = word_term(v->before->commit_terms, i);
        if (since >= v->term || word_term(committed, i) == word_term(v->log, i)) continue;
        say(v->finding->first, "entry %u of term %u has been committed before term %u", i,
            word_term(committed, i), v->term);
        say(v->finding->second, "peer %u becomes leader of term %u; its entry %u is of term %u",
            v->id, v->term, i, word_term(v->log, i));
        return broken(v->finding, "LC");
    }
    return true;
}

static uint32_t field_match(uint64_t lead, uint32_t to)
{
    return (uint32_t)FIELD_GET(lead >> (FOLLOWERS_AT + FOLLOWER_BITS * (to - 1)), MATCH);
}

/* MI for one leader and one follower. */
static bool match_holds(const struct view *v, uint32_t leader, uint32_t follower)
{
    uint64_t ours = v->after->peer[leader - 1], theirs = v->after->peer[follower - 1];
    uint32_t match = field_match(v->after->lead[leader - 1], follower);
    if (match == 0 || FIELD_GET(ours, TERM) != FIELD_GET(theirs, TERM)) return true;
    uint64_t difference = (ours ^ theirs) >> LOG_AT & word_mask(match);
    if (difference == 0) return true;
    say(v->finding->first, "leader %u has match_index %u for peer %u", leader, match, follower);
    say(v->finding->second, "peer %u does not have its entry %u", follower,
        first_difference(difference));
    return broken(v->finding, "MI");
}

static bool matches_hold(const struct view *v)
{
    bool leads = FIELD_GET(v->is, ROLE) == LEADER;
    for (uint32_t other = 1; other <= v->peers; other++) {
        if (other == v->id) continue;
        if (leads && !match_holds(v, v->id, other)) return false;
        if (FIELD_GET(v->after->peer[other - 1], ROLE) == LEADER && !match_holds(v, other, v->id))
            return false;
        if (!leads || FIELD_GET(v->was, ROLE) != LEADER || v->term != v->term_was) continue;
        uint32_t had = field_match(v->before->lead[v->id - 1], other);
        uint32_t has = field_match(v->after->lead[v->id - 1], other);
        if (has >= had) continue;
        say(v->finding->first, "leader %u had match_index %u for peer %u", v->id, had, other);
        say(v->finding->second, "leader %u has match_index %u for peer %u", v->id, has, other);
        return broken(v->finding, "MI");
    }
    return true;
}

/* ---- commitment ---- */

static bool leader_commits(const struct view *v)
{
    uint32_t of = word_term(v->log, v->commit), have = 0;
    if (of != v->term) {
        say(v->finding->first, "peer %u leads term %u", v->id, v->term);
        say(v->finding->second, "peer %u commits up to entry %u, which is of term %u", v->id,
            v->commit, of);
        return broken(v->finding, "CQ");
    }
    for (uint32_t i = 0; i < v->peers; i++)
        if (word_term(v->after->peer[i] >> LOG_AT, v->commit) == of) have++;
    if (have > v->peers / 2) return true;
    say(v->finding->first, "entry %u of term %u is on %u of %u disks", v->commit, of, have,
        v->peers);
    say(v->finding->second, "peer %u, leader of term %u, commits it", v->id, v->term);
    return broken(v->finding, "CQ");
}

/* SM; and the committed log grows. */
static bool commits(const struct view *v)
{
    struct state *after = v->after;
    for (uint32_t i = 1; i <= v->commit; i++) {
        uint32_t here = word_term(v->log, i), known = word_term(committed_log(after), i);
        uint32_t since = word_term(after->commit_terms, i), shift = 4 * (i - 1);
        if (known != 0 && known != here) {
            say(v->finding->first, "entry %u of term %u has been committed", i, known);
            say(v->finding->second, "peer %u commits and applies entry %u of term %u", v->id, i,
                here);
            return broken(v->finding, "SM");
        }
        after->committed |= (uint64_t)here << shift;
        if (known != 0 && since <= v->term) continue;
        after->commit_terms &= ~((uint64_t)15 << shift);
        after->commit_terms |= (uint64_t)v->term << shift;
    }
    return true;
}

/* Forget what nothing can contradict any more: nobody leads a term again that is over for all. */
static void forget(const struct view *v)
{
    uint32_t lowest = STATE_TERMS;
    for (uint32_t i = 0; i < v->peers; i++)
        lowest = MIN_OF(lowest, (uint32_t)FIELD_GET(v->after->peer[i], TERM));
    if (lowest > 0) v->after->leaders &= ~(uint64_t)0 << (3 * (lowest - 1));
    for (uint32_t i = 1; i <= STATE_ENTRIES; i++)
        if (word_term(v->after->commit_terms, i) < lowest)
            v->after->commit_terms &= ~((uint64_t)15 << (4 * (i - 1)));
}

bool facts_turn(const struct state *before, struct state *after, uint32_t peers, uint32_t id,
                struct finding *finding)
{
    uint64_t was = before->peer[id - 1], is = after->peer[id - 1];
    struct view v = { .before = before,
                      .after = after,
                      .peers = peers,
                      .id = id,
                      .was = was,
                      .is = is,
                      .log_was = was >> LOG_AT,
                      .log = is >> LOG_AT,
                      .term_was = (uint32_t)FIELD_GET(was, TERM),
                      .term = (uint32_t)FIELD_GET(is, TERM),
                      .commit_was = (uint32_t)FIELD_GET(was, COMMIT),
                      .commit = (uint32_t)FIELD_GET(is, COMMIT),
                      .finding = finding };
    bool leads = FIELD_GET(is, ROLE) == LEADER;
    if (!own_facts(&v) || !logs_match(&v)) return false;
    if (leads && (FIELD_GET(was, ROLE) != LEADER || v.term != v.term_was) && !new_leader(&v))
        return false;
    if (v.commit > v.commit_was) {
        if (leads && !leader_commits(&v)) return false;
        if (!commits(&v)) return false;
        if (v.commit > FIELD_GET(is, KNOWN))
            after->peer[id - 1] = FIELD_CLEAR(is, KNOWN) | FIELD_PUT(KNOWN, v.commit);
    }
    if (!matches_hold(&v)) return false;
    if (v.term != v.term_was || v.commit != v.commit_was) forget(&v);
    return true;
}
