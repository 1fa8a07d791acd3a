/* fault/verb.h - the one table of verbs: plan language, control socket, CLI, dashboard keys, help.
 * Owns   what a person or a plan may ask of a cluster, parsed into a value and printed back; what a
 *        command on links does to their rules. Pure, no memory of its own.
 * Leaves carrying it out to ctl/ (live) and sim/ (virtual time); time and order to fault/plan.h;
 *        words, numbers and errors to fault/line.h; names for peers to fault/selector.h.
 * Holds  (V1) verb_print of a parsed command parses to the same command
 *        (V2) what does not parse changes nothing and says column, what was found, what was
 *             expected. */
#ifndef FAULT_VERB_H
#define FAULT_VERB_H

#include "base/err.h"
#include "base/words.h"
#include "fault/link.h"
#include "fault/selector.h"

/* VERB(name, word, arguments as help shows them, dashboard key or 0, line that the key sends with
 * %u for the selected peer or NULL where the key asks for the arguments, help)
 *   PEERS    one or more of: a number, leader, follower, candidate, random, minority, majority,
 *            all, rest (fault/selector.h)
 *   LINKS    `all` (as without `on`), PEERS > PEERS, or PEERS: all links from and to those
 *   PERCENT  0% to 100%, four decimals (skew: with a sign, -99% to +900%)
 *   TIME     300ms, 1.5s, 20us, 2m
 * drop, delay, dup, reorder, corrupt, unreliable may stand together: "drop 5% delay 1ms..20ms on
 * leader > rest": each sets its own field of the rule and leaves the others; 0 (or off) takes it
 * back. unreliable is enum link_course. */
#define VERB_LIST(X)                                                                               \
    X(KILL, "kill", "PEERS [before-send|before-commit|after-commit|after-send|off]", 'k',          \
      "kill %u", "SIGKILL; at a point of the turn where one is given")                             \
    X(POWER_CUT, "power-cut", "PEERS", 0, NULL,                                                    \
      "kill; simulated disks also forget what was not synced")                                     \
    X(RESTART, "restart", "PEERS", 'r', "restart %u", "start dead peers again from their disk")    \
    X(PAUSE, "pause", "PEERS", 'p', "pause %u", "SIGSTOP")                                         \
    X(RESUME, "resume", "PEERS", 'c', "resume %u", "SIGCONT")                                      \
    X(TIMEOUT_NOW, "timeout", "PEERS", 't', "timeout %u", "let the election timer run out now")    \
    X(CUT, "cut", "PEERS > PEERS", 'x', NULL, "cut links one way")                                 \
    X(ISOLATE, "isolate", "PEERS", 'i', "isolate %u", "cut all links of a peer, both ways")        \
    X(PARTITION, "partition", "PEERS | PEERS [| PEERS...]", 'P', NULL,                             \
      "cut all links between groups")                                                              \
    X(HEAL, "heal", "[PEERS]", 'h', "heal", "undo cuts and link faults: of a peer, or everywhere") \
    X(LOSS, "drop", "PERCENT [on LINKS]", 'l', NULL, "lose messages")                              \
    X(DELAY, "delay", "TIME[..TIME] [on LINKS]", 'd', NULL, "delay messages")                      \
    X(DUP, "dup", "PERCENT [on LINKS]", 0, NULL, "deliver messages twice")                         \
    X(REORDER, "reorder", "[PERCENT] [on LINKS]", 0, NULL,                                         \
      "let later messages overtake; 100% where no PERCENT is given")                               \
    X(CORRUPT, "corrupt", "PERCENT [on LINKS]", 0, NULL, "flip a bit of messages")                 \
    X(UNRELIABLE, "unreliable", "[long|off] [on LINKS]", 0, NULL,                                  \
      "lose 10%, requests 0..26ms late; long: replies up to 2.2s")                                 \
    X(SLOW_DISK, "slow-disk", "TIME [on PEERS]", 0, NULL, "make every commit slower; 0 undoes it") \
    X(FAIL_DISK, "fail-disk", "eio|enospc|off [on PEERS]", 0, NULL, "make every commit fail")      \
    X(SKEW, "skew", "PERCENT [on PEERS]", 0, NULL,                                                 \
      "let a peer's clock run fast (+5%) or slow (-5%)")                                           \
    X(RATE, "rate", "FACTOR", 0, NULL, "speed of the cluster clock: 1, 0.02, 0; at most 100")      \
    X(STEP, "step", "[TIME]", 0, NULL, "move a frozen clock on: to the next timer, or by TIME")    \
    X(PUT, "put", "KEY VALUE", 'w', NULL, "write a value")                                         \
    X(GET, "get", "KEY", 0, NULL, "read a value through the log")                                  \
    X(DEL, "del", "KEY", 0, NULL, "delete a key")                                                  \
    X(APPEND, "append", "KEY VALUE", 0, NULL, "append to a value")                                 \
    X(CAS, "cas", "KEY EXPECTED VALUE", 0, NULL, "replace a value if it is EXPECTED")              \
    X(LOAD, "load", "OPS [RATE/s] [keys N] [clients N] [bytes N] | off", 0, NULL,                  \
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

#define GROUPS_MAX 8
/* A key, value or text with its final 0; longer is bad input. Twice what an entry may hold, so that
 * the limit of entries is told by who knows it. */
#define TEXT_MAX (2u << 20)

/* What kill's points mean to shm/board.h: 0 is "now", else the place of the word, from 1. */
#define KILL_POINT_LIST(X)                                                                         \
    X("before-send") X("before-commit") X("after-commit") X("after-send") X("off")

enum load_op { LOAD_PUT = 1, LOAD_GET = 2, LOAD_DEL = 4, LOAD_APPEND = 8, LOAD_CAS = 16 };
#define LOAD_KEYS 16u /* where the line does not say */
#define LOAD_CLIENTS 4u
#define LOAD_BYTES 16u
#define LOAD_CLIENTS_MAX 16u
#define LOAD_BYTES_MAX (512u << 10)
#define RULE_FIELD(verb) (1u << (verb)) /* verb: VERB_LOSS .. VERB_UNRELIABLE */

struct command {
    enum verb verb; /* of several link faults in one line the first of VERB_LIST */
    /* 0 for verbs without peers. cut: group[0] > group[1]. partition: all of them. drop..corrupt:
     * two for PEERS > PEERS, one for all links from and to group[0]. Others: group[0]. What may be
     * left out (on LINKS, on PEERS, heal's PEERS) is one group with the word `all`. */
    uint32_t groups;
    struct selector group[GROUPS_MAX];
    uint32_t rule_fields; /* RULE_FIELD bits: which fields of `rule` to set */
    struct link_rule rule;
    uint64_t time_ns;  /* slow-disk, step (0: next timer) */
    uint64_t rate_ppm; /* rate, skew: PPM is real time */
    uint32_t number;   /* kill: enum kill_point; fail-disk: errno (0: off) */
    struct {
        uint32_t ops;                              /* enum load_op mask; 0: off */
        uint32_t per_second, keys, clients, bytes; /* per_second 0: as fast as it goes */
    } load;
    const char *key, *value, *expected; /* in the parsed line; NULL where the verb has none */
};

/* Parse one line. `peers` is the number of peers of the cluster, 0 where not yet known. `line` is
 * written to: quoted words lose their backslashes in place and the command's texts point into it,
 * so it must live as long as they do. ERR_INPUT fills `error` and leaves `command` alone. */
err_t verb_parse(char *line, uint32_t peers, struct command *command, struct parse_error *error);
/* For lines that may also begin with other words: parse from the current word on. False, without an
 * error, where that is no verb; errors are the line's. */
bool command_parse(struct line *line, uint32_t peers, struct command *command);
/* The command as a line, cut to `size` with a 0 at the end. Returns the uncut length (snprintf). */
size_t verb_print(const struct command *command, char *text, size_t size);
/* True for drop, delay, dup, reorder, corrupt, unreliable. */
bool verb_is_link_fault(enum verb verb);
/* True for put, get, del, append, cas: they have an answer to wait for. */
bool verb_is_question(enum verb verb);

/* The rules of all links, [from][to]; row and column 0 are unused. */
struct link_table {
    struct link_rule rule[PEER_MAX + 1][PEER_MAX + 1];
    /* until they are healed by name or all are: `heal 3` opens no link to them */
    peer_set isolated;
};
/* Carry out cut, isolate, partition, heal and link faults on `table`, and nothing for other verbs.
 * Where groups of a partition overlap, a peer belongs to the first that
 * names it; peers that no group names keep their links. Returns how many links got another rule. */
uint32_t command_apply_links(const struct command *command, const struct cluster_view *view,
                             struct rng *rng, struct link_table *table);

#endif
