#include "client/core/bundles.h"

#include "common/base/digest.h"
#include "common/bundle/pem.h"
#include "common/bundle/policy.h"
#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hf_bundle_record_free(struct hf_bundle_record *record)
{
    if (record == NULL)
        return;
    hf_buf_free(&record->pem);
    hf_buf_free(&record->custom);
    *record = (struct hf_bundle_record){0};
}

/* What was signed about it; nothing for the factory's. The caller frees `out`. */
static enum hf_err describe(const struct hf_bundle_record *record, struct hf_description *out,
                            struct hf_why *why)
{
    json_t *custom = NULL;

    *out = (struct hf_description){0};
    if (record->custom.len == 0) /* the factory's */
        return HF_OK;
    HF_TRY(hf_json_parse_object(hf_buf_bytes(&record->custom), "the bundle's stored description",
                                &custom, why));
    enum hf_err err = hf_description_parse(custom, out, why);
    json_decref(custom);
    return err;
}

enum hf_err hf_bundle_load(struct hf_client *c, enum hf_slot slot, struct hf_bundle_record *out,
                           struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_description description = {0};
    struct hf_why reason = {0};
    char found[HF_SHA256_HEX_LEN];

    HF_TRY(c->ports.store.load_bundle(c->ports.store.ctx, slot, &record, why));
    hf_sha256_hex(hf_buf_bytes(&record.pem), found);
    enum hf_err err = HF_OK;
    if (strcmp(found, record.sha256) != 0)
        err = hf_fail(&reason, HF_E_STORAGE, "expected SHA-256 %s, found %s", record.sha256, found);
    if (err == HF_OK) { /* the hash is of the certificates only */
        err = describe(&record, &description, &reason);
        hf_description_free(&description);
    }
    if (err == HF_OK) {
        *out = record;
        return HF_OK;
    }
    err = hf_fail(why, err == HF_E_MEMORY ? err : HF_E_STORAGE,
                  "the stored bundle %s/%s %lld is damaged: %s", record.set, record.profile,
                  (long long)record.version, reason.text);
    hf_bundle_record_free(&record);
    return err;
}

enum hf_err hf_bundle_of_record(const struct hf_bundle_record *record, struct hf_bundle *out,
                                struct hf_why *why)
{
    const bool is_described = record->custom.len > 0; /* the factory's are plain anchors */
    struct hf_description description = {0};
    struct hf_why reason = {0};

    enum hf_err err = describe(record, &description, &reason);
    if (err == HF_OK)
        err = hf_bundle_parse(hf_buf_bytes(&record->pem), is_described ? &description : NULL, out,
                              &reason);
    hf_description_free(&description);
    if (err == HF_OK)
        return HF_OK;
    return hf_fail(why, err == HF_E_MEMORY ? err : HF_E_STORAGE,
                   "the stored bundle %s/%s %lld cannot be used: %s", record->set, record->profile,
                   (long long)record->version, reason.text);
}

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

enum hf_err hf_bundle_load_in_use(struct hf_client *c, enum hf_slot slot, struct hf_bundle *out,
                                  struct hf_why *why)
{
    struct hf_bundle_record record = {0};

    HF_TRY(hf_bundle_load(c, slot, &record, why));
    enum hf_err err = hf_bundle_in_use(c, &record, out, why);
    hf_bundle_record_free(&record);
    return err;
}

enum hf_err hf_skipped_describe(const struct hf_bundle *bundle, struct hf_skipped_status **out,
                                size_t *n_out, struct hf_why *why)
{
    struct hf_skipped_status *list = calloc(bundle->n_skipped + 1, sizeof *list);

    if (list == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the status of %zu certificates",
                       bundle->n_skipped);
    for (size_t i = 0; i < bundle->n_skipped; i++) {
        const struct hf_unsupported_cert *cert = &bundle->skipped[i];
        struct hf_skipped_status *status = &list[i];
        (void)snprintf(status->subject, sizeof status->subject, "%s", cert->subject);
        (void)snprintf(status->unsupported, sizeof status->unsupported, "%s", cert->what);
        hf_hex_encode(cert->sha256, HF_SHA256_LEN, status->sha256);
        hf_hex_encode(cert->spki_sha256, HF_SHA256_LEN, status->spki_sha256);
    }
    *out = list;
    *n_out = bundle->n_skipped;
    return HF_OK;
}

size_t hf_bundle_count_usable(const struct hf_bundle *bundle, int64_t now_s)
{
    size_t n = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++)
        n += hf_policy_anchor_state(&bundle->anchors[i], now_s) == HF_ANCHOR_USABLE;
    return n;
}

/* ---- what is revoked ------------------------------------------------------------------------- */

/*
 * What the publisher revoked stays revoked: when a device goes back to the bundle before, to that
 * of the factory, or to the only one that it can read. The list is that of the newest bundle that
 * was ever active. A later one replaces it, so that it brings back what it holds: an attacker with
 * the targets keys cannot revoke a root permanently.
 */

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

enum hf_err hf_revoked_load(struct hf_client *c, struct hf_buf *out, struct hf_why *why)
{
    static const enum hf_slot slots[] = {HF_SLOT_ACTIVE, HF_SLOT_PREVIOUS};
    struct hf_buf keys = {0};
    struct hf_why unread = {0};
    int64_t newest = 0;

    enum hf_err err = c->ports.store.load_revoked(c->ports.store.ctx, &keys, &unread);
    if (err != HF_OK && err != HF_E_MEMORY) {
        hf_log(c, HF_LEVEL_WARNING,
               "the list of revoked roots cannot be read (%s): that of the newest stored bundle is "
               "used",
               unread.text);
        err = HF_OK;
        keys.len = 0;
        for (size_t i = 0; i < 2 && err == HF_OK; i++) {
            struct hf_bundle_record record = {0};
            struct hf_description d = {0};
            if (hf_bundle_load(c, slots[i], &record, &unread) == HF_OK && record.version > newest &&
                describe(&record, &d, &unread) == HF_OK) {
                newest = record.version;
                keys.len = 0;
                err = hf_buf_append(&keys, d.drops, d.n_drops * HF_SHA256_LEN);
            }
            hf_description_free(&d);
            hf_bundle_record_free(&record);
        }
        if (err != HF_OK)
            (void)hf_fail(&unread, err, "out of memory for the revoked keys");
    }
    if (err != HF_OK) {
        hf_buf_free(&keys);
        return hf_fail(why, err, "%s", unread.text);
    }
    *out = keys;
    return HF_OK;
}

/* ---- the active trust store ------------------------------------------------------------------ */

enum hf_err hf_trust_anchors_of(const struct hf_bundle *bundle, struct hf_trust_anchor **out,
                                struct hf_why *why)
{
    struct hf_trust_anchor *anchors = calloc(bundle->n_anchors + 1, sizeof *anchors);

    if (anchors == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *a = &bundle->anchors[i];
        anchors[i] = (struct hf_trust_anchor){
            .der = a->der,
            .not_before_s = a->cert.not_before_s,
            .not_after_s = a->cert.not_after_s,
            .distrust_after_s = a->distrust_after_s,
            .remove_after_s = a->remove_after_s,
        };
    }
    *out = anchors;
    return HF_OK;
}

enum hf_err hf_active_store_swap(struct hf_client *c, const struct hf_bundle_record *record,
                                 const struct hf_bundle *bundle, struct hf_why *why)
{
    const struct hf_trust_port *trust = &c->ports.trust;
    struct hf_trust_anchor *anchors = NULL;

    HF_TRY(hf_trust_anchors_of(bundle, &anchors, why));
    enum hf_err err = trust->swap(trust->ctx, anchors, bundle->n_anchors, why);
    free(anchors);
    HF_TRY(err);
    c->has_swapped = true;
    c->loaded_version = record->version;
    memcpy(c->loaded_sha256, record->sha256, sizeof c->loaded_sha256);
    return HF_OK;
}

static bool is_loaded(const struct hf_client *c, const struct hf_bundle_record *record)
{
    return c->loaded_version == record->version && strcmp(c->loaded_sha256, record->sha256) == 0;
}

enum hf_err hf_active_store_follow(struct hf_client *c, const struct hf_bundle_record *record,
                                   struct hf_why *why)
{
    struct hf_bundle bundle = {0};

    if (is_loaded(c, record))
        return HF_OK;
    HF_TRY(hf_bundle_in_use(c, record, &bundle, why));
    enum hf_err err = hf_active_store_swap(c, record, &bundle, why);
    hf_bundle_free(&bundle);
    return err;
}

static enum hf_err follow_slot(struct hf_client *c, enum hf_slot slot, struct hf_bundle_record *out,
                               struct hf_why *why)
{
    HF_TRY(hf_bundle_load(c, slot, out, why));
    enum hf_err err = hf_active_store_follow(c, out, why);
    if (err != HF_OK)
        hf_bundle_record_free(out);
    return err;
}

void hf_active_store_follow_stored(struct hf_client *c, struct hf_bundle_record *out)
{
    struct hf_why why = {0};

    enum hf_err err = follow_slot(c, HF_SLOT_ACTIVE, out, &why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        hf_log(c, HF_LEVEL_WARNING, "the live trust store stays as it is: %s", why.text);
}

void hf_active_store_load(struct hf_client *c)
{
    struct hf_bundle_record record = {0};
    struct hf_why why = {0};

    enum hf_err err = follow_slot(c, HF_SLOT_ACTIVE, &record, &why);
    if (err != HF_OK && err != HF_E_NOT_FOUND) { /* none yet: the first update brings one */
        (void)hf_fail_context(&why, "the active bundle is not usable, the previous one is taken");
        hf_journal_or_log(c, HF_LEVEL_ERROR, "load", why.text);
        if (follow_slot(c, HF_SLOT_PREVIOUS, &record, &why) != HF_OK) {
            (void)hf_fail_context(&why,
                                  "the previous bundle is not usable, the trust store is empty");
            hf_journal_or_log(c, HF_LEVEL_ERROR, "load", why.text);
        }
    }
    hf_bundle_record_free(&record);
}

/* HF_E_STATE: the slot holds another bundle than the active store. */
static enum hf_err take_if_loaded(struct hf_client *c, enum hf_slot slot, struct hf_bundle *out,
                                  struct hf_why *why)
{
    struct hf_bundle_record record = {0};

    HF_TRY(hf_bundle_load(c, slot, &record, why));
    enum hf_err err =
        is_loaded(c, &record)
            ? hf_bundle_in_use(c, &record, out, why)
            : hf_fail(why, HF_E_STATE,
                      "version %lld is active, but the live trust store could not be brought up to "
                      "it; the next update tries again",
                      (long long)record.version);
    hf_bundle_record_free(&record);
    return err;
}

/* The bundle that the active store holds, without what is revoked, after bringing the store up to
 * the one that is stored as active. HF_E_NOT_FOUND if it holds none. The caller frees `out`. */
static enum hf_err active_bundle(struct hf_client *c, struct hf_bundle *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_why no_previous = {0};

    hf_active_store_follow_stored(c, &record);
    enum hf_err err = record.pem.len > 0 ? hf_bundle_in_use(c, &record, out, why)
                                         : take_if_loaded(c, HF_SLOT_ACTIVE, out, why);
    hf_bundle_record_free(&record);
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return err;
    /* The active bundle cannot be read, or not be used: then the active store has the previous
     * one. */
    return take_if_loaded(c, HF_SLOT_PREVIOUS, out, &no_previous) == HF_OK ? HF_OK : err;
}

/* ---- the active trust store as PEM, for programs that do not link libholdfast ---------------- */

/* What PEM cannot say stands above the certificate. The subject is printable ASCII without line
 * breaks (hf_cert), so it stays a comment. */
static enum hf_err append_anchor(struct hf_buf *out, const struct hf_anchor *anchor)
{
    char date[HF_TIME_TEXT_MAX];

    HF_TRY(hf_buf_printf(out, "# %s\n", anchor->cert.subject));
    if (anchor->distrust_after_s != HF_TIME_NONE) {
        hf_time_format(anchor->distrust_after_s, date);
        HF_TRY(
            hf_buf_printf(out,
                          "# distrust_after: server certificates issued after %s under this root "
                          "are to be refused; PEM cannot say this.\n",
                          date));
    }
    if (anchor->remove_after_s != HF_TIME_NONE) {
        hf_time_format(anchor->remove_after_s, date);
        HF_TRY(hf_buf_printf(out, "# remove_after: this root leaves this file after %s.\n", date));
    }
    return hf_pem_append(out, anchor->der);
}

enum hf_err hf_client_export_pem(struct hf_client *client, struct hf_buf *out, struct hf_why *why)
{
    const int64_t now_s = hf_client_now_s(client);
    struct hf_bundle bundle = {0};
    struct hf_why own = {0};
    size_t n = 0;

    enum hf_err err = active_bundle(client, &bundle, &own);
    if (err != HF_OK)
        return hf_pass_on(why, &own, err);
    for (size_t i = 0; i < bundle.n_anchors && err == HF_OK; i++) {
        if (hf_policy_anchor_state(&bundle.anchors[i], now_s) != HF_ANCHOR_USABLE)
            continue;
        err = append_anchor(out, &bundle.anchors[i]);
        n++;
    }
    if (err == HF_OK && n == 0)
        err = hf_buf_append_text(out, "# No root of the active bundle is valid today.\n");
    if (err != HF_OK)
        err = hf_fail(&own, HF_E_MEMORY, "out of memory for the bundle as PEM");
    hf_bundle_free(&bundle);
    return hf_pass_on(why, &own, err);
}

/* `first_s`: the first second of a new state of an anchor; HF_TIME_NONE: never. */
static void narrow(int64_t first_s, int64_t now_s, int64_t *from_s, int64_t *until_s)
{
    if (first_s == HF_TIME_NONE)
        return;
    if (first_s <= now_s && first_s > *from_s)
        *from_s = first_s;
    if (first_s > now_s && first_s < *until_s)
        *until_s = first_s;
}

/* Dates end with their last second; certificates may say the year 9999, so one more does no
 * harm. */
static int64_t after(int64_t last_s)
{
    return last_s == HF_TIME_NONE || last_s == INT64_MAX ? HF_TIME_NONE : last_s + 1;
}

void hf_client_export_span(struct hf_client *client, int64_t *from_s, int64_t *until_s)
{
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};
    int64_t now_s = hf_client_now_s(client);

    *from_s = INT64_MIN;
    *until_s = INT64_MAX;
    if (active_bundle(client, &bundle, &why) != HF_OK)
        return;
    for (size_t i = 0; i < bundle.n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle.anchors[i];
        narrow(anchor->cert.not_before_s, now_s, from_s, until_s);
        narrow(after(anchor->cert.not_after_s), now_s, from_s, until_s);
        narrow(after(anchor->remove_after_s), now_s, from_s, until_s);
    }
    hf_bundle_free(&bundle);
}
