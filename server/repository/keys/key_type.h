/* Types of keys, as --type and what is shown name them. */
#ifndef HF_REPOSITORY_KEY_TYPE_H
#define HF_REPOSITORY_KEY_TYPE_H

#include "server/repository/tokens/token.h"

/** "ed25519" or "ecdsa-p256", as --type says it; NULL is the first. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_key_type_parse(const char *name, enum hf_token_key_type *out,
                                          struct hf_why *why);

/** The same word for the key object of metadata; for others its scheme. Borrowed. */
const char *hf_key_type_word(const json_t *public_key);

#endif
