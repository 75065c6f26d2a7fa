/* From certificate files to the next version of a set and profile, as it may be signed. */
#ifndef HF_PUBLISH_BUNDLE_BUILD_H
#define HF_PUBLISH_BUNDLE_BUILD_H

#include "server/repository/base/findings.h"
#include "server/repository/certs/cert_files.h"
#include "server/repository/repo_verify.h"

/* Which part of another bundle a profile takes over. */
enum hf_key_kind {
    HF_KEYS_OF_ANY_KIND = 0,
    HF_KEYS_OF_RSA, /* for devices that validate no ECDSA */
    HF_KEYS_OF_ECC, /* for devices that validate no RSA */
};

/** What is signed about certificates. Lists are NULL-terminated or NULL. */
struct hf_note_options {
    bool allows_intermediate;          /* --allow-intermediate */
    bool signs_planned;                /* --planned-dates: every date of distrust in the tables */
    const char *const *distrust_after; /* FINGERPRINT=DATE or FINGERPRINT=none */
    const char *const *remove_after;
};

/* Lists are NULL-terminated, or NULL for none. */
struct hf_bundle_order {
    const char *set;
    const char *profile;
    /* --from: its certificates come first, with what is signed about them; NULL for none */
    const struct hf_repo_bundle *from;
    enum hf_key_kind from_kind; /* of `from` only these */
    const char *const *without; /* and none that one of these means (select.h) */
    bool adds_to_from;          /* what `from` has already is passed over, not given twice */
    bool is_again;            /* --again: a new version, even with the content of the one before */
    const char *const *files; /* or folders */
    bool files_are_named;     /* a person named them: what is not selected of them is noted */
    const char *const *selects; /* of `files` only what one of these means */
    const struct hf_known_roots *known;
    struct hf_self_signed *self_signed; /* as in hf_repo */
    const char *const *pins;
    const char *const *drops;             /* --drop */
    const struct hf_repo_bundles *listed; /* what --drop may name, too; NULL: nothing */
    const char *const *undrops;           /* --undrop, all digits of a key */
    struct hf_note_options notes;
};

/** A bundle as it will be published. */
struct hf_bundle_built {
    struct hf_description description;
    struct hf_bundle bundle;
    struct hf_buf pem;
    bool is_unchanged;           /* the version before has all of this; `version` is its number */
    size_t n_unknown_drops;      /* of the drops, the last ones: keys that no version before had */
    struct hf_findings findings; /* what was left out, and what lint says of it */
};

/**
 * Read, check (parse, CA, key policy, in date at `now_s`, no duplicates, self-signatures, known or
 * pinned) and describe the certificates of `order`. `before` is the newest listed bundle of that
 * set and profile, NULL for none. May ask on the terminal about roots that are dropped. I/O: reads
 * files. HF_E_POLICY when anything is wrong with a file or certificate: all of it is on standard
 * error.
 */
HF_MUST_USE enum hf_err hf_bundle_build(const struct hf_bundle_order *order,
                                        const struct hf_repo_bundle *before, int64_t now_s,
                                        struct hf_bundle_built *out, struct hf_why *why);
void hf_bundle_built_free(struct hf_bundle_built *built);

/* The profiles that are a part of another: rsa and ecc, for devices that validate only one kind. */

#define HF_DERIVED_MAX 2

struct hf_derivation {
    const char *profile;
    enum hf_key_kind kind;
};

/** `texts` as typed, "rsa" or "rsa,ecc"; NULL-terminated or NULL. `out` holds HF_DERIVED_MAX.
 *  HF_E_ARGUMENT for another word, one twice, or a profile of itself. */
HF_MUST_USE enum hf_err hf_derivations_parse(const char *const *texts, const char *profile,
                                             struct hf_derivation *out, size_t *n_out,
                                             struct hf_why *why);

/**
 * The next version of a derived profile, from the new `full`, which `full_order` asked for, with
 * its dates. What `full` drops may go from it unasked; whatever else it had and would lose is asked
 * about. `before`: its newest version, NULL for none.
 */
HF_MUST_USE enum hf_err hf_bundle_derive(const struct hf_bundle_built *full,
                                         const struct hf_derivation *derivation,
                                         const struct hf_bundle_order *full_order,
                                         const struct hf_repo_bundle *before, int64_t now_s,
                                         struct hf_bundle_built *out, struct hf_why *why);

/* Steps of hf_bundle_build in files of their own. */

/**
 * bundle_notes.c: fill in `d->notes`, what is signed about the certificates of `bundle`: which are
 * no plain anchors, and the dates their publisher sets.
 *
 * A CA that is not self-issued is "cross-signed" if a self-issued certificate of the same key is in
 * the bundle too: then it is a known root's key under another issuer. Any other is an intermediate
 * and needs --allow-intermediate, but for one that `from` has as such: without it, and for what is
 * no CA, `problems` says so.
 *
 * A date that `noted` (the bundle to copy, or the version before, or NULL) has for a certificate
 * stays in force unless this command gives another one or "none": a signed restriction must not
 * vanish because it was not typed again, or because another certificate of the same key was added.
 * That one is distrusted from the same day, and removed on the day of the certificate that it
 * replaces.
 *
 * A date of distrust that a table has is signed where the options ask for it; and where a whole
 * table chose the root and the date has passed: a list of roots comes with its limits.
 *
 * HF_E_ARGUMENT for a date that is none, or a fingerprint that fits no certificate or several. No
 * I/O.
 */
HF_MUST_USE enum hf_err hf_bundle_notes_make(const struct hf_bundle_order *order,
                                             const struct hf_bundle *bundle,
                                             const struct hf_bundle *noted, int64_t now_s,
                                             struct hf_description *d, struct hf_findings *problems,
                                             struct hf_why *why);

/**
 * bundle_drops.c: fill in the drops of `built`, a bundle with a description, that follows `before`
 * (NULL: none). A device swaps to a bundle without an anchor that it needs only if the publisher
 * signed that intent, so no key is dropped without agreement.
 *
 * The drops are the keys of the version before that this one lacks, and the drops of that version,
 * but for keys that this one has again: a device that missed a version must still learn what was
 * dropped. Each key that is dropped now needs agreement: by --drop ("all"; 16 digits or more of the
 * SHA-256 of the certificate or of its key; a file with the certificate), or, without --drop and
 * with a terminal, by the operator. A certificate that some listed version holds stands for its
 * key, so that the same command again changes nothing. A file, or all 64 digits of a key, may also
 * name a key that neither version has: one that an attacker installed on devices. These come last,
 * and each is noted in the findings.
 *
 * A key that --undrop names is removed from the drops: a device that still holds such a root trusts
 * it again.
 *
 * HF_E_POLICY with a list on standard error when not all is agreed to; HF_E_ARGUMENT when --drop
 * names what stays, or --undrop what the version before did not drop; HF_E_LIMIT for more keys than
 * a device keeps. I/O: reads those files.
 */
HF_MUST_USE enum hf_err hf_bundle_drops_make(const struct hf_bundle_order *order,
                                             const struct hf_repo_bundle *before,
                                             struct hf_bundle_built *built, struct hf_why *why);

#endif
