/* tests/fuzz/fuzz.h - the entrances through which bytes come that nobody vouches for.
 * Owns   one function an entrance: it takes any bytes, and aborts where Ringside breaks a promise.
 * Leaves where the bytes come from to its users: libFuzzer (tests/fuzz/libfuzzer.c, `make fuzz`),
 *        the corpora and their seeded mutations (tests/fuzz_test.c).
 * Holds  (F1) the same bytes give the same steps, whatever was taken before them
 *        (F2) a finding is an abort: of a CHECK here or in the code, or of a sanitizer. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/base.h"

#include <string.h>

/* ENTRANCE(name, what it takes); tests/fuzz/NAME.c, corpus in tests/fuzz/corpus/NAME. */
#define FUZZ_LIST(X)                                                                               \
    X(plan, "a plan, also as one verb")                                                            \
    X(history, "a history, and its verdict")                                                       \
    X(control, "what a connection to the control socket sends")                                    \
    X(wire, "frames that arrive at a peer, and the turns it takes")                                \
    X(ring, "a ring whose producer writes anything anywhere")                                      \
    X(trail, "trails of peers, as the observer follows them")                                      \
    X(region, "what peers publish, as the dashboard and status show it")
#define FUZZ_DECLARE(name, help) void fuzz_##name(const uint8_t *bytes, size_t length);
FUZZ_LIST(FUZZ_DECLARE)
#undef FUZZ_DECLARE

/* What is left of the input; what it does not have reads as 0. */
struct input {
    const uint8_t *at;
    size_t left;
};
static inline void input_take(struct input *input, void *to, size_t length)
{
    size_t there = MIN_OF(length, input->left);
    memset(to, 0, length);
    if (there > 0) memcpy(to, input->at, there);
    if (there > 0) input->at += there;
    input->left -= there;
}
static inline uint8_t input_byte(struct input *input)
{
    uint8_t byte;
    input_take(input, &byte, sizeof(byte));
    return byte;
}
static inline uint16_t input_short(struct input *input)
{
    uint16_t number;
    input_take(input, &number, sizeof(number));
    return number;
}
/* A length, and that many bytes or what is left; never beyond the input. */
static inline const uint8_t *input_bytes(struct input *input, size_t *length)
{
    size_t wanted = input_short(input);
    *length = MIN_OF(wanted, input->left);
    const uint8_t *bytes = input->at;
    input->left -= *length;
    if (*length > 0) input->at += *length;
    return bytes;
}

#endif
