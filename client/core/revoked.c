/*
 * What the publisher revoked stays revoked: when a device goes back to the bundle before, to that of the
 * factory, or to the only one that it can read. The list is that of the newest bundle that was ever
 * active. A later one replaces it, so that it brings back what it holds: an attacker with the targets
 * keys cannot revoke a root for good.
 */
#include "client/core/client_internal.h"

#include <string.h>

struct hf_bytes hf_description_revoked(const struct hf_description *d)
{
    return (struct hf_bytes){(const uint8_t *)d->drops, d->n_drops * HF_SHA256_LEN};
}

bool hf_revoked_has(struct hf_bytes revoked, const uint8_t spki_sha256[HF_SHA256_LEN])
{
    for (size_t at = 0; at + HF_SHA256_LEN <= revoked.len; at += HF_SHA256_LEN) {
        if (memcmp(revoked.data + at, spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* ---- the stored list ----------------------------------------------------------------------------- */

/* What the newest of the stored bundles says of it, which is all that is left. */
static enum hf_err load_from_bundles(struct hf_client *c, struct hf_buf *out, struct hf_why *why)
{
    static const enum hf_slot slots[] = {HF_SLOT_ACTIVE, HF_SLOT_PREVIOUS};
    int64_t newest = 0;
    enum hf_err err = HF_OK;

    for (size_t i = 0; i < sizeof slots / sizeof slots[0] && err == HF_OK; i++) {
        struct hf_bundle_record record = {0};
        struct hf_description d = {0};
        if (hf_bundle_load(c, slots[i], &record, why) == HF_OK && record.version > newest &&
            hf_bundle_record_describe(&record, &d, why) == HF_OK) {
            newest = record.version;
            out->len = 0;
            err = hf_buf_append(out, d.drops, d.n_drops * HF_SHA256_LEN);
        }
        hf_description_free(&d);
        hf_bundle_record_free(&record);
    }
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory for the revoked keys");
}

enum hf_err hf_revoked_load(struct hf_client *c, struct hf_buf *out, struct hf_why *why)
{
    struct hf_buf keys = {0};
    struct hf_why unread = {0};

    enum hf_err err = c->ports.store.load_revoked(c->ports.store.ctx, &keys, &unread);
    if (err != HF_OK && err != HF_E_MEMORY) {
        hf_log(c, HF_LEVEL_WARNING,
               "the list of revoked roots cannot be read (%s): that of the newest stored bundle is "
               "used",
               unread.text);
        keys.len = 0;
        err = load_from_bundles(c, &keys, &unread);
    }
    if (err != HF_OK) {
        hf_buf_free(&keys);
        return hf_fail(why, err, "%s", unread.text);
    }
    *out = keys;
    return HF_OK;
}

enum hf_err hf_revoked_save(struct hf_client *c, const struct hf_description *d, struct hf_why *why)
{
    return c->ports.store.save_revoked(c->ports.store.ctx, hf_description_revoked(d), why);
}

bool hf_revoked_is(struct hf_client *c, const struct hf_description *d)
{
    struct hf_buf keys = {0};

    bool is_same = c->ports.store.load_revoked(c->ports.store.ctx, &keys, NULL) == HF_OK &&
                   hf_bytes_equal(hf_buf_bytes(&keys), hf_description_revoked(d));
    hf_buf_free(&keys);
    return is_same;
}

/* ---- bundles without it -------------------------------------------------------------------------- */

enum hf_err hf_bundle_in_use(struct hf_client *c, const struct hf_bundle_record *record,
                             struct hf_bundle *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_buf revoked = {0};
    size_t kept = 0;

    HF_TRY(hf_revoked_load(c, &revoked, why));
    enum hf_err err = hf_bundle_of_record(record, &bundle, why);
    for (size_t i = 0; i < bundle.n_anchors && err == HF_OK; i++) {
        if (!hf_revoked_has(hf_buf_bytes(&revoked), bundle.anchors[i].cert.spki_sha256))
            bundle.anchors[kept++] = bundle.anchors[i];
    }
    hf_buf_free(&revoked);
    HF_TRY(err);
    bundle.n_anchors = kept;
    *out = bundle;
    return HF_OK;
}
