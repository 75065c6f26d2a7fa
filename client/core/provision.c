/* First trust, and the factory reset. */
#include "client/core/report.h"
#include "client/core/bundles.h"
#include "client/core/refresh.h"

#include "common/bundle/policy.h"

#include <stdio.h>
#include <string.h>

/* A record of version 0, checked; `out` stays empty for an empty `pem`. */
static enum hf_err factory_record(const struct hf_client *c, struct hf_bytes pem,
                                  struct hf_bundle_record *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};

    if (pem.len == 0)
        return HF_OK;
    enum hf_err err = hf_bundle_parse(pem, NULL, &bundle, why);
    if (err == HF_OK)
        err = hf_policy_check_bundle(&bundle, why);
    if (err == HF_OK)
        err = hf_policy_verify_self_signatures(&bundle, why);
    hf_bundle_free(&bundle);
    if (err == HF_OK && hf_buf_append(&out->pem, pem.data, pem.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the factory bundle");
    if (err != HF_OK)
        return hf_fail_context(why, "the factory bundle");
    (void)snprintf(out->set, sizeof out->set, "%s", c->set);
    (void)snprintf(out->profile, sizeof out->profile, "%s", c->profile);
    hf_sha256_hex(pem, out->sha256);
    return HF_OK;
}

/* Part of a transaction. */
static enum hf_err activate_factory(struct hf_client *c, const struct hf_bundle_record *factory,
                                    struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;

    HF_TRY(store->stage_bundle(store->ctx, factory, why));
    return store->activate_staged(store->ctx, false, why);
}

static enum hf_err write_first_trust(struct hf_client *c, struct hf_bytes root,
                                     const struct hf_bundle_record *factory, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const int64_t version = c->trusted.root->env.version;
    const bool has_factory = factory->pem.len > 0;
    struct hf_bundle bundle = {0};
    char text[160];

    HF_TRY(store->save_metadata(store->ctx, "root", version, root, why));
    if (has_factory) {
        HF_TRY(activate_factory(c, factory, why));
        HF_TRY(hf_bundle_of_record(factory, &bundle, why));
        enum hf_err err = hf_journal_skipped(c, &bundle, why);
        hf_bundle_free(&bundle);
        HF_TRY(err);
    }
    (void)snprintf(text, sizeof text, "initialised with root metadata %lld%s", (long long)version,
                   has_factory ? " and a factory bundle" : "");
    return hf_journal(c, HF_LEVEL_INFO, "init", text, why);
}

static enum hf_err provision(struct hf_client *c, struct hf_bytes root, struct hf_bytes factory_pem,
                             struct hf_bundle_record *factory, struct hf_why *why)
{
    struct hf_receipts receipts = {0};
    struct hf_buf held = {0};

    enum hf_err err = c->ports.store.load_metadata(c->ports.store.ctx, "root", &held, why);
    hf_buf_free(&held);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE,
                       "this device holds root metadata already; it changes by update only");
    if (err != HF_E_NOT_FOUND)
        return err;
    err = hf_trusted_set_init(&c->trusted, root, hf_client_now_s(c), why);
    if (err != HF_OK)
        return hf_fail_context(why, "the root metadata");
    HF_TRY(factory_record(c, factory_pem, factory, why));
    HF_TRY(hf_clock_floor_learn_root(c, why));
    /* So that the first update need not verify it again. */
    hf_receipt_make(c->trusted.root, HF_ROLE_ROOT, &c->trusted.root->env,
                    receipts.of[HF_ROLE_ROOT]);
    hf_receipts_keep(c, &receipts);
    HF_TRY(hf_state_begin(c, why));
    return hf_state_end(c, write_first_trust(c, root, factory, why), why);
}

enum hf_err hf_client_provision(const struct hf_ports *ports, const struct hf_client_config *config,
                                struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                                struct hf_why *why)
{
    struct hf_bundle_record factory = {0};
    struct hf_client c;
    struct hf_why own = {0};

    enum hf_err err = hf_client_init(&c, ports, config, &own);
    if (err != HF_OK)
        return hf_pass_on(why, &own, err);
    hf_state_load(&c);
    err = provision(&c, root_metadata, factory_pem, &factory, &own);
    hf_bundle_record_free(&factory);
    hf_client_clear(&c);
    return hf_pass_on(why, &own, err);
}

/*
 * A device starts again without losing what protects it from its own past. The newest root
 * metadata, the clock floor, the limits of bundle versions and the revoked keys are kept;
 * everything that can be fetched or learnt again goes. So an attacker gains nothing by a reset: old
 * root metadata, bundles and times are refused after it as they were before it.
 */

static enum hf_err write_reset(struct hf_client *c, const struct hf_bundle_record *factory,
                               struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const bool has_factory = factory->pem.len > 0;

    HF_TRY(store->remove_metadata(store->ctx, "timestamp", why));
    HF_TRY(store->remove_metadata(store->ctx, "snapshot", why));
    HF_TRY(store->remove_metadata(store->ctx, "targets", why));
    HF_TRY(hf_state_forget(c, why));
    HF_TRY(hf_report_forget(c, why));
    if (has_factory)
        HF_TRY(activate_factory(c, factory, why));
    return hf_journal(c, HF_LEVEL_WARNING, "reset",
                      has_factory ? "factory reset: the root metadata and all floors are kept, "
                                    "the factory bundle is active"
                                  : "factory reset: the root metadata and all floors are kept, "
                                    "and so is the active bundle",
                      why);
}

static enum hf_err reset(struct hf_client *c, const struct hf_bundle_record *factory,
                         struct hf_why *why)
{
    HF_TRY(hf_state_begin(c, why));
    HF_TRY(hf_state_end(c, write_reset(c, factory, why), why));
    memset(c->faults, 0, sizeof c->faults);
    c->first_mirror = 0;
    c->last_check = (struct hf_check_memory){0};
    if (factory->pem.len == 0)
        return HF_OK;
    /* What was revoked stays revoked, though the factory knew nothing of it. */
    c->loaded_version = -1;
    enum hf_err err = hf_active_store_follow(c, factory, why);
    if (err != HF_OK)
        (void)hf_fail_context(why,
                              "the factory bundle is active, but running connections still use "
                              "the anchors of before; the next update or start loads it");
    return err;
}

enum hf_err hf_client_reset(struct hf_client *client, struct hf_bytes factory_pem,
                            struct hf_why *why)
{
    struct hf_bundle_record factory = {0};
    struct hf_why own = {0};

    hf_state_load(client);
    enum hf_err err = factory_record(client, factory_pem, &factory, &own);
    if (err == HF_OK)
        err = reset(client, &factory, &own);
    hf_bundle_record_free(&factory);
    return hf_pass_on(why, &own, err);
}
