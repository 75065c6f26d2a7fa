/* Files in memory by the path below a repository's URL ("metadata/timestamp.json"), for tests. */
#ifndef HF_TESTS_SUPPORT_TUF_FILES_H
#define HF_TESTS_SUPPORT_TUF_FILES_H

#include <holdfast/bytes.h>

struct tuf_file {
    char *path;
    struct hf_buf bytes;
};

struct tuf_files {
    struct tuf_file *files;
    size_t n_files;
};

/** Add or replace. Bytes are copied. */
void tuf_files_put(struct tuf_files *files, const char *path, struct hf_bytes bytes);
/** Borrowed; data is NULL where there is no such file. */
struct hf_bytes tuf_files_find(const struct tuf_files *files, const char *path);
void tuf_files_remove(struct tuf_files *files, const char *path);
/** `to` becomes a copy of `from`; what it held goes. */
void tuf_files_copy(struct tuf_files *to, const struct tuf_files *from);
void tuf_files_free(struct tuf_files *files);

#endif
