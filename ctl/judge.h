/* ctl/judge.h - is a history linearizable? Asked in a process of its own, so that nobody waits.
 * Owns   that process.
 * Leaves the verdict and its text to sim/verdict.h. A search can take a minute: meanwhile the
 *        supervisor has to look at trails, or it would be lapped and could not vouch for safety. */
#ifndef CTL_JUDGE_H
#define CTL_JUDGE_H

#include "sim/linear.h"
#include <sys/types.h>

struct judge {
    pid_t pid; /* 0: none at work */
    int report_fd;
};

/* Begin to check; the history may change afterwards. */
err_t judge_start(struct judge *judge, const struct history *history,
                  const struct linear_limits *limits);
/* False while it is at work. Else the verdict and a text of one or more lines, to be freed. */
bool judge_done(struct judge *judge, enum linear_verdict *verdict, char **report);
/* Forget it, at work or not. */
void judge_stop(struct judge *judge);

#endif
