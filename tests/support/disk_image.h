/* A folder with everything in it, as bytes in memory, for tests that look at disks. */
#ifndef HF_TESTS_SUPPORT_DISK_IMAGE_H
#define HF_TESTS_SUPPORT_DISK_IMAGE_H

#include <holdfast/bytes.h>

enum disk_kind { DISK_FILE, DISK_LINK, DISK_FOLDER };

struct disk_entry {
    char *path; /* below the folder: "bundles/active" */
    enum disk_kind kind;
    unsigned mode;
    struct hf_buf content; /* of a file its bytes, of a symbolic link its target */
};

/* Folders come before what is in them. */
struct disk_image {
    struct disk_entry *entries;
    size_t n_entries;
};

/** What is in `folder` now. */
void disk_image_read(const char *folder, struct disk_image *out);
/** Make `folder`, which exists, hold exactly this. */
void disk_image_write(const char *folder, const struct disk_image *image);
void disk_image_free(struct disk_image *image);

/** Add an entry; what is in `content` is copied. */
void disk_image_add(struct disk_image *image, const char *path, enum disk_kind kind, unsigned mode,
                    struct hf_bytes content);
/** Borrowed; NULL where there is no such entry. */
const struct disk_entry *disk_image_find(const struct disk_image *image, const char *path);

#endif
