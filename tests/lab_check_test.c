/* tests/lab_check_test.c - the lab's checks find what is planted: a check that never fails proves
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/lab.h"

#include <string.h>

#define SERVERS 3

/* ---- who leads ---- */

static struct claim_row {
    const char *name;
    struct lab_claim claims[SERVERS];
    size_t leader; /* place in claims; SERVERS: nobody */
    const char *leaders_wrong, *terms_wrong;
} claim_rows[] = {
    { "nobody leads", { { 0, 1, false }, { 1, 1, false }, { 2, 1, false } }, SERVERS, NULL, NULL },
    { "one leads", { { 0, 2, false }, { 1, 2, true }, { 2, 2, false } }, 1, NULL, NULL },
    { "an old leader does not count",
      { { 0, 1, true }, { 1, 3, true }, { 2, 2, true } },
      1,
      NULL,
      "servers disagree on the term: 0 says 1, 1 3" },
    { "two leaders in one term",
      { { 0, 4, true }, { 1, 4, false }, { 2, 4, true } },
      0,
      "term 4 has two leaders: 0 and 2",
      NULL },
    { "two leaders in an old term",
      { { 0, 2, true }, { 1, 2, true }, { 2, 4, true } },
      1,
      "term 2 has two leaders: 0 and 1",
      "servers disagree on the term: 0 says 2, 2 4" },
    { "the last has another term",
      { { 0, 2, true }, { 1, 2, false }, { 2, 1, false } },
      0,
      NULL,
      "servers disagree on the term: 0 says 2, 2 1" },
};

static void says(const char *said, const char *expected)
{
    if (expected == NULL) assert_null(said);
    else assert_string_equal(said != NULL ? said : "nothing", expected);
}

static void claims_are_judged(void **state)
{
    const struct claim_row *row = *state;
    size_t leader;
    const char *said = lab_wrong_leaders(row->claims, SERVERS, &leader);
    says(said, row->leaders_wrong);
    if (said == NULL) assert_int_equal(leader, row->leader);
    says(lab_wrong_terms(row->claims, SERVERS), row->terms_wrong);
}

/* ---- what was applied ---- */

struct told {
    uint32_t server;
    uint64_t index, term;
    const char *command; /* NULL: the end */
};
static struct told_row {
    const char *name;
    struct told told[5];
    const char *last_wrong; /* what is said of the last; the others are well */
} told_rows[] = {
    { "equal logs",
      { { 0, 1, 1, "a" }, { 1, 1, 1, "a" }, { 0, 2, 1, "b" }, { 1, 2, 1, "b" } },
      NULL },
    { "one is behind", { { 0, 1, 1, "a" }, { 0, 2, 1, "b" }, { 2, 1, 1, "a" } }, NULL },
    { "another command",
      { { 0, 1, 1, "a" }, { 0, 2, 1, "b" }, { 1, 1, 1, "a" }, { 1, 2, 1, "c" } },
      "index 2: server 1 applied 'c', another 'b'" },
    { "another term",
      { { 0, 1, 1, "a" }, { 1, 1, 2, "a" } },
      "index 1: server 1 applied 'a', another 'a'" },
    { "a gap at the beginning", { { 0, 2, 1, "a" } }, "server 0 applied index 2 after 0" },
    { "a gap", { { 0, 1, 1, "a" }, { 0, 3, 1, "b" } }, "server 0 applied index 3 after 1" },
    { "applied twice", { { 0, 1, 1, "a" }, { 0, 1, 1, "a" } }, "server 0 applied index 1 after 1" },
};

static void entries_are_judged(void **state)
{
    const struct told_row *row = *state;
    uint64_t applied[SERVERS] = { 0 };
    struct lab_log agreed = { 0 };
    for (size_t i = 0; row->told[i].command != NULL; i++) {
        const struct told *told = &row->told[i];
        struct lab_entry entry = { told->index, told->term, "start", told->command };
        const char *said = lab_wrong_entry(&agreed, &applied[told->server], told->server, &entry);
        says(said, row->told[i + 1].command == NULL ? row->last_wrong : NULL);
    }
    lab_log_clear(&agreed);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(claim_rows) + COUNT(told_rows)];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(claim_rows); i++)
        tests[count++] = (struct CMUnitTest){ claim_rows[i].name, claims_are_judged, NULL, NULL,
                                              &claim_rows[i] };
    for (size_t i = 0; i < COUNT(told_rows); i++)
        tests[count++] =
            (struct CMUnitTest){ told_rows[i].name, entries_are_judged, NULL, NULL, &told_rows[i] };
    return _cmocka_run_group_tests("lab checks", tests, count, NULL, NULL);
}
