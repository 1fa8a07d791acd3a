/* tests/fuzz/libfuzzer.c - libFuzzer's side: $RINGSIDE_FUZZ names the entrance that is tried. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void (*entrance)(const uint8_t *bytes, size_t length);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct {
        const char *name;
        void (*take)(const uint8_t *bytes, size_t length);
    } entrances[] = {
#define ENTRANCE(name, help) { #name, fuzz_##name },
        FUZZ_LIST(ENTRANCE)
#undef ENTRANCE
    };
    const char *wanted = getenv("RINGSIDE_FUZZ");
    UNUSED(argc);
    UNUSED(argv);
    for (size_t i = 0; wanted != NULL && i < COUNT(entrances); i++)
        if (strcmp(entrances[i].name, wanted) == 0) entrance = entrances[i].take;
    if (entrance != NULL) return 0;
    fprintf(stderr, "RINGSIDE_FUZZ names an entrance:");
    for (size_t i = 0; i < COUNT(entrances); i++) fprintf(stderr, " %s", entrances[i].name);
    fprintf(stderr, "\n");
    exit(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    entrance(bytes, length);
    return 0;
}
