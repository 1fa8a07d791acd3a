/* viz/paint_peer.c - all that is known of one peer: log, disk, clients, followers, links. */
#include "viz/paint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { LABEL = 11 };

/* Rows that may begin above the area, when it is scrolled. */
struct rows {
    const struct area *area;
    int y;
};

static int label(struct rows *rows, const char *text)
{
    put_text(rows->area, rows->y, 1, INK_TITLE, "%s", text);
    return LABEL;
}

static void paint_state(struct rows *rows, const struct model *model, uint32_t id)
{
    const struct model_peer *peer = &model->peer[id];
    const struct board *board = &peer->board;
    int x = label(rows, "state");
    x = put_text(rows->area, rows->y, x, peer_ink(model, id), "%s",
                 !peer->life.alive   ? "dead"
                 : peer->life.paused ? "paused"
                                     : "alive");
    x = put_text(rows->area, rows->y, x, INK_PLAIN, ", %s of term %" PRIu64,
                 role_name((uint32_t)MIN_OF(board->role, ROLE_COUNT)), board->term);
    if (board->leader != 0 && board->leader != id)
        x = put_text(rows->area, rows->y, x, INK_PLAIN, ", follows %" PRIu64, board->leader);
    put_text(rows->area, rows->y++, x, INK_PLAIN, ", life %" PRIu64 ", pid %" PRIu64, board->life,
             peer->life.pid);
}

/* The newest runs of terms, as many as fit in a row, oldest first. */
static void paint_runs(struct rows *rows, const struct board *board)
{
    int x = label(rows, "log");
    uint64_t shown = MIN_OF(board->runs, (uint64_t)MAX_OF((rows->area->columns - LABEL) / 22, 1));
    if (board->runs == 0) x = put_text(rows->area, rows->y, x, INK_QUIET, "empty");
    if (shown < board->runs) x = put_text(rows->area, rows->y, x, INK_QUIET, "... ");
    for (uint64_t i = board->runs - shown; i < board->runs; i++) {
        uint64_t last =
            i + 1 < board->runs ? board->log_runs[i + 1].first_index - 1 : board->last_index;
        x = put_text(rows->area, rows->y, x, ink_of_term(board->log_runs[i].term, true),
                     " %" PRIu64 " ", board->log_runs[i].term);
        x = put_text(rows->area, rows->y, x, INK_PLAIN, " %" PRIu64 "..%" PRIu64 "  ",
                     board->log_runs[i].first_index, last);
    }
    rows->y++;
}

static void paint_numbers(struct rows *rows, const struct board *board)
{
    char a[32], b[32];
    int x = label(rows, "indexes");
    put_text(rows->area, rows->y++, x, INK_PLAIN,
             "last %" PRIu64 ", durable %" PRIu64 ", commit %" PRIu64 ", applied %" PRIu64
             ", state %08" PRIx64,
             board->last_index, board->durable_index, board->commit_index, board->last_applied,
             board->state_hash & 0xffffffff);
    x = label(rows, "disk");
    if (board->disk_errno != 0)
        x = put_text(rows->area, rows->y, x, INK_BAD, "fails: errno %" PRIu64 ", ",
                     board->disk_errno);
    double each_ms = board->disk_commits == 0
                         ? 0
                         : (double)board->disk_ns / (double)board->disk_commits / (double)NS_PER_MS;
    put_text(rows->area, rows->y++, x, INK_PLAIN, "%s commits of %.2f ms",
             text_count(board->disk_commits, a), each_ms);
    x = label(rows, "clients");
    put_text(rows->area, rows->y++, x, INK_PLAIN, "%s commands taken, %s answered",
             text_count(board->proposals, a), text_count(board->answers, b));
}

/* What a leader believes of each follower, in the words of Figure 2. */
static void paint_followers(struct rows *rows, const struct model *model, uint32_t id)
{
    const struct board *board = &model->peer[id].board;
    if (board->role != LEADER) return;
    for (uint32_t i = 1; i <= model->peers; i++) {
        const struct board_follower *follower = &board->followers[i];
        if (i == id) continue;
        uint64_t behind = board->last_index - MIN_OF(follower->match_index, board->last_index);
        int x = label(rows, "follower");
        x = put_text(rows->area, rows->y, x, INK_PLAIN, "%2u  match %-9" PRIu64 " next %-9" PRIu64,
                     i, follower->match_index, follower->next_index);
        if (behind > 0) put_text(rows->area, rows->y, x, INK_QUIET, " behind by %" PRIu64, behind);
        rows->y++;
    }
}

static void paint_link(struct rows *rows, const struct model *model, uint32_t from, uint32_t to)
{
    const struct model_link *link = &model->link[from][to];
    char sent[32], lost[32], queued[32], rule[128];
    int x = label(rows, "link");
    x = put_text(rows->area, rows->y, x, INK_PLAIN, "%2u > %-2u", from, to);
    x = put_text(rows->area, rows->y, x, INK_QUIET,
                 "  sent %-6s lost %-6s waiting %-6s held %-5" PRIu64, text_short(link->sent, sent),
                 text_short(link->dropped, lost), text_short(link->queued_bytes, queued),
                 link->held);
    put_text(rows->area, rows->y++, x + 1, link->rule.cut ? INK_DEAD : INK_FAULT, "%s",
             text_rule(&link->rule, rule, sizeof(rule)));
}

void paint_peer(const struct area *area, const struct model *model, const struct view *view)
{
    uint32_t id = view->selected;
    int lines = 5 + 3 * ((int)model->peers - 1);
    struct rows rows = { area, -(int)MIN_OF(view->pane_back, (uint32_t)lines) };
    if (!model->peer[id].published) {
        put_text(area, 0, 1, INK_QUIET, "it has not published anything yet");
        return;
    }
    paint_state(&rows, model, id);
    paint_numbers(&rows, &model->peer[id].board);
    paint_runs(&rows, &model->peer[id].board);
    paint_followers(&rows, model, id);
    for (uint32_t i = 1; i <= model->peers; i++) {
        if (i == id) continue;
        paint_link(&rows, model, id, i);
        paint_link(&rows, model, i, id);
    }
}
