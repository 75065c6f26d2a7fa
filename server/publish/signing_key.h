/* An Ed25519 key pair that can sign (RFC 8032, by libsodium). No I/O. */
#ifndef HF_PUBLISH_SIGNING_KEY_H
#define HF_PUBLISH_SIGNING_KEY_H

#include "common/base/digest.h"

#include <jansson.h>

#define HF_SEED_LEN 32 /* the private key proper; the rest follows from it */
#define HF_PUBLIC_KEY_LEN 32
#define HF_SECRET_KEY_LEN 64 /* seed and public key, as libsodium wants them */

struct hf_signing_key {
    uint8_t *secret_key; /* owned, sodium_malloc, HF_SECRET_KEY_LEN bytes; NULL: none */
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    char key_id[HF_SHA256_HEX_LEN];
};

HF_MUST_USE enum hf_err hf_signing_key_generate(struct hf_signing_key *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_signing_key_from_seed(const uint8_t seed[HF_SEED_LEN],
                                                 struct hf_signing_key *out, struct hf_why *why);
void hf_signing_key_free(struct hf_signing_key *key);

/** The key object of TUF metadata (4.2.1). `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_public_key_to_json(const uint8_t public_key[HF_PUBLIC_KEY_LEN],
                                              json_t **out, struct hf_why *why);

/** The usual label: the SHA-256 of the key object's canonical form, in hex. */
HF_MUST_USE enum hf_err hf_public_key_id(const uint8_t public_key[HF_PUBLIC_KEY_LEN],
                                         char out[HF_SHA256_HEX_LEN], struct hf_why *why);

#endif
