/* node/kv.h - the state machine: a key-value store with client sessions.
 * Owns   keys and values in memory, and what each session has already had applied; commands as bytes.
 * Leaves order and durability to Raft: a restart replays the log.
 * Holds  (K1) the same entries in the same order give the same state and answers on every peer
 *        (K2) a command with the (client, sequence) of an applied one is not applied again and gets the
 *             same answer [T §6.3]   (K3) bytes of a log may be anything: undecodable commands change nothing. */
#ifndef NODE_KV_H
#define NODE_KV_H

#include "base/err.h"

#define KV_VALUE_MAX (1u << 20) /* an entry is at most 1 MiB: key, value and expected together less a header */
#define KV_WINDOW 4096u         /* commands that one session may have outstanding */

#define KV_OP_LIST(X) X(PUT, "put") X(GET, "get") X(DEL, "del") X(APPEND, "append") X(CAS, "cas")
#define KV_OP_ENUM(name, text) KV_##name,
enum kv_op { KV_OP_LIST(KV_OP_ENUM) KV_OP_COUNT };
#undef KV_OP_ENUM
const char *kv_op_name(uint32_t op);

struct kv_command {
    uint64_t client, sequence; /* client 0: no session, applied each time; sequence from 1 */
    uint32_t op;
    uint32_t key_bytes, value_bytes, expected_bytes;
    const uint8_t *key, *value, *expected; /* any bytes; not owned */
};
struct kv_answer {
    bool found;  /* get: the key exists. del: it existed. cas: replaced. put, append: true */
    bool stale;  /* the session has moved on past this sequence: no answer is known any more */
    const uint8_t *value; /* get: owned by the store, until the next kv_apply */
    uint32_t value_bytes;
};
struct kv;

/* Bytes that kv_encode needs. */
size_t kv_encoded_bytes(const struct kv_command *command);
/* Write the command; `size` is at least kv_encoded_bytes. Returns bytes written. */
size_t kv_encode(const struct kv_command *command, uint8_t *to, size_t size);
/* Views into `from`. ERR_CORRUPT when the lengths do not add up. */
err_t kv_decode(const uint8_t *from, size_t bytes, struct kv_command *command);

struct kv *kv_new(void);
void kv_free(struct kv *kv);
/* Apply one entry's bytes (K1..K3). ERR_CORRUPT: changed nothing. ERR_TOO_LARGE: an append would pass
 * KV_VALUE_MAX; changed nothing. */
err_t kv_apply(struct kv *kv, const uint8_t *bytes, size_t length, struct kv_answer *answer);
/* Number of keys; for display. */
size_t kv_count(const struct kv *kv);
/* A command as a person writes it ("put k v"), unprintable bytes as \xHH, cut to size; returns its length. */
size_t kv_text(const uint8_t *bytes, size_t length, char *text, size_t size);

#endif
