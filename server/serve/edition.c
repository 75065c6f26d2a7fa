#include "server/serve/edition.h"

#include "common/base/hex.h"
#include "server/serve/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a file ------------------------------------------------------------------------------------ */

struct hf_file_mark hf_file_mark_of(const struct stat *st)
{
    return (struct hf_file_mark){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool hf_file_mark_same(const struct hf_file_mark *a, const struct hf_file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

bool hf_name_ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text);
    size_t end_len = strlen(end);
    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

const char *hf_served_file_type(const char *name)
{
    if (hf_name_ends_with(name, ".json"))
        return "application/json";
    if (hf_name_ends_with(name, ".pem"))
        return "application/pem-certificate-chain"; /* RFC 8555, 9.1 */
    return "application/octet-stream";
}

/* The part before the first dot of the file's own name is a version or a hash (TUF 6.2): what is
 * under such a name never changes. */
static bool is_named_by_content(const char *name)
{
    const char *base = strrchr(name, '/');
    base = base != NULL ? base + 1 : name;
    size_t digits = strspn(base, "0123456789abcdef");
    if (base[digits] != '.')
        return false;
    if (strncmp(name, "/metadata/", 10) == 0)
        return digits > 0 && strspn(base, "0123456789") == digits;
    return digits == 2 * HF_SHA256_LEN || digits == 2 * HF_SHA512_LEN;
}

const char *hf_served_file_cache_rule(const char *name)
{
    if (is_named_by_content(name))
        return "public, max-age=31536000, immutable";
    /* A minute: short against the timestamp's re-signing, long enough that a cache in front takes
     * the load of a fleet. */
    return "public, max-age=60, must-revalidate";
}

static enum hf_err build_heads(struct hf_served_file *f, struct hf_why *why)
{
    const char *rule = hf_served_file_cache_rule(f->name);
    int ok = asprintf(&f->head_ok,
                      "HTTP/1.1 200 OK\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                      "Content-Length: %zu\r\nETag: %s\r\nCache-Control: %s\r\n",
                      hf_served_file_type(f->name), f->body.bytes.len, f->etag, rule);
    if (ok < 0) {
        f->head_ok = NULL;
        return hf_fail(why, HF_E_MEMORY, "no memory for the answer to %s", f->name);
    }
    int same = asprintf(&f->head_same,
                        "HTTP/1.1 304 Not Modified\r\nServer: holdfastd\r\n"
                        "ETag: %s\r\nCache-Control: %s\r\n",
                        f->etag, rule);
    if (same < 0) {
        f->head_same = NULL;
        return hf_fail(why, HF_E_MEMORY, "no memory for the answer to %s", f->name);
    }
    f->head_ok_len = (size_t)ok;
    f->head_same_len = (size_t)same;
    return HF_OK;
}

static void free_file(struct hf_body *body)
{
    struct hf_served_file *f = (struct hf_served_file *)body;
    free(f->name);
    free((void *)(uintptr_t)f->body.bytes.data);
    free(f->head_ok);
    free(f->head_same);
    free(f);
}

enum hf_err hf_served_file_new_take(const char *name, const struct hf_file_mark *mark,
                                    uint8_t *body, size_t body_len, struct hf_served_file **out,
                                    struct hf_why *why)
{
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
    enum hf_err err = f->name != NULL ? build_heads(f, why)
                                      : hf_fail(why, HF_E_MEMORY, "no memory for %s", name);
    if (err != HF_OK) {
        hf_served_file_unref(f);
        return err;
    }
    *out = f;
    return HF_OK;
}

struct hf_served_file *hf_served_file_ref(struct hf_served_file *file)
{
    (void)hf_body_ref(&file->body);
    return file;
}

void hf_served_file_unref(struct hf_served_file *file)
{
    if (file != NULL)
        hf_body_unref(&file->body);
}

/* ---- an edition: its files ---------------------------------------------------------------------- */

enum hf_err hf_edition_new(struct hf_edition **out, struct hf_why *why)
{
    struct hf_edition *g = calloc(1, sizeof *g);
    if (g == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the repository's table of names");
    atomic_init(&g->references, 1);
    *out = g;
    return HF_OK;
}

struct hf_edition *hf_edition_ref(struct hf_edition *g)
{
    atomic_fetch_add_explicit(&g->references, 1, memory_order_relaxed);
    return g;
}

void hf_edition_unref(struct hf_edition *g)
{
    if (g == NULL || atomic_fetch_sub_explicit(&g->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < g->n_files; i++)
        hf_served_file_unref(g->files[i].file);
    hf_buf_free(&g->skipped);
    free(g->files);
    free(g);
}

static enum hf_err check_limits(const struct hf_edition *g, const struct hf_served_file *file,
                                struct hf_why *why)
{
    if (g->n_files >= HF_SERVE_REPOSITORY_FILES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "the repository has more than %u files, the most that are served; remove "
                       "old bundles or raise HF_SERVE_REPOSITORY_FILES_MAX",
                       HF_SERVE_REPOSITORY_FILES_MAX);
    if (file->body.bytes.len > HF_SERVE_REPOSITORY_BYTES_MAX - g->total_bytes)
        return hf_fail(why, HF_E_LIMIT,
                       "with %s the repository is larger than %u MiB, the most that is held in "
                       "memory; remove old bundles or raise HF_SERVE_REPOSITORY_BYTES_MAX",
                       file->name, HF_SERVE_REPOSITORY_BYTES_MAX >> 20);
    return HF_OK;
}

static enum hf_err make_room(struct hf_edition *g, struct hf_why *why)
{
    if (g->n_files < g->cap_files)
        return HF_OK;
    size_t cap = g->cap_files != 0 ? 2 * g->cap_files : 64;
    struct hf_entry *files = realloc(g->files, cap * sizeof *files);
    if (files == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a table of %zu names", cap);
    g->files = files;
    g->cap_files = cap;
    return HF_OK;
}

enum hf_err hf_edition_add_take(struct hf_edition *g, struct hf_served_file *file,
                                struct hf_why *why)
{
    enum hf_err err = check_limits(g, file, why);
    if (err == HF_OK)
        err = make_room(g, why);
    if (err != HF_OK) {
        hf_served_file_unref(file);
        return err;
    }
    g->files[g->n_files++] = (struct hf_entry){.file = file};
    g->total_bytes += file->body.bytes.len;
    return HF_OK;
}

void hf_edition_skip(struct hf_edition *g, const char *name, const char *kind)
{
    size_t len = strlen(name) + 1 + strlen(kind) + 1;
    if (g->skipped.len + len > HF_SERVE_SKIPPED_BYTES_MAX ||
        hf_buf_reserve(&g->skipped, len) != HF_OK)
        return;
    enum hf_err err = hf_buf_append(&g->skipped, name, strlen(name) + 1);
    if (err == HF_OK)
        err = hf_buf_append(&g->skipped, kind, strlen(kind) + 1);
    (void)err; /* there is room */
}

enum hf_err hf_edition_fail_missing(const struct hf_edition *g, const char *name,
                                    struct hf_why *why)
{
    for (size_t at = 0; at < g->skipped.len;) {
        const char *skipped = (const char *)g->skipped.data + at;
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
    const struct hf_entry *x = a;
    const struct hf_entry *y = b;
    return strcmp(x->file->name, y->file->name);
}

void hf_edition_seal(struct hf_edition *g)
{
    if (g->n_files > 1)
        qsort(g->files, g->n_files, sizeof *g->files, by_name);
}

/* As strcmp, for a name that ends after `len` bytes and may hold any of them. */
static int compare(const char *name, size_t len, const char *known)
{
    size_t known_len = strlen(known);
    int order = memcmp(name, known, len < known_len ? len : known_len);
    if (order != 0 || len == known_len)
        return order;
    return len < known_len ? -1 : 1;
}

static struct hf_entry *find_entry(const struct hf_edition *g, const char *name, size_t name_len)
{
    size_t low = 0;
    size_t high = g->n_files;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(name, name_len, g->files[middle].file->name);
        if (order == 0)
            return &g->files[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct hf_served_file *hf_edition_find(const struct hf_edition *g, const char *name,
                                       size_t name_len)
{
    const struct hf_entry *entry = find_entry(g, name, name_len);
    return entry != NULL ? entry->file : NULL;
}

struct hf_served_file *hf_edition_reach(struct hf_edition *g, const char *name, size_t name_len)
{
    struct hf_entry *entry = find_entry(g, name, name_len);
    if (entry == NULL)
        return NULL;
    entry->is_reached = true;
    return entry->file;
}

static bool was_served(const struct hf_edition *before, const struct hf_served_file *file)
{
    if (before == NULL)
        return false;
    const struct hf_served_file *then = hf_edition_find(before, file->name, strlen(file->name));
    return then != NULL && memcmp(then->sha256, file->sha256, HF_SHA256_LEN) == 0;
}

void hf_edition_prune(struct hf_edition *g, const struct hf_edition *before)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < g->n_files; i++) {
        struct hf_entry entry = g->files[i];
        if (entry.is_reached || was_served(before, entry.file)) {
            g->files[n_kept++] = entry;
            continue;
        }
        g->total_bytes -= entry.file->body.bytes.len;
        hf_served_file_unref(entry.file);
    }
    g->n_files = n_kept;
}
