/* From certificate files to a bundle that may be signed: the next version of its set and profile. */
#ifndef HF_PUBLISH_BUNDLE_BUILD_H
#define HF_PUBLISH_BUNDLE_BUILD_H

#include "server/publish/bundle/bundle_notes.h"
#include "server/repository/base/findings.h"
#include "server/repository/certs/cert_files.h"
#include "server/repository/repo_verify.h"

/* Which part of another bundle a profile takes over. */
enum hf_key_kind {
    HF_KEYS_OF_ANY_KIND = 0,
    HF_KEYS_OF_RSA, /* for devices that validate no ECDSA */
    HF_KEYS_OF_ECC, /* for devices that validate no RSA */
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
    const char *const *drops;   /* --drop */
    const char *const *undrops; /* --undrop */
    struct hf_note_options notes;
};

/** A bundle as it will be published. */
struct hf_bundle_built {
    struct hf_description description;
    struct hf_bundle bundle;
    struct hf_buf pem;
    bool is_unchanged;           /* the version before has all of this; `version` is its number */
    size_t n_strangers;          /* of the drops, the last ones: keys that no version before had */
    struct hf_findings findings; /* what was left out, and what lint says of it */
};

/**
 * Read, check (parse, CA, key policy, in date at `now_s`, no duplicates, self-signatures, known or
 * pinned) and describe the certificates of `order`. `before` is the newest listed bundle of that set and
 * profile, NULL for none. May ask on the terminal about roots that go. I/O: reads files.
 * HF_E_POLICY when anything is wrong with a file or certificate: all of it is on standard error.
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
 * The next version of a derived profile, from the new `full`, which `full_order` asked for, with its
 * dates. What `full` drops may go from it unasked; whatever else it had and would lose is asked about.
 * `before`: its newest version, NULL for none.
 */
HF_MUST_USE enum hf_err hf_bundle_derive(const struct hf_bundle_built *full,
                                         const struct hf_derivation *derivation,
                                         const struct hf_bundle_order *full_order,
                                         const struct hf_repo_bundle *before, int64_t now_s,
                                         struct hf_bundle_built *out, struct hf_why *why);

#endif
