/*
 * What a bundle's publisher says about it, signed, in the target's `custom.holdfast`
 * (schema/custom.holdfast.schema.json): set, profile, version, what each unusual certificate is,
 * what was dropped on purpose, and dates.
 *
 * Unknown members are ignored, so that later Holdfasts can say more; known ones are strict.
 */
#ifndef HF_COMMON_BUNDLE_DESCRIPTION_H
#define HF_COMMON_BUNDLE_DESCRIPTION_H

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/rollout/plan.h"

#include <jansson.h>

enum hf_use {
    HF_USE_ANCHOR = 0,   /* a self-issued root; needs no word */
    HF_USE_CROSS_SIGNED, /* a root's key under another issuer, trusted as an anchor */
    HF_USE_INTERMEDIATE, /* an intermediate that its publisher insists on */
};

/** About one certificate; only those with something to say are listed. */
struct hf_anchor_note {
    uint8_t sha256[HF_SHA256_LEN];
    enum hf_use use;
    int64_t distrust_after_s; /* leaves issued after this are not accepted; HF_TIME_NONE */
    int64_t remove_after_s;   /* the anchor is no longer used after this; HF_TIME_NONE */
};

struct hf_description {
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];
    int64_t version;              /* >= 1; 0 is the factory's */
    struct hf_anchor_note *notes; /* owned */
    size_t n_notes;
    uint8_t (*drops)[HF_SHA256_LEN]; /* owned: SPKI hashes of anchors taken out on purpose */
    size_t n_drops;
    struct hf_rollout_plan *plan; /* owned; NULL: every device may take it at once */
};

/** From a target's `custom`. HF_E_NOT_FOUND without `holdfast` in it. */
HF_MUST_USE enum hf_err hf_description_parse(const json_t *custom, struct hf_description *out,
                                             struct hf_why *why);

/** The `custom` value to sign. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_description_to_json(const struct hf_description *d, json_t **out,
                                               struct hf_why *why);
void hf_description_free(struct hf_description *d);

/** NULL where nothing is said about that certificate. */
const struct hf_anchor_note *hf_description_note(const struct hf_description *d,
                                                 const uint8_t sha256[HF_SHA256_LEN]);

/** Does it list this key among its drops? */
bool hf_description_drops(const struct hf_description *d, const uint8_t spki_sha256[HF_SHA256_LEN]);

/** "anchor", "cross-signed" or "intermediate". */
const char *hf_use_name(enum hf_use use);

/** SET/PROFILE/VERSION.pem, appended. */
HF_MUST_USE enum hf_err hf_description_target_path(const struct hf_description *d,
                                                   struct hf_buf *out, struct hf_why *why);

#endif
