/*
 * How the keys of a folder are sealed. One folder has one passphrase and one salt, so that all its
 * keys open at the price of one; a key that joins them is sealed as they are.
 */
#ifndef HF_REPOSITORY_KEY_SEAL_H
#define HF_REPOSITORY_KEY_SEAL_H

#include "server/repository/keys/key_set.h"

struct hf_key_seal {
    struct hf_kdf kdf;
    uint8_t *wrap_key; /* owned, sodium_malloc; NULL for HF_KDF_NONE */
};

/**
 * The seal of a key about to be made in `folder`: that of the keys in it, which the passphrase must
 * open (HF_E_KEY), or a new one with a passphrase to be chosen. A folder named "online" gets the
 * cheaper stretching of keys that a timer uses. `passphrase_file` NULL: ask.
 */
HF_MUST_USE enum hf_err hf_key_seal_prepare(const char *folder, const char *passphrase_file,
                                            struct hf_key_seal *out, struct hf_why *why);

void hf_key_seal_free(struct hf_key_seal *seal);

/**
 * Seal these files (at least one, all of one folder) under a passphrase to be chosen. Each is
 * written beside the old one, opened again, and renamed over it when all of them are there, so that
 * a key is whole under the old or the new passphrase at every moment. HF_E_STATE when a key in the
 * folder that has the same salt is left out: one passphrase opens a folder. HF_E_ARGUMENT for a
 * file that refers to a token. Passphrase files may be NULL: ask.
 */
HF_MUST_USE enum hf_err hf_key_rekey(const char *const *paths, const char *passphrase_file,
                                     const char *new_passphrase_file, struct hf_why *why);

/** The folder that `path` names a file in: "." without one. HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_path_folder(const char *path, struct hf_path *out, struct hf_why *why);

#endif
