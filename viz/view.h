/* viz/view.h - what the person chose: the selected peer, the lower pane, how far it is scrolled.
 * Owns   the state of the screen that is not the cluster's. keys.c changes it, paint reads it. */
#ifndef VIZ_VIEW_H
#define VIZ_VIEW_H

#include "viz/model.h"
#include "viz/palette.h"
#include "viz/prompt.h"

#define PANE_LIST(X) X(EVENTS, "events") X(LINKS, "links") X(FLIGHT, "in flight") X(PEER, "peer")
#define PANE_ENUM(name, title) PANE_##name,
enum pane { PANE_LIST(PANE_ENUM) PANE_COUNT };
#undef PANE_ENUM

enum { VIEW_ROWS_MIN = 24, VIEW_COLUMNS_MIN = 80, MESSAGE_MAX = 512, LINE_MAX_BYTES = 4096 };

struct view {
    struct look look;
    uint32_t selected; /* a peer */
    enum pane pane;
    uint64_t log_last;  /* index at the right edge of the log; 0: follow the end */
    uint32_t pane_back; /* lines that the lower pane is scrolled back */
    bool quiet;         /* the feed hides routine */
    bool help;
    uint32_t help_top;
    struct prompt prompt;
    char outgoing[LINE_MAX_BYTES]; /* a verb that the next turn of the loop sends; "" for none */
    wchar_t message[MESSAGE_MAX];  /* the last answer, shown instead of the keys */
    bool message_bad;
    uint64_t message_until_ns;
    uint64_t former_rate_ppm; /* before the clock was frozen */
    uint32_t typed;           /* digits typed so far for a peer of two digits ... */
    uint64_t typed_ns;        /* ... when */
    bool quit;
};

#endif
