/* What targets_diff.c has no sentence for, in a draft of targets: lists as of hf_draft_rest. */
#ifndef HF_PUBLISH_TARGETS_REST_H
#define HF_PUBLISH_TARGETS_REST_H

#include "server/publish/ceremony/draft.h"

/** Of the metadata, but for its files. */
json_t *hf_targets_rest(const struct hf_draft *draft);

/** Of what is listed about one file; of a bundle, its description is explained already. */
json_t *hf_targets_rest_of_one(const struct hf_draft *draft, const struct hf_target *target,
                               bool is_bundle);

#endif
