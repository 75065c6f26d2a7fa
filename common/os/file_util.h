/*
 * Files that survive a power cut. A file is replaced by writing another beside it, syncing that,
 * renaming it over the name and syncing the folder: a reader, and the next boot, see the old bytes
 * or the new ones.
 */
#ifndef HF_OS_FILE_UTIL_H
#define HF_OS_FILE_UTIL_H

#include <holdfast/bytes.h>

#include <sys/types.h>

/** DIR/NAME, to be freed. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_file_join(const char *dir, const char *name, char **out,
                                     struct hf_why *why);

/** `path` from the root of the file system, so that it means the same in every folder; to be
 *  freed. Nothing is resolved and nothing need exist. HF_E_ARGUMENT if it is empty. */
HF_MUST_USE enum hf_err hf_file_absolute(const char *path, char **out, struct hf_why *why);

/**
 * Append a whole regular file to `out`, which stays as it was on failure. HF_E_ARGUMENT for an empty
 * name, HF_E_NOT_FOUND without the file, HF_E_LIMIT when it is longer than `max_bytes`, HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_file_read(const char *path, size_t max_bytes, struct hf_buf *out,
                                     struct hf_why *why);

/** The same for a secret. HF_E_KEY besides if another user may read or change the file
 *  (hf_secret_file_check). The caller wipes the bytes. */
HF_MUST_USE enum hf_err hf_file_read_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                            struct hf_why *why);

/** Is `path` a regular file with exactly these bytes? It is not held in memory for that. */
bool hf_file_has_content(const char *path, struct hf_bytes expected);

/**
 * Make `bytes` the content of `path`, with `mode`, durably, or leave everything as it was. A
 * symbolic link of that name is replaced itself, not what it points to. HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_file_replace(const char *path, struct hf_bytes bytes, mode_t mode,
                                        struct hf_why *why);

/** hf_file_replace without the last sync: a power cut may still bring the old file back. For
 *  several files in one folder, which the caller syncs once with hf_file_sync_dir. */
HF_MUST_USE enum hf_err hf_file_place(const char *path, struct hf_bytes bytes, mode_t mode,
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

/** There is something of that name, and it is no file nor leads to one. */
bool hf_file_is_something_else(const char *path);

/** A symbolic link itself, whatever it leads to. */
bool hf_file_is_link(const char *path);

/** Remove `path` and what is below it, as far as that goes; links are not followed. */
void hf_file_remove_tree(const char *path);

bool hf_file_exists(const char *path);

/** May we write the file, and make others beside it? */
bool hf_file_is_writable(const char *path);

/** HF_E_STORAGE with what `action` ("write") on `path` met, errno in words. */
enum hf_err hf_file_fail(struct hf_why *why, const char *action, const char *path, int error);

#endif
