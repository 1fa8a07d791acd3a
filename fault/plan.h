/* fault/plan.h - the plan language: a scenario as a value that is parsed, printed, run, shrunk.
 * Owns   headers, times, repetition and expectations around the commands of fault/verb.h. Pure.
 * Leaves running to ctl/run.c (real processes) and sim/ (virtual time).
 * Holds  (P1) plan_print parses to the same plan   (P2) a plan with an error is not run at all.
 *
 *   cluster 5 seed 7 preset fast             header, first statement; all but `cluster N` optional
 *   at 2s    partition leader 1 | rest       wait until 2 s after the start (inside repeat: of the round)
 *   every 300ms until 6s  drop 5% on all     in the background, beside what follows
 *   kill leader                              a bare command runs when the line before it has ended
 *   wait 500ms                               | wait leader, wait no leader, ... : like expect, fails after 30s
 *   repeat 20 ... end                        may be nested
 *   say "text"                               for a person
 *   expect leader [within 2s]                one leader, known to a majority
 *   expect one leader | no leader | logs equal | value KEY VALUE | commit N | rpcs < N  [within T]
 *   expect linearizable                      the history of all load so far */
#ifndef FAULT_PLAN_H
#define FAULT_PLAN_H

#include "fault/verb.h"

enum step_kind { STEP_COMMAND, STEP_AT, STEP_EVERY, STEP_WAIT, STEP_EXPECT, STEP_SAY, STEP_REPEAT, STEP_END };
enum expectation {
    EXPECT_LEADER,       /* exactly one live leader of the highest term, and a majority follows it */
    EXPECT_ONE_LEADER,   /* no two reachable leaders in one term, and one in the highest */
    EXPECT_NO_LEADER,    /* nobody who can reach a majority believes to lead */
    EXPECT_LOGS_EQUAL,   /* all live peers: same last index and term, all of it applied, same state hash */
    EXPECT_VALUE,        /* a get through the log answers `command.value` for `command.key` */
    EXPECT_COMMIT,       /* highest commit index of a live peer is at least `number` */
    EXPECT_RPCS,         /* RPCs sent between peers since the start (of the round) are fewer than `number` */
    EXPECT_LINEARIZABLE, /* checked once, at that moment, over the whole recorded history */
    EXPECT_COUNT
};
struct step {
    enum step_kind kind;
    uint32_t line;           /* in the source, from 1 */
    uint64_t at_ns;          /* STEP_AT; STEP_EVERY: period; STEP_WAIT: how long (0: wait for `expect`) */
    uint64_t until_ns;       /* STEP_EVERY */
    uint64_t within_ns;      /* STEP_EXPECT; 0: now */
    enum expectation expect; /* STEP_EXPECT, STEP_WAIT */
    uint64_t number;         /* STEP_REPEAT: times; EXPECT_COMMIT, EXPECT_RPCS */
    uint32_t match;          /* STEP_REPEAT: its end, STEP_END: its repeat; step indexes */
    struct command command;  /* COMMAND, EVERY; EXPECT_VALUE: key and value; SAY: text in value */
};
/* "at 2s kill leader" is two steps: AT, COMMAND. */
struct plan {
    uint32_t peers;  /* default 5 */
    uint64_t seed;   /* default 1 */
    char preset[16]; /* default "fast" */
    struct step *steps;
    size_t count;
};
/* Parse `length` bytes; hostile input allowed. ERR_INPUT fills `error`; ERR_SYSTEM when out of memory.
 * On OK the plan owns memory until plan_free. */
err_t plan_parse(const char *text, size_t length, struct plan *plan, struct parse_error *error);
err_t plan_load(const char *path, struct plan *plan, struct parse_error *error);
/* The plan as text in malloc'ed memory, to be freed by the caller. */
char *plan_print(const struct plan *plan);
void plan_free(struct plan *plan);
/* "expect leader within 2s" for reports. */
size_t step_print(const struct step *step, char *text, size_t size);

#endif
