/* ctl/bugs.c - `ringside bugs`: the museum's table, and one bug told whole. */
#include "ctl/commands.h"
#include "ctl/options.h"
#include "sim/bug_story.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SIDE_BY_SIDE = 120, WIDTH = 80, WIDTH_MAX = 220, KEY_JSON = 256, KEY_WIDTH };

struct options {
    const struct bug *bug;
    bool json;
    uint64_t width;
};

static const struct argp_option rows[] = {
    { "json", KEY_JSON, NULL, 0, "one JSON object a line", 0 },
    { "width", KEY_WIDTH, "N", 0, "columns to use (default: the terminal's, else 80)", 0 },
    { 0 },
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case KEY_JSON: options->json = true; return 0;
    case KEY_WIDTH: return option_number("--width", argument, 40, 1000, &options->width);
    case ARGP_KEY_ARG:
        if (options->bug != NULL) {
            err_begin(ERR_INPUT, "'%.64s' is too much: one bug at a time", argument);
            return EINVAL;
        }
        options->bug = bug_find(argument);
        return options->bug != NULL ? 0 : EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the table ---- */

static void list(void)
{
    char number[16];
    for (uint32_t group = 0; group < BUG_GROUP_COUNT; group++) {
        printf("%s%s\n", group > 0 ? "\n" : "", bug_group_name((enum bug_group)group));
        for (size_t i = 0; i < bugs_count; i++) {
            const struct bug *bug = &bugs[i];
            if (bug->group != (enum bug_group)group) continue;
            printf("  %4s  %-24s %-60s  %s\n", bug_number(bug, number), bug->name, bug->title,
                   bug->breaks);
        }
    }
    printf(
        "\nringside bugs NAME tells one; ringside up --bug NAME and run --bug NAME PLAN give it to "
        "all peers.\n");
}

/* ---- one bug ---- */

/* Text whose lines may be as long as they like, in lines of `width`. */
static void print_wrapped(struct span span, size_t width)
{
    size_t column = 0;
    for (size_t at = 0; at < span.bytes;) {
        size_t length = 0;
        while (at + length < span.bytes && span.text[at + length] != ' ' &&
               span.text[at + length] != '\n')
            length++;
        if (length == 0) { /* an empty line stays one */
            bool empty = span.text[at] == '\n' && at + 1 < span.bytes && span.text[at + 1] == '\n';
            if (empty) {
                printf("\n\n");
                column = 0;
            }
            at += 1 + empty;
            continue;
        }
        if (column > 0 && column + 1 + length > width) {
            printf("\n");
            column = 0;
        }
        printf("%s%.*s", column > 0 ? " " : "", (int)length, span.text + at);
        column += length + (column > 0);
        at += length;
    }
    printf("\n");
}

/* All functions of `code`, to be freed. */
static char *gather(const char *code, size_t *bytes)
{
    char *text = NULL;
    struct span function;
    FILE *file = open_memstream(&text, bytes);
    CHECK(file != NULL);
    for (const char *at = code; code_next(code, &at, &function);)
        fprintf(file, "%s%.*s\n", ftell(file) > 0 ? "\n" : "", (int)function.bytes, function.text);
    fclose(file);
    return text;
}

/* Characters of UTF-8, each of which is a column in what is printed here. */
static size_t columns(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* How much of a line fits: all, or up to the last space that leaves more than its indentation. */
static size_t that_fits(const char *line, size_t length, size_t indent, size_t width)
{
    size_t fits = 0;
    if (columns(line, length) <= width) return length;
    for (size_t i = indent + 1; i < length; i++)
        if (line[i] == ' ' && columns(line, i) <= width) fits = i;
    return fits > 0 ? fits : length;
}

/* The same with lines of `width`, what goes over is indented below; to be freed. */
static char *fold(const char *text, size_t width)
{
    char *folded = NULL;
    size_t bytes;
    FILE *file = open_memstream(&folded, &bytes);
    CHECK(file != NULL);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n"), indent = strspn(text, " "), extra = 0;
        if (indent > width / 3) { /* aligned with something far to the right */
            text += indent - 8;
            length -= indent - 8;
            indent = 8;
        }
        while (length > 0) {
            size_t fits = that_fits(text, length, extra > 0 ? 0 : indent, width - extra);
            fprintf(file, "%*s%.*s\n", (int)extra, "", (int)fits, text);
            extra = indent + 4;
            fits += fits < length; /* the space */
            text += fits;
            length -= fits;
        }
        if (extra == 0) fputc('\n', file); /* it was empty */
        text += *text == '\n';
    }
    fclose(file);
    return folded;
}

static const char *print_line(const char *text, size_t pad)
{
    size_t length = strcspn(text, "\n"), used = columns(text, length);
    printf("%.*s%*s", (int)length, text, (int)(pad > used ? pad - used : 0), "");
    return text + length + (text[length] == '\n');
}

static void print_side_by_side(const char *left, const char *right, size_t column)
{
    char *folded_left = fold(left, column), *folded_right = fold(right, column);
    left = folded_left;
    right = folded_right;
    while (*left != '\0' || *right != '\0') {
        left = print_line(left, column);
        printf(*right != '\0' && *right != '\n' ? " | " : " |");
        right = print_line(right, 0);
        printf("\n");
    }
    free(folded_left);
    free(folded_right);
}

static void print_code(const struct bug *bug, size_t width)
{
    char right_file[64], wrong_file[64];
    size_t bytes;
    char *right = gather(bug->right, &bytes), *wrong = gather(bug->wrong, &bytes);
    code_file(bug->right, right_file, sizeof(right_file));
    code_file(bug->wrong, wrong_file, sizeof(wrong_file));
    if (width >= SIDE_BY_SIDE) {
        size_t column = (width - 3) / 2;
        char heading[2][80];
        snprintf(heading[0], sizeof(heading[0]), "right (%s)\n\n", right_file);
        snprintf(heading[1], sizeof(heading[1]), "wrong (%s)\n\n", wrong_file);
        print_side_by_side(heading[0], heading[1], column);
        print_side_by_side(right, wrong, column);
    } else {
        printf("right (%s):\n\n%s\nwrong (%s):\n\n%s", right_file, right, wrong_file, wrong);
    }
    free(right);
    free(wrong);
}

static void tell(const struct bug *bug, size_t width)
{
    char number[16];
    struct span story, source;
    bool told = bug_story(bug, &story, &source);
    CHECK(told);
    printf("%s: %s\n", bug->name, bug->title);
    if (bug->number != 0) printf("number %s of the catalogue, ", bug_number(bug, number));
    printf("%s; breaks %s\n\n", bug_group_name(bug->group), bug->breaks);
    print_wrapped(story, MIN_OF(width, 100));
    printf("\n");
    print_wrapped(source, MIN_OF(width, 100));
    if (bug->plan != NULL)
        printf("\nTo see it: ringside run --bug %s plans/bugs/%s\n", bug->name, bug->plan);
    printf("To watch it: ringside up --bug %s\n\n", bug->name);
    print_code(bug, width);
}

/* ---- for programs ---- */

static json_t *span_json(struct span span)
{
    return json_stringn(span.text, span.bytes);
}

static json_t *code_json(const char *code)
{
    size_t bytes;
    char *text = gather(code, &bytes);
    json_t *json = json_stringn(text, bytes);
    free(text);
    return json;
}

static void print_json(const struct bug *bug)
{
    struct span story, source;
    char number[16];
    bool told = bug_story(bug, &story, &source);
    CHECK(told);
    json_t *json = json_object();
    json_object_set_new(json, "name", json_string(bug->name));
    json_object_set_new(json, "number",
                        bug->number != 0 ? json_string(bug_number(bug, number)) : json_null());
    json_object_set_new(json, "group", json_string(bug_group_name(bug->group)));
    json_object_set_new(json, "title", json_string(bug->title));
    json_object_set_new(json, "breaks", json_string(bug->breaks));
    json_object_set_new(json, "story", span_json(story));
    json_object_set_new(json, "source", span_json(source));
    json_object_set_new(json, "plan", bug->plan != NULL ? json_string(bug->plan) : json_null());
    json_object_set_new(json, "right", code_json(bug->right));
    json_object_set_new(json, "wrong", code_json(bug->wrong));
    json_dumpf(json, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(json);
}

/* ---- the command ---- */

static size_t terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return WIDTH;
    return size.ws_col;
}

int bugs_main(int argc, char **argv)
{
    static const struct argp argp = {
        rows,
        parse,
        "[NAME]",
        "Bugs that were found in somebody's Raft, each as one wrong rule or one wrong step, to be "
        "run and watched. NAME may be a number of the list, too.",
        NULL,
        NULL,
        NULL
    };
    struct options options = { 0 };
    if (!options_parse(&argp, argc, argv, &options)) return EXIT_INPUT;
    size_t width = options.width != 0 ? options.width : terminal_width();
    if (options.json) {
        for (size_t i = 0; i < bugs_count; i++)
            if (options.bug == NULL || options.bug == &bugs[i]) print_json(&bugs[i]);
    } else if (options.bug != NULL) {
        tell(options.bug, MIN_OF(width, (size_t)WIDTH_MAX));
    } else {
        list();
    }
    return EXIT_WELL;
}
