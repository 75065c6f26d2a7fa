/* A new passphrase for keys that lie in one folder. */
#ifndef HF_REPOSITORY_KEY_REKEY_H
#define HF_REPOSITORY_KEY_REKEY_H

#include "server/repository/keys/key_seal.h"

/**
 * Seal these files (at least one, all of one folder) under a passphrase to be chosen. Each is written
 * beside the old one, opened again, and renamed over it when all of them are there, so that a key is
 * whole under the old or the new passphrase at every moment. HF_E_STATE when a key in the folder that
 * has the same salt is left out: one passphrase opens a folder. HF_E_ARGUMENT for a file that refers
 * to a token. Passphrase files may be NULL: ask.
 */
HF_MUST_USE enum hf_err hf_key_rekey(const char *const *paths, const char *passphrase_file,
                                     const char *new_passphrase_file, struct hf_why *why);

#endif
