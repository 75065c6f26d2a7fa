/*
 * Which certificates a person means, by fingerprint, subject or table, and who vouches for a root.
 * No I/O.
 */
#ifndef HF_REPOSITORY_SELECT_H
#define HF_REPOSITORY_SELECT_H

#include "common/base/digest.h"
#include "common/bundle/bundle.h"
#include "server/repository/base/findings.h"
#include "server/repository/certs/known_roots.h"

#define HF_FINGERPRINT_DIGITS_MIN 16 /* 64 bits: a second one is not found by accident */

struct hf_fingerprint {
    char digits[HF_SHA256_HEX_LEN]; /* lower case */
};

/** The first `len` characters of `text`. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_fingerprint_parse(const char *text, size_t len,
                                             struct hf_fingerprint *out, struct hf_why *why);

bool hf_fingerprint_matches(const struct hf_fingerprint *f, const uint8_t sha256[HF_SHA256_LEN]);

/* Which certificates a person means: by fingerprint, by subject, or by a table of known roots. */

/**
 * Does `text` mean this certificate? The SHA-256 (or the first 16 digits or more) of it or of its
 * key; or the name of a table of known roots that holds its key; or else a part of its subject, of
 * either case.
 */
bool hf_select_matches(const char *text, const struct hf_known_roots *known,
                       const struct hf_cert *cert);

/** Does it mean a whole table, and no certificate in particular? */
bool hf_select_is_table(const char *text, const struct hf_known_roots *known);

enum hf_choice {
    HF_NOT_CHOSEN = 0,
    HF_CHOSEN_BY_TABLE,  /* by a whole table only: no person asked for this one */
    HF_CHOSEN_BY_ITSELF, /* by its fingerprint or subject; or nothing was to be chosen */
};
/** How these (NULL-terminated; NULL or empty: everything is meant) choose the certificate. */
enum hf_choice hf_select_choose(const char *const *texts, const struct hf_known_roots *known,
                                const struct hf_cert *cert);

/*
 * A publisher signs no root that was not reviewed: each is in a table of known roots, or in what
 * this publisher has signed before, or its fingerprint was typed in from its owner's page. No I/O.
 */

/** All is borrowed; any may be NULL. */
struct hf_vouching {
    const struct hf_known_roots *known;
    const struct hf_bundle *before; /* the version before, signed */
    const struct hf_bundle *from;   /* the bundle that this one was made from, signed */
    const char *const *pins;        /* SHA-256 of certificates or keys; NULL-terminated */
};

/** HF_E_ARGUMENT for a pin that is no fingerprint, or that of nothing in `bundle` (NULL: not
 *  judged). */
HF_MUST_USE enum hf_err hf_vouching_check_pins(const struct hf_vouching *by,
                                               const struct hf_bundle *bundle, struct hf_why *why);

/** Add HF_LINT_UNKNOWN_ROOT, with the fingerprint to compare, if nothing vouches for `cert`. The
 *  pins must be fingerprints. */
HF_MUST_USE enum hf_err hf_vouching_check(const struct hf_vouching *by, const struct hf_cert *cert,
                                          const char *where, struct hf_findings *out,
                                          struct hf_why *why);

#endif
