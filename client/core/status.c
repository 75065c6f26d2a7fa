/* What a person is told of the device: bundles, the last check and the next one, endpoints,
 * warnings. */
#include "client/core/dependency.h"
#include "client/core/update.h"

#include "common/base/digest.h"
#include "common/bundle/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum hf_err describe_slot(struct hf_client *c, enum hf_slot slot, int64_t now_s,
                                 struct hf_bundle_status *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_bundle bundle = {0};
    struct hf_buf revoked = {0};

    enum hf_err err = hf_bundle_load(c, slot, &record, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    out->is_present = true;
    out->version = record.version;
    memcpy(out->sha256, record.sha256, sizeof out->sha256);
    err = hf_revoked_load(c, &revoked, why);
    if (err == HF_OK)
        err = hf_bundle_of_record(&record, &bundle, why);
    if (err == HF_OK) {
        out->anchors = calloc(bundle.n_anchors + 1, sizeof *out->anchors);
        if (out->anchors == NULL)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for the status of %zu anchors",
                          bundle.n_anchors);
    }
    for (size_t i = 0; i < bundle.n_anchors && err == HF_OK; i++)
        describe_anchor(&bundle.anchors[i], hf_buf_bytes(&revoked), now_s,
                        &out->anchors[out->n_anchors++]);
    if (err == HF_OK)
        err = hf_skipped_describe(&bundle, &out->skipped, &out->n_skipped, why);
    hf_buf_free(&revoked);
    hf_bundle_free(&bundle);
    hf_bundle_record_free(&record);
    return err;
}

/* Zero if the role is not held. */
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

static void describe_state(const struct hf_client *c, struct hf_status *out)
{
    const struct hf_device_state *s = &c->state;
    const char *waits_for = "the next check that reaches the repository";

    out->last_check_s = s->check_time_s;
    (void)snprintf(out->last_outcome, sizeof out->last_outcome, "%s", s->check_outcome);
    (void)snprintf(out->last_text, sizeof out->last_text, "%s", s->check_text);
    out->failed_validations = s->failures.n_checks;
    out->last_recovery_s = s->last_recovery_s;
    out->has_recovered = strcmp(s->last_recovery, "helped") == 0;
    out->held = (struct hf_held_status){s->held.version > 0, s->held.version, s->held.turn_s,
                                        s->held.latest_s, ""};
    memcpy(out->held.text, s->held.text, sizeof out->held.text);
    if (s->trial.version < 0)
        return;
    if (c->awaits_confirm)
        waits_for = "the application (holdfast confirm, or reject)";
    else if (c->ports.endpoints.n_endpoints > 0)
        waits_for = "a valid chain from every endpoint, after an hour of uptime or ten starts; for "
                    "endpoints that were never reached, or are given up, a day of uptime at most";
    out->trial = (struct hf_trial_status){true, s->trial.version, s->trial.up_s, ""};
    (void)snprintf(out->trial.waits_for, sizeof out->trial.waits_for, "%s", waits_for);
}

static void describe_chain(const struct hf_endpoint_state *e, const char *key_type,
                           struct hf_chain_status *out)
{
    *out = (struct hf_chain_status){
        .key_type = key_type,
        .seen_s = e->memory.seen_s,
        .leaf_not_before_s = e->memory.leaf_not_before_s,
        .leaf_not_after_s = e->memory.leaf_not_after_s,
        .n_anchors = e->memory.n_anchors,
        .lost_since_s = e->loss.since_s,
    };
    (void)snprintf(out->lost_root, sizeof out->lost_root, "%s", e->loss.root);
    for (size_t i = 0; i < e->memory.n_anchors; i++)
        hf_hex_encode(e->memory.anchors[i], HF_SHA256_LEN, out->anchors[i]);
}

static enum hf_err describe_endpoints(struct hf_client *c, struct hf_status *out,
                                      struct hf_why *why)
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = "RSA", [HF_KEY_TYPE_ECC] = "ECC", [HF_KEY_TYPE_ANY] = "any"};
    const struct hf_endpoint_port *port = &c->ports.endpoints;

    out->endpoints = calloc(port->n_endpoints + 1, sizeof *out->endpoints);
    if (out->endpoints == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the status of %zu endpoints",
                       port->n_endpoints);
    out->n_endpoints = port->n_endpoints;
    for (size_t i = 0; i < port->n_endpoints; i++) {
        struct hf_endpoint_status *endpoint = &out->endpoints[i];
        (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", port->name(port->ctx, i));
        endpoint->refused_s = c->state.refusals[i].seen_s;
        memcpy(endpoint->refused, c->state.refusals[i].text, sizeof endpoint->refused);
        for (int type = 0; type < HF_KEY_TYPES; type++)
            describe_chain(hf_state_endpoint(c, i, (enum hf_key_type)type), types[type],
                           &endpoint->chains[type]);
    }
    return HF_OK;
}

static enum hf_err describe_warnings(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_dependencies dependencies = {0};

    enum hf_err err = hf_bundle_load_in_use(c, HF_SLOT_ACTIVE, &bundle, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = hf_dependencies_make(c, &bundle, &bundle, &dependencies, why);
    if (err == HF_OK)
        err = hf_warnings_make(&bundle, &dependencies, out->now_s, &out->warnings, &out->n_warnings,
                               why);
    hf_dependencies_free(&dependencies);
    hf_bundle_free(&bundle);
    return err;
}

/* Bundles are readable if the rest of the store is not (a damaged or newer database). */
static enum hf_err describe(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    const struct {
        const char *role;
        int64_t *version;
        int64_t *expires_s;
    } roles[] = {
        {"root", &out->root.version, &out->root.expires_s},
        {"timestamp", &out->timestamp.version, &out->timestamp.expires_s},
        {"snapshot", &out->snapshot.version, &out->snapshot.expires_s},
        {"targets", &out->targets.version, &out->targets.expires_s},
    };
    struct hf_why unread = {0};
    enum hf_err err = HF_OK;

    HF_TRY(describe_slot(c, HF_SLOT_ACTIVE, out->now_s, &out->active, why));
    HF_TRY(describe_slot(c, HF_SLOT_PREVIOUS, out->now_s, &out->previous, why));
    for (size_t i = 0; i < sizeof roles / sizeof roles[0] && err == HF_OK; i++)
        err = describe_role(c, roles[i].role, roles[i].version, roles[i].expires_s, &unread);
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the status is incomplete: %s", unread.text);
    describe_state(c, out);
    hf_schedule_next(c, &out->next_check);
    HF_TRY(describe_endpoints(c, out, why));
    return describe_warnings(c, out, why);
}

enum hf_err hf_client_status(struct hf_client *client, struct hf_status *out, struct hf_why *why)
{
    struct hf_why own = {0};

    hf_state_load(client);
    struct hf_status status = {.now_s = hf_client_now_s(client),
                               .clock_floor_s = client->clock_floor_s};
    enum hf_err err = describe(client, &status, &own);
    if (err == HF_OK)
        *out = status;
    else
        hf_status_free(&status);
    return hf_pass_on(why, &own, err);
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
    return hf_pass_on(why, &own, store->load_metadata(store->ctx, "root", out, &own));
}
