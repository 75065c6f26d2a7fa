/*
 * What the simulated fleet is made of, and what a bundle does to it. Shares are in millionths of
 * all devices. They are assumptions, chosen on the bad side: README.md says which figures depend on
 * them.
 */
#ifndef HF_TESTS_SIM_SCENARIO_H
#define HF_TESTS_SIM_SCENARIO_H

#include <stdint.h>

/* ---- the fleet ------------------------------------------------------------------------------- */

#define SIM_MUTE_PPM 30000    /* never report: reports are not configured */
#define SIM_SLEEPER_PPM 50000 /* are switched off for one to four weeks at a time */
#define SIM_BRIEF_PPM 20000   /* are up for some minutes a day, for a check only */
#define SIM_STOPPED_PPM                                                                            \
    10000 /* their clocks stand in 1970, so their time is that of the newest metadata */
#define SIM_AHEAD_PPM 10000    /* their clocks are one to thirty days ahead */
#define SIM_FAILS_PPM 3000     /* cannot install at that moment: no memory, no network */
#define SIM_REPEATS_PPM 300000 /* of those, the next day again */
#define SIM_SWITCHED_PPM                                                                           \
    5000 /* are switched off in the hour of their trial, for up to three days */

/* ---- the bundle ------------------------------------------------------------------------------ */

enum sim_lie {
    SIM_LIE_NONE,
    SIM_LIE_FAILED,    /* report a rollback at once, whatever they do */
    SIM_LIE_CONFIRMED, /* the same with a success */
};

struct sim_scenario {
    const char *name, *about;
    int64_t refused_ppm;     /* need what is missing, and preflight sees it */
    int64_t rolled_back_ppm; /* need it, and the trial sees it */
    int64_t silenced_ppm;    /* lose the way home with the swap */
    int64_t late_ppm;        /* need it, and notice it days after they have confirmed */
    enum sim_lie lie;        /* of as many devices as --liars says */
};

/* Ended by a row without a name. */
extern const struct sim_scenario sim_scenarios[];

#endif
