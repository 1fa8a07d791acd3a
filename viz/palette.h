/* viz/palette.h - what colours and signs mean: inks (roles of colour) and glyphs, one table each.
 * Owns   three schemes (256 colours, 8, none) and two alphabets; paint names roles only.
 * Leaves where things are drawn to viz/paint.h.
 * Holds  (L1) without colours and Unicode nothing is lost: every state has its own sign or word
 *        (L2) the legend of the help is made from the glyph table. */
#ifndef VIZ_PALETTE_H
#define VIZ_PALETTE_H

#include "base/base.h"
#include "viz/viz.h"
#include <ncursesw/curses.h>

/* name, 256 colours: foreground background attributes, 8 colours: the same, attributes without any.
 * -1 is the terminal's own. Greys near 245 can be read on dark and on light terminals. */
#define INK_LIST(X)                                                                                \
    X(PLAIN, -1, -1, 0, -1, -1, 0, 0)                                                              \
    X(STRONG, -1, -1, A_BOLD, -1, -1, A_BOLD, A_BOLD)                                              \
    X(QUIET, 245, -1, 0, -1, -1, A_DIM, A_DIM)                                                     \
    X(FAINT, 240, -1, 0, -1, -1, A_DIM, A_DIM)                                                     \
    X(BAR, 252, 237, 0, COLOR_WHITE, COLOR_BLUE, 0, A_REVERSE)                                     \
    X(BAR_STRONG, 231, 237, A_BOLD, COLOR_WHITE, COLOR_BLUE, A_BOLD, A_REVERSE | A_BOLD)           \
    X(BAR_QUIET, 245, 237, 0, COLOR_WHITE, COLOR_BLUE, 0, A_REVERSE)                               \
    X(BAR_GOOD, 114, 237, A_BOLD, COLOR_BLACK, COLOR_GREEN, 0, A_REVERSE)                          \
    X(BAR_WARN, 221, 237, A_BOLD, COLOR_BLACK, COLOR_YELLOW, 0, A_REVERSE | A_BOLD)                \
    X(BAR_BAD, 231, 160, A_BOLD, COLOR_WHITE, COLOR_RED, A_BOLD, A_REVERSE | A_BOLD | A_BLINK)     \
    X(TITLE, 245, -1, 0, -1, -1, A_DIM, A_DIM)                                                     \
    X(SELECTED, 39, -1, A_BOLD, COLOR_CYAN, -1, A_BOLD, A_BOLD)                                    \
    X(LEADER, 71, -1, A_BOLD, COLOR_GREEN, -1, A_BOLD, A_BOLD)                                     \
    X(CANDIDATE, 172, -1, A_BOLD, COLOR_YELLOW, -1, A_BOLD, A_UNDERLINE)                           \
    X(DEAD, 167, -1, 0, COLOR_RED, -1, 0, A_DIM)                                                   \
    X(PAUSED, 134, -1, 0, COLOR_MAGENTA, -1, 0, A_UNDERLINE)                                       \
    X(TIMER, 67, -1, 0, COLOR_CYAN, -1, 0, 0)                                                      \
    X(TIMER_LOW, 172, -1, A_BOLD, COLOR_YELLOW, -1, A_BOLD, A_BOLD)                                \
    X(GOOD, 71, -1, 0, COLOR_GREEN, -1, 0, 0)                                                      \
    X(WARN, 172, -1, 0, COLOR_YELLOW, -1, 0, 0)                                                    \
    X(BAD, 167, -1, A_BOLD, COLOR_RED, -1, A_BOLD, A_BOLD)                                         \
    X(FAULT, 134, -1, 0, COLOR_MAGENTA, -1, 0, 0)                                                  \
    X(CURSOR, -1, -1, A_REVERSE, -1, -1, A_REVERSE, A_REVERSE)                                     \
    X(KEY, 39, -1, A_BOLD, COLOR_CYAN, -1, A_BOLD, A_BOLD)                                         \
    X(TERM_0, 16, 139, 0, COLOR_BLACK, COLOR_MAGENTA, 0, A_REVERSE)                                \
    X(TERM_1, 16, 67, 0, COLOR_WHITE, COLOR_BLUE, 0, A_REVERSE)                                    \
    X(TERM_2, 16, 65, 0, COLOR_BLACK, COLOR_GREEN, 0, A_REVERSE)                                   \
    X(TERM_3, 16, 137, 0, COLOR_BLACK, COLOR_YELLOW, 0, A_REVERSE)                                 \
    X(TERM_4, 16, 131, 0, COLOR_BLACK, COLOR_RED, 0, A_REVERSE)                                    \
    X(TERM_5, 16, 73, 0, COLOR_BLACK, COLOR_CYAN, 0, A_REVERSE)                                    \
    X(OPEN_0, 139, 237, 0, COLOR_MAGENTA, -1, 0, 0)                                                \
    X(OPEN_1, 74, 237, 0, COLOR_BLUE, -1, 0, 0)                                                    \
    X(OPEN_2, 71, 237, 0, COLOR_GREEN, -1, 0, 0)                                                   \
    X(OPEN_3, 179, 237, 0, COLOR_YELLOW, -1, 0, 0)                                                 \
    X(OPEN_4, 174, 237, 0, COLOR_RED, -1, 0, 0)                                                    \
    X(OPEN_5, 73, 237, 0, COLOR_CYAN, -1, 0, 0)
#define INK_ENUM(name, ...) INK_##name,
enum ink { INK_LIST(INK_ENUM) INK_COUNT };
#undef INK_ENUM
_Static_assert(INK_COUNT < 64, "terminals of 8 colours have 64 pairs");

/* name, Unicode, ASCII, what it says in the legend (NULL: it needs no explanation). */
#define GLYPH_LIST(X)                                                                              \
    X(SELECTED, L'▸', L'>', "the selected peer")                                                   \
    X(VOTE_YES, L'●', L'#', "votes: has it")                                                       \
    X(VOTE_NO, L'✕', L'x', "votes: was refused it")                                                \
    X(VOTE_OPEN, L'○', L'.', "votes: no answer yet")                                               \
    X(TIMER, L'━', L'=', "time left on the election timer")                                        \
    X(TIMER_HALF, L'╸', L'-', NULL)                                                                \
    X(TIMER_GONE, L'─', L'.', NULL)                                                                \
    X(COMMIT, L'│', L'|', "log: committed up to here")                                             \
    X(VOLATILE, L'~', L'~', "log: this entry is not on disk yet")                                  \
    X(GAP, L'╌', L'-', "log: another peer has this entry, this one lacks it")                      \
    X(UNKNOWN, L'·', L'.', "log: older than what the peer shows")                                  \
    X(COMPACTED, L'≡', L'=', "log: before its first entry")                                        \
    X(MATCH, L'o', L'o', "match_index: the leader knows that this is stored there")                \
    X(NEXT, L'^', L'^', "next_index: what the leader will send next")                              \
    X(LINK_FINE, L'·', L'.', "links: no fault")                                                    \
    X(LINK_CUT, L'✕', L'X', "links: cut")                                                          \
    X(LINK_FAULTY, L'%', L'%', "links: loses, delays, doubles or damages messages")                \
    X(LINK_BUSY, L'≥', L'q', "links: messages are waiting")                                        \
    X(TAPE_LED, L'─', L'-', "tape: half a second with a leader, in the colour of its term")        \
    X(TAPE_LEADERLESS, L'╌', L'.', "tape: half a second without a leader")                         \
    X(TAPE_KILL, L'✕', L'x', "tape: a peer was killed or died")                                    \
    X(TAPE_PAUSE, L'‖', L'p', "tape: a peer was paused")                                           \
    X(TAPE_RESTART, L'+', L'+', "tape: a peer was started again, or resumed")                      \
    X(TAPE_LINKS, L'/', L'/', "tape: link rules were changed")                                     \
    X(TAPE_UNSAFE, L'!', L'!', "tape: safety was broken")                                          \
    X(DOT, L'·', L'-', NULL)                                                                       \
    X(RULE, L'─', L'-', NULL)                                                                      \
    X(TIMES, L'×', L'x', NULL)                                                                     \
    X(MORE_LEFT, L'…', L'<', NULL)                                                                 \
    X(MORE_RIGHT, L'…', L'>', NULL)
#define GLYPH_ENUM(name, ...) GLYPH_##name,
enum glyph { GLYPH_LIST(GLYPH_ENUM) GLYPH_COUNT };
#undef GLYPH_ENUM

/* How this run draws. Zero is VIZ_AUTO, which draws like VIZ_MONO. */
struct look {
    enum viz_scheme scheme;
    bool ascii;
};

/* Choose for the running curses screen and locale: a scheme that the terminal has (NO_COLOR: none),
 * ASCII where the locale is not UTF-8. Defines the colour pairs. */
struct look look_choose(enum viz_scheme wanted, bool ascii);
/* Attributes and colour pair of an ink. */
attr_t ink_attributes(const struct look *look, enum ink ink);
short ink_pair(const struct look *look, enum ink ink);
/* The colour of a term: six in turn, the same everywhere on the screen. */
enum ink ink_of_term(uint64_t term, bool committed);
wchar_t glyph_char(const struct look *look, enum glyph glyph);
const char *glyph_legend(enum glyph glyph); /* or NULL */

#endif
