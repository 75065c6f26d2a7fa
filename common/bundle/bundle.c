#include "common/bundle/bundle.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"

#include <stdlib.h>
#include <string.h>

static const struct hf_anchor *find(const struct hf_bundle *b, const uint8_t sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < b->n_anchors; i++) {
        if (memcmp(b->anchors[i].cert.sha256, sha256, HF_SHA256_LEN) == 0)
            return &b->anchors[i];
    }
    return NULL;
}

/* The array doubles: most bundles hold five anchors, some 144. */
static enum hf_err grow(struct hf_bundle *b, struct hf_why *why)
{
    if (b->n_anchors == HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "the bundle has more than the %d certificates that are "
                       "accepted",
                       HF_BUNDLE_ANCHORS_MAX);
    size_t n = b->n_anchors;
    bool is_full = n == 0 || (n >= 8 && (n & (n - 1)) == 0); /* 8, 16, 32, … */
    if (!is_full)
        return HF_OK;
    struct hf_anchor *anchors = realloc(b->anchors, (n == 0 ? 8 : 2 * n) * sizeof *anchors);
    if (anchors == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a bundle");
    b->anchors = anchors;
    return HF_OK;
}

static enum hf_err add_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct hf_bundle *b = ctx;
    struct hf_anchor anchor = {.distrust_after_s = HF_TIME_NONE, .remove_after_s = HF_TIME_NONE};

    /* Room for all of it was reserved, so what earlier anchors point to does not move. */
    size_t at = b->der.len;
    if (hf_buf_append(&b->der, der.data, der.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a bundle");
    anchor.der = (struct hf_bytes){b->der.data + at, der.len};

    HF_TRY(hf_cert_parse(anchor.der, &anchor.cert, why));
    const struct hf_anchor *twin = find(b, anchor.cert.sha256);
    if (twin != NULL)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" is the same as certificate %zu; leave one out",
                       anchor.cert.subject, (size_t)(twin - b->anchors) + 1);
    HF_TRY(grow(b, why));
    b->anchors[index] = anchor;
    b->n_anchors = index + 1;
    return HF_OK;
}

static enum hf_err apply_note(struct hf_bundle *b, const struct hf_anchor_note *note,
                              struct hf_why *why)
{
    for (size_t i = 0; i < b->n_anchors; i++) {
        struct hf_anchor *anchor = &b->anchors[i];
        if (memcmp(anchor->cert.sha256, note->sha256, HF_SHA256_LEN) != 0)
            continue;
        anchor->use = note->use;
        anchor->distrust_after_s = note->distrust_after_s;
        anchor->remove_after_s = note->remove_after_s;
        return HF_OK;
    }
    char hex[HF_SHA256_HEX_LEN];
    hf_hex_encode(note->sha256, HF_SHA256_LEN, hex);
    return hf_fail(why, HF_E_FORMAT,
                   "the bundle's description speaks of a certificate with SHA-256 %s, the bundle "
                   "does not hold it; they do not belong together",
                   hex);
}

/* Back to what it holds: doubled for 144 anchors, it has room for 256. */
static void shrink(struct hf_bundle *b)
{
    struct hf_anchor *anchors = realloc(b->anchors, b->n_anchors * sizeof *anchors);
    if (anchors != NULL)
        b->anchors = anchors;
}

static enum hf_err parse(struct hf_bytes pem, const struct hf_description *description,
                         struct hf_bundle *b, struct hf_why *why)
{
    /* Four characters of base64, all of them padded, are three bytes at most. */
    if (hf_buf_reserve(&b->der, pem.len / 4 * 3 + 3) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a bundle");
    HF_TRY(hf_pem_walk(pem, add_block, b, why));
    shrink(b);
    for (size_t i = 0; description != NULL && i < description->n_notes; i++)
        HF_TRY(apply_note(b, &description->notes[i], why));
    return HF_OK;
}

enum hf_err hf_bundle_parse(struct hf_bytes pem, const struct hf_description *description,
                            struct hf_bundle *out, struct hf_why *why)
{
    if (pem.len > HF_BUNDLE_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "the bundle has %zu bytes, at most %u are accepted",
                       pem.len, HF_BUNDLE_BYTES_MAX);
    struct hf_bundle b = {0};
    enum hf_err err = parse(pem, description, &b, why);
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
    hf_buf_free(&bundle->der);
    *bundle = (struct hf_bundle){0};
}

const struct hf_anchor *hf_bundle_find(const struct hf_bundle *b,
                                       const uint8_t sha256[HF_SHA256_LEN])
{
    return find(b, sha256);
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

enum hf_err hf_bundle_to_pem(const struct hf_bundle *b, struct hf_buf *out)
{
    for (size_t i = 0; i < b->n_anchors; i++) {
        /* The subject is printable ASCII without line breaks (hf_cert), so it stays a comment. */
        HF_TRY(hf_buf_printf(out, "# %s\n", b->anchors[i].cert.subject));
        HF_TRY(hf_pem_append(out, b->anchors[i].der));
    }
    return HF_OK;
}
