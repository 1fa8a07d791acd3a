/* tests/soak_test.c - random schedules for pure cores: nothing breaks; then peace: all agree.
 * The same schedules must catch wrong rules: a soak that finds no planted fault proves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/core/rules.h"
#include "tests/harness/cores.h"

#define SEEDS 500
#define STEPS 4000
#define BUG_SEEDS 300 /* by then each wrong rule has shown; most do within ten */
#define FLIGHTS_MAX 150
#define PEACE_NS (20 * NS_PER_S)

/* What happens, and how often one is chosen beside the others; drawn anew for each seed. */
#define DEED_LIST(X)                                                                               \
    X(DELIVER, 100)                                                                                \
    X(DELIVER_SOME, 40)                                                                            \
    X(LOSE, 8)                                                                                     \
    X(COPY, 8)                                                                                     \
    X(PASS_TIME, 25)                                                                               \
    X(PROPOSE, 15)                                                                                 \
    X(TIMEOUT, 3)                                                                                  \
    X(CRASH, 2)                                                                                    \
    X(CRASH_AFTER_SAVE, 2)                                                                         \
    X(HOLD_DISK, 3)                                                                                \
    X(CUT, 2)                                                                                      \
    X(RESTART, 8)                                                                                  \
    X(RELEASE_DISK, 8)                                                                             \
    X(HEAL, 4)
#define DEED_ENUM(name, weight) DEED_##name,
enum deed { DEED_LIST(DEED_ENUM) DEED_COUNT };
#define DEED_WEIGHT(name, weight) weight,
static const uint32_t usual[] = { DEED_LIST(DEED_WEIGHT) };
#define DEED_NAME(name, weight) #name,
static const char *const deed_names[] = { DEED_LIST(DEED_NAME) };

struct soak {
    struct cores cores;
    struct rng rng;
    uint32_t weights[DEED_COUNT], weights_sum;
    uint64_t done[DEED_COUNT]; /* deeds that had an object */
    uint64_t truncated;        /* times that a follower has deleted entries */
};

static void count_note(void *context, const struct note *note)
{
    struct soak *soak = context;
    if (note->kind == NOTE_TRUNCATED) soak->truncated++;
}

static void begin(struct soak *soak, uint64_t seed, const struct rules *rules, uint32_t peers)
{
    memset(soak, 0, sizeof(*soak));
    rng_seed(&soak->rng, seed, 1, 0);
    struct raft_config config = {
        .peers = peers,
        .election_min_ns = 150 * NS_PER_MS,
        .election_max_ns = 300 * NS_PER_MS,
        .heartbeat_ns = rng_range(&soak->rng, 20, 100) * NS_PER_MS,
        .notify_ns = rng_range(&soak->rng, 0, 20) * NS_PER_MS,
        .window = (uint32_t)rng_range(&soak->rng, 1, 12),
        .noop_on_election = rng_chance(&soak->rng, PPM / 2),
        .rules = rules,
    };
    cores_open(&soak->cores, &config, seed);
    soak->cores.on_note = count_note;
    soak->cores.context = soak;
    for (uint32_t i = 0; i < DEED_COUNT;
         i++) { /* some seeds know no crash, others many; all mend */
        bool mends = i == DEED_DELIVER || i == DEED_PASS_TIME || i >= DEED_RESTART;
        soak->weights[i] = usual[i] * (mends ? 2 : (uint32_t)rng_range(&soak->rng, 0, 4));
        soak->weights_sum += soak->weights[i];
    }
}

static uint32_t some_peer(struct soak *soak)
{
    return (uint32_t)rng_range(&soak->rng, 1, soak->cores.config.peers);
}

/* Any message, but often an early one: else nobody ever gets anything done. */
static size_t some_flight(struct soak *soak)
{
    size_t last = soak->cores.flights_count - 1;
    if (rng_chance(&soak->rng, PPM / 2)) last = MIN_OF(last, 3);
    return rng_range(&soak->rng, 0, last);
}

static bool deliver_some(struct soak *soak)
{
    struct cores *cores = &soak->cores;
    uint32_t to = cores->flights[some_flight(soak)]->message.to;
    uint64_t limit = rng_range(&soak->rng, 2, 8);
    for (size_t n = 0; n < cores->flights_count && limit > 0;) { /* all of them in one turn */
        if (cores->flights[n]->message.to != to) {
            n++;
            continue;
        }
        cores_deliver(cores, n);
        limit--;
    }
    cores_turn(cores, to);
    return true;
}

static bool propose(struct soak *soak)
{
    uint32_t id = rng_chance(&soak->rng, PPM / 2) ? cores_leader(&soak->cores) : 0;
    if (id == 0) id = some_peer(soak);
    bool taken = false;
    for (uint64_t times = rng_range(&soak->rng, 1, 4); times > 0; times--)
        taken = cores_propose(&soak->cores, id).index != 0 || taken;
    cores_turn(&soak->cores, id);
    return taken;
}

static bool release_disk(struct soak *soak, uint32_t id)
{
    if (!soak->cores.core[id].disk_held) return false;
    cores_release_disk(&soak->cores, id);
    return true;
}

/* One link, one direction of all links, or all of them. */
static void cut(struct soak *soak, uint32_t id)
{
    peer_set *links = soak->cores.cut;
    uint64_t how = rng_range(&soak->rng, 0, 3);
    if (how == 0) links[id] |= peer_bit(some_peer(soak));
    if (how == 1 || how == 3) links[id] = ~(peer_set)0;
    for (uint32_t from = 1; how >= 2 && from <= soak->cores.config.peers; from++)
        links[from] |= peer_bit(id);
}

/* One deed with peer `id`; false when there was nothing to do it to. */
static bool perform(struct soak *soak, enum deed deed, uint32_t id)
{
    struct cores *cores = &soak->cores;
    bool was_up = cores->core[id].up;
    switch (deed) {
    case DEED_DELIVER: {
        size_t n = some_flight(soak);
        uint32_t to = cores->flights[n]->message.to;
        cores_deliver(cores, n);
        cores_turn(cores, to);
        return true;
    }
    case DEED_DELIVER_SOME: return deliver_some(soak);
    case DEED_LOSE: cores_lose(cores, some_flight(soak)); return true;
    case DEED_COPY: cores_copy(cores, some_flight(soak)); return true;
    case DEED_PASS_TIME:
        cores_advance(cores, rng_range(&soak->rng, 1, 30) * NS_PER_MS);
        return true;
    case DEED_PROPOSE: return propose(soak);
    case DEED_TIMEOUT:
        cores_event(cores, id, EVENT_TIMEOUT_NOW);
        cores_turn(cores, id);
        return was_up;
    case DEED_CRASH: cores_crash(cores, id); return was_up;
    case DEED_CRASH_AFTER_SAVE: cores->core[id].dies_after_save = was_up; return was_up;
    case DEED_RESTART: cores_restart(cores, id); return !was_up;
    case DEED_HOLD_DISK: cores_hold_disk(cores, id); return was_up;
    case DEED_RELEASE_DISK: return release_disk(soak, id);
    case DEED_CUT: cut(soak, id); return true;
    case DEED_HEAL: memset(cores->cut, 0, sizeof(cores->cut)); return true;
    default: CHECK(false); return false;
    }
}

/* Everything goes wrong. False: safety is broken. */
static bool strife(struct soak *soak, uint64_t steps)
{
    struct cores *cores = &soak->cores;
    for (; steps > 0 && cores->witness.broken == NULL; steps--) {
        uint64_t draw = rng_range(&soak->rng, 0, soak->weights_sum - 1);
        uint32_t deed = 0;
        while (draw >= soak->weights[deed]) draw -= soak->weights[deed++];
        if (deed <= DEED_COPY && cores->flights_count == 0) deed = DEED_PASS_TIME;
        if (perform(soak, (enum deed)deed, some_peer(soak))) soak->done[deed]++;
        while (cores->flights_count > FLIGHTS_MAX) cores_lose(cores, some_flight(soak));
    }
    return cores->witness.broken == NULL;
}

static bool all_equal(const struct cores *cores, uint64_t index)
{
    for (uint32_t id = 1; id <= cores->config.peers; id++) {
        const struct core *core = &cores->core[id];
        if (core->log.count != index || core->raft.commit_index != index ||
            core->raft.last_applied != index)
            return false;
        if (core->raft.leader != cores_leader(cores) || core->raft.durable_index != index)
            return false;
        if (!entries_agree(&core->log, &cores->core[1].log, index)) return false;
    }
    return true;
}

/* Nothing goes wrong any more: one leader, equal logs, all of it committed and applied. */
static bool peace(struct soak *soak)
{
    struct cores *cores = &soak->cores;
    memset(cores->cut, 0, sizeof(cores->cut));
    for (uint32_t id = 1; id <= cores->config.peers; id++) {
        cores->core[id].dies_after_save = false;
        release_disk(soak, id);
        cores_restart(cores, id);
    }
    uint64_t until = cores->now_ns + PEACE_NS, proposed = 0, in_term = 0;
    while (cores->now_ns < until && cores->witness.broken == NULL) {
        for (int some = 500; some > 0 && cores->flights_count > 0; some--) {
            uint32_t to = cores->flights[0]->message.to;
            cores_deliver(cores, 0);
            cores_turn(cores, to);
        }
        uint32_t leader = cores_leader(cores);
        if (leader != 0 && in_term != cores->core[leader].raft.current_term) {
            in_term = cores->core[leader].raft.current_term; /* an entry of it commits all before */
            proposed = cores_propose(cores, leader).index;
            cores_turn(cores, leader);
            continue;
        }
        if (proposed != 0 && all_equal(cores, proposed)) return true;
        cores_advance(cores, 5 * NS_PER_MS);
    }
    return false;
}

static struct soak soak; /* large */

static void schedules_are_safe(void **state)
{
    UNUSED(state);
    uint64_t done[DEED_COUNT] = { 0 }, truncated = 0, elections = 0, committed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        begin(&soak, seed, NULL, (uint32_t)(1 + seed % 7));
        const struct witness *witness = &soak.cores.witness;
        if (!strife(&soak, STEPS))
            fail_msg("seed %lu: %s: %s", (unsigned long)seed, witness->broken, witness->text);
        if (!peace(&soak))
            fail_msg("seed %lu: no agreement in peace %s", (unsigned long)seed, witness->text);
        for (uint32_t i = 0; i < DEED_COUNT; i++) done[i] += soak.done[i];
        truncated += soak.truncated;
        elections += witness->elections;
        committed += witness->committed.count;
        cores_close(&soak.cores);
    }
    /* it was not empty */
    for (uint32_t i = 0; i < DEED_COUNT; i++) {
        print_message("%-16s %lu\n", deed_names[i], (unsigned long)done[i]);
        assert_true(done[i] > SEEDS);
    }
    print_message("elections %lu, entries committed %lu, logs cut back %lu\n",
                  (unsigned long)elections, (unsigned long)committed, (unsigned long)truncated);
    assert_true(elections > 5 * SEEDS);
    assert_true(committed > 20 * SEEDS);
    assert_true(truncated > SEEDS);
}

static uint64_t fingerprint(uint64_t seed)
{
    begin(&soak, seed, NULL, 5);
    strife(&soak, STEPS);
    const struct entries *committed = &soak.cores.witness.committed;
    uint64_t print = soak.rng.state ^ soak.cores.rng.state ^ soak.cores.next_id;
    if (committed->count > 0) print ^= committed->at[committed->count - 1].chain;
    cores_close(&soak.cores);
    return print;
}

static void same_seed_same_run(void **state)
{
    UNUSED(state);
    assert_true(fingerprint(11) == fingerprint(11));
    assert_true(fingerprint(11) != fingerprint(12));
}

/* ---- wrong rules, each from somebody's real system; the source is in the row ---- */

static uint32_t vote_always_forgotten(const struct raft *raft, uint64_t new_term)
{
    UNUSED(raft);
    UNUSED(new_term);
    return PEER_NONE;
}

static enum vote_verdict may_vote_again(const struct raft *raft, const struct message *request)
{
    if (request->term < raft->current_term) return VOTE_TERM_OVER;
    bool behind = !rules_raft.log_up_to_date(request->prev, log_last(&raft->log));
    return behind ? VOTE_LOG_BEHIND : VOTE_YES;
}

static bool longer_is_up_to_date(struct log_id theirs, struct log_id ours)
{
    return theirs.index >= ours.index;
}

static bool any_vote_counts(const struct raft *raft, const struct message *reply)
{
    UNUSED(reply);
    return raft->role == CANDIDATE;
}

static bool half_is_quorum(peer_set set, uint32_t peers)
{
    return 2 * peer_count(set) >= peers;
}

static bool prev_index_is_enough(const struct log *log, struct log_id prev)
{
    return prev.index <= log->last_index;
}

static uint64_t truncate_overlap(const struct log *log, const struct message *append)
{
    return append->prev.index < log->last_index ? append->prev.index + 1 : 0;
}

static uint64_t own_last_acknowledged(const struct raft *raft, const struct message *append)
{
    UNUSED(append);
    return raft->log.last_index;
}

static uint64_t match_is_newest_reply(const struct follower *follower, uint64_t acknowledged)
{
    return MIN_OF(acknowledged, follower->next_index - 1);
}

static uint64_t next_never_back(const struct raft *raft, const struct follower *follower,
                                const struct message *refusal)
{
    UNUSED(raft);
    UNUSED(refusal);
    return follower->next_index;
}

static uint64_t own_match_at_once(const struct raft *raft)
{
    return raft->log.last_index;
}

/* Highest index that at least `needed` peers have, and not below commit_index. */
static uint64_t had_by(const struct raft *raft, uint32_t needed)
{
    uint64_t best = raft->commit_index;
    for (uint64_t index = best + 1; index <= raft->log.last_index; index++) {
        uint32_t have = raft->durable_index >= index;
        for (uint32_t id = 1; id <= raft->config.peers; id++)
            if (id != raft->config.self && raft->followers[id].match_index >= index) have++;
        if (have >= needed) best = index;
    }
    return best;
}

static uint64_t commit_any_term(const struct raft *raft)
{
    return had_by(raft, raft->config.peers / 2 + 1);
}

static uint64_t commit_upper_median(const struct raft *raft) /* right for odd clusters */
{
    uint64_t index = had_by(raft, (raft->config.peers + 1) / 2);
    return log_term(&raft->log, index) == raft->current_term ? index : raft->commit_index;
}

static uint64_t commit_own_last(const struct raft *raft, const struct message *append)
{
    return MAX_OF(raft->commit_index, MIN_OF(append->commit_index, raft->log.last_index));
}

static uint64_t commit_back(const struct raft *raft, const struct message *append)
{
    UNUSED(raft);
    return MIN_OF(append->commit_index, append->prev.index + append->count);
}

static uint64_t apply_all(const struct raft *raft)
{
    return raft->log.last_index;
}

#define RULE(field, wrong) offsetof(struct rules, field), (void (*)(void))(wrong)
static const struct bug_row {
    const char *name;
    size_t offset; /* of the entry in struct rules that is swapped */
    void (*wrong)(void);
    const char *caught_by; /* LV: no agreement in peace */
} bug_rows[] = {
    { "vote forgotten on a role change (willemt daa93cb)", RULE(vote_kept, vote_always_forgotten),
      "V1 PR" },
    { "second vote in a term", RULE(may_vote, may_vote_again), "V1" },
    { "stale vote counts (Xraft #33)", RULE(vote_counts, any_vote_counts), "ES" },
    { "log compared by index only (willemt 1ce89f2)", RULE(log_up_to_date, longer_is_up_to_date),
      "LC CQ SM" },
    { "half is a quorum", RULE(is_quorum, half_is_quorum), "ES CQ" },
    { "term of prevLogIndex not compared", RULE(prev_matches, prev_index_is_enough), "LM MI SM" },
    { "truncate on any overlap (RaftOS #26)", RULE(truncate_from, truncate_overlap),
      "CQ MI PR CM" },
    { "follower acknowledges its own last index (RavenDB-13612)",
      RULE(acknowledged, own_last_acknowledged), "MI CQ" },
    { "matchIndex goes back (RaftOS #25)", RULE(match_after, match_is_newest_reply), "MI" },
    { "nextIndex never goes back", RULE(next_after, next_never_back), "LV" },
    { "leader counts itself before its disk (etcd #14370)", RULE(own_match, own_match_at_once),
      "CQ" },
    { "entries of old terms committed by counting (logcabin #44)",
      RULE(leader_commit, commit_any_term), "CQ" },
    { "median off by one in even clusters (hashicorp 163a55f)",
      RULE(leader_commit, commit_upper_median), "CQ" },
    { "follower commits beyond what was verified (copycat #265)",
      RULE(follower_commit, commit_own_last), "SM" },
    { "commitIndex without max (PySyncObj #166)", RULE(follower_commit, commit_back), "CM" },
    { "apply does not stop at commitIndex (willemt 30e4688)", RULE(apply_limit, apply_all), "SM" },
};

struct finding { /* what a child tells; shared with it */
    uint64_t seed;
    char broken[8], text[256];
};

/* In a child: the core's own checks may abort. From finding->seed on, until one is found. */
static void search(const struct bug_row *row, struct finding *finding)
{
    struct rules rules = rules_raft;
    memcpy((char *)&rules + row->offset, &row->wrong, sizeof(row->wrong));
    for (; finding->seed <= BUG_SEEDS; finding->seed++) {
        begin(&soak, finding->seed, &rules, (uint32_t)(1 + finding->seed % 7));
        const struct witness *witness = &soak.cores.witness;
        bool found = !strife(&soak, STEPS) || !peace(&soak);
        if (found) {
            snprintf(finding->broken, sizeof(finding->broken), "%s",
                     witness->broken ? witness->broken : "LV");
            snprintf(finding->text, sizeof(finding->text), "%s", witness->text);
        }
        cores_close(&soak.cores);
        if (found) return;
    }
}

static void wrong_rule_is_caught(void **state)
{
    const struct bug_row *row = *state;
    uint64_t aborted = 0;
    struct finding *finding =
        mmap(NULL, sizeof(*finding), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(finding != MAP_FAILED);
    for (finding->seed = 1; finding->seed <= BUG_SEEDS && finding->broken[0] == '\0';
         finding->seed++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int null = open("/dev/null", O_WRONLY); /* a failed CHECK says so */
            if (null >= 0) dup2(null, STDERR_FILENO);
            search(row, finding);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status)) {
            assert_int_equal(WTERMSIG(status), SIGABRT);
            aborted++;
        } else {
            assert_int_equal(WEXITSTATUS(status), 0);
        }
    }
    struct finding found = *finding;
    munmap(finding, sizeof(*finding));
    print_message("caught by %s at seed %lu, after the core's own checks at %lu: %s\n",
                  found.broken, (unsigned long)found.seed - 1, (unsigned long)aborted, found.text);
    if (found.broken[0] == '\0') fail_msg("%s: not caught", row->name);
    if (strstr(row->caught_by, found.broken) == NULL)
        fail_msg("expected one of %s", row->caught_by);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(bug_rows) + 2] = {
        cmocka_unit_test(schedules_are_safe),
        cmocka_unit_test(same_seed_same_run),
    };
    for (size_t i = 0; i < COUNT(bug_rows); i++)
        tests[2 + i] = (struct CMUnitTest){ .name = bug_rows[i].name,
                                            .test_func = wrong_rule_is_caught,
                                            .initial_state = (void *)(uintptr_t)&bug_rows[i] };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
