/* /v1/accounts/{account}: the fleet in numbers, and why one device is not updated. */
#include "server/api/parts.h"

#include "common/base/timetext.h"
#include "server/fleet/explain.h"
#include "server/fleet/report_key.h"
#include "server/fleet/summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one device ------------------------------------------------------------------------------ */

/* What the store knows of it; `facts` points into the rest. */
struct known {
    struct hf_device_view device;
    struct hf_credential credential;
    struct hf_report_row result;
    bool has_credential, has_result;
    struct hf_explain_facts facts;
    struct hf_explanation explanation;
};

/* By number, so the newest comes last. */
static enum hf_err note_credential(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_credential *row = data;
    struct known *known = ctx;

    (void)why;
    if (!known->has_credential || row->status == HF_CERT_ACTIVE ||
        known->credential.status != HF_CERT_ACTIVE)
        known->credential = *row;
    known->has_credential = true;
    return HF_OK;
}

/* The newest comes first. */
static enum hf_err note_result(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_report_row *row = data;
    struct known *known = ctx;

    (void)why;
    if (!known->has_result && strcmp(row->report.kind_name, known->device.state.result) == 0) {
        known->result = *row;
        known->has_result = true;
    }
    return HF_OK;
}

static enum hf_err read_known(struct hf_api_call *call, struct hf_tx *tx, struct known *known,
                              struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_report_key key;

    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(hf_device_view_find(tx->db, account.id, call->match.params[1], &known->device, why));
    const int64_t device = known->device.device.id;
    HF_TRY(hf_credential_list(tx->db,
                              &(struct hf_credential_filter){.account_id = account.id,
                                                             .device_id = device},
                              0, HF_FLEET_PAGE_MAX, note_credential, known, why));
    HF_TRY(hf_report_row_list(tx->db, device, 0, HF_API_EXPLAIN_REPORTS, note_result, known, why));
    enum hf_err err = hf_report_key_find(tx->db, device, &key, why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    struct hf_published *published = hf_api_published(call->api);
    const struct hf_device_state *state = &known->device.state;
    known->facts = (struct hf_explain_facts){.now_s = tx->now_s,
                                             .device = &known->device,
                                             .credential = known->has_credential
                                                               ? &known->credential
                                                               : NULL,
                                             .has_report_key = err == HF_OK,
                                             .result = known->has_result ? &known->result : NULL,
                                             .published = hf_published_newest(published, state->set,
                                                                              state->profile)};
    hf_published_unref(published);
    return HF_OK;
}

static json_t *statement_json(const struct hf_statement *s)
{
    return json_pack("{s:s, s:s, s:o, s:o}", "check", s->check, "verdict",
                     hf_verdict_name(s->verdict), "text", hf_json_plain(s->text), "advice",
                     hf_api_text_or_null(s->advice));
}

static enum hf_err explain(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct known *known = hf_api_work(call, sizeof *known, NULL);
    json_t *statements = json_array();

    if (known == NULL) {
        json_decref(statements);
        return hf_fail(why, HF_E_MEMORY, "no memory for an explanation");
    }
    enum hf_err err = read_known(call, tx, known, why);
    if (err != HF_OK) {
        json_decref(statements);
        return err;
    }
    const struct hf_explanation *e = &known->explanation;
    hf_explain(&known->facts, &known->explanation);
    for (size_t i = 0; i < HF_EXPLAIN_CHECKS; i++)
        statements = hf_json_append_take(statements, statement_json(&e->statements[i]));
    return hf_api_answer_take(call, 200,
                              json_pack("{s:s, s:b, s:o, s:o}", "id", known->device.device.name,
                                        "is_up_to_date", e->is_up_to_date, "cause",
                                        statement_json(e->cause), "statements", statements),
                              why);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static enum hf_err add_version(void *list, const void *data, struct hf_why *why)
{
    const struct hf_version_count *row = data;
    json_t *entry = json_pack("{s:s, s:I, s:I}", "set", row->set, "version",
                              (json_int_t)row->version, "devices", (json_int_t)row->n);

    return json_array_append_new(list, entry) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static json_t *result_json(const char *name, int64_t n)
{
    return json_pack("{s:o, s:I}", "result", hf_api_text_or_null(name), "devices", (json_int_t)n);
}

/* Those that there are; the sum is the number of devices. */
static json_t *results_json(const struct hf_result_counts *counts, int64_t *sum)
{
    json_t *list = json_array();

    *sum = counts->none;
    if (counts->none > 0)
        list = hf_json_append_take(list, result_json("", counts->none));
    for (int kind = HF_REPORT_OTHER; kind < HF_REPORT_KIND_COUNT; kind++) {
        *sum += counts->of[kind];
        if (counts->of[kind] > 0)
            list = hf_json_append_take(list,
                                       result_json(hf_report_kind_name((enum hf_report_kind)kind),
                                                   counts->of[kind]));
    }
    return list;
}

static json_t *certificates_json(const struct hf_registry *registry, int64_t account_id)
{
    size_t counts[HF_CERT_STATUSES];
    json_t *object = json_object();

    hf_registry_count_status(registry, (uint32_t)account_id, HF_CERT_DEVICE, counts);
    for (int status = HF_CERT_ACTIVE; status < HF_CERT_STATUSES; status++)
        object = hf_json_set_take(object, hf_cert_status_name((enum hf_cert_status)status),
                                  json_integer((json_int_t)counts[status]));
    return object;
}

/* A step of its own, since it takes the reader 100 ms for a million devices: other requests come
 * between the two. */
static enum hf_err count_results(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_result_counts *results = hf_api_work(call, sizeof *results, NULL);

    if (results == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    HF_TRY(hf_api_account(call, tx, &account, why));
    return hf_summary_results(tx->db, account.id, results, why);
}

static enum hf_err show_fleet(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_result_counts *results = call->work;
    struct hf_account_row account;
    struct hf_contact_count contact;
    int64_t devices = 0;

    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(hf_summary_contact(tx->db, account.id, tx->now_s - HF_EXPLAIN_SILENT_S, &contact, why));
    json_t *versions = json_array();
    enum hf_err err = hf_summary_versions(tx->db, account.id, add_version, versions, why);
    if (err != HF_OK) {
        json_decref(versions);
        return err;
    }
    json_t *by_result = results_json(results, &devices);
    const struct hf_registry *registry = hf_fleet_registry(call->api->config.fleet);
    return hf_api_answer_take(call, 200,
                              json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "time",
                                        hf_json_time(tx->now_s), "devices", (json_int_t)devices,
                                        "never_reported", (json_int_t)contact.never, "silent",
                                        (json_int_t)contact.silent, "silent_after_s",
                                        (json_int_t)HF_EXPLAIN_SILENT_S, "versions", versions,
                                        "results", by_result, "certificates",
                                        certificates_json(registry, account.id)),
                              why);
}

/* ---- what is published ----------------------------------------------------------------------- */

static enum hf_err add_bundle(struct hf_tx *tx, int64_t account_id,
                              const struct hf_published_bundle *bundle, json_t *list,
                              struct hf_why *why)
{
    const struct hf_description *d = &bundle->description;
    int64_t devices = 0;

    HF_TRY(hf_summary_version(tx->db, account_id, d->set, d->version, &devices, why));
    json_t *entry = json_pack("{s:s, s:s, s:I, s:s, s:b, s:I}", "set", d->set, "profile",
                              d->profile, "version", (json_int_t)d->version, "sha256",
                              bundle->sha256, "is_newest", bundle->is_newest, "devices",
                              (json_int_t)devices);
    return json_array_append_new(list, entry) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err list_bundles(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;

    HF_TRY(hf_api_account(call, tx, &account, why));
    struct hf_published *published = hf_api_published(call->api);
    const bool is_served = published != NULL;
    json_t *list = json_array();
    enum hf_err err = HF_OK;
    for (size_t i = 0; is_served && i < published->n && err == HF_OK; i++)
        err = add_bundle(tx, account.id, &published->bundles[i], list, why);
    hf_published_unref(published);
    if (err != HF_OK) {
        json_decref(list);
        return err;
    }
    return hf_api_answer_take(call, 200,
                              json_pack("{s:b, s:o}", "is_served", is_served, "bundles", list),
                              why);
}

/* ---- over time ------------------------------------------------------------------------------- */

enum { SET, WHAT, SINCE, UNTIL };

/* "HOUR/SET/VERSION/WHAT", the row that was last on the page before. */
static bool read_position(const char *text, struct hf_version_count *out)
{
    char *end = NULL;

    out->hour_s = strtoll(text, &end, 10);
    if (end == text || *end != '/')
        return false;
    size_t set_len = strcspn(end + 1, "/");
    if (set_len >= sizeof out->set || end[1 + set_len] != '/')
        return false;
    memcpy(out->set, end + 1, set_len);
    out->set[set_len] = '\0';
    text = end + 1 + set_len + 1;
    out->version = strtoll(text, &end, 10);
    if (end == text || *end != '/' || strlen(end + 1) >= sizeof out->what)
        return false;
    (void)snprintf(out->what, sizeof out->what, "%s", end + 1);
    return true;
}

static enum hf_err read_time(const struct hf_api_match *match, int which, int64_t none,
                             int64_t *out, struct hf_why *why)
{
    *out = none;
    if (!match->has_filter[which] || hf_time_parse(match->filters[which], out))
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "query: %s: expected a time in UTC such as 2026-12-31T00:00:00Z",
                   match->route->filters[which]);
}

static enum hf_err read_range(const struct hf_api_call *call, int64_t now_s,
                              struct hf_version_count *from, int64_t *until_s, struct hf_why *why)
{
    int64_t since_s = 0;

    HF_TRY(read_time(&call->match, UNTIL, now_s + 1, until_s, why));
    HF_TRY(read_time(&call->match, SINCE, *until_s - HF_API_SERIES_DEFAULT_S, &since_s, why));
    if (since_s < 0 || *until_s < since_s || *until_s - since_s > HF_API_SERIES_RANGE_MAX_S)
        return hf_fail(why, HF_E_ARGUMENT,
                       "query: until is before since, or more than %lld days after it. Ask for a "
                       "shorter time",
                       HF_API_SERIES_RANGE_MAX_S / 86400);
    *from = (struct hf_version_count){.hour_s = since_s - since_s % HF_SERIES_HOUR_S - 1};
    if (call->match.after_text[0] != '\0' && !read_position(call->match.after_text, from))
        return hf_fail(why, HF_E_ARGUMENT,
                       "after: expected a value from the link to the next page");
    return HF_OK;
}

/* A page under way. */
struct series {
    struct hf_api_page page;
    struct hf_version_count last;
};

static enum hf_err add_point(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_version_count *row = data;
    struct series *series = ctx;
    struct hf_api_call *call = series->page.call;

    if (json_array_size(series->page.rows) == call->match.limit) {
        (void)snprintf(call->next_text, sizeof call->next_text, "%" PRId64 "/%s/%" PRId64 "/%s",
                       series->last.hour_s, series->last.set, series->last.version,
                       series->last.what);
        return HF_OK;
    }
    series->last = *row;
    return hf_api_page_add_take(&series->page, 1,
                                json_pack("{s:o, s:s, s:I, s:s, s:I}", "hour",
                                          hf_json_time(row->hour_s), "set", row->set, "version",
                                          (json_int_t)row->version, "what", row->what, "n",
                                          (json_int_t)row->n),
                                why);
}

static enum hf_err list_series(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_api_match *match = &call->match;
    struct hf_account_row account;
    struct hf_version_count from;
    struct hf_series_filter filter = {.from = &from, .limit = match->limit + 1};

    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(read_range(call, tx->now_s, &from, &filter.until_s, why));
    filter.set = match->has_filter[SET] ? match->filters[SET] : NULL;
    filter.what = match->has_filter[WHAT] ? match->filters[WHAT] : NULL;
    struct series series = {.page = hf_api_page_begin(call, tx)};
    enum hf_err err = hf_summary_series(tx->db, account.id, &filter, add_point, &series, why);
    return hf_api_page_end(&series.page, "series", err, why);
}

#define ACCOUNT "/v1/accounts/{account}"

const struct hf_api_route hf_fleet_routes[] = {
    {HTTP_GET, ACCOUNT "/devices/{id}/explanation", HF_ADMIN_VIEWER,
     .steps = {{HF_API_READ, explain}}},
    {HTTP_GET, ACCOUNT "/fleet", HF_ADMIN_VIEWER,
     .steps = {{HF_API_READ, count_results}, {HF_API_READ, show_fleet}}},
    {HTTP_GET, ACCOUNT "/bundles", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, list_bundles}}},
    {HTTP_GET, ACCOUNT "/series", HF_ADMIN_VIEWER,
     .filters = {[SET] = "set", [WHAT] = "what", [SINCE] = "since", [UNTIL] = "until"},
     .is_list = true, .has_text_after = true, .steps = {{HF_API_READ, list_series}}},
    {0},
};
