#include "tests/support/tuf_files.h"

#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

static struct tuf_file *find(const struct tuf_files *files, const char *path)
{
    for (size_t i = 0; i < files->n_files; i++) {
        if (strcmp(files->files[i].path, path) == 0)
            return &files->files[i];
    }
    return NULL;
}

static struct tuf_file *add(struct tuf_files *files, const char *path)
{
    struct tuf_file *grown = realloc(files->files, (files->n_files + 1) * sizeof *grown);
    assert_non_null(grown);
    files->files = grown;
    struct tuf_file *file = &grown[files->n_files++];
    *file = (struct tuf_file){.path = strdup(path)};
    assert_non_null(file->path);
    return file;
}

void tuf_files_put(struct tuf_files *files, const char *path, struct hf_bytes bytes)
{
    struct hf_buf copy = {0}; /* first, since `bytes` may be the file that is replaced */
    CHECK_OK(hf_buf_append(&copy, bytes.data, bytes.len));

    struct tuf_file *file = find(files, path);
    if (file == NULL)
        file = add(files, path);
    hf_buf_free(&file->bytes);
    file->bytes = copy;
}

struct hf_bytes tuf_files_find(const struct tuf_files *files, const char *path)
{
    const struct tuf_file *file = find(files, path);
    return file != NULL ? hf_buf_bytes(&file->bytes) : (struct hf_bytes){0};
}

void tuf_files_remove(struct tuf_files *files, const char *path)
{
    struct tuf_file *file = find(files, path);
    if (file == NULL)
        return;
    free(file->path);
    hf_buf_free(&file->bytes);
    *file = files->files[--files->n_files];
}

void tuf_files_copy(struct tuf_files *to, const struct tuf_files *from)
{
    tuf_files_free(to);
    for (size_t i = 0; i < from->n_files; i++)
        tuf_files_put(to, from->files[i].path, hf_buf_bytes(&from->files[i].bytes));
}

void tuf_files_free(struct tuf_files *files)
{
    for (size_t i = 0; i < files->n_files; i++) {
        free(files->files[i].path);
        hf_buf_free(&files->files[i].bytes);
    }
    free(files->files);
    *files = (struct tuf_files){0};
}
