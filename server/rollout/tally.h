/* The devices of a rollout, counted by their last results. Ledger and engine share it. */
#ifndef HF_ROLLOUT_TALLY_H
#define HF_ROLLOUT_TALLY_H

#include <stdint.h>

/* Of one device that counts. */
enum hf_rollout_result {
    HF_RESULT_WAITING,   /* has not announced that it installs the bundle */
    HF_RESULT_ON_TRIAL,  /* has announced or installed it, and may still report a result in time */
    HF_RESULT_CONFIRMED, /* its own endpoints were reached after the swap */
    HF_RESULT_FAILED,    /* refused it, could not install it, or rolled back */
    HF_RESULT_SILENT,    /* on trial for longer than the plan allows */
    HF_RESULT_COUNT
};

/* Of the devices in stages 0 to k. `devices` is the sum of the others. */
struct hf_rollout_tally {
    int64_t devices;
    int64_t waiting, on_trial, confirmed, failed, silent;
    /* Registered devices that have never reported, so that they may use the bundle or not; 0 as
     * soon as any device is known to use it, in whatever stage. Not among `devices`. */
    int64_t unreported;
};

/* How far a tally can be relied on. */
enum hf_rollout_counted {
    HF_COUNTED_PARTLY, /* not all devices were read yet: the share of failures says nothing */
    HF_COUNTED_STALE,  /* all have, but some changes since then were missed */
    HF_COUNTED_ALL,
};

#endif
