/* ctl/watch.c - attach read-only to the region, send verbs through the control socket, guard the
 * terminal. */
#include "ctl/watch.h"

#include "ctl/cli.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/runtime.h"
#include "viz/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct terminal_guard guard = { .fd = -1 };

/* ---- in the dashboard's process ---- */

static bool send_verb(void *context, const char *line, char *answer, size_t size)
{
    struct caller *caller = context;
    json_t *object;
    const char *error;
    if (caller_ask(caller, line, &object) != ERR_OK) {
        snprintf(answer, size, "%s", err_context());
        return false;
    }
    bool ok = answer_ok(object, &error);
    json_t *output = json_object_get(object, "output");
    const char *done = json_string_value(json_object_get(object, "done"));
    if (!ok) snprintf(answer, size, "%s", error);
    else if (json_is_string(output)) snprintf(answer, size, "%s", json_string_value(output));
    else if (json_is_null(output)) snprintf(answer, size, "no such key");
    else if (json_is_boolean(output))
        snprintf(answer, size, json_is_true(output) ? "true" : "false");
    else snprintf(answer, size, "%s", done != NULL ? done : "ok");
    json_decref(object);
    return ok;
}

static bool has_ended(void *context)
{
    struct caller *caller = context;
    struct pollfd fd = { .fd = caller->fd, .events = POLLIN };
    char byte;
    if (poll(&fd, 1, 0) <= 0) return false;
    return recv(caller->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int show(const struct watch_options *options)
{
    struct caller caller;
    struct region *region = NULL;
    json_t *status = NULL;
    err_t err = caller_open(&caller, options->name);
    if (err == ERR_OK) err = caller_ask(&caller, "status", &status);
    if (err == ERR_OK)
        err = region_attach(json_string_value(json_object_get(status, "region")), &region);
    json_decref(status);
    struct viz_options viz = { .region = region,
                               .scheme = options->scheme,
                               .ascii = options->ascii,
                               .frames_per_second = (uint32_t)options->frames_per_second,
                               .send = send_verb,
                               .ended = has_ended,
                               .context = &caller };
    if (err == ERR_OK && options->dump)
        err = viz_dump(&viz, options->columns, options->rows, stdout);
    else if (err == ERR_OK) err = viz_run(&viz);
    if (err != ERR_OK) fprintf(stderr, "ringside watch: %s\n", err_context());
    if (region != NULL) region_close(region);
    caller_close(&caller);
    return err == ERR_OK ? EXIT_WELL : EXIT_INPUT;
}

/* ---- in its parent ---- */

err_t watch_terminal_check(void)
{
    return guard_check();
}

pid_t watch_fork(const struct watch_options *options)
{
    guard_save(&guard);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) return pid;
    /* the terminal is given back even when the parent is killed */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_NAME, "ringside-view");
    if (getppid() != parent) _exit(EXIT_INPUT);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close_range(3, ~0u, 0);
    int code = show(options);
    fflush(NULL);
    _exit(code);
}

int watch_ended(int status)
{
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    guard_restore(&guard);
    if (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGHUP)
        return EXIT_WELL;
    fprintf(stderr, "ringside: the dashboard died of signal %d\n", WTERMSIG(status));
    return EXIT_INPUT;
}

bool watch_scheme(const char *text, enum viz_scheme *scheme)
{
    static const struct {
        const char *name;
        enum viz_scheme scheme;
    } names[] = { { "auto", VIZ_AUTO }, { "256", VIZ_256 }, { "8", VIZ_8 }, { "mono", VIZ_MONO } };
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(names[i].name, text) != 0) continue;
        *scheme = names[i].scheme;
        return true;
    }
    err_begin(ERR_INPUT, "--colors is '%.32s'; it can be auto, 256, 8 or mono", text);
    return false;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct watch_options *options = state->input;
    uint64_t number;
    switch (key) {
    case 'c': return watch_scheme(argument, &options->scheme) ? 0 : EINVAL;
    case 'a': options->ascii = true; return 0;
    case 'd': options->dump = true; return 0;
    case 'f': return option_number("--fps", argument, 1, 60, &options->frames_per_second);
    case 's': {
        char *by = strchr(argument, 'x');
        if (by == NULL) {
            err_begin(ERR_INPUT, "--size is '%.32s'; it must be COLUMNSxROWS such as 80x24",
                      argument);
            return EINVAL;
        }
        *by = '\0';
        if (option_number("--size, columns", argument, 80, 1000, &number) != 0) return EINVAL;
        options->columns = (int)number;
        if (option_number("--size, rows", by + 1, 24, 1000, &number) != 0) return EINVAL;
        options->rows = (int)number;
        return 0;
    }
    case 'N':
    case ARGP_KEY_ARG: options->name = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int watch_main(int argc, char **argv)
{
    static const struct argp_option rows[] = {
        { "name", 'N', "NAME", 0, "which cluster, where several run (default: " NAME_DEFAULT ")",
          0 },
        { "colors", 'c', "SCHEME", 0, "auto, 256, 8 or mono", 0 },
        { "ascii", 'a', NULL, 0, "no characters beyond ASCII", 0 },
        { "fps", 'f', "N", 0, "frames a second, 1 to 60 (default: 20)", 0 },
        { "dump", 'd', NULL, 0, "print one frame as text and exit", 0 },
        { "size", 's', "CxR", 0, "columns x rows of a dump (default: 80x24)", 0 },
        { 0 },
    };
    static const struct argp argp = {
        rows, parse, "[NAME]", "Open the dashboard on a running cluster.", NULL, NULL, NULL
    };
    struct watch_options options = {
        .name = NAME_DEFAULT, .frames_per_second = 20, .columns = 80, .rows = 24
    };
    if (!options_parse(&argp, argc, argv, &options)) return EXIT_INPUT;
    if (options.dump) return show(&options);
    struct caller caller; /* both are told here, before the screen changes hands */
    err_t err = watch_terminal_check();
    if (err == ERR_OK && (err = caller_open(&caller, options.name)) == ERR_OK)
        caller_close(&caller);
    if (err != ERR_OK) {
        fprintf(stderr, "ringside watch: %s\n", err_context());
        return EXIT_INPUT;
    }
    signal(SIGINT, SIG_IGN);
    pid_t pid = watch_fork(&options);
    int status = 0;
    if (pid < 0) {
        fprintf(stderr, "ringside watch: fork: %s\n", strerror(errno));
        return EXIT_INPUT;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return watch_ended(status);
}
