/* viz/paint_flight.c - messages that are held back by the link model, the next to arrive first.
 * With a slow clock and a delay one sees every message fly. */
#include "viz/paint.h"

#include "fault/verb.h"

#include <inttypes.h>

enum { BAR = 20 };

static void paint_way(const struct area *area, int y, int x, uint64_t now_ns,
                      const struct held_message *message)
{
    uint64_t way = message->deliver_at_ns - MIN_OF(message->sent_at_ns, message->deliver_at_ns);
    uint64_t left = message->deliver_at_ns - MIN_OF(now_ns, message->deliver_at_ns);
    int gone = BAR - (way == 0 ? 0 : (int)((double)BAR * (double)MIN_OF(left, way) / (double)way));
    for (int i = 0; i < BAR; i++)
        put_glyph(area, y, x + i, i < gone ? INK_TIMER : INK_QUIET,
                  i < gone ? GLYPH_TIMER : GLYPH_TIMER_GONE);
}

void paint_flight(const struct area *area, const struct model *model, const struct view *view)
{
    if (model->flights == 0) {
        put_text(area, 0, 1, INK_QUIET,
                 "no message is held back: a delay shows them here, best on a slow clock");
        return;
    }
    uint32_t first = MIN_OF(view->pane_back, model->flights - 1);
    for (uint32_t i = first; i < model->flights && (int)(i - first) < area->rows; i++) {
        const struct held_message *message = &model->flight[i];
        int y = (int)(i - first);
        uint64_t left_ns =
            message->deliver_at_ns - MIN_OF(model->cluster_ns, message->deliver_at_ns);
        int x = put_text(area, y, 1, peer_ink(model, message->from), "%2u", message->from);
        x = put_text(area, y, x, INK_QUIET, " > ");
        x = put_text(area, y, x, peer_ink(model, message->to), "%-3u", message->to);
        put_text(area, y, x, INK_PLAIN, "%s", message_kind_name(message->kind));
        x = put_number(area, y, x + 12, ink_of_term(message->term, true), 4, message->term);
        x = put_text(area, y, x, INK_QUIET, " %8" PRIu32 " bytes  ", message->bytes);
        paint_way(area, y, x, model->cluster_ns, message);
        put_text(area, y, x + BAR + 1, INK_QUIET, " in %.1f ms",
                 (double)left_ns / (double)NS_PER_MS);
    }
}
