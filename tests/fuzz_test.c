/* tests/fuzz_test.c - every input of the fuzzers' corpora, and thousands of seeded mutations of
 * them, through the same entrances (tests/fuzz/fuzz.h). The long form is `make fuzz`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUTS_MAX = 256, INPUT_BYTES_MAX = 64 << 10, MUTATIONS = 2000 };

static const struct entrance {
    const char *name, *corpus;
    void (*take)(const uint8_t *bytes, size_t length);
} entrances[] = {
#define ENTRANCE(name, help) { #name, "tests/fuzz/corpus/" #name, fuzz_##name },
    FUZZ_LIST(ENTRANCE)
#undef ENTRANCE
};

struct corpus {
    size_t count, length[INPUTS_MAX];
    uint8_t *bytes[INPUTS_MAX];
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* the same order on every machine */
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void read_corpus(const char *folder, struct corpus *corpus)
{
    struct dirent **names;
    int count = scandir(folder, &names, is_input, by_name);
    if (count <= 0) fail_msg("%s: no corpus; tests run in Ringside's folder", folder);
    assert_in_range(count, 1, INPUTS_MAX);
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        free(names[i]);
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        uint8_t *bytes = malloc(INPUT_BYTES_MAX);
        assert_non_null(bytes);
        corpus->length[corpus->count] = fread(bytes, 1, INPUT_BYTES_MAX, file);
        assert_true(feof(file));
        corpus->bytes[corpus->count++] = bytes;
        fclose(file);
    }
    free(names);
}

/* In memory of exactly that size: a sanitizer sees a byte too far. */
static void take(const struct entrance *entrance, const uint8_t *bytes, size_t length)
{
    uint8_t *exact = malloc(MAX_OF(length, 1));
    assert_non_null(exact);
    memcpy(exact, bytes, length);
    entrance->take(exact, length);
    free(exact);
}

/* One step away: a byte changed, a piece moved, doubled, cut out, or of another input. */
static size_t mutate(struct rng *rng, const struct corpus *corpus, uint8_t *bytes, size_t length)
{
    static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '"', '\\' };
    size_t other = rng_range(rng, 0, corpus->count - 1);
    size_t from = rng_range(rng, 0, corpus->length[other]), at = rng_range(rng, 0, length);
    size_t run = rng_range(rng, 0, MIN_OF(corpus->length[other] - from, 64));
    if (length == 0) return length;
    size_t byte = rng_range(rng, 0, length - 1);
    switch (rng_range(rng, 0, 5)) {
    case 0: bytes[byte] ^= (uint8_t)(1u << rng_range(rng, 0, 7)); return length;
    case 1: bytes[byte] = odd[rng_range(rng, 0, COUNT(odd) - 1)]; return length;
    case 2: bytes[byte] = (uint8_t)rng_next(rng); return length;
    case 3: /* cut out */
        run = MIN_OF(run, length - at);
        memmove(bytes + at, bytes + at + run, length - at - run);
        return length - run;
    case 4: /* put between */
        if (length + run > INPUT_BYTES_MAX) return length;
        memmove(bytes + at + run, bytes + at, length - at);
        memcpy(bytes + at, corpus->bytes[other] + from, run);
        return length + run;
    default: /* go on as another */
        run = MIN_OF(corpus->length[other] - from, INPUT_BYTES_MAX - at);
        memcpy(bytes + at, corpus->bytes[other] + from, run);
        return at + run;
    }
}

static void corpus_is_answered(void **state)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    const struct entrance *entrance = *state;
    struct corpus corpus = { 0 };
    struct rng rng;
    read_corpus(entrance->corpus, &corpus);
    take(entrance, bytes, 0);
    for (size_t i = 0; i < corpus.count; i++) take(entrance, corpus.bytes[i], corpus.length[i]);
    rng_seed(&rng, 1, 0, 0);
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        size_t of = rng_range(&rng, 0, corpus.count - 1), length = corpus.length[of];
        memcpy(bytes, corpus.bytes[of], length);
        for (uint64_t times = rng_range(&rng, 1, 4); times > 0; times--)
            length = mutate(&rng, &corpus, bytes, length);
        take(entrance, bytes, length);
    }
    for (size_t i = 0; i < corpus.count; i++) free(corpus.bytes[i]);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(entrances)];
    for (size_t i = 0; i < COUNT(entrances); i++)
        tests[i] = (struct CMUnitTest){ entrances[i].name, corpus_is_answered, NULL, NULL,
                                        (void *)(uintptr_t)&entrances[i] };
    return _cmocka_run_group_tests("fuzz", tests, COUNT(entrances), NULL, NULL);
}
