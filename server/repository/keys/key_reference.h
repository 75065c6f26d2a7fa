/*
 * What a key file says that holds no key, but says where it is: in a token. Nothing in it is secret
 * and nothing sealed. The public part is only a claim until the token's first signature is verified
 * with it (signer.h).
 */
#ifndef HF_REPOSITORY_KEY_REFERENCE_H
#define HF_REPOSITORY_KEY_REFERENCE_H

#include "server/repository/keys/public_key.h"
#include "server/repository/tokens/token.h"

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
