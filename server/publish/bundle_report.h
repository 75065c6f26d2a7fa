/* A new version in words on standard output, and as what is signed about it. */
#ifndef HF_PUBLISH_BUNDLE_REPORT_H
#define HF_PUBLISH_BUNDLE_REPORT_H

#include "server/publish/bundle_build.h"
#include "server/publish/publication.h"

void hf_bundle_report(const struct hf_bundle_built *built, int64_t targets_version,
                      bool is_published, const struct hf_publication_place *place);

/** The `custom` value to sign: the description, and the errors of lint that were accepted, which
 *  devices ignore. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_bundle_custom(const struct hf_bundle_built *built, json_t **out,
                                         struct hf_why *why);

#endif
