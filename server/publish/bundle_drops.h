/*
 * The anchors that a new bundle takes out on purpose. A device swaps to a bundle without an anchor
 * that it needs only if the publisher signed that intent, so nothing gets in here unasked.
 */
#ifndef HF_PUBLISH_BUNDLE_DROPS_H
#define HF_PUBLISH_BUNDLE_DROPS_H

#include "common/bundle/bundle.h"

/**
 * Fill in `d->drops` for a `bundle` that follows `before` with its `before_description`.
 *
 * Dropped are the keys of the version before that this one lacks, and whatever that one dropped
 * and this one does not bring back: a device that slept through a version must still learn what
 * went. Each key that goes now must be agreed to: by `agreed` ("all", or SHA-256 of the certificate
 * or of its key; NULL-terminated or NULL), or, with nothing agreed to and a terminal, by a person.
 *
 * HF_E_POLICY with a list on standard error when it is not; HF_E_ARGUMENT when `agreed` names what
 * is not about to go.
 */
HF_MUST_USE enum hf_err hf_bundle_drops_make(const struct hf_bundle *bundle,
                                             const struct hf_bundle *before,
                                             const struct hf_description *before_description,
                                             const char *const *agreed, struct hf_description *d,
                                             struct hf_why *why);

#endif
