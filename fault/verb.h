/* fault/verb.h - the one table of verbs: plan language, control socket, CLI, dashboard keys and help.
 * Owns   what a person or a plan may ask of a cluster, parsed into a value and printed back. Pure.
 * Leaves carrying it out to ctl/ (live) and sim/ (virtual time); time and order to fault/plan.h.
 * Holds  (V1) verb_print of a parsed command parses to the same command
 *        (V2) what does not parse changes nothing and says column, what was found, what was expected. */
#ifndef FAULT_VERB_H
#define FAULT_VERB_H

#include "base/err.h"
#include "base/words.h"
#include "fault/link.h"

/* VERB(name, word, arguments as help shows them, dashboard key or 0, line that the key sends with %u for the
 * selected peer or NULL where the key asks for the arguments, help) */
#define VERB_LIST(X)                                                                              \
    X(KILL, "kill", "PEERS [before-send|before-commit|after-commit|after-send]", 'k', "kill %u",  \
      "SIGKILL; at a named point of the turn where one is given")                                 \
    X(RESTART, "restart", "PEERS", 'r', "restart %u", "start dead peers again from their disk")   \
    X(PAUSE, "pause", "PEERS", 'p', "pause %u", "SIGSTOP")                                        \
    X(RESUME, "resume", "PEERS", 'c', "resume %u", "SIGCONT")                                     \
    X(TIMEOUT_NOW, "timeout", "PEERS", 't', "timeout %u", "let the election timer run out now")   \
    X(CUT, "cut", "PEERS > PEERS", 'x', NULL, "cut links one way")                                \
    X(ISOLATE, "isolate", "PEERS", 'i', "isolate %u", "cut all links of a peer, both ways")       \
    X(PARTITION, "partition", "PEERS | PEERS [| PEERS...]", 'P', NULL, "cut all links between groups") \
    X(HEAL, "heal", "[PEERS]", 'h', "heal", "undo cuts and link faults: of a peer, or everywhere") \
    X(LOSS, "drop", "PERCENT [on LINKS]", 'l', NULL, "lose messages")                             \
    X(DELAY, "delay", "TIME[..TIME] [on LINKS]", 'd', NULL, "delay messages")                     \
    X(DUP, "dup", "PERCENT [on LINKS]", 0, NULL, "deliver messages twice")                        \
    X(REORDER, "reorder", "[PERCENT] [on LINKS]", 0, NULL, "let later messages overtake")         \
    X(CORRUPT, "corrupt", "PERCENT [on LINKS]", 0, NULL, "flip a bit of messages")                \
    X(SLOW_DISK, "slow-disk", "TIME [on PEERS]", 0, NULL, "make every commit slower")             \
    X(FAIL_DISK, "fail-disk", "eio|enospc|off [on PEERS]", 0, NULL, "make every commit fail")     \
    X(SKEW, "skew", "PERCENT [on PEERS]", 0, NULL, "let a peer's clock run fast (+5%) or slow (-5%)") \
    X(RATE, "rate", "FACTOR", 0, NULL, "speed of the cluster clock: 1, 0.02, 0")                  \
    X(STEP, "step", "[TIME]", 0, NULL, "move a frozen clock on: to the next timer, or by TIME")   \
    X(PUT, "put", "KEY VALUE", 'w', NULL, "write a value")                                        \
    X(GET, "get", "KEY", 0, NULL, "read a value through the log")                                 \
    X(DEL, "del", "KEY", 0, NULL, "delete a key")                                                 \
    X(APPEND, "append", "KEY VALUE", 0, NULL, "append to a value")                                \
    X(CAS, "cas", "KEY EXPECTED VALUE", 0, NULL, "replace a value if it is EXPECTED")             \
    X(LOAD, "load", "OPS [RATE/s] [keys N] [clients N] [bytes N] | off", 0, NULL,                 \
      "clients that work and record history; OPS is put+get+del+append+cas or some of them")
#define VERB_ENUM(name, word, arguments, key, line, help) VERB_##name,
enum verb { VERB_LIST(VERB_ENUM) VERB_COUNT };
#undef VERB_ENUM

struct verb_row {
    const char *word, *arguments;
    char key;
    const char *line, *help;
};
extern const struct verb_row verb_rows[VERB_COUNT];

/* A name for peers: a fixed set, or words that are looked up when the command is carried out. */
#define SELECT_LIST(X)                                                                            \
    X(SET, "") X(LEADER, "leader") X(FOLLOWER, "follower") X(CANDIDATE, "candidate")              \
    X(RANDOM, "random") X(MINORITY, "minority") X(MAJORITY, "majority") X(ALL, "all") X(REST, "rest")
#define SELECT_ENUM(name, word) SELECT_##name,
enum select { SELECT_LIST(SELECT_ENUM) SELECT_COUNT };
#undef SELECT_ENUM
/* "leader 1 3": the union. rest: the peers that no earlier group of the command named.
 * leader: believes to be it, in the highest term. follower, candidate: one of them (random). minority,
 * majority: a random set of that size. random: one random peer. */
struct selector {
    uint32_t words;  /* bit per enum select */
    peer_set peers;  /* the numbers */
};
#define GROUPS_MAX 8
#define TEXT_MAX 1024 /* key, value and plan texts in a command line, with the final 0 */

enum load_op { LOAD_PUT = 1, LOAD_GET = 2, LOAD_DEL = 4, LOAD_APPEND = 8, LOAD_CAS = 16 };
struct command {
    enum verb verb;
    uint32_t groups; /* cut, drop..corrupt: group[0] > group[1]; partition: all; others: group[0] */
    struct selector group[GROUPS_MAX];
    /* drop delay dup reorder corrupt may stand together in one line: "drop 5% delay 1ms..20ms on all" */
    uint32_t rule_fields; /* bit per verb LOSS..CORRUPT: which fields of `rule` to set */
    struct link_rule rule;
    uint64_t time_ns;  /* slow-disk, step (0: next timer) */
    uint64_t rate_ppm; /* rate, skew */
    uint32_t number;   /* kill: enum kill_point; fail-disk: errno (0: off) */
    struct {
        uint32_t ops; /* enum load_op mask; 0: off */
        uint32_t per_second, keys, clients, bytes; /* per_second 0: as fast as it goes */
    } load;
    char key[TEXT_MAX], value[TEXT_MAX], expected[TEXT_MAX];
};

struct parse_error {
    uint32_t line, column; /* from 1; line is 1 for a single command */
    char text[256];        /* "expected a peer (1..63, leader, ...), found 'lead'" */
};
/* Words in double quotes may hold blanks; \" \\ \n \xHH inside. '#' begins a comment.
 * ERR_INPUT fills `error`. `peers` is the number of peers of the cluster, 0 where not yet known. */
err_t verb_parse(const char *line, uint32_t peers, struct command *command, struct parse_error *error);
/* The command as a line, cut to size; returns its length. */
size_t verb_print(const struct command *command, char *text, size_t size);
/* The set that a selector names now. `named` are the peers of earlier groups (for rest). Empty is possible. */
struct cluster_view {
    uint32_t peers;
    uint32_t leader; /* 0: none */
    peer_set candidates, alive;
};
peer_set selector_resolve(const struct selector *selector, const struct cluster_view *view, peer_set named,
                          struct rng *rng);
/* Units: 300ms, 1.5s, 20us, 2m; a bare number is refused (0 is not). ERR_INPUT. For options too. */
err_t time_parse(const char *text, uint64_t *ns);
size_t time_print(uint64_t ns, char *text, size_t size);

#endif
