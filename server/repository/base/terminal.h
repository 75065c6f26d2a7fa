/*
 * What a person at the terminal is asked and told. Passphrases and PINs come from a file, or are
 * typed on a terminal that does not show them. They live in sodium_malloc memory and are wiped when
 * freed. A program without a terminal gives files and is never asked.
 */
#ifndef HF_REPOSITORY_TERMINAL_H
#define HF_REPOSITORY_TERMINAL_H

#include <holdfast/bytes.h>

#define HF_PASSPHRASE_MAX 1024 /* bytes */

struct hf_passphrase {
    char *text; /* sodium_malloc; NULL: none */
    size_t len;
};

void hf_passphrase_free(struct hf_passphrase *p);

enum hf_secret {
    HF_SECRET_PASSPHRASE,     /* of keys that exist */
    HF_SECRET_NEW_PASSPHRASE, /* of keys about to be made: a typed one is asked for twice */
    HF_SECRET_PIN,            /* of a token */
};

/**
 * Read a passphrase or PIN. `file` is the name of a file whose first line it is, which only its
 * owner may read (hf_secret_file_open), or "-" for standard input; NULL asks on the terminal for
 * that of `what` (a folder, "token alice"). HF_E_KEY in words.
 */
HF_MUST_USE enum hf_err hf_passphrase_read(enum hf_secret secret, const char *file,
                                           const char *what, struct hf_passphrase *out,
                                           struct hf_why *why);

/** Does a person type it? `file` is NULL, or "-" with a terminal as standard input. */
bool hf_passphrase_is_typed(const char *file);

/** One line on standard error for the person who is asked for a secret. */
void hf_terminal_tell(const char *fmt, ...) HF_PRINTF(1, 2);

/** From now on hf_verbose prints. */
void hf_verbose_on(void);

/** One line on standard error about a step that is done, if --verbose was given. */
void hf_verbose(const char *fmt, ...) HF_PRINTF(1, 2);

#endif
