/*
 * A private key on disk (schema/key.schema.json): JSON with the public key in the clear and the
 * seed sealed by XChaCha20-Poly1305 under a key from the passphrase. Everything in the clear is
 * authenticated with it, so a file whose public key or parameters were swapped does not open.
 * Mode 0600, made once, never overwritten.
 */
#ifndef HF_PUBLISH_KEY_FILE_H
#define HF_PUBLISH_KEY_FILE_H

#include "server/publish/kdf.h"
#include "server/publish/signing_key.h"

#define HF_KEY_FILE_SUFFIX ".key.json"

/** A key file as read: its public part is known, its seed still sealed. */
struct hf_key_file {
    char *path;   /* owned; names the file in messages */
    json_t *json; /* owned */
    struct hf_kdf kdf;
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    char key_id[HF_SHA256_HEX_LEN];
};

/**
 * Write `key` to a new file. `wrap_key` is what hf_kdf_derive made with `kdf`; NULL for
 * HF_KDF_NONE. HF_E_STATE when the name is taken. After a failure no such file exists.
 */
HF_MUST_USE enum hf_err hf_key_file_create(const char *path, const struct hf_signing_key *key,
                                           const struct hf_kdf *kdf, const uint8_t *wrap_key,
                                           struct hf_why *why);

/** HF_E_KEY for a file that others may read, or that is damaged; HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_key_file_read(const char *path, struct hf_key_file *out,
                                         struct hf_why *why);
void hf_key_file_free(struct hf_key_file *file);

/** Unseal. HF_E_KEY: wrong passphrase or damaged file; the two cannot be told apart. */
HF_MUST_USE enum hf_err hf_key_file_open(const struct hf_key_file *file, const uint8_t *wrap_key,
                                         struct hf_signing_key *out, struct hf_why *why);

#endif
