/* ctl/commands.h - the subcommands, one function each. argv[0] is the subcommand's own name.
 * They return the exit code: 0 all well, 1 bad input or environment (one line on stderr says
 * which), 2 an expectation was not met, 3 safety was broken or a history is not linearizable. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

int up_main(int argc, char **argv);    /* ctl/up.c */
int watch_main(int argc, char **argv); /* ctl/watch.c */
int down_main(int argc, char **argv);  /* ctl/cli.c */
int status_main(int argc, char **argv);
int do_main(int argc, char **argv);
int key_main(int argc, char **argv);     /* put, get, del, append, cas */
int run_main(int argc, char **argv);     /* ctl/run.c */
int sim_main(int argc, char **argv);     /* ctl/sim_main.c */
int check_main(int argc, char **argv);   /* ctl/check.c */
int bugs_main(int argc, char **argv);    /* ctl/bugs.c */
int bench_main(int argc, char **argv);   /* ctl/bench.c */
int explore_main(int argc, char **argv); /* ctl/explore.c */

enum exit_code { EXIT_WELL = 0, EXIT_INPUT = 1, EXIT_UNMET = 2, EXIT_UNSAFE = 3 };

#endif
