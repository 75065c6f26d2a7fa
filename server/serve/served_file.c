#include "server/serve/served_file.h"

#include "common/base/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text);
    size_t end_len = strlen(end);
    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

const char *hf_served_file_type(const char *name)
{
    if (ends_with(name, ".json"))
        return "application/json";
    if (ends_with(name, ".pem"))
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
                      hf_served_file_type(f->name), f->body_len, f->etag, rule);
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

enum hf_err hf_served_file_new_take(const char *name, const struct hf_file_mark *mark,
                                    uint8_t *body, size_t body_len, struct hf_served_file **out,
                                    struct hf_why *why)
{
    struct hf_served_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        free(body);
        return hf_fail(why, HF_E_MEMORY, "no memory for %s", name);
    }
    atomic_init(&f->references, 1);
    f->mark = *mark;
    f->body = body;
    f->body_len = body_len;
    hf_sha256((struct hf_bytes){body, body_len}, f->sha256);
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
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    return file;
}

void hf_served_file_unref(struct hf_served_file *file)
{
    if (file == NULL || atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1)
        return;
    free(file->name);
    free(file->body);
    free(file->head_ok);
    free(file->head_same);
    free(file);
}
