/* tests/harness/scenes.c - the made-up clusters of tests/harness/scenes.h. */
#include "tests/harness/scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct model *blank(uint32_t peers)
{
    struct model *model = calloc(1, sizeof(*model));
    CHECK(model != NULL);
    snprintf(model->name, sizeof(model->name), "demo");
    model->peers = peers;
    model->now_ns = 1000 * NS_PER_S;
    model->cluster_ns = 12345 * NS_PER_MS;
    model->face.rate_ppm = PPM;
    for (uint32_t i = 1; i <= peers; i++) {
        struct model_peer *peer = &model->peer[i];
        peer->published = true;
        peer->life = (struct peer_life){ .pid = 4000 + i, .alive = 1, .starts = 1 };
        peer->board.life = 1;
        peer->board.first_index = 1;
        peer->board.timer_started_ns = model->cluster_ns - i * 20 * NS_PER_MS;
        peer->board.timer_deadline_ns = model->cluster_ns + (220 - i * 20 % 200) * NS_PER_MS;
    }
    return model;
}

/* A log of one-digit terms, all of it durable. */
static void set_log(struct model *model, uint32_t id, const char *terms, uint64_t commit)
{
    struct board *board = &model->peer[id].board;
    board->runs = 0;
    for (uint64_t i = 0; terms[i] != '\0'; i++) {
        uint64_t term = (uint64_t)(terms[i] - '0');
        if (board->runs == 0 || board->log_runs[board->runs - 1].term != term)
            board->log_runs[board->runs++] = (struct board_run){ i + 1, term };
        board->last_term = term;
    }
    board->last_index = board->durable_index = strlen(terms);
    board->commit_index = board->last_applied = commit;
}

static void set_role(struct model *model, uint32_t id, enum role role, uint64_t term,
                     uint64_t voted_for, peer_set votes)
{
    struct board *board = &model->peer[id].board;
    board->role = role;
    board->term = term;
    board->voted_for = voted_for;
    board->votes = votes;
    board->leader = role == LEADER ? id : 0;
    if (role == LEADER) board->timer_deadline_ns = TIME_NEVER;
}

static void note(struct model *model, uint64_t ms, uint32_t self, enum note_kind kind,
                 uint32_t other, uint64_t term, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct note one = {
        ms * NS_PER_MS, (uint16_t)kind, (uint8_t)self, (uint8_t)other, 0, term, a, b, c, d
    };
    model_note(model, &one);
}

/* Everybody follows `leader`, whose log is `terms`. */
static void follow(struct model *model, uint32_t leader, uint64_t term, const char *terms,
                   uint64_t commit)
{
    for (uint32_t i = 1; i <= model->peers; i++) {
        set_role(model, i, i == leader ? LEADER : FOLLOWER, term, leader,
                 i == leader ? peer_first(model->peers) : 0);
        model->peer[i].board.leader = leader;
        set_log(model, i, terms, commit);
        model->peer[leader].board.followers[i] =
            (struct board_follower){ strlen(terms) + 1, strlen(terms) };
    }
}

struct model *scene_fresh(void)
{
    struct model *model = blank(5);
    for (uint32_t i = 1; i <= 5; i++) note(model, 3, i, NOTE_STARTED, 0, 0, 1, 0, 0, 0);
    return model;
}

struct model *scene_candidate(void)
{
    struct model *model = scene_fresh();
    for (uint32_t i = 1; i <= 5; i++) set_role(model, i, FOLLOWER, 1, i == 4 ? 4 : 2, 0);
    set_role(model, 2, CANDIDATE, 1, 2, peer_bit(2) | peer_bit(3));
    set_role(model, 5, FOLLOWER, 0, 0, 0);
    note(model, 230, 2, NOTE_ELECTION_TIMEOUT, 0, 0, 231 * NS_PER_MS, 0, 0, 0);
    note(model, 230, 2, NOTE_BECAME_CANDIDATE, 0, 1, 0, 0, 0, 0);
    note(model, 241, 3, NOTE_VOTE_GRANTED, 2, 1, 0, 0, 0, 0);
    note(model, 242, 4, NOTE_VOTE_REFUSED_VOTED, 2, 1, 4, 0, 0, 0);
    note(model, 250, 2, NOTE_VOTE_COUNTED, 3, 1, 2, 3, 0, 0);
    note(model, 251, 2, NOTE_VOTE_DENIED, 4, 1, 0, 0, 0, 0);
    return model;
}

struct model *scene_steady(void)
{
    struct model *model = blank(5);
    follow(model, 2, 4, "111222224444444", 14);
    model->peer[2].board.commit_index = model->peer[2].board.last_applied = 15;
    model->peer[4].board.durable_index = 13;
    model->commits_per_s = 1203.4;
    note(model, 900, 2, NOTE_BECAME_LEADER, 0, 4, 3, 5, 8, 0);
    for (uint32_t i = 1; i <= 5; i++)
        if (i != 2) note(model, 905 + i, i, NOTE_LEADER_KNOWN, 2, 4, 0, 0, 0, 0);
    note(model, 2000, 2, NOTE_PROPOSED, 0, 4, 9, 12, 0, 0);
    note(model, 2100, 2, NOTE_PROPOSED, 0, 4, 13, 15, 0, 0);
    for (uint32_t i = 1; i <= 5; i++)
        if (i != 2) note(model, 2100 + i, i, NOTE_APPENDED, 2, 4, 9, 15, 0, 0);
    note(model, 2110, 2, NOTE_COMMITTED, 0, 4, 15, 0, 0, 0);
    return model;
}

/* The paper's Figure 7: a new leader of term 8, and followers (a) to (f) as 2 to 7. */
struct model *scene_figure_7(void)
{
    static const char *const logs[] = { "1114455666",   "111445566", "1114",       "11144556666",
                                        "111445566677", "1114444",   "11122233333" };
    struct model *model = blank(7);
    for (uint32_t i = 1; i <= 7; i++) {
        set_role(model, i, i == 1 ? LEADER : FOLLOWER, 8, 1, i == 1 ? 0x9e : 0);
        set_log(model, i, logs[i - 1], 3);
        model->peer[1].board.followers[i] = (struct board_follower){ 11, 0 };
    }
    note(model, 5000, 1, NOTE_BECAME_LEADER, 0, 8, 4, 7, 10, 0);
    note(model, 5010, 3, NOTE_APPEND_REFUSED_SHORT, 1, 8, 10, 4, 0, 0);
    note(model, 5011, 7, NOTE_APPEND_REFUSED_PREV, 1, 8, 10, 6, 3, 0);
    note(model, 5012, 1, NOTE_BACKED_OFF, 3, 8, 11, 5, 0, 0);
    note(model, 5013, 4, NOTE_TRUNCATED, 1, 8, 11, 11, 0, 0);
    return model;
}

struct model *scene_faults(void)
{
    struct model *model = blank(5);
    follow(model, 4, 4, "1112223334", 10);
    set_role(model, 2, LEADER, 3, 2, 0x2e); /* paused, it believes still */
    set_log(model, 2, "111222333", 9);
    model->peer[2].life.paused = 1;
    model->peer[2].age_ns = 2700 * NS_PER_MS;
    set_log(model, 3, "11122", 5);
    model->peer[3].board.term = 2;
    model->peer[3].life = (struct peer_life){ .starts = 1 };
    model->peer[3].age_ns = 130 * NS_PER_S;
    model->peer[1].board.commit_index = 9;
    model->peer[1].board.durable_index = 9;
    model->facts.missed = 12;
    model->face.rate_ppm = PPM / 50;
    note(model, 8000, 0, NOTE_KILLED, 3, 0, 0, 0, 0, 0);
    note(model, 9000, 0, NOTE_PAUSED, 2, 0, 0, 0, 0, 0);
    for (uint64_t i = 1; i <= 3; i++) {
        note(model, 9200 + i * 200, 5, NOTE_ELECTION_TIMEOUT, 0, 3, 211 * NS_PER_MS, 0, 0, 0);
        note(model, 9200 + i * 200, 5, NOTE_BECAME_CANDIDATE, 0, 3 + i, 3, 9, 0, 0);
    }
    note(model, 9900, 1, NOTE_VOTE_REFUSED_LOG, 5, 4, 2, 5, 3, 9);
    note(model, 9950, 4, NOTE_BECAME_LEADER, 0, 4, 3, 5, 9, 0);
    return model;
}

struct model *scene_isolated(void)
{
    struct model *model = scene_steady();
    for (uint32_t i = 1; i <= 4; i++) {
        model->link[i][5].rule.cut = model->link[5][i].rule.cut = 1;
        model->link[i][5].dropped = 1234 * i;
    }
    model->link[1][2].rule =
        (struct link_rule){ .loss_ppm = 50000, .delay_max_ns = 20 * NS_PER_MS };
    model->link[1][2].held = 3;
    model->link[2][1].queued_bytes = 5120;
    model->link[3][1].rule.dup_ppm = 10000;
    for (uint64_t i = 0; i < 12; i++) note(model, 3000 + i, 5, NOTE_DROPPED_CUT, 2, 4, 0, 0, 0, 0);
    return model;
}

/* 40 seconds: an election, work, a leader that dies, another, a pause, a cut, a frozen clock. */
struct model *scene_tape(void)
{
    struct model *model = scene_steady();
    for (uint64_t ms = 0; ms <= 40000; ms += 50) {
        bool led = ms >= 3000 && (ms < 15000 || ms >= 18000);
        bool frozen = ms >= 30000 && ms < 33000;
        uint64_t term = ms < 2500 ? 0 : ms < 16000 ? 1 : 3;
        tape_step(&model->tape, ms * NS_PER_MS, frozen, term, led);
        if (ms == 15000) tape_note(&model->tape, NOTE_KILLED);
        if (ms == 20000) tape_note(&model->tape, NOTE_RESTARTED);
        if (ms == 25000) tape_note(&model->tape, NOTE_PAUSED);
        if (ms == 25050) tape_note(&model->tape, NOTE_LINKS_CHANGED); /* the pause weighs more */
        if (ms == 35000) tape_note(&model->tape, NOTE_LINKS_CHANGED);
        if (ms == 39000) tape_note(&model->tape, NOTE_UNSAFE);
    }
    for (uint32_t i = 2; i <= 5; i++) model->link[1][i].rule.delay_max_ns = 200 * NS_PER_MS;
    model->election_min_ns = 150 * NS_PER_MS;
    return model;
}

/* Messages on a slow clock: one is about to arrive, one has just left, one is late. */
struct model *scene_flight(void)
{
    struct model *model = scene_steady();
    uint64_t now = model->cluster_ns;
    model->face.rate_ppm = PPM / 100;
    model->flight[0] = (struct held_message){
        now - NS_PER_MS, now - 9 * NS_PER_MS, 7, 3, 48, 5, 2, MESSAGE_VOTE_REPLY, 0
    };
    model->flight[1] = (struct held_message){
        now + NS_PER_MS, now - 9 * NS_PER_MS, 8, 4, 1234, 2, 1, MESSAGE_APPEND_REQUEST, 0
    };
    model->flight[2] =
        (struct held_message){ now + 20 * NS_PER_MS, now, 9, 4, 64, 4, 2, MESSAGE_APPEND_REPLY, 0 };
    model->flights = 3;
    return model;
}

struct model *scene_busy(void)
{
    struct model *model = scene_steady();
    for (uint64_t i = 0; i < 500; i++)
        note(model, 3000 + i, 2, NOTE_COMMITTED, 0, 4, 16 + i, 0, 0, 0);
    note(model, 4000, 0, NOTE_PAUSED, 5, 0, 0, 0, 0, 0);
    note(model, 4100, 2, NOTE_COMMITTED, 0, 4, 600, 0, 0, 0);
    return model;
}

/* A leader of term 2 that was cut off goes on taking commands; the others have elected another. */
struct model *scene_lonely(void)
{
    struct model *model = blank(5);
    char terms[BOARD_RUNS];
    memset(terms, '1', sizeof(terms));
    terms[40] = '\0';
    follow(model, 4, 3, terms, 39);
    memset(terms, '2', sizeof(terms));
    terms[1] = '\0';
    set_role(model, 2, LEADER, 2, 2, 0x0e);
    set_log(model, 2, terms, 1);
    model->peer[2].board.last_index = model->peer[2].board.durable_index = 12345;
    model->peer[2].board.commit_index = 30;
    for (uint32_t i = 1; i <= 4; i++)
        model->link[2][i].rule.cut = model->link[i][2].rule.cut = i != 2;
    return model;
}

struct model *scene_unsafe(void)
{
    struct model *model = scene_steady();
    model->facts.violations = 1;
    model->face.rate_ppm = 0;
    set_role(model, 3, LEADER, 4, 3, 0x2a);
    note(model, 3000, 0, NOTE_UNSAFE, 3, 4, 2, 0, 0, 0);
    return model;
}

struct model *scene_single(void)
{
    struct model *model = blank(1);
    follow(model, 1, 1, "111", 3);
    return model;
}

struct model *scene_nine(void)
{
    struct model *model = blank(9);
    follow(model, 3, 2, "11111222222222222222222222222222222222222222222222", 50);
    model->link[1][3].rule.cut = 1;
    for (uint32_t i = 1; i <= 9; i++) note(model, 3, i, NOTE_STARTED, 0, 0, 1, 0, 0, 0);
    return model;
}

struct model *scene_many(void)
{
    struct model *model = blank(63);
    follow(model, 40, 12, "111111", 6);
    for (uint32_t i = 1; i <= 63; i++) {
        model->peer[i].board.log_runs[0] = (struct board_run){ 1234567, 12 };
        model->peer[i].board.last_index = 1234600 - i % 7;
        model->peer[i].board.commit_index = model->peer[i].board.durable_index = 1234590;
        model->peer[40].board.followers[i] = (struct board_follower){ 1234601, 1234600 - i % 7 };
        if (i != 40) note(model, 3, i, NOTE_LEADER_KNOWN, 40, 12, 0, 0, 0, 0);
    }
    model->link[1][3].rule.cut = 1;
    model->link[2][5].rule.loss_ppm = 1;
    model->link[4][7].held = 1;
    return model;
}
