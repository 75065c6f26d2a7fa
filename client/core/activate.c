#include "client/core/client_internal.h"

#include "common/base/hex.h"

#include <stdio.h>

static void describe(const struct hf_candidate *cand, char *out, size_t out_size)
{
    const struct hf_bundle_record *new = &cand->record;
    if (cand->has_active)
        (void)snprintf(out, out_size, "updated %s/%s %lld -> %lld, %zu anchors", new->set,
                       new->profile, (long long)cand->active.version, (long long)new->version,
                       cand->bundle.n_anchors);
    else
        (void)snprintf(out, out_size, "updated %s/%s none -> %lld, %zu anchors", new->set,
                       new->profile, (long long)new->version, cand->bundle.n_anchors);
}

/* What was dropped on purpose must stay dropped when the bundle of before is all that can be read. The
 * newest ones, as many as a value holds. */
static enum hf_err save_drops(struct hf_client *c, const struct hf_description *d,
                              struct hf_why *why)
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

/* Old or new, never between: the bundle, the version it forbids from now on, and the line about it. */
static enum hf_err write_activation(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_candidate *cand = arg;
    char text[HF_WHY_MAX];

    HF_TRY(c->ports.store.activate_staged(c->ports.store.ctx, false, why));
    HF_TRY(hf_bundle_floor_raise(c, &cand->floor, cand->record.version, why));
    HF_TRY(save_drops(c, &cand->description, why));
    describe(cand, text, sizeof text);
    return hf_journal(c, HF_LEVEL_INFO, "swap", text, why);
}

/* Nothing new. New targets keys still adopt what is active as their floor, once. */
static enum hf_err write_floor(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_candidate *cand = arg;
    return hf_bundle_floor_raise(c, &cand->floor, cand->active.version, why);
}

static enum hf_err keep_active(struct hf_client *c, const struct hf_candidate *cand,
                               struct hf_why *why)
{
    /* Another process, or an update whose swap failed, may have changed it since. */
    HF_TRY(hf_live_swap_if_other(c, &cand->active, why));
    if (!cand->floor.is_new)
        return HF_OK;
    return hf_store_transact(c, write_floor, cand, why);
}

enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;

    if (cand->is_active)
        return keep_active(c, cand, why);
    if (!cand->is_staged)
        HF_TRY(store->stage_bundle(store->ctx, &cand->record, why));
    HF_TRY(hf_store_transact(c, write_activation, cand, why));
    enum hf_err err = hf_live_swap(c, &cand->record, &cand->bundle, why);
    if (err != HF_OK)
        (void)hf_fail_context(why,
                              "version %lld is committed, but running connections still use the "
                              "anchors of before; the next update or start loads it",
                              (long long)cand->record.version);
    return err;
}
