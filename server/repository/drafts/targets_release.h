/*
 * New targets metadata, composed from the newest signed one. There are three ways: it is signed and
 * published; it is signed and waits for `publish`, if the online keys are elsewhere; or it is
 * written as a draft, if the targets keys are on several machines. A signed draft is published by
 * the functions at the end.
 */
#ifndef HF_REPOSITORY_TARGETS_RELEASE_H
#define HF_REPOSITORY_TARGETS_RELEASE_H

#include "server/repository/drafts/draft.h"
#include "server/repository/publication.h"

/** Signed now at the publication's time, with the next free number and the same content as
 *  `before`, to be changed. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_targets_next(struct hf_publication *p, const struct hf_targets *before,
                                        json_t **out, struct hf_why *why);

/** No longer list `bundle` in `targets`, and note it in the array `unlisted` for the report. */
HF_MUST_USE enum hf_err hf_targets_unlist(json_t *targets, const struct hf_repo_bundle *bundle,
                                          json_t *unlisted, struct hf_why *why);

/**
 * Send out `targets` (its signed part) with the target files that are staged. `draft_file` NULL:
 * sign and commit, and `*is_published` says whether devices see it; else write the draft to that
 * new file and change nothing. `before` is what it was composed from, published or waiting. What
 * waits is verified as publish will find it. As hf_publication_stage_targets, hf_publication_commit
 * and hf_targets_draft.
 */
HF_MUST_USE enum hf_err hf_targets_release(struct hf_publication *p,
                                           const struct hf_targets *before, const json_t *targets,
                                           const char *draft_file, bool *is_published,
                                           struct hf_why *why);

/**
 * Write `targets` (its signed part, composed) with the target files that are staged to a new file
 * `path`, to be signed as the published root asks; or as the root to come in `under` does, a draft
 * of root that as many have signed as must (HF_E_SIGNATURE in words), which follows the published
 * one (HF_E_ROLLBACK); NULL: none. `before` is what it was composed from, published or waiting.
 * Nothing in the repository changes. HF_E_STATE when the name is taken.
 */
HF_MUST_USE enum hf_err hf_targets_draft(const struct hf_publication *p,
                                         const struct hf_targets *before, const json_t *targets,
                                         const struct hf_draft *under, const char *path,
                                         struct hf_why *why);

/** Commit targets that are staged: with a new snapshot and timestamp if the online keys are at
 *  hand; else they wait, and are verified now as publish will find them. */
HF_MUST_USE enum hf_err hf_targets_commit(struct hf_publication *p, int64_t version,
                                          struct hf_bytes targets_file, bool *is_published,
                                          struct hf_why *why);

/* targets_publish.c: a draft that its holders have signed. */

/** Whose record to begin with: that of the offline keys in KEYS if it is there, else of the online
 *  ones. */
enum hf_key_location hf_targets_location_at_hand(const char *keys_dir);

/**
 * Stage a signed draft with the files that come with it, and append its metadata file to `file`. It
 * must be signed under the published root, or under the one about to be
 * (hf_publication_sign_under). If an interrupted publication left its file, that file is used: no
 * device may see two files of one version. HF_E_SIGNATURE with who is still to sign; HF_E_ROLLBACK
 * for a draft that does not follow that root and the newest targets.
 */
HF_MUST_USE enum hf_err hf_targets_stage(struct hf_publication *p, const struct hf_draft *draft,
                                         struct hf_buf *file, struct hf_why *why);

/**
 * `versions` are of what was signed or published with it; without a timestamp it waits. Refused as
 * by hf_targets_stage.
 */
HF_MUST_USE enum hf_err hf_targets_publish(const struct hf_publication_context *at,
                                           const struct hf_draft *draft,
                                           int64_t versions[HF_TOP_ROLES], struct hf_why *why);

#endif
