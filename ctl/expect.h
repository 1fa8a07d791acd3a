/* ctl/expect.h - what a plan expects of a live cluster, judged from what its peers publish.
 * Owns   what "a leader", "no leader", "logs equal" mean for real processes, and the sentence that
 *        says what was seen instead.
 * Leaves when to look and how long to wait to ctl/executor.h; values, which have to be asked for,
 *        and histories too.
 * Holds  (E1) it only looks
 *        (E2) a peer that is dead or paused (SIGSTOP) leads nobody, follows nobody and reaches
 *             nobody, whatever it published last. */
#ifndef CTL_EXPECT_H
#define CTL_EXPECT_H

#include "ctl/cluster.h"
#include "fault/plan.h"

/* What judging needs to know of all peers, copied at one moment. */
struct expect_view {
    uint32_t peers;
    peer_set live;                  /* alive, not paused, and has published something */
    peer_set starting;              /* alive, not paused, and has not published yet */
    peer_set reaches[PEER_MAX + 1]; /* live peers with no cut between, either way; and itself */
    struct board boards[PEER_MAX + 1];
    uint64_t rpcs; /* that came in since the cluster began */
};
void expect_look(const struct cluster *cluster, struct expect_view *view);

/* Does it hold? `rpcs` is what was counted at the start of the round. If not, `seen` says what was
 * seen instead. For all of EXPECT_LIST but value and linearizable. */
bool expect_holds(const struct expect_view *view, const struct step *step, uint64_t rpcs,
                  char *seen, size_t size);

#endif
