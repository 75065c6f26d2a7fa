/*
 * A set of trust anchors: immutable once made, so any number of threads may read it.
 *
 * Anchors stay DER. An index sorted by a hash of the subject finds those that a chain asks for, and
 * only they are read. All anchors of that subject are found, so cross-signed certificates work.
 */
#ifndef HF_COMMON_CHAIN_ANCHORS_H
#define HF_COMMON_CHAIN_ANCHORS_H

#include <holdfast/anchor.h>

#include "common/bundle/bundle.h"

struct hf_anchors;

/** An anchor of a bundle, with the dates that were signed for it. */
struct hf_trust_anchor hf_trust_anchor_of(const struct hf_anchor *anchor);

/**
 * Copy and index `list`. Every one is parsed once here, so that a damaged one is refused now and
 * not in the middle of a handshake. HF_E_ARGUMENT for one without dates; as hf_cert_parse:
 * HF_E_FORMAT, HF_E_POLICY, HF_E_LIMIT, HF_E_MEMORY.
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

/** May a chain end in `anchor` at `now_s`, whose server certificate was issued at
 *  `leaf_not_before_s`? */
HF_MUST_USE bool hf_anchor_is_usable(const struct hf_trust_anchor *anchor, int64_t now_s,
                                     int64_t leaf_not_before_s);

/** The next anchor whose subject has this hf_name_hash: hf_name_equal decides. In the order in
 *  which they were given; `*at` is 0 at first. NULL: there is none. */
HF_MUST_USE const struct hf_trust_anchor *hf_anchors_next(const struct hf_anchors *anchors,
                                                          uint64_t subject_hash, size_t *at);

#endif
