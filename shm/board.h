/* shm/board.h - what each peer publishes of itself: the paper's state, so that others can look
 * without asking.
 * Owns   the shape of the published page. Plain data; indexes are labelled, never mixed.
 * Leaves tearing to shm/latch.h, the time of publication's clock to shm/clock.h.
 * Holds  (D1) only words, no pointers, so that a page can be copied
 *        (D2) written by the peer alone; alive and paused are the supervisor's knowledge (struct
 *             peer_life), not the peer's. */
#ifndef SHM_BOARD_H
#define SHM_BOARD_H

#include "base/words.h"
#include "shm/latch.h"

#define BOARD_RUNS 48 /* newest runs of equal terms in the log */

struct board_run {
    uint64_t first_index, term;
};
struct board_follower { /* as the leader believes; Figure 2, volatile state on leaders */
    uint64_t next_index, match_index;
};
struct board {
    uint64_t published_ns; /* CLOCK_MONOTONIC */
    uint64_t cluster_ns;
    uint64_t life;      /* incarnation, 1 for the first */
    uint64_t role;      /* enum role */
    uint64_t term;      /* current_term */
    uint64_t voted_for; /* 0: nobody in this term */
    uint64_t leader;    /* 0: unknown */
    peer_set votes;     /* candidate and leader: who voted for it in this term */
    uint64_t first_index, last_index, last_term;
    uint64_t durable_index, commit_index, last_applied;
    uint64_t state_hash;            /* of everything applied so far, in order */
    uint64_t timer_started_ns;      /* cluster time of the last reset ... */
    uint64_t timer_deadline_ns;     /* ... and when it runs out; TIME_NEVER for a leader */
    uint64_t disk_errno;            /* 0: the disk is well */
    uint64_t disk_commits, disk_ns; /* commits so far, and ns spent in them */
    uint64_t proposals, answers;    /* client commands taken and answered in this life */
    uint64_t held;                  /* messages that the link model holds back for this peer */
    uint64_t runs;                  /* of log_runs, oldest first; covers the end of the log */
    struct board_run log_runs[BOARD_RUNS];
    struct board_follower followers[PEER_MAX + 1]; /* leader only; by peer id */
};
#define BOARD_WORDS (sizeof(struct board) / sizeof(uint64_t))
_Static_assert(sizeof(struct board) % sizeof(uint64_t) == 0, "whole words");

/* Written by the supervisor, one per peer. */
struct peer_life {
    uint64_t pid;    /* 0: not running */
    uint64_t alive;  /* 0 or 1 */
    uint64_t paused; /* 0 or 1 */
    uint64_t starts; /* how often it was started */
};
#define LIFE_WORDS (sizeof(struct peer_life) / sizeof(uint64_t))

/* Orders of the supervisor to one peer, obeyed at its next turn. */
struct peer_orders {
    uint64_t slow_disk_ns; /* real time added to each commit */
    uint64_t fail_disk;    /* errno that commits shall fail with; 0: none */
    uint64_t skew_ppm;     /* rate of its own clock against the cluster's; PPM is true */
    uint64_t kill_point;   /* enum kill_point: SIGKILL itself there, once */
};
#define ORDERS_WORDS (sizeof(struct peer_orders) / sizeof(uint64_t))
enum kill_point {
    KILL_NOWHERE,
    KILL_BEFORE_SEND,
    KILL_BEFORE_COMMIT,
    KILL_AFTER_COMMIT,
    KILL_AFTER_SEND,
    KILL_OFF /* never: takes the order back */
};

/* Written by the supervisor, one per cluster. */
struct cluster_facts {
    uint64_t violations; /* safety invariants seen broken; 0 is the green light */
    uint64_t checked;    /* notes that the safety checker has seen */
    uint64_t missed;     /* notes that it was too slow for: it cannot vouch for those */
    uint64_t operations; /* client operations answered, load and control socket together */
    uint64_t load_on;    /* 0 or 1 */
};
#define FACTS_WORDS (sizeof(struct cluster_facts) / sizeof(uint64_t))

/* A message that the link model holds back, as its receiver shows it. */
struct held_message {
    uint64_t deliver_at_ns; /* cluster time; 0: the slot is free */
    uint64_t sent_at_ns;
    uint64_t sequence; /* of the sender on this link */
    uint64_t term;
    uint32_t bytes;
    uint8_t from, to, kind, spare;
};
#define HELD_WORDS (sizeof(struct held_message) / sizeof(uint64_t))
#define HELD_SLOTS 128u /* that are visible, per receiver */

#endif
