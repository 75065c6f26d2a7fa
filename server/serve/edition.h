/*
 * One whole state of the repository: every name that is served and its file. Built by
 * repository_load, checked by repository_check, rid of what nothing names, immutable from then on,
 * counted, shared by all loops. A name that is not in the table cannot be reached, whatever is on
 * disk.
 */
#ifndef HF_SERVE_EDITION_H
#define HF_SERVE_EDITION_H

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "server/fleet/published.h"
#include "server/http/response.h"

#include <sys/stat.h>

#define HF_ETAG_LEN 66 /* 64 hexadecimal digits in quotes */

/** Shows, without reading it, that a file on disk is still the one that was read. */
struct hf_file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};
struct hf_file_mark hf_file_mark_of(const struct stat *st);
bool hf_file_mark_same(const struct hf_file_mark *a, const struct hf_file_mark *b);

/**
 * One file of the repository as it is served: its bytes and the answers' heads, made once when it
 * is read. Immutable after that and counted, so that editions share what did not change and a
 * slow client keeps only the file it is reading.
 */
struct hf_served_file {
    struct hf_body body; /* the first: its references are the file's, which owns the bytes */
    char *name;          /* what it is served under: "/metadata/1.root.json" */
    struct hf_file_mark mark;
    uint8_t sha256[HF_SHA256_LEN];
    char etag[HF_ETAG_LEN + 1]; /* strong: from the content's SHA-256 */
    /* Status line and headers of 200 and 304; Date, Connection and the empty line come at the time
     * of the answer. */
    struct hf_buf head_ok;
    struct hf_buf head_not_modified;
};

/**
 * `name` is copied; `body` is taken, also on failure, and was allocated by malloc.
 * `*out` has one reference. HF_E_MEMORY. No I/O.
 */
HF_MUST_USE enum hf_err hf_served_file_new_take(const char *name, const struct hf_file_mark *mark,
                                                uint8_t *body, size_t body_len,
                                                struct hf_served_file **out, struct hf_why *why);

/** One reference less; the last one frees. NULL is fine. From any thread. */
void hf_served_file_unref(struct hf_served_file *file);

bool hf_name_ends_with(const char *text, const char *end);
/** How long caches may keep what is served under `name`: the value of Cache-Control. */
const char *hf_served_file_cache_rule(const char *name);

/** What the metadata of an edition contains; filled in by the check. */
struct hf_summary {
    int64_t root_version;
    int64_t timestamp_version;
    int64_t snapshot_version;
    int64_t targets_version;
    /* The role that expires first, of all four and the delegated ones: from then on a device that
     * needs it refuses the repository. */
    int64_t expires_s;
    char expires_role[HF_ROLE_NAME_MAX + 1];
    /* The first of those that offline keys sign: root, targets and the delegated ones. */
    int64_t offline_expires_s;
    char offline_expires_role[HF_ROLE_NAME_MAX + 1];
};

struct hf_entry {
    struct hf_served_file *file;
    bool is_reached; /* the check found that the metadata names it */
};

struct hf_edition {
    atomic_uint references;
    struct hf_entry *files; /* sorted by name once hf_edition_sort is called */
    size_t n_files;
    size_t cap_files;
    uint64_t total_bytes;
    struct hf_buf skipped; /* names that are no regular file, for the check's sentence */
    /* What the check found. The files are among those above: root is the newest one. */
    struct hf_summary summary;
    struct hf_published *published; /* the bundles */
    const struct hf_served_file *root, *timestamp, *snapshot;
};

/** An empty one with one reference; HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_edition_new(struct hf_edition **out, struct hf_why *why);
struct hf_edition *hf_edition_ref(struct hf_edition *e);
/** The last one frees. NULL is fine. From any thread. */
void hf_edition_unref(struct hf_edition *e);

/** Add a file; its reference is taken, also on failure. HF_E_LIMIT with the limit, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_edition_add_take(struct hf_edition *e, struct hf_served_file *file,
                                            struct hf_why *why);
/** Remember that `name` is there and not served, being `kind` ("a symbolic link"). Best effort: if
 *  memory is short, only the error text is less precise. */
void hf_edition_skip(struct hf_edition *e, const char *name, const char *kind);
/** HF_E_NOT_FOUND: `name` is missing, or it or one of its folders was skipped, and as what. */
HF_MUST_USE enum hf_err hf_edition_fail_missing(const struct hf_edition *e, const char *name,
                                                struct hf_why *why);
/** Sort, after the last file was added and before hf_edition_find. */
void hf_edition_sort(struct hf_edition *e);

/** Borrowed; NULL where nothing is served under exactly this name (`name_len` bytes). */
struct hf_served_file *hf_edition_find(const struct hf_edition *e, const char *name,
                                       size_t name_len);

/** As find, and what is found stays when the edition is pruned. Before it is shared only. */
struct hf_served_file *hf_edition_reach(struct hf_edition *e, const char *name, size_t name_len);

/**
 * Drop what was neither reached nor, with the same bytes, served by `before` (may be NULL; pruned
 * itself). So no name is served that no published timestamp led to: a cache could otherwise keep
 * bytes for a year that are never published. Before the edition is shared only.
 */
void hf_edition_prune(struct hf_edition *e, const struct hf_edition *before);

#endif
