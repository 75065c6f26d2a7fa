/* What is about to be signed, looked at as lint does: an error that nobody accepts stops it. */
#ifndef HF_PUBLISH_BUNDLE_LINT_H
#define HF_PUBLISH_BUNDLE_LINT_H

#include "server/publish/bundle/bundle_build.h"
#include "server/publish/lint/lint_endpoints.h"
#include "server/publish/bundle/shelf.h"

/** Borrowed; lists are NULL-terminated or NULL. */
struct hf_bundle_lint_order {
    const struct hf_known_roots *known;
    int64_t at_s;
    int64_t lead_s;
    const struct hf_lint_endpoints *endpoints;
    const char *device_file; /* NULL: none */
    const char *const *accepts;
};

/** Fills in the findings of each. HF_E_POLICY with the first error, all of them on standard error: also
 *  of what is unchanged, which may wait to be published, or be out and cut devices off.
 *  HF_E_ARGUMENT for a code to accept that is none. I/O: reads the description of the device. */
HF_MUST_USE enum hf_err hf_bundle_lint(const struct hf_bundle_lint_order *order,
                                       const struct hf_shelf *shelf, struct hf_bundle_built *built,
                                       size_t n_built, struct hf_why *why);

#endif
