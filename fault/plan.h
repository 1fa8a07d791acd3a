/* fault/plan.h - the plan language: a scenario as a value that is parsed, printed, run, shrunk.
 * Owns   headers, times, repetition and expectations around the commands of fault/verb.h. Pure.
 * Leaves running to ctl/run.c (real processes) and sim/ (virtual time).
 * Holds  (P1) plan_print parses to the same plan, up to line numbers
 *        (P2) a plan with an error is not run at all
 *        (P3) steps are plain values: a plan without some of its steps may share all else of it.
 *
 *   cluster 5 seed 7 preset fast           header, first statement; without one: cluster 5
 *   at 2s    partition leader 1 | rest     wait until 2 s after the start (in repeat: of the round)
 *   every 300ms until 6s  drop 5% on all   at once and then each 300 ms, beside what follows; ends
 *                                          at 6 s (counted as for `at`), with the round or plan
 *   kill leader                            a bare command runs when the line before it has ended
 *   wait 500ms                             | wait leader, wait no leader, ...: fails after 30s
 *   repeat 20 ... end                      may be nested
 *   say "text"                             for a person
 *   expect leader [within 2s]              one leader, known to a majority
 *   expect one leader | no leader | logs equal | value KEY VALUE | commit N   [within T]
 *   expect linearizable | rpcs < N         judged once, at that moment */
#ifndef FAULT_PLAN_H
#define FAULT_PLAN_H

#include "fault/verb.h"

/* STATEMENT(name, word, arguments, help): what a line of a plan can begin with, besides a verb. */
#define STATEMENT_LIST(X)                                                                          \
    X(CLUSTER, "cluster", "N [seed S] [preset lab|watch|fast]",                                    \
      "how many peers; the first statement")                                                       \
    X(AT, "at", "TIME [STATEMENT]", "wait until TIME after the start (in repeat: of the round)")   \
    X(EVERY, "every", "TIME [until TIME] VERB...",                                                 \
      "do it at once and then each TIME, beside what follows")                                     \
    X(WAIT, "wait", "TIME | EXPECTATION [within TIME]",                                            \
      "go on after TIME, or as soon as it holds (fails after 30s)")                                \
    X(EXPECT, "expect", "EXPECTATION [within TIME]", "fail unless it holds by then")               \
    X(SAY, "say", "TEXT", "tell it to the person who watches")                                     \
    X(REPEAT, "repeat", "N", "do the lines up to `end` N times")                                   \
    X(END, "end", "", "end of repeat")
#define STATEMENT_ENUM(name, word, arguments, help) STATEMENT_##name,
enum statement { STATEMENT_LIST(STATEMENT_ENUM) STATEMENT_COUNT };
#undef STATEMENT_ENUM
struct statement_row {
    const char *word, *arguments, *help;
};
extern const struct statement_row statement_rows[STATEMENT_COUNT];

enum step_kind {
    STEP_COMMAND,
    STEP_AT,
    STEP_EVERY,
    STEP_WAIT,
    STEP_EXPECT,
    STEP_SAY,
    STEP_REPEAT,
    STEP_END
};
/* EXPECTATION(name, words, argument, can it become true by waiting?, help): first words differ. */
#define EXPECT_LIST(X)                                                                             \
    X(LEADER, "leader", "", true,                                                                  \
      "exactly one live leader of the highest term, and a majority follows it")                    \
    X(ONE_LEADER, "one leader", "", true,                                                          \
      "no two reachable leaders in one term, and one in the highest")                              \
    X(NO_LEADER, "no leader", "", true, "nobody who can reach a majority believes to lead")        \
    X(LOGS_EQUAL, "logs equal", "", true,                                                          \
      "all live peers: same last index and term, all of it applied, same state")                   \
    X(VALUE, "value", "KEY VALUE", true, "a get of KEY through the log answers VALUE")             \
    X(COMMIT, "commit", "N", true, "the highest commit index of a live peer is N or more")         \
    X(RPCS, "rpcs <", "N", false,                                                                  \
      "fewer than N RPCs between peers since the start (of the round)")                            \
    X(LINEARIZABLE, "linearizable", "", false, "the whole history of all load so far")
#define EXPECT_ENUM(name, words, argument, waits, help) EXPECT_##name,
enum expectation { EXPECT_LIST(EXPECT_ENUM) EXPECT_COUNT };
#undef EXPECT_ENUM
struct expect_row {
    const char *words, *argument;
    bool waits; /* only these can be waited for and take `within` */
    const char *help;
};
extern const struct expect_row expect_rows[EXPECT_COUNT];

#define WAIT_WITHIN_NS (30 * NS_PER_S)
#define EVERY_MIN_NS NS_PER_MS
#define REPEAT_DEPTH_MAX 16       /* repeats inside each other: a runner needs a counter for each */
#define PLAN_STEPS_MAX (2u << 20) /* what is longer is no plan */
#define PLAN_BYTES_MAX (64u << 20)

struct step {
    enum step_kind kind;
    uint32_t line;           /* in the source, from 1 */
    uint64_t at_ns;          /* AT; EVERY: period; WAIT: how long (0: wait for `expect`) */
    uint64_t until_ns;       /* EVERY; TIME_NEVER: to the end of the round or plan */
    uint64_t within_ns;      /* EXPECT; 0: now. WAIT for `expect`: WAIT_WITHIN_NS, or as it says */
    enum expectation expect; /* EXPECT, WAIT */
    uint32_t match;          /* REPEAT: its end, END: its repeat; step indexes */
    uint64_t number;         /* REPEAT: times, 1 or more; EXPECT_COMMIT, EXPECT_RPCS */
    const struct command *command; /* COMMAND, EVERY; else NULL */
    const char *key, *value;       /* EXPECT_VALUE; SAY: text in value; else NULL */
};
/* "at 2s kill leader" is two steps: AT, COMMAND. AT times do not go back within one round. */
struct plan {
    uint32_t peers;  /* default 5 */
    uint64_t seed;   /* default 1 */
    char preset[16]; /* default "fast" */
    struct step *steps;
    size_t count;
    struct command *commands; /* owned: what steps point to, */
    char *text;               /* and what the texts of both point into */
};
/* Parse `length` bytes; hostile input allowed. ERR_INPUT fills `error`; ERR_SYSTEM: out of memory.
 * On OK the plan owns memory until plan_free; else it is empty. */
err_t plan_parse(const char *text, size_t length, struct plan *plan, struct parse_error *error);
/* The same for a file; ERR_SYSTEM where it cannot be read. err_context is the line for a person:
 * "PATH:LINE:COLUMN: text", or why the file could not be read. */
err_t plan_load(const char *path, struct plan *plan, struct parse_error *error);
/* The plan as text in malloc'ed memory, to be freed by the caller; NULL when out of memory. */
char *plan_print(const struct plan *plan);
void plan_free(struct plan *plan);
/* Neither does nor expects anything: it proves nothing. */
bool plan_is_empty(const struct plan *plan);
/* The largest number of clients that a load of it asks for. */
uint32_t plan_clients(const struct plan *plan);
/* "expect leader within 2s" for reports; cut to `size`, returns the uncut length. */
size_t step_print(const struct step *step, char *text, size_t size);

#endif
