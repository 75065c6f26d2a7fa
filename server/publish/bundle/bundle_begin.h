/*
 * May a bundle begin a new line, a set and profile of which nothing was published yet? A name that
 * was mistyped is signed and served like any other, and no device ever asks for it.
 */
#ifndef HF_PUBLISH_BUNDLE_BEGIN_H
#define HF_PUBLISH_BUNDLE_BEGIN_H

#include "server/repository/repo_verify.h"

/**
 * New without a word may be: the first set of a repository, and the profiles full, rsa, ecc and
 * legacy. Anything else HF_E_POLICY, with the name that was meant if one is near, unless `is_meant`
 * (--new); HF_E_ARGUMENT if that is said of what exists already. No I/O.
 */
HF_MUST_USE enum hf_err hf_bundle_check_begin(const struct hf_repo_bundles *bundles,
                                              const char *set, const char *profile, bool is_meant,
                                              struct hf_why *why);

#endif
