/* sim/ledger.h - the disks of whole peers in memory, and an observer who believes no
 * peer.
 * Owns   what each disk holds, what is committed, and the verdict. It is told what is written,
 *        sent, committed, applied and answered, and judges
 *        LM equal (index, term): equal bytes, and equal bytes before it, on all disks, ever
 *        CQ what is committed first is then on the disks of a majority; nobody deletes it after;
 *           a leader commits with an entry of its own term
 *        SM what is committed or applied is the same everywhere (a model applies it, too)
 *        PR what a message promises is on the sender's disk when it leaves
 *        ES one leader per term, V1 one vote per peer and term: over what was sent
 *        AK a command answered ok is committed
 *        beside all that sim/safety.h judges over notes.
 * Leaves the running of peers to sim/world.h. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "node/turn.h"
#include "sim/safety.h"

enum { LEDGER_PEERS = 7, LEDGER_SESSIONS = 16 };

struct page {
    struct entry entry; /* its data is the ledger's */
    uint64_t chain;     /* hash of this entry and of all before it */
};
struct image { /* what a peer has on disk */
    uint64_t term;
    uint32_t voted_for;
    struct page *log; /* index i is log[i - 1] */
    uint64_t count, capacity;
};
struct ledger {
    uint32_t peers;
    struct image disks[LEDGER_PEERS + 1];
    struct image committed; /* its log */
    uint64_t *states;       /* by index: hash of the state after it */
    uint64_t states_capacity;
    struct text *texts;  /* bytes of entries, each once */
    struct known *known; /* (index, term) -> chain */
    uint8_t *leaders;    /* by term; 0: none yet */
    uint64_t leaders_capacity;
    uint8_t *votes[LEDGER_PEERS + 1]; /* by term */
    uint64_t votes_capacity[LEDGER_PEERS + 1];
    uint8_t *done[LEDGER_SESSIONS]; /* by sequence: committed */
    uint64_t done_capacity[LEDGER_SESSIONS];
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
/* A packet of a peer leaves, now. */
void ledger_sent(struct ledger *ledger, const struct packet *packet);
/* A peer tells. */
void ledger_note(struct ledger *ledger, const struct note *note);
/* A peer, alive, knows what is committed, and knew it before up to `before`. */
void ledger_committed(struct ledger *ledger, const struct peer *peer, uint64_t before);
/* It has applied so much, to that effect. */
void ledger_state(struct ledger *ledger, const struct peer *peer);
/* A client was told that its command took effect. */
void ledger_answered(struct ledger *ledger, uint64_t session, uint64_t sequence);
/* A peer says that it applied these entries from `index` on. */
void ledger_applied(struct ledger *ledger, uint64_t index, const struct entry *entries,
                    uint32_t count);

#endif
