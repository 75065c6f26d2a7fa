#include "client/core/reliance.h"
#include "client/core/bundles.h"
#include "client/core/endpoints.h"
#include "client/core/update.h"

#include "common/base/hex.h"
#include "common/bundle/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bundles --------------------------------------------------------------------------------- */

static void describe_anchor(const struct hf_anchor *anchor, struct hf_bytes revoked, int64_t now_s,
                            struct hf_anchor_status *out)
{
    (void)snprintf(out->subject, sizeof out->subject, "%s", anchor->cert.subject);
    hf_hex_encode(anchor->cert.sha256, HF_SHA256_LEN, out->sha256);
    hf_hex_encode(anchor->cert.spki_sha256, HF_SHA256_LEN, out->spki_sha256);
    out->not_before_s = anchor->cert.not_before_s;
    out->not_after_s = anchor->cert.not_after_s;
    out->distrust_after_s = anchor->distrust_after_s;
    out->remove_after_s = anchor->remove_after_s;
    out->state = hf_revoked_has(revoked, anchor->cert.spki_sha256)
                     ? "revoked"
                     : hf_anchor_state_text(hf_policy_anchor_state(anchor, now_s));
}

static enum hf_err describe_anchors(const struct hf_bundle *bundle, struct hf_bytes revoked,
                                    int64_t now_s, struct hf_bundle_status *out, struct hf_why *why)
{
    out->anchors = calloc(bundle->n_anchors + 1, sizeof *out->anchors);
    if (out->anchors == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the status of %zu anchors",
                       bundle->n_anchors);
    out->n_anchors = bundle->n_anchors;
    for (size_t i = 0; i < bundle->n_anchors; i++)
        describe_anchor(&bundle->anchors[i], revoked, now_s, &out->anchors[i]);
    return HF_OK;
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

static enum hf_err describe_record(struct hf_client *c, const struct hf_bundle_record *record,
                                   int64_t now_s, struct hf_bundle_status *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_buf revoked = {0};

    out->is_present = true;
    out->version = record->version;
    memcpy(out->sha256, record->sha256, sizeof out->sha256);
    HF_TRY(hf_revoked_load(c, &revoked, why));
    enum hf_err err = hf_bundle_of_record(record, &bundle, why);
    if (err == HF_OK)
        err = describe_anchors(&bundle, hf_buf_bytes(&revoked), now_s, out, why);
    hf_buf_free(&revoked);
    if (err == HF_OK)
        err = hf_skipped_describe(&bundle, &out->skipped, &out->n_skipped, why);
    hf_bundle_free(&bundle);
    return err;
}

static enum hf_err describe_slot(struct hf_client *c, enum hf_slot slot, int64_t now_s,
                                 struct hf_bundle_status *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    enum hf_err err = hf_bundle_load(c, slot, &record, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = describe_record(c, &record, now_s, out, why);
    hf_bundle_record_free(&record);
    return err;
}

/* ---- metadata and the last check ------------------------------------------------------------- */

/* Zero where the role is not held. */
static enum hf_err describe_role(struct hf_client *c, const char *role, int64_t *version,
                                 int64_t *expires_s, struct hf_why *why)
{
    struct hf_buf file = {0};
    struct hf_envelope env = {0};

    enum hf_err err = c->ports.store.load_metadata(c->ports.store.ctx, role, &file, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = hf_envelope_parse(hf_buf_bytes(&file), role, &env, why);
    if (err == HF_OK) {
        *version = env.version;
        *expires_s = env.expires_s;
        hf_envelope_free(&env);
    }
    hf_buf_free(&file);
    return err;
}

static enum hf_err describe_metadata(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    HF_TRY(describe_role(c, "root", &out->root.version, &out->root.expires_s, why));
    HF_TRY(describe_role(c, "timestamp", &out->timestamp.version, &out->timestamp.expires_s, why));
    HF_TRY(describe_role(c, "snapshot", &out->snapshot.version, &out->snapshot.expires_s, why));
    return describe_role(c, "targets", &out->targets.version, &out->targets.expires_s, why);
}

static enum hf_err copy_value(struct hf_client *c, const char *name, char *out, size_t out_size,
                              struct hf_why *why)
{
    struct hf_buf value = {0};
    HF_TRY(hf_value_load(c, name, &value, why));
    (void)snprintf(out, out_size, "%s", (const char *)value.data);
    hf_buf_free(&value);
    return HF_OK;
}

static enum hf_err describe_check(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    HF_TRY(hf_value_load_integer(c, "check.time", HF_TIME_NONE, &out->last_check_s, why));
    HF_TRY(copy_value(c, "check.outcome", out->last_outcome, sizeof out->last_outcome, why));
    return copy_value(c, "check.text", out->last_text, sizeof out->last_text, why);
}

/* ---- what is ahead --------------------------------------------------------------------------- */

static void describe_trial(struct hf_client *c, struct hf_trial_status *out)
{
    struct hf_trial trial;
    const char *what = "the next check that reaches the repository";

    hf_trial_load(c, &trial);
    if (!trial.is_on)
        return;
    *out = (struct hf_trial_status){true, trial.version, trial.up_s, ""};
    if (c->awaits_confirm)
        what = "the application (holdfast confirm, or reject)";
    else if (c->ports.endpoints.n_endpoints > 0)
        what = "a look at every endpoint that finds it good, after an hour of uptime or ten starts";
    (void)snprintf(out->waits_for, sizeof out->waits_for, "%s", what);
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void describe_chain(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                           struct hf_chain_status *out)
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = "RSA", [HF_KEY_TYPE_ECC] = "ECC", [HF_KEY_TYPE_ANY] = "any"};
    struct hf_endpoint_memory memory;
    struct hf_loss loss;

    hf_endpoint_memory_load(c, endpoint, type, &memory);
    hf_loss_load(c, endpoint, type, &loss);
    *out = (struct hf_chain_status){
        .key_type = types[type],
        .seen_s = memory.seen_s,
        .leaf_not_before_s = memory.leaf_not_before_s,
        .leaf_not_after_s = memory.leaf_not_after_s,
        .n_anchors = memory.n_anchors,
        .lost_since_s = loss.since_s,
    };
    (void)snprintf(out->lost_root, sizeof out->lost_root, "%s", loss.root);
    for (size_t i = 0; i < memory.n_anchors; i++)
        hf_hex_encode(memory.anchors[i], HF_SHA256_LEN, out->anchors[i]);
}

static enum hf_err describe_endpoints(struct hf_client *c, struct hf_status *out,
                                      struct hf_why *why)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;

    out->endpoints = calloc(port->n_endpoints + 1, sizeof *out->endpoints);
    if (out->endpoints == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the status of %zu endpoints",
                       port->n_endpoints);
    out->n_endpoints = port->n_endpoints;
    for (size_t i = 0; i < port->n_endpoints; i++) {
        struct hf_endpoint_status *endpoint = &out->endpoints[i];
        (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", port->name(port->ctx, i));
        for (int type = 0; type < HF_KEY_TYPES; type++)
            describe_chain(c, i, (enum hf_key_type)type, &endpoint->chains[type]);
    }
    return HF_OK;
}

/* ---- warnings -------------------------------------------------------------------------------- */

static enum hf_err warn_of_bundle(struct hf_client *c, const struct hf_bundle_record *record,
                                  struct hf_status *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_reliances reliances = {0};

    HF_TRY(hf_bundle_in_use(c, record, &bundle, why));
    enum hf_err err = hf_reliances_load(c, &bundle, &reliances, why);
    if (err == HF_OK)
        err = hf_warnings_make(&bundle, &reliances, out->now_s, &out->warnings, &out->n_warnings,
                               why);
    hf_reliances_free(&reliances);
    hf_bundle_free(&bundle);
    return err;
}

static enum hf_err describe_warnings(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = warn_of_bundle(c, &record, out, why);
    hf_bundle_record_free(&record);
    return err;
}

static enum hf_err describe_outlook(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    describe_trial(c, &out->trial);
    hf_client_next_check(c, &out->next_check);
    HF_TRY(describe_endpoints(c, out, why));
    return describe_warnings(c, out, why);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Bundles are readable where the rest of the store may not be (a damaged or newer database). */
static enum hf_err describe(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    struct hf_why unread = {0};

    HF_TRY(describe_slot(c, HF_SLOT_ACTIVE, out->now_s, &out->active, why));
    HF_TRY(describe_slot(c, HF_SLOT_PREVIOUS, out->now_s, &out->previous, why));
    if (describe_check(c, out, &unread) != HF_OK ||
        hf_recovery_describe(c, out, &unread) != HF_OK ||
        describe_metadata(c, out, &unread) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the status is incomplete: %s", unread.text);
    return describe_outlook(c, out, why);
}

enum hf_err hf_client_status(struct hf_client *client, struct hf_status *out, struct hf_why *why)
{
    struct hf_why own = {0};
    struct hf_status status = {.now_s = hf_client_now_s(client),
                               .clock_floor_s = client->clock_floor_s,
                               .last_check_s = HF_TIME_NONE,
                               .last_recovery_s = HF_TIME_NONE};
    enum hf_err err = describe(client, &status, &own);
    if (err != HF_OK) {
        hf_status_free(&status);
        return hf_report(why, &own, err);
    }
    *out = status;
    return HF_OK;
}

void hf_status_free(struct hf_status *status)
{
    if (status == NULL)
        return;
    free(status->active.anchors);
    free(status->active.skipped);
    free(status->previous.anchors);
    free(status->previous.skipped);
    free(status->endpoints);
    free(status->warnings);
    *status = (struct hf_status){0};
}

enum hf_err hf_client_export_root(struct hf_client *client, struct hf_buf *out, struct hf_why *why)
{
    struct hf_why own = {0};
    const struct hf_store_port *store = &client->ports.store;
    return hf_report(why, &own, store->load_metadata(store->ctx, "root", out, &own));
}
