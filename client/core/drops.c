/*
 * What a publisher dropped on purpose stays dropped: when a device goes back to the bundle before, and
 * when that is all it can read. The list is that of the newest bundle that was ever active; a later
 * one brings back what it holds and does not drop.
 */
#include "client/core/client_internal.h"

#include "common/base/hex.h"

#include <string.h>

enum hf_err hf_drops_save(struct hf_client *c, const struct hf_description *d, struct hf_why *why)
{
    struct hf_buf text = {0};
    char hex[HF_SHA256_HEX_LEN];
    size_t first = d->n_drops > HF_DROPS_KEPT_MAX ? d->n_drops - HF_DROPS_KEPT_MAX : 0;

    enum hf_err err = hf_buf_append_text(&text, "");
    for (size_t i = first; i < d->n_drops && err == HF_OK; i++) {
        hf_hex_encode(d->drops[i], HF_SHA256_LEN, hex);
        err = hf_buf_printf(&text, "%s ", hex);
    }
    err = err == HF_OK ? hf_value_save(c, "bundle.drops", (const char *)text.data, why)
                       : hf_fail(why, err, "out of memory for the anchors that are dropped");
    hf_buf_free(&text);
    return err;
}

bool hf_drops_has(const struct hf_description *d, const struct hf_anchor *anchor)
{
    for (size_t i = 0; i < d->n_drops; i++) {
        if (memcmp(d->drops[i], anchor->cert.spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

void hf_drops_leave_out(struct hf_bundle *bundle, const struct hf_description *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (!hf_drops_has(d, &bundle->anchors[i]))
            bundle->anchors[kept++] = bundle->anchors[i];
    }
    bundle->n_anchors = kept;
}

static void leave_out_stored(struct hf_bundle *bundle, const char *drops)
{
    char hex[HF_SHA256_HEX_LEN];
    size_t kept = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        hf_hex_encode(bundle->anchors[i].cert.spki_sha256, HF_SHA256_LEN, hex);
        if (strstr(drops, hex) == NULL)
            bundle->anchors[kept++] = bundle->anchors[i];
    }
    bundle->n_anchors = kept;
}

enum hf_err hf_bundle_in_use(struct hf_client *c, const struct hf_bundle_record *record,
                             struct hf_bundle *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_buf drops = {0};
    struct hf_why unread = {0};

    HF_TRY(hf_bundle_of_record(record, &bundle, why));
    if (hf_value_load(c, "bundle.drops", &drops, &unread) == HF_OK)
        leave_out_stored(&bundle, (const char *)drops.data);
    else
        hf_log(c, HF_LEVEL_WARNING, "which anchors were dropped cannot be read: %s", unread.text);
    hf_buf_free(&drops);
    *out = bundle;
    return HF_OK;
}
