/* node/wire.h - messages as bytes: one fixed frame, then entries or a client's bytes.
 * Owns   the frame, its checksum, and the validation of everything that comes off a ring.
 * Leaves transport to shm/ring.h. Both sides are the same binary, so structs travel as they are;
 *        but what is read is hostile until wire_decode has looked at every field.
 * Holds  (W1) what wire_encode wrote decodes to the same packet   (W2) bytes that do not decode
 *        change nothing: the caller counts and drops   (W3) a decoded packet has from, to, kind,
 *        counts and terms in range. */
#ifndef NODE_WIRE_H
#define NODE_WIRE_H

#include "node/core/message.h"
#include "node/disk.h"

#define WIRE_ENTRIES_MAX 4096u       /* in one frame */
#define WIRE_BYTES_SOFT (256u << 10) /* a frame with several entries stays below this */

/* What a client or the supervisor is told. */
#define REPLY_LIST(X)                                                                              \
    X(OK, "ok")                                                                                    \
    X(NOT_LEADER, "not the leader")                                                                \
    X(LEADERSHIP_LOST, "leadership was lost before the outcome was known")                         \
    X(TOO_LARGE, "the entry is larger than 1 MiB")                                                 \
    X(BUSY, "too much is waiting to be committed")                                                 \
    X(STALE, "the session has moved past this command")                                            \
    X(BAD, "the command makes no sense")
#define REPLY_ENUM(name, text) REPLY_##name,
enum reply_status { REPLY_LIST(REPLY_ENUM) REPLY_STATUS_COUNT };
#undef REPLY_ENUM
const char *reply_text(uint32_t status);

struct frame {
    uint64_t checksum; /* XXH3 of all bytes behind it */
    uint32_t magic;
    uint32_t body_bytes;          /* behind the frame */
    uint8_t kind, from, to, flag; /* endpoints; flag: message.granted, kv_answer.found, is leader */
    uint32_t count;               /* entries in the body */
    uint64_t sequence;            /* of the sender on this link; gaps are drops */
    uint64_t sent_ns;             /* cluster time */
    uint64_t term;
    union {
        struct { /* the paper's RPCs, as in struct message */
            struct log_id prev, conflict;
            uint64_t commit_index, match_index;
        } raft;
        struct {              /* clients and the supervisor */
            uint64_t request; /* the asker's number, sent back with the answer */
            uint64_t index;   /* start: where; applied: of the first entry */
            uint32_t status;  /* enum reply_status */
            uint32_t leader;  /* 0: not known */
        } client;
    };
};
_Static_assert(sizeof(struct frame) == 96, "no padding: all bytes are checked");

/* A frame with what follows it. Entries and body are not owned. */
struct packet {
    struct frame frame;
    const struct entry *entries; /* frame.count of them; append requests, applied replies */
    const uint64_t *terms;       /* received: of the entries, as struct message wants them */
    const uint8_t *body;         /* client request and reply, start: frame.body_bytes of them */
};

/* Bytes of the packet on the wire. Sets frame.body_bytes of packets with entries. */
size_t wire_bytes(struct packet *packet);
/* Write wire_bytes() bytes to `to`, 8-byte aligned, and the checksum. */
void wire_encode(const struct packet *packet, uint8_t *to);

/* Room for a decoded packet's entries. */
struct wire_scratch {
    struct entry entries[WIRE_ENTRIES_MAX];
    uint64_t terms[WIRE_ENTRIES_MAX];
};
/* Decode private bytes (8-byte aligned; the packet points into them and into scratch). `from` and
 * `to` are what the ring says. ERR_CORRUPT: checksum, magic, addresses, kind or lengths are
 * wrong. */
err_t wire_decode(const uint8_t *bytes, size_t length, uint32_t from, uint32_t to,
                  struct wire_scratch *scratch, struct packet *packet);
/* The core's view of a packet of the paper's RPCs, and back. */
void message_of_packet(const struct packet *packet, struct message *message);
void packet_of_message(const struct message *message, struct packet *packet);

#endif
