/* fault/apply.c - what commands do to the rules of all links (declared in fault/verb.h). */
#include "fault/verb.h"

#include <string.h>

/* What one command means for each link. */
struct change {
    const struct command *command;
    peer_set group[GROUPS_MAX];
    uint32_t groups;
};

static void resolve_groups(struct change *change, const struct cluster_view *view, struct rng *rng)
{
    const struct command *command = change->command;
    peer_set named = 0;
    change->groups = MIN_OF(command->groups, GROUPS_MAX);
    for (uint32_t i = 0; i < change->groups; i++) {
        change->group[i] = selector_resolve(&command->group[i], view, named, rng);
        named |= change->group[i];
    }
}

/* The first group that holds `id`; `groups` when none does. */
static uint32_t group_of(const struct change *change, uint32_t id)
{
    uint32_t i = 0;
    while (i < change->groups && !peer_in(change->group[i], id)) i++;
    return i;
}

static bool concerns(const struct change *change, uint32_t from, uint32_t to)
{
    if (change->command->verb == VERB_PARTITION) {
        uint32_t here = group_of(change, from), there = group_of(change, to);
        return here != there && here < change->groups && there < change->groups;
    }
    if (change->groups == 2)
        return peer_in(change->group[0], from) && peer_in(change->group[1], to);
    return peer_in(change->group[0], from) || peer_in(change->group[0], to);
}

static void set_fields(const struct command *command, struct link_rule *rule)
{
    const struct link_rule *new = &command->rule;
    if (command->rule_fields & RULE_FIELD(VERB_LOSS)) rule->loss_ppm = new->loss_ppm;
    if (command->rule_fields & RULE_FIELD(VERB_DUP)) rule->dup_ppm = new->dup_ppm;
    if (command->rule_fields & RULE_FIELD(VERB_REORDER)) rule->reorder_ppm = new->reorder_ppm;
    if (command->rule_fields & RULE_FIELD(VERB_CORRUPT)) rule->corrupt_ppm = new->corrupt_ppm;
    if (command->rule_fields & RULE_FIELD(VERB_UNRELIABLE)) rule->course = new->course;
    if (command->rule_fields & RULE_FIELD(VERB_DELAY)) {
        rule->delay_min_ns = new->delay_min_ns;
        rule->delay_max_ns = new->delay_max_ns;
    }
}

/* Who is isolated after the command: links between one who still is and one who is healed stay
 * cut. */
static void follow_isolated(const struct change *change, peer_set *isolated)
{
    if (change->command->verb == VERB_ISOLATE) *isolated |= change->group[0];
    if (change->command->verb == VERB_HEAL) *isolated &= ~change->group[0];
}

uint32_t command_apply_links(const struct command *command, const struct cluster_view *view,
                             struct rng *rng, struct link_table *table)
{
    struct change change = { .command = command };
    uint32_t changed = 0;
    CHECK(view->peers <= PEER_MAX);
    bool cuts = command->verb == VERB_CUT || command->verb == VERB_ISOLATE ||
                command->verb == VERB_PARTITION;
    if (!cuts && command->verb != VERB_HEAL && !verb_is_link_fault(command->verb)) return 0;
    resolve_groups(&change, view, rng);
    follow_isolated(&change, &table->isolated);
    for (uint32_t from = 1; from <= view->peers; from++) {
        for (uint32_t to = 1; to <= view->peers; to++) {
            if (from == to || !concerns(&change, from, to)) continue;
            struct link_rule *rule = &table->rule[from][to], old = *rule;
            peer_set ends = peer_bit(from) | peer_bit(to);
            if (cuts) rule->cut = 1;
            else if (command->verb == VERB_HEAL)
                *rule = (struct link_rule){ .cut = (table->isolated & ends) != 0 };
            else set_fields(command, rule);
            changed += memcmp(rule, &old, sizeof(old)) != 0;
        }
    }
    return changed;
}
