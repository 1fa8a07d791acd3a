/* node/wire.c - encoding in place, decoding with suspicion (W1..W3). */
#include "node/wire.h"

#include <string.h>
#include <xxhash.h>

enum { FRAME_MAGIC = 0x52494e47 }; /* "RING" */

struct entry_head {
    uint64_t term;
    uint32_t bytes, kind;
};

const char *reply_text(uint32_t status)
{
#define REPLY_TEXT(name, text) text,
    static const char *const texts[] = { REPLY_LIST(REPLY_TEXT) };
#undef REPLY_TEXT
    return status < COUNT(texts) ? texts[status] : "?";
}

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static bool has_entries(uint32_t kind)
{
    return kind == MESSAGE_APPEND_REQUEST || kind == MESSAGE_APPLIED_REPLY;
}

size_t wire_bytes(struct packet *packet)
{
    if (has_entries(packet->frame.kind)) {
        size_t bytes = 0;
        for (uint32_t i = 0; i < packet->frame.count; i++)
            bytes += sizeof(struct entry_head) + padded(packet->entries[i].bytes);
        packet->frame.body_bytes = (uint32_t)bytes;
    }
    return sizeof(struct frame) + packet->frame.body_bytes;
}

void wire_encode(const struct packet *packet, uint8_t *to)
{
    struct frame frame = packet->frame;
    frame.magic = FRAME_MAGIC;
    uint8_t *at = to + sizeof(frame);
    if (has_entries(frame.kind)) {
        for (uint32_t i = 0; i < frame.count; i++) {
            const struct entry *entry = &packet->entries[i];
            struct entry_head head = { entry->term, entry->bytes, entry->kind };
            memcpy(at, &head, sizeof(head));
            at += sizeof(head);
            if (entry->bytes > 0) memcpy(at, entry->data, entry->bytes);
            memset(at + entry->bytes, 0, padded(entry->bytes) - entry->bytes);
            at += padded(entry->bytes);
        }
    } else if (frame.body_bytes > 0) {
        memcpy(at, packet->body, frame.body_bytes);
    }
    memcpy(to, &frame, sizeof(frame));
    size_t skip = sizeof(frame.checksum);
    frame.checksum = XXH3_64bits(to + skip, sizeof(frame) + frame.body_bytes - skip);
    memcpy(to, &frame.checksum, sizeof(frame.checksum));
}

/* Every length is checked against what is left before it is used; terms never decrease [R §5.3]. */
static err_t decode_entries(const uint8_t *at, size_t left, struct wire_scratch *scratch,
                            struct packet *packet)
{
    uint64_t term = packet->frame.kind == MESSAGE_APPEND_REQUEST ? packet->frame.raft.prev.term : 0;
    for (uint32_t i = 0; i < packet->frame.count; i++) {
        struct entry_head head;
        if (left < sizeof(head)) return ERR_CORRUPT;
        memcpy(&head, at, sizeof(head));
        at += sizeof(head);
        left -= sizeof(head);
        if (head.bytes > ENTRY_BYTES_MAX || padded(head.bytes) > left) return ERR_CORRUPT;
        if (head.kind >= ENTRY_KIND_COUNT || head.term < term || head.term == 0) return ERR_CORRUPT;
        if (head.term > packet->frame.term) return ERR_CORRUPT;
        term = head.term;
        scratch->entries[i] = (struct entry){ head.term, head.kind, head.bytes, at };
        scratch->terms[i] = head.term;
        at += padded(head.bytes);
        left -= padded(head.bytes);
    }
    if (left != 0) return ERR_CORRUPT;
    packet->entries = scratch->entries;
    packet->terms = scratch->terms;
    return ERR_OK;
}

err_t wire_decode(const uint8_t *bytes, size_t length, uint32_t from, uint32_t to,
                  struct wire_scratch *scratch, struct packet *packet)
{
    struct frame *frame = &packet->frame;
    if (length < sizeof(*frame)) return ERR_CORRUPT;
    memcpy(frame, bytes, sizeof(*frame));
    if (frame->magic != FRAME_MAGIC) return ERR_CORRUPT;
    if (frame->body_bytes != length - sizeof(*frame)) return ERR_CORRUPT;
    size_t skip = sizeof(frame->checksum);
    if (frame->checksum != XXH3_64bits(bytes + skip, length - skip)) return ERR_CORRUPT;
    if (frame->kind >= MESSAGE_KIND_COUNT || frame->from != from || frame->to != to)
        return ERR_CORRUPT;
    if (frame->count > WIRE_ENTRIES_MAX) return ERR_CORRUPT;
    packet->entries = NULL;
    packet->terms = NULL;
    packet->body = bytes + sizeof(*frame);
    if (frame->kind <= MESSAGE_TIMEOUT_NOW) { /* what is near the end of numbers is none of ours */
        if (frame->term > UINT64_MAX / 2 || frame->raft.prev.index > UINT64_MAX / 2)
            return ERR_CORRUPT;
        if (frame->term == 0 || frame->raft.prev.term > frame->term) return ERR_CORRUPT;
    }
    if (has_entries(frame->kind))
        return decode_entries(packet->body, frame->body_bytes, scratch, packet);
    return frame->count == 0 ? ERR_OK : ERR_CORRUPT;
}

void message_of_packet(const struct packet *packet, struct message *message)
{
    const struct frame *frame = &packet->frame;
    *message = (struct message){
        .kind = frame->kind,
        .from = frame->from,
        .to = frame->to,
        .granted = frame->flag != 0,
        .count = frame->count,
        .term = frame->term,
        .prev = frame->raft.prev,
        .commit_index = frame->raft.commit_index,
        .match_index = frame->raft.match_index,
        .conflict = frame->raft.conflict,
        .terms = packet->terms,
    };
}

void packet_of_message(const struct message *message, struct packet *packet)
{
    *packet = (struct packet){
        .frame = {
            .kind = message->kind,
            .from = message->from,
            .to = message->to,
            .flag = message->granted,
            .count = message->count,
            .term = message->term,
            .raft = {
                .prev = message->prev,
                .conflict = message->conflict,
                .commit_index = message->commit_index,
                .match_index = message->match_index,
            },
        },
    };
}
