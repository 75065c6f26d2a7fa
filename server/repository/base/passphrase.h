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

#endif
