/*
 * Factory reset: a device begins anew without losing what protects it from its own past. What is kept
 * are the walls (the newest root metadata, the floors of the clock and of the bundles, what was
 * rejected and dropped); what goes is everything that can be fetched or learnt again. So nobody gains
 * by a reset: root metadata, bundles and times of before are refused after it as they were before it.
 */
#include "client/core/client_internal.h"

#include <string.h>

/* All values but the floors (clock.*, bundle.*). */
static const char *const forgotten[] = {
    "etag.timestamp", "timestamp.seen",    "metadata.verified", "mirror.next",    "mirror.faults",
    "check.time",     "check.outcome",     "check.text",        "check.failures", "preflight.wait",
    "trial",          "recovery.failures", "endpoints.tried",   "recovery.last",
};

static enum hf_err forget_endpoints(struct hf_client *c, struct hf_why *why)
{
    char name[HF_ENDPOINT_VALUE_MAX];

    /* Also those of a configuration of before. */
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++) {
        for (int type = 0; type < HF_KEY_TYPES; type++) {
            hf_endpoint_value(i, (enum hf_key_type)type, "", name);
            HF_TRY(hf_value_change(c, name, "", why));
            hf_endpoint_value(i, (enum hf_key_type)type, ".lost", name);
            HF_TRY(hf_value_change(c, name, "", why));
        }
    }
    return HF_OK;
}

static enum hf_err forget(struct hf_client *c, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;

    HF_TRY(store->remove_metadata(store->ctx, "timestamp", why));
    HF_TRY(store->remove_metadata(store->ctx, "snapshot", why));
    HF_TRY(store->remove_metadata(store->ctx, "targets", why));
    for (size_t i = 0; i < sizeof forgotten / sizeof forgotten[0]; i++)
        HF_TRY(hf_value_change(c, forgotten[i], "", why));
    return forget_endpoints(c, why);
}

/* `arg` is the factory's bundle, or NULL. */
static enum hf_err write_reset(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct hf_bundle_record *factory = arg;

    HF_TRY(forget(c, why));
    if (factory != NULL) {
        HF_TRY(store->stage_bundle(store->ctx, factory, why));
        HF_TRY(store->activate_staged(store->ctx, false, why));
    }
    return hf_journal(c, HF_LEVEL_WARNING, "reset",
                      factory != NULL ? "factory reset: the root metadata and all floors are kept, "
                                        "the factory bundle is active"
                                      : "factory reset: the root metadata and all floors are kept, "
                                        "and so is the active bundle",
                      why);
}

/* What was dropped on purpose stays dropped, though the factory knew nothing of it. */
static enum hf_err use_factory(struct hf_client *c, const struct hf_bundle_record *factory,
                               struct hf_why *why)
{
    struct hf_bundle bundle = {0};

    HF_TRY(hf_bundle_in_use(c, factory, &bundle, why));
    enum hf_err err = hf_live_swap(c, factory, &bundle, why);
    hf_bundle_free(&bundle);
    if (err != HF_OK)
        (void)hf_fail_context(why,
                              "the factory bundle is active, but running connections still use "
                              "the anchors of before; the next update or start loads it");
    return err;
}

static enum hf_err reset(struct hf_client *c, struct hf_bytes factory_pem, struct hf_why *why)
{
    struct hf_bundle_record factory = {0};
    bool has_factory = factory_pem.len > 0;

    enum hf_err err = hf_factory_record(c, factory_pem, &factory, why);
    if (err == HF_OK)
        err = hf_store_transact(c, write_reset, has_factory ? &factory : NULL, why);
    if (err == HF_OK) {
        memset(c->faults, 0, sizeof c->faults);
        c->first_mirror = 0;
        c->last_check = (struct hf_check_memory){0};
        if (has_factory)
            err = use_factory(c, &factory, why);
    }
    hf_bundle_record_free(&factory);
    return err;
}

enum hf_err hf_client_reset(struct hf_client *client, struct hf_bytes factory_pem,
                            struct hf_why *why)
{
    struct hf_why own = {0};
    return hf_report(why, &own, reset(client, factory_pem, &own));
}
