/* Making a key in a token, and the file that refers to one. */
#ifndef HF_PUBLISH_KEY_TOKEN_H
#define HF_PUBLISH_KEY_TOKEN_H

#include "server/publish/key_file.h"

/** "ed25519" or "ecdsa-p256", as --type says it; NULL is the first. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_key_type_parse(const char *name, enum hf_token_key_type *out,
                                          struct hf_why *why);

/** The same word for the key object of metadata; for others its scheme. Borrowed. */
const char *hf_key_type_word(const json_t *public_key);

/**
 * Make a key pair in the token that `uri` names, and see that it signs. hf_token_public_free `out`.
 * Asks for the PIN. When it does not sign, it stays in the token and the sentence says so.
 */
HF_MUST_USE enum hf_err hf_key_token_generate(const char *uri, enum hf_token_key_type type,
                                              struct hf_token_public *out, struct hf_why *why);

#endif
