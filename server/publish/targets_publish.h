/*
 * Targets metadata whose keys lie on several machines: written as a draft instead of being signed,
 * and published when it comes back.
 */
#ifndef HF_PUBLISH_TARGETS_PUBLISH_H
#define HF_PUBLISH_TARGETS_PUBLISH_H

#include "server/publish/draft.h"
#include "server/publish/publication.h"

/** Whose record to begin with: the offline half of KEYS if it is there, else the online one. */
enum hf_key_half hf_targets_half_at_hand(const char *keys_dir);

/**
 * Write `targets` (its signed part, composed) with the target files that are staged to a new file
 * `path`, to be signed as the published root asks. `before` is what it was composed from, published
 * or waiting. Nothing in the repository changes. HF_E_STATE when the name is taken.
 */
HF_MUST_USE enum hf_err hf_targets_draft(const struct hf_publication *p,
                                         const struct hf_targets *before, const json_t *targets,
                                         const char *path, struct hf_why *why);

/**
 * Publish a signed draft: with the online keys at hand at once, else it waits for `publish`.
 * `versions` are of what was signed or published with it; without a timestamp it waits. HF_E_SIGNATURE with who is still to sign; HF_E_ROLLBACK for a draft
 * that does not follow the newest root and targets.
 */
HF_MUST_USE enum hf_err hf_targets_publish(const struct hf_publication_place *at,
                                           const struct hf_draft *draft,
                                           int64_t versions[HF_TOP_ROLES], struct hf_why *why);

#endif
