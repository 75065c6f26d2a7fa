/* A release in words or as data on standard output, and what is signed about a bundle. */
#ifndef HF_PUBLISH_BUNDLE_REPORT_H
#define HF_PUBLISH_BUNDLE_REPORT_H

#include "server/publish/bundle/bundle_release.h"
#include "server/publish/bundle/shelf.h"

/** What became of an order. Borrowed. */
struct hf_released {
    const struct hf_release_order *order;
    const struct hf_publication *p;
    const struct hf_shelf *shelf; /* as it was before */
    const struct hf_bundle_built *built;
    size_t n_built;
    json_t *unlisted;        /* array */
    int64_t targets_version; /* 0: there was nothing to publish, and the targets stay */
    bool is_published;       /* neither published nor, with order->draft_file, signed */
};

/** Prints it as order->is_json asks. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_released_report(const struct hf_released *released, struct hf_why *why);

/** The `custom` value to sign at `now_s`: the description, and the errors of lint that were accepted,
 *  which devices ignore. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_bundle_custom(const struct hf_bundle_built *built, int64_t now_s,
                                         json_t **out, struct hf_why *why);

#endif
