/* sim/swarm.c - one draw after the other, each as a line of the plan. */
#include "sim/swarm.h"

#include "base/rng.h"
#include "fault/line.h"
#include <stdarg.h>
#include <stdio.h>

/* What may be done, and how often beside the others where a seed has it at all. */
#define DEED_LIST(X)                                                                               \
    X(KILL, 6)                                                                                     \
    X(KILL_AT, 6)                                                                                  \
    X(POWER_CUT, 1)                                                                                \
    X(PAUSE, 5)                                                                                    \
    X(PARTITION, 6)                                                                                \
    X(ISOLATE, 5)                                                                                  \
    X(CUT, 6)                                                                                      \
    X(LINKS, 4)                                                                                    \
    X(TIMEOUT, 5)                                                                                  \
    X(SLOW_DISK, 3)                                                                                \
    X(FAIL_DISK, 2)                                                                                \
    X(SKEW, 1)                                                                                     \
    X(RESTART, 8)                                                                                  \
    X(RESUME, 5)                                                                                   \
    X(MEND, 3)                                                                                     \
    X(HEAL, 5)
#define DEED_ENUM(name, weight) DEED_##name,
enum deed { DEED_LIST(DEED_ENUM) DEED_COUNT };
#define DEED_WEIGHT(name, weight) weight,
static const uint32_t weights[] = { DEED_LIST(DEED_WEIGHT) };

struct swarm {
    struct rng rng;
    FILE *file;
    uint32_t peers;
    uint32_t weight[DEED_COUNT]; /* 0: this seed has none of it */
    uint64_t at_ms, end_ms, gap_ms, stable_ms;
    bool by_priority;
    /* the network where nothing is done to it */
    uint32_t loss, dup, reorder, corrupt; /* percent */
    uint32_t delay_ms;
};

static uint32_t draw(struct swarm *swarm, uint32_t low, uint32_t high)
{
    return (uint32_t)rng_range(&swarm->rng, low, high);
}

static bool chance(struct swarm *swarm, uint32_t percent)
{
    return draw(swarm, 1, 100) <= percent;
}

/* ---- whom ---- */

/* Words: a number would have to be right about who is alive. */
static const char *who(struct swarm *swarm)
{
    static const char *const words[] = { "leader",    "leader", "follower", "follower",
                                         "candidate", "random", "random",   "minority" };
    return words[draw(swarm, 0, COUNT(words) - 1)];
}

/* For links and orders, which the dead take, too. */
static void any(struct swarm *swarm, char *text, size_t size)
{
    if (chance(swarm, 50)) snprintf(text, size, "%s", who(swarm));
    else snprintf(text, size, "%u", draw(swarm, 1, swarm->peers));
}

/* Numbers of some peers, at least one and not all. "" where there is one peer only. */
static uint64_t camp(struct swarm *swarm, char *text, size_t size)
{
    uint64_t set = 0;
    size_t used = 0;
    text[0] = '\0';
    if (swarm->peers < 2) return 0;
    while (set == 0 || set == peer_first(swarm->peers))
        set = rng_next(&swarm->rng) & peer_first(swarm->peers);
    for (uint32_t id = 1; id <= swarm->peers; id++)
        if (peer_in(set, id))
            used += (size_t)snprintf(text + used, size - used, "%s%u", used > 0 ? " " : "", id);
    return set;
}

/* ---- the network ---- */

static void draw_network(struct swarm *swarm)
{
    static const uint32_t delays[] = { 0, 1, 5, 20, 60, 200, 1500 };
    swarm->delay_ms = delays[draw(swarm, 0, chance(swarm, 30) ? 6 : 3)];
    swarm->loss = chance(swarm, 40) ? draw(swarm, 1, 25) : 0;
    swarm->dup = chance(swarm, 40) ? draw(swarm, 1, 25) : 0;
    swarm->reorder = chance(swarm, 50) ? draw(swarm, 5, 60) : 0;
    swarm->corrupt = chance(swarm, 15) ? draw(swarm, 1, 5) : 0;
}

__attribute__((format(printf, 2, 3))) static void line(struct swarm *swarm, const char *format, ...)
{
    va_list arguments;
    fprintf(swarm->file, "at %ums ", (unsigned)swarm->at_ms);
    va_start(arguments, format);
    vfprintf(swarm->file, format, arguments);
    va_end(arguments);
    fputc('\n', swarm->file);
}

/* Ranks are a random order; who is last hears everything last. */
static void set_ranks(struct swarm *swarm)
{
    uint32_t order[PEER_MAX + 1];
    for (uint32_t i = 0; i < swarm->peers; i++) order[i] = i + 1;
    for (uint32_t i = swarm->peers; i > 1; i--) {
        uint32_t other = draw(swarm, 0, i - 1), last = order[i - 1];
        order[i - 1] = order[other];
        order[other] = last;
    }
    for (uint32_t rank = 0; rank < swarm->peers; rank++) {
        uint32_t low = rank * draw(swarm, 1, 15), high = low + draw(swarm, 0, 20);
        line(swarm, "delay %ums..%ums on all > %u", low, high, order[rank]);
    }
}

/* What there is of it; without any, delays go back to none. */
static void print_rule(struct swarm *swarm, const char *on)
{
    char text[128];
    struct out out = { text, sizeof(text), 0 };
    if (swarm->loss > 0) out_add(&out, "drop %u%% ", swarm->loss);
    if (swarm->dup > 0) out_add(&out, "dup %u%% ", swarm->dup);
    if (swarm->reorder > 0) out_add(&out, "reorder %u%% ", swarm->reorder);
    if (swarm->corrupt > 0) out_add(&out, "corrupt %u%% ", swarm->corrupt);
    if (swarm->delay_ms > 0 || out.length == 0) out_add(&out, "delay 0ms..%ums ", swarm->delay_ms);
    line(swarm, "%son %s", text, on);
}

static void set_network(struct swarm *swarm)
{
    if (swarm->loss + swarm->delay_ms + swarm->dup + swarm->reorder + swarm->corrupt > 0)
        print_rule(swarm, "all");
    if (swarm->by_priority && swarm->peers > 1) set_ranks(swarm);
}

/* One peer's links are worse than others for a while. */
static void spoil_links(struct swarm *swarm)
{
    struct swarm other = *swarm;
    char on[64], name[16];
    any(&other, name, sizeof(name));
    uint32_t way = draw(&other, 0, 2);
    snprintf(on, sizeof(on), way == 0 ? "%s" : way == 1 ? "%s > rest" : "all > %s", name);
    draw_network(&other);
    print_rule(&other, on);
    swarm->rng = other.rng;
}

/* ---- deeds ---- */

static void cut(struct swarm *swarm)
{
    char from[16], to[16];
    any(swarm, from, sizeof(from));
    any(swarm, to, sizeof(to));
    if (chance(swarm, 30)) line(swarm, "cut %s > rest", from);
    else if (chance(swarm, 40)) line(swarm, "cut all > %s", to);
    else line(swarm, "cut %s > %s", from, to);
}

static void kill_at(struct swarm *swarm)
{
    static const char *const points[] = { "before-send", "before-commit", "after-commit",
                                          "after-send" };
    const char *name = who(swarm);
    line(swarm, "kill %s %s", name, points[draw(swarm, 0, COUNT(points) - 1)]);
}

static void partition(struct swarm *swarm)
{
    char some[64];
    if (camp(swarm, some, sizeof(some)) == 0) return;
    line(swarm, "partition %s | rest", some);
    swarm->at_ms += draw(swarm, 0, (uint32_t)swarm->stable_ms);
}

static void power_cut(struct swarm *swarm)
{
    line(swarm, "power-cut all");
    swarm->at_ms += draw(swarm, 1, 300);
    line(swarm, "restart all");
}

static void isolate(struct swarm *swarm)
{
    char name[16];
    any(swarm, name, sizeof(name));
    line(swarm, "isolate %s", name);
    swarm->at_ms += draw(swarm, 0, (uint32_t)swarm->stable_ms);
}

static void spoil_disk(struct swarm *swarm, bool slow)
{
    char name[16];
    any(swarm, name, sizeof(name));
    if (slow) line(swarm, "slow-disk %ums on %s", draw(swarm, 1, 200), name);
    else line(swarm, "fail-disk %s on %s", chance(swarm, 50) ? "eio" : "enospc", name);
}

static void skew(struct swarm *swarm)
{
    char name[16];
    any(swarm, name, sizeof(name));
    line(swarm, "skew %c%u%% on %s", chance(swarm, 50) ? '+' : '-', draw(swarm, 1, 40), name);
}

static void perform(struct swarm *swarm, enum deed deed)
{
    switch (deed) {
    case DEED_KILL: line(swarm, "kill %s", who(swarm)); break;
    case DEED_KILL_AT: kill_at(swarm); break;
    case DEED_POWER_CUT: power_cut(swarm); break;
    case DEED_PAUSE: line(swarm, "pause %s", who(swarm)); break;
    case DEED_PARTITION: partition(swarm); break;
    case DEED_ISOLATE: isolate(swarm); break;
    case DEED_CUT: cut(swarm); break;
    case DEED_LINKS: spoil_links(swarm); break;
    case DEED_TIMEOUT: line(swarm, "timeout %s", who(swarm)); break;
    case DEED_SLOW_DISK: spoil_disk(swarm, true); break;
    case DEED_FAIL_DISK: spoil_disk(swarm, false); break;
    case DEED_SKEW: skew(swarm); break;
    case DEED_RESTART: line(swarm, "restart all"); break;
    case DEED_RESUME: line(swarm, "resume all"); break;
    case DEED_MEND:
        line(swarm, "fail-disk off");
        line(swarm, "slow-disk 0ms");
        break;
    default: line(swarm, "heal"); set_network(swarm);
    }
}

/* ---- the plan ---- */

static void draw_swarm(struct swarm *swarm, uint64_t seed)
{
    static const uint32_t sizes[] = { 1, 2, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 5, 6, 7, 8, 9 };
    static const uint32_t gaps_ms[] = { 20, 60, 150, 400, 1200 };
    static const uint32_t stables_ms[] = { 0, 300, 1000, 4000 };
    rng_seed(&swarm->rng, seed, 7, 0);
    swarm->peers = sizes[draw(swarm, 0, COUNT(sizes) - 1)];
    swarm->end_ms = draw(swarm, 3000, 20000);
    swarm->gap_ms = gaps_ms[draw(swarm, 0, COUNT(gaps_ms) - 1)];
    swarm->stable_ms = stables_ms[draw(swarm, 0, COUNT(stables_ms) - 1)];
    if (chance(swarm, 25)) swarm->at_ms = draw(swarm, 1000, 5000); /* calm, at first */
    swarm->end_ms += swarm->at_ms;
    swarm->by_priority = chance(swarm, 33);
    draw_network(swarm);
    for (uint32_t i = 0; i < DEED_COUNT; i++) {
        bool mends = i >= DEED_RESTART;
        swarm->weight[i] = mends || chance(swarm, 45) ? weights[i] * draw(swarm, 1, 3) : 0;
    }
}

static void print_load(struct swarm *swarm)
{
    static const char *const ops[] = { "put+get", "put+get+append", "get+append",
                                       "put+get+del+append+cas", "put+get+cas" };
    static const uint32_t rates[] = { 10, 30, 80, 200 };
    if (chance(swarm, 3)) { /* frames that not every entry fits into */
        fprintf(swarm->file, "load put+get 20/s keys 2 clients 2 bytes %u\n",
                draw(swarm, 60000, 150000));
        return;
    }
    fprintf(swarm->file, "load %s %u/s keys %u clients %u\n", ops[draw(swarm, 0, COUNT(ops) - 1)],
            rates[draw(swarm, 0, COUNT(rates) - 1)], draw(swarm, 1, 4), draw(swarm, 1, 2));
}

static void print_strife(struct swarm *swarm)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < DEED_COUNT; i++) sum += swarm->weight[i];
    set_network(swarm);
    for (;;) {
        swarm->at_ms += draw(swarm, 1, 2 * (uint32_t)swarm->gap_ms);
        if (swarm->at_ms >= swarm->end_ms) return;
        uint32_t at = draw(swarm, 0, sum - 1), deed = 0;
        while (at >= swarm->weight[deed]) at -= swarm->weight[deed++];
        perform(swarm, (enum deed)deed);
    }
}

/* Who is not of the healed majority is gone for good, in one of four ways. Returns how many. */
static uint32_t print_rest(struct swarm *swarm)
{
    static const char *const ways[] = { "kill", "pause", "isolate", "fail-disk eio on" };
    uint32_t most = (swarm->peers - 1) / 2, lost = most == 0 ? 0 : draw(swarm, 0, most);
    uint64_t set = 0;
    while (peer_count(set) < lost) set |= peer_bit(draw(swarm, 1, swarm->peers));
    for (uint32_t id = 1; id <= swarm->peers; id++)
        if (peer_in(set, id))
            fprintf(swarm->file, "%s %u\n", ways[draw(swarm, 0, COUNT(ways) - 1)], id);
    return lost;
}

/* A leader that hears nothing is deposed and goes on talking, then its successor dies: the others
 * still are a majority. */
static void print_deaf_leader(struct swarm *swarm)
{
    fputs("wait 1s\ncut all > leader\ntimeout follower\nwait 1s\nkill leader\n"
          "wait 500ms\nexpect leader within 15s\n",
          swarm->file);
}

static void print_end(struct swarm *swarm)
{
    fprintf(swarm->file, "at %ums heal\n", (unsigned)MAX_OF(swarm->at_ms, swarm->end_ms));
    /* distance is no fault */
    if (chance(swarm, 40)) fprintf(swarm->file, "delay %ums on all\n", draw(swarm, 1, 20));
    fputs("kill all off\nfail-disk off\nslow-disk 0ms\nresume all\nrestart all\n", swarm->file);
    uint32_t lost = print_rest(swarm);
    fputs("expect leader within 15s\n"
          "load off\n"
          "put last word\n"
          "expect value last word within 10s\n",
          swarm->file);
    if (lost == 0 && swarm->peers >= 5 && chance(swarm, 30)) print_deaf_leader(swarm);
    /* who returns may depose the leader, and the next one may have no entry of its own */
    fputs("heal\nfail-disk off\nresume all\nrestart all\nwait 2s\n"
          "expect leader within 15s\n"
          "put last sentence\n"
          "expect logs equal within 20s\n"
          "expect linearizable\n",
          swarm->file);
}

char *swarm_plan(uint64_t seed)
{
    struct swarm swarm = { 0 };
    char *text = NULL;
    size_t bytes;
    draw_swarm(&swarm, seed);
    swarm.file = open_memstream(&text, &bytes);
    CHECK(swarm.file != NULL);
    fprintf(swarm.file, "cluster %u seed %llu preset %s\n", swarm.peers, (unsigned long long)seed,
            chance(&swarm, 70) ? "fast" : "lab");
    print_load(&swarm);
    print_strife(&swarm);
    print_end(&swarm);
    CHECK(fclose(swarm.file) == 0);
    return text;
}
