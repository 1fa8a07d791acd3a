/* tests/harness/lab_2a.c - MIT 6.824 lab 2A, leader election. */
#include "tests/harness/lab_scenes.h"

static void initial_election(struct lab *lab)
{
    lab_check_one_leader(lab);
    lab_sleep(lab, 50); /* followers may learn of the election a little later */
    long long term = lab_check_terms(lab);
    if (term < 1) lab_fail(lab, "term is %lld, but should be at least 1", term);
    lab_sleep(lab, 2 * ELECTION_TIMEOUT_MS);
    if (lab_check_terms(lab) != term)
        lab_remark(lab, "warning: the term changed although nothing failed");
    lab_check_one_leader(lab);
}

static void re_election(struct lab *lab)
{
    uint32_t leader1 = lab_check_one_leader(lab);
    lab_disconnect(lab, leader1);
    lab_check_one_leader(lab);
    lab_connect(lab, leader1); /* the old leader must not disturb the new one */
    uint32_t leader2 = lab_check_one_leader(lab);

    lab_disconnect(lab, leader2);
    lab_disconnect(lab, (leader2 + 1) % 3);
    lab_sleep(lab, 2 * ELECTION_TIMEOUT_MS);
    lab_check_no_leader(lab); /* one of three is no majority */

    lab_connect(lab, (leader2 + 1) % 3);
    lab_check_one_leader(lab);
    lab_connect(lab, leader2);
    lab_check_one_leader(lab);
}

static void many_elections(struct lab *lab)
{
    lab_check_one_leader(lab);
    for (int round = 1; round < 10; round++) {
        uint32_t victims[3];
        for (size_t i = 0; i < COUNT(victims); i++) {
            victims[i] = lab_random_server(lab); /* may coincide */
            lab_disconnect(lab, victims[i]);
        }
        lab_check_one_leader(lab); /* the old one, or one of the four */
        for (size_t i = 0; i < COUNT(victims); i++) lab_connect(lab, victims[i]);
    }
    lab_check_one_leader(lab);
}

const struct lab_test lab_2a[3] = {
    { "TestInitialElection2A", 3, initial_election },
    { "TestReElection2A", 3, re_election },
    { "TestManyElections2A", 7, many_elections },
};
