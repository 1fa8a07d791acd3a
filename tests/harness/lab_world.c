/* tests/harness/lab_world.c - the lab's verbs as calls to a world; a question is a packet. */
#include "tests/harness/lab_world.h"

#include "sim/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the lab leaves open is drawn for each seed: how late turns begin, how long a commit takes,
 * how wrong clocks are. */
enum { LAG_MIN_US = 50, LAG_MAX_US = 500, DISK_MAX_US = 2000, SKEW_PPM = PPM / 100 };
static const uint64_t ANSWER_NS = 2 * NS_PER_S;

static struct lab_world *of(struct lab *lab)
{
    return lab->cluster;
}

/* ---- time ---- */

/* (S2) what has been found while time passed. */
static void judge(struct lab_world *it)
{
    const struct ledger *ledger = &it->world.ledger;
    if (it->wrong[0] != '\0') lab_fail(&it->lab, "%s", it->wrong);
    if (ledger->broken != NULL) lab_fail(&it->lab, "%s: %s", ledger->broken, ledger->text);
}

static uint64_t now(struct lab *lab)
{
    return of(lab)->world.now_ns;
}

static void pass(struct lab *lab, uint64_t ns)
{
    struct world *world = &of(lab)->world;
    world_run(world, world->now_ns + ns);
    judge(of(lab));
}

/* ---- links and lives ---- */

/* The rule that a link between these two has to have. */
static void set_links(struct lab *lab)
{
    struct network *network = &of(lab)->world.network;
    for (uint32_t a = 0; a < lab->servers; a++)
        for (uint32_t b = 0; b < lab->servers; b++) {
            if (a == b) continue;
            struct link_rule *rule = network_rule(network, a + 1, b + 1);
            rule->cut = !lab->connected[a] || !lab->connected[b];
            rule->course = lab->course;
        }
}

static void set_links_of(struct lab *lab, uint32_t server)
{
    UNUSED(server);
    set_links(lab);
}

static void kill_server(struct lab *lab, uint32_t server)
{
    world_crash(&of(lab)->world, server + 1);
}

static void restart(struct lab *lab, uint32_t server)
{
    world_restart(&of(lab)->world, server + 1);
}

/* ---- questions ---- */

/* Nobody here may leap: it is called from the middle of a world. */
static void take(void *guest, const struct packet *packet)
{
    struct lab_world *it = guest;
    const struct frame *frame = &packet->frame;
    uint64_t place = frame->client.request - it->first_request;
    if (place >= it->asked) return;
    it->answered++;
    if (frame->kind == MESSAGE_START_REPLY && it->results != NULL) {
        it->results[place] = (struct started){ (long long)frame->client.index,
                                               (long long)frame->term, frame->flag != 0 };
        return;
    }
    ledger_applied(&it->world.ledger, frame->client.index, packet->entries, frame->count);
    for (uint32_t i = 0; i < frame->count && it->wrong[0] == '\0'; i++) {
        const struct entry *told = &packet->entries[i];
        char *text = strndup((const char *)told->data, told->bytes);
        CHECK(text != NULL);
        struct lab_entry entry = { frame->client.index + i, told->term,
                                   told->kind == ENTRY_OPAQUE ? "start" : "other", text };
        const char *wrong = lab_learn(&it->lab, frame->from - 1u, &entry);
        if (wrong != NULL) snprintf(it->wrong, sizeof(it->wrong), "%s", wrong);
        free(text);
        it->news = true;
    }
}

static void begin_questions(struct lab_world *it, struct started *results)
{
    it->first_request += it->asked;
    it->asked = it->answered = 0;
    it->results = results;
    it->news = false;
}

/* Client `client` asks; the answer is awaited later. */
static void ask(struct lab_world *it, uint32_t client, uint32_t server, uint32_t place,
                struct packet *packet)
{
    packet->frame.from = (uint8_t)(it->lab.servers + 1 + client);
    packet->frame.to = (uint8_t)(server + 1);
    packet->frame.client.request = it->first_request + place;
    it->asked++;
    world_send(&it->world, packet);
}

static void await_answers(struct lab_world *it)
{
    struct world *world = &it->world;
    uint64_t end_ns = world->now_ns + ANSWER_NS;
    while (it->answered < it->asked) {
        uint64_t next_ns = world_next_ns(world);
        if (next_ns > end_ns) lab_fail(&it->lab, "a server does not answer");
        world_run(world, next_ns);
        judge(it);
    }
}

static void start(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                  bool at_once, struct started *results)
{
    struct lab_world *it = of(lab);
    uint32_t order[LAB_CLIENTS];
    begin_questions(it, results);
    for (uint32_t i = 0; at_once && i < count; i++) { /* whose comes first is a matter of chance */
        CHECK(count <= LAB_CLIENTS);
        uint32_t other = (uint32_t)rng_range(&lab->rng, 0, i);
        order[i] = order[other];
        order[other] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = at_once ? order[i] : i;
        struct packet packet = {
            .frame = { .kind = MESSAGE_START_REQUEST,
                       .body_bytes = (uint32_t)strlen(commands[place]) },
            .body = (const uint8_t *)commands[place],
        };
        ask(it, at_once ? place : 0, server, place, &packet);
    }
    await_answers(it);
}

static bool state(struct lab *lab, uint32_t server, long long *term)
{
    const struct peer *peer = world_peer(&of(lab)->world, server + 1);
    if (peer == NULL) lab_fail(lab, "server %u is dead", server);
    *term = (long long)peer->raft.current_term;
    return peer->raft.role == LEADER;
}

/* Whoever has nothing new need not be asked. */
static void look(struct lab *lab)
{
    struct lab_world *it = of(lab);
    do {
        begin_questions(it, NULL);
        for (uint32_t server = 0; server < lab->servers; server++) {
            const struct peer *peer = world_peer(&it->world, server + 1);
            if (peer == NULL || peer->raft.last_applied <= lab->applied[server]) continue;
            struct packet packet = {
                .frame = { .kind = MESSAGE_APPLIED_QUERY,
                           .client = { .index = lab->applied[server] + 1 } },
            };
            ask(it, 0, server, (uint32_t)it->asked, &packet);
        }
        await_answers(it);
    } while (it->news);
}

/* ---- counters ---- */

static long long rpcs(struct lab *lab)
{
    return (long long)of(lab)->world.tally[TALLY_REQUESTS];
}

static long long bytes(struct lab *lab)
{
    uint64_t sum = 0;
    for (uint32_t from = 1; from <= lab->servers; from++)
        for (uint32_t to = 1; to <= lab->servers; to++)
            sum += network_sent_bytes(&of(lab)->world.network, from, to);
    return (long long)sum;
}

static const char *unsafe(struct lab *lab)
{
    judge(of(lab));
    return NULL;
}

static const struct lab_backend backend = { .now = now,
                                            .sleep = pass,
                                            .disconnect = set_links_of,
                                            .connect = set_links_of,
                                            .kill = kill_server,
                                            .restart = restart,
                                            .faults = set_links,
                                            .start = start,
                                            .state = state,
                                            .look = look,
                                            .rpcs = rpcs,
                                            .bytes = bytes,
                                            .unsafe = unsafe };

/* ---- one test ---- */

static struct lab *running; /* for who catches a failed CHECK */

static void caught(const char *file, int line, const char *condition)
{
    check_catch(NULL); /* the next one is about the simulator */
    lab_fail(running, "%s:%d: CHECK failed: %s", file, line, condition);
}

static void open_world(struct lab_world *it, const struct lab_test *test, uint64_t seed,
                       const struct bug *bug)
{
    struct world *world = &it->world;
    struct peer_config config = { 0 };
    struct rng rng;
    rng_seed(&rng, seed, 6, 0);
    runner_timing(preset_find("lab"), test->servers, &config);
    world_open(world, &config, LAB_CLIENTS, SKEW_PPM, seed);
    world->bug = bug;
    world->lag_ns = rng_range(&rng, LAG_MIN_US, LAG_MAX_US) * NS_PER_US;
    world->guests = (struct world_guests){ .due_ns = TIME_NEVER, .take = take, .state = it };
    bool slow = rng_chance(&rng, PPM / 2);
    for (uint32_t id = 1; id <= world->peers && slow; id++)
        world_slow_disk(world, id, rng_range(&rng, 0, DISK_MAX_US) * NS_PER_US);
    world_start(world);
}

void lab_world_run(struct lab_world *it, const struct lab_test *test, uint64_t seed,
                   const struct bug *bug)
{
    memset(it, 0, sizeof(*it));
    lab_open(&it->lab, test, &backend, seed);
    it->lab.cluster = it;
    open_world(it, test, seed, bug);
    running = &it->lab;
    check_catch(caught);
    it->failure = lab_run(&it->lab, test);
    check_catch(NULL);
}

void lab_world_close(struct lab_world *it)
{
    world_close(&it->world);
    lab_close(&it->lab);
}
