/*
 * Roots whose own signature was found good in this run. A run looks at the same roots several times:
 * in what is published, in what is built, and in the repository as it will be. Whether a key verifies
 * the signature of its certificate depends on nothing but the certificate's bytes, so it is asked once
 * for each; for the 138 roots of Mozilla one such look is four fifths of all that a look costs. What
 * depends on a description, another file or the date is asked every time.
 */
#ifndef HF_REPOSITORY_SELF_SIGNED_H
#define HF_REPOSITORY_SELF_SIGNED_H

#include "common/bundle/bundle.h"

struct hf_self_signed {
    uint8_t (*sha256)[HF_SHA256_LEN]; /* of each certificate's DER */
    size_t n_items;
};

/**
 * As hf_policy_verify_self_signatures, but for those in `known`; those that verify are noted there.
 * `known` may be NULL: nothing is remembered. HF_E_POLICY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_self_signed_verify(struct hf_self_signed *known,
                                              const struct hf_bundle *bundle, struct hf_why *why);
void hf_self_signed_free(struct hf_self_signed *known);

#endif
