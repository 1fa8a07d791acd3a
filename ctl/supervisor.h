/* ctl/supervisor.h - the loop around a running cluster: children, sockets, signals, notes, one plan
 * perhaps.
 * Owns   struct supervisor and its poll; who is asked what on behalf of whom.
 * Leaves processes to ctl/cluster.c, verbs to ctl/carry.c, the socket's lines to ctl/control.c,
 *        plans to ctl/run.c.
 * Holds  (S1) nothing in here waits for a peer: a paused or dead one costs an answer, not the
 *             loop
 *        (S2) the first violation of safety stops all peers (SIGSTOP), once. */
#ifndef CTL_SUPERVISOR_H
#define CTL_SUPERVISOR_H

#include "ctl/client.h"
#include "ctl/cluster.h"
#include "ctl/observer.h"
#include <signal.h>

struct control;
struct load;

struct supervisor_config {
    struct cluster_config cluster;
    bool listen; /* open the control socket of cluster.name */
    FILE *log;   /* transitions, or NULL */
    FILE *trace; /* the same with all topics, whatever `topics` says, or NULL */
    uint32_t topics;
};

struct supervisor {
    struct supervisor_config config;
    struct cluster *cluster;
    struct observer *observer;
    struct client *client;      /* the supervisor's own endpoint: asks peers for others */
    struct control *control;    /* NULL without a socket */
    struct load *load;          /* NULL: none running, none ever */
    struct violation violation; /* the first one */
    bool violated;
    bool frozen;     /* they were stopped because of it */
    bool stop;       /* somebody asked for the end */
    int stop_signal; /* 0: asked by a verb */
    /* called for every note, e.g. by a plan's runner; may be NULL */
    void (*each_note)(void *context, const struct note *note);
    void *context;
};

/* Block SIGINT, SIGTERM, SIGHUP, start the cluster, open the socket. On an error nothing is
 * left. */
err_t supervisor_open(const struct supervisor_config *config, struct supervisor *supervisor);
/* Handle what is there; wait until `until_ns` (CLOCK_MONOTONIC) at most for something to handle. */
void supervisor_poll(struct supervisor *supervisor, uint64_t until_ns);
/* End everything. */
void supervisor_close(struct supervisor *supervisor);

/* A question on behalf of somebody: `done` is called once, during a later supervisor_poll. */
struct question {
    void (*done)(struct question *question, const struct client_result *result);
    void *context;
    uint64_t number;
};

#endif
