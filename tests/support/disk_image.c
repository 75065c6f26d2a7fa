#include "tests/support/disk_image.h"

#include "tests/support/check.h"

#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512

void disk_image_add(struct disk_image *image, const char *path, enum disk_kind kind, unsigned mode,
                    struct hf_bytes content)
{
    struct disk_entry *grown = realloc(image->entries, (image->n_entries + 1) * sizeof *grown);
    assert_non_null(grown);
    image->entries = grown;
    struct disk_entry *entry = &grown[image->n_entries++];
    *entry = (struct disk_entry){.path = strdup(path), .kind = kind, .mode = mode};
    assert_non_null(entry->path);
    CHECK_OK(hf_buf_append(&entry->content, content.data, content.len));
}

const struct disk_entry *disk_image_find(const struct disk_image *image, const char *path)
{
    for (size_t i = 0; i < image->n_entries; i++) {
        if (strcmp(image->entries[i].path, path) == 0)
            return &image->entries[i];
    }
    return NULL;
}

void disk_image_free(struct disk_image *image)
{
    for (size_t i = 0; i < image->n_entries; i++) {
        free(image->entries[i].path);
        hf_buf_free(&image->entries[i].content);
    }
    free(image->entries);
    *image = (struct disk_image){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static void read_file(const char *path, struct hf_buf *out)
{
    static uint8_t chunk[65536];
    size_t n;

    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        CHECK_OK(hf_buf_append(out, chunk, n));
    assert_int_equal(fclose(f), 0);
}

static void add_found(struct disk_image *image, const char *path, const FTSENT *found)
{
    unsigned mode = found->fts_statp->st_mode & 07777;
    struct hf_buf content = {0};
    char target[PATH_BYTES];

    if (found->fts_info == FTS_D) {
        disk_image_add(image, path, DISK_FOLDER, mode, hf_buf_bytes(&content));
    } else if (found->fts_info == FTS_F) {
        read_file(found->fts_path, &content);
        disk_image_add(image, path, DISK_FILE, mode, hf_buf_bytes(&content));
    } else if (found->fts_info == FTS_SL || found->fts_info == FTS_SLNONE) {
        ssize_t len = readlink(found->fts_path, target, sizeof target);
        assert_true(len > 0);
        CHECK_OK(hf_buf_append(&content, target, (size_t)len));
        disk_image_add(image, path, DISK_LINK, mode, hf_buf_bytes(&content));
    }
    hf_buf_free(&content);
}

static FTS *walk(const char *folder)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s", folder);
    FTS *fts = fts_open((char *const[]){path, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    assert_non_null(fts);
    return fts;
}

void disk_image_read(const char *folder, struct disk_image *out)
{
    FTS *fts = walk(folder);
    const FTSENT *found;

    while ((found = fts_read(fts)) != NULL) {
        if (found->fts_level > 0)
            add_found(out, found->fts_path + strlen(folder) + 1, found);
    }
    (void)fts_close(fts);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void empty(const char *folder)
{
    FTS *fts = walk(folder);
    const FTSENT *found;

    while ((found = fts_read(fts)) != NULL) {
        if (found->fts_level > 0 && found->fts_info != FTS_D)
            assert_int_equal(remove(found->fts_accpath), 0);
    }
    (void)fts_close(fts);
}

static void write_file(const char *path, const struct disk_entry *entry)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(entry->content.data, 1, entry->content.len, f), entry->content.len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, entry->mode), 0);
}

void disk_image_write(const char *folder, const struct disk_image *image)
{
    char path[PATH_BYTES];

    empty(folder);
    for (size_t i = 0; i < image->n_entries; i++) {
        const struct disk_entry *entry = &image->entries[i];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->path);
        if (entry->kind == DISK_FOLDER)
            assert_int_equal(mkdir(path, entry->mode), 0);
        else if (entry->kind == DISK_LINK)
            assert_int_equal(symlink((const char *)entry->content.data, path), 0);
        else
            write_file(path, entry);
    }
}
