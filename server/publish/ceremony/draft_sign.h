/* Signatures on a draft: made here, or gathered from copies that came back. */
#ifndef HF_PUBLISH_DRAFT_SIGN_H
#define HF_PUBLISH_DRAFT_SIGN_H

#include "server/publish/ceremony/signature_status.h"
#include "server/repository/keys/key_set.h"

/**
 * Are there keys in the holder's half that may sign and have not, and are all given keys such? HF_E_KEY
 * with words on what is there and who is still to sign. Asks for no passphrase.
 */
HF_MUST_USE enum hf_err hf_draft_find_keys(const struct hf_draft *draft, struct hf_key_set *holder,
                                           struct hf_why *why);

/** Sign with every such key; `n_signed` says how many. The draft is as it was when this fails. */
HF_MUST_USE enum hf_err hf_draft_sign(struct hf_draft *draft, struct hf_key_set *holder,
                                      size_t *n_signed, struct hf_why *why);

/** Add what `other`, a copy of the same draft, has. HF_E_STATE in words for another draft. */
HF_MUST_USE enum hf_err hf_draft_merge(struct hf_draft *draft, const struct hf_draft *other,
                                       struct hf_why *why);

/** Read and merge all these files, at least one; every signature has been verified. */
HF_MUST_USE enum hf_err hf_draft_read_all(const char *const *paths, struct hf_draft *out,
                                          struct hf_why *why);

#endif
