/*
 * The roots that led to the one a draft follows. An attacker who carries a draft could invent that
 * root, and the changes shown would be wrong. So a draft includes the roots before, and they are
 * walked from the root that is stored beside the holder's keys, as a device walks them (TUF 5.3).
 */
#ifndef HF_REPOSITORY_DRAFT_ROOTS_H
#define HF_REPOSITORY_DRAFT_ROOTS_H

#include "server/repository/drafts/draft.h"
#include "server/repository/keys/key_set.h"
#include "server/repository/repo_read.h"

/** The texts of the roots before `newest` in a repository, oldest first, for a new draft; no older
 *  ones than fit. I/O. `out` is a new list. */
HF_MUST_USE enum hf_err hf_draft_roots_read(const struct hf_repo *repo, int64_t newest,
                                            json_t **out, struct hf_why *why);

/** Does the draft's root follow from the one in this file, which a holder trusts? As below, and
 *  HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_draft_check_follows(const struct hf_draft *draft, const char *path,
                                               struct hf_why *why);

/**
 * Does the draft's root follow from the one that the holder's keys know (key_record.h)? That is
 * root.json in the holder's folder, and in those of key files that were given. Without such a file
 * `is_known` is false. HF_E_ROLLBACK when they know a newer root than the draft's; HF_E_SIGNATURE
 * when theirs leads to another, or the draft does not show how it leads to its own.
 *
 * `updates`: those files become the draft's root. A missing file is not created, and a root that is
 * not published yet is not stored. HF_E_STORAGE besides.
 */
HF_MUST_USE enum hf_err hf_draft_check_trusted_roots(const struct hf_draft *draft,
                                                     const struct hf_key_set *holder, bool updates,
                                                     bool *is_known, struct hf_why *why);

#endif
