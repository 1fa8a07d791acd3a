/* tests/harness/scenes.h - made-up clusters for the dashboard's tests: models without a region.
 * Each is to be freed with free(); model_derive makes it whole. */
#ifndef TESTS_HARNESS_SCENES_H
#define TESTS_HARNESS_SCENES_H

#include "viz/model.h"

struct model *scene_fresh(void);
struct model *scene_candidate(void);
struct model *scene_steady(void);
struct model *scene_figure_7(void); /* of the Raft paper */
struct model *scene_faults(void);
struct model *scene_isolated(void);
struct model *scene_tape(void);
struct model *scene_flight(void);
struct model *scene_busy(void);
struct model *scene_lonely(void);
struct model *scene_unsafe(void);
struct model *scene_single(void);
struct model *scene_nine(void);
struct model *scene_many(void);

#endif
