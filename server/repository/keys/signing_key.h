/* A key that can sign: an Ed25519 pair in memory (RFC 8032, by libsodium), or one in a token. */
#ifndef HF_REPOSITORY_SIGNING_KEY_H
#define HF_REPOSITORY_SIGNING_KEY_H

#include "server/repository/base/public_key.h"
#include "server/repository/tokens/token.h"

#define HF_SEED_LEN 32       /* the private key proper; the rest follows from it */
#define HF_SECRET_KEY_LEN 64 /* seed and public key, as libsodium wants them */

struct hf_signing_key {
    json_t *public_key; /* owned: the key object of TUF metadata (4.2.1) */
    char key_id[HF_SHA256_HEX_LEN];
    /* Borrowed: its id in the root that it signs for (key_set.h), which may be another program's;
     * NULL: key_id. */
    const char *known_as;
    uint8_t *secret_key; /* owned, sodium_malloc, HF_SECRET_KEY_LEN bytes; NULL: in a token */
    struct hf_token_key *token; /* owned; NULL: in memory */
};

/** A key in memory, of these HF_SEED_LEN bytes; `seed` NULL: a new one. hf_signing_key_free `out`.
 *  No I/O. */
HF_MUST_USE enum hf_err hf_signing_key_make(const uint8_t *seed, struct hf_signing_key *out,
                                            struct hf_why *why);

/** Log in to the token and find the private key of `public_key` (hf_token_key_open). To be freed
 *  before `*tokens`. */
HF_MUST_USE enum hf_err hf_signing_key_from_token(struct hf_tokens **tokens, const char *uri,
                                                  const json_t *public_key,
                                                  struct hf_signing_key *out, struct hf_why *why);
/** The id that stands beside its signatures. Borrowed. */
const char *hf_signing_key_name(const struct hf_signing_key *key);
void hf_signing_key_free(struct hf_signing_key *key);

/** Append the signature over `message` as metadata has it. Whether it is the public key's is not
 *  looked at: hf_signer_sign does. HF_E_KEY for what a token says. */
HF_MUST_USE enum hf_err hf_signing_key_sign(const struct hf_signing_key *key,
                                            struct hf_bytes message, struct hf_buf *signature,
                                            struct hf_why *why);

/**
 * Read an Ed25519 private key that another program made: a file that holds the 32 bytes of a seed
 * (RFC 8032) and nothing else, or an Ed25519 private key as PKCS#8 of version 1 or 2 (RFC 5958, RFC
 * 8410), PEM or DER, without passphrase; a public key in it must be that of the private one.
 * HF_E_KEY for a file that others may read (hf_secret_file_open), and for every other kind of key.
 * hf_signing_key_free `out`.
 */
HF_MUST_USE enum hf_err hf_key_import(const char *path, struct hf_signing_key *out,
                                      struct hf_why *why);

#endif
