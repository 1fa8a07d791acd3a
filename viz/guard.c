/* viz/guard.c - terminfo is asked while all is well; restoring is one write and one tcsetattr. */
#include "viz/guard.h"

#include <ncursesw/curses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

static struct terminal_guard *collecting; /* tputs gives its callback no context */

static int collect(int byte)
{
    if (collecting->length == sizeof(collecting->text)) return ERR;
    collecting->text[collecting->length++] = (char)byte;
    return byte;
}

static void add(const char *capability)
{
    char name[16];
    snprintf(name, sizeof(name), "%s", capability); /* tigetstr takes no const */
    char *text = tigetstr(name);
    if (text != NULL && text != (char *)-1) tputs(text, 1, collect);
}

err_t guard_check(void)
{
    const char *name = getenv("TERM");
    char position[] = "cup";
    int error;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return err_begin(ERR_INPUT, "the dashboard needs a terminal: try --headless");
    if (name == NULL || setupterm(NULL, STDOUT_FILENO, &error) == ERR)
        return err_begin(ERR_INPUT, "terminal type '%s' is unknown: set TERM, or try --headless",
                         name == NULL ? "" : name);
    char *text = tigetstr(position);
    bool usable = text != NULL && text != (char *)-1;
    del_curterm(cur_term);
    if (!usable)
        return err_begin(ERR_INPUT, "terminal type '%s' cannot place its cursor: try --headless",
                         name);
    return ERR_OK;
}

void guard_save(struct terminal_guard *guard)
{
    int error;
    memset(guard, 0, sizeof(*guard));
    guard->fd = -1;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDOUT_FILENO, &guard->settings) != 0) return;
    if (setupterm(NULL, STDOUT_FILENO, &error) == ERR) return;
    guard->fd = STDOUT_FILENO;
    collecting = guard;
    add("sgr0");
    add("rmkx");
    add("rmcup");
    add("cnorm");
    del_curterm(cur_term);
    collecting = NULL;
}

void guard_restore(const struct terminal_guard *guard)
{
    sigset_t stop, before;
    if (guard->fd < 0) return;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU); /* a parent in the background must not be stopped by this */
    sigprocmask(SIG_BLOCK, &stop, &before);
    ssize_t written = write(guard->fd, guard->text, guard->length);
    UNUSED(written); /* the terminal may be gone */
    tcsetattr(guard->fd, TCSANOW, &guard->settings);
    sigprocmask(SIG_SETMASK, &before, NULL);
}
