/* viz/keys.h - what keys do: the screen's own table here, the cluster's in fault/verb.h.
 * Owns   the reaction to one key; the line that a key sends.
 * Leaves reading keys to viz/loop.c, carrying verbs out to options->send.
 * Holds  (K1) a key is in one table only: the verb table wins. */
#ifndef VIZ_KEYS_H
#define VIZ_KEYS_H

#include "viz/view.h"
#include <ncursesw/curses.h>

/* KEY(name, keys, as help shows them, word on the bottom line or NULL, help) */
#define KEY_LIST(X)                                                                                \
    X(HELP, "?", "?", "help", "this help; any other key closes it")                                \
    X(PROMPT, ":", ":", "verb", "type any verb; Tab completes, Up recalls, Esc leaves")            \
    X(FREEZE, " ", "space", "freeze", "stop the cluster clock, or let it run as before")           \
    X(STEP, "s", "s", NULL, "one step of the frozen clock: to the next timer")                     \
    X(FASTER, "+=", "+", NULL, "cluster clock faster: 1, 2, 5, 10 ...")                            \
    X(SLOWER, "-_", "-", NULL, "cluster clock slower: 1, 0.5, 0.2, 0.1 ...")                       \
    X(DOWN, "j", "down j", NULL, "select the next peer; digits select one by its number")          \
    X(UP, "J", "up J", NULL, "select the peer before")                                             \
    X(PANE, "\t", "tab", "pane", "lower pane: events, links, messages in flight, a peer")          \
    X(OLDER, "", "pgup", NULL, "log: older entries")                                               \
    X(NEWER, "", "pgdn", NULL, "log: newer entries; End returns to the newest")                    \
    X(BACK, "[", "[", NULL, "lower pane: scroll up")                                               \
    X(FORTH, "]", "]", NULL, "lower pane: scroll down")                                            \
    X(QUIET, "f", "f", NULL, "events: hide or show routine (appends, commits)")                    \
    X(REDRAW, "\f", "^L", NULL, "draw everything anew")                                            \
    X(QUIT, "q", "q", "quit", "leave the dashboard")
#define KEY_ENUM(name, ...) VIEW_##name,
enum view_key { KEY_LIST(KEY_ENUM) VIEW_KEY_COUNT };
#undef KEY_ENUM
struct key_row {
    const char *keys, *shown, *word, *help;
};
extern const struct key_row key_rows[VIEW_KEY_COUNT];

void view_init(struct view *view, const struct model *model, struct look look);
/* React to one key as get_wch reports it; `function` for KEY_*. May leave a verb in view->outgoing.
 * Never blocks. */
void keys_handle(struct view *view, const struct model *model, bool function, wint_t key);
/* Send view->outgoing, show the answer. Blocks as long as options->send does. */
void keys_send(struct view *view, const struct viz_options *options);

#endif
