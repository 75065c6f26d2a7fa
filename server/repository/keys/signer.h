/* The one place where metadata is signed. No I/O but what a token needs. */
#ifndef HF_REPOSITORY_SIGNER_H
#define HF_REPOSITORY_SIGNER_H

#include "server/repository/keys/signing_key.h"

/**
 * Sign the canonical form of `signed_part` with every key, verify each signature by the public key
 * and the code that devices have, and append the metadata file (TUF 4.2.1) to `file`.
 * HF_E_SIGNATURE when a signature of our own does not verify: faulty memory, a damaged key, a token
 * that holds another key than was said, or signs wrongly. HF_E_KEY for what a token says.
 */
HF_MUST_USE enum hf_err hf_signer_sign(const json_t *signed_part, const struct hf_signing_key *keys,
                                       size_t n_keys, struct hf_buf *file, struct hf_why *why);

#endif
