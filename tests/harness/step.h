/* tests/harness/step.h - kills a process after each single machine instruction of an operation.
 * Owns   the child under ptrace: it begins the operation, is stepped `n` instructions far, and is
 *        killed.
 * Leaves what must hold then to the tests: `check` looks at memory that parent and child share. */
#ifndef TESTS_HARNESS_STEP_H
#define TESTS_HARNESS_STEP_H

#include <stdbool.h>
#include <stdint.h>

struct step_case {
    void (*prepare)(void *context); /* in the parent, before each child; NULL: nothing to do */
    void (*operate)(void *context); /* in the child, stepped */
    bool (*check)(void *context);   /* in the parent, after the kill; false: a violation */
    void *context;
    uint32_t tries; /* a violation counts when it comes back so often; 0: once */
};
struct step_report {
    uint64_t instructions; /* of the whole operation */
    uint64_t kills;        /* points at which it was killed */
    bool violated;
    uint64_t violated_at; /* the instruction, from 0 */
};

/* False where the system forbids ptrace altogether; says so on stderr. */
bool step_possible(void);
/* Kill after every instruction, until the first violation; after every n-th of a long operation, as
 * sanitizers make them. */
struct step_report step_each(const struct step_case *c);

#endif
