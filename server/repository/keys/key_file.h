/*
 * A private key on disk (schema/key.schema.json): JSON with the public key in the clear and the
 * seed sealed by XChaCha20-Poly1305 under a key from the passphrase. Everything in the clear is
 * authenticated with it, so a file whose public key or parameters were swapped does not open.
 * Mode 0600, made once, never overwritten.
 *
 * Or a file that holds no key and says in which token it is, so that a folder holds both. Nothing
 * in it is secret and nothing sealed. Its public part is only a claim until the token's first
 * signature is verified with it (signer.h).
 */
#ifndef HF_REPOSITORY_KEY_FILE_H
#define HF_REPOSITORY_KEY_FILE_H

#include "server/repository/base/public_key.h"
#include "server/repository/keys/kdf.h"
#include "server/repository/keys/signing_key.h"

#define HF_KEY_FILE_SUFFIX ".key.json" /* only files of such names are found in a folder */

/** A key as found: its public part is known, its seed still sealed, its token not yet asked. */
struct hf_key_file {
    char *path;         /* owned; names it in messages: a file, or a URI that was given as such */
    json_t *json;       /* owned; NULL for a URI */
    json_t *public_key; /* owned: the key object of TUF metadata */
    char key_id[HF_SHA256_HEX_LEN];
    char *name; /* owned; for people: that of the file, or "token/object" in plain ASCII */
    char *uri;  /* owned; with pin-source and module-path, if any. NULL: the seed is in the file */
    struct hf_kdf kdf; /* of the seed */
};

/**
 * Write `key`, which is no token's, to a new file. `wrap_key` is what hf_kdf_derive made with
 * `kdf`; NULL for HF_KDF_NONE. HF_E_STATE when the name is taken. After a failure no such file
 * exists.
 */
HF_MUST_USE enum hf_err hf_key_file_create(const char *path, const struct hf_signing_key *key,
                                           const struct hf_kdf *kdf, const uint8_t *wrap_key,
                                           struct hf_why *why);

/** The same for a key in a token. The file keeps what the token calls the key, and what `uri` says
 *  besides: where its PIN and its module are. */
HF_MUST_USE enum hf_err hf_key_file_create_reference(const char *path,
                                                     const struct hf_token_public *token_key,
                                                     const char *uri, struct hf_why *why);

/** HF_E_KEY for a file that others may read, or that is damaged; HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_key_file_read(const char *path, struct hf_key_file *out,
                                         struct hf_why *why);

/** A file name or a PKCS#11 URI, as it is given with --key. Of a URI what the token shows; no PIN
 *  is asked for. */
HF_MUST_USE enum hf_err hf_key_file_find(const char *key, struct hf_tokens **tokens,
                                         struct hf_key_file *out, struct hf_why *why);
void hf_key_file_free(struct hf_key_file *file);

/** Unseal a seed. HF_E_KEY: wrong passphrase or damaged file; the two cannot be told apart. */
HF_MUST_USE enum hf_err hf_key_file_open(const struct hf_key_file *file, const uint8_t *wrap_key,
                                         struct hf_signing_key *out, struct hf_why *why);

/** HF_E_ARGUMENT, in words, unless the name ends in HF_KEY_FILE_SUFFIX. */
HF_MUST_USE enum hf_err hf_key_file_check_name(const char *path, struct hf_why *why);

/**
 * The public part of a key, with its name for people: of a PKCS#11 URI, of a key file, or of a file
 * with the key object alone. No passphrase is needed. HF_E_KEY, HF_E_NOT_FOUND, …; the sentence
 * names the file.
 */
HF_MUST_USE enum hf_err hf_public_key_find(const char *key, struct hf_public_key *out,
                                           struct hf_why *why);

#endif
