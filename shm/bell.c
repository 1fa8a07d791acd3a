/* shm/bell.c - the futex behind the doorbell. Not FUTEX_PRIVATE: the word lies in memory that processes
 * share, and a sender has it mapped read-only, which is enough to wake. */
#include "shm/bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* B2. The full C11 fence under its older name: gcc refuses the newer one in a ThreadSanitizer build,
 * and no read-modify-write can stand in for it, since sender and sleeper share no word that both write. */
static void full_fence(void)
{
    __sync_synchronize();
}

void bell_ring(const struct bell *bell, int eventfd)
{
    full_fence();
    uint32_t state = atomic_load_explicit(&bell->state, memory_order_relaxed); /* B1 */
    if (state == BELL_SLEEPING) {
        syscall(SYS_futex, &bell->state, FUTEX_WAKE, 1, NULL, NULL, 0);
    } else if (state == BELL_POLLING && eventfd >= 0) {
        uint64_t one = 1;
        ssize_t written = write(eventfd, &one, sizeof(one)); /* a full counter is readable already */
        UNUSED(written);
    }
}

void bell_announce(struct bell *bell, enum bell_state how)
{
    CHECK(how != BELL_AWAKE);
    atomic_store_explicit(&bell->state, how, memory_order_relaxed);
    full_fence();
}

void bell_awake(struct bell *bell)
{
    atomic_store_explicit(&bell->state, BELL_AWAKE, memory_order_relaxed);
}

void bell_wait(struct bell *bell, uint64_t deadline_ns)
{
    uint64_t until_ns = MIN_OF(deadline_ns, real_now_ns() + NS_PER_S); /* B3 */
    struct timespec until = { (time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };
    syscall(SYS_futex, &bell->state, FUTEX_WAIT_BITSET, BELL_SLEEPING, &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
    bell_awake(bell);
}
