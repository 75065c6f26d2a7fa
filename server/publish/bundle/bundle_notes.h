/*
 * What has to be said, signed, about the certificates of a new bundle: which are no plain anchors,
 * and the dates their publisher sets. No I/O but messages on standard error.
 */
#ifndef HF_PUBLISH_BUNDLE_NOTES_H
#define HF_PUBLISH_BUNDLE_NOTES_H

#include "common/bundle/bundle.h"
#include "server/repository/base/findings.h"
#include "server/repository/certs/known_roots.h"

struct hf_note_options {
    bool allows_intermediate;   /* --allow-intermediate */
    bool carries_intermediates; /* one that the version before had as such needs no word again */
    const char *const
        *distrust_after; /* FINGERPRINT=DATE or FINGERPRINT=none; NULL-terminated or NULL */
    const char *const *remove_after;
    bool
        signs_planned; /* --planned-dates: every date of distrust that a table of known roots has */
};

/** Where dates of distrust come from that were not typed. Borrowed. */
struct hf_note_tables {
    const struct hf_known_roots *known; /* NULL: none */
    const char *const *selects;         /* how the certificates were chosen (select.h) */
    int64_t now_s;
};

/**
 * Fill in `d->notes` for the certificates of `bundle`.
 *
 * A CA that is not self-issued is "cross-signed" if a self-issued certificate of the same key is in
 * the bundle too: then it is a known root's key under another issuer. Any other is an intermediate
 * and needs --allow-intermediate: without it, and for what is no CA, `problems` says so.
 *
 * A date that `before` (the version before, or NULL) has for a certificate stays in force unless
 * this command gives another one or "none": a restriction once signed must not vanish because it was
 * not typed again. Nor because another certificate of the same key is added:
 * it is distrusted from the same day; and removed with the one it comes in place of.
 *
 * A date of distrust that a table has is signed where the options ask for it; and where a whole table
 * chose the root and the date has passed: a list of roots comes with its limits.
 *
 * HF_E_ARGUMENT for a date that is none, or a fingerprint that fits no certificate or several.
 */
HF_MUST_USE enum hf_err
hf_bundle_notes_make(const struct hf_bundle *bundle, const struct hf_bundle *before,
                     const struct hf_note_options *options, const struct hf_note_tables *tables,
                     struct hf_description *d, struct hf_findings *problems, struct hf_why *why);

#endif
