#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "common/bundle/policy.h"
#include "common/os/file_util.h"
#include "server/repository/certs/cert_files.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
    struct hf_anchor anchor;
    struct hf_buf der;
    const char *file;
};

struct reading {
    struct candidate *items;
    size_t n_items;
    const char *file;
    const struct hf_vouching *by;
    struct hf_findings *out;
};

static enum hf_err take_cert(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct reading *r = ctx;
    struct candidate c = {.file = r->file};
    struct hf_why reason = {0};
    if (r->n_items == HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than the %d certificates that devices accept",
                       HF_BUNDLE_ANCHORS_MAX);
    if (hf_buf_append(&c.der, der.data, der.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
    c.anchor.der = hf_buf_bytes(&c.der);
    c.anchor.distrust_after_s = c.anchor.remove_after_s = HF_TIME_NONE;
    enum hf_err err = hf_cert_parse(c.anchor.der, &c.anchor.cert, &reason);
    if (err != HF_OK) {
        hf_buf_free(&c.der);
        return hf_findings_add(r->out, err == HF_E_POLICY ? HF_LINT_UNSUPPORTED : HF_LINT_BROKEN,
                               r->file, why, "certificate %zu: %s", index + 1, reason.text);
    }
    r->items[r->n_items++] = c;
    return HF_OK;
}

static enum hf_err read_file(struct reading *r, struct hf_why *why)
{
    struct hf_buf content = {0};
    struct hf_why reason = {0};
    enum hf_err err = hf_file_read_any(r->file, HF_BUNDLE_BYTES_MAX, &content, &reason);
    if (err == HF_E_NOT_FOUND || err == HF_E_STORAGE)
        return hf_findings_add(r->out, HF_LINT_BROKEN, r->file, why, "%s", reason.text);
    if (err != HF_OK)
        return hf_fail(why, err, "%s", reason.text);
    err = hf_pem_or_der_walk(hf_buf_bytes(&content), take_cert, r, &reason);
    hf_buf_free(&content);
    if (err == HF_E_FORMAT || err == HF_E_NOT_FOUND)
        return hf_findings_add(r->out, HF_LINT_BROKEN, r->file, why, "%s", reason.text);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "%s: %s", r->file, reason.text);
}

/* `*is_fit` says whether it may go into a bundle. */
static enum hf_err judge(const struct reading *r, size_t index, bool *is_fit, struct hf_why *why)
{
    struct candidate *c = &r->items[index];
    struct hf_cert *cert = &c->anchor.cert;
    struct hf_why reason = {0};
    bool has_root_of_same_key = false;
    *is_fit = false;
    for (size_t i = 0; i < r->n_items; i++) {
        const struct hf_cert *other = &r->items[i].anchor.cert;
        if (i < index && memcmp(other->sha256, cert->sha256, HF_SHA256_LEN) == 0)
            return HF_OK; /* the same certificate from two files is one */
        if (other->is_self_issued &&
            memcmp(other->spki_sha256, cert->spki_sha256, HF_SHA256_LEN) == 0)
            has_root_of_same_key = true;
    }
    /* There is no root of its issuer to be found: it is its own. */
    if (cert->is_self_issued && hf_policy_check_ca(&c->anchor, &reason) != HF_OK)
        return hf_findings_add(r->out, HF_LINT_NOT_A_CA, c->file, why, "%s", reason.text);
    if (!cert->is_ca)
        return hf_findings_add(r->out, HF_LINT_NOT_A_CA, c->file, why,
                               "\"%s\" is not a CA certificate; find the root of its issuer \"%s\"",
                               cert->subject, cert->issuer);
    if (!cert->is_self_issued && !has_root_of_same_key)
        return hf_findings_add(r->out, HF_LINT_INTERMEDIATE, c->file, why,
                               "\"%s\" is an intermediate, issued by \"%s\", which may replace it "
                               "any day; take that root instead",
                               cert->subject, cert->issuer);
    c->anchor.use = cert->is_self_issued ? HF_USE_ANCHOR : HF_USE_CROSS_SIGNED;
    if (hf_policy_check_anchor(&c->anchor, &reason) != HF_OK)
        return hf_findings_add(r->out, HF_LINT_WEAK, c->file, why, "%s", reason.text);
    if (cert->is_self_issued && hf_cert_verify_self_signature(c->anchor.der, &reason) != HF_OK)
        return hf_findings_add(r->out, HF_LINT_BROKEN, c->file, why, "%s", reason.text);
    *is_fit = true;
    return r->by == NULL ? HF_OK : hf_vouching_check(r->by, cert, c->file, r->out, why);
}

enum hf_err hf_lint_files(const char *const *paths, const struct hf_vouching *by,
                          struct hf_findings *out, struct hf_buf *pem, struct hf_why *why)
{
    struct reading r = {.items = calloc(HF_BUNDLE_ANCHORS_MAX, sizeof *r.items),
                        .by = by,
                        .out = out};
    char **files = NULL;
    if (r.items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
    enum hf_err err = hf_cert_paths_find(paths, &files, why);
    for (size_t i = 0; err == HF_OK && files != NULL && files[i] != NULL; i++) {
        r.file = files[i];
        err = read_file(&r, why);
    }
    for (size_t i = 0; err == HF_OK && i < r.n_items; i++) {
        bool is_fit = false;
        err = judge(&r, i, &is_fit, why);
        if (err == HF_OK && is_fit && hf_pem_append(pem, r.items[i].anchor.der) != HF_OK)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
    }
    for (size_t i = 0; i < r.n_items; i++)
        hf_buf_free(&r.items[i].der);
    free(r.items);
    hf_cert_paths_free(files);
    return err;
}
