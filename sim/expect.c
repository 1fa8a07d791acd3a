/* sim/expect.c - see sim/expect.h; the meanings are those of EXPECT_LIST in fault/plan.h. */
#include "sim/expect.h"

#include <stdarg.h>
#include <stdio.h>

static bool is_majority(const struct expect_view *view, peer_set set)
{
    return peer_count(set) > view->peers / 2;
}

static bool leads(const struct expect_view *view, uint32_t id)
{
    return peer_in(view->live, id) && view->peer[id].role == LEADER;
}

/* The live leader of the highest term that a leader has; 0: none. */
static uint32_t newest_leader(const struct expect_view *view, peer_set among)
{
    uint32_t newest = 0;
    for (uint32_t id = 1; id <= view->peers; id++)
        if (peer_in(among, id) && leads(view, id) &&
            (newest == 0 || view->peer[id].term > view->peer[newest].term))
            newest = id;
    return newest;
}

static peer_set followers_of(const struct expect_view *view, uint32_t leader)
{
    peer_set set = peer_bit(leader);
    for (uint32_t id = 1; id <= view->peers; id++)
        if (peer_in(view->reaches[leader], id) && view->peer[id].leader == leader &&
            view->peer[id].term == view->peer[leader].term)
            set |= peer_bit(id);
    return set;
}

/* One that is waited for is judged again and again, and only the last time somebody reads. */
__attribute__((format(printf, 3, 4))) static void tell(char *seen, size_t size, const char *format,
                                                       ...)
{
    va_list arguments;
    if (size == 0) return;
    va_start(arguments, format);
    vsnprintf(seen, size, format, arguments);
    va_end(arguments);
}

/* "3 follower t5" and how many see it so: "no leader: 1 candidate t5, 3 follower t5, 1 dead". */
static void describe_roles(const struct expect_view *view, const char *what, char *seen,
                           size_t size)
{
    struct out out = { seen, size, 0 };
    peer_set told = 0;
    if (size == 0) return;
    out_add(&out, "%s:", what);
    for (uint32_t id = 1; id <= view->peers; id++) {
        const struct expect_peer *peer = &view->peer[id];
        uint32_t alike = 0;
        bool first = told == 0;
        if (!peer_in(view->live, id) || peer_in(told, id)) continue;
        for (uint32_t other = id; other <= view->peers; other++) {
            const struct expect_peer *theirs = &view->peer[other];
            if (!peer_in(view->live, other)) continue;
            if (theirs->role != peer->role || theirs->term != peer->term) continue;
            told |= peer_bit(other);
            alike++;
        }
        out_add(&out, "%s %u %s t%llu", first ? "" : ",", alike, role_name((uint32_t)peer->role),
                (unsigned long long)peer->term);
    }
    bool more = told != 0;
    if (view->starting != 0)
        out_add(&out, "%s %u starting", more ? "," : "", peer_count(view->starting));
    more |= view->starting != 0;
    uint32_t rest = view->peers - peer_count(view->live | view->starting);
    if (rest > 0) out_add(&out, "%s %u dead or paused", more ? "," : "", rest);
}

static bool one_leader_followed(const struct expect_view *view, char *seen, size_t size)
{
    char what[96];
    uint32_t leader = newest_leader(view, view->live);
    if (leader == 0) {
        describe_roles(view, "no leader", seen, size);
        return false;
    }
    peer_set followers = followers_of(view, leader);
    if (is_majority(view, followers)) return true;
    snprintf(what, sizeof(what), "peer %u leads term %llu, but %u of %u follow it", leader,
             (unsigned long long)view->peer[leader].term, peer_count(followers), view->peers);
    describe_roles(view, what, seen, size);
    return false;
}

/* Peers that can reach a majority, themselves included. */
static peer_set connected(const struct expect_view *view)
{
    peer_set set = 0;
    for (uint32_t id = 1; id <= view->peers; id++)
        if (is_majority(view, view->reaches[id])) set |= peer_bit(id);
    return set;
}

static bool one_leader(const struct expect_view *view, char *seen, size_t size)
{
    char what[96];
    uint64_t highest = 0;
    peer_set among = connected(view);
    uint32_t leader = newest_leader(view, among);
    for (uint32_t id = 1; id <= view->peers; id++) {
        if (!peer_in(among, id)) continue;
        highest = MAX_OF(highest, view->peer[id].term);
        for (uint32_t other = id + 1; leads(view, id) && other <= view->peers; other++) {
            if (!peer_in(among, other) || !leads(view, other)) continue;
            if (view->peer[other].term != view->peer[id].term) continue;
            tell(seen, size, "two leaders of term %llu: %u and %u",
                 (unsigned long long)view->peer[id].term, id, other);
            return false;
        }
    }
    if (leader != 0 && view->peer[leader].term == highest) return true;
    snprintf(what, sizeof(what), "nobody leads term %llu", (unsigned long long)highest);
    describe_roles(view, among == 0 ? "nobody reaches a majority" : what, seen, size);
    return false;
}

static bool no_leader(const struct expect_view *view, char *seen, size_t size)
{
    uint32_t leader = newest_leader(view, connected(view));
    if (leader == 0) return true;
    tell(seen, size, "peer %u believes to lead term %llu and reaches a majority", leader,
         (unsigned long long)view->peer[leader].term);
    return false;
}

static void describe_logs(const struct expect_view *view, char *seen, size_t size)
{
    struct out out = { seen, size, 0 };
    if (size == 0) return;
    for (uint32_t id = 1; id <= view->peers; id++) {
        const struct expect_peer *peer = &view->peer[id];
        if (!peer_in(view->live, id)) continue;
        out_add(&out, "%speer %u ends at %llu t%llu, applied %llu, state %04llx",
                out.length > 0 ? "; " : "", id, (unsigned long long)peer->last_index,
                (unsigned long long)peer->last_term, (unsigned long long)peer->last_applied,
                (unsigned long long)(peer->state_hash & 0xffff));
    }
    if (view->starting != 0) out_add(&out, "; %u are starting", peer_count(view->starting));
    if (view->live == 0) out_add(&out, "no peer is live");
}

static bool logs_equal(const struct expect_view *view, char *seen, size_t size)
{
    const struct expect_peer *first = NULL;
    bool equal = view->live != 0 && view->starting == 0;
    for (uint32_t id = 1; id <= view->peers; id++) {
        const struct expect_peer *peer = &view->peer[id];
        if (!peer_in(view->live, id)) continue;
        if (first == NULL) first = peer;
        if (peer->last_index != first->last_index) equal = false;
        if (peer->last_term != first->last_term) equal = false;
        if (peer->last_applied != peer->last_index) equal = false;
        if (peer->state_hash != first->state_hash) equal = false;
    }
    if (!equal) describe_logs(view, seen, size);
    return equal;
}

static bool committed(const struct expect_view *view, uint64_t wanted, char *seen, size_t size)
{
    uint64_t highest = 0;
    for (uint32_t id = 1; id <= view->peers; id++)
        if (peer_in(view->live, id)) highest = MAX_OF(highest, view->peer[id].commit_index);
    tell(seen, size, "the highest commit index is %llu", (unsigned long long)highest);
    return highest >= wanted;
}

bool expect_holds(const struct expect_view *view, const struct step *step, uint64_t rpcs,
                  char *seen, size_t size)
{
    switch (step->expect) {
    case EXPECT_LEADER: return one_leader_followed(view, seen, size);
    case EXPECT_ONE_LEADER: return one_leader(view, seen, size);
    case EXPECT_NO_LEADER: return no_leader(view, seen, size);
    case EXPECT_LOGS_EQUAL: return logs_equal(view, seen, size);
    case EXPECT_COMMIT: return committed(view, step->number, seen, size);
    case EXPECT_RPCS:
        tell(seen, size, "%llu RPCs", (unsigned long long)(view->rpcs - rpcs));
        return view->rpcs - rpcs < step->number;
    default: check_failed(__FILE__, __LINE__, "value and linearizable are asked for elsewhere");
    }
}
