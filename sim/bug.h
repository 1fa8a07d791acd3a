/* sim/bug.h - the museum: bugs that were published, each as one swapped rule or one wrong step of
 * the turn.
 * Owns   the table of bugs; the seams around a peer that has one.
 * Leaves the right rules to node/core/rules.c and node/steps.c, the wrong ones to
 *        sim/wrong_rules.h and sim/wrong_steps.h, what each is told with to sim/bug_story.h,
 *        running them to sim/world.h and the live peers (node/live.h).
 * Holds  (B1) a bug changes exactly one entry of struct rules or struct steps, or one of the two
 *             seams
 *        (B2) what a wrong step remembers lives and dies with its peer: no clock, no chance, no
 *             memory but that of bug_wrap. */
#ifndef SIM_BUG_H
#define SIM_BUG_H

#include "node/core/rules.h"
#include "node/turn.h"

#define BUG_GROUP_LIST(X)                                                                          \
    X(ELECTIONS, "elections")                                                                      \
    X(REPLICATION, "replication and commitment")                                                   \
    X(PERSISTENCE, "persistence")                                                                  \
    X(CLIENTS, "clients")
#define BUG_GROUP_ENUM(name, text) BUG_##name,
enum bug_group { BUG_GROUP_LIST(BUG_GROUP_ENUM) BUG_GROUP_COUNT };
#undef BUG_GROUP_ENUM
const char *bug_group_name(enum bug_group group);

struct bug_seams;
/* What takes the place of a function of a seam; NULL: the seam's own. */
struct wrong_seams {
    err_t (*commit)(struct bug_seams *seams, const struct disk_save *save, int *why);
    void (*send)(struct bug_seams *seams, struct packet *packet);
    bool (*receive)(struct bug_seams *seams, struct packet *packet);
    void (*flush)(struct bug_seams *seams);
};

struct bug {
    enum bug_group group;
    uint32_t number;    /* in the catalogue of published bugs; 0: a classic of the classroom */
    char form;          /* 'a', 'b' ... where one number has several; else 0 */
    const char *name;   /* "stale-vote-reply" */
    const char *title;  /* one line */
    const char *breaks; /* invariants, the one that shows it first at the front: "ES V1" */
    const char *plan;   /* its schedule, a file below plans/bugs; NULL: none that is short */
    /* what is right and what is wrong, as functions: "file name", several with commas */
    const char *right, *wrong;
    /* one of them is set */
    void (*swap)(struct rules *rules);
    void (*swap_step)(struct steps *steps);
    const struct wrong_seams *seams;
};
extern const struct bug bugs[];
extern const size_t bugs_count;

/* By name or by number ("6", "4b"). NULL, and the context says where they are listed, for one that
 * is none. */
const struct bug *bug_find(const char *name);
/* Number and form as a person writes them: "4b"; "-" where there is none. */
const char *bug_number(const struct bug *bug, char text[16]);
/* Raft's rules, or steps, with the bug's wrong one; without a bug (NULL) Raft's. */
void bug_rules(const struct bug *bug, struct rules *rules);
void bug_steps(const struct bug *bug, struct steps *steps);

/* Give the bug to a peer that is about to be opened with these: config gets its rules and steps,
 * disk and net go through its wrong seams. `peer` is where the peer will be. NULL, and nothing is
 * changed, where `bug` is NULL. Free after peer_close, with bug_unwrap. */
struct bug_seams *bug_wrap(const struct bug *bug, const struct peer *peer, struct disk *disk,
                           struct net *net, struct peer_config *config);
void bug_unwrap(struct bug_seams *seams);

#endif
