/*
 * Future problems with the device's roots: the warnings of the status, 730, 365, 180, 90 and 30
 * days ahead, and `holdfast simulate`, which tells what fails on a given date.
 */
#include "client/core/bundles.h"
#include "client/core/dependency.h"
#include "client/core/endpoints.h"

#include <holdfast/simulate.h>

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/bundle/policy.h"
#include "common/chain/words.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const end_names[] = {
    [HF_END_MISSING] = "missing", [HF_END_REFUSED] = "refused",   [HF_END_UNPROVED] = "unproved",
    [HF_END_EXPIRY] = "expiry",   [HF_END_DISTRUST] = "distrust", [HF_END_REMOVAL] = "removal",
};

/* ---- warnings -------------------------------------------------------------------------------- */

/* What the warnings are made from and where they go. */
struct outlook {
    const struct hf_bundle *bundle;
    const struct hf_dependencies *dependencies;
    int64_t now_s;
    struct hf_warning *warnings; /* owned; room for all there can be */
    size_t n;
};

/* The lowest threshold that has been reached; -1 for none. */
static int threshold_of(int64_t now_s, int64_t at_s)
{
    static const int thresholds_days[] = {30, 90, 180, 365, 730};

    if (at_s < now_s)
        return 0;
    for (size_t i = 0; i < sizeof thresholds_days / sizeof thresholds_days[0]; i++) {
        if (at_s - now_s <= thresholds_days[i] * HF_DAY_S)
            return thresholds_days[i];
    }
    return -1;
}

static struct hf_warning *add(struct outlook *o, const char *kind, int64_t at_s, int threshold_days)
{
    const int64_t left_s = at_s - o->now_s;
    struct hf_warning *w = &o->warnings[o->n++];

    *w = (struct hf_warning){.kind = kind,
                             .at_s = at_s,
                             .threshold_days = threshold_days,
                             .days_left = left_s / HF_DAY_S - (left_s % HF_DAY_S < 0)};
    return w;
}

/* The first one that would have no other root; NULL for none. `*has_users`: does any depend on the
 * anchor at all? */
static const struct hf_dependency *find_dependent(const struct outlook *o,
                                                  const struct hf_anchor *anchor, int64_t at_s,
                                                  bool *has_users)
{
    *has_users = false;
    for (size_t i = 0; i < o->dependencies->n; i++) {
        const struct hf_dependency *d = &o->dependencies->items[i];
        if (!hf_dependency_has(d, anchor))
            continue;
        *has_users = true;
        if (hf_dependency_at(d, o->bundle, anchor, o->now_s, at_s + 1) != HF_HOLD_SURE)
            return d;
    }
    return NULL;
}

/* `at_s` is the last second before `end` happens to the anchor. */
static void warn_of_end(struct outlook *o, const struct hf_anchor *anchor, enum hf_end end,
                        int64_t at_s, int threshold_days)
{
    static const char *const will[] = {
        [HF_END_EXPIRY] = "expires on",
        [HF_END_DISTRUST] = "is distrusted for certificates issued after",
        [HF_END_REMOVAL] = "is to be removed after",
    };
    char day[HF_TIME_TEXT_MAX], in[32] = "which has passed", who[464];
    bool has_users = false;
    const struct hf_dependency *d = find_dependent(o, anchor, at_s, &has_users);

    if (!has_users)
        return;
    struct hf_warning *w = add(o, end_names[end], at_s, threshold_days);
    w->is_note = d == NULL;
    (void)snprintf(w->subject, sizeof w->subject, "%s", anchor->cert.subject);
    hf_hex_encode(anchor->cert.sha256, HF_SHA256_LEN, w->sha256);
    if (d != NULL && d->endpoint != NULL)
        hf_dependency_text(d, o->bundle, w->endpoint, sizeof w->endpoint);
    if (end == HF_END_EXPIRY)
        hf_time_format_day(at_s, day);
    else
        hf_time_format_last(at_s, day);
    if (w->days_left >= 0)
        (void)snprintf(in, sizeof in, "in %" PRId64 " day%s", w->days_left,
                       w->days_left == 1 ? "" : "s");
    if (w->is_note)
        (void)snprintf(who, sizeof who, "nothing is lost by it: another root serves");
    else if (w->endpoint[0] == '\0')
        (void)snprintf(who, sizeof who,
                       "no endpoint was seen that could show whether it is needed; publish a "
                       "bundle with its successor");
    else
        (void)snprintf(who, sizeof who,
                       "%s has no other root in this bundle and cannot be reached then%s; publish "
                       "a bundle with its successor",
                       w->endpoint, end == HF_END_DISTRUST ? " with a newer certificate" : "");
    (void)snprintf(w->text, sizeof w->text, "\"%s\" %s %s, %s: %s", anchor->cert.subject, will[end],
                   day, in, who);
}

/* Expiry or removal, whichever comes first, and distrust. An anchor that has ended is no news. */
static void warn_of_anchor(struct outlook *o, const struct hf_anchor *anchor)
{
    const int64_t distrust_s = anchor->distrust_after_s;
    int64_t end_s = anchor->cert.not_after_s;
    enum hf_end end = HF_END_EXPIRY;

    if (anchor->remove_after_s >= o->now_s && anchor->remove_after_s < end_s) {
        end = HF_END_REMOVAL;
        end_s = anchor->remove_after_s;
    }
    if (threshold_of(o->now_s, end_s) > 0)
        warn_of_end(o, anchor, end, end_s, threshold_of(o->now_s, end_s));
    if (distrust_s != HF_TIME_NONE && threshold_of(o->now_s, distrust_s) >= 0 &&
        anchor->cert.not_after_s >= o->now_s)
        warn_of_end(o, anchor, HF_END_DISTRUST, distrust_s, threshold_of(o->now_s, distrust_s));
}

static void warn_of_lost_endpoint(struct outlook *o, const struct hf_dependency *d)
{
    char day[HF_TIME_TEXT_MAX], how[HF_DN_TEXT_MAX + 96];

    if (d->endpoint == NULL ||
        hf_dependency_at(d, o->bundle, NULL, o->now_s, o->now_s) != HF_HOLD_BROKEN)
        return;
    bool is_noted = d->loss != NULL && d->loss->since_s != HF_TIME_NONE;
    struct hf_warning *w = add(o, "lost", is_noted ? d->loss->since_s : o->now_s, 0);
    hf_dependency_text(d, o->bundle, w->endpoint, sizeof w->endpoint);
    if (!is_noted) {
        (void)snprintf(w->text, sizeof w->text,
                       "%s is lost: none of the roots that its chain leads to is trusted now; "
                       "publish a bundle with one of them, or move the endpoint to another CA",
                       w->endpoint);
        return;
    }
    (void)snprintf(w->subject, sizeof w->subject, "%s", d->loss->root);
    hf_time_format(d->loss->since_s, day);
    hf_loss_text(d->loss, how, sizeof how);
    (void)snprintf(w->text, sizeof w->text,
                   "%s is lost since %s: %s; publish a bundle with a root that it leads to, or "
                   "move the endpoint to another CA",
                   w->endpoint, day, how);
}

static void warn_of_refused_endpoint(struct outlook *o, const struct hf_refused_endpoint *r)
{
    struct hf_warning *w = add(o, "refused", r->refusal->seen_s, 0);
    char day[HF_TIME_TEXT_MAX];

    (void)snprintf(w->endpoint, sizeof w->endpoint, "%s", r->name);
    hf_time_format(r->refusal->seen_s, day);
    (void)snprintf(w->text, sizeof w->text, "%.320s was seen on %s and is refused: %.600s",
                   w->endpoint, day, r->refusal->text);
}

static int compare_warnings(const void *a, const void *b)
{
    const struct hf_warning *x = a, *y = b;
    if (x->is_note != y->is_note)
        return x->is_note ? 1 : -1;
    return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

enum hf_err hf_warnings_make(const struct hf_bundle *bundle,
                             const struct hf_dependencies *dependencies, int64_t now_s,
                             struct hf_warning **out, size_t *n_out, struct hf_why *why)
{
    const size_t most = 2 * bundle->n_anchors + dependencies->n + dependencies->n_refused;
    struct outlook o = {.bundle = bundle, .dependencies = dependencies, .now_s = now_s};

    o.warnings = calloc(most + 1, sizeof *o.warnings);
    if (o.warnings == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the warnings about %zu trust anchors",
                       bundle->n_anchors);
    for (size_t i = 0; i < dependencies->n; i++)
        warn_of_lost_endpoint(&o, &dependencies->items[i]);
    for (size_t i = 0; i < dependencies->n_refused; i++)
        warn_of_refused_endpoint(&o, &dependencies->refused[i]);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        warn_of_anchor(&o, &bundle->anchors[i]);
    qsort(o.warnings, o.n, sizeof *o.warnings, compare_warnings);
    *out = o.warnings;
    *n_out = o.n;
    return HF_OK;
}

/* ---- simulate -------------------------------------------------------------------------------- */

/* The bundle of the query, or the active one. */
static enum hf_err obtain_bundle(struct hf_client *c, const struct hf_simulation_query *query,
                                 struct hf_bundle *out, struct hf_why *why)
{
    struct hf_description description = {0};
    struct hf_bundle bundle = {0};
    json_t *json = NULL;
    enum hf_err err = HF_OK;

    if (c == NULL && (query->pem.len == 0 || query->now_s == HF_TIME_NONE))
        return hf_fail(why, HF_E_ARGUMENT,
                       "neither a device is given, nor a bundle and the time of today");
    if (query->pem.len == 0) {
        err = hf_bundle_load_in_use(c, HF_SLOT_ACTIVE, out, why);
        return err != HF_E_NOT_FOUND ? err
                                     : hf_fail(why, err,
                                               "this device has no bundle yet: run an update, or "
                                               "name a bundle");
    }
    if (query->custom.len > 0) {
        /* A target's signed `custom`, or the file beside a bundle of a device, which holds it. */
        HF_TRY(hf_json_parse_object(query->custom, "the bundle's description", &json, why));
        const json_t *inner = json_object_get(json, "custom");
        err = hf_description_parse(inner != NULL ? inner : json, &description, why);
        json_decref(json);
    }
    if (err == HF_OK)
        err = hf_bundle_parse(query->pem, query->custom.len > 0 ? &description : NULL, &bundle,
                              why);
    hf_description_free(&description);
    /* A certificate that is no CA would validate no server, whatever its dates say. */
    for (size_t i = 0; i < bundle.n_anchors && err == HF_OK; i++)
        err = hf_policy_check_ca(&bundle.anchors[i], why);
    if (err == HF_OK) {
        *out = bundle;
        return HF_OK;
    }
    hf_bundle_free(&bundle);
    return hf_fail_context(why, "the bundle");
}

/* Keep those that the query asks about: endpoints if any was seen, and nothing else then, because
 * roots that none of them needs break nothing. Otherwise the roots that are usable today. */
static enum hf_err choose(const struct hf_simulation_query *query, const struct hf_bundle *bundle,
                          struct hf_dependencies *dependencies, struct hf_simulation *out,
                          struct hf_why *why)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < dependencies->n; i++)
        out->knows_endpoints = out->knows_endpoints || dependencies->items[i].endpoint != NULL;
    for (size_t i = 0; i < dependencies->n; i++) {
        const struct hf_dependency *d = &dependencies->items[i];
        bool is_asked = d->endpoint != NULL;
        if (query->endpoint != NULL)
            is_asked = is_asked && strcmp(d->endpoint, query->endpoint) == 0;
        else if (!out->knows_endpoints)
            is_asked = hf_dependency_at(d, bundle, NULL, out->now_s, out->now_s) == HF_HOLD_SURE;
        if (is_asked)
            dependencies->items[n_kept++] = *d;
    }
    dependencies->n = n_kept;
    out->breaks = n_kept == 0;
    if (n_kept > 0 || query->endpoint == NULL)
        return HF_OK;
    return hf_fail(
        why, HF_E_NOT_FOUND,
        "this device has not seen an endpoint \"%.300s\" yet; status names those that it "
        "knows",
        query->endpoint);
}

/* What is wrong with the anchor that is there, if it is not its end. */
static void explain(const struct hf_dependency *d, const struct hf_breakage *breakage,
                    char out[HF_WHY_MAX])
{
    const struct hf_anchor *anchor = breakage->anchor;
    char day[HF_TIME_TEXT_MAX];

    if (breakage->end != HF_END_REFUSED && breakage->end != HF_END_UNPROVED)
        return;
    if (anchor == NULL) {
        (void)snprintf(out, HF_WHY_MAX, "%s", d->refusal);
        return;
    }
    (void)snprintf(out, HF_WHY_MAX, "trust anchor \"%s\": ", anchor->cert.subject);
    hf_time_format_day(anchor->cert.not_before_s, day);
    if (breakage->end == HF_END_UNPROVED)
        hf_text_append(out, HF_WHY_MAX,
                       "it has the key of a root that validated this endpoint, but %s; check it "
                       "with `holdfast probe --ca`",
                       hf_dependency_new_limit(d, anchor));
    else if (hf_verify_anchor(anchor->der) != 0)
        hf_words_anchor(anchor->der, out, HF_WHY_MAX);
    else
        hf_text_append(out, HF_WHY_MAX, "not yet valid, only from %s on", day);
}

static struct hf_forecast forecast(const struct hf_dependency *d, const struct hf_bundle *bundle,
                                   int64_t now_s, int64_t at_s)
{
    static const enum hf_simulated simulated[] = {
        [HF_HOLD_BROKEN] = HF_SIMULATED_BREAKS,
        [HF_HOLD_AT_RISK] = HF_SIMULATED_AT_RISK,
        [HF_HOLD_SURE] = HF_SIMULATED_HOLDS,
    };
    const struct hf_anchor *through = hf_dependency_served_by(d, bundle, now_s, at_s);
    const struct hf_breakage breakage = hf_dependency_foresee(d, bundle, now_s);
    struct hf_forecast out = {
        .is_endpoint = d->endpoint != NULL,
        .at = simulated[hf_dependency_at(d, bundle, NULL, now_s, at_s)],
        .cause = end_names[breakage.end],
        .trouble_s = breakage.from_s,
        .broken_s = breakage.at_latest_s,
    };

    hf_dependency_text(d, bundle, out.who, sizeof out.who);
    explain(d, &breakage, out.why);
    if (breakage.anchor != NULL)
        (void)snprintf(out.root, sizeof out.root, "%s", breakage.anchor->cert.subject);
    if (through != NULL)
        (void)snprintf(out.through, sizeof out.through, "%s", through->cert.subject);
    return out;
}

static int compare_forecasts(const void *a, const void *b)
{
    const struct hf_forecast *x = a, *y = b;
    if (x->trouble_s != y->trouble_s)
        return x->trouble_s < y->trouble_s ? -1 : 1;
    return strcmp(x->who, y->who);
}

static struct hf_date_note *add_note(struct hf_simulation *out, const struct hf_anchor *anchor,
                                     enum hf_end kind)
{
    struct hf_date_note *note = &out->notes[out->n_notes++];

    *note = (struct hf_date_note){.kind = end_names[kind], .at_s = HF_TIME_NONE};
    (void)snprintf(note->subject, sizeof note->subject, "%s", anchor->cert.subject);
    return note;
}

static void note_dates(struct hf_simulation *out, const struct hf_anchor *anchor)
{
    const enum hf_anchor_state state = hf_policy_anchor_state(anchor, out->now_s);
    char day[HF_TIME_TEXT_MAX];

    if (state == HF_ANCHOR_EXPIRED) {
        hf_time_format_day(anchor->cert.not_after_s, day);
        (void)snprintf(add_note(out, anchor, HF_END_REFUSED)->why, HF_WHY_MAX, "it expired on %s",
                       day);
    } else if (state == HF_ANCHOR_NOT_YET_VALID) {
        hf_time_format_day(anchor->cert.not_before_s, day);
        (void)snprintf(add_note(out, anchor, HF_END_REFUSED)->why, HF_WHY_MAX,
                       "it is not valid before %s", day);
    }
}

static enum hf_err fill(const struct hf_bundle *bundle, const struct hf_dependencies *dependencies,
                        struct hf_simulation *out, struct hf_why *why)
{
    out->forecasts = calloc(dependencies->n + 1, sizeof *out->forecasts);
    out->notes = calloc(3 * bundle->n_anchors + 1, sizeof *out->notes);
    if (out->forecasts == NULL || out->notes == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the simulation of %zu trust anchors",
                       bundle->n_anchors);
    for (size_t i = 0; i < dependencies->n; i++) {
        struct hf_forecast *f = &out->forecasts[out->n_forecasts++];
        *f = forecast(&dependencies->items[i], bundle, out->now_s, out->at_s);
        out->breaks = out->breaks || f->at != HF_SIMULATED_HOLDS;
    }
    qsort(out->forecasts, out->n_forecasts, sizeof *out->forecasts, compare_forecasts);
    /* If no leaf was seen, it is not known which servers a distrust_after affects, and when. */
    for (size_t i = 0; i < bundle->n_anchors && !out->knows_endpoints; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor->distrust_after_s != HF_TIME_NONE)
            add_note(out, anchor, HF_END_DISTRUST)->at_s = anchor->distrust_after_s;
        if (hf_verify_anchor(anchor->der) != 0)
            hf_words_anchor(anchor->der, add_note(out, anchor, HF_END_REFUSED)->why, HF_WHY_MAX);
        else
            note_dates(out, anchor);
    }
    /* An intermediate, for example, that nothing signed calls one. */
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        struct hf_why reason = {0};
        if (hf_policy_check_anchor(&bundle->anchors[i], &reason) == HF_OK)
            continue;
        struct hf_date_note *note = add_note(out, &bundle->anchors[i], HF_END_REFUSED);
        note->kind = "rejected";
        memcpy(note->why, reason.text, sizeof note->why);
    }
    return HF_OK;
}

enum hf_err hf_client_simulate(struct hf_client *client, const struct hf_simulation_query *query,
                               struct hf_simulation *out, struct hf_why *why)
{
    struct hf_simulation result = {.now_s = query->now_s, .at_s = query->at_s};
    struct hf_dependencies dependencies = {0};
    struct hf_bundle bundle = {0}, active = {0};
    struct hf_why own = {0};

    if (client != NULL)
        hf_state_load(client);
    if (result.now_s == HF_TIME_NONE && client != NULL)
        result.now_s = hf_client_now_s(client);
    enum hf_err err = obtain_bundle(client, query, &bundle, &own);
    const bool has_bundle = err == HF_OK;
    /* Without an active one nothing is known of what validated the endpoints, but their keys. */
    if (err == HF_OK && client != NULL && query->pem.len > 0) {
        err = hf_bundle_load_in_use(client, HF_SLOT_ACTIVE, &active, &own);
        if (err == HF_E_NOT_FOUND || err == HF_E_STORAGE)
            err = HF_OK;
    }
    if (err == HF_OK)
        err = hf_dependencies_make(client, query->pem.len > 0 ? &active : &bundle, &bundle,
                                   &dependencies, &own);
    if (err == HF_OK) {
        result.n_unseen = dependencies.n_unseen;
        err = choose(query, &bundle, &dependencies, &result, &own);
    }
    if (err == HF_E_NOT_FOUND && has_bundle && query->prober != NULL) {
        hf_dependencies_free(&dependencies);
        result.n_unseen = 0;
        result.breaks = false;
        result.knows_endpoints = true;
        err = hf_dependencies_probe(query->prober, &bundle, &dependencies, &own);
    }
    if (err == HF_OK)
        err = fill(&bundle, &dependencies, &result, &own);
    if (err == HF_OK)
        err = hf_skipped_describe(&bundle, &result.skipped, &result.n_skipped, &own);
    hf_dependencies_free(&dependencies);
    hf_bundle_free(&bundle);
    hf_bundle_free(&active);
    if (err != HF_OK)
        hf_simulation_free(&result);
    else
        *out = result;
    return hf_pass_on(why, &own, err);
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
