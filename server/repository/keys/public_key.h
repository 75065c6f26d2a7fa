/*
 * Public parts of keys as files: the key object of TUF metadata as JSON (4.2.2), as `key generate
 * --public` writes it and other TUF tools have it; or the public part of a key file, for which no
 * passphrase is needed.
 */
#ifndef HF_REPOSITORY_PUBLIC_KEY_H
#define HF_REPOSITORY_PUBLIC_KEY_H

#include "common/base/digest.h"
#include "common/tuf/key.h"

struct hf_public_key {
    json_t *json; /* owned: keytype, scheme, keyval.public, and nothing else */
    char key_id[HF_SHA256_HEX_LEN];
};

/** From a key object. HF_E_KEY for a key that devices could not use. hf_public_key_free `out`. */
HF_MUST_USE enum hf_err hf_public_key_from_json(const json_t *object, struct hf_public_key *out,
                                                struct hf_why *why);

/** From a file of either kind. HF_E_KEY, HF_E_NOT_FOUND, …; the sentence names the file. */
HF_MUST_USE enum hf_err hf_public_key_read(const char *path, struct hf_public_key *out,
                                           struct hf_why *why);
void hf_public_key_free(struct hf_public_key *key);

/** A new file that everybody may read. HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_public_key_create(const char *path, const json_t *object,
                                             struct hf_why *why);

#endif
