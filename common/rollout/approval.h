/*
 * The signature of an approver: that this very step of this very bundle may be signed, once,
 * because SINCE, of what is signed of the bundle, rises with each of its steps
 * (server/repository/online.c). Steps of other bundles of the set leave it as it is. The approvers'
 * keys are in the plan, which offline keys signed. Made at the desk, verified by the signer, and by
 * the service before it keeps one. No I/O.
 */
#ifndef HF_COMMON_ROLLOUT_APPROVAL_H
#define HF_COMMON_ROLLOUT_APPROVAL_H

#include "common/rollout/rollout.h"

#define HF_ROLLOUT_SIGNATURE_LEN 64 /* bytes of a signature of Ed25519 */

/** One approver's signature over hf_rollout_step_text. */
struct hf_rollout_approval_given {
    uint8_t approver[HF_ROLLOUT_APPROVER_LEN];
    uint8_t signature[HF_ROLLOUT_SIGNATURE_LEN];
};

/* What is approved. Borrowed. */
struct hf_rollout_step {
    const char *path; /* of the bundle, as a target */
    const uint8_t *sha256;
    int64_t since_s; /* of the stage and state that the step follows */
    int64_t stage;
    enum hf_rollout_state state;
};

/**
 * The bytes that an approver signs:
 *
 *     holdfast rollout approval
 *     path: amazon-iot/full/3.pem
 *     sha256: …
 *     since: 2026-12-02T09:03:11Z
 *     stage: 2
 *     state: open
 *
 * Each line ends in LF. Appends to `out`. HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_rollout_step_text(const struct hf_rollout_step *step, struct hf_buf *out,
                                             struct hf_why *why);

/** Is it by an approver of the plan, over this step? `*approver` is which one. HF_E_SIGNATURE,
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_rollout_approval_verify(const struct hf_rollout_plan *plan,
                                                   const struct hf_rollout_step *step,
                                                   const struct hf_rollout_approval_given *given,
                                                   size_t *approver, struct hf_why *why);

#endif
