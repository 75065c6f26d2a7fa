/*
 * Public parts of keys as files: the key object of TUF metadata as JSON (4.2.2), as `key generate
 * --public` writes it and other TUF tools have it; or the public part of a key file, for which no
 * passphrase is needed.
 */
#ifndef HF_REPOSITORY_PUBLIC_KEY_H
#define HF_REPOSITORY_PUBLIC_KEY_H

#include "common/base/digest.h"
#include "common/tuf/key.h"
#include "server/repository/tokens/token.h"

struct hf_public_key {
    json_t *json; /* owned: keytype, scheme, keyval.public, and nothing else */
    char key_id[HF_SHA256_HEX_LEN];
};

/** From a key object. HF_E_KEY for a key that devices could not use. hf_public_key_free `out`. */
HF_MUST_USE enum hf_err hf_public_key_from_json(const json_t *object, struct hf_public_key *out,
                                                struct hf_why *why);

void hf_public_key_free(struct hf_public_key *key);

/** A new file that every user may read. HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_public_key_create(const char *path, const json_t *object,
                                             struct hf_why *why);

/* Types of keys, as --type and what is shown name them. */

/** "ed25519" or "ecdsa-p256", as --type says it; NULL is the first. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_key_type_parse(const char *name, enum hf_token_key_type *out,
                                          struct hf_why *why);

/** The same word for the key object of metadata; for others its scheme. Borrowed. */
const char *hf_key_type_word(const json_t *public_key);

/*
 * What a key file says that holds no key, but says where it is: in a token. Nothing in it is secret
 * and nothing sealed. The public part is only a claim until the token's first signature is verified
 * with it (signer.h).
 */

struct hf_key_reference {
    struct hf_public_key public;
    char *uri;  /* owned; with pin-source and module-path, if any */
    char *name; /* owned: "alice/root-1", plain ASCII, for people */
};

/** From the members of a key file with keytype "token". HF_E_FORMAT, HF_E_KEY, or HF_E_ARGUMENT for a
 *  URI that names no key or holds a PIN. No I/O. hf_key_reference_free `out`. */
HF_MUST_USE enum hf_err hf_key_reference_parse(const json_t *file, struct hf_key_reference *out,
                                               struct hf_why *why);

/** Those members. What the token calls the key is kept, and what `uri` says besides: where its PIN
 *  and its module are. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_key_reference_to_json(const struct hf_token_public *token_key,
                                                 const char *uri, json_t **out, struct hf_why *why);

/** What the token shows of the key that `uri` names; no PIN is asked for. */
HF_MUST_USE enum hf_err hf_key_reference_look_up(struct hf_tokens **tokens, const char *uri,
                                                 struct hf_key_reference *out, struct hf_why *why);
void hf_key_reference_free(struct hf_key_reference *r);

#endif
