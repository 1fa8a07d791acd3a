/* tests/harness/lab.h - the MIT 6.824 Raft lab's tester (config.go) over a cluster, of whichever
 * kind.
 * Owns   who is connected, what every server has applied, the lab's checks with the lab's numbers
 *        and sleeps; the seam below them (struct lab_backend).
 * Leaves the tests themselves to tests/harness/lab_scenes.h, real processes to lab_live.h, virtual
 *        time to lab_world.h.
 * Holds  (L1) servers that applied an index applied the same there, each without gaps: any breach
 *        fails the test   (L2) a test lasts 120 s at most   (L3) time, faults and answers come from
 *        the backend alone: a scene does the same work on each.
 * Servers are numbered from 0, as in the lab; peers of Ringside from 1. Commands are texts. */
#ifndef TESTS_HARNESS_LAB_H
#define TESTS_HARNESS_LAB_H

#include "base/rng.h"
#include "fault/link.h"

#include <setjmp.h>

#define ELECTION_TIMEOUT_MS 1000u /* the lab's RaftElectionTimeout, the unit of its sleeps */
#define ANY_TERM (-1)

struct lab;
struct started { /* what Start answers */
    long long index, term;
    bool is_leader;
};
struct lab_entry { /* as a server tells it; the command ends with a NUL */
    uint64_t index, term;
    const char *kind, *command;
};
struct lab_log { /* [index - 1]: the entry as the first server that applied it told it */
    struct lab_entry *entries;
    uint64_t count, capacity;
};

/* What a cluster can do. What goes wrong below a scene ends the test, by lab_fail or otherwise. */
struct lab_backend {
    uint64_t (*now)(struct lab *lab); /* ns, from anywhere */
    void (*sleep)(struct lab *lab, uint64_t ns);
    /* Cut all links of the server, both ways; or undo it but for those to servers still cut. */
    void (*disconnect)(struct lab *lab, uint32_t server);
    void (*connect)(struct lab *lab, uint32_t server);
    void (*kill)(struct lab *lab, uint32_t server);
    void (*restart)(struct lab *lab, uint32_t server);
    /* All links behave like lab->course, cuts aside. */
    void (*faults)(struct lab *lab);
    /* `count` Starts, answered in *results. One client in this order, or `at_once` as many
     * clients. */
    void (*start)(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                  bool at_once, struct started *results);
    /* Does it lead? */
    bool (*state)(struct lab *lab, uint32_t server, long long *term);
    /* All that living servers have applied beyond lab->applied goes to lab_learn. */
    void (*look)(struct lab *lab);
    long long (*rpcs)(struct lab *lab);
    long long (*bytes)(struct lab *lab);
    /* NULL, or what the cluster's own checker has found. */
    const char *(*unsafe)(struct lab *lab);
};

struct lab {
    const struct lab_backend *backend;
    void *cluster; /* the backend's */
    const char *name;
    uint32_t servers;
    bool connected[PEER_MAX], dead[PEER_MAX];
    enum link_course course; /* of all links */
    struct lab_log agreed;
    uint64_t applied[PEER_MAX]; /* how many entries of each server were seen */
    struct rng rng;
    uint64_t began_ns;
    char value[32]; /* of lab_random */
    jmp_buf back;   /* of lab_fail */
    char failure[600];
    char remark[96]; /* "": none */
};

struct lab_test { /* one of the lab's */
    const char *name;
    uint32_t servers;
    void (*run)(struct lab *lab);
};
/* A lab with all servers up and connected; the caller gives it its cluster. */
void lab_open(struct lab *lab, const struct lab_test *test, const struct lab_backend *backend,
              uint64_t seed);
void lab_close(struct lab *lab);
/* NULL: passed. Else why not; lives as long as the lab. */
const char *lab_run(struct lab *lab, const struct lab_test *test);
/* The test ends here. Within lab_run only. */
_Noreturn __attribute__((format(printf, 2, 3))) void lab_fail(struct lab *lab, const char *format,
                                                              ...);

/* Something to be told beside the verdict. */
__attribute__((format(printf, 2, 3))) void lab_remark(struct lab *lab, const char *format, ...);

uint64_t lab_now(struct lab *lab);
void lab_sleep(struct lab *lab, uint32_t ms);
void lab_sleep_until(struct lab *lab, uint64_t ns);
/* Cut the server off, both ways; connect it with all that are connected. */
void lab_disconnect(struct lab *lab, uint32_t server);
void lab_connect(struct lab *lab, uint32_t server);
/* Kill it, links cut; start it again from its disk, links still cut. A live one is killed first. */
void lab_crash(struct lab *lab, uint32_t server);
void lab_restart(struct lab *lab, uint32_t server);
void lab_faults(struct lab *lab, enum link_course course);

struct started lab_start(struct lab *lab, uint32_t server, const char *command);
/* Many Starts, one after the other without a pause; *results has `count` elements. */
void lab_start_all(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                   struct started *results);
/* Each from a client of its own: in any order. */
void lab_start_at_once(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
                       struct started *results);
long long lab_term(struct lab *lab, uint32_t server);

/* The lab's checks on what servers have told. NULL: all well; else what is wrong, until the next
 * call. */
struct lab_claim {
    uint32_t server;
    long long term;
    bool leads;
};
/* Two leaders in one term? *leader: place of the one with the highest term, or `count`. */
const char *lab_wrong_leaders(const struct lab_claim *claims, size_t count, size_t *leader);
const char *lab_wrong_terms(const struct lab_claim *claims, size_t count);
/* `server`, which has applied *applied entries, tells of the next; joins it to `agreed`. */
const char *lab_wrong_entry(struct lab_log *agreed, uint64_t *applied, uint32_t server,
                            const struct lab_entry *entry);
void lab_log_clear(struct lab_log *log);
/* For backends: the same for this lab. */
const char *lab_learn(struct lab *lab, uint32_t server, const struct lab_entry *entry);

/* The same on a running cluster; they fail the test. */
uint32_t lab_check_one_leader(struct lab *lab);
long long lab_check_terms(struct lab *lab);
void lab_check_no_leader(struct lab *lab);
void lab_check_no_agreement(struct lab *lab, uint64_t index);
/* Forget what was seen applied: the next look begins at index 1 of every server. */
void lab_forget(struct lab *lab);
/* Ask all for what is new; how many servers had applied `index` when they were asked last. */
void lab_look(struct lab *lab);
uint32_t lab_seen(const struct lab *lab, uint64_t index);
/* Both. */
uint32_t lab_committed(struct lab *lab, uint64_t index);
/* The command at `index`, which some server has applied. */
const char *lab_command(struct lab *lab, uint64_t index);
/* Agree on `command`, on `servers` of them or more; its index. */
uint64_t lab_one(struct lab *lab, const char *command, uint32_t servers, bool retry);
/* Wait until `servers` have applied `index`. False when a server is beyond `term`. */
bool lab_wait(struct lab *lab, uint64_t index, uint32_t servers, long long term);
/* RPCs that came in at any server; bytes of all RPCs that were sent. */
long long lab_rpcs(struct lab *lab);
long long lab_bytes(struct lab *lab);
/* A random number as text; lives until the next call. */
const char *lab_random(struct lab *lab);
uint32_t lab_random_server(struct lab *lab);

#endif
