/*
 * From a folder on disk to an edition in memory. Blocking I/O: runs in the thread pool.
 *
 * timestamp.json is read before everything else: what a timestamp names was on disk before it. So
 * the files of the timestamp that was read are found, whatever is published while the folders are
 * read.
 */
#ifndef HF_SERVE_REPOSITORY_LOAD_H
#define HF_SERVE_REPOSITORY_LOAD_H

#include "server/serve/edition.h"

/** What changes when something is published: timestamp.json itself, and the folder it lies in (a
 *  root N+1 comes without a new timestamp). */
struct hf_repository_mark {
    bool is_there;
    struct hf_file_mark timestamp;
    struct hf_file_mark folder;
};

/** HF_E_NOT_FOUND when `dir` has no metadata/timestamp.json: a typo, a disk that is not mounted, or
 *  a repository that is still to come. HF_E_STORAGE when this user may not read it. */
HF_MUST_USE enum hf_err hf_repository_require(const char *dir, struct hf_why *why);

/** Without reading the files. Never fails: what cannot be examined is not there. */
struct hf_repository_mark hf_repository_mark_read(const char *dir);
bool hf_repository_mark_same(const struct hf_repository_mark *a,
                             const struct hf_repository_mark *b);

/**
 * Read DIR/metadata and DIR/targets. Read are regular files with names that a TUF repository
 * has: `.json` below metadata, anything below targets; no dot-files, no temporary files (`~`,
 * `.tmp`, `.part`), and nothing through a symbolic link. Files that `old` (may be NULL) holds and
 * that have not changed since are shared with it.
 *
 * `*out` has one reference, is sorted and not yet checked. HF_E_NOT_FOUND, HF_E_STORAGE,
 * HF_E_LIMIT, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_repository_load(const char *dir, const struct hf_edition *old,
                                           struct hf_edition **out, struct hf_why *why);

#endif
