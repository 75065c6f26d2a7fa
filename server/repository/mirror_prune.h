/*
 * What an earlier run of the mirror left in OUT and no device needs any more. The files in OUT
 * decide: only what old metadata describes, byte by byte, is removed. Roots and unknown files stay.
 */
#ifndef HF_REPOSITORY_MIRROR_PRUNE_H
#define HF_REPOSITORY_MIRROR_PRUNE_H

#include "common/tuf/trusted_set.h"

/** What stays in OUT (mirror.h), and what was removed. */
struct hf_mirror_prune {
    const char *out_dir; /* borrowed */
    int64_t now_s;
    int64_t keep_versions;
    int64_t keep_s;
    json_t *removed; /* borrowed: an array to which the paths are appended */
};

/** Remove replaced snapshots and targets, and the bundles that only they list. OUT holds `now`.
 *  HF_E_STORAGE, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_mirror_prune(const struct hf_mirror_prune *prune,
                                        const struct hf_trusted_set *now, struct hf_why *why);

#endif
