/*
 * What the keys in a folder know of the repository that they sign. Neither file is secret, but a
 * user who can write them decides what the keys sign.
 *
 * FOLDER/root.json, the trusted root: the newest root metadata that these keys have signed under.
 * Verification begins there, not in the repository, which may have been replaced by an attacker's.
 *
 * FOLDER/last.json, the rollback record: what these keys signed last. A repository that has less,
 * or other bytes under the same number, is an old copy or was changed; to build on it would lose
 * what was signed since (drops, distrust) and show devices two files of one version. Two records,
 * because a power cut may come between this file and the repository's:
 *
 *     prepared  ("begun")  written before timestamp.json is renamed: its numbers are not used again
 *     committed ("done")   written after: the repository must not fall below it
 *
 * Without the file nothing is known, and nothing refused.
 */
#ifndef HF_REPOSITORY_KEY_RECORD_H
#define HF_REPOSITORY_KEY_RECORD_H

#include "common/base/digest.h"
#include "common/rollout/role.h"
#include "common/tuf/trusted_set.h"
#include "server/repository/keys/key_set.h"
#include "server/repository/repo_write.h"

/** Keep the repository's first root (staged or on disk) beside new keys. HF_E_STATE when there is a
 *  trusted root already. Noted in `undo`. */
HF_MUST_USE enum hf_err hf_trusted_root_create(const struct hf_key_folder *folder,
                                               const struct hf_repo *repo, struct hf_undo *undo,
                                               struct hf_why *why);

/** Append the trusted root. HF_E_NOT_FOUND (in words) without one. */
HF_MUST_USE enum hf_err hf_trusted_root_read(const struct hf_key_folder *folder, struct hf_buf *out,
                                             struct hf_why *why);

/** Put the newest root that the repository has in the place of the trusted root that leads to it.
 *  Where there is none yet, put root `first` of the repository; `first` 0: HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_trusted_root_renew(const struct hf_key_folder *folder,
                                              const struct hf_repo *repo, int64_t first,
                                              int64_t now_s, struct hf_why *why);

struct hf_signed_file {
    int64_t version; /* 0: none */
    char sha256[HF_SHA256_HEX_LEN];
};

struct hf_signed_rollout {
    char role[HF_ROLLOUT_ROLE_SIZE];
    struct hf_signed_file file;
};

/** By role; that of root stays empty, root.json says it. */
struct hf_signed_files {
    struct hf_signed_file of[HF_TOP_ROLES];
    struct hf_signed_rollout rollouts[HF_ROLLOUT_ROLES_MAX];
    size_t n_rollouts;
};

/** The version of that role rollout-SET; 0: none. */
int64_t hf_signed_rollout_version(const struct hf_signed_files *files, const char *role);

/** Note the file of a role rollout-SET. HF_E_LIMIT where there is no room for another role. */
HF_MUST_USE enum hf_err hf_signed_rollout_set(struct hf_signed_files *files, const char *role,
                                              const struct hf_signed_file *file,
                                              struct hf_why *why);

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
 * Is what is `published` (observed) at least what was committed? HF_E_ROLLBACK in words. Targets
 * that wait to be published count: they are a file of that number in `repo`.
 */
HF_MUST_USE enum hf_err hf_rollback_record_check(const struct hf_rollback_record *record,
                                                 const struct hf_repo *repo,
                                                 const struct hf_signed_files *published,
                                                 struct hf_why *why);

/** The highest number of that role that was ever prepared or committed. */
int64_t hf_rollback_record_version(const struct hf_rollback_record *record, enum hf_top_role role);

#endif
