/*
 * Changing a repository so that a server, a device or a power cut at any instant finds a
 * consistent one: files are staged in memory, then written one by one (temporary file, fsync,
 * rename, fsync of the folder) in the order in which a device would need them: target files,
 * metadata, then a new root if there is one, and timestamp.json last. Only these two are looked for
 * by devices; nothing else is visible before timestamp.json names it.
 */
#ifndef HF_REPOSITORY_REPO_WRITE_H
#define HF_REPOSITORY_REPO_WRITE_H

#include "server/repository/repo_read.h"

#define HF_REPO_LOCK_FILE ".lock"

/* What a command has created, to take it away again when a later step fails. */
struct hf_undo {
    char **paths; /* owned, in order of creation */
    size_t n_paths;
};

/** Note a file or folder as created. When there is no memory to note it, it is removed. */
HF_MUST_USE enum hf_err hf_undo_note(struct hf_undo *undo, const char *path, struct hf_why *why);

/** Make a folder and those above it that are missing, and note them. A folder that exists already
 *  is left as it is. */
HF_MUST_USE enum hf_err hf_undo_make_folder(struct hf_undo *undo, const char *path, mode_t mode,
                                            struct hf_why *why);

/** Remove everything noted, newest first; a folder that holds anything else stays. */
void hf_undo_run(struct hf_undo *undo);

/** Keep everything: forget the notes. */
void hf_undo_free(struct hf_undo *undo);

/** One writer per repository: flock(2) on DIR/.lock, for hf_file_unlock. Readers need no lock.
 *  HF_E_BUSY when another process holds it, HF_E_NOT_FOUND without DIR, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_repo_lock(const char *dir, int *lock, struct hf_why *why);

/** Put a file over the repository, in memory. Takes `bytes`, also on failure. */
HF_MUST_USE enum hf_err hf_repo_stage_take(struct hf_repo *repo, const char *path,
                                           struct hf_buf *bytes, struct hf_why *why);

/** The same, of a copy. */
HF_MUST_USE enum hf_err hf_repo_stage_copy(struct hf_repo *repo, const char *path,
                                           struct hf_bytes bytes, struct hf_why *why);

/** Forget what is staged. */
void hf_repo_unstage(struct hf_repo *repo);

/** Run when all that is not visible is written and verified; its failure takes that back too. */
struct hf_repo_step {
    enum hf_err (*run)(void *context, struct hf_why *why);
    void *context;
};

/**
 * Write what is staged. With a root or timestamp.json among it, the repository is verified at
 * `now_s` as a device will find it, before the first of them goes out. On failure the new files are
 * taken away again and what devices see is what it was. `step` may be NULL.
 */
HF_MUST_USE enum hf_err hf_repo_write(struct hf_repo *repo, int64_t now_s,
                                      const struct hf_repo_step *step, struct hf_why *why);

#endif
