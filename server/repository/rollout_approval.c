#include "server/repository/rollout_approval.h"

enum hf_err hf_rollout_approval_parse(const json_t *object, const char *what,
                                      struct hf_rollout_approval_given *out, struct hf_why *why)
{
    struct hf_rollout_approval_given given;
    HF_TRY(hf_json_get_bytes(object, "approver", what, given.approver, sizeof given.approver, why));
    HF_TRY(
        hf_json_get_bytes(object, "signature", what, given.signature, sizeof given.signature, why));
    *out = given;
    return HF_OK;
}

enum hf_err hf_rollout_approvals_parse(const json_t *list, const char *what,
                                       struct hf_rollout_approvals *out, struct hf_why *why)
{
    struct hf_rollout_approvals approvals = {.n = json_array_size(list)};
    if (list != NULL && !json_is_null(list) && !json_is_array(list))
        return hf_fail(why, HF_E_FORMAT, "%s: \"approvals\" should be a list", what);
    if (approvals.n > HF_ROLLOUT_APPROVERS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s: \"approvals\": expected at most %d, found %zu", what,
                       HF_ROLLOUT_APPROVERS_MAX, approvals.n);
    for (size_t i = 0; i < approvals.n; i++)
        HF_TRY(hf_rollout_approval_parse(json_array_get(list, i), what, &approvals.of[i], why));
    *out = approvals;
    return HF_OK;
}

json_t *hf_rollout_approval_to_json(const struct hf_rollout_approval_given *given)
{
    const struct hf_bytes approver = {given->approver, sizeof given->approver};
    const struct hf_bytes signature = {given->signature, sizeof given->signature};
    return json_pack("{s:o, s:o}", "approver", hf_json_base64(approver), "signature",
                     hf_json_base64(signature));
}
