/*
 * FOLDER/root.json: the newest root metadata that these keys have signed under. Verification begins
 * there, not in the repository, which may have been replaced by an attacker's. It
 * is not secret, but a user who can write it decides what the keys sign.
 */
#ifndef HF_REPOSITORY_TRUSTED_ROOT_H
#define HF_REPOSITORY_TRUSTED_ROOT_H

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

/** Put root `version` of the repository, its newest, beside keys without a trusted root; renew that of others. */
HF_MUST_USE enum hf_err hf_trusted_root_put(const struct hf_key_folder *folder,
                                            const struct hf_repo *repo, int64_t version,
                                            int64_t now_s, struct hf_why *why);

/** Put the newest root that the repository has in the place of the trusted root that leads to it. */
HF_MUST_USE enum hf_err hf_trusted_root_renew(const struct hf_key_folder *folder,
                                              const struct hf_repo *repo, int64_t now_s,
                                              struct hf_why *why);

#endif
