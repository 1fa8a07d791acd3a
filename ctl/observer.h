/* ctl/observer.h - follows every trail of a cluster: safety, the log of transitions, subscribers.
 * Owns   one reader per trail; the merged order of notes.
 * Leaves the invariants to sim/safety.h, what happens at a violation to its user.
 * Holds  (O1) it only reads the region, and never makes a peer wait: when lapped it says how much
 *        it missed. */
#ifndef CTL_OBSERVER_H
#define CTL_OBSERVER_H

#include "ctl/cluster.h"
#include "ctl/note_log.h"
#include "sim/safety.h"
#include <stdio.h>

struct observer;
struct observer_config {
    FILE *log;       /* NULL: none. One line per transition */
    uint32_t topics; /* bit per enum topic that the log shows */
    FILE *trace;     /* NULL: none. The same with all topics */
    /* Called for each note, in time order. May be NULL. */
    void (*each)(void *context, const struct note *note);
    void (*violated)(void *context, const struct violation *violation);
    void *context;
};
struct observer *observer_open(struct cluster *cluster, const struct observer_config *config);
/* Take in everything that has been noted. Updates cluster->facts and publishes it when something
 * changed. */
void observer_poll(struct observer *observer);
void observer_close(struct observer *observer);
/* How often each kind of note was seen: what a run exercised. */
uint64_t observer_count(const struct observer *observer, enum note_kind kind);

#endif
