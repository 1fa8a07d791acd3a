/* ctl/main.c - the one main: a table of subcommands. */
#include "ctl/commands.h"

#include "base/base.h"
#include "ctl/help.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct subcommand {
    const char *name, *arguments, *help;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    { "up",
      "[-n N] [--name NAME] [--data DIR] [--preset lab|watch|fast] [--headless] [--for TIME] "
      "[--seed S]",
      "start a cluster and open the dashboard on it", up_main },
    { "watch", "[NAME]", "open the dashboard on a running cluster", watch_main },
    { "down", "[NAME]", "end a running cluster", down_main },
    { "status", "[--json] [--name NAME]", "every peer's role, term, vote and log", status_main },
    { "do", "VERB... [--name NAME]", "inject a fault or any other verb: ringside do kill leader",
      do_main },
    { "put", "KEY VALUE", "write a value", key_main },
    { "get", "KEY", "read a value through the log", key_main },
    { "del", "KEY", "delete a key", key_main },
    { "append", "KEY VALUE", "append to a value", key_main },
    { "cas", "KEY EXPECTED VALUE", "replace a value if it is EXPECTED", key_main },
    { "run", "PLAN...", "run plans on real processes, headless, with verdicts (TAP 14)", run_main },
    { "sim", "PLAN... | --seeds A..B", "run plans, or a swarm of seeds, in virtual time (TAP 14)",
      sim_main },
    { "explore", "[OPTIONS]", "try every order of events within bounds, on the pure core",
      explore_main },
    { "check", "HISTORY.jsonl", "is a recorded history linearizable?", check_main },
    { "bugs", "[NAME] [--json]", "a museum of published bugs; run one with: up, run --bug NAME",
      bugs_main },
    { "bench", "[NAME...] [--json]", "measure, each figure beside its floor", bench_main },
};

static void help(FILE *file)
{
    fprintf(file, "Ringside: a real Raft cluster on one machine, to watch, break and trust.\n\n"
                  "usage: ringside [COMMAND] [ARGUMENTS]    (no command: up)\n\n");
    for (size_t i = 0; i < COUNT(subcommands); i++)
        fprintf(file, "  %-7s %s\n          %s\n", subcommands[i].name, subcommands[i].arguments,
                subcommands[i].help);
    fprintf(
        file,
        "\nringside COMMAND --help tells more; so do ringside help verbs and ringside help plans.\n"
        "Exit codes: 0 well, 1 bad input or environment,\n"
        "2 an expectation was not met, 3 safety was broken or a history is not linearizable.\n");
}

int main(int argc, char **argv)
{
    static char up[] = "up";
    setlocale(LC_CTYPE, "");
    if (argc < 2 ||
        (argv[1][0] == '-' && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0)) {
        argv[0] = up; /* `ringside -n 3` is `ringside up -n 3` */
        return up_main(argc, argv);
    }
    if (argv[1][0] == '-' || strcmp(argv[1], "help") == 0) {
        if (argc > 2 && strcmp(argv[2], "verbs") == 0) help_verbs(stdout);
        else if (argc > 2 && strcmp(argv[2], "plans") == 0) help_plans(stdout);
        else help(stdout);
        return EXIT_WELL;
    }
    for (size_t i = 0; i < COUNT(subcommands); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "ringside: '%.64s' is no command; they are:", argv[1]);
    for (size_t i = 0; i < COUNT(subcommands); i++) fprintf(stderr, " %s", subcommands[i].name);
    fprintf(stderr, "\n");
    return EXIT_INPUT;
}
