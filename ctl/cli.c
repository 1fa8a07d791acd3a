/* ctl/cli.c - subcommands that speak to a running cluster through its control socket. */
#include "ctl/cli.h"

#include "base/base.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/runtime.h"
#include "ctl/status.h"
#include "fault/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

/* ---- the socket ---- */

err_t caller_open(struct caller *caller, const char *name)
{
    *caller = (struct caller){ .fd = -1 };
    return runtime_connect(name, &caller->fd);
}

static err_t send_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return err_begin(ERR_SYSTEM, "the cluster has ended");
        text += sent;
        length -= (size_t)sent;
    }
    return ERR_OK;
}

err_t caller_ask(struct caller *caller, const char *line, json_t **answer)
{
    char *end;
    err_t err = send_all(caller->fd, line, strlen(line));
    if (err == ERR_OK) err = send_all(caller->fd, "\n", 1);
    if (err != ERR_OK) return err;
    while (caller->used == 0 || (end = memchr(caller->buffer, '\n', caller->used)) == NULL) {
        if (caller->size - caller->used < READ_BYTES) {
            caller->size += 2 * READ_BYTES;
            caller->buffer = realloc(caller->buffer, caller->size);
            CHECK(caller->buffer != NULL);
        }
        ssize_t got = recv(caller->fd, caller->buffer + caller->used, READ_BYTES, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return err_begin(ERR_SYSTEM, "the cluster ended before it answered");
        caller->used += (size_t)got;
    }
    *answer = json_loadb(caller->buffer, (size_t)(end - caller->buffer), 0, NULL);
    size_t taken = (size_t)(end + 1 - caller->buffer);
    memmove(caller->buffer, end + 1, caller->used - taken);
    caller->used -= taken;
    return *answer != NULL ? ERR_OK : err_begin(ERR_CORRUPT, "the answer is not JSON");
}

void caller_close(struct caller *caller)
{
    if (caller->fd >= 0) close(caller->fd);
    free(caller->buffer);
    *caller = (struct caller){ .fd = -1 };
}

bool answer_ok(json_t *answer, const char **error)
{
    if (json_is_true(json_object_get(answer, "ok"))) return true;
    *error = json_string_value(json_object_get(answer, "error"));
    if (*error == NULL) *error = "the cluster answered without a reason";
    return false;
}

/* ---- options that they share ---- */

struct cli {
    const char *command, *name;
    bool json;
    int words; /* positional ones */
    char *word[512];
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct cli *cli = state->input;
    switch (key) {
    case 'N': cli->name = argument; return 0;
    case 'j': cli->json = true; return 0;
    case ARGP_KEY_ARG:
        if (cli->words == COUNT(cli->word)) return ARGP_ERR_UNKNOWN;
        cli->word[cli->words++] = argument;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option named_options[] = {
    { "name", 'N', "NAME", 0, "which cluster, where several run (default: " NAME_DEFAULT ")", 0 },
    { 0 },
};
static const struct argp_option status_options[] = {
    { "json", 'j', NULL, 0, "one JSON object; its members are listed in the README", 0 },
    { "name", 'N', "NAME", 0, "which cluster, where several run (default: " NAME_DEFAULT ")", 0 },
    { 0 },
};

/* Parse, connect, ask, and hand over the answer. The exit code when that failed, else EXIT_WELL. */
static int complain(const struct cli *cli, const char *what)
{
    fprintf(stderr, "ringside %s: %s\n", cli->command, what);
    return EXIT_INPUT;
}

static int ask(const struct cli *cli, const char *line, json_t **answer)
{
    struct caller caller;
    err_t err = caller_open(&caller, cli->name);
    if (err == ERR_OK) err = caller_ask(&caller, line, answer);
    if (err == ERR_OK) {
        caller_close(&caller);
        return EXIT_WELL;
    }
    complain(cli, err_context());
    caller_close(&caller);
    return EXIT_INPUT;
}

/* ---- the subcommands ---- */

int status_main(int argc, char **argv)
{
    static const struct argp argp = {
        status_options, parse_option, NULL, "Tell every peer's role, term, vote and log.",
        NULL,           NULL,         NULL
    };
    struct cli cli = { .command = argv[0], .name = NAME_DEFAULT };
    json_t *answer = NULL;
    if (!options_parse(&argp, argc, argv, &cli)) return EXIT_INPUT;
    if (cli.words > 1) return complain(&cli, "expected one name at most: ringside status [NAME]");
    if (cli.words == 1) cli.name = cli.word[0];
    int code = ask(&cli, "status", &answer);
    if (code != EXIT_WELL) return code;
    if (cli.json) {
        json_dumpf(answer, stdout, JSON_INDENT(1));
        printf("\n");
    } else {
        status_print(answer, stdout);
    }
    json_decref(answer);
    return EXIT_WELL;
}

int down_main(int argc, char **argv)
{
    static const struct argp argp = {
        named_options, parse_option, "[NAME]", "End a running cluster.", NULL, NULL, NULL
    };
    struct cli cli = { .command = argv[0], .name = NAME_DEFAULT };
    struct caller caller;
    json_t *answer = NULL;
    char rest;
    if (!options_parse(&argp, argc, argv, &cli)) return EXIT_INPUT;
    if (cli.words > 1) return complain(&cli, "expected one name at most: ringside down [NAME]");
    if (cli.words == 1) cli.name = cli.word[0];
    err_t err = caller_open(&caller, cli.name);
    if (err == ERR_OK) err = caller_ask(&caller, "down", &answer);
    if (err != ERR_OK) return complain(&cli, err_context());
    json_decref(answer);
    /* closed when all its processes have ended */
    while (recv(caller.fd, &rest, 1, 0) > 0) continue;
    caller_close(&caller);
    return EXIT_WELL;
}

/* Words of the shell as one line of the verb language: those with blanks or quotes in them are
 * quoted again. */
static char *join(int count, char **words, bool quote_all)
{
    size_t size = 1, used = 0;
    for (int i = 0; i < count; i++) size += 4 * strlen(words[i]) + 4;
    char *line = malloc(size);
    CHECK(line != NULL);
    line[0] = '\0';
    for (int i = 0; i < count; i++) {
        bool quote = quote_all || words[i][0] == '\0' || strpbrk(words[i], " \t\"#\\\n") != NULL;
        if (i > 0) line[used++] = ' ';
        if (quote && i > 0) used += word_print(words[i], line + used, size - used);
        else used += (size_t)snprintf(line + used, size - used, "%s", words[i]);
    }
    return line;
}

int do_main(int argc, char **argv)
{
    static const struct argp argp = {
        named_options,
        parse_option,
        "VERB...",
        "Carry out one verb on a running cluster, e.g. ringside do partition leader "
        "\\| rest. `ringside do help` lists the verbs.",
        NULL,
        NULL,
        NULL
    };
    struct cli cli = { .command = argv[0], .name = NAME_DEFAULT };
    json_t *answer = NULL;
    const char *error;
    if (!options_parse(&argp, argc, argv, &cli)) return EXIT_INPUT;
    if (cli.words == 0) return complain(&cli, "expected a verb; list them with: ringside do help");
    char *line = join(cli.words, cli.word, false);
    int code = ask(&cli, line, &answer);
    free(line);
    if (code != EXIT_WELL) return code;
    size_t index;
    json_t *row;
    if (!answer_ok(answer, &error)) code = complain(&cli, error);
    json_array_foreach (json_object_get(answer, "verbs"), index, row)
        printf("%-10s %-48s %s\n", json_string_value(json_object_get(row, "word")),
               json_string_value(json_object_get(row, "arguments")),
               json_string_value(json_object_get(row, "help")));
    const char *done = json_string_value(json_object_get(answer, "done"));
    if (done != NULL) printf("%s\n", done);
    json_decref(answer);
    return code;
}

static int print_outcome(const struct cli *cli, json_t *answer)
{
    const char *error;
    json_t *output = json_object_get(answer, "output");
    if (!answer_ok(answer, &error)) {
        complain(cli, error);
        return json_object_get(answer, "status") != NULL ? EXIT_UNMET : EXIT_INPUT;
    }
    if (json_is_string(output)) {
        fwrite(json_string_value(output), 1, json_string_length(output), stdout);
        printf("\n");
    } else if (json_is_boolean(output)) {
        printf("%s\n", json_is_true(output) ? "true" : "false");
    } else if (json_is_null(output)) {
        fprintf(stderr, "ringside get: there is no key '%s'\n", cli->word[0]);
        return EXIT_UNMET;
    } else {
        printf("ok\n");
    }
    return EXIT_WELL;
}

int key_main(int argc, char **argv)
{
    static const struct {
        const char *verb, *arguments;
        int count;
    } forms[] = { { "put", "KEY VALUE", 2 },
                  { "get", "KEY", 1 },
                  { "del", "KEY", 1 },
                  { "append", "KEY VALUE", 2 },
                  { "cas", "KEY EXPECTED VALUE", 3 } };
    size_t form = 0;
    while (strcmp(forms[form].verb, argv[0]) != 0) form++;
    struct argp argp = {
        named_options,
        parse_option,
        forms[form].arguments,
        "One operation on the cluster's key-value store, through the log. Exit code 2: no leader "
        "answered in time, or get found no such key.",
        NULL,
        NULL,
        NULL
    };
    struct cli cli = { .command = argv[0], .name = NAME_DEFAULT };
    json_t *answer = NULL;
    char expected[96];
    if (!options_parse(&argp, argc, argv, &cli)) return EXIT_INPUT;
    if (cli.words != forms[form].count) {
        snprintf(expected, sizeof(expected), "expected: ringside %s %s", argv[0],
                 forms[form].arguments);
        return complain(&cli, expected);
    }
    char *words[4] = { argv[0] };
    for (int i = 0; i < cli.words; i++) words[i + 1] = cli.word[i];
    char *line = join(cli.words + 1, words, true);
    int code = ask(&cli, line, &answer);
    free(line);
    if (code != EXIT_WELL) return code;
    code = print_outcome(&cli, answer);
    json_decref(answer);
    return code;
}
