/* shm/clock.h - the cluster clock: all timers and all injected delays run on it.
 * Owns   cluster time = base + rate * (real - real_base), one latch in the region. Rate 1 is real
 *        time, 0.02 is slow motion, 0 stands still.
 * Leaves when to change it to ctl/.
 * Holds  (C1) cluster time never goes back, whatever the rates
 *        (C2) one writer: the supervisor. */
#ifndef SHM_CLOCK_H
#define SHM_CLOCK_H

#include "shm/latch.h"

struct clock_face {
    uint64_t base_ns;  /* cluster time ... */
    uint64_t real_ns;  /* ... at this real time (CLOCK_MONOTONIC) */
    uint64_t rate_ppm; /* cluster ns per million real ns; PPM is real time, 0 is a standstill */
};
#define CLOCK_WORDS (sizeof(struct clock_face) / sizeof(uint64_t))
#define CLOCK_RATE_MAX (100 * PPM)

/* Set the rate from now on without a jump (C1). The supervisor only. */
void clock_set_rate(struct latch *latch, uint64_t real_ns, uint64_t rate_ppm);
/* Move a standing clock forward to `cluster_ns` (step to the next deadline); earlier times do
 * nothing. */
void clock_step_to(struct latch *latch, uint64_t real_ns, uint64_t cluster_ns);
/* Start at cluster time 0 with `rate_ppm`. */
void clock_start(struct latch *latch, uint64_t real_ns, uint64_t rate_ppm);
/* The face as of now; a reader that the writer overtakes gets false and keeps its old one. */
bool clock_read(const struct latch *latch, struct clock_face *face);
uint64_t clock_at(const struct clock_face *face, uint64_t real_ns);
/* Real time at which cluster time will be `cluster_ns`; TIME_NEVER when the clock stands still
 * before it. */
uint64_t clock_when(const struct clock_face *face, uint64_t cluster_ns);

#endif
