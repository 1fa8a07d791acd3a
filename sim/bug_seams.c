/* sim/bug_seams.c - disk and network of a peer that has a bug: the plain way through, but for the
 * one function that the bug replaces. */
#include "sim/wrong_steps.h"

#include <stdlib.h>

static err_t seam_load(void *state, struct disk_found *found)
{
    struct bug_seams *seams = state;
    err_t err = seams->disk.load(seams->disk.state, found);
    if (err == ERR_OK) seams->stored_term = found->term;
    return err;
}

err_t plain_commit(struct bug_seams *seams, const struct disk_save *save, int *why)
{
    err_t err = seams->disk.commit(seams->disk.state, save, why);
    if (err == ERR_OK && save->hard) seams->stored_term = save->term;
    return err;
}

static err_t seam_commit(void *state, const struct disk_save *save, int *why)
{
    struct bug_seams *seams = state;
    const struct wrong_seams *wrong = seams->bug->seams;
    return wrong->commit != NULL ? wrong->commit(seams, save, why) : plain_commit(seams, save, why);
}

static err_t seam_read(void *state, uint64_t first, uint64_t last,
                       bool (*each)(void *, uint64_t, const struct entry *), void *context)
{
    struct bug_seams *seams = state;
    return seams->disk.read(seams->disk.state, first, last, each, context);
}

static void seam_close(void *state)
{
    struct bug_seams *seams = state;
    seams->disk.close(seams->disk.state);
}

static void seam_send(void *state, struct packet *packet)
{
    struct bug_seams *seams = state;
    const struct wrong_seams *wrong = seams->bug->seams;
    if (wrong->send != NULL) wrong->send(seams, packet);
    else seams->net.send(seams->net.state, packet);
}

bool plain_receive(struct bug_seams *seams, struct packet *packet)
{
    return seams->net.receive(seams->net.state, packet);
}

static bool seam_receive(void *state, struct packet *packet)
{
    struct bug_seams *seams = state;
    const struct wrong_seams *wrong = seams->bug->seams;
    return wrong->receive != NULL ? wrong->receive(seams, packet) : plain_receive(seams, packet);
}

static void seam_flush(void *state)
{
    struct bug_seams *seams = state;
    const struct wrong_seams *wrong = seams->bug->seams;
    if (wrong->flush != NULL) wrong->flush(seams);
    else seams->net.flush(seams->net.state);
}

struct bug_seams *bug_wrap(const struct bug *bug, const struct peer *peer, struct disk *disk,
                           struct net *net, struct peer_config *config)
{
    if (bug == NULL) return NULL;
    struct bug_seams *seams = calloc(1, sizeof(*seams));
    CHECK(seams != NULL);
    seams->bug = bug;
    seams->peer = peer;
    seams->disk = *disk;
    seams->net = *net;
    bug_rules(bug, &seams->rules);
    bug_steps(bug, &seams->steps);
    config->raft.rules = &seams->rules;
    config->steps = &seams->steps;
    if (bug->seams == NULL) return seams;
    *disk = (struct disk){ seams, seam_load, seam_commit, seam_read, seam_close };
    *net = (struct net){ seams, seam_send, seam_receive, seam_flush };
    return seams;
}

void bug_unwrap(struct bug_seams *seams)
{
    if (seams == NULL) return;
    forget_owed(seams);
    forget_calls(seams);
    free(seams);
}
