/*
 * FOLDER/last.json: what the keys in this folder signed last. A repository that has less, or other
 * bytes under the same number, is an old copy or was changed; to build on it would lose what was
 * signed since (drops, distrust) and show devices two files of one version.
 *
 * Two records, because a power cut may come between this file and the repository's:
 *
 *     prepared   ("begun")  written before timestamp.json is renamed: its numbers are not used again
 *     committed  ("done")   written after: the repository must not fall below it
 *
 * Neither is a secret. Without the file nothing is known, and nothing refused.
 */
#ifndef HF_REPOSITORY_ROLLBACK_RECORD_H
#define HF_REPOSITORY_ROLLBACK_RECORD_H

#include "common/base/digest.h"
#include "common/tuf/trusted_set.h"
#include "server/repository/keys/key_set.h"
#include "server/repository/repo_read.h"

struct hf_signed_file {
    int64_t version; /* 0: none */
    char sha256[HF_SHA256_HEX_LEN];
};

/** By role; that of root stays empty, root.json says it (trusted_root.h). */
struct hf_signed_files {
    struct hf_signed_file of[HF_TOP_ROLES];
};

struct hf_rollback_record {
    int64_t signed_at_s; /* by this machine's clock; HF_TIME_NONE: never */
    struct hf_signed_files committed;
    struct hf_signed_files prepared;
};

struct hf_signed_file hf_signed_file_make(int64_t version, struct hf_bytes file);

/** Read FOLDER/last.json. Without it `out` is empty. HF_E_FORMAT, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_rollback_record_read(const struct hf_key_folder *folder,
                                                struct hf_rollback_record *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_rollback_record_write(const struct hf_key_folder *folder,
                                                 const struct hf_rollback_record *record,
                                                 struct hf_why *why);

/** The files that `set`, verified from `repo`, stands on. */
HF_MUST_USE enum hf_err hf_rollback_record_observe(const struct hf_repo *repo,
                                                   const struct hf_trusted_set *set,
                                                   struct hf_signed_files *out, struct hf_why *why);

/**
 * Is what is `published` (observed) at least what was committed? HF_E_ROLLBACK in words. Targets that
 * wait to be published count: they are a file of that number in `repo`.
 */
HF_MUST_USE enum hf_err hf_rollback_record_check(const struct hf_rollback_record *record,
                                                 const struct hf_repo *repo,
                                                 const struct hf_signed_files *published,
                                                 struct hf_why *why);

/** The highest number of that role that was ever prepared or committed. */
int64_t hf_rollback_record_version(const struct hf_rollback_record *record, enum hf_top_role role);

#endif
