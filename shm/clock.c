/* shm/clock.c - the arithmetic of the cluster clock; 128 bits inside, so that years at 100x fit. */
#include "shm/clock.h"

__extension__ typedef unsigned __int128 wide;

uint64_t clock_at(const struct clock_face *face, uint64_t real_ns)
{
    if (real_ns <= face->real_ns) return face->base_ns; /* C1: a reader with an older real time */
    return face->base_ns + (uint64_t)((wide)(real_ns - face->real_ns) * face->rate_ppm / PPM);
}

uint64_t clock_when(const struct clock_face *face, uint64_t cluster_ns)
{
    if (cluster_ns == TIME_NEVER) return TIME_NEVER;
    if (cluster_ns <= face->base_ns) return face->real_ns;
    if (face->rate_ppm == 0) return TIME_NEVER;
    wide real = ((wide)(cluster_ns - face->base_ns) * PPM + face->rate_ppm - 1) / face->rate_ppm;
    return real > UINT64_MAX / 2 ? TIME_NEVER : face->real_ns + (uint64_t)real;
}

bool clock_read(const struct latch *latch, struct clock_face *face)
{
    struct clock_face copy;
    if (!latch_read(latch, &copy, CLOCK_WORDS, NULL)) return false;
    *face = copy;
    return true;
}

static void set(struct latch *latch, uint64_t base_ns, uint64_t real_ns, uint64_t rate_ppm)
{
    CHECK(rate_ppm <= CLOCK_RATE_MAX);
    struct clock_face face = { base_ns, real_ns, rate_ppm };
    latch_write(latch, &face, CLOCK_WORDS);
}

void clock_start(struct latch *latch, uint64_t real_ns, uint64_t rate_ppm)
{
    set(latch, 0, real_ns, rate_ppm);
}

void clock_set_rate(struct latch *latch, uint64_t real_ns, uint64_t rate_ppm)
{
    struct clock_face face = { 0, 0, 0 };
    bool whole = clock_read(latch, &face); /* C2: nobody writes meanwhile */
    CHECK(whole);
    set(latch, clock_at(&face, real_ns), MAX_OF(real_ns, face.real_ns), rate_ppm);
}

void clock_step_to(struct latch *latch, uint64_t real_ns, uint64_t cluster_ns)
{
    struct clock_face face = { 0, 0, 0 };
    bool whole = clock_read(latch, &face);
    CHECK(whole);
    uint64_t now = clock_at(&face, real_ns);
    set(latch, MAX_OF(now, cluster_ns), MAX_OF(real_ns, face.real_ns), face.rate_ppm);
}
