/* ctl/client.h - a client of the cluster on its own rings: finds the leader, retries, never
 * doubles.
 * Owns   one session (client id, sequences), what is outstanding, when to ask again and whom.
 * Leaves the meaning of commands to node/kv.h; its process to load, bench and supervisor, who all
 *        use this.
 * Holds  (K1) a command is sent again with the same sequence, so it is applied once [R §8]
 *        (K2) FAIL only when no peer can have taken it; UNKNOWN when time ran out and one may
 *        have. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "node/kv.h"
#include "node/net_live.h"

#define CLIENT_OUTSTANDING_MAX 2048u

enum result_status { RESULT_OK, RESULT_FAIL, RESULT_UNKNOWN };
struct client_result {
    void *tag; /* what the submitter gave */
    enum result_status status;
    uint32_t reply; /* enum reply_status; with FAIL: why */
    bool timed_out;
    /* the answer; NULL when time ran out. Lives until the next client_poll */
    const struct packet *packet;
};
struct client;

/* Endpoint `self` of the region; `session` is unique among all clients this cluster's data has ever
 * seen. `give_up_ns`: real time after which a command's outcome stays unknown; `retry_ns`: after
 * which it is sent again. */
struct client *client_open(struct region *region, uint32_t self, uint64_t session,
                           uint64_t retry_ns, uint64_t give_up_ns);
void client_close(struct client *client);

/* Submit a command; client and sequence are filled in. False when too much is outstanding: poll
 * first. */
bool client_submit(struct client *client, const struct kv_command *command, void *tag);
/* Ask one peer something that is not a command (start, applied, timeout now): one try. With
 * `answered` false the result comes at once. Otherwise FAIL and timed_out when there is none within
 * `within_ns`. */
bool client_ask(struct client *client, uint32_t peer, enum message_kind kind, const uint8_t *body,
                size_t bytes, uint64_t index, uint64_t within_ns, bool answered, void *tag);
/* Take in what has arrived, send again what is due. True: *result is one finished operation; call
 * again. */
bool client_poll(struct client *client, struct client_result *result);
uint32_t client_outstanding(const struct client *client);
/* Real time at which client_poll has something to do of its own accord. */
uint64_t client_deadline(const struct client *client);
/* Sleep on the doorbell until something arrives or the deadline; not for the supervisor. */
void client_sleep(struct client *client, uint64_t until_ns);
struct net_live *client_net(struct client *client);

#endif
