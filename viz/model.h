/* viz/model.h - what one frame shows: shared memory copied once, then smoothed, folded and checked.
 * Owns   every number on the screen. Values of peers are hostile until they are in here.
 * Leaves what the person chose to viz/view.h, drawing to viz/paint.h.
 * Holds  (M1) it only reads the region   (M2) a page that cannot be read whole keeps its old value
 *        (M3) a frame costs a bounded number of notes: routine is skipped first, and counted. */
#ifndef VIZ_MODEL_H
#define VIZ_MODEL_H

#include "fault/link.h"
#include "shm/region.h"
#include "viz/feed.h"
#include "viz/tape.h"

#define MODEL_RATE_SAMPLES 32
#define MODEL_FLIGHTS 256

struct model_peer {
    struct board board;
    struct peer_life life;
    uint64_t age_ns;      /* since the board was published, real time */
    bool published;       /* there is a board at all */
    peer_set denied;      /* who refused it its vote ... */
    uint64_t denied_term; /* ... in this term */
    uint64_t inbox_bytes; /* waiting in the rings towards it */
    uint64_t board_version;
};
struct model_link {
    struct link_rule rule;
    uint64_t queued_bytes;                         /* in the ring */
    uint64_t held;                                 /* messages that the link model holds back */
    uint64_t sent, delivered, dropped, duplicated; /* messages, so far */
    uint64_t rule_version;
};
struct model_rate { /* of a counter that grows, over the last second of real time */
    uint32_t count, next;
    uint64_t time_ns[MODEL_RATE_SAMPLES], value[MODEL_RATE_SAMPLES];
};
struct model {
    char name[64], bug[32];
    uint32_t peers;
    uint64_t election_min_ns; /* the shortest election timeout */
    uint64_t now_ns, cluster_ns;
    struct clock_face face;
    struct cluster_facts facts;
    uint64_t term;                  /* the highest of a live peer */
    uint32_t leader;                /* the live leader of the highest term; 0: none ... */
    uint64_t leaderless_ns;         /* ... for so long, cluster time */
    uint64_t led_ns;                /* cluster time when there was one last */
    uint64_t commit_index, log_end; /* the highest of all peers */
    double commits_per_s;
    uint64_t skipped; /* notes that were not read, nearly all of them routine */
    struct model_peer peer[PEER_MAX + 1];
    struct model_link link[PEER_MAX + 1][PEER_MAX + 1]; /* [from][to] */
    uint32_t flights; /* messages that are held back, the next to arrive first */
    struct held_message flight[MODEL_FLIGHTS];
    struct feed feed;
    struct tape tape;
    struct model_rate commits;
    struct trail_reader trails[PEER_MAX + 1]; /* 0: the supervisor */
    struct note pending[PEER_MAX + 1];        /* read, not yet in the feed */
    bool has_pending[PEER_MAX + 1];
};

/* A model of a region, empty but for its name; to be freed. Aborts without memory. */
struct model *model_new(const struct region *region);
void model_free(struct model *model);
/* Copy what the region says now. */
void model_read(struct model *model, const struct region *region, uint64_t now_ns);
/* What follows from the copies: leader, term, ends of logs. For model_read and made-up peers. */
void model_derive(struct model *model);
/* Take one note into the feed and the tallies. */
void model_note(struct model *model, const struct note *note);

enum entry_state { ENTRY_HERE, ENTRY_GAP, ENTRY_UNKNOWN, ENTRY_COMPACTED, ENTRY_BEYOND };
/* What `peer` has at `index`; HERE sets *term. BEYOND: no peer has it; GAP: another one has. */
enum entry_state model_entry(const struct model *model, uint32_t peer, uint64_t index,
                             uint64_t *term);
/* How much of the election timer is left, in ppm; false where none runs (leader, dead peer). */
bool model_timer(const struct model *model, uint32_t peer, uint32_t *left_ppm);

#endif
