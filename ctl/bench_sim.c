/* ctl/bench_sim.c - how fast virtual time is: one minute of five peers under load and faults, all
 * checks on, with one seed after the other, on all CPUs. */
#include "ctl/bench.h"

#include "ctl/sim_range.h"

#include <string.h>
#include <unistd.h>

enum { SEEDS = 60 };

static const char text[] = "cluster 5 preset fast\n"
                           "load put+get+append+cas 40/s keys 4\n"
                           "drop 3% dup 2% reorder 10% delay 0ms..5ms on all\n"
                           "every 5s kill random\n"
                           "every 6s restart all\n"
                           "every 7s partition minority | rest\n"
                           "every 9s heal\n"
                           "every 11s drop 3% dup 2% reorder 10% delay 0ms..5ms on all\n"
                           "every 8s pause leader\n"
                           "every 9s resume all\n"
                           "every 13s slow-disk 5ms on follower\n"
                           "every 17s slow-disk 0ms\n"
                           "every 23s power-cut all\n"
                           "wait 59s\n"
                           "heal\nresume all\nrestart all\nslow-disk 0ms\n"
                           "expect leader within 15s\n"
                           "expect linearizable\n";

err_t bench_sim(const struct bench *bench, struct figures *figures)
{
    UNUSED(bench);
    struct parse_error error;
    struct plan plan;
    struct sim_result result;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    err_t err = plan_parse(text, strlen(text), &plan, &error);
    CHECK(err == ERR_OK);
    struct sim_range range = { .plan = &plan,
                               .from = 1,
                               .to = SEEDS,
                               .shard = 1,
                               .shards = 1,
                               .jobs = (uint32_t)MAX_OF(cpus, 1),
                               .real_ns = TIME_NEVER,
                               .quiet = true };
    err = sim_range_run(&range, &result);
    if (err == ERR_OK && result.failures_count > 0)
        err = err_begin(ERR_INPUT, "seed %llu: %s", (unsigned long long)result.failures[0].seed,
                        result.failures[0].failure);
    if (err == ERR_OK) {
        figures->ops_per_s = (double)result.seeds / result.seconds;
        figures->ratio = (double)result.counts[COUNT_VIRTUAL_MS] / 1000 / result.seconds;
    }
    sim_result_free(&result);
    plan_free(&plan);
    return err;
}
