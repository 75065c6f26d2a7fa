/*
 * Which bundles the served repository publishes: what the fleet is compared with. Made once for each edition of the
 * repository, immutable from then on, and shared by threads. No I/O.
 */
#ifndef HF_FLEET_PUBLISHED_H
#define HF_FLEET_PUBLISHED_H

#include "common/bundle/description.h"

#include <stdatomic.h>

struct hf_published_bundle {
    struct hf_description description; /* set, profile, version, dates */
    char sha256[HF_SHA256_HEX_LEN];
    bool is_newest; /* of its set and profile */
};

struct hf_published {
    atomic_uint references;
    size_t n;
    struct hf_published_bundle bundles[]; /* by set, profile, and version: the newest first */
};

/** With room for `room` bundles and one reference; NULL without memory. */
struct hf_published *hf_published_new(size_t room);
/** Sort, and mark the newest ones: after the last one was added. */
void hf_published_sort(struct hf_published *published);
struct hf_published *hf_published_ref(struct hf_published *published);
/** The last one frees, with what the bundles own. NULL is fine. From any thread. */
void hf_published_unref(struct hf_published *published);

/** The newest version of that set and profile: 0 if there is none, -1 for `published` NULL. */
int64_t hf_published_newest(const struct hf_published *published, const char *set,
                            const char *profile);

#endif
