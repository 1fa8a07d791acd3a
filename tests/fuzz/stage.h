/* tests/fuzz/stage.h - a cluster without processes: the region is real, peers are numbers in it.
 * Owns   one stage of three peers, and stand-ins for ctl/cluster.h, ctl/client.h, ctl/load.h and
 *        ctl/runtime.h: linked with tests/fuzz, they take the place of the real ones, which would
 *        fork, wait and write files.
 * Leaves all that reads hostile bytes to the real code: control, carry, status, observer, viz.
 * Holds  (S1) stage_open leaves the stage as it was the first time. */
#ifndef TESTS_FUZZ_STAGE_H
#define TESTS_FUZZ_STAGE_H

#include "ctl/supervisor.h"

enum { STAGE_PEERS = 3, STAGE_CLIENTS = 1 };

/* The stage, set back: all peers alive, clock and boards at their beginning. */
struct supervisor *stage_open(void);
/* Write to a part of the region; stage_open sets the part back to 0. */
void stage_poke(void *part, size_t bytes, size_t offset, const void *from, size_t length);
/* A connection to the control socket that was opened last, as a client. */
int stage_connect(void);
/* Questions that wait for an answer. Answer the oldest: `how` says what with. */
uint32_t stage_questions(void);
void stage_answer(uint8_t how);

#endif
