/* tests/harness/lab.h - the MIT 6.824 Raft lab's tester (config.go) over a cluster of real
 * processes.
 * Owns   one cluster per test, who is connected, what every server has applied, the lab's checks
 *        with the lab's numbers and sleeps.
 * Leaves the tests themselves to tests/lab2a_test.c and lab2b_test.c; the words of the control
 *        socket to tests/harness/control.h.
 * Holds  (L1) servers that applied an index applied the same there, each without gaps: any breach
 *        fails the test   (L2) a test lasts 120 s at most, and leaves nothing behind.
 * Servers are numbered from 0, as in the lab; peers of Ringside from 1. Commands are texts. */
#ifndef TESTS_HARNESS_LAB_H
#define TESTS_HARNESS_LAB_H

#include "base/rng.h"
#include "tests/harness/control.h"

#define ELECTION_TIMEOUT_MS 1000u /* the lab's RaftElectionTimeout, the unit of its sleeps */
#define ANY_TERM (-1)

struct lab {
    struct ringside ringside;
    const char *name;
    uint32_t servers;
    bool connected[PEER_MAX], dead[PEER_MAX];
    const char *faults; /* line that makes all links unreliable; NULL: they are reliable */
    json_t *agreed;     /* [index - 1]: the entry as the first server that applied it told it */
    uint64_t applied[PEER_MAX]; /* how many entries of each server were seen */
    struct rng rng;
    uint64_t began_ns;
    char value[32]; /* of lab_random */
};
struct started { /* what Start answers */
    long long index, term;
    bool is_leader;
};

/* A row per test. lab_main is the whole program; argv[1] may be a pattern of names to run. */
struct lab_test {
    const char *name;
    uint32_t servers;
    void (*run)(struct lab *lab);
};
int lab_main(const char *group, const struct lab_test *tests, size_t count, int argc, char **argv);

void lab_sleep(uint32_t ms);
/* Cut the server off, both ways; connect it with all that are connected. */
void lab_disconnect(struct lab *lab, uint32_t server);
void lab_connect(struct lab *lab, uint32_t server);

/* SIGKILL, links cut; start it again from its disk, links still cut. A live one is killed first. */
void lab_crash(struct lab *lab, uint32_t server);
void lab_restart(struct lab *lab, uint32_t server);
/* The lab's unreliable network, and the same with long reordering. Or another line of the verb
 * language; NULL: reliable again. */
#define LAB_UNRELIABLE "unreliable"
#define LAB_LONG_REORDERING "unreliable long"
void lab_faults(struct lab *lab, const char *line);

struct started lab_start(struct lab *lab, uint32_t server, const char *command);
/* Many Starts in one write; *results has `count` elements. */
void lab_start_all(struct lab *lab, uint32_t server, const char *const *commands, size_t count,
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
const char *lab_wrong_entry(json_t *agreed, uint64_t *applied, uint32_t server, json_t *entry);

/* The same on a running cluster; they fail the test. */
uint32_t lab_check_one_leader(struct lab *lab);
long long lab_check_terms(struct lab *lab);
void lab_check_no_leader(struct lab *lab);
void lab_check_no_agreement(struct lab *lab, uint64_t index);
/* Forget what was seen applied: the next look begins at index 1 of every server. */
void lab_forget(struct lab *lab);
/* How many servers have applied `index`. */
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

#endif
