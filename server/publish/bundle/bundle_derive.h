/* The profiles that are a part of another: rsa and ecc, for devices that validate only one kind. */
#ifndef HF_PUBLISH_BUNDLE_DERIVE_H
#define HF_PUBLISH_BUNDLE_DERIVE_H

#include "server/publish/bundle/bundle_build.h"

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
