/*
 * When the next rotation is, and what is remembered of the last ones. Everything is computed from
 * stored values and the certificate, so `status` and a restarted program know it. I/O: the store
 * port.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_ROTATION_H
#define HF_CLIENT_PORT_IDENTITY_ROTATION_H

#include <holdfast/posix.h>

struct hf_rotation {
    bool is_requested;  /* by the service */
    int64_t n_failures; /* in a row, at most HF_ROTATION_FAILURES_MAX */
    int64_t last_try_s; /* HF_TIME_NONE: none since the last success */
    int64_t wait_s;     /* from then to the next try */
    int64_t n_denied; /* the candidate failed so often while the current certificate was accepted */
    int64_t since_s;  /* by the device's clock: when the present certificate came; HF_TIME_NONE */
    char error[HF_WHY_MAX]; /* why the last try failed; empty if it did not */
};

/** What cannot be read or understood counts as nothing remembered: then a rotation comes too early
 *  at worst. */
void hf_rotation_load(const struct hf_store_port *store, struct hf_rotation *out);

/** In one transaction. HF_E_STORAGE, … */
HF_MUST_USE enum hf_err hf_rotation_save(const struct hf_store_port *store,
                                         const struct hf_rotation *rotation, struct hf_why *why);

/** After a try at `now_s` that failed for that reason. `retry_after_s` is what the service asked
 *  for, or negative; `drawn` is random, and spreads a fleet. */
void hf_rotation_count_failure(struct hf_rotation *rotation, int64_t now_s, int64_t retry_after_s,
                               uint32_t drawn, const char *error);

/**
 * The time of the next try: two thirds of the certificate's life and up to a twentieth more,
 * another one on each device; at once if one is requested or begun (`is_pending`); and no sooner
 * than the wait after a failure is over. A clock that is ahead does not make a device rotate again
 * and again, and one that was put back does not make it wait.
 */
int64_t hf_rotation_due_s(const struct hf_rotation *rotation, const struct hf_credential *current,
                          bool is_pending, int64_t now_s);

#endif
