/* The part of the status that looks ahead: trial, next check, endpoints, and what goes in time. */
#include "client/core/reliance.h"

#include "common/base/hex.h"

#include <stdio.h>
#include <stdlib.h>

static void describe_trial(struct hf_client *c, struct hf_trial_status *out)
{
    struct hf_trial trial;
    const char *what = "the next check that reaches the repository";

    hf_trial_load(c, &trial);
    if (!trial.is_on)
        return;
    *out = (struct hf_trial_status){true, trial.version, trial.up_s, ""};
    if (c->awaits_confirm)
        what = "a word of the application (holdfast confirm, or reject)";
    else if (c->ports.endpoints.n_endpoints > 0)
        what = "a look at every endpoint that finds it good, after an hour of uptime or ten starts";
    (void)snprintf(out->waits_for, sizeof out->waits_for, "%s", what);
}

/* ---- endpoints --------------------------------------------------------------------------------------- */

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

/* ---- warnings ---------------------------------------------------------------------------------------- */

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

enum hf_err hf_status_describe_outlook(struct hf_client *c, struct hf_status *out,
                                       struct hf_why *why)
{
    describe_trial(c, &out->trial);
    hf_client_next_check(c, &out->next_check);
    HF_TRY(describe_endpoints(c, out, why));
    return describe_warnings(c, out, why);
}
