/*
 * Receipts: "these very bytes met the threshold of this role under this very root". A device that
 * keeps them beside its metadata need not verify the same signatures again at every check.
 *
 * A receipt is a plain SHA-256, without a key: it shows that bytes are the same as before, and is
 * only as trustworthy as the place where it is kept. An attacker who can write there must be able
 * to write another root there as well. One more is for a role that the top-level targets delegate
 * to: it names the delegator's file too, which holds the keys.
 */
#ifndef HF_COMMON_TUF_RECEIPTS_H
#define HF_COMMON_TUF_RECEIPTS_H

#include "common/tuf/metadata.h"

/* All zero for none. */
struct hf_receipts {
    uint8_t of[HF_TOP_ROLES][HF_SHA256_LEN];
    uint8_t of_delegated[HF_SHA256_LEN];
};

#define HF_RECEIPTS_TEXT_SIZE (2 * sizeof(struct hf_receipts) + 1) /* characters, with the NUL */

/** `env` met the threshold of `role` under `root`: its receipt. Of root: under itself. */
void hf_receipt_make(const struct hf_root *root, enum hf_top_role role,
                     const struct hf_envelope *env, uint8_t out[HF_SHA256_LEN]);

/** Is there the very receipt that hf_receipt_make would give? */
bool hf_receipts_include(const struct hf_receipts *receipts, const struct hf_root *root,
                         enum hf_top_role role, const struct hf_envelope *env);

/** The same of the role `name` under the keys in `delegator`, itself a file of the role targets. */
void hf_receipt_make_delegated(const struct hf_root *root, const struct hf_envelope *delegator,
                               const char *name, const struct hf_envelope *env,
                               uint8_t out[HF_SHA256_LEN]);

/** As text, for a store: hexadecimal digits, nothing else. */
void hf_receipts_format(const struct hf_receipts *receipts, char out[HF_RECEIPTS_TEXT_SIZE]);
/** Anything but such a text is no receipt at all. */
void hf_receipts_parse(const char *text, struct hf_receipts *out);

#endif
