/*
 * Passphrases: from a file, or typed on a terminal that does not show them. They live in
 * sodium_malloc memory and are wiped when freed.
 */
#ifndef HF_REPOSITORY_PASSPHRASE_H
#define HF_REPOSITORY_PASSPHRASE_H

#include <holdfast/bytes.h>

#define HF_PASSPHRASE_MAX 1024 /* bytes */

struct hf_passphrase {
    char *text; /* sodium_malloc; NULL: none */
    size_t len;
};

void hf_passphrase_free(struct hf_passphrase *p);

/** Does a person type it? `file` is NULL, or "-" with a terminal as standard input. */
bool hf_passphrase_is_typed(const char *file);

/**
 * The passphrase of existing keys. `file` is the name of a file whose first line it is, which only
 * its owner may read (hf_secret_file_open), or "-" for standard input; NULL asks on the terminal for
 * the passphrase of `what`. HF_E_KEY in words.
 */
HF_MUST_USE enum hf_err hf_passphrase_read(const char *file, const char *what,
                                           struct hf_passphrase *out, struct hf_why *why);

/** The PIN of a token, in the same way; `what` is its name ("token alice"). */
HF_MUST_USE enum hf_err hf_passphrase_read_pin(const char *file, const char *what,
                                               struct hf_passphrase *out, struct hf_why *why);

/** The passphrase of keys about to be made: as above, but a typed one is asked for twice. */
HF_MUST_USE enum hf_err hf_passphrase_choose(const char *file, const char *what,
                                             struct hf_passphrase *out, struct hf_why *why);

/*
 * From a passphrase to the key that wraps private keys: Argon2id (RFC 9106) by libsodium.
 *
 * All keys that are made together share one salt, so that a folder of five is unlocked at the
 * price of one. An attacker who holds the folder can test a guess on all of them at once; but they
 * have the same passphrase, so testing it on one would already have been enough.
 */

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
struct hf_kdf hf_kdf_for_offline(void);
struct hf_kdf hf_kdf_for_online(void);

/** HF_E_LIMIT for parameters from a file that would take minutes or all memory. */
HF_MUST_USE enum hf_err hf_kdf_check(const struct hf_kdf *kdf, struct hf_why *why);

/** `*out` is HF_WRAP_KEY_LEN bytes of sodium_malloc memory, sodium_free it. CPU and memory bound. */
HF_MUST_USE enum hf_err hf_kdf_derive(const struct hf_kdf *kdf, const struct hf_passphrase *p,
                                      uint8_t **out, struct hf_why *why);

bool hf_kdf_same(const struct hf_kdf *a, const struct hf_kdf *b);

#endif
