/*
 * A set of trust anchors: immutable once made, so any number of threads may read it.
 *
 * Anchors stay DER. An index sorted by a hash of the subject finds those that a chain asks for, and
 * only they are parsed. All anchors of that subject are offered, so cross-signed certificates work.
 */
#ifndef HF_COMMON_CHAIN_ANCHORS_H
#define HF_COMMON_CHAIN_ANCHORS_H

#include <holdfast/anchor.h>

#include "common/bundle/bundle.h"

#include <mbedtls/x509_crt.h>

struct hf_anchors;

/** An anchor of a bundle, with the dates that were signed for it. */
struct hf_trust_anchor hf_trust_anchor_of(const struct hf_anchor *anchor);

/**
 * Copy and index `list`. Every one is parsed once here, so that a damaged one is refused now and
 * not in the middle of a handshake. HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_anchors_new(const struct hf_trust_anchor *list, size_t n,
                                       struct hf_anchors **out, struct hf_why *why);
/** All anchors of `bundle`. As hf_anchors_new. */
HF_MUST_USE enum hf_err hf_anchors_of_bundle(const struct hf_bundle *bundle,
                                             struct hf_anchors **out, struct hf_why *why);
void hf_anchors_free(struct hf_anchors *anchors);

/** The last not_after or remove_after of an anchor that is over at `now_s`; INT64_MIN: none. */
int64_t hf_anchors_last_end(const struct hf_anchors *anchors, int64_t now_s);

/** Is any of them usable at `now_s`? */
bool hf_anchors_has_usable(const struct hf_anchors *anchors, int64_t now_s);

/** Does any of them have a distrust_after? */
bool hf_anchors_has_distrust(const struct hf_anchors *anchors);

/**
 * Append to `*list` (NULL: begins one) a parsed copy of every anchor whose subject is the issuer of
 * `child`, that is usable at `now_s`, and that accepts a leaf issued at `leaf_not_before_s`. In the
 * order in which they were given. The caller frees the list with mbedtls_x509_crt_free and
 * mbedtls_free. 0, or an Mbed TLS error with `*list` as far as it got.
 */
HF_MUST_USE int hf_anchors_collect(const struct hf_anchors *anchors, const mbedtls_x509_crt *child,
                                   int64_t now_s, int64_t leaf_not_before_s,
                                   mbedtls_x509_crt **list);

/** Append to the text `out` why each anchor with the name of `child`'s issuer did not help, as "the
 *  trust anchor of that name expired on 2025-10-19", joined by "; ". What does not fit is cut. */
void hf_anchors_explain(const struct hf_anchors *anchors, const mbedtls_x509_crt *child,
                        int64_t now_s, char *out, size_t cap);

#endif
