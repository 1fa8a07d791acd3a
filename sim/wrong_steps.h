/* sim/wrong_steps.h - steps of the turn as published bugs had them: wrong entries of struct steps,
 * and what stands wrongly between a peer and its disk or its network.
 * Owns   the wrong functions, named for what they do, and what they remember (struct bug_seams).
 * Leaves which bug has which to sim/bug.c; the plain way through the seams to sim/bug_seams.c. */
#ifndef SIM_WRONG_STEPS_H
#define SIM_WRONG_STEPS_H

#include "sim/bug.h"

enum { CALLS_MAX = 128 };

struct call { /* a request that waits for its turn, as bytes */
    uint32_t to, kind;
    uint64_t term;
    size_t length;
    uint8_t *bytes;
};

struct bug_seams {
    const struct bug *bug;
    const struct peer *peer;
    struct disk disk; /* the right ones */
    struct net net;
    struct rules rules;
    struct steps steps;
    /* disk: what it has, as far as this life knows */
    uint64_t stored_term;
    bool deaf; /* a write has failed; nothing was said */
    /* disk: a save that was promised and not done */
    bool owes;
    struct disk_save owed;
    struct entry *owed_entries;
    uint8_t *owed_bytes;
    /* network: since when a peer has owed an answer; 0: it does not */
    uint64_t asked_ns[PEER_MAX + 1];
    uint32_t broken_off; /* the round of sends has ended at this peer; 0: it goes on */
    /* network: calls one after the other */
    struct call calls[CALLS_MAX];
    uint32_t calls_count;
    uint32_t called, answer; /* who is being called; 0: nobody. What kind of reply ends it */
    uint64_t called_ns;
    struct wire_scratch *scratch;
};

/* the plain way (sim/bug_seams.c) */
err_t plain_commit(struct bug_seams *seams, const struct disk_save *save, int *why);
bool plain_receive(struct bug_seams *seams, struct packet *packet);

/* steps */
enum packing skip_what_does_not_fit(uint32_t count, size_t bytes, const struct entry *next);
err_t apply_again(struct peer *peer, const struct entry *entry, struct kv_answer *answer);
err_t apply_at_the_leader(struct peer *peer, const struct entry *entry, struct kv_answer *answer);
enum reply_status lost_is_refused(const struct peer *peer);

/* disk */
err_t term_with_entries_only(struct bug_seams *seams, const struct disk_save *save, int *why);
err_t without_the_vote(struct bug_seams *seams, const struct disk_save *save, int *why);
err_t vote_then_term(struct bug_seams *seams, const struct disk_save *save, int *why);
err_t commit_later(struct bug_seams *seams, const struct disk_save *save, int *why);
bool receive_after_commit(struct bug_seams *seams, struct packet *packet);
err_t commit_unsynced(struct bug_seams *seams, const struct disk_save *save, int *why);
err_t truncate_unsynced(struct bug_seams *seams, const struct disk_save *save, int *why);
err_t heartbeats_all_the_same(struct bug_seams *seams, const struct disk_save *save, int *why);
err_t failure_unsaid(struct bug_seams *seams, const struct disk_save *save, int *why);

/* network */
void send_until_one_fails(struct bug_seams *seams, struct packet *packet);
bool hear_answers(struct bug_seams *seams, struct packet *packet);
void begin_new_round(struct bug_seams *seams);
void call_in_turn(struct bug_seams *seams, struct packet *packet);
bool return_from_call(struct bug_seams *seams, struct packet *packet);
void go_on_calling(struct bug_seams *seams);
/* Free what they remember. */
void forget_owed(struct bug_seams *seams);
void forget_calls(struct bug_seams *seams);

#endif
