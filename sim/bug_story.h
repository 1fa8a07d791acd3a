/* sim/bug_story.h - what a bug is told with: its story, its source, and the code, right and wrong.
 * Owns   the texts that are built into the program: sim/stories.txt, and the source files that hold
 *        the functions. What is shown is what runs.
 * Leaves the table to sim/bug.h, layout to ctl/bugs.c. */
#ifndef SIM_BUG_STORY_H
#define SIM_BUG_STORY_H

#include "sim/bug.h"

struct span { /* of built-in text; not ended by a 0 */
    const char *text;
    size_t bytes;
};
/* The story without its last paragraph, which is the source. False: it has none. */
bool bug_story(const struct bug *bug, struct span *story, struct span *source);
/* The function `name` of `file` with the comment before it. False: there is none. */
bool source_function(const char *file, const char *name, struct span *code);

/* The functions of `code` ("file name,name", as struct bug has them) one by one: *at begins as
 * `code` and ends as NULL. False: there is no further one, or one is missing (then *at is not
 * NULL). */
bool code_next(const char *code, const char **at, struct span *function);
/* The file of `code`, cut to `size`. */
void code_file(const char *code, char *file, size_t size);

#endif
