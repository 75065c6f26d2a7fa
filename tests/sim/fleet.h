/*
 * The simulated devices: each checks, decides by the product's own code (common/rollout), installs,
 * reports and confirms, or does not. What a device is and does follows from the seed, its number
 * and how often it was asked, so a run is the same whatever the order of events.
 */
#ifndef HF_TESTS_SIM_FLEET_H
#define HF_TESTS_SIM_FLEET_H

#include "tests/sim/scenario.h"
#include "tests/sim/service.h"

#define SIM_TICK_S 60 /* the grain of time; the service looks after each */
#define SIM_SET "sim"
#define SIM_PROFILE "all"
#define SIM_OLD 1
#define SIM_NEW 2

struct sim_device;

struct sim_counts {
    int64_t installed;    /* the bundle, ever */
    int64_t harmed;       /* installed it and lost an endpoint */
    int64_t first_harm_s; /* 0: none */
    int64_t early;        /* installed it before their stage was open: clocks far ahead */
    int64_t left_out; /* checked with the last stage open and a clock that goes, and were held */
};

struct sim_fleet {
    const struct sim_scenario *scenario;
    struct sim_service *service;
    uint64_t seed;
    int64_t start_s, end_s;
    uint32_t n, n_liars;
    uint8_t sha256[HF_SHA256_LEN]; /* of the bundle */
    char sha256_hex[HF_SHA256_HEX_LEN];
    struct sim_device *devices;
    int32_t *ticks; /* the first device of each, -1: none */
    size_t n_ticks;
    struct sim_counts counts;
};

/** Devices that use the old bundle and have reported that, all of them counted by the service's
 *  ledger; each checks for the first time within its own interval. Exits where memory is short. */
void sim_fleet_begin(struct sim_fleet *fleet, const struct sim_scenario *scenario,
                     struct sim_service *service);
void sim_fleet_end(struct sim_fleet *fleet);

/** All that happens in tick `i`. */
void sim_fleet_step(struct sim_fleet *fleet, size_t i);

#endif
