#include "client/core/bundles.h"
#include "client/core/update.h"

#include <stdio.h>

static void describe(const struct hf_client *c, const struct hf_candidate *cand, char *out,
                     size_t out_size)
{
    const struct hf_bundle_record *new = &cand->record;
    const char *how = c->waives_validation ? ", recovered" : "";
    size_t n = cand->bundle.n_anchors;
    char from[24] = "none";

    if (cand->has_active)
        (void)snprintf(from, sizeof from, "%lld", (long long)cand->active.version);
    (void)snprintf(out, out_size, "updated %s/%s %s -> %lld, %zu anchor%s%s", new->set,
                   new->profile, from, (long long)new->version, n, n == 1 ? "" : "s", how);
}

/* Old or new, never between: the bundle, the version it forbids from now on, and the line about it. */
static enum hf_err write_activation(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_candidate *cand = arg;
    char text[HF_WHY_MAX];

    HF_TRY(c->ports.store.activate_staged(c->ports.store.ctx, cand->is_active_on_trial, why));
    HF_TRY(hf_bundle_floor_raise(c, &cand->floor, cand->record.version, why));
    HF_TRY(hf_revoked_save(c, &cand->description, why));
    bool has_way_back = cand->has_active || cand->is_active_on_trial;
    HF_TRY(has_way_back && !hf_candidate_has_new_keys(cand)
               ? hf_trial_begin(c, cand->record.version, why)
               : hf_trial_end(c, why));
    HF_TRY(hf_journal_skipped(c, &cand->bundle, why));
    describe(c, cand, text, sizeof text);
    return hf_journal(c, HF_LEVEL_INFO, "swap", text, why);
}

/* Nothing new. New targets keys still adopt what is active as their floor, once, and what it revokes: a
 * holder of stolen former keys may have signed another list. */
static enum hf_err write_floor(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_candidate *cand = arg;
    HF_TRY(hf_bundle_floor_raise(c, &cand->floor, cand->active.version, why));
    return cand->target != NULL ? hf_revoked_save(c, &cand->description, why) : HF_OK;
}

static enum hf_err keep_active(struct hf_client *c, const struct hf_candidate *cand,
                               struct hf_why *why)
{
    /* Without a target the newest bundle was rejected, and what that one revoked holds. */
    bool has_other_list = cand->target != NULL && !hf_revoked_is(c, &cand->description);

    if (has_other_list || cand->floor.is_new)
        HF_TRY(hf_store_transact(c, write_floor, cand, why));
    if (has_other_list)
        c->live_version = -1; /* to be made again */
    /* Another process, or an update whose swap failed, may have changed it since. */
    return hf_live_swap_if_other(c, &cand->active, why);
}

enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_trial active_trial;

    if (cand->is_active)
        return keep_active(c, cand, why);
    hf_buf_free(&cand->active.pem); /* read for the last time, and as large as the new one */
    if (!cand->is_staged)
        HF_TRY(store->stage_bundle(store->ctx, &cand->record, why));
    hf_trial_load(c, &active_trial);
    cand->is_active_on_trial = active_trial.is_on;
    HF_TRY(hf_store_transact(c, write_activation, cand, why));
    enum hf_err err = hf_live_swap(c, &cand->record, &cand->bundle, why);
    if (err != HF_OK)
        (void)hf_fail_context(why,
                              "version %lld is committed, but running connections still use the "
                              "anchors of before; the next update or start loads it",
                              (long long)cand->record.version);
    return err;
}
