/*
 * A publisher signs no root that nobody has looked at: each is in a table of known roots, or in what
 * this publisher has signed before, or its fingerprint was typed in from its owner's page. No I/O.
 */
#ifndef HF_PUBLISH_BUNDLE_KNOWN_H
#define HF_PUBLISH_BUNDLE_KNOWN_H

#include "common/bundle/bundle.h"
#include "server/publish/certs/known_roots.h"

/** All is borrowed; any may be NULL. */
struct hf_bundle_vouching {
    const struct hf_known_roots *known;
    const struct hf_bundle *before; /* the version before, signed */
    const struct hf_bundle *from;   /* the bundle that this one was made from, signed */
    const char *const *pins;        /* SHA-256 of certificates or keys; NULL-terminated */
};

/** HF_E_POLICY with the fingerprint of what nothing vouches for; HF_E_ARGUMENT for a pin that is no
 *  fingerprint, or that of nothing in the bundle. */
HF_MUST_USE enum hf_err hf_bundle_check_known(const struct hf_bundle *bundle,
                                              const struct hf_bundle_vouching *by,
                                              struct hf_why *why);

#endif
