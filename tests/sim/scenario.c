#include "tests/sim/scenario.h"

#include <stddef.h>

const struct sim_scenario sim_scenarios[] = {
    {.name = "good", .about = "nothing is wrong with the bundle"},
    {.name = "group",
     .about = "it drops a root that 2 % of the devices need; preflight sees it on 60 % of those",
     .refused_ppm = 12000,
     .rolled_back_ppm = 8000},
    {.name = "silencing",
     .about = "15 % cannot reach the service any more, and cannot say so",
     .silenced_ppm = 150000},
    {.name = "late",
     .about = "5 % lose an endpoint that they use rarely, and notice it after 2 to 12 days",
     .late_ppm = 50000},
    {.name = "false-failures",
     .about = "nothing is wrong, but --liars report that they rolled back",
     .lie = SIM_LIE_FAILED},
    {.name = "false-confirmations",
     .about = "as \"silencing\", but --liars report that they have confirmed",
     .silenced_ppm = 150000,
     .lie = SIM_LIE_CONFIRMED},
    {.name = NULL},
};
