/* ctl/status.c - boards, lives, links and facts as one JSON object. */
#include "ctl/status.h"

#include "sim/bug.h"

#include <unistd.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *peer_set_json(peer_set set)
{
    json_t *array = json_array();
    for (uint32_t id = 1; id <= PEER_MAX; id++)
        if (peer_in(set, id)) json_array_append_new(array, number(id));
    return array;
}

/* {"2": 7, "3": 9}: next_index or match_index by follower; empty unless it leads. */
static json_t *followers_json(const struct cluster *cluster, const struct board *board,
                              uint32_t self, bool next)
{
    json_t *object = json_object();
    for (uint32_t id = 1; id <= cluster->config.peers && board->role == LEADER; id++) {
        char key[8];
        if (id == self) continue;
        snprintf(key, sizeof(key), "%u", id);
        const struct board_follower *follower = &board->followers[id];
        json_object_set_new(object, key,
                            number(next ? follower->next_index : follower->match_index));
    }
    return object;
}

static json_t *peer_json(const struct cluster *cluster, uint32_t id, uint64_t now_ns)
{
    struct board board = { 0 };
    const struct child *child = &cluster->children[id];
    cluster_board(cluster, id, &board);
    json_t *peer = json_object();
    json_object_set_new(peer, "id", number(id));
    json_object_set_new(peer, "pid", number((uint64_t)child->pid));
    json_object_set_new(peer, "alive", json_boolean(child->pid != 0));
    json_object_set_new(peer, "paused", json_boolean(child->paused));
    json_object_set_new(peer, "role", json_string(role_name((uint32_t)board.role)));
    json_object_set_new(peer, "term", number(board.term));
    json_object_set_new(peer, "voted_for", number(board.voted_for));
    json_object_set_new(peer, "leader", number(board.leader));
    json_object_set_new(peer, "votes", peer_set_json(board.votes));
    json_object_set_new(peer, "last_index", number(board.last_index));
    json_object_set_new(peer, "last_term", number(board.last_term));
    json_object_set_new(peer, "commit_index", number(board.commit_index));
    json_object_set_new(peer, "last_applied", number(board.last_applied));
    json_object_set_new(peer, "durable_index", number(board.durable_index));
    bool timer = child->pid != 0 && board.timer_deadline_ns != TIME_NEVER &&
                 board.timer_deadline_ns > now_ns;
    double left = timer ? (double)(board.timer_deadline_ns - now_ns) / 1e6 : 0;
    bool leads = board.timer_deadline_ns == TIME_NEVER;
    json_object_set_new(peer, "election_in_ms", leads ? json_null() : json_real(left));
    json_object_set_new(peer, "next_index", followers_json(cluster, &board, id, true));
    json_object_set_new(peer, "match_index", followers_json(cluster, &board, id, false));
    json_object_set_new(peer, "life", number(board.life));
    json_object_set_new(peer, "disk_errno", number(board.disk_errno));
    json_object_set_new(peer, "held", number(board.held));
    uint64_t real_ns = real_now_ns();
    double age = board.published_ns != 0 && real_ns > board.published_ns
                     ? (double)(real_ns - board.published_ns) / 1e6
                     : 0;
    json_object_set_new(peer, "age_ms", json_real(age));
    return peer;
}

static uint64_t load_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static json_t *link_json(const struct cluster *cluster, uint32_t from, uint32_t to)
{
    static const char *const courses[COURSE_COUNT] = { "off", "on", "long" };
    const struct link_rule *rule = &cluster->links.rule[from][to];
    const struct link_counts *counts = region_link(cluster->region, from, to);
    struct ring ring = region_ring(cluster->region, from, to);
    json_t *link = json_object();
    json_object_set_new(link, "from", number(from));
    json_object_set_new(link, "to", number(to));
    json_object_set_new(link, "loss", json_real((double)rule->loss_ppm / PPM));
    json_object_set_new(
        link, "delay_ms",
        json_pack("[f,f]", (double)rule->delay_min_ns / 1e6, (double)rule->delay_max_ns / 1e6));
    json_object_set_new(link, "dup", json_real((double)rule->dup_ppm / PPM));
    json_object_set_new(link, "reorder", json_real((double)rule->reorder_ppm / PPM));
    json_object_set_new(link, "corrupt", json_real((double)rule->corrupt_ppm / PPM));
    json_object_set_new(link, "unreliable", json_string(courses[rule->course % COURSE_COUNT]));
    json_object_set_new(link, "cut", json_boolean(rule->cut != 0));
    json_object_set_new(link, "sent", number(load_counter(&ring.producer->sent)));
    json_object_set_new(link, "sent_bytes", number(load_counter(&ring.producer->bytes)));
    json_object_set_new(link, "delivered", number(load_counter(&counts->delivered)));
    json_object_set_new(link, "requests", number(load_counter(&counts->requests)));
    uint64_t dropped = load_counter(&ring.producer->refused) + load_counter(&counts->lost) +
                       load_counter(&counts->cut) + load_counter(&counts->corrupted);
    json_object_set_new(link, "dropped", number(dropped));
    json_object_set_new(link, "dropped_full", number(load_counter(&ring.producer->refused)));
    json_object_set_new(link, "dropped_loss", number(load_counter(&counts->lost)));
    json_object_set_new(link, "dropped_cut", number(load_counter(&counts->cut)));
    json_object_set_new(link, "dropped_corrupt", number(load_counter(&counts->corrupted)));
    json_object_set_new(link, "duplicated", number(load_counter(&counts->duplicated)));
    json_object_set_new(link, "delayed", number(load_counter(&counts->delayed)));
    uint64_t taken = load_counter(&ring.consumer->taken), sent = load_counter(&ring.producer->sent);
    uint64_t in_ring = ring_depth(&ring) > 0 && sent > taken ? sent - taken : 0;
    json_object_set_new(link, "queued", number(in_ring + load_counter(&counts->held)));
    return link;
}

/* null while all is well */
static json_t *violation_json(const struct supervisor *supervisor)
{
    if (!supervisor->violated) return json_null();
    return json_pack("{s:s,s:s}", "invariant", supervisor->violation.invariant, "text",
                     supervisor->violation.text);
}

json_t *status_json(const struct supervisor *supervisor)
{
    char region[64];
    const struct cluster *cluster = supervisor->cluster;
    struct clock_face face = { 0 };
    uint64_t now_ns = cluster_now_ns(cluster);
    clock_read(region_clock(cluster->region), &face);
    json_t *status = json_object(), *peers = json_array(), *links = json_array();
    for (uint32_t id = 1; id <= cluster->config.peers; id++)
        json_array_append_new(peers, peer_json(cluster, id, now_ns));
    for (uint32_t from = 1; from <= cluster->config.peers; from++)
        for (uint32_t to = 1; to <= cluster->config.peers; to++)
            if (from != to) json_array_append_new(links, link_json(cluster, from, to));
    snprintf(region, sizeof(region), "/proc/%d/fd/%d", (int)getpid(), region_fd(cluster->region));
    json_object_set_new(status, "name", json_string(cluster->config.name));
    json_object_set_new(status, "pid", number((uint64_t)getpid()));
    json_object_set_new(status, "region", json_string(region));
    json_object_set_new(status, "preset", json_string(cluster->config.preset->name));
    json_object_set_new(status, "seed", number(cluster->config.seed));
    json_object_set_new(status, "data",
                        cluster->config.data ? json_string(cluster->config.data) : json_null());
    const struct bug *bug = cluster->config.bug;
    json_object_set_new(status, "bug", bug != NULL ? json_string(bug->name) : json_null());
    json_object_set_new(status, "peers", peers);
    json_object_set_new(status, "clock",
                        json_pack("{s:f,s:f}", "rate", (double)face.rate_ppm / PPM, "now_ms",
                                  (double)now_ns / 1e6));
    json_object_set_new(status, "links", links);
    json_object_set_new(status, "safe", json_boolean(!supervisor->violated));
    json_object_set_new(status, "violation", violation_json(supervisor));
    json_object_set_new(status, "notes_checked", number(cluster->facts.checked));
    json_object_set_new(status, "notes_missed", number(cluster->facts.missed));
    return status;
}

static long long integer(json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

void status_print(json_t *status, FILE *file)
{
    size_t index;
    json_t *peer, *violation = json_object_get(status, "violation");
    const char *bug = json_string_value(json_object_get(status, "bug"));
    fprintf(file, "%s: %s%s%s, clock %gx, supervisor pid %lld\n",
            json_string_value(json_object_get(status, "name")),
            json_is_true(json_object_get(status, "safe")) ? "safe" : "SAFETY BROKEN",
            bug != NULL ? ", with the bug " : "", bug != NULL ? bug : "",
            json_number_value(json_object_get(json_object_get(status, "clock"), "rate")),
            integer(status, "pid"));
    if (json_is_object(violation))
        fprintf(file, "%s: %s\n", json_string_value(json_object_get(violation, "invariant")),
                json_string_value(json_object_get(violation, "text")));
    fprintf(file, "peer  pid      state      term  vote  leader  last  durable  commit  applied\n");
    json_array_foreach (json_object_get(status, "peers"), index, peer) {
        const char *state = json_string_value(json_object_get(peer, "role"));
        if (json_is_true(json_object_get(peer, "paused"))) state = "paused";
        if (!json_is_true(json_object_get(peer, "alive"))) state = "dead";
        fprintf(file, "%-5lld %-8lld %-10s %-5lld %-5lld %-7lld %-5lld %-8lld %-7lld %lld\n",
                integer(peer, "id"), integer(peer, "pid"), state, integer(peer, "term"),
                integer(peer, "voted_for"), integer(peer, "leader"), integer(peer, "last_index"),
                integer(peer, "durable_index"), integer(peer, "commit_index"),
                integer(peer, "last_applied"));
    }
}
