/*
 * What the files of the trusted metadata set share. Other files must not include it.
 */
#ifndef HF_COMMON_TUF_TRUSTED_CHECKS_H
#define HF_COMMON_TUF_TRUSTED_CHECKS_H

#include "common/tuf/trusted_set.h"

/** "MUST be higher than the fixed update start time" (5.3.10, 5.4.4, 5.5.6, 5.6.5): HF_E_EXPIRED. */
HF_MUST_USE enum hf_err hf_check_expiry(const struct hf_trusted_set *set,
                                        const struct hf_envelope *env, const char *name,
                                        const char *clause, struct hf_why *why);

/** Signed by the threshold that `root` names for a top-level role: else HF_E_SIGNATURE. What is
 *  among the receipts `known` was found to be so before; NULL: it is verified in any case. */
HF_MUST_USE enum hf_err hf_verify_top_role(const struct hf_root *root, enum hf_top_role role,
                                           const struct hf_envelope *env,
                                           const struct hf_receipts *known, struct hf_why *why);

/** The same usable public keys, whatever their ids, for `role` in both? */
bool hf_role_keys_same(const struct hf_root *a, const struct hf_root *b, enum hf_top_role role);

void hf_trusted_targets_free_all(struct hf_trusted_set *set);

#endif
