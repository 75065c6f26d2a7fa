/*
 * The anchors that a new bundle takes out on purpose. A device swaps to a bundle without an anchor
 * that it needs only if the publisher signed that intent, so nothing gets in here unasked.
 */
#ifndef HF_PUBLISH_BUNDLE_DROPS_H
#define HF_PUBLISH_BUNDLE_DROPS_H

#include "common/bundle/bundle.h"
#include "server/repository/base/findings.h"

/** Borrowed. */
struct hf_bundle_change {
    const struct hf_bundle *bundle;
    const struct hf_bundle *before;
    const struct hf_description *before_description;
    const char *const *agreed;  /* --drop; NULL-terminated or NULL */
    const char *const *undrops; /* --undrop, all digits of a key; NULL-terminated or NULL */
};

/**
 * Fill in `d->drops` for a bundle that follows another; one that follows none is empty.
 *
 * Dropped are the keys of the version before that this one lacks, and whatever that one dropped
 * and this one does not bring back: a device that slept through a version must still learn what
 * went. Each key that goes now must be agreed to: by `agreed` ("all"; 16 digits or more of the SHA-256
 * of the certificate or of its key; a file with the certificate), or, with nothing agreed to and a
 * terminal, by a person. A file, or all 64 digits of a key, may also name a key that neither version
 * has: one that another party installed on devices. These come last, `n_strangers` of them, and each is
 * noted in `findings`.
 *
 * What `undrops` names is no longer carried on: a device that still holds such a root trusts it again.
 *
 * HF_E_POLICY with a list on standard error when not all is agreed to; HF_E_ARGUMENT when `agreed`
 * names what stays, or `undrops` what the version before did not drop; HF_E_LIMIT for more keys than a
 * device keeps. I/O: reads those files.
 */
HF_MUST_USE enum hf_err hf_bundle_drops_make(const struct hf_bundle_change *change,
                                             struct hf_description *d, size_t *n_strangers,
                                             struct hf_findings *findings, struct hf_why *why);

#endif
