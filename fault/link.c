/* fault/link.c - the link model: one rule, one generator, one message, one fate. */
#include "fault/link.h"

/* TIME_NEVER rather than a wrapped time. */
static uint64_t later(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns < TIME_NEVER - now_ns ? now_ns + delay_ns : TIME_NEVER;
}

bool link_rule_faultless(const struct link_rule *rule)
{
    return rule->cut == 0 && rule->loss_ppm == 0 && rule->dup_ppm == 0 && rule->corrupt_ppm == 0 &&
           rule->reorder_ppm == 0 && rule->delay_max_ns == 0 && rule->delay_min_ns == 0 &&
           rule->course == COURSE_OFF;
}

bool link_rule_valid(const struct link_rule *rule)
{
    return rule->cut <= 1 && rule->loss_ppm <= PPM && rule->dup_ppm <= PPM &&
           rule->corrupt_ppm <= PPM && rule->reorder_ppm <= PPM &&
           rule->delay_min_ns <= rule->delay_max_ns && rule->course < COURSE_COUNT;
}

uint64_t link_longest_ns(const struct link_rule *rule)
{
    static const uint32_t longest_ms[COURSE_COUNT] = { 0, COURSE_REQUEST_MS,
                                                       COURSE_HOLD_MS + COURSE_SPREAD_MS };
    uint64_t more_ns = rule->course < COURSE_COUNT ? longest_ms[rule->course] * NS_PER_MS : 0;
    return later(MAX_OF(rule->delay_max_ns, rule->delay_min_ns), more_ns);
}

void link_state_init(struct link_state *state, uint64_t seed, uint32_t from, uint32_t to)
{
    *state = (struct link_state){ 0 };
    rng_seed(&state->rng, seed, from, to);
}

/* How much later the course's network lets a copy arrive. */
static uint64_t course_delay(struct link_state *state, const struct link_rule *rule, bool reply)
{
    if (rule->course == COURSE_OFF) return 0;
    if (!reply) return rng_range(&state->rng, 0, COURSE_REQUEST_MS) * NS_PER_MS;
    if (rule->course != COURSE_LONG || !rng_chance(&state->rng, COURSE_HOLD_PPM)) return 0;
    uint64_t spread_ms = rng_range(&state->rng, 0, COURSE_SPREAD_MS);
    return (COURSE_HOLD_MS + rng_range(&state->rng, 0, spread_ms)) * NS_PER_MS;
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

void link_decide(struct link_state *state, const struct link_rule *rule, uint32_t kind,
                 uint64_t now_ns, struct link_fate *fate)
{
    bool reply = kind == MESSAGE_VOTE_REPLY || kind == MESSAGE_APPEND_REPLY;
    *fate = (struct link_fate){ .cause = LINK_DELIVERED };
    if (rule->cut != 0) { /* F5 */
        fate->cause = LINK_CUT;
        return;
    }
    bool lost = rng_chance(&state->rng, rule->loss_ppm);
    if (rule->course != COURSE_OFF) lost |= rng_chance(&state->rng, COURSE_LOSS_PPM);
    if (lost) {
        fate->cause = LINK_LOST;
        return;
    }
    fate->corrupt = rng_chance(&state->rng, rule->corrupt_ppm);
    fate->copies = rng_chance(&state->rng, rule->dup_ppm) ? 2 : 1;
    for (uint32_t i = 0; i < fate->copies; i++)
        fate->deliver_at_ns[i] =
            later(travel(state, rule, now_ns), course_delay(state, rule, reply));
    if (fate->copies == 2 && fate->deliver_at_ns[1] < fate->deliver_at_ns[0]) {
        uint64_t earlier = fate->deliver_at_ns[1];
        fate->deliver_at_ns[1] = fate->deliver_at_ns[0];
        fate->deliver_at_ns[0] = earlier;
    }
}
