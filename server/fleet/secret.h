/* The text of tokens: 256 bits of chance behind a prefix that says what it is. Only the hash is
 * stored. */
#ifndef HF_FLEET_SECRET_H
#define HF_FLEET_SECRET_H

#include "common/base/digest.h"

/* "hfe_" and 43 characters of base64url; with its NUL. */
#define HF_SECRET_TEXT_MAX 48u

#define HF_SECRET_ENROLL "hfe_"
#define HF_SECRET_ADMIN "hfa_"

/** A new one; the caller shows it once and wipes it. `hash` is what is stored. */
void hf_secret_make(const char *prefix, char out[HF_SECRET_TEXT_MAX], uint8_t hash[HF_SHA256_LEN]);
/** False for a text that is no token with this prefix: no look-up is needed then. */
HF_MUST_USE bool hf_secret_hash(const char *prefix, const char *text, uint8_t hash[HF_SHA256_LEN]);

#endif
