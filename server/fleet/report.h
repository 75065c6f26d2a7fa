/*
 * What the writer does with reports. A report is taken once: devices number their reports within an
 * installation (a random number that a device makes when it is set up), and a window of 64 numbers
 * tells what was taken before, in whichever order they come. So a request that is sent again, by
 * the device or by an attacker, changes nothing.
 *
 * A second installation under the same certificate or key is a copy of the device, or the device
 * set up again. The latter has a newer certificate or key, or knows the nonce of the last answer;
 * anything else is a conflict, which is counted for the operator and refused. So is a report whose
 * number was taken with another content: a copy of the device with its state.
 *
 * Nothing here decides about trust, and nothing is logged in the audit log: reports are what
 * devices say.
 */
#ifndef HF_FLEET_REPORT_H
#define HF_FLEET_REPORT_H

#include "server/fleet/device_state.h"

/* Which identity the sender has proved; both 0: none. */
struct hf_report_sender {
    int64_t account_id;
    int64_t credential_id;
    int64_t report_key_id;
};

/**
 * Take the reports of one request, of one device and one installation. `*is_conflict`: they were
 * refused, with the sentence in `why`, and the conflict is to be committed; then `out` is not
 * written. HF_E_POLICY: the certificate or key belongs to no device, or to another one than the
 * reports name. HF_E_ARGUMENT: they are of several devices or installations. Each of these is found
 * before anything is changed (hf_job.checks_first).
 */
HF_MUST_USE enum hf_err hf_report_take(struct hf_tx *tx, const struct hf_report_sender *sender,
                                       const struct hf_report *reports, size_t n,
                                       struct hf_report_answer *out, bool *is_conflict,
                                       struct hf_why *why);

/** Keep what a client says that has proved nothing, beside everything else: the newest `max` of the
 *  account. */
HF_MUST_USE enum hf_err hf_report_take_unverified(struct hf_tx *tx, int64_t account_id, int64_t max,
                                                  const struct hf_report *reports, size_t n,
                                                  struct hf_report_answer *out, struct hf_why *why);

#endif
