/*
 * The loop that keeps a device up to date: waits until the next check is due
 * (hf_client_next_check), checks, and so on. `holdfast run` is this loop; firmware gives it a
 * thread of its own.
 *
 *     hf_runner_new(posix, &options, &runner, &why);
 *     … in a thread:   hf_runner_run(runner);
 *     … from anywhere: hf_runner_poke(runner);    check now
 *     … at the end:    hf_runner_stop(runner);    join the thread, then hf_runner_free(runner)
 *
 * While it runs, `posix` and its client belong to that thread: other threads may use only the
 * runner and the trust store. The callbacks run in that thread and may use all of it, for
 * hf_posix_confirm for instance.
 */
#ifndef HOLDFAST_RUNNER_H
#define HOLDFAST_RUNNER_H

#include <holdfast/posix.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_runner;

struct hf_runner_options {
    int64_t interval_s; /* 0: by the schedule; else check at once and then every so many seconds */
    bool is_on_demand;  /* no schedule: a check only when poked */
    int64_t wake_s;     /* how often to call `wakes`; 0: once a minute */

    /* Each may be NULL. */
    void *ctx;
    /** It waits from now on, until `next`; NULL: until poked. */
    void (*waits)(void *ctx, const struct hf_next_check *next);
    void (*wakes)(void *ctx);  /* it still waits; called every `wake_s` seconds and at least once a
                                * minute, for a watchdog */
    void (*begins)(void *ctx); /* a check */
    void (*ended)(void *ctx, enum hf_err err, const struct hf_update_result *result,
                  const struct hf_why *why);
};

/** `options` is copied. HF_E_STORAGE when there is no free descriptor, HF_E_MEMORY,
 *  HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_runner_new(struct hf_posix *posix,
                                      const struct hf_runner_options *options,
                                      struct hf_runner **out, struct hf_why *why);
/** Not while it runs. NULL is none. */
void hf_runner_free(struct hf_runner *runner);

/**
 * Returns after hf_runner_stop; a running check is finished first. Waits by the time since boot:
 * neither setting the clock nor sleep of the device makes the wait longer.
 */
void hf_runner_run(struct hf_runner *runner);

/* From any thread and from a signal handler. Not lost if the loop is busy or not started yet;
 * several pokes before a check count as one. */
void hf_runner_poke(struct hf_runner *runner);
void hf_runner_stop(struct hf_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
