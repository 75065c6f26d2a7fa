/*
 * Public keys as TUF metadata writes them (4.2.1 and 4.2.2): the key object, its usual label, and a
 * file that holds just that object, as `key generate --public` writes it and other TUF tools have
 * it.
 */
#ifndef HF_REPOSITORY_PUBLIC_KEY_H
#define HF_REPOSITORY_PUBLIC_KEY_H

#include "common/base/digest.h"

#include <jansson.h>

#define HF_PUBLIC_KEY_LEN 32 /* of Ed25519 */
#define HF_LABEL_MAX 128     /* characters; of keys and of target files */

/** Printable ASCII of 1 to HF_LABEL_MAX characters: what a terminal shows as it is. */
bool hf_label_is_plain(const char *text);

/** `text`, such as the name of a key's file, as one: cut, and other bytes become '?'. Owned; NULL
 *  when memory is short. */
json_t *hf_label_to_json(const char *text);

/** The key object of an Ed25519 key. `*out` is a new reference. No I/O. */
HF_MUST_USE enum hf_err hf_public_key_to_json(const uint8_t public_key[HF_PUBLIC_KEY_LEN],
                                              json_t **out, struct hf_why *why);

/** The usual label: the SHA-256 of the key object's canonical form, in hex. No I/O. */
HF_MUST_USE enum hf_err hf_public_key_id(const json_t *public_key, char out[HF_SHA256_HEX_LEN],
                                         struct hf_why *why);

/** The same public key, however it is written? A PEM can be wrapped and spelled in many ways, and
 *  so its usual label differs from tool to tool. False for NULL, and for what is no key. */
bool hf_public_key_same(const json_t *a, const json_t *b);

/** Can devices verify signatures with this key object? */
bool hf_public_key_is_usable(const json_t *object);

/** "ed25519" or "ecdsa-p256", as --type has it; for other keys the scheme. Borrowed. */
const char *hf_key_type_word(const json_t *public_key);

struct hf_public_key {
    json_t *json; /* owned: keytype, scheme, keyval.public, and nothing else */
    char key_id[HF_SHA256_HEX_LEN];
    char *name; /* owned; for people, where it was looked up (key_file.h); else NULL */
};

/** From a key object. HF_E_KEY for a key that devices could not use. hf_public_key_free `out`. */
HF_MUST_USE enum hf_err hf_public_key_from_json(const json_t *object, struct hf_public_key *out,
                                                struct hf_why *why);
void hf_public_key_free(struct hf_public_key *key);

/** A new file that every user may read. HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_public_key_create(const char *path, const json_t *object,
                                             struct hf_why *why);

#endif
