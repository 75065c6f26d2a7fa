/*
 * An approver's signature as JSON: what `holdfastctl rollout approve` makes, the service keeps, and
 * the signer takes.
 *
 *     {"approver": base64 of a public key of Ed25519, "signature": base64}
 *
 * Other members are ignored: a file may say for people which step it is for, but only the signature
 * decides. No I/O.
 */
#ifndef HF_REPOSITORY_ROLLOUT_APPROVAL_H
#define HF_REPOSITORY_ROLLOUT_APPROVAL_H

#include "common/json/json.h"
#include "server/repository/rollout_rules.h"

/** `what` names the object in sentences. HF_E_FORMAT. Verifies nothing (rollout_rules.h does). */
HF_MUST_USE enum hf_err hf_rollout_approval_parse(const json_t *object, const char *what,
                                                  struct hf_rollout_approval_given *out,
                                                  struct hf_why *why);

struct hf_rollout_approvals {
    struct hf_rollout_approval_given of[HF_ROLLOUT_APPROVERS_MAX];
    size_t n;
};

/** A list of them; NULL or JSON null: none. HF_E_LIMIT for more than a plan can have approvers. */
HF_MUST_USE enum hf_err hf_rollout_approvals_parse(const json_t *list, const char *what,
                                                   struct hf_rollout_approvals *out,
                                                   struct hf_why *why);

/** A new reference, or NULL when memory is short. */
json_t *hf_rollout_approval_to_json(const struct hf_rollout_approval_given *given);

#endif
