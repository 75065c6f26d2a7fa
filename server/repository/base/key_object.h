/* Public keys as TUF metadata writes them (4.2.1): the key object, and its usual label. No I/O. */
#ifndef HF_REPOSITORY_KEY_OBJECT_H
#define HF_REPOSITORY_KEY_OBJECT_H

#include "common/base/digest.h"

#include <jansson.h>

#define HF_PUBLIC_KEY_LEN 32 /* of Ed25519 */

/** The key object of an Ed25519 key. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_public_key_to_json(const uint8_t public_key[HF_PUBLIC_KEY_LEN],
                                              json_t **out, struct hf_why *why);

/** The usual label: the SHA-256 of the key object's canonical form, in hex. */
HF_MUST_USE enum hf_err hf_public_key_id(const json_t *public_key, char out[HF_SHA256_HEX_LEN],
                                         struct hf_why *why);

/** The same public key, however it is written? A PEM can be wrapped and spelled in many ways, and so its
 *  usual label differs from tool to tool. False for NULL, and for what is no key. */
bool hf_public_key_same(const json_t *a, const json_t *b);

#endif
