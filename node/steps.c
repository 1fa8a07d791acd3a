/* node/steps.c - the right decisions of a turn; what each decides is told in node/turn.h. */
#include "node/turn.h"

/* A frame is a stretch of the log: what does not fit ends it. One entry goes whatever its size. */
static enum packing pack(uint32_t count, size_t bytes, const struct entry *next)
{
    if (count == WIRE_ENTRIES_MAX) return PACK_STOP;
    return count > 0 && bytes + next->bytes > WIRE_BYTES_SOFT ? PACK_STOP : PACK_TAKE;
}

/* [R §5.3] every peer applies every committed entry; [R §8] the session makes a retry harmless */
static err_t apply(struct peer *peer, const struct entry *entry, struct kv_answer *answer)
{
    return kv_apply(peer->kv, entry->data, entry->bytes, answer);
}

/* The entry may be committed yet, by whoever leads next: nobody may call that a failure. */
static enum reply_status lost(const struct peer *peer)
{
    UNUSED(peer);
    return REPLY_LEADERSHIP_LOST;
}

const struct steps steps_raft = { .pack = pack, .apply = apply, .lost = lost };
