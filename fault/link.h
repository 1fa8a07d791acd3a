/* fault/link.h - the link model: what happens to one message on one directed link.
 * Owns   rule x random x time -> dropped (why), delivered at, delivered twice, corrupted. Pure:
 *        used live by the receiver of a message, and by the simulator.
 * Leaves storing rules to the region, holding messages to node/net_live.c.
 * Holds  (F1) a rule without faults delivers at once, once, untouched, and draws no random number
 *        (F2) under one rule without `reorder` and `unreliable` a link stays first-in first-out,
 *             whatever the delays
 *        (F3) the same seed, rules and times give the same fates
 *        (F4) no message waits longer than its own rule's longest delay (link_longest_ns): after
 *             a heal nothing queues behind what an older rule still holds back (that, then, arrives
 *             late)
 *        (F5) cut beats everything, loss beats the rest. */
#ifndef FAULT_LINK_H
#define FAULT_LINK_H

#include "base/rng.h"
#include "base/words.h"

/* The network of the course whose labs these tests come from (MIT 6.824, labrpc): requests and
 * replies have fates of their own. Beside the other fields of a rule, not instead of them.
 *   UNRELIABLE  one in ten of either is lost; a request is 0 to 26 ms late, and they overtake
 *   LONG        also two of three replies are held 200 + r ms, r from 0 to u, u from 0 to 1999 */
enum link_course { COURSE_OFF, COURSE_UNRELIABLE, COURSE_LONG, COURSE_COUNT };
#define COURSE_LOSS_PPM (PPM / 10)
#define COURSE_REQUEST_MS 26u
#define COURSE_HOLD_PPM (PPM / 3 * 2)
#define COURSE_HOLD_MS 200u
#define COURSE_SPREAD_MS 1999u

struct link_rule {                       /* directed, [from][to]; zero bytes: a perfect link */
    uint64_t delay_min_ns, delay_max_ns; /* uniform between, both inclusive */
    uint32_t loss_ppm, dup_ppm, corrupt_ppm;
    uint32_t reorder_ppm; /* chance that a message leaves the queue: its own delay alone counts */
    uint32_t cut;         /* 0 or 1 */
    uint32_t course;      /* enum link_course */
};
_Static_assert(sizeof(struct link_rule) == 40, "whole words: it travels in a latch");
#define LINK_RULE_WORDS (sizeof(struct link_rule) / sizeof(uint64_t))
/* Messages can overtake each other only where delays differ: where the rule's do not, a message
 * that reordering chose is held back up to this much longer. */
#define LINK_REORDER_NS (10 * NS_PER_MS)

enum link_cause { LINK_DELIVERED, LINK_CUT, LINK_LOST };
struct link_fate {
    enum link_cause cause;
    uint32_t copies;           /* 0 when dropped, 1, or 2 when duplicated */
    uint64_t deliver_at_ns[2]; /* cluster time, earlier copy first; each has a delay of its own */
    bool corrupt;              /* flip a bit of it before anybody checks it */
};
/* Memory of one link, seeded by (seed, from, to). */
struct link_state {
    struct rng rng;
    uint64_t last_deliver_ns; /* F2 */
};

bool link_rule_faultless(const struct link_rule *rule);
/* Rates at most PPM, delay_min <= delay_max, cut 0 or 1, course a link_course. */
bool link_rule_valid(const struct link_rule *rule);
/* The longest that a message may be held back (F4), reordering aside. */
uint64_t link_longest_ns(const struct link_rule *rule);
void link_state_init(struct link_state *state, uint64_t seed, uint32_t from, uint32_t to);
/* The fate of a message that is taken from the ring at `now_ns`, which never goes back on one
 * link. `kind` is an enum message_kind, or what hostile bytes say. Total: an invalid rule (shared
 * memory is hostile) gives some fate, too. */
void link_decide(struct link_state *state, const struct link_rule *rule, uint32_t kind,
                 uint64_t now_ns, struct link_fate *fate);

#endif
