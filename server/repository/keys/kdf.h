/*
 * From a passphrase to the key that wraps private keys: Argon2id (RFC 9106) by libsodium.
 *
 * All keys that are made together share one salt, so that a folder of five is unlocked at the
 * price of one. An attacker who holds the folder can test a guess on all of them at once; but they
 * have the same passphrase, so testing it on one would already have been enough.
 */
#ifndef HF_REPOSITORY_KDF_H
#define HF_REPOSITORY_KDF_H

#include "server/repository/base/terminal.h"

#include <jansson.h>

#define HF_KDF_SALT_LEN 16
#define HF_WRAP_KEY_LEN 32

enum hf_kdf_kind {
    HF_KDF_NONE = 0, /* --insecure-no-passphrase: the key lies open in its file */
    HF_KDF_ARGON2ID,
};

struct hf_kdf {
    enum hf_kdf_kind kind;
    int64_t passes;
    int64_t memory_bytes;
    uint8_t salt[HF_KDF_SALT_LEN];
};

/**
 * Parameters for new keys, with a fresh salt. Offline keys are worth a second of a person's time
 * and 256 MiB; the passphrase of online keys lies in a file for a timer to read, where stretching
 * adds little: 64 MiB, so that it runs on a small server.
 */
struct hf_kdf hf_kdf_make(bool is_online);

/** From "kdf" in a key file. HF_E_FORMAT; HF_E_LIMIT for parameters that would take minutes or all
 *  memory. */
HF_MUST_USE enum hf_err hf_kdf_parse(const json_t *object, struct hf_kdf *out, struct hf_why *why);

/** A new reference; NULL when memory ran out. */
json_t *hf_kdf_to_json(const struct hf_kdf *kdf);

bool hf_kdf_same(const struct hf_kdf *a, const struct hf_kdf *b);

/** `*out` is HF_WRAP_KEY_LEN bytes of sodium_malloc memory, sodium_free it. CPU and memory
 *  bound. */
HF_MUST_USE enum hf_err hf_kdf_derive(const struct hf_kdf *kdf, const struct hf_passphrase *p,
                                      uint8_t **out, struct hf_why *why);

#endif
