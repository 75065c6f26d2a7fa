#include "server/serve/edition.h"

#include "common/base/digest.h"
#include "server/serve/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hf_file_mark hf_file_mark_of(const struct stat *st)
{
    return (struct hf_file_mark){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

bool hf_file_mark_same(const struct hf_file_mark *a, const struct hf_file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

bool hf_name_ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text);
    size_t end_len = strlen(end);
    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

const char *hf_served_file_cache_rule(const char *name)
{
    /* If the part before the first dot of the file's own name is a version or a hash (TUF 6.2), the
     * content under such a name never changes. */
    const char *base = strrchr(name, '/');
    base = base != NULL ? base + 1 : name;
    size_t digits = strspn(base, "0123456789abcdef");
    bool is_immutable = digits == 2 * HF_SHA256_LEN || digits == 2 * HF_SHA512_LEN;
    if (strncmp(name, "/metadata/", 10) == 0)
        is_immutable = digits > 0 && strspn(base, "0123456789") == digits;
    if (is_immutable && base[digits] == '.')
        return "public, max-age=31536000, immutable";
    /* A minute: short against the timestamp's re-signing, long enough that a cache in front takes
     * the load of a fleet. */
    return "public, max-age=60, must-revalidate";
}

static void free_file(struct hf_body *body)
{
    struct hf_served_file *f = (struct hf_served_file *)body;
    free(f->name);
    free((void *)(uintptr_t)f->body.bytes.data);
    hf_buf_free(&f->head_ok);
    hf_buf_free(&f->head_not_modified);
    free(f);
}

enum hf_err hf_served_file_new_take(const char *name, const struct hf_file_mark *mark,
                                    uint8_t *body, size_t body_len, struct hf_served_file **out,
                                    struct hf_why *why)
{
    const char *rule = hf_served_file_cache_rule(name);
    const char *type = "application/octet-stream";
    if (hf_name_ends_with(name, ".json"))
        type = "application/json";
    else if (hf_name_ends_with(name, ".pem"))
        type = "application/pem-certificate-chain"; /* RFC 8555, 9.1 */

    struct hf_served_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        free(body);
        return hf_fail(why, HF_E_MEMORY, "no memory for %s", name);
    }
    atomic_init(&f->body.references, 1);
    f->body.bytes = (struct hf_bytes){body, body_len};
    f->body.free = free_file;
    f->mark = *mark;
    hf_sha256(f->body.bytes, f->sha256);
    f->etag[0] = '"';
    hf_hex_encode(f->sha256, HF_SHA256_LEN, f->etag + 1);
    f->etag[HF_ETAG_LEN - 1] = '"';
    f->etag[HF_ETAG_LEN] = '\0';
    f->name = strdup(name);
    if (f->name == NULL ||
        hf_buf_printf(&f->head_ok,
                      "HTTP/1.1 200 OK\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                      "Content-Length: %zu\r\nETag: %s\r\nCache-Control: %s\r\n",
                      type, body_len, f->etag, rule) != HF_OK ||
        hf_buf_printf(&f->head_not_modified,
                      "HTTP/1.1 304 Not Modified\r\nServer: holdfastd\r\n"
                      "ETag: %s\r\nCache-Control: %s\r\n",
                      f->etag, rule) != HF_OK) {
        hf_served_file_unref(f);
        return hf_fail(why, HF_E_MEMORY, "no memory for %s", name);
    }
    *out = f;
    return HF_OK;
}

void hf_served_file_unref(struct hf_served_file *file)
{
    if (file != NULL)
        hf_body_unref(&file->body);
}

enum hf_err hf_edition_new(struct hf_edition **out, struct hf_why *why)
{
    struct hf_edition *e = calloc(1, sizeof *e);
    if (e == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the repository's table of names");
    atomic_init(&e->references, 1);
    *out = e;
    return HF_OK;
}

struct hf_edition *hf_edition_ref(struct hf_edition *e)
{
    atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
    return e;
}

void hf_edition_unref(struct hf_edition *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < e->n_files; i++)
        hf_served_file_unref(e->files[i].file);
    hf_buf_free(&e->skipped);
    hf_published_unref(e->published);
    free(e->files);
    free(e);
}

static enum hf_err add(struct hf_edition *e, struct hf_served_file *file, struct hf_why *why)
{
    if (e->n_files >= HF_SERVE_REPOSITORY_FILES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "the repository has more than %u files, the most that are served; remove "
                       "old bundles or raise HF_SERVE_REPOSITORY_FILES_MAX",
                       HF_SERVE_REPOSITORY_FILES_MAX);
    if (file->body.bytes.len > HF_SERVE_REPOSITORY_BYTES_MAX - e->total_bytes)
        return hf_fail(why, HF_E_LIMIT,
                       "with %s the repository is larger than %u MiB, the most that is held in "
                       "memory; remove old bundles or raise HF_SERVE_REPOSITORY_BYTES_MAX",
                       file->name, HF_SERVE_REPOSITORY_BYTES_MAX >> 20);
    if (e->n_files == e->cap_files) {
        size_t cap = e->cap_files != 0 ? 2 * e->cap_files : 64;
        struct hf_entry *files = realloc(e->files, cap * sizeof *files);
        if (files == NULL)
            return hf_fail(why, HF_E_MEMORY, "no memory for a table of %zu names", cap);
        e->files = files;
        e->cap_files = cap;
    }
    e->files[e->n_files++] = (struct hf_entry){.file = file};
    e->total_bytes += file->body.bytes.len;
    return HF_OK;
}

enum hf_err hf_edition_add_take(struct hf_edition *e, struct hf_served_file *file,
                                struct hf_why *why)
{
    enum hf_err err = add(e, file, why);
    if (err != HF_OK)
        hf_served_file_unref(file);
    return err;
}

void hf_edition_skip(struct hf_edition *e, const char *name, const char *kind)
{
    size_t name_size = strlen(name) + 1, kind_size = strlen(kind) + 1;
    if (e->skipped.len + name_size + kind_size > HF_SERVE_SKIPPED_BYTES_MAX ||
        hf_buf_reserve(&e->skipped, name_size + kind_size) != HF_OK)
        return;
    enum hf_err err = hf_buf_append(&e->skipped, name, name_size);
    if (err == HF_OK)
        err = hf_buf_append(&e->skipped, kind, kind_size);
    (void)err; /* there is room */
}

enum hf_err hf_edition_fail_missing(const struct hf_edition *e, const char *name,
                                    struct hf_why *why)
{
    for (size_t at = 0; at < e->skipped.len;) {
        const char *skipped = (const char *)e->skipped.data + at;
        size_t len = strlen(skipped);
        const char *kind = skipped + len + 1;
        if (strncmp(name, skipped, len) == 0 && (name[len] == '\0' || name[len] == '/'))
            return hf_fail(why, HF_E_NOT_FOUND,
                           "%s is %s, which is not served; put the file or folder itself there",
                           skipped + 1, kind);
        at += len + 1 + strlen(kind) + 1;
    }
    return hf_fail(why, HF_E_NOT_FOUND, "%s is missing", name + 1);
}

static int by_name(const void *a, const void *b)
{
    const struct hf_entry *x = a, *y = b;
    return strcmp(x->file->name, y->file->name);
}

void hf_edition_sort(struct hf_edition *e)
{
    if (e->n_files > 1)
        qsort(e->files, e->n_files, sizeof *e->files, by_name);
}

/* As strcmp, for a name that ends after its length and may hold any bytes. */
static int compare_name(const void *name, const void *entry)
{
    const struct hf_bytes *wanted = name;
    const char *known = ((const struct hf_entry *)entry)->file->name;
    size_t known_len = strlen(known);
    int order = memcmp(wanted->data, known, wanted->len < known_len ? wanted->len : known_len);
    if (order != 0 || wanted->len == known_len)
        return order;
    return wanted->len < known_len ? -1 : 1;
}

static struct hf_entry *find_entry(const struct hf_edition *e, const char *name, size_t name_len)
{
    const struct hf_bytes wanted = {(const uint8_t *)name, name_len};
    return e->n_files == 0 ? NULL
                           : bsearch(&wanted, e->files, e->n_files, sizeof *e->files, compare_name);
}

struct hf_served_file *hf_edition_find(const struct hf_edition *e, const char *name,
                                       size_t name_len)
{
    const struct hf_entry *entry = find_entry(e, name, name_len);
    return entry != NULL ? entry->file : NULL;
}

struct hf_served_file *hf_edition_reach(struct hf_edition *e, const char *name, size_t name_len)
{
    struct hf_entry *entry = find_entry(e, name, name_len);
    if (entry == NULL)
        return NULL;
    entry->is_reached = true;
    return entry->file;
}

void hf_edition_prune(struct hf_edition *e, const struct hf_edition *before)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < e->n_files; i++) {
        struct hf_entry entry = e->files[i];
        const struct hf_served_file *served = NULL;
        if (before != NULL)
            served = hf_edition_find(before, entry.file->name, strlen(entry.file->name));
        bool was_served = served != NULL &&
                          memcmp(served->sha256, entry.file->sha256, HF_SHA256_LEN) == 0;
        if (entry.is_reached || was_served) {
            e->files[n_kept++] = entry;
        } else {
            e->total_bytes -= entry.file->body.bytes.len;
            hf_served_file_unref(entry.file);
        }
    }
    e->n_files = n_kept;
}
