#include "client/core/bundles.h"
#include "client/core/endpoints.h"

#include "common/bundle/policy.h"

#include <stdio.h>
#include <string.h>

struct first_trust {
    struct hf_bytes root;
    int64_t root_version;
    const struct hf_bundle_record *factory; /* NULL for none */
};

static enum hf_err check_new(struct hf_client *c, struct hf_why *why)
{
    struct hf_buf root = {0};
    enum hf_err err = c->ports.store.load_metadata(c->ports.store.ctx, "root", &root, why);
    hf_buf_free(&root);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err != HF_OK)
        return err;
    return hf_fail(why, HF_E_STATE,
                   "this device holds root metadata already; it changes by update only");
}

static enum hf_err make_factory(const struct hf_client *c, struct hf_bytes pem,
                                struct hf_bundle_record *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};

    if (pem.len == 0)
        return HF_OK;
    HF_TRY(hf_bundle_parse(pem, NULL, &bundle, why));
    enum hf_err err = hf_policy_check_bundle(&bundle, why);
    if (err == HF_OK)
        err = hf_policy_verify_self_signatures(&bundle, why);
    hf_bundle_free(&bundle);
    HF_TRY(err);
    (void)snprintf(out->set, sizeof out->set, "%s", c->set);
    (void)snprintf(out->profile, sizeof out->profile, "%s", c->profile);
    hf_sha256_hex(pem, out->sha256);
    if (hf_buf_append(&out->pem, pem.data, pem.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the factory bundle");
    return HF_OK;
}

/* A record of version 0, checked; an empty one for an empty `pem`. */
static enum hf_err factory_record(const struct hf_client *c, struct hf_bytes pem,
                                  struct hf_bundle_record *out, struct hf_why *why)
{
    enum hf_err err = make_factory(c, pem, out, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "the factory bundle");
    return err;
}

static enum hf_err journal_factory(struct hf_client *c, const struct hf_bundle_record *factory,
                                   struct hf_why *why)
{
    struct hf_bundle bundle = {0};

    HF_TRY(hf_bundle_of_record(factory, &bundle, why));
    enum hf_err err = hf_journal_skipped(c, &bundle, why);
    hf_bundle_free(&bundle);
    return err;
}

static enum hf_err write_first_trust(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct first_trust *first = arg;
    char text[160];

    HF_TRY(store->save_metadata(store->ctx, "root", first->root_version, first->root, why));
    HF_TRY(hf_clock_floor_learn_root(c, why));
    if (first->factory != NULL) {
        HF_TRY(store->stage_bundle(store->ctx, first->factory, why));
        HF_TRY(store->activate_staged(store->ctx, false, why));
        HF_TRY(journal_factory(c, first->factory, why));
    }
    (void)snprintf(text, sizeof text, "initialised with root metadata %lld%s",
                   (long long)first->root_version,
                   first->factory != NULL ? " and a factory bundle" : "");
    return hf_journal(c, HF_LEVEL_INFO, "init", text, why);
}

static enum hf_err provision(struct hf_client *c, struct hf_bytes root, struct hf_bytes factory_pem,
                             struct hf_bundle_record *factory, struct hf_why *why)
{
    HF_TRY(check_new(c, why));
    enum hf_err err = hf_trusted_set_init(&c->trusted, root, hf_client_now_s(c), why);
    if (err != HF_OK)
        return hf_fail_context(why, "the root metadata");
    HF_TRY(factory_record(c, factory_pem, factory, why));
    struct first_trust first = {root, c->trusted.root->env.version,
                                factory->pem.len > 0 ? factory : NULL};
    return hf_store_transact(c, write_first_trust, &first, why);
}

enum hf_err hf_client_provision(const struct hf_ports *ports, const struct hf_client_config *config,
                                struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                                struct hf_why *why)
{
    struct hf_bundle_record factory = {0};
    struct hf_client c;
    struct hf_why own = {0};

    HF_TRY(hf_client_init(&c, ports, config, why));
    hf_clock_floor_load(&c);
    enum hf_err err = provision(&c, root_metadata, factory_pem, &factory, &own);
    hf_bundle_record_free(&factory);
    hf_client_clear(&c);
    return hf_report(why, &own, err);
}

/* ---- factory reset --------------------------------------------------------------------------- */

/*
 * Factory reset: a device starts again without losing what protects it from its own past. What is kept
 * are the walls (the newest root metadata, the floors of the clock and of the bundles, what was
 * rejected and dropped); what goes is everything that can be fetched or learnt again. So an attacker
 * gains nothing by a reset: root metadata, bundles and times of before are refused after it as they were before it.
 */

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

    enum hf_err err = factory_record(c, factory_pem, &factory, why);
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
