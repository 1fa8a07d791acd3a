/* sim/expect.h - what a plan expects of a cluster, judged from what its peers say of themselves.
 * Owns   what "a leader", "no leader", "logs equal" mean, and the sentence that says what was seen
 *        instead.
 * Leaves looking to the stage (sim/stage.h); when to look and how long to wait to sim/player.h;
 *        values, which have to be asked for, and histories too.
 * Holds  (E1) it only judges
 *        (E2) a peer that is dead or paused (SIGSTOP) leads nobody, follows nobody and reaches
 *             nobody, whatever it said last. */
#ifndef SIM_EXPECT_H
#define SIM_EXPECT_H

#include "base/words.h"
#include "fault/plan.h"

struct expect_peer {
    enum role role;
    uint32_t leader; /* whom it follows, itself included; 0: nobody */
    uint64_t term, last_index, last_term, commit_index, last_applied, state_hash;
};
/* What judging needs to know of all peers, at one moment. */
struct expect_view {
    uint32_t peers;
    peer_set live;                  /* alive, not paused, and its entry of `peer` is filled */
    peer_set starting;              /* alive, not paused, and has said nothing yet */
    peer_set reaches[PEER_MAX + 1]; /* live peers with no cut between, either way; itself */
    struct expect_peer peer[PEER_MAX + 1]; /* of those that are live; others may hold anything */
    uint64_t rpcs;                         /* that came in since the cluster began */
};

/* Does it hold? `rpcs` is what was counted at the start of the round. If not, `seen` says what was
 * seen instead; size 0: nobody reads. For all of EXPECT_LIST but value and linearizable. */
bool expect_holds(const struct expect_view *view, const struct step *step, uint64_t rpcs,
                  char *seen, size_t size);

#endif
