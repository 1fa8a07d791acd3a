/* shm/bell.c - the futex behind the doorbell. Not FUTEX_PRIVATE: processes share the word. Two
 * words, because one cannot do it: a word that the waker clears leaves the sleeper deaf when the
 * waker dies before its system call, and a word that nobody but the sleeper changes lets a ring
 * fall into the gap between the sleeper's last look and its system call. */
#include "shm/bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* B2. The full C11 fence under its older name: gcc warns of the newer one in a ThreadSanitizer
 * build. No read-modify-write stands in for it: a sender must not write while the sleeper is
 * awake. */
static void full_fence(void)
{
    __sync_synchronize();
}

void bell_ring(struct bell *bell, int eventfd)
{
    full_fence();
    uint32_t state = atomic_load_explicit(&bell->state, memory_order_relaxed);
    if (state == BELL_SLEEPING) {
        atomic_fetch_add_explicit(&bell->calls, 1, memory_order_release); /* B4 */
        syscall(SYS_futex, &bell->calls, FUTEX_WAKE, 1, NULL, NULL, 0);
    } else if (state == BELL_POLLING && eventfd >= 0) {
        uint64_t one = 1;
        ssize_t written = write(eventfd, &one, sizeof(one)); /* a full one is readable already */
        UNUSED(written);
    }
}

void bell_announce(struct bell *bell, enum bell_state how)
{
    CHECK(how != BELL_AWAKE);
    uint32_t calls = atomic_load_explicit(&bell->calls, memory_order_acquire);
    atomic_store_explicit(&bell->heard, calls, memory_order_relaxed);
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
    uint32_t heard = atomic_load_explicit(&bell->heard, memory_order_relaxed);
    syscall(SYS_futex, &bell->calls, FUTEX_WAIT_BITSET, heard, &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
    bell_awake(bell);
}
