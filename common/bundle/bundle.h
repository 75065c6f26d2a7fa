/*
 * A bundle: the certificates of one PEM file together with what its signed description says about
 * each. The value that everything after verification works with.
 */
#ifndef HF_COMMON_BUNDLE_BUNDLE_H
#define HF_COMMON_BUNDLE_BUNDLE_H

#include "common/bundle/cert.h"
#include "common/bundle/description.h"

struct hf_anchor {
    struct hf_bytes der; /* points into the bundle's own memory */
    struct hf_cert cert;
    enum hf_use use;
    int64_t distrust_after_s; /* HF_TIME_NONE */
    int64_t remove_after_s;   /* HF_TIME_NONE */
};

struct hf_bundle {
    struct hf_anchor *anchors; /* in the file's order */
    size_t n_anchors;          /* at least one */
    struct hf_buf der;         /* what the anchors point into */
    /* Certificates of the file that are not supported here, and are no anchors therefore: a device
     * must survive a root that is newer than its software. */
    struct hf_unsupported_cert *skipped;
    size_t n_skipped;
};

/**
 * Parse `pem` and join it with `description` (NULL: every certificate is a plain anchor without
 * dates). With a description, duplicates are refused, and so are notes about certificates that are
 * not in the file; without one, a certificate that comes twice counts once.
 * Checks form only; hf_policy_check_bundle says whether it may be trusted.
 * HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND (hf_pem_walk), HF_E_MEMORY; HF_E_POLICY if no certificate
 * of it is supported.
 */
HF_MUST_USE enum hf_err hf_bundle_parse(struct hf_bytes pem,
                                        const struct hf_description *description,
                                        struct hf_bundle *out, struct hf_why *why);
void hf_bundle_free(struct hf_bundle *bundle);

/** The certificates that were skipped, for one sentence: `skipped, because …: "CN=…" (…), …`.
 *  Empty if there are none. */
void hf_bundle_skipped_text(const struct hf_bundle *bundle, char out[HF_WHY_MAX]);

/** By the certificate's SHA-256, or by its key; NULL where there is none. */
const struct hf_anchor *hf_bundle_find(const struct hf_bundle *b,
                                       const uint8_t sha256[HF_SHA256_LEN]);
const struct hf_anchor *hf_bundle_find_key(const struct hf_bundle *b,
                                           const uint8_t spki_sha256[HF_SHA256_LEN]);

/** PEM with a comment line of the subject above each block, for people and for other programs. */
HF_MUST_USE enum hf_err hf_bundle_to_pem(const struct hf_bundle *b, struct hf_buf *out);

#endif
