/* viz/loop.c - the dashboard's process: terminal in and out, frames in time, keys, signals.
 * A frame is made when its time has come or a key was pressed; in between it sleeps in poll. */
#include "viz/guard.h"
#include "viz/keys.h"
#include "viz/paint.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static struct terminal_guard guard;
static volatile sig_atomic_t told_to_end;
static int real_stderr = -1, kept_stderr = -1;

static const int end_signals[] = { SIGINT, SIGTERM, SIGHUP };
static const int crash_signals[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL };
static struct sigaction end_before[COUNT(end_signals)], crash_before[COUNT(crash_signals)];

/* What the process says on stderr would spoil the screen: it is kept and said at the end.
 * Async-signal-safe. */
static void tell_stderr(void)
{
    char bytes[512];
    ssize_t length;
    off_t at = 0;
    if (kept_stderr < 0) return;
    while ((length = pread(kept_stderr, bytes, sizeof(bytes), at)) > 0) {
        if (write(real_stderr, bytes, (size_t)length) < 0) break;
        at += length;
    }
}

static void keep_stderr(void)
{
    if (!isatty(STDERR_FILENO)) return;
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    kept_stderr = memfd_create("ringside-stderr", MFD_CLOEXEC);
    if (real_stderr >= 0 && kept_stderr >= 0) dup2(kept_stderr, STDERR_FILENO);
}

static void release_stderr(void)
{
    if (real_stderr >= 0 && kept_stderr >= 0) {
        fflush(stderr);
        dup2(real_stderr, STDERR_FILENO);
        tell_stderr();
    }
    if (real_stderr >= 0) close(real_stderr);
    if (kept_stderr >= 0) close(kept_stderr);
    real_stderr = kept_stderr = -1;
}

static void on_end(int signal_number)
{
    UNUSED(signal_number);
    told_to_end = 1;
}

static void on_crash(int signal_number)
{
    int error = errno;
    guard_restore(&guard);
    tell_stderr();
    guard_mark(&guard); /* a parent may restore once more */
    errno = error;
    raise(signal_number); /* SA_RESETHAND: now it kills */
}

static void catch_signals(void)
{
    struct sigaction end = { .sa_handler = on_end }, crash = { .sa_handler = on_crash };
    sigset_t open;
    sigemptyset(&open);
    told_to_end = 0;
    crash.sa_flags = SA_RESETHAND | SA_NODEFER;
    for (size_t i = 0; i < COUNT(end_signals); i++) {
        sigaction(end_signals[i], &end, &end_before[i]);
        sigaddset(&open, end_signals[i]);
    }
    for (size_t i = 0; i < COUNT(crash_signals); i++)
        sigaction(crash_signals[i], &crash, &crash_before[i]);
    sigaddset(&open, SIGWINCH);
    sigaddset(&open, SIGTSTP);
    sigaddset(&open, SIGCONT);
    sigprocmask(SIG_UNBLOCK, &open, NULL);
}

static void restore_signals(void)
{
    for (size_t i = 0; i < COUNT(end_signals); i++) sigaction(end_signals[i], &end_before[i], NULL);
    for (size_t i = 0; i < COUNT(crash_signals); i++)
        sigaction(crash_signals[i], &crash_before[i], NULL);
}

static err_t too_small(int columns, int rows)
{
    return err_begin(ERR_INPUT, "the terminal has %dx%d cells: the dashboard needs %dx%d", columns,
                     rows, VIEW_COLUMNS_MIN, VIEW_ROWS_MIN);
}

static err_t check_size(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0 &&
        (size.ws_col < VIEW_COLUMNS_MIN || size.ws_row < VIEW_ROWS_MIN))
        return too_small(size.ws_col, size.ws_row);
    return ERR_OK;
}

static void use_locale(void)
{
    if (strcmp(setlocale(LC_CTYPE, NULL), "C") == 0) setlocale(LC_CTYPE, "");
}

static void show(const struct model *model, const struct view *view)
{
    paint_frame(stdscr, model, view);
    wnoutrefresh(stdscr);
    doupdate(); /* the only one: a frame appears whole */
}

/* All keys that are there, and the verbs that they ask for. */
static void take_keys(struct view *view, struct model *model, const struct viz_options *options)
{
    wint_t key;
    int kind;
    while (!view->quit && !told_to_end && (kind = get_wch(&key)) != ERR) {
        keys_handle(view, model, kind == KEY_CODE_YES, key);
        if (kind != KEY_CODE_YES && key == '\f') clearok(curscr, TRUE);
        if (view->outgoing[0] == '\0') continue;
        show(model, view); /* it may take a moment: say what is under way */
        keys_send(view, options);
        model_read(model, options->region, real_now_ns()); /* what the next key acts on */
    }
}

/* Sleep until `deadline_ns`, a key, or a signal. False when the terminal is gone. */
static bool sleep_until(uint64_t deadline_ns)
{
    struct pollfd terminal = { STDIN_FILENO, POLLIN, 0 };
    uint64_t now_ns = real_now_ns();
    int timeout_ms =
        now_ns < deadline_ns ? (int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
    int ready = poll(&terminal, 1, timeout_ms);
    return ready <= 0 || (terminal.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static void run_loop(const struct viz_options *options, struct model *model, struct view *view)
{
    uint64_t period_ns = NS_PER_S / MIN_OF(MAX_OF(options->frames_per_second, 1), 60);
    while (!view->quit && !told_to_end && !options->ended(options->context)) {
        uint64_t now_ns = real_now_ns();
        model_read(model, options->region, now_ns);
        show(model, view);
        if (!sleep_until(now_ns + period_ns)) break;
        take_keys(view, model, options);
    }
}

err_t viz_run(const struct viz_options *options)
{
    err_t err = guard_check();
    if (err == ERR_OK) err = check_size(); /* before anything is drawn */
    if (err != ERR_OK) return err;
    use_locale();
    guard_save(&guard);
    keep_stderr();
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (screen == NULL) {
        release_stderr();
        return err_begin(ERR_INPUT, "terminal type '%s' cannot be used: try --headless",
                         getenv("TERM"));
    }
    catch_signals(); /* after newterm, which has handlers of its own */
    if (COLS < VIEW_COLUMNS_MIN || LINES < VIEW_ROWS_MIN) err = too_small(COLS, LINES);
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    struct model *model = model_new(options->region);
    struct view *view = calloc(1, sizeof(*view));
    CHECK(view != NULL);
    view_init(view, model, look_choose(options->scheme, options->ascii));
    if (err == ERR_OK) run_loop(options, model, view);
    free(view);
    model_free(model);
    endwin(); /* restores the terminal; a second rmcup would move the cursor */
    delscreen(screen);
    restore_signals();
    release_stderr();
    return err;
}

err_t viz_dump(const struct viz_options *options, int columns, int rows, FILE *file)
{
    use_locale();
    FILE *nowhere = fopen("/dev/null", "r+");
    if (nowhere == NULL) return err_begin(ERR_SYSTEM, "/dev/null: %s", strerror(errno));
    SCREEN *screen = newterm("dumb", nowhere, nowhere);
    WINDOW *frame = screen == NULL ? NULL : newpad(rows, columns);
    err_t err = frame == NULL ? err_begin(ERR_INPUT, "cannot make a frame of %dx%d", columns, rows)
                              : ERR_OK;
    if (err == ERR_OK) {
        struct model *model = model_new(options->region);
        struct view *view = calloc(1, sizeof(*view));
        CHECK(view != NULL);
        model_read(model, options->region, real_now_ns());
        view_init(view, model, look_choose(VIZ_MONO, options->ascii));
        paint_frame(frame, model, view);
        frame_write(frame, file);
        free(view);
        model_free(model);
        delwin(frame);
    }
    if (screen != NULL) {
        endwin();
        delscreen(screen);
    }
    fclose(nowhere);
    return err;
}
