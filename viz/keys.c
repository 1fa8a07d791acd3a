/* viz/keys.c - one key in, a changed view or one verb out. */
#include "viz/keys.h"

#include "fault/verb.h"

#include <stdio.h>
#include <string.h>

enum { LOG_PAGE = 10 };
#define MESSAGE_NS (8 * NS_PER_S)
#define TYPING_NS NS_PER_S /* two digits within this time are one number */

const struct key_row key_rows[VIEW_KEY_COUNT] = {
#define KEY_ROW(name, keys, shown, word, help) { keys, shown, word, help },
    KEY_LIST(KEY_ROW)
#undef KEY_ROW
};

static const struct {
    int code;
    enum view_key key;
} function_keys[] = {
    { KEY_DOWN, VIEW_DOWN },   { KEY_UP, VIEW_UP },     { KEY_PPAGE, VIEW_OLDER },
    { KEY_NPAGE, VIEW_NEWER }, { KEY_F(1), VIEW_HELP }, { KEY_BTAB, VIEW_PANE },
};

void view_init(struct view *view, const struct model *model, struct look look)
{
    memset(view, 0, sizeof(*view));
    view->look = look;
    view->selected = 1;
    view->former_rate_ppm = model->face.rate_ppm > 0 ? model->face.rate_ppm : PPM;
}

/* `line` of the verb table with the selected peer for %u. */
static void verb_line(struct view *view, const char *line)
{
    const char *at = strstr(line, "%u");
    if (at == NULL) snprintf(view->outgoing, sizeof(view->outgoing), "%s", line);
    else
        snprintf(view->outgoing, sizeof(view->outgoing), "%.*s%u%s", (int)(at - line), line,
                 view->selected, at + 2);
}

static void send_rate(struct view *view, uint64_t rate_ppm)
{
    snprintf(view->outgoing, sizeof(view->outgoing), "rate %g", (double)rate_ppm / PPM);
}

static void freeze(struct view *view, const struct model *model)
{
    bool frozen = model->face.rate_ppm == 0;
    if (!frozen) view->former_rate_ppm = model->face.rate_ppm;
    send_rate(view, frozen ? view->former_rate_ppm : 0);
}

/* The neighbour of `rate_ppm` on the ladder 1, 2, 5, 10 ... */
static uint64_t next_rate(uint64_t rate_ppm, bool faster)
{
    static const uint64_t steps[] = { 1, 2, 5 };
    uint64_t below = 1000, above = CLOCK_RATE_MAX;
    for (uint64_t decade = 1000; decade <= CLOCK_RATE_MAX; decade *= 10)
        for (size_t i = 0; i < COUNT(steps); i++) {
            uint64_t rate = MIN_OF(decade * steps[i], CLOCK_RATE_MAX);
            if (rate < rate_ppm) below = MAX_OF(below, rate);
            if (rate > rate_ppm) above = MIN_OF(above, rate);
        }
    return faster ? above : below;
}

static void change_rate(struct view *view, const struct model *model, bool faster)
{
    bool frozen = model->face.rate_ppm == 0;
    send_rate(view, next_rate(frozen ? view->former_rate_ppm : model->face.rate_ppm, faster));
}

static void select_digit(struct view *view, const struct model *model, uint32_t digit)
{
    bool going_on = view->typed > 0 && model->now_ns - view->typed_ns < TYPING_NS;
    uint32_t number =
        going_on && view->typed * 10 + digit <= model->peers ? view->typed * 10 + digit : digit;
    view->typed = number;
    view->typed_ns = model->now_ns;
    if (number >= 1 && number <= model->peers) view->selected = number;
}

/* Away from the end the window stays where it is while the log grows. */
static void scroll_log(struct view *view, const struct model *model, bool newer)
{
    uint64_t last = view->log_last == 0 ? model->log_end : MIN_OF(view->log_last, model->log_end);
    if (newer) last += LOG_PAGE;
    else last = MAX_OF(last, LOG_PAGE + 1) - LOG_PAGE;
    view->log_last = last >= model->log_end ? 0 : last;
}

static void view_key(struct view *view, const struct model *model, enum view_key key)
{
    switch (key) {
    case VIEW_HELP:
        view->help = true;
        view->help_top = 0;
        break;
    case VIEW_PROMPT: prompt_open(&view->prompt, ""); break;
    case VIEW_FREEZE: freeze(view, model); break;
    case VIEW_STEP: verb_line(view, "step"); break;
    case VIEW_FASTER: change_rate(view, model, true); break;
    case VIEW_SLOWER: change_rate(view, model, false); break;
    case VIEW_DOWN: view->selected = view->selected % model->peers + 1; break;
    case VIEW_UP: view->selected = (view->selected + model->peers - 2) % model->peers + 1; break;
    case VIEW_PANE:
        view->pane = (view->pane + 1) % PANE_COUNT;
        view->pane_back = 0;
        break;
    case VIEW_OLDER: scroll_log(view, model, false); break;
    case VIEW_NEWER: scroll_log(view, model, true); break;
    case VIEW_BACK: view->pane_back = MIN_OF(view->pane_back + 1, FEED_LINES); break;
    case VIEW_FORTH: view->pane_back -= view->pane_back > 0; break;
    case VIEW_QUIET: view->quiet = !view->quiet; break;
    case VIEW_REDRAW: break; /* the loop's */
    case VIEW_QUIT: view->quit = true; break;
    case VIEW_KEY_COUNT: break;
    }
}

static bool find_view_key(bool function, wint_t key, enum view_key *found)
{
    for (size_t i = 0; function && i < COUNT(function_keys); i++)
        if (function_keys[i].code == (int)key) {
            *found = function_keys[i].key;
            return true;
        }
    for (size_t i = 0; !function && key < 128 && key != 0 && i < VIEW_KEY_COUNT; i++)
        if (strchr(key_rows[i].keys, (int)key) != NULL) {
            *found = (enum view_key)i;
            return true;
        }
    return false;
}

static bool verb_key(struct view *view, wint_t key)
{
    for (size_t v = 0; key != 0 && v < VERB_COUNT; v++) {
        if (verb_rows[v].key == 0 || (wint_t)verb_rows[v].key != key) continue;
        if (verb_rows[v].line != NULL) verb_line(view, verb_rows[v].line);
        else {
            char start[64];
            snprintf(start, sizeof(start), "%s ", verb_rows[v].word);
            prompt_open(&view->prompt, start);
        }
        return true;
    }
    return false;
}

static void help_key(struct view *view, bool function, wint_t key)
{
    if ((function && (key == KEY_DOWN || key == KEY_NPAGE)) ||
        (!function && (key == 'j' || key == ' ')))
        view->help_top += function && key == KEY_DOWN ? 1 : LOG_PAGE;
    else if (function && (key == KEY_UP || key == KEY_PPAGE))
        view->help_top -= MIN_OF(view->help_top, key == KEY_UP ? 1u : LOG_PAGE);
    else view->help = false;
    view->help_top = MIN_OF(view->help_top, (uint32_t)(VERB_COUNT + VIEW_KEY_COUNT + GLYPH_COUNT));
}

void keys_handle(struct view *view, const struct model *model, bool function, wint_t key)
{
    enum view_key own;
    if (function && key == KEY_RESIZE) return; /* a frame is made for the size it finds */
    view->message[0] = L'\0';
    if (view->prompt.open) {
        if (prompt_key(&view->prompt, function, key) == PROMPT_ENTERED)
            prompt_line(&view->prompt, view->outgoing, sizeof(view->outgoing));
        return;
    }
    if (view->help) {
        help_key(view, function, key);
        return;
    }
    if (!function && verb_key(view, key)) return; /* K1 */
    if (find_view_key(function, key, &own)) view_key(view, model, own);
    else if (!function && key >= '0' && key <= '9')
        select_digit(view, model, (uint32_t)(key - '0'));
    else if (function && key == KEY_END) view->log_last = 0;
    else if (function && key == KEY_HOME) view->log_last = 1;
}

void keys_send(struct view *view, const struct viz_options *options)
{
    char answer[MESSAGE_MAX] = "";
    bool done = options->send(options->context, view->outgoing, answer, sizeof(answer));
    answer[sizeof(answer) - 1] = '\0';
    wchar_t *to = view->message;
    mbstate_t state = { 0 };
    for (const char *from = answer; *from != '\0';) {
        size_t length = mbrtowc(to, from, strlen(from), &state);
        if (length == 0 || length > MESSAGE_MAX) { /* not a character of this locale */
            *to = L'?';
            length = 1;
            state = (mbstate_t){ 0 };
        }
        if (*to == L'\n') *to = L' ';
        from += length;
        to++;
    }
    *to = L'\0';
    if (view->message[0] == L'\0') wcscpy(view->message, done ? L"done" : L"refused");
    view->message_bad = !done;
    view->message_until_ns = real_now_ns() + MESSAGE_NS; /* it may have taken long */
    view->outgoing[0] = '\0';
}
