/* fault/preset.c - the table of presets. */
#include "fault/preset.h"

#include "base/err.h"
#include <string.h>

const struct preset presets[PRESET_COUNT] = {
#define PRESET_ROW(id, name, low, high, beat, notify, noop, help)                                  \
    { name, help, (low)*NS_PER_MS, (high)*NS_PER_MS, (beat)*NS_PER_MS, (notify)*NS_PER_MS, noop },
    PRESET_LIST(PRESET_ROW)
#undef PRESET_ROW
};

const struct preset *preset_find(const char *name)
{
    for (size_t i = 0; i < COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
#define PRESET_WORD(id, name, low, high, beat, notify, noop, help) " " name
    err_begin(ERR_INPUT, "'%s' is no preset; there are:" PRESET_LIST(PRESET_WORD), name);
#undef PRESET_WORD
    return NULL;
}
