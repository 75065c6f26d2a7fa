/*
 * Public keys of TUF metadata (specification 4.2.2), one signature check with one key, and the
 * roles that name keys.
 *
 * Key ids are opaque labels: they need not be the hash of the key. What counts is the public key
 * itself, normalised here so that the same key as PEM, as hex point or under another scheme is
 * recognised as the same.
 */
#ifndef HF_COMMON_TUF_KEY_H
#define HF_COMMON_TUF_KEY_H

#include <holdfast/bytes.h>

#include <jansson.h>

enum hf_scheme {
    HF_SCHEME_UNKNOWN = 0, /* kept, so that the file loads; verifies nothing */
    HF_SCHEME_ED25519,
    HF_SCHEME_ECDSA_P256_SHA256,
    HF_SCHEME_ECDSA_P384_SHA384,
    HF_SCHEME_RSASSA_PSS_SHA256,
    HF_SCHEME_RSA_PKCS1V15_SHA256,
};

struct hf_key {
    const char *key_id; /* borrowed from the JSON the key was parsed from */
    enum hf_scheme scheme;
    /* Normalised: 32 bytes for Ed25519; for ECDSA and RSA the SubjectPublicKeyInfo as Mbed TLS
     * writes it, one form for one key. Owned. NULL for HF_SCHEME_UNKNOWN. */
    uint8_t *public_key;
    size_t public_key_len;
};

/**
 * Parse one key object. A key that cannot be used gives HF_SCHEME_UNKNOWN and counts for nothing:
 * a type or scheme of the future, a public key that is not one, RSA below 2048 bits. Refusing the
 * file instead would let one odd key, which the threshold may not need, stop every device.
 * HF_E_FORMAT when it names no key type or scheme at all.
 * `out` is written on HF_OK only; hf_key_free it.
 */
HF_MUST_USE enum hf_err hf_key_parse(const char *key_id, const json_t *object, struct hf_key *out,
                                     struct hf_why *why);
void hf_key_free(struct hf_key *key);

/** Same public key, whatever the labels and schemes say. False for unknown ones. */
bool hf_key_same(const struct hf_key *a, const struct hf_key *b);

/** True only if `signature` is this key's over `message`. Never true for HF_SCHEME_UNKNOWN, nor
 *  when memory runs out. */
bool hf_key_verify(const struct hf_key *key, struct hf_bytes message, struct hf_bytes signature);

/** The scheme's name as metadata writes it ("ed25519"); "unknown" otherwise. */
const char *hf_scheme_name(enum hf_scheme scheme);

/** Keys and the roles that use them: the `keys` of root or of a delegation. */
struct hf_keyring {
    struct hf_key *keys;
    size_t n_keys;
};

struct hf_role {
    const char *name;     /* borrowed from the delegator's JSON, or a literal */
    const char **key_ids; /* owned array of borrowed strings */
    size_t n_key_ids;
    int64_t threshold; /* >= 1 */
};

HF_MUST_USE enum hf_err hf_keyring_parse(const json_t *keys, const char *what,
                                         struct hf_keyring *out, struct hf_why *why);
void hf_keyring_free(struct hf_keyring *ring);
const struct hf_key *hf_keyring_find(const struct hf_keyring *ring, const char *key_id);

/** `object` holds keyids and threshold. A repeated key id is refused. `what` names it in messages.
 *  */
HF_MUST_USE enum hf_err hf_role_parse(const char *name, const json_t *object, const char *what,
                                      struct hf_role *out, struct hf_why *why);
void hf_role_free(struct hf_role *role);

#endif
