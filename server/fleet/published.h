/*
 * Which bundles the served repository publishes, and which anchors are in them: what the fleet is
 * compared with. Made once for each edition of the repository, immutable from then on, and shared
 * by threads. No I/O.
 */
#ifndef HF_FLEET_PUBLISHED_H
#define HF_FLEET_PUBLISHED_H

#include "common/bundle/anchor_end.h"
#include "common/bundle/bundle.h"
#include "common/rollout/rollout.h"

#include <stdatomic.h>

struct hf_published_anchor {
    uint8_t sha256[HF_SHA256_LEN]; /* of the certificate */
    uint8_t spki_sha256[HF_SHA256_LEN];
    char subject[HF_DN_TEXT_MAX];
    int64_t not_after_s;
    int64_t distrust_after_s, remove_after_s; /* signed; HF_TIME_NONE */
    struct hf_anchor_end end; /* the first of these, in the newest version with the certificate */
};

/* Of a bundle with a plan: what the role rollout-SET, as it is served, says of it. */
struct hf_published_rollout {
    bool is_delegated;    /* there is such a role, so a stage can be signed */
    int64_t role_version; /* 0: none was signed yet, for no bundle of the set */
    int64_t role_expires_s;
    bool is_signed; /* `now` says something */
    struct hf_rollout_activation now;
};

struct hf_published_bundle {
    struct hf_description description; /* set, profile, version, dates, plan */
    struct hf_published_rollout rollout;
    char sha256[HF_SHA256_HEX_LEN];
    bool is_newest;                      /* of its set and profile */
    struct hf_published_anchor *anchors; /* owned */
    size_t n_anchors;                    /* 0: it cannot be read here */
};

struct hf_published {
    atomic_uint references;
    size_t n;
    struct hf_published_bundle bundles[]; /* by set, profile, and version: the newest first */
};

/** With room for `room` bundles and one reference; NULL without memory. */
struct hf_published *hf_published_new(size_t room);
/** The anchors of a bundle whose other members are there. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_published_set_anchors(struct hf_published_bundle *bundle,
                                                 const struct hf_bundle *from);
/** Sort, mark the newest ones, and give an anchor the same end in all versions: after the last one
 *  was added. */
void hf_published_sort(struct hf_published *published);
struct hf_published *hf_published_ref(struct hf_published *published);
/** The last one frees, with what the bundles own. NULL is fine. From any thread. */
void hf_published_unref(struct hf_published *published);

/** The newest bundle of that set and profile; NULL if there is none, and for `published` NULL.
 *  Older ones follow it. */
const struct hf_published_bundle *hf_published_find(const struct hf_published *published,
                                                    const char *set, const char *profile);
/** One version; NULL as above. */
const struct hf_published_bundle *hf_published_find_version(const struct hf_published *published,
                                                            const char *set, const char *profile,
                                                            int64_t version);
bool hf_published_is_same_kind(const struct hf_published_bundle *a,
                               const struct hf_published_bundle *b);

/** Has the bundle a successor of this anchor: one with another key that ends later? */
bool hf_published_has_successor(const struct hf_published_bundle *bundle,
                                const struct hf_published_anchor *anchor);

/** The newest version of that set and profile: 0 if there is none, -1 for `published` NULL. */
int64_t hf_published_newest(const struct hf_published *published, const char *set,
                            const char *profile);

#endif
