/* viz/paint_peers.c - the table of peers: one row each, always in the same order. */
#include "viz/paint.h"

#include "fault/verb.h"

#include <inttypes.h>
#include <string.h>

/* COLUMN(name, title, width, right-aligned, rank): where not all fit, high ranks go first. */
#define COLUMN_LIST(X)                                                                             \
    X(ROLE, "role", 9, false, 1)                                                                   \
    X(TERM, "term", 4, true, 2)                                                                    \
    X(VOTED, "voted", 5, true, 7)                                                                  \
    X(VOTES, "votes", 5, false, 6)                                                                 \
    X(TIMER, "timer", 6, false, 3)                                                                 \
    X(LAST, "last", 6, true, 4)                                                                    \
    X(DURABLE, "durable", 7, true, 8)                                                              \
    X(COMMIT, "commit", 6, true, 5)                                                                \
    X(APPLIED, "applied", 7, true, 9)                                                              \
    X(PID, "pid", 7, true, 10)                                                                     \
    X(AGE, "age", 4, true, 11)                                                                     \
    X(FOLLOWS, "follows", 7, true, 12)                                                             \
    X(INBOX, "inbox", 6, true, 13)                                                                 \
    X(HELD, "held", 5, true, 14)                                                                   \
    X(DISK, "disk", 7, true, 15)
#define COLUMN_ENUM(name, ...) COLUMN_##name,
enum column { COLUMN_LIST(COLUMN_ENUM) COLUMN_COUNT };
#undef COLUMN_ENUM
static const struct {
    const char *title;
    int width;
    bool right;
    int rank;
} columns[] = {
#define COLUMN_ROW(name, title, width, right, rank) { title, width, right, rank },
    COLUMN_LIST(COLUMN_ROW)
#undef COLUMN_ROW
};

enum { LABEL = 4, LOW_PERCENT = 20, TIMER_WIDEST = 24 };

/* Widths of the columns, 0 for those that do not fit; returns what they take, with the label. */
static int fit(int room, int widths[COLUMN_COUNT])
{
    int used = LABEL;
    memset(widths, 0, COLUMN_COUNT * sizeof(widths[0]));
    for (int rank = 1; rank <= COLUMN_COUNT; rank++)
        for (int i = 0; i < COLUMN_COUNT; i++) {
            int width = columns[i].width + 1;
            if (columns[i].rank != rank) continue;
            if (used + width > room + 1) return used; /* a blank after the last one is not needed */
            widths[i] = columns[i].width;
            used += width;
        }
    return used;
}

int peers_columns(int room)
{
    int widths[COLUMN_COUNT];
    return MIN_OF(fit(room, widths), room);
}

/* Give what is left to long indexes first, then to the timer, the only thing that moves. */
static void widen(int left, uint32_t peers, int widths[COLUMN_COUNT])
{
    static const enum column grows[] = { COLUMN_LAST, COLUMN_DURABLE, COLUMN_COMMIT,
                                         COLUMN_APPLIED };
    int votes = MIN_OF((int)peers - widths[COLUMN_VOTES], 10);
    if (votes > 0 && votes <= left) {
        widths[COLUMN_VOTES] += votes;
        left -= votes;
    }
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < COUNT(grows) && left > 0; i++, left--) widths[grows[i]]++;
    widths[COLUMN_TIMER] += MAX_OF(MIN_OF(left, TIMER_WIDEST - widths[COLUMN_TIMER]), 0);
}

enum ink peer_ink(const struct model *model, uint32_t peer)
{
    const struct model_peer *p = &model->peer[peer];
    if (!p->life.alive) return INK_DEAD;
    if (p->life.paused) return INK_PAUSED;
    if (p->board.role == CANDIDATE) return INK_CANDIDATE;
    if (p->board.role != LEADER) return INK_PLAIN;
    return peer == model->leader ? INK_LEADER
                                 : INK_WARN; /* one of an earlier term believes it still */
}

static void paint_votes(const struct area *area, int y, int x, int width, const struct model *model,
                        uint32_t id)
{
    const struct model_peer *peer = &model->peer[id];
    if (peer->board.role != CANDIDATE && peer->board.role != LEADER) return;
    peer_set votes = peer->board.votes & peer_first(model->peers);
    peer_set denied = peer->denied_term == peer->board.term ? peer->denied & ~votes : 0;
    if ((int)model->peers > width) {
        put_text(area, y, x, INK_PLAIN, "%u/%u", peer_count(votes), model->peers);
        return;
    }
    for (uint32_t i = 1; i <= model->peers; i++) {
        if (peer_in(votes, i)) x = put_glyph(area, y, x, INK_GOOD, GLYPH_VOTE_YES);
        else if (peer_in(denied, i)) x = put_glyph(area, y, x, INK_DEAD, GLYPH_VOTE_NO);
        else x = put_glyph(area, y, x, INK_QUIET, GLYPH_VOTE_OPEN);
    }
}

static void paint_timer(const struct area *area, int y, int x, int width, const struct model *model,
                        uint32_t id)
{
    const struct model_peer *peer = &model->peer[id];
    uint32_t left;
    if (!peer->life.alive) {
        put_text(area, y, x, INK_DEAD, "%s", peer->life.starts > 0 ? "dead" : "-");
        return;
    }
    if (peer->life.paused) {
        put_text(area, y, x, INK_PAUSED, "paused");
        return;
    }
    if (!model_timer(model, id, &left)) return;
    enum ink ink = left < PPM / 100 * LOW_PERCENT ? INK_TIMER_LOW : INK_TIMER;
    int halves = (int)((2ull * (unsigned)width * left + PPM - 1) / PPM);
    for (int i = 0; i < width; i++) {
        if (halves >= 2 * i + 2) put_glyph(area, y, x + i, ink, GLYPH_TIMER);
        else if (halves == 2 * i + 1) put_glyph(area, y, x + i, ink, GLYPH_TIMER_HALF);
        else put_glyph(area, y, x + i, INK_QUIET, GLYPH_TIMER_GONE);
    }
}

static const char *text_age(uint64_t age_ns, char text[32])
{
    uint64_t tenths = age_ns / (NS_PER_S / 10);
    if (tenths < 100) snprintf(text, 32, "%" PRIu64 ".%" PRIu64 "s", tenths / 10, tenths % 10);
    else if (tenths < 1000) snprintf(text, 32, "%" PRIu64 "s", tenths / 10);
    else if (tenths < 60000) snprintf(text, 32, "%" PRIu64 "m", tenths / 600);
    else snprintf(text, 32, "%" PRIu64 "h", MIN_OF(tenths / 36000, 999));
    return text;
}

static const char *text_disk(const struct board *board, char text[32])
{
    if (board->disk_errno != 0) {
        const char *name = strerrorname_np((int)MIN_OF(board->disk_errno, 4096));
        snprintf(text, 32, "%s", name != NULL ? name : "failed");
    } else if (board->disk_commits > 0) {
        snprintf(text, 32, "%.2fms",
                 (double)board->disk_ns / (double)board->disk_commits / (double)NS_PER_MS);
    }
    return text;
}

/* A number; one that says nothing new is quiet, so that lag stands out. */
static void paint_value(const struct area *area, int y, int x, int width, enum column column,
                        const struct model_peer *peer)
{
    const struct board *board = &peer->board;
    const struct {
        uint64_t value;
        bool news, shown;
    } values[COLUMN_COUNT] = {
        [COLUMN_VOTED] = { board->voted_for, true, board->voted_for != 0 },
        [COLUMN_LAST] = { board->last_index, true, true },
        [COLUMN_DURABLE] = { board->durable_index, board->durable_index != board->last_index,
                             true },
        [COLUMN_COMMIT] = { board->commit_index, board->commit_index != board->last_index, true },
        [COLUMN_APPLIED] = { board->last_applied, board->last_applied != board->commit_index,
                             true },
        [COLUMN_PID] = { peer->life.pid, false, peer->life.pid != 0 },
        [COLUMN_FOLLOWS] = { board->leader, true, board->leader != 0 },
    };
    bool quiet = !peer->life.alive || peer->life.paused || !values[column].news;
    if (values[column].shown)
        put_number(area, y, x, quiet ? INK_QUIET : INK_PLAIN, width, values[column].value);
}

/* A measurement, which has a text of its own and stands out when it is bad. */
static void paint_measure(const struct area *area, int y, int x, int width, enum column column,
                          const struct model_peer *peer)
{
    char text[32] = "";
    bool bad = false;
    switch (column) {
    case COLUMN_AGE:
        text_age(peer->age_ns, text);
        bad = peer->age_ns >= NS_PER_S && peer->life.alive;
        break;
    case COLUMN_INBOX: text_short(peer->inbox_bytes, text); break;
    case COLUMN_HELD: text_short(peer->board.held, text); break;
    case COLUMN_DISK:
        text_disk(&peer->board, text);
        bad = peer->board.disk_errno != 0;
        break;
    default: return;
    }
    put_text(area, y, x, bad ? INK_WARN : INK_QUIET, "%*.*s", width, width, text);
}

static const char *role_word(const struct model_peer *peer)
{
    return role_name((uint32_t)MIN_OF(peer->board.role, ROLE_COUNT));
}

static void paint_row(const struct layout *layout, const struct model *model,
                      const struct view *view, uint32_t id, int y, const int widths[COLUMN_COUNT])
{
    const struct area *area = &layout->peers;
    const struct model_peer *peer = &model->peer[id];
    enum ink ink = peer_ink(model, id), term_ink = ink_of_term(peer->board.term, true);
    bool selected = id == view->selected;
    if (selected) put_glyph(area, y, 0, INK_SELECTED, GLYPH_SELECTED);
    put_text(area, y, 1, selected ? INK_SELECTED : ink, "%2u", id);
    if (!peer->published) {
        put_text(area, y, LABEL, INK_QUIET, "%s", peer->life.alive ? "starting" : "not started");
        return;
    }
    for (int i = 0, x = LABEL; i<COLUMN_COUNT; x += widths[i]> 0 ? widths[i] + 1 : 0, i++) {
        if (widths[i] == 0) continue;
        int width = widths[i];
        switch (i) {
        case COLUMN_ROLE: put_text(area, y, x, ink, "%.*s", width, role_word(peer)); break;
        case COLUMN_TERM: put_number(area, y, x, term_ink, width, peer->board.term); break;
        case COLUMN_VOTES: paint_votes(area, y, x, width, model, id); break;
        case COLUMN_TIMER: paint_timer(area, y, x, width, model, id); break;
        default:
            paint_value(area, y, x, width, (enum column)i, peer);
            paint_measure(area, y, x, width, (enum column)i, peer);
        }
    }
}

void paint_peers(const struct layout *layout, const struct model *model, const struct view *view)
{
    const struct area *area = &layout->peers;
    int widths[COLUMN_COUNT], used = fit(area->columns, widths);
    if (!layout->merged) widen(area->columns - used, model->peers, widths);
    for (int i = 0, x = LABEL; i<COLUMN_COUNT; x += widths[i]> 0 ? widths[i] + 1 : 0, i++)
        if (widths[i] > 0)
            put_text(area, 0, x, INK_TITLE, "%*s", columns[i].right ? widths[i] : -widths[i],
                     columns[i].title);
    for (uint32_t i = 0; i < layout->visible; i++)
        paint_row(layout, model, view, layout->top + i, 1 + (int)i, widths);
}
