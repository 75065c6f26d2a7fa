/*
 * One file of the repository as it is served: its bytes and the answers' heads, made once when it
 * is read. Immutable after that and counted, so that editions share what did not change and a
 * slow client keeps only the file it is reading.
 */
#ifndef HF_SERVE_SERVED_FILE_H
#define HF_SERVE_SERVED_FILE_H

#include "common/base/digest.h"

#include <stdatomic.h>
#include <sys/stat.h>

#define HF_ETAG_LEN 66 /* 64 hexadecimal digits in quotes */

/** What tells, without reading, that a file on disk is still the one that was read. */
struct hf_file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};
struct hf_file_mark hf_file_mark_of(const struct stat *st);
bool hf_file_mark_same(const struct hf_file_mark *a, const struct hf_file_mark *b);

struct hf_served_file {
    atomic_uint references;
    char *name; /* what it is served under: "/metadata/1.root.json" */
    struct hf_file_mark mark;
    uint8_t *body; /* owned */
    size_t body_len;
    uint8_t sha256[HF_SHA256_LEN];
    char etag[HF_ETAG_LEN + 1]; /* strong: from the content's SHA-256 */
    /* Status line and headers of 200 and 304; Date, Connection and the empty line come at the time
     * of the answer. */
    char *head_ok;
    size_t head_ok_len;
    char *head_same;
    size_t head_same_len;
};

/**
 * `name` is copied; `body` is taken, also on failure, and was allocated by malloc.
 * `*out` has one reference. HF_E_MEMORY. No I/O.
 */
HF_MUST_USE enum hf_err hf_served_file_new_take(const char *name, const struct hf_file_mark *mark,
                                                uint8_t *body, size_t body_len,
                                                struct hf_served_file **out, struct hf_why *why);

/** One more reference; returns `file`. From any thread. */
struct hf_served_file *hf_served_file_ref(struct hf_served_file *file);
/** One reference less; the last one frees. NULL is fine. From any thread. */
void hf_served_file_unref(struct hf_served_file *file);

/** How long caches may keep what is served under `name`: the value of Cache-Control. */
const char *hf_served_file_cache_rule(const char *name);
/** The value of Content-Type, by the name's ending. */
const char *hf_served_file_type(const char *name);

#endif
