/* shm/bell.h - the doorbell: wake a process that sleeps until something arrives in its rings.
 * Owns   three words per receiver. The only file with futexes.
 * Leaves what arrived to shm/ring.h.
 * Holds  (B1) only the sleeper writes `state`; a sender raises `calls`, then calls the kernel.
 *             Killed between any two steps, it leaves the sleeper no less ready to hear the next
 *             sender
 *        (B2) a full fence stands between publish and look (sender) and between announce and look
 *             (sleeper): one of the two always sees the other
 *        (B3) no sleep without a deadline
 *        (B4) the futex compares `calls`: who is rung after the last look does not fall asleep. */
#ifndef SHM_BELL_H
#define SHM_BELL_H

#include "base/base.h"
#include <stdatomic.h>

/* SLEEPING waits in a futex; POLLING waits in poll() on an eventfd that the senders inherited
 * (only the supervisor does, since it waits for sockets and children too). */
enum bell_state { BELL_AWAKE, BELL_SLEEPING, BELL_POLLING };

struct bell {
    _Atomic uint32_t state; /* enum bell_state */
    _Atomic uint32_t heard; /* the sleeper's: `calls` when it announced */
    _Atomic uint32_t calls; /* raised by anybody who rings a sleeper */
    uint32_t unused[29];
};

/* Tell the owner of `bell` that something was published. Once per turn and receiver, after all
 * rings are written. `eventfd` is used for a POLLING owner only (-1 where there is none). Never
 * blocks; no system call while the receiver is awake. */
void bell_ring(struct bell *bell, int eventfd);

/* The sleeper: bell_announce; look into every ring; then bell_wait, or bell_awake when there was
 * something. */
void bell_announce(struct bell *bell, enum bell_state how);
void bell_awake(struct bell *bell);
/* Sleep until rung, or until `deadline_ns` (CLOCK_MONOTONIC, capped at one second from now), or
 * without a reason. Awake on return. For bell_announce(BELL_SLEEPING) only. */
void bell_wait(struct bell *bell, uint64_t deadline_ns);

#endif
