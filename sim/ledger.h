/* sim/ledger.h - the disks of whole peers in memory, and an observer who believes no peer.
 * Owns   what each disk holds, what is committed, and the verdict. It is told what is written,
 *        sent, committed, applied and answered, in the order in which it happens, and judges
 *        LM equal (index, term): equal bytes, and equal bytes before it, on all disks, ever
 *        CQ what is committed first is then on the disks of a majority, synced, and of the term of
 *           the leader that says so; from that term on nobody deletes it, and nobody ever
 *           without an entry in its place
 *        LC a new leader has all that is committed
 *        SM what is committed or applied is the same everywhere (a model applies it, too)
 *        PR what a message promises is on the sender's disk, synced, when it leaves
 *        MI what a leader believes a follower to have grows, and is on that follower's disk
 *        ES one leader per term, V1 one vote per peer and term: over what was sent
 *        AK a command answered ok is committed
 *        X1 a command that was refused for good never is
 *        beside all that sim/safety.h judges over notes.
 * Leaves the running of peers to sim/world.h.
 * Holds  (G1) cost per fact does not grow with the log. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "base/rng.h"
#include "node/turn.h"
#include "sim/safety.h"

struct page {
    struct entry entry; /* its data is the ledger's */
    uint64_t chain;     /* hash of this entry and of all before it */
};
struct image { /* what a peer has on disk */
    uint64_t term;
    uint32_t voted_for;
    struct page *log; /* index i is log[i - 1] */
    uint64_t count, capacity;
    struct undo *unsynced;  /* commits that a power cut may undo, newest first */
    uint64_t unsynced_from; /* they have touched the log from here on; TIME_NEVER: nowhere */
    bool unsynced_vote;     /* and term or vote */
};
struct sessions { /* what is known of commands, by session and sequence: enum fate */
    uint8_t *fate;
    uint64_t capacity;
};
struct votes { /* by term */
    uint8_t *whom;
    uint64_t capacity;
};
struct ledger {
    uint32_t peers;
    struct image *disks;    /* by peer */
    struct image committed; /* its log */
    uint64_t *committed_in; /* by index: the term of who said so first */
    uint64_t committed_in_capacity;
    uint64_t *states; /* by index: hash of the state after it */
    uint64_t states_capacity;
    struct text *texts;  /* bytes of entries, each once */
    struct known *known; /* (index, term) -> chain */
    uint8_t *leaders;    /* by term; 0: none yet */
    uint64_t leaders_capacity;
    uint64_t newest_term; /* that a leader was elected in */
    struct votes *votes;  /* by peer */
    struct sessions *sessions;
    uint64_t sessions_capacity;
    struct safety *safety;
    const char *broken; /* NULL, or what was violated first */
    char text[512];     /* the sentence that says how */
};

void ledger_open(struct ledger *ledger, uint32_t peers);
void ledger_close(struct ledger *ledger);
/* Something is wrong; the first one counts. */
__attribute__((format(printf, 3, 4))) void ledger_broken(struct ledger *ledger, const char *what,
                                                         const char *format, ...);
/* One transaction of peer `id`. */
void ledger_save(struct ledger *ledger, uint32_t id, const struct disk_save *save);
/* Its disk forgets some of the commits that were not synced, the newest first, at least one. */
void ledger_power_cut(struct ledger *ledger, uint32_t id, struct rng *rng);
/* A packet of a peer leaves, now. */
void ledger_sent(struct ledger *ledger, const struct frame *frame);
/* A peer tells. */
void ledger_note(struct ledger *ledger, const struct note *note);
/* A peer, alive, knows what is committed, and knew it before up to `before`. */
void ledger_committed(struct ledger *ledger, const struct peer *peer, uint64_t before);
/* It has applied so much, to that effect. */
void ledger_state(struct ledger *ledger, const struct peer *peer);
/* A leader believes peer `id` to have its log up to match_index, and before up to `before`. */
void ledger_match(struct ledger *ledger, const struct raft *leader, uint32_t id, uint64_t before);
/* A client was told that its command took effect. */
void ledger_answered(struct ledger *ledger, uint64_t session, uint64_t sequence);
/* A client was told that its command will never take effect. */
void ledger_refused(struct ledger *ledger, uint64_t session, uint64_t sequence);
/* A peer says that it applied these entries from `index` on. */
void ledger_applied(struct ledger *ledger, uint64_t index, const struct entry *entries,
                    uint32_t count);

#endif
