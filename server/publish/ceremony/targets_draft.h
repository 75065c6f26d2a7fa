/* Targets metadata whose keys lie on several machines: written as a draft instead of being signed. */
#ifndef HF_PUBLISH_TARGETS_DRAFT_H
#define HF_PUBLISH_TARGETS_DRAFT_H

#include "server/publish/ceremony/draft.h"
#include "server/repository/publication.h"

/**
 * Write `targets` (its signed part, composed) with the target files that are staged to a new file
 * `path`, to be signed as the published root asks; or as the root to come in `under` does, a draft of
 * root that as many have signed as must (HF_E_SIGNATURE in words), which follows the published one
 * (HF_E_ROLLBACK); NULL: none. `before` is what it was composed from, published or waiting. Nothing
 * in the repository changes. HF_E_STATE when the name is taken.
 */
HF_MUST_USE enum hf_err hf_targets_draft(const struct hf_publication *p,
                                         const struct hf_targets *before, const json_t *targets,
                                         const struct hf_draft *under, const char *path,
                                         struct hf_why *why);

#endif
