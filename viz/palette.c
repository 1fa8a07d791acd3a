/* viz/palette.c - the tables of viz/palette.h, and which scheme a terminal gets. */
#include "viz/palette.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

enum { TERM_COLOURS = 6 };
_Static_assert(INK_TERM_5 - INK_TERM_0 == TERM_COLOURS - 1, "the colours of terms lie together");
_Static_assert(INK_OPEN_5 - INK_OPEN_0 == TERM_COLOURS - 1, "the colours of terms lie together");

static const struct {
    short rich_foreground, rich_background;
    attr_t rich;
    short plain_foreground, plain_background;
    attr_t plain, mono;
} inks[] = {
#define INK_ROW(name, f256, b256, a256, f8, b8, a8, mono) { f256, b256, a256, f8, b8, a8, mono },
    INK_LIST(INK_ROW)
#undef INK_ROW
};

static const struct {
    wchar_t unicode, ascii;
    const char *legend;
} glyphs[] = {
#define GLYPH_ROW(name, unicode, ascii, legend) { unicode, ascii, legend },
    GLYPH_LIST(GLYPH_ROW)
#undef GLYPH_ROW
};

static enum viz_scheme best_scheme(enum viz_scheme wanted)
{
    const char *no_color = getenv("NO_COLOR");
    if (wanted == VIZ_AUTO && no_color != NULL && no_color[0] != '\0') return VIZ_MONO;
    if (wanted == VIZ_MONO || !has_colors() || start_color() == ERR) return VIZ_MONO;
    if (COLORS < 8 || COLOR_PAIRS <= INK_COUNT) return VIZ_MONO;
    return COLORS >= 256 && wanted != VIZ_8 ? VIZ_256 : VIZ_8;
}

struct look look_choose(enum viz_scheme wanted, bool ascii)
{
    struct look look = { best_scheme(wanted), ascii || strcmp(nl_langinfo(CODESET), "UTF-8") != 0 };
    if (look.scheme == VIZ_MONO) return look;
    bool has_default = use_default_colors() != ERR;
    for (int i = 0; i < INK_COUNT; i++) {
        bool rich = look.scheme == VIZ_256;
        short foreground = rich ? inks[i].rich_foreground : inks[i].plain_foreground;
        short background = rich ? inks[i].rich_background : inks[i].plain_background;
        if (!has_default && foreground == -1) foreground = COLOR_WHITE;
        if (!has_default && background == -1) background = COLOR_BLACK;
        init_pair((short)(i + 1), foreground, background);
    }
    return look;
}

attr_t ink_attributes(const struct look *look, enum ink ink)
{
    CHECK(ink < INK_COUNT);
    if (look->scheme == VIZ_256) return inks[ink].rich;
    return look->scheme == VIZ_8 ? inks[ink].plain : inks[ink].mono;
}

short ink_pair(const struct look *look, enum ink ink)
{
    CHECK(ink < INK_COUNT);
    return look->scheme == VIZ_256 || look->scheme == VIZ_8 ? (short)(ink + 1) : 0;
}

enum ink ink_of_term(uint64_t term, bool committed)
{
    return (enum ink)((committed ? INK_TERM_0 : INK_OPEN_0) + (int)(term % TERM_COLOURS));
}

wchar_t glyph_char(const struct look *look, enum glyph glyph)
{
    CHECK(glyph < GLYPH_COUNT);
    return look->ascii ? glyphs[glyph].ascii : glyphs[glyph].unicode;
}

const char *glyph_legend(enum glyph glyph)
{
    CHECK(glyph < GLYPH_COUNT);
    return glyphs[glyph].legend;
}
