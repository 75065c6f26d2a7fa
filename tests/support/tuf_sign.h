/*
 * Keys that sign, and signed TUF files, for tests. Ed25519 by libsodium. What goes wrong here fails
 * the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_TUF_SIGN_H
#define HF_TESTS_SUPPORT_TUF_SIGN_H

#include "common/base/digest.h"

#include <jansson.h>

#define TUF_KEYS_MAX 8

struct tuf_key {
    uint8_t public_key[32];
    uint8_t secret_key[64];
    char key_id[HF_SHA256_HEX_LEN]; /* a label: a test may write another one */
};

/** The keys of one role. Every one of the first `n_signers` signs. */
struct tuf_keys {
    struct tuf_key keys[TUF_KEYS_MAX];
    size_t n_keys;
    size_t n_signers;
    int64_t threshold;
};

/** A fresh key pair; its id is the hash of its canonical JSON, as is usual. */
void tuf_key_make(struct tuf_key *key);
/** `n` fresh keys, all of which sign. */
void tuf_keys_make(struct tuf_keys *keys, size_t n, int64_t threshold);
/** The public key as metadata writes it; a new reference. */
json_t *tuf_key_json(const struct tuf_key *key);
/** {"keyids": […], "threshold": …}; a new reference. */
json_t *tuf_role_json(const struct tuf_keys *keys);

/**
 * {"signed": …, "signatures": […]} over the canonical form, a new reference; steals `signed_part`.
 * Each of the first `n_signers` keys of `keys` signs, then those of `more` (may be NULL).
 */
json_t *tuf_sign(json_t *signed_part, const struct tuf_keys *keys, const struct tuf_keys *more);
/** The file as published: indented JSON, so that it differs from what was signed. */
void tuf_write(const json_t *envelope, struct hf_buf *out);
/** {"_type", "spec_version", "version", "expires"[, "signed_at"]}; a new reference. */
json_t *tuf_signed_part(const char *type, int64_t version, int64_t expires_s, int64_t signed_at_s);

#endif
