/*
 * Files that survive a power cut. A file is replaced by writing another beside it, syncing that,
 * renaming it over the name and syncing the folder: a reader, and the next boot, see the old bytes
 * or the new ones.
 */
#ifndef HF_OS_FILE_UTIL_H
#define HF_OS_FILE_UTIL_H

#include <holdfast/bytes.h>

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

struct hf_path {
    char text[PATH_MAX];
};

/** Put a path together. HF_E_LIMIT when it is longer than the system takes. */
HF_MUST_USE enum hf_err hf_path_set(struct hf_path *path, struct hf_why *why, const char *fmt, ...)
    HF_PRINTF(3, 4);

/** `path` from the root of the file system, so that it means the same in every folder; to be
 *  freed. Nothing is resolved and nothing need exist. HF_E_ARGUMENT if it is empty. */
HF_MUST_USE enum hf_err hf_file_absolute(const char *path, char **out, struct hf_why *why);

/**
 * Append a whole regular file to `out`, which stays as it was on failure. HF_E_ARGUMENT for an
 * empty name, HF_E_NOT_FOUND without the file, HF_E_LIMIT when it is longer than `max_bytes`,
 * HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_file_read(const char *path, size_t max_bytes, struct hf_buf *out,
                                     struct hf_why *why);

/** The same for a secret. HF_E_KEY besides if another user may read or change the file
 *  (hf_secret_file_check). The caller wipes the bytes. */
HF_MUST_USE enum hf_err hf_file_read_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                            struct hf_why *why);

/** Open a regular file to read it piece by piece; never waits. HF_E_ARGUMENT, HF_E_NOT_FOUND,
 *  HF_E_STORAGE, HF_E_MEMORY. The caller closes it. */
HF_MUST_USE enum hf_err hf_file_open_stream(const char *path, FILE **out, struct hf_why *why);

/** Append the whole file, of any kind: a person named it. HF_E_NOT_FOUND, HF_E_LIMIT above
 *  `max_bytes`, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_file_read_any(const char *path, size_t max_bytes, struct hf_buf *out,
                                         struct hf_why *why);

/** The same for a file with a secret, which other users must not be able to read (secret_file.h);
 *  `owner` is that of the very file that was read. */
HF_MUST_USE enum hf_err hf_file_read_any_secret(const char *path, size_t max_bytes,
                                                struct hf_buf *out, uid_t *owner,
                                                struct hf_why *why);

/** The same for a repository, which others may have changed: never waits, and HF_E_STORAGE for
 *  whatever is no regular file (pipes, devices, links). */
HF_MUST_USE enum hf_err hf_file_read_published(const char *path, size_t max_bytes,
                                               struct hf_buf *out, struct hf_why *why);

/** Is `path` a regular file with exactly these bytes? It is not held in memory for that. */
bool hf_file_has_content(const char *path, struct hf_bytes expected);

/**
 * Make `bytes` the content of `path`, with `mode`, durably, or leave everything as it was. A
 * symbolic link of that name is replaced itself, not what it points to. HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_file_replace(const char *path, struct hf_bytes bytes, mode_t mode,
                                        struct hf_why *why);

/** hf_file_replace without a sync: a power cut may bring the old file back, or leave a damaged one.
 *  For content that the next start compares and writes again. */
HF_MUST_USE enum hf_err hf_file_place(const char *path, struct hf_bytes bytes, mode_t mode,
                                      struct hf_why *why);

/**
 * Put a world-readable file in the place of whatever has that name, durably. One writer per folder
 * at a time: the temporary file, FOLDER/.new, is always a new one. HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_file_replace_alone(const char *path, struct hf_bytes bytes,
                                              struct hf_why *why);

/** A new file of that mode, on disk when this returns. HF_E_STATE when the name is taken; after a
 *  failure nothing of that name is left. */
HF_MUST_USE enum hf_err hf_file_create(const char *path, mode_t mode, struct hf_bytes bytes,
                                       struct hf_why *why);

/** Make the symbolic link `path` point to `target`, in one step for readers. The caller
 *  syncs the folder. */
HF_MUST_USE enum hf_err hf_file_replace_link(const char *path, const char *target,
                                             struct hf_why *why);

/** Where the symbolic link `path` points to, to be freed. HF_E_NOT_FOUND if it is none. */
HF_MUST_USE enum hf_err hf_file_read_link(const char *path, char **out, struct hf_why *why);

/** Rename, and sync the folder of `to`. Both are in one file system. */
HF_MUST_USE enum hf_err hf_file_rename(const char *from, const char *to, struct hf_why *why);

/** What was created, renamed or removed in `dir` is on disk after this. */
HF_MUST_USE enum hf_err hf_file_sync_dir(const char *dir, struct hf_why *why);
/** The same of the folder that `path` is in: `path` itself, or its absence, is on disk. */
HF_MUST_USE enum hf_err hf_file_sync_parent(const char *path, struct hf_why *why);

/** Make one folder with mode 0700; its parent must exist. `*was_made` is false if it was there. */
HF_MUST_USE enum hf_err hf_file_make_dir(const char *path, bool *was_made, struct hf_why *why);

/** A new folder of exactly that mode, durably. HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_file_make_new_dir(const char *path, mode_t mode, struct hf_why *why);

/** Before a file below `top` is written or removed: HF_E_STORAGE when a folder on the way to it is
 *  there and is none, but a link that leads elsewhere. `path` begins at `top`. */
HF_MUST_USE enum hf_err hf_file_check_way(const char *top, const char *path, struct hf_why *why);

/** There is something of that name, and it is no file nor leads to one. */
bool hf_file_is_something_else(const char *path);

/** A symbolic link itself, whatever it leads to. */
bool hf_file_is_link(const char *path);

/** Remove `path` and what is below it, as far as that goes; links are not followed. */
void hf_file_remove_tree(const char *path);

/** True for anything of that name, dangling links included. */
bool hf_file_exists(const char *path);

/** Is nothing of that name there? False also if this user may not look. */
bool hf_file_is_absent(const char *path);

/** May we write the file, and make others beside it? */
bool hf_file_is_writable(const char *path);

/**
 * Lock `path`, which is made if missing (0600), waiting at most `wait_ms`: one holder at a time,
 * within this process too. The lock is flock's, so it ends with the process that holds it, however
 * that ends; the file stays, and its content means nothing here. `*out` is to be handed to
 * hf_file_unlock. HF_E_BUSY when another holds it for longer, HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_file_lock(const char *path, unsigned wait_ms, int *out,
                                     struct hf_why *why);
/** A negative `lock` is none. */
void hf_file_unlock(int lock);

/** HF_E_STORAGE with what `action` ("write") on `path` met, errno in words. */
enum hf_err hf_file_fail(struct hf_why *why, const char *action, const char *path, int error);

#endif
