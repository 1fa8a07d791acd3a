/* sim/safety_inside.h - what the files of the safety checker share. Nobody else includes it.
 * sim/safety.c owns terms, votes, commit indexes, states and the dispatch; sim/safety_log.c what is
 * stored, promised and believed of logs. */
#ifndef SIM_SAFETY_INSIDE_H
#define SIM_SAFETY_INSIDE_H

#include "sim/safety.h"

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)XXH3_64bits((key), (bytes)))
#include <xxhash.h>

#include <uthash.h>

#define U(x) ((unsigned long long)(x))
#define SAFETY_STORED_MAX 16384u /* ends of logs that are remembered, two terms each */

/* A vote remembered under its term and peer. */
struct vote {
    struct vote_key {
        uint64_t term, peer;
    } key;
    struct note note;
    struct vote *sibling; /* of the same peer and turn */
    UT_hash_handle hh;
};

/* A term that somebody led. In order of terms. */
struct reign {
    uint64_t term;
    struct note leader; /* BECAME_LEADER; self 0: not seen yet */
    struct note commit; /* the highest COMMITTED of this leader; self 0: none */
    struct reign *older;
    UT_hash_handle hh;
};

struct peer {
    bool known, commit_known; /* in this life */
    bool whole_life;          /* its notes were all seen since it started */
    struct note term;         /* the last note that told its term */
    struct note commit;       /* the last one of this life */
    struct note committed;    /* the highest of all lives; a is 0: none */
    struct note applied;      /* the last one of this life; a is 0: none */
    struct vote *turn_votes;  /* what it voted in the turn of its last note */
};

/* What a peer's disk holds: never taken back, since only what was stored is told. */
struct disk_seen {
    bool known;
    struct note note;   /* STORED or STARTED */
    struct note lowest; /* of its term: the one with the shortest log */
};

/* What leaders count on a peer to hold: what it acknowledged before some commit. */
struct counted {
    struct note latest; /* COMMITTED of the highest term, and there of the highest index */
    struct note before; /* the highest index of earlier terms */
};

struct safety {
    struct vote *votes;
    struct reign *reigns, *newest; /* by term; the end of the list */
    struct reign *committing;      /* the newest that has committed anything */
    struct note *applied;          /* [index % SAFETY_APPLIED_MAX] */
    struct note *stored;           /* [index % SAFETY_STORED_MAX], two each */
    struct peer peers[PEER_MAX + 1];
    struct peer durable[PEER_MAX + 1]; /* as before the turn of its last note (Y4) */
    uint64_t turn_ns[PEER_MAX + 1];    /* the time of that turn */
    peer_set failing;                  /* that turn never reached the disk */
    peer_set missing;                  /* its last notes were missed */
    struct disk_seen disks[PEER_MAX + 1];
    struct counted counted[PEER_MAX + 1];
};

/* safety.c */
__attribute__((format(printf, 5, 6))) bool broken(struct violation *violation,
                                                  const char *invariant, const struct note *first,
                                                  const struct note *second, const char *format,
                                                  ...);
/* The reign of this term; made where there is none. */
struct reign *reign_of(struct safety *safety, uint64_t term);

/* safety_log.c: each is one check, and remembers what it needs */
bool check_kept(struct safety *safety, const struct note *note, struct violation *violation);
bool check_promise(struct safety *safety, const struct note *note, struct violation *violation);
bool check_quorum(struct safety *safety, const struct note *note, struct violation *violation);
bool check_counted(struct safety *safety, const struct note *note, struct violation *violation);
bool check_complete(struct safety *safety, const struct note *note, struct violation *violation);
bool check_prefix(struct safety *safety, const struct note *note, struct violation *violation);
bool check_match(struct safety *safety, const struct note *note, struct violation *violation);
/* Last of all. */
void remember_disk(struct safety *safety, const struct note *note);

#endif
