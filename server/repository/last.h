/*
 * FOLDER/last.json: what the keys of this half signed last. A repository that has less, or other
 * bytes under the same number, is an old copy or was changed; to build on it would lose what was
 * signed since (drops, distrust) and show devices two files of one version.
 *
 * Two records, because a power cut may come between this file and the repository's:
 *
 *     begun   written before timestamp.json is renamed: its numbers are not given out again
 *     done    written after: the repository must not fall below it
 *
 * Neither is a secret. Without the file nothing is known, and nothing refused.
 */
#ifndef HF_REPOSITORY_LAST_H
#define HF_REPOSITORY_LAST_H

#include "common/base/digest.h"
#include "common/tuf/trusted_set.h"
#include "server/repository/keys/key_set.h"
#include "server/repository/repo_read.h"

struct hf_last_file {
    int64_t version; /* 0: none */
    char sha256[HF_SHA256_HEX_LEN];
};

/** By role; that of root stays empty, root.json says it (pin.h). */
struct hf_last_files {
    struct hf_last_file of[HF_TOP_ROLES];
};

struct hf_last {
    int64_t signed_at_s; /* by this machine's clock; HF_TIME_NONE: never */
    struct hf_last_files done;
    struct hf_last_files begun;
};

struct hf_last_file hf_last_file_make(int64_t version, struct hf_bytes file);

/** Read FOLDER/last.json. Without it `out` is empty. HF_E_FORMAT, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_last_read(const struct hf_key_folder *folder, struct hf_last *out,
                                     struct hf_why *why);
HF_MUST_USE enum hf_err hf_last_write(const struct hf_key_folder *folder,
                                      const struct hf_last *last, struct hf_why *why);

/** The files that `set`, verified from `repo`, stands on. */
HF_MUST_USE enum hf_err hf_last_observe(const struct hf_repo *repo,
                                        const struct hf_trusted_set *set, struct hf_last_files *out,
                                        struct hf_why *why);

/**
 * Is what is `published` (observed) at least what was done? HF_E_ROLLBACK in words. Targets that
 * wait to be published count: they are a file of that number in `repo`.
 */
HF_MUST_USE enum hf_err hf_last_check(const struct hf_last *last, const struct hf_repo *repo,
                                      const struct hf_last_files *published, struct hf_why *why);

/** The highest number of that role that was ever begun or done. */
int64_t hf_last_version(const struct hf_last *last, enum hf_top_role role);

#endif
