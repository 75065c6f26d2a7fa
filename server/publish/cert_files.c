#include "server/publish/cert_files.h"

#include "common/base/limits.h"
#include "common/bundle/cert.h"
#include "common/bundle/pem.h"
#include "server/publish/disk.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    uint8_t sha256[HF_SHA256_LEN];
    const char *file;
};

struct reading {
    struct hf_buf *pem;
    const char *file; /* the one being read */
    struct seen *seen;
    size_t n_seen;
};

static enum hf_err refuse_repeated(const struct reading *r, const struct hf_cert *cert,
                                   struct hf_why *why)
{
    for (size_t i = 0; i < r->n_seen; i++) {
        if (memcmp(r->seen[i].sha256, cert->sha256, HF_SHA256_LEN) == 0)
            return hf_fail(why, HF_E_FORMAT,
                           "\"%s\" is given twice, the first time in %s; leave one out",
                           cert->subject, r->seen[i].file);
    }
    return HF_OK;
}

static enum hf_err take_cert(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct reading *r = ctx;
    struct hf_cert cert;
    if (hf_cert_parse(der, &cert, why) != HF_OK)
        return hf_fail_context(why, "certificate %zu", index + 1);
    HF_TRY(refuse_repeated(r, &cert, why));
    if (r->n_seen == HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than the %d certificates that devices accept",
                       HF_BUNDLE_ANCHORS_MAX);
    memcpy(r->seen[r->n_seen].sha256, cert.sha256, HF_SHA256_LEN);
    r->seen[r->n_seen++].file = r->file;
    if (hf_pem_append(r->pem, der) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
    return HF_OK;
}

/* DER begins with the tag of a SEQUENCE, which no PEM file begins with. */
static bool is_der(struct hf_bytes content)
{
    return content.len > 0 && content.data[0] == 0x30;
}

static enum hf_err read_one(struct reading *r, struct hf_why *why)
{
    struct hf_buf content = {0};
    enum hf_err err = hf_disk_read(r->file, HF_BUNDLE_BYTES_MAX, &content, why);
    if (err != HF_OK)
        return err; /* names the file already */
    if (is_der(hf_buf_bytes(&content)))
        err = take_cert(r, 0, hf_buf_bytes(&content), why);
    else
        err = hf_pem_walk(hf_buf_bytes(&content), take_cert, r, why);
    hf_buf_free(&content);
    if (err != HF_OK)
        return hf_fail_context(why, "%s", r->file);
    return HF_OK;
}

enum hf_err hf_cert_files_read(const char *const *files, struct hf_buf *pem, struct hf_why *why)
{
    struct reading r = {.pem = pem, .seen = calloc(HF_BUNDLE_ANCHORS_MAX, sizeof *r.seen)};
    if (r.seen == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
    enum hf_err err = HF_OK;
    for (size_t i = 0; files[i] != NULL && err == HF_OK; i++) {
        r.file = files[i];
        err = read_one(&r, why);
    }
    free(r.seen);
    return err;
}
