/* Targets metadata whose keys lie on several machines: a draft (targets_release.h) that came back. */
#ifndef HF_PUBLISH_TARGETS_PUBLISH_H
#define HF_PUBLISH_TARGETS_PUBLISH_H

#include "server/publish/ceremony/draft.h"
#include "server/repository/publication.h"

/** Whose record to begin with: the offline half of KEYS if it is there, else the online one. */
enum hf_key_location hf_targets_location_at_hand(const char *keys_dir);

/**
 * Stage a signed draft with the files that come with it, and append its metadata file to `file`. It
 * must be signed under the published root, or under the one about to be (hf_publication_sign_under).
 * Where its file lies there, because its publication was cut off, that one is used: no device must
 * see two files of one version. HF_E_SIGNATURE with who is still to sign; HF_E_ROLLBACK for a draft that
 * does not follow that root and the newest targets.
 */
HF_MUST_USE enum hf_err hf_targets_stage(struct hf_publication *p, const struct hf_draft *draft,
                                         struct hf_buf *file, struct hf_why *why);

/**
 * `versions` are of what was signed or published with it; without a timestamp it waits. Refused as by
 * hf_targets_stage.
 */
HF_MUST_USE enum hf_err hf_targets_publish(const struct hf_publication_context *at,
                                           const struct hf_draft *draft,
                                           int64_t versions[HF_TOP_ROLES], struct hf_why *why);

#endif
