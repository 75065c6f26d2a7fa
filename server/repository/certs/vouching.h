/*
 * A publisher signs no root that nobody has looked at: each is in a table of known roots, or in what
 * this publisher has signed before, or its fingerprint was typed in from its owner's page. No I/O.
 */
#ifndef HF_REPOSITORY_VOUCHING_H
#define HF_REPOSITORY_VOUCHING_H

#include "common/bundle/bundle.h"
#include "server/repository/base/findings.h"
#include "server/repository/certs/known_roots.h"

/** All is borrowed; any may be NULL. */
struct hf_vouching {
    const struct hf_known_roots *known;
    const struct hf_bundle *before; /* the version before, signed */
    const struct hf_bundle *from;   /* the bundle that this one was made from, signed */
    const char *const *pins;        /* SHA-256 of certificates or keys; NULL-terminated */
};

/** HF_E_ARGUMENT for a pin that is no fingerprint, or that of nothing in `bundle` (NULL: not judged). */
HF_MUST_USE enum hf_err hf_vouching_check_pins(const struct hf_vouching *by,
                                               const struct hf_bundle *bundle, struct hf_why *why);

/** Add HF_LINT_UNKNOWN_ROOT, with the fingerprint to compare, if nothing vouches for `cert`. The pins
 *  must be fingerprints. */
HF_MUST_USE enum hf_err hf_vouching_check(const struct hf_vouching *by, const struct hf_cert *cert,
                                          const char *where, struct hf_findings *out,
                                          struct hf_why *why);

#endif
