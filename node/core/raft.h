/* node/core/raft.h - Raft itself: the paper's Figure 2 as one pure step.
 * Owns   elections, replication and commitment of one peer: raft_step(raft, event, update).
 * Leaves clocks, disks, networks, payloads and state machines to the host, which performs the
 *        update. No I/O, no clock, no malloc, no random numbers in here: time and random bits come
 *        with the event.
 * Holds, on entry and exit of every step (raft_check):
 *        (I1) last_applied <= commit_index <= log.last_index
 *        (I2) durable_index <= log.last_index
 *        (I3) no entry has a term above current_term
 *        (I4) a leader or candidate has voted for itself
 *        (I5) a leader knows match_index < next_index <= log.last_index + 1 of every follower
 *        (I6) a leader knows itself as leader; a candidate knows none
 *        (I7) over time: current_term never decreases, nor does commit_index; a vote changes with
 *        the term only.
 * Source: Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm [R]; Ongaro's
 * thesis [T].
 *
 * The host's turn: step what has happened, step EVENT_FLUSH, then perform the update in the order
 * of its fields (node/turn.c). Peers are numbered from 1. Times are nanoseconds of the host's
 * clock. */
#ifndef NODE_CORE_RAFT_H
#define NODE_CORE_RAFT_H

#include "node/core/message.h"

struct rules;

struct raft_config {
    uint32_t self;
    uint32_t peers;                            /* the voters are 1..peers */
    uint64_t election_min_ns, election_max_ns; /* a timeout is drawn anew at each reset [R §5.2] */
    uint64_t heartbeat_ns;
    /* an idle leader tells a new commit_index this long after it, if not with entries */
    uint64_t notify_ns;
    uint32_t window; /* entries that may be in flight to one follower */
    /* append an empty entry at once as leader [R §8]; off in the lab's preset */
    bool noop_on_election;
    const struct rules *rules; /* NULL: rules_raft */
};

struct follower {                     /* as a leader sees it */
    uint64_t next_index, match_index; /* [R Fig.2 volatile state on leaders] */
    uint64_t commit_told;             /* commit_index of the newest message to it */
    bool probing; /* where its log ends is not known: one message at a time, without entries */
    bool waiting; /* probing: the message is under way */
    bool beat;    /* a heartbeat is due */
};

struct raft { /* hosts read it, only node/core writes it */
    struct raft_config config;
    /* persistent state [R Fig.2] */
    uint64_t current_term;
    uint32_t voted_for; /* 0: nobody */
    struct log log;
    /* volatile state [R Fig.2] */
    enum role role;
    uint32_t leader; /* 0: not known */
    uint64_t commit_index, last_applied;
    uint64_t durable_index; /* the host has said that the log is on disk up to here */
    peer_set votes;         /* votes for this peer in current_term that count */
    struct follower followers[PEER_MAX + 1];
    /* time */
    uint64_t now_ns, random;
    uint64_t timer_started_ns, election_deadline_ns;    /* TIME_NEVER for a leader */
    uint64_t heartbeat_deadline_ns, notify_deadline_ns; /* TIME_NEVER unless leader */
    uint64_t proposed_from; /* first entry taken from clients since the last flush; 0: none */
};

enum event_kind {
    EVENT_TICK,        /* time has passed */
    EVENT_MESSAGE,     /* a message has arrived */
    EVENT_PROPOSE,     /* a client wants one entry appended; answered in update->proposed */
    EVENT_TIMEOUT_NOW, /* a person lets the election timer run out */
    EVENT_FLUSH,       /* end of a turn's events: what is to be sent is decided now */
    EVENT_UNSENT, /* `message`, of update.early, has left with its entries up to `index` only */
    EVENT_STORED, /* the saved part of the update is durable, the log up to `index` */
    EVENT_APPLIED /* the host has applied up to `index` */
};
struct event {
    enum event_kind kind;
    uint64_t now_ns; /* never smaller than at the step before */
    uint64_t random; /* uniform bits; used when a timeout is drawn */
    const struct message *message;
    uint64_t index;
};

#define UPDATE_EARLY_MAX (2 * PEER_MAX)
#define UPDATE_LATE_MAX 512
#define UPDATE_NOTES_MAX 1024
/* What has to be done, in this order. Steps only add to it. */
struct update {
    /* 1. send at once: a leader's appends may leave before its own disk write [T §10.2.1]. Of
     *    entries as many as the host likes: EVENT_UNSENT */
    struct message early[UPDATE_EARLY_MAX];
    uint32_t early_count;
    /* 2. make durable, in one transaction: term and vote; the log from save_from (0: nothing) to
     *    its end, in place of whatever the disk has there. Then step EVENT_STORED. */
    bool save_hard;
    uint64_t save_from;
    /* 3. send: these promise what 2 has stored (votes, acknowledgements, candidacies) */
    struct message late[UPDATE_LATE_MAX];
    uint32_t late_count;
    /* 4. apply last_applied + 1 .. apply_to, answer clients, then step EVENT_APPLIED */
    uint64_t apply_to;
    /* For people and checkers: each transition with its reason. Full: the rest is counted only. */
    struct note notes[UPDATE_NOTES_MAX];
    uint32_t notes_count, notes_lost;
    struct note overflow; /* where a note goes when there is no room */
    /* the answer to the last EVENT_PROPOSE: where the entry will be; index 0: not the leader */
    struct log_id proposed;
};

/* Begin a life with what the disk had: term, vote, and the log in `log` (runs in the host's
 * memory). */
void raft_init(struct raft *raft, const struct raft_config *config, uint64_t term,
               uint32_t voted_for, const struct log *log, uint64_t now_ns, uint64_t random);
/* One event. Never blocks, never fails. log_room(&raft->log) must be at least 1 + the entries of a
 * message. */
void raft_step(struct raft *raft, const struct event *event, struct update *update);
/* When EVENT_TICK is due; TIME_NEVER is possible. */
uint64_t raft_deadline(const struct raft *raft);
/* True when the update can take everything that one more step may add. */
bool update_has_room(const struct update *update);
/* Forget what was performed. */
void update_reset(struct update *update);
/* The invariants I1..I6. */
void raft_check(const struct raft *raft);

#endif
