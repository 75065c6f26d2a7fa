/*
 * A repository for any web server or bucket: only what the published timestamp leads to, and every
 * root version. A server that hands out OUT is right at every instant: what nothing points to yet
 * is written first, timestamp.json by the last rename (unless the new roots can wait for it), and
 * nothing is removed before. OUT may be an earlier mirror of the same repository; whatever else
 * lies in it stays.
 */
#ifndef HF_REPOSITORY_MIRROR_H
#define HF_REPOSITORY_MIRROR_H

#include "common/tuf/metadata.h"

struct hf_mirror {
    const char *repo_dir; /* borrowed; only read, needs no lock */
    const char *out_dir;  /* borrowed; made when it is missing, its parent is not */
    struct hf_bytes root; /* borrowed; where trust begins. None: at the repository's first root */
    int64_t now_s;
    int64_t keep_versions;          /* of replaced snapshot and targets metadata, and their files */
    int64_t keep_days;              /* the same, by the day they were replaced in OUT */
    int64_t keep_s;                 /* set here: that, or as long as timestamps last */
    int64_t versions[HF_TOP_ROLES]; /* set: what OUT holds now */
    json_t *written;                /* set: paths below OUT; owned */
    json_t *removed;                /* set: as above */
};

/**
 * Bring OUT up to date. On failure before the first visible rename OUT is what it was.
 *
 * HF_E_ARGUMENT when both are one folder; HF_E_ROLLBACK when OUT is newer; HF_E_STATE when OUT has
 * other bytes under the name of a root, or HF_E_BUSY another writer; HF_E_STORAGE for links and the
 * like in the way; HF_E_POLICY for what holdfastctl never makes; else what hf_repo_verify says.
 */
HF_MUST_USE enum hf_err hf_mirror_run(struct hf_mirror *mirror, struct hf_why *why);
void hf_mirror_free(struct hf_mirror *mirror);

#endif
