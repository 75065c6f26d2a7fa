/*
 * What may leave a mirror: snapshot and targets metadata that newer ones replaced, and the targets
 * that no metadata left in it lists. Roots stay for good: a device walks them one by one. What was
 * replaced lately stays for devices, and caches, that still have the timestamp before.
 */
#ifndef HF_REPOSITORY_MIRROR_COLLECT_H
#define HF_REPOSITORY_MIRROR_COLLECT_H

#include "common/tuf/trusted_set.h"
#include "server/repository/mirror.h"

/**
 * Remove from OUT what neither `keep_versions` nor `keep_days` keeps; notes each path in `removed`.
 * `now` is what OUT holds. Only what an older metadata file in OUT describes to the last bit is
 * removed; every other file, whatever its name, and every link and folder stays.
 */
HF_MUST_USE enum hf_err hf_mirror_collect(struct hf_mirror *mirror,
                                          const struct hf_trusted_set *now, struct hf_why *why);

#endif
