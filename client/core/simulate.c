#include "client/core/reliance.h"
#include "client/core/bundles.h"

#include <holdfast/simulate.h>

#include "common/bundle/policy.h"
#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which bundle ---------------------------------------------------------------------------- */

/* A target's signed `custom`, or the file beside a bundle of a device, which holds it. */
static enum hf_err parse_custom(struct hf_bytes text, struct hf_description *out,
                                struct hf_why *why)
{
    json_t *json = NULL;

    HF_TRY(hf_json_parse_object(text, "the bundle's description", &json, why));
    const json_t *inner = json_object_get(json, "custom");
    enum hf_err err = hf_description_parse(inner != NULL ? inner : json, out, why);
    json_decref(json);
    return err;
}

/* What is no CA would hold for no server, whatever its dates say. */
static enum hf_err check_cas(const struct hf_bundle *bundle, struct hf_why *why)
{
    for (size_t i = 0; i < bundle->n_anchors; i++)
        HF_TRY(hf_policy_check_ca(&bundle->anchors[i], why));
    return HF_OK;
}

static enum hf_err parse_given(const struct hf_simulation_query *query, struct hf_bundle *out,
                               struct hf_why *why)
{
    struct hf_description description = {0};

    if (query->custom.len == 0)
        return hf_bundle_parse(query->pem, NULL, out, why);
    HF_TRY(parse_custom(query->custom, &description, why));
    enum hf_err err = hf_bundle_parse(query->pem, &description, out, why);
    hf_description_free(&description);
    return err;
}

static enum hf_err load_active(struct hf_client *c, struct hf_bundle *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "this device has no bundle yet: run an update, or name a bundle");
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &record, out, why);
    hf_bundle_record_free(&record);
    return err;
}

static enum hf_err obtain_bundle(struct hf_client *c, const struct hf_simulation_query *query,
                                 struct hf_bundle *out, struct hf_why *why)
{
    if (c == NULL && (query->pem.len == 0 || query->now_s == HF_TIME_NONE))
        return hf_fail(why, HF_E_ARGUMENT,
                       "neither a device is given, nor a bundle and the time of today");
    if (query->pem.len == 0)
        return load_active(c, out, why);
    struct hf_bundle bundle = {0};
    HF_TRY(parse_given(query, &bundle, why));
    enum hf_err err = check_cas(&bundle, why);
    if (err == HF_OK)
        *out = bundle;
    else
        hf_bundle_free(&bundle);
    return err;
}

/* ---- who relies on it ------------------------------------------------------------------------ */

static bool has_endpoints(const struct hf_reliances *reliances)
{
    for (size_t i = 0; i < reliances->n; i++) {
        if (reliances->items[i].endpoint != NULL)
            return true;
    }
    return false;
}

/* Endpoints where any was seen, and nothing else then: roots that none of them needs break nothing.
 * Otherwise the roots that are usable today. */
static bool is_asked(const struct hf_reliance *r, const char *endpoint,
                     const struct hf_bundle *bundle, const struct hf_simulation *out)
{
    if (endpoint != NULL)
        return r->endpoint != NULL && strcmp(r->endpoint, endpoint) == 0;
    if (out->knows_endpoints || r->endpoint != NULL)
        return r->endpoint != NULL;
    return hf_reliance_at(r, bundle, NULL, out->now_s, out->now_s) == HF_HOLD_SURE;
}

static enum hf_err choose(const struct hf_simulation_query *query, const struct hf_bundle *bundle,
                          struct hf_reliances *reliances, struct hf_simulation *out,
                          struct hf_why *why)
{
    size_t n_kept = 0;

    out->knows_endpoints = has_endpoints(reliances);
    for (size_t i = 0; i < reliances->n; i++) {
        if (is_asked(&reliances->items[i], query->endpoint, bundle, out))
            reliances->items[n_kept++] = reliances->items[i];
    }
    reliances->n = n_kept;
    out->breaks = n_kept == 0;
    if (n_kept > 0 || query->endpoint == NULL)
        return HF_OK;
    return hf_fail(
        why, HF_E_NOT_FOUND,
        "this device has not seen an endpoint \"%.300s\" yet; status names those that it "
        "knows",
        query->endpoint);
}

/* ---- what becomes of them -------------------------------------------------------------------- */

static enum hf_simulated simulated_of(enum hf_hold hold)
{
    switch (hold) {
    case HF_HOLD_SURE:
        return HF_SIMULATED_HOLDS;
    case HF_HOLD_AT_RISK:
        return HF_SIMULATED_AT_RISK;
    case HF_HOLD_BROKEN:
        return HF_SIMULATED_BREAKS;
    }
    return HF_SIMULATED_BREAKS;
}

static const char *cause_of(enum hf_end end)
{
    switch (end) {
    case HF_END_EXPIRY:
        return "expiry";
    case HF_END_DISTRUST:
        return "distrust";
    case HF_END_REMOVAL:
        return "removal";
    case HF_END_MISSING:
        return "missing";
    }
    return "missing";
}

static void forecast(const struct hf_reliance *r, const struct hf_bundle *bundle, int64_t now_s,
                     int64_t at_s, struct hf_forecast *out)
{
    const struct hf_anchor *through = hf_reliance_served_by(r, bundle, now_s, at_s);
    struct hf_breakage breakage;

    hf_reliance_foresee(r, bundle, now_s, now_s, &breakage);
    *out = (struct hf_forecast){
        .is_endpoint = r->endpoint != NULL,
        .at = simulated_of(hf_reliance_at(r, bundle, NULL, now_s, at_s)),
        .cause = cause_of(breakage.end),
        .trouble_s = breakage.from_s,
        .broken_s = breakage.at_latest_s,
    };
    hf_reliance_text(r, bundle, out->who, sizeof out->who);
    if (breakage.anchor != NULL)
        (void)snprintf(out->root, sizeof out->root, "%s", breakage.anchor->cert.subject);
    if (through != NULL)
        (void)snprintf(out->through, sizeof out->through, "%s", through->cert.subject);
}

static int compare(const void *a, const void *b)
{
    const struct hf_forecast *x = a, *y = b;
    if (x->trouble_s != y->trouble_s)
        return x->trouble_s < y->trouble_s ? -1 : 1;
    return strcmp(x->who, y->who);
}

/* Where no leaf was seen, whom a distrust_after hits and when cannot be told. */
static void add_notes(const struct hf_bundle *bundle, struct hf_simulation *out)
{
    for (size_t i = 0; i < bundle->n_anchors && !out->knows_endpoints; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor->distrust_after_s == HF_TIME_NONE)
            continue;
        struct hf_date_note *note = &out->notes[out->n_notes++];
        *note = (struct hf_date_note){.kind = "distrust", .at_s = anchor->distrust_after_s};
        (void)snprintf(note->subject, sizeof note->subject, "%s", anchor->cert.subject);
    }
}

static enum hf_err walk(const struct hf_bundle *bundle, const struct hf_reliances *reliances,
                        struct hf_simulation *out, struct hf_why *why)
{
    out->forecasts = calloc(reliances->n + 1, sizeof *out->forecasts);
    out->notes = calloc(bundle->n_anchors + 1, sizeof *out->notes);
    if (out->forecasts == NULL || out->notes == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the simulation of %zu trust anchors",
                       bundle->n_anchors);
    for (size_t i = 0; i < reliances->n; i++) {
        struct hf_forecast *f = &out->forecasts[out->n_forecasts++];
        forecast(&reliances->items[i], bundle, out->now_s, out->at_s, f);
        out->breaks = out->breaks || f->at != HF_SIMULATED_HOLDS;
    }
    qsort(out->forecasts, out->n_forecasts, sizeof *out->forecasts, compare);
    add_notes(bundle, out);
    return HF_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum hf_err walk_known(struct hf_client *c, const struct hf_simulation_query *query,
                              const struct hf_bundle *bundle, struct hf_simulation *out,
                              struct hf_why *why)
{
    struct hf_reliances reliances = {0};

    HF_TRY(c != NULL ? hf_reliances_load(c, bundle, &reliances, why)
                     : hf_reliances_of_roots(bundle, &reliances, why));
    out->n_unseen = reliances.n_unseen;
    enum hf_err err = choose(query, bundle, &reliances, out, why);
    if (err == HF_OK)
        err = walk(bundle, &reliances, out, why);
    hf_reliances_free(&reliances);
    return err;
}

static enum hf_err walk_looked_at(const struct hf_simulation_query *query,
                                  const struct hf_bundle *bundle, struct hf_simulation *out,
                                  struct hf_why *why)
{
    struct hf_reliances reliances = {0};

    HF_TRY(hf_reliances_look(query->prober, 0, bundle, &reliances, why));
    out->knows_endpoints = true;
    out->n_unseen = 0;
    out->breaks = false;
    enum hf_err err = walk(bundle, &reliances, out, why);
    hf_reliances_free(&reliances);
    return err;
}

static enum hf_err simulate(struct hf_client *c, const struct hf_simulation_query *query,
                            const struct hf_bundle *bundle, struct hf_simulation *out,
                            struct hf_why *why)
{
    enum hf_err err = walk_known(c, query, bundle, out, why);
    if (err != HF_E_NOT_FOUND || query->prober == NULL)
        return err;
    return walk_looked_at(query, bundle, out, why);
}

enum hf_err hf_client_simulate(struct hf_client *client, const struct hf_simulation_query *query,
                               struct hf_simulation *out, struct hf_why *why)
{
    struct hf_simulation result = {.now_s = query->now_s, .at_s = query->at_s};
    struct hf_bundle bundle = {0};
    struct hf_why own = {0};

    if (result.now_s == HF_TIME_NONE && client != NULL)
        result.now_s = hf_client_now_s(client);
    enum hf_err err = obtain_bundle(client, query, &bundle, &own);
    if (err == HF_OK)
        err = simulate(client, query, &bundle, &result, &own);
    if (err == HF_OK)
        err = hf_skipped_describe(&bundle, &result.skipped, &result.n_skipped, &own);
    hf_bundle_free(&bundle);
    if (err != HF_OK)
        hf_simulation_free(&result);
    else
        *out = result;
    return hf_report(why, &own, err);
}

void hf_simulation_free(struct hf_simulation *simulation)
{
    if (simulation == NULL)
        return;
    free(simulation->forecasts);
    free(simulation->notes);
    free(simulation->skipped);
    *simulation = (struct hf_simulation){0};
}
