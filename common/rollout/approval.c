#include "common/rollout/approval.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum hf_err hf_rollout_step_text(const struct hf_rollout_step *step, struct hf_buf *out,
                                 struct hf_why *why)
{
    char hex[HF_SHA256_HEX_LEN], since[HF_TIME_TEXT_MAX];

    hf_time_format(step->since_s, since);
    hf_hex_encode(step->sha256, HF_SHA256_LEN, hex);
    enum hf_err err = hf_buf_printf(out,
                                    "holdfast rollout approval\npath: %s\nsha256: %s\n"
                                    "since: %s\nstage: %" PRId64 "\nstate: %s\n",
                                    step->path, hex, since, step->stage,
                                    hf_rollout_state_name(step->state));
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory for an approval");
}

enum hf_err hf_rollout_approval_verify(const struct hf_rollout_plan *plan,
                                       const struct hf_rollout_step *step,
                                       const struct hf_rollout_approval_given *given,
                                       size_t *approver, struct hf_why *why)
{
    struct hf_buf text = {0};
    size_t k = 0;

    while (k < plan->n_approvers &&
           memcmp(plan->approvers[k], given->approver, HF_ROLLOUT_APPROVER_LEN) != 0)
        k++;
    HF_TRY(hf_rollout_step_text(step, &text, why));
    bool is_good = k < plan->n_approvers &&
                   crypto_sign_verify_detached(given->signature, text.data, text.len,
                                               given->approver) == 0;
    hf_buf_free(&text);
    if (!is_good)
        return hf_fail(why, HF_E_SIGNATURE,
                       "it is by no approver of the plan, or for another step; let an approver "
                       "sign this step (holdfastctl rollout approve)");
    *approver = k;
    return HF_OK;
}
