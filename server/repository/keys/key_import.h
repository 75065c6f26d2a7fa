/* Ed25519 private keys that other programs made. */
#ifndef HF_REPOSITORY_KEY_IMPORT_H
#define HF_REPOSITORY_KEY_IMPORT_H

#include "server/repository/keys/signing_key.h"

/**
 * Read a file that holds the 32 bytes of a seed (RFC 8032) and nothing else, or an Ed25519 private
 * key as PKCS#8 of version 1 or 2 (RFC 5958, RFC 8410), PEM or DER, without passphrase; a public key
 * in it must be that of the private one. HF_E_KEY for a file that others may read
 * (hf_secret_file_open), and for every other kind of key. hf_signing_key_free `out`.
 */
HF_MUST_USE enum hf_err hf_key_import(const char *path, struct hf_signing_key *out,
                                      struct hf_why *why);

#endif
