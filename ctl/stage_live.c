/* ctl/stage_live.c - see ctl/stage_live.h. */
#include "ctl/stage_live.h"

#include "ctl/load.h"

#include <signal.h>
#include <string.h>

/* ---- the plan's clock ---- */

static uint64_t clock_rate(const struct stage_live *live)
{
    struct clock_face face = { .rate_ppm = PPM };
    clock_read(region_clock(live->supervisor->cluster->region), &face);
    return face.rate_ppm;
}

/* (T1) */
static uint64_t now(void *state)
{
    struct stage_live *live = state;
    uint64_t real_ns = real_now_ns(), cluster_ns = cluster_now_ns(live->supervisor->cluster);
    uint64_t passed_ns = cluster_ns - live->cluster_ns;
    if (clock_rate(live) == 0) passed_ns = MAX_OF(passed_ns, real_ns - live->real_ns);
    live->plan_ns += passed_ns;
    live->cluster_ns = cluster_ns;
    live->real_ns = real_ns;
    return live->plan_ns;
}

uint64_t stage_live_real_ns(const struct stage_live *live, uint64_t plan_ns)
{
    uint64_t rate_ppm = clock_rate(live);
    uint64_t left_ns = plan_ns > live->plan_ns ? plan_ns - live->plan_ns : 0;
    double rate = rate_ppm == 0 ? 1.0 : (double)rate_ppm / PPM;
    double real_ns = MIN_OF((double)left_ns / rate, (double)NS_PER_S);
    return live->real_ns + (uint64_t)real_ns;
}

/* ---- commands ---- */

static err_t carry(void *state, const struct command *command, char *done, size_t size)
{
    struct stage_live *live = state;
    return carry_out(live->supervisor, command, done, size);
}

static err_t ask(void *state, const struct command *command, struct asked **asked)
{
    struct stage_live *live = state;
    return asked_new(&live->asked, live->supervisor, command, asked);
}

static bool answer(void *state, const struct asked *asked, struct answer *answer)
{
    UNUSED(state);
    return asked_answer(asked, answer);
}

/* ---- looking ---- */

static bool is_cut(const struct cluster *cluster, uint32_t a, uint32_t b)
{
    return cluster->links.rule[a][b].cut != 0 || cluster->links.rule[b][a].cut != 0;
}

static void look_at_peer(const struct cluster *cluster, uint32_t id, struct expect_view *view)
{
    struct board board;
    if (!cluster_alive(cluster, id) || cluster->children[id].paused) return;
    bool published = cluster_board(cluster, id, &board);
    published = published && board.published_ns >= cluster->children[id].started_ns;
    if (!published) {
        view->starting |= peer_bit(id);
        return;
    }
    view->live |= peer_bit(id);
    view->peer[id] = (struct expect_peer){ .role = (enum role)board.role,
                                           .leader = (uint32_t)board.leader,
                                           .term = board.term,
                                           .last_index = board.last_index,
                                           .last_term = board.last_term,
                                           .commit_index = board.commit_index,
                                           .last_applied = board.last_applied,
                                           .state_hash = board.state_hash };
}

static void look(void *state, struct expect_view *view)
{
    const struct stage_live *live = state;
    const struct cluster *cluster = live->supervisor->cluster;
    memset(view, 0, sizeof(*view));
    view->peers = cluster->config.peers;
    for (uint32_t id = 1; id <= view->peers; id++) look_at_peer(cluster, id, view);
    for (uint32_t a = 1; a <= view->peers; a++)
        for (uint32_t b = 1; b <= view->peers; b++) {
            if (a != b)
                view->rpcs += atomic_load_explicit(&region_link(cluster->region, a, b)->requests,
                                                   memory_order_relaxed);
            if (!peer_in(view->live, a) || !peer_in(view->live, b)) continue;
            if (a == b || !is_cut(cluster, a, b)) view->reaches[a] |= peer_bit(b);
        }
}

/* ---- the history ---- */

err_t stage_live_history(const struct stage_live *live, struct history *history)
{
    const struct supervisor *supervisor = live->supervisor;
    err_t err = supervisor->load != NULL ? load_history(supervisor->load, history) : ERR_OK;
    return err == ERR_OK ? asked_history(&live->asked, history) : err;
}

static err_t start_judge(struct stage_live *live)
{
    static const struct linear_limits limits = { LINEAR_MEMORY_BYTES, LINEAR_TIMEOUT_NS };
    struct history history;
    history_init(&history);
    err_t err = stage_live_history(live, &history);
    if (err == ERR_OK) err = judge_start(&live->judge, &history, &limits);
    history_free(&history);
    return err;
}

static bool judge(void *state, struct verdict *verdict)
{
    struct stage_live *live = state;
    struct load *load = live->supervisor->load;
    *verdict = (struct verdict){ .err = ERR_OK };
    if (live->judging == JUDGE_IDLE) {
        if (load != NULL) load_finish(load);
        live->judging = JUDGE_DRAINING;
    }
    if (live->judging == JUDGE_DRAINING) {
        if (load != NULL && load_running(load)) return false;
        verdict->err = start_judge(live);
        live->judging = verdict->err == ERR_OK ? JUDGE_WORKING : JUDGE_IDLE;
        return verdict->err != ERR_OK;
    }
    if (!judge_done(&live->judge, &verdict->linear, &verdict->report)) return false;
    live->judging = JUDGE_IDLE;
    return true;
}

/* ---- what ends a plan ---- */

static const struct violation *violated(void *state)
{
    const struct stage_live *live = state;
    return live->supervisor->violated ? &live->supervisor->violation : NULL;
}

static const char *crashed(void *state)
{
    const struct stage_live *live = state;
    return live->crash[0] != '\0' ? live->crash : NULL;
}

static void on_note(void *context, const struct note *note)
{
    struct stage_live *live = context;
    if (note->kind != NOTE_DIED) return;
    if (note->a == SIGKILL) {
        live->kills++;
        return;
    }
    if (live->crash[0] != '\0') return;
    if (note->a != 0)
        snprintf(live->crash, sizeof(live->crash), "peer %u died by itself: signal %llu",
                 note->other, (unsigned long long)note->a);
    else
        snprintf(live->crash, sizeof(live->crash), "peer %u ended by itself: exit code %llu",
                 note->other, (unsigned long long)note->b);
}

void stage_live_open(struct stage_live *live, struct supervisor *supervisor)
{
    *live = (struct stage_live){
        .stage = { live, now, carry, ask, answer, look, judge, violated, crashed },
        .supervisor = supervisor,
        .cluster_ns = cluster_now_ns(supervisor->cluster),
        .real_ns = real_now_ns(),
    };
    supervisor->each_note = on_note;
    supervisor->context = live;
}

void stage_live_close(struct stage_live *live)
{
    judge_stop(&live->judge);
    asked_free(&live->asked);
}
