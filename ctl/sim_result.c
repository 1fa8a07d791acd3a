/* ctl/sim_result.c - see ctl/sim_result.h. */
#include "ctl/sim_result.h"

#include "ctl/commands.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 10 };

void sim_result_free(struct sim_result *result)
{
    free(result->failures);
    *result = (struct sim_result){ 0 };
}

static int by_seed(const void *left, const void *right)
{
    const struct sim_failure *a = left, *b = right;
    return a->seed < b->seed ? -1 : a->seed > b->seed;
}

void sim_result_fail(struct sim_result *result, const struct sim_failure *failure)
{
    struct sim_failure *grown =
        reallocarray(result->failures, result->failures_count + 1, sizeof(*grown));
    CHECK(grown != NULL);
    result->failures = grown;
    grown[result->failures_count++] = *failure;
    qsort(grown, result->failures_count, sizeof(*grown), by_seed);
}

int sim_result_code(const struct sim_result *result)
{
    int code = EXIT_WELL;
    for (size_t i = 0; i < result->failures_count; i++)
        code = MAX_OF(code, result->failures[i].end == PLAYER_UNSAFE ? EXIT_UNSAFE : EXIT_UNMET);
    return code;
}

/* ---- telling ---- */

void sim_result_tell(const struct sim_result *result, struct tap *tap)
{
    char text[1200];
    tap_yaml_begin(tap);
    for (size_t i = 0; i < MIN_OF(result->failures_count, SHOWN_MAX); i++) {
        const struct sim_failure *failure = &result->failures[i];
        snprintf(text, sizeof(text), "seed %llu: %s: %s", (unsigned long long)failure->seed,
                 failure->invariant, failure->failure);
        tap_yaml_text(tap, i == 0 ? "failure" : "also", text);
    }
    if (result->bug[0] != '\0') tap_yaml_text(tap, "bug", result->bug);
    tap_yaml_number(tap, "seeds", result->seeds);
    tap_yaml_number(tap, "failed", result->failures_count);
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)result->hash);
    tap_yaml_text(tap, "hash", text);
    double virtual_s = (double)result->counts[COUNT_VIRTUAL_MS] / 1000;
    snprintf(text, sizeof(text), "%.1f s, %.0f seeds/s, %.0f times real time", result->seconds,
             (double)result->seeds / result->seconds, virtual_s / result->seconds);
    if (result->seconds > 0) tap_yaml_text(tap, "speed", text);
    for (uint32_t i = 0; i < COUNT_COUNT; i++)
        tap_yaml_number(tap, count_label((enum count)i), result->counts[i]);
    tap_yaml_end(tap);
}

/* ---- JSON ---- */

static json_t *pack_failures(const struct sim_result *result)
{
    json_t *array = json_array();
    for (size_t i = 0; i < result->failures_count; i++) {
        const struct sim_failure *failure = &result->failures[i];
        json_array_append_new(array, json_pack("{sI,sb,ss,ss}", "seed", (json_int_t)failure->seed,
                                               "safety", failure->end == PLAYER_UNSAFE, "invariant",
                                               failure->invariant, "failure", failure->failure));
    }
    return array;
}

err_t sim_result_write(const struct sim_result *result, const char *path)
{
    char hash[24];
    json_t *counts = json_object();
    for (uint32_t i = 0; i < COUNT_COUNT; i++)
        json_object_set_new(counts, count_label((enum count)i),
                            json_integer((json_int_t)result->counts[i]));
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)result->hash);
    json_t *object = json_pack("{sI,sI,si,si,ss,sI,ss,sf,so,so}", "from", (json_int_t)result->from,
                               "to", (json_int_t)result->to, "shard", (int)result->shard, "shards",
                               (int)result->shards, "bug", result->bug, "seeds",
                               (json_int_t)result->seeds, "hash", hash, "seconds", result->seconds,
                               "failures", pack_failures(result), "counts", counts);
    CHECK(object != NULL);
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "we");
    int bad = file == NULL || json_dumpf(object, file, JSON_COMPACT) != 0 || fputc('\n', file) < 0;
    if (file != NULL) bad |= standard ? fflush(file) : fclose(file);
    json_decref(object);
    return bad == 0 ? ERR_OK : err_begin(ERR_SYSTEM, "--json %s: %s", path, strerror(errno));
}

static bool unpack_failures(struct sim_result *result, json_t *array)
{
    size_t i;
    json_t *object;
    json_array_foreach (array, i, object) {
        struct sim_failure failure = { 0 };
        json_int_t seed;
        int safety;
        const char *invariant, *text;
        if (json_unpack(object, "{sI,sb,ss,ss}", "seed", &seed, "safety", &safety, "invariant",
                        &invariant, "failure", &text) != 0)
            return false;
        failure.seed = (uint64_t)seed;
        failure.end = safety ? PLAYER_UNSAFE : PLAYER_UNMET;
        snprintf(failure.invariant, sizeof(failure.invariant), "%s", invariant);
        snprintf(failure.failure, sizeof(failure.failure), "%s", text);
        sim_result_fail(result, &failure);
    }
    return json_is_array(array);
}

static bool unpack(struct sim_result *result, json_t *object)
{
    json_int_t from, to, seeds;
    int shard, shards;
    const char *bug, *hash;
    json_t *failures, *counts;
    if (json_unpack(object, "{sI,sI,si,si,ss,sI,ss,sF,so,so}", "from", &from, "to", &to, "shard",
                    &shard, "shards", &shards, "bug", &bug, "seeds", &seeds, "hash", &hash,
                    "seconds", &result->seconds, "failures", &failures, "counts", &counts) != 0)
        return false;
    if (shard < 1 || shards < shard || from < 0 || to < from || seeds < 0) return false;
    result->from = (uint64_t)from;
    result->to = (uint64_t)to;
    result->shard = (uint32_t)shard;
    result->shards = (uint32_t)shards;
    result->seeds = (uint64_t)seeds;
    result->hash = strtoull(hash, NULL, 16);
    snprintf(result->bug, sizeof(result->bug), "%s", bug);
    for (uint32_t i = 0; i < COUNT_COUNT; i++)
        result->counts[i] =
            (uint64_t)json_integer_value(json_object_get(counts, count_label((enum count)i)));
    return unpack_failures(result, failures);
}

err_t sim_result_read(struct sim_result *result, const char *path)
{
    json_error_t error;
    json_t *object = json_load_file(path, 0, &error);
    *result = (struct sim_result){ 0 };
    if (object == NULL) return err_begin(ERR_INPUT, "%s:%d: %s", path, error.line, error.text);
    bool right = unpack(result, object);
    json_decref(object);
    if (right) return ERR_OK;
    sim_result_free(result);
    return err_begin(ERR_INPUT, "%s: not a result of `ringside sim --seeds A..B --json FILE`",
                     path);
}

err_t sim_result_add(struct sim_result *sum, const struct sim_result *shard, bool *seen)
{
    if (shard->from != sum->from || shard->to != sum->to || shard->shards != sum->shards ||
        strcmp(shard->bug, sum->bug) != 0)
        return err_begin(ERR_INPUT,
                         "seeds %llu..%llu in %u shards%s%s, the first file %llu..%llu "
                         "in %u%s%s",
                         (unsigned long long)shard->from, (unsigned long long)shard->to,
                         shard->shards, shard->bug[0] != '\0' ? " with " : "", shard->bug,
                         (unsigned long long)sum->from, (unsigned long long)sum->to, sum->shards,
                         sum->bug[0] != '\0' ? " with " : "", sum->bug);
    if (seen[shard->shard])
        return err_begin(ERR_INPUT, "shard %u of %u is there twice", shard->shard, shard->shards);
    seen[shard->shard] = true;
    sum->seeds += shard->seeds;
    sum->hash += shard->hash;
    sum->seconds = MAX_OF(sum->seconds, shard->seconds);
    for (uint32_t i = 0; i < COUNT_COUNT; i++) sum->counts[i] += shard->counts[i];
    for (size_t i = 0; i < shard->failures_count; i++) sim_result_fail(sum, &shard->failures[i]);
    return ERR_OK;
}
