/* node/kv.h - the state machine: a key-value store with client sessions.
 * Owns   keys and values in memory, and what each session has already had applied; commands as
 *        bytes.
 * Leaves order and durability to Raft: a restart replays the log.
 * Holds  (K1) the same entries in the same order give the same state and answers on every peer
 *        (K2) a command with the (client, sequence) of an applied one is not applied again and
 *             gets the same answer [T §6.3]
 *        (K3) bytes of a log may be anything: undecodable commands change nothing.
 *
 * A session remembers the outcomes of the last KV_WINDOW sequences up to the newest that the log
 * brought (a rule of the log alone, for K1):
 *   newer than the newest     apply; the window moves on to it
 *   inside the window         apply if it was not yet; else answer as the first time
 *   before the window         stale: not applied, no answer is known any more
 * Commands of one client may stand in the log in any order, as long as no more than KV_WINDOW are
 * outstanding. A get is outside all this: it changes nothing, so a retry reads again, and any later
 * read is a right answer while the operation is open. Sessions are not forgotten: about 1 KiB for
 * each client. */
#ifndef NODE_KV_H
#define NODE_KV_H

#include "base/base.h"
#include "base/err.h"

#define KV_VALUE_MAX (1u << 20) /* of one value; a whole command: ENTRY_BYTES_MAX, node/disk.h */
#define KV_WINDOW 4096u         /* commands that one session may have outstanding */

#define KV_OP_LIST(X) X(PUT, "put") X(GET, "get") X(DEL, "del") X(APPEND, "append") X(CAS, "cas")
#define KV_OP_ENUM(name, text) KV_##name,
enum kv_op { KV_OP_LIST(KV_OP_ENUM) KV_OP_COUNT };
#undef KV_OP_ENUM
/* "put"; "?" for an op that is none. */
const char *kv_op_name(uint32_t op);

struct kv_command {
    uint64_t client, sequence; /* client 0: no session, applied each time; sequence from 1 */
    uint32_t op;
    uint32_t key_bytes, value_bytes, expected_bytes;
    const uint8_t *key, *value, *expected; /* any bytes, also none; not owned */
};
struct kv_answer {
    bool found; /* get: the key exists. del: it existed. cas: replaced. put, append: true */
    bool stale; /* the session has moved on past this sequence: no answer is known any more */
    const uint8_t *value; /* get: owned by the store, until the next kv_apply */
    uint32_t value_bytes;
};
struct kv;

/* Bytes that kv_encode needs. */
size_t kv_encoded_bytes(const struct kv_command *command);
/* Write the command; `size` is at least kv_encoded_bytes. Returns bytes written. */
size_t kv_encode(const struct kv_command *command, uint8_t *to, size_t size);
/* Views into `from`. ERR_CORRUPT when the lengths do not add up, or op or sequence are none. */
err_t kv_decode(const uint8_t *from, size_t bytes, struct kv_command *command);

struct kv *kv_new(void);
void kv_free(struct kv *kv);
/* Apply one entry's bytes (K1..K3). ERR_CORRUPT: changed nothing. ERR_TOO_LARGE: the value would
 * pass KV_VALUE_MAX; changed nothing, and a retry gets the same answer. Notes no context. */
err_t kv_apply(struct kv *kv, const uint8_t *bytes, size_t length, struct kv_answer *answer);
/* Number of keys; for display. */
size_t kv_count(const struct kv *kv);
/* A command as a person writes it ("put k v"), cut to `size` with a 0 at the end; returns its
 * length. Unprintable bytes are \xHH; a word that is empty or holds a space is in double quotes. */
size_t kv_text(const uint8_t *bytes, size_t length, char *text, size_t size);

#endif
