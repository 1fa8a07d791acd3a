/* ctl/expect.c - see ctl/expect.h; the meanings are those of EXPECT_LIST in fault/plan.h. */
#include "ctl/expect.h"

#include <stdio.h>
#include <string.h>

/* ---- looking ---- */

static bool is_cut(const struct cluster *cluster, uint32_t a, uint32_t b)
{
    return cluster->links.rule[a][b].cut != 0 || cluster->links.rule[b][a].cut != 0;
}

void expect_look(const struct cluster *cluster, struct expect_view *view)
{
    memset(view, 0, sizeof(*view));
    view->peers = cluster->config.peers;
    for (uint32_t id = 1; id <= view->peers; id++) {
        if (!cluster_alive(cluster, id) || cluster->children[id].paused) continue;
        struct board *board = &view->boards[id];
        bool published = cluster_board(cluster, id, board);
        published &= board->published_ns >= cluster->children[id].started_ns;
        if (published) view->live |= peer_bit(id);
        else view->starting |= peer_bit(id);
    }
    for (uint32_t a = 1; a <= view->peers; a++)
        for (uint32_t b = 1; b <= view->peers; b++) {
            if (a != b)
                view->rpcs += atomic_load_explicit(&region_link(cluster->region, a, b)->requests,
                                                   memory_order_relaxed);
            if (!peer_in(view->live, a) || !peer_in(view->live, b)) continue;
            if (a == b || !is_cut(cluster, a, b)) view->reaches[a] |= peer_bit(b);
        }
}

/* ---- judging ---- */

static bool is_majority(const struct expect_view *view, peer_set set)
{
    return peer_count(set) > view->peers / 2;
}

static bool leads(const struct expect_view *view, uint32_t id)
{
    return peer_in(view->live, id) && view->boards[id].role == LEADER;
}

/* The live leader of the highest term that a leader has; 0: none. */
static uint32_t newest_leader(const struct expect_view *view, peer_set among)
{
    uint32_t newest = 0;
    for (uint32_t id = 1; id <= view->peers; id++)
        if (peer_in(among, id) && leads(view, id) &&
            (newest == 0 || view->boards[id].term > view->boards[newest].term))
            newest = id;
    return newest;
}

static peer_set followers_of(const struct expect_view *view, uint32_t leader)
{
    peer_set set = peer_bit(leader);
    for (uint32_t id = 1; id <= view->peers; id++)
        if (peer_in(view->reaches[leader], id) && view->boards[id].leader == leader &&
            view->boards[id].term == view->boards[leader].term)
            set |= peer_bit(id);
    return set;
}

/* "3 follower t5" and how many see it so: "no leader: 1 candidate t5, 3 follower t5, 1 dead". */
static void describe_roles(const struct expect_view *view, const char *what, char *seen,
                           size_t size)
{
    struct out out = { seen, size, 0 };
    peer_set told = 0;
    out_add(&out, "%s:", what);
    for (uint32_t id = 1; id <= view->peers; id++) {
        const struct board *board = &view->boards[id];
        uint32_t alike = 0;
        if (!peer_in(view->live, id) || peer_in(told, id)) continue;
        for (uint32_t other = id; other <= view->peers; other++) {
            const struct board *theirs = &view->boards[other];
            if (!peer_in(view->live, other)) continue;
            if (theirs->role != board->role || theirs->term != board->term) continue;
            told |= peer_bit(other);
            alike++;
        }
        out_add(&out, "%s %u %s t%llu", told == peer_bit(id) ? "" : ",", alike,
                role_name((uint32_t)board->role), (unsigned long long)board->term);
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
             (unsigned long long)view->boards[leader].term, peer_count(followers), view->peers);
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
        highest = MAX_OF(highest, view->boards[id].term);
        for (uint32_t other = id + 1; leads(view, id) && other <= view->peers; other++) {
            if (!peer_in(among, other) || !leads(view, other)) continue;
            if (view->boards[other].term != view->boards[id].term) continue;
            snprintf(seen, size, "two leaders of term %llu: %u and %u",
                     (unsigned long long)view->boards[id].term, id, other);
            return false;
        }
    }
    if (leader != 0 && view->boards[leader].term == highest) return true;
    snprintf(what, sizeof(what), "nobody leads term %llu", (unsigned long long)highest);
    describe_roles(view, among == 0 ? "nobody reaches a majority" : what, seen, size);
    return false;
}

static bool no_leader(const struct expect_view *view, char *seen, size_t size)
{
    uint32_t leader = newest_leader(view, connected(view));
    if (leader == 0) return true;
    snprintf(seen, size, "peer %u believes to lead term %llu and reaches a majority", leader,
             (unsigned long long)view->boards[leader].term);
    return false;
}

static void describe_logs(const struct expect_view *view, char *seen, size_t size)
{
    struct out out = { seen, size, 0 };
    for (uint32_t id = 1; id <= view->peers; id++) {
        const struct board *board = &view->boards[id];
        if (!peer_in(view->live, id)) continue;
        out_add(&out, "%speer %u ends at %llu t%llu, applied %llu, state %04llx",
                out.length > 0 ? "; " : "", id, (unsigned long long)board->last_index,
                (unsigned long long)board->last_term, (unsigned long long)board->last_applied,
                (unsigned long long)(board->state_hash & 0xffff));
    }
    if (view->starting != 0) out_add(&out, "; %u are starting", peer_count(view->starting));
    if (view->live == 0) out_add(&out, "no peer is live");
}

static bool logs_equal(const struct expect_view *view, char *seen, size_t size)
{
    const struct board *first = NULL;
    bool equal = view->live != 0 && view->starting == 0;
    for (uint32_t id = 1; id <= view->peers; id++) {
        const struct board *board = &view->boards[id];
        if (!peer_in(view->live, id)) continue;
        if (first == NULL) first = board;
        if (board->last_index != first->last_index) equal = false;
        if (board->last_term != first->last_term) equal = false;
        if (board->last_applied != board->last_index) equal = false;
        if (board->state_hash != first->state_hash) equal = false;
    }
    if (!equal) describe_logs(view, seen, size);
    return equal;
}

static bool committed(const struct expect_view *view, uint64_t wanted, char *seen, size_t size)
{
    uint64_t highest = 0;
    for (uint32_t id = 1; id <= view->peers; id++)
        if (peer_in(view->live, id)) highest = MAX_OF(highest, view->boards[id].commit_index);
    snprintf(seen, size, "the highest commit index is %llu", (unsigned long long)highest);
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
        snprintf(seen, size, "%llu RPCs", (unsigned long long)(view->rpcs - rpcs));
        return view->rpcs - rpcs < step->number;
    default: check_failed(__FILE__, __LINE__, "value and linearizable are asked for elsewhere");
    }
}
