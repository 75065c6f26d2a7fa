/* One run of the simulation: from the publication of the bundle to the date from which every device
 * takes it, or until three days after a pause, when the operator has withdrawn it. */
#ifndef HF_TESTS_SIM_RUN_H
#define HF_TESTS_SIM_RUN_H

#include "tests/sim/fleet.h"

#include <jansson.h>

struct sim_setup {
    const struct hf_rollout_plan *plan;
    const struct sim_scenario *scenario;
    enum sim_rule rule;
    uint32_t n_devices, n_liars;
    int64_t start_s;
    bool is_short; /* end it when the rollout is paused or complete */
};

/** What happened, in seconds since the publication; null is never. With `has_curve` the numbers of
 *  each hour, too. NULL when memory is short. */
json_t *sim_run(const struct sim_setup *setup, uint64_t seed, bool has_curve);

#endif
