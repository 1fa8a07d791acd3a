/* tests/harness/tap.c - line by line; see tests/harness/tap.h. */
#include "tests/harness/tap.h"

#include <stdio.h>
#include <string.h>

struct level {
    unsigned points, planned;
    bool has_plan, failed;
};
struct reader {
    struct level level[2]; /* 1: of the subtest under way */
    bool subtest, block;
    const char *problem;
};

static void read_point(struct reader *reader, unsigned depth, const char *line, bool ok)
{
    unsigned number;
    struct level *level = &reader->level[depth];
    if (sscanf(line, "%u - ", &number) != 1 || number != ++level->points)
        reader->problem = "a number that does not follow";
    if (!ok) level->failed = true;
    if (depth == 1 || !reader->subtest) return;
    const struct level *inner = &reader->level[1];
    if (!inner->has_plan || inner->planned != inner->points)
        reader->problem = "a subtest's plan is wrong";
    else if (ok == inner->failed && ok) reader->problem = "ok, but its subtest has failed";
    reader->level[1] = (struct level){ 0 };
    reader->subtest = false;
}

static void read_line(struct reader *reader, const char *line)
{
    unsigned depth = strncmp(line, "    ", 4) == 0 && !reader->block ? 1 : 0;
    const char *rest = line + 4 * depth;
    struct level *level = &reader->level[depth];
    if (reader->block || strcmp(rest, "  ---") == 0) {
        reader->block = strcmp(line, "  ...") != 0 && strcmp(line, "      ...") != 0;
        return;
    }
    if (rest[0] == '#') return;
    if (depth == 1) reader->subtest = true;
    if (strncmp(rest, "ok ", 3) == 0) {
        read_point(reader, depth, rest + 3, true);
    } else if (strncmp(rest, "not ok ", 7) == 0) {
        read_point(reader, depth, rest + 7, false);
    } else if (sscanf(rest, "1..%u", &level->planned) == 1 && !level->has_plan) {
        level->has_plan = true;
    } else {
        reader->problem = "a line that is not TAP";
    }
}

bool tap_check(const char *text, char *problem, size_t size)
{
    static const char version[] = "TAP version 14\n";
    struct reader reader = { 0 };
    char line[16384];
    if (strncmp(text, version, strlen(version)) != 0) reader.problem = "no version";
    for (text += strlen(version); reader.problem == NULL && *text != '\0';) {
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)length, text);
        read_line(&reader, line);
        text += length + (text[length] != '\0');
        if (reader.problem != NULL) snprintf(problem, size, "%s: %s", reader.problem, line);
    }
    const struct level *level = &reader.level[0];
    if (reader.problem != NULL) {
        if (reader.level[0].points == 0 && !level->has_plan)
            snprintf(problem, size, "%s", reader.problem);
        return false;
    }
    if (reader.block) snprintf(problem, size, "a block that does not end");
    else if (!level->has_plan) snprintf(problem, size, "no plan");
    else if (level->planned != level->points)
        snprintf(problem, size, "%u points were planned, there are %u", level->planned,
                 level->points);
    else return true;
    return false;
}
