/* fault/link.c - the link model: one rule, one generator, one message, one fate. */
#include "fault/link.h"

bool link_rule_faultless(const struct link_rule *rule)
{
    return rule->cut == 0 && rule->loss_ppm == 0 && rule->dup_ppm == 0 && rule->corrupt_ppm == 0 &&
           rule->reorder_ppm == 0 && rule->delay_max_ns == 0 && rule->delay_min_ns == 0;
}

bool link_rule_valid(const struct link_rule *rule)
{
    return rule->cut <= 1 && rule->loss_ppm <= PPM && rule->dup_ppm <= PPM &&
           rule->corrupt_ppm <= PPM && rule->reorder_ppm <= PPM &&
           rule->delay_min_ns <= rule->delay_max_ns;
}

void link_state_init(struct link_state *state, uint64_t seed, uint32_t from, uint32_t to)
{
    *state = (struct link_state){ 0 };
    rng_seed(&state->rng, seed, from, to);
}

/* TIME_NEVER rather than a wrapped time. */
static uint64_t later(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns < TIME_NEVER - now_ns ? now_ns + delay_ns : TIME_NEVER;
}

/* When one copy arrives. */
static uint64_t travel(struct link_state *state, const struct link_rule *rule, uint64_t now_ns)
{
    uint64_t min = rule->delay_min_ns, max = MAX_OF(rule->delay_max_ns, min);
    if (rng_chance(&state->rng,
                   rule->reorder_ppm)) { /* leaves the queue: neither waits nor is waited for */
        if (min == max && max <= TIME_NEVER - LINK_REORDER_NS) max += LINK_REORDER_NS;
        return later(now_ns, rng_range(&state->rng, min, max));
    }
    uint64_t at = later(now_ns, min == max ? min : rng_range(&state->rng, min, max));
    uint64_t behind = MIN_OF(state->last_deliver_ns, later(now_ns, max)); /* F2, but F4 */
    state->last_deliver_ns = MAX_OF(at, behind);
    return state->last_deliver_ns;
}

void link_decide(struct link_state *state, const struct link_rule *rule, uint64_t now_ns,
                 struct link_fate *fate)
{
    *fate = (struct link_fate){ .cause = LINK_DELIVERED };
    if (rule->cut != 0) { /* F5 */
        fate->cause = LINK_CUT;
        return;
    }
    if (rng_chance(&state->rng, rule->loss_ppm)) {
        fate->cause = LINK_LOST;
        return;
    }
    fate->corrupt = rng_chance(&state->rng, rule->corrupt_ppm);
    fate->copies = rng_chance(&state->rng, rule->dup_ppm) ? 2 : 1;
    for (uint32_t i = 0; i < fate->copies; i++)
        fate->deliver_at_ns[i] = travel(state, rule, now_ns);
    if (fate->copies == 2 && fate->deliver_at_ns[1] < fate->deliver_at_ns[0]) {
        uint64_t earlier = fate->deliver_at_ns[1];
        fate->deliver_at_ns[1] = fate->deliver_at_ns[0];
        fate->deliver_at_ns[0] = earlier;
    }
}
