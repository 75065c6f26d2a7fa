/*
 * Files: read up to a bound, and written so that a reader, or a power cut, finds either nothing
 * (or what was there before) or the whole file. All of it is I/O; every message names the path.
 */
#ifndef HF_REPOSITORY_DISK_H
#define HF_REPOSITORY_DISK_H

#include <holdfast/bytes.h>

#include <limits.h>
#include <sys/types.h>

struct hf_path {
    char text[PATH_MAX];
};

/** Put a path together. HF_E_LIMIT when it is longer than the system takes. */
HF_MUST_USE enum hf_err hf_path_set(struct hf_path *path, struct hf_why *why, const char *fmt, ...)
    HF_PRINTF(3, 4);

/** True for anything of that name, dangling links included. */
bool hf_disk_exists(const char *path);

/** Append the whole file, of any kind: a person named it. HF_E_NOT_FOUND, HF_E_LIMIT above
 *  `max_bytes`, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_disk_read(const char *path, size_t max_bytes, struct hf_buf *out,
                                     struct hf_why *why);

/** The same for a file with a secret, which other users must not be able to read (secret_file.h);
 *  `owner` is that of the very file that was read. */
HF_MUST_USE enum hf_err hf_disk_read_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                            uid_t *owner, struct hf_why *why);

/** The same for a folder that others may have changed: never waits, and HF_E_STORAGE for whatever
 *  is no regular file (pipes, devices, links). */
HF_MUST_USE enum hf_err hf_disk_read_regular(const char *path, size_t max_bytes, struct hf_buf *out,
                                             struct hf_why *why);

/** A new file of that mode, on disk when this returns. HF_E_STATE when the name is taken; after a
 *  failure nothing of that name is left. */
HF_MUST_USE enum hf_err hf_disk_create(const char *path, mode_t mode, struct hf_bytes bytes,
                                       struct hf_why *why);

/**
 * Put a world-readable file in the place of whatever has that name, by rename after fsync. One
 * writer per folder at a time: the temporary file, FOLDER/.new, is made anew, never written into.
 */
HF_MUST_USE enum hf_err hf_disk_replace(const char *path, struct hf_bytes bytes,
                                        struct hf_why *why);

/** A new folder of exactly that mode. HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_disk_make_folder(const char *path, mode_t mode, struct hf_why *why);

/** Make names created in, or removed from, `folder` survive a power cut. */
HF_MUST_USE enum hf_err hf_disk_sync_folder(const char *folder, struct hf_why *why);

/** Before a file below `top` is written or removed: HF_E_STORAGE when a folder on the way to it is
 *  there and is none, but a link that leads elsewhere. `path` begins at `top`. */
HF_MUST_USE enum hf_err hf_disk_check_way(const char *top, const char *path, struct hf_why *why);

#endif
