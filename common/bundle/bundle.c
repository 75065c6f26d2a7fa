#include "common/bundle/bundle.h"

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hf_unsupported_cert *find_skipped(const struct hf_bundle *b,
                                                      const uint8_t sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < b->n_skipped; i++) {
        if (memcmp(b->skipped[i].sha256, sha256, HF_SHA256_LEN) == 0)
            return &b->skipped[i];
    }
    return NULL;
}

/* Room for one more. The array doubles: most bundles hold five anchors, some 144. */
static enum hf_err grow(const struct hf_bundle *b, void **array, size_t n, size_t item_size,
                        struct hf_why *why)
{
    if (b->n_anchors + b->n_skipped == HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "the bundle has more than the %d certificates that are "
                       "accepted",
                       HF_BUNDLE_ANCHORS_MAX);
    bool is_full = n == 0 || (n >= 8 && (n & (n - 1)) == 0); /* 8, 16, 32, … */
    if (!is_full)
        return HF_OK;
    void *items = realloc(*array, (n == 0 ? 8 : 2 * n) * item_size);
    if (items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a bundle");
    *array = items;
    return HF_OK;
}

struct reader {
    struct hf_bundle *bundle;
    bool is_signed; /* then a duplicate is a mistake of its publisher */
};

static enum hf_err add_skipped(const struct reader *r, const struct hf_unsupported_cert *cert,
                               struct hf_why *why)
{
    struct hf_bundle *b = r->bundle;
    void *skipped = b->skipped;
    if (find_skipped(b, cert->sha256) != NULL)
        return r->is_signed
                   ? hf_fail(why, HF_E_FORMAT, "\"%s\" comes twice; leave one out", cert->subject)
                   : HF_OK;
    HF_TRY(grow(b, &skipped, b->n_skipped, sizeof *cert, why));
    b->skipped = skipped;
    b->skipped[b->n_skipped++] = *cert;
    return HF_OK;
}

static enum hf_err add_anchor(const struct reader *r, const struct hf_anchor *anchor,
                              struct hf_why *why)
{
    struct hf_bundle *b = r->bundle;
    void *anchors = b->anchors;
    const struct hf_anchor *same = hf_bundle_find(b, anchor->cert.sha256);
    if (same != NULL)
        return r->is_signed ? hf_fail(why, HF_E_FORMAT,
                                      "\"%s\" is the same as certificate %zu; leave one out",
                                      anchor->cert.subject, (size_t)(same - b->anchors) + 1)
                            : HF_OK;
    HF_TRY(grow(b, &anchors, b->n_anchors, sizeof *anchor, why));
    b->anchors = anchors;
    b->anchors[b->n_anchors++] = *anchor;
    return HF_OK;
}

static enum hf_err add_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    const struct reader *r = ctx;
    struct hf_bundle *b = r->bundle;
    struct hf_anchor anchor = {.distrust_after_s = HF_TIME_NONE, .remove_after_s = HF_TIME_NONE};
    struct hf_unsupported_cert unsupported;

    (void)index;
    /* Room for all of it was reserved, so what earlier anchors point to does not move. */
    size_t at = b->der.len;
    if (hf_buf_append(&b->der, der.data, der.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a bundle");
    anchor.der = (struct hf_bytes){b->der.data + at, der.len};

    enum hf_err err = hf_cert_parse(anchor.der, &anchor.cert, why);
    if (err == HF_OK)
        return add_anchor(r, &anchor, why);
    if (err != HF_E_POLICY || !hf_cert_describe_unsupported(anchor.der, &unsupported))
        return err;
    b->der.len = at;
    return add_skipped(r, &unsupported, why);
}

static enum hf_err apply_note(struct hf_bundle *b, const struct hf_anchor_note *note,
                              struct hf_why *why)
{
    char hex[HF_SHA256_HEX_LEN];
    const struct hf_anchor *found = hf_bundle_find(b, note->sha256);
    if (found != NULL) {
        struct hf_anchor *anchor = &b->anchors[found - b->anchors];
        anchor->use = note->use;
        anchor->distrust_after_s = note->distrust_after_s;
        anchor->remove_after_s = note->remove_after_s;
        return HF_OK;
    }
    if (find_skipped(b, note->sha256) != NULL)
        return HF_OK;
    hf_hex_encode(note->sha256, HF_SHA256_LEN, hex);
    return hf_fail(why, HF_E_FORMAT,
                   "the bundle's description speaks of a certificate with SHA-256 %s, the bundle "
                   "does not hold it; they do not belong together",
                   hex);
}

enum hf_err hf_bundle_parse(struct hf_bytes pem, const struct hf_description *description,
                            struct hf_bundle *out, struct hf_why *why)
{
    struct hf_bundle b = {0};
    struct reader r = {&b, description != NULL};
    if (pem.len > HF_BUNDLE_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "the bundle has %zu bytes, at most %u are accepted",
                       pem.len, HF_BUNDLE_BYTES_MAX);
    /* Four characters of base64, all of them padded, are three bytes at most. */
    if (hf_buf_reserve(&b.der, pem.len / 4 * 3 + 3) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a bundle");
    enum hf_err err = hf_pem_walk(pem, add_block, &r, why);
    if (err != HF_OK)
        goto out;
    if (b.n_anchors == 0) {
        char skipped[HF_WHY_MAX];
        hf_bundle_skipped_text(&b, skipped);
        err = hf_fail(why, HF_E_POLICY,
                      "no certificate of it can be used (expected at least one): %s", skipped);
        goto out;
    }
    /* Back to what it holds: doubled for 144 anchors, it has room for 256. */
    struct hf_anchor *anchors = realloc(b.anchors, b.n_anchors * sizeof *anchors);
    if (anchors != NULL)
        b.anchors = anchors;
    for (size_t i = 0; description != NULL && i < description->n_notes && err == HF_OK; i++)
        err = apply_note(&b, &description->notes[i], why);
out:
    if (err == HF_OK)
        *out = b;
    else
        hf_bundle_free(&b);
    return err;
}

void hf_bundle_free(struct hf_bundle *bundle)
{
    if (bundle == NULL)
        return;
    free(bundle->anchors);
    free(bundle->skipped);
    hf_buf_free(&bundle->der);
    *bundle = (struct hf_bundle){0};
}

const struct hf_anchor *hf_bundle_find(const struct hf_bundle *b,
                                       const uint8_t sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < b->n_anchors; i++) {
        if (memcmp(b->anchors[i].cert.sha256, sha256, HF_SHA256_LEN) == 0)
            return &b->anchors[i];
    }
    return NULL;
}

const struct hf_anchor *hf_bundle_find_key(const struct hf_bundle *b,
                                           const uint8_t spki_sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < b->n_anchors; i++) {
        if (memcmp(b->anchors[i].cert.spki_sha256, spki_sha256, HF_SHA256_LEN) == 0)
            return &b->anchors[i];
    }
    return NULL;
}

void hf_bundle_skipped_text(const struct hf_bundle *bundle, char out[HF_WHY_MAX])
{
    out[0] = '\0';
    for (size_t i = 0; i < bundle->n_skipped; i++)
        hf_text_append(out, HF_WHY_MAX, "%s\"%s\" (%s)",
                       i == 0 ? "skipped, because it is not supported here: " : "; ",
                       bundle->skipped[i].subject, bundle->skipped[i].what);
}

enum hf_err hf_bundle_to_pem(const struct hf_bundle *b, struct hf_buf *out)
{
    for (size_t i = 0; i < b->n_anchors; i++) {
        /* The subject is printable ASCII without line breaks (hf_cert), so it stays a comment. */
        HF_TRY(hf_buf_printf(out, "# %s\n", b->anchors[i].cert.subject));
        HF_TRY(hf_pem_append(out, b->anchors[i].der));
    }
    return HF_OK;
}
