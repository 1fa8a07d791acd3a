/* viz/guard.c - terminfo is asked while all is well; restoring is one write and one tcsetattr. */
#include "viz/guard.h"

#include <ncursesw/curses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

static char *collecting; /* tputs gives its callback no context */
static size_t collected, room;

static int collect(int byte)
{
    if (collected == room) return ERR;
    collecting[collected++] = (char)byte;
    return byte;
}

/* Append what `capability` stands for to `text`, which has `size` bytes; returns the new length. */
static size_t add(char *text, size_t size, size_t length, const char *capability)
{
    char name[16];
    snprintf(name, sizeof(name), "%s", capability); /* tigetstr takes no const */
    char *found = tigetstr(name);
    collecting = text;
    collected = length;
    room = size;
    if (found != NULL && found != (char *)-1) tputs(found, 1, collect);
    return collected;
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
    static const char *const capabilities[] = { "sgr0", "rmkx", "rmcup", "cnorm" };
    int error;
    memset(guard, 0, sizeof(*guard));
    guard->fd = -1;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDOUT_FILENO, &guard->settings) != 0) return;
    if (setupterm(NULL, STDOUT_FILENO, &error) == ERR) return;
    guard->fd = STDOUT_FILENO;
    for (size_t i = 0; i < COUNT(capabilities); i++)
        guard->length = add(guard->text, sizeof(guard->text), guard->length, capabilities[i]);
    guard->mark_length = add(guard->mark, sizeof(guard->mark), 0, "sc");
    del_curterm(cur_term);
}

/* The terminal may be gone, and then there is nothing to be done. */
static void say(int fd, const char *text, size_t length)
{
    ssize_t written = write(fd, text, length);
    UNUSED(written);
}

void guard_restore(const struct terminal_guard *guard)
{
    sigset_t stop, before;
    if (guard->fd < 0) return;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU); /* a parent in the background must not be stopped by this */
    sigprocmask(SIG_BLOCK, &stop, &before);
    say(guard->fd, guard->text, guard->length);
    tcsetattr(guard->fd, TCSANOW, &guard->settings);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Leaving the other screen goes to the saved place, a second time as well. */
void guard_mark(const struct terminal_guard *guard)
{
    if (guard->fd >= 0) say(guard->fd, guard->mark, guard->mark_length);
}
