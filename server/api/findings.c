/* /v1/findings: what the audits have found; /v1/audits: the audits themselves. */
#include "server/api/parts.h"

#include "server/findings/auditor.h"
#include "server/findings/finding_json.h"

/* ---- findings -------------------------------------------------------------------------------- */

static enum hf_err read_filter(struct hf_api_call *call, struct hf_tx *tx,
                               struct hf_finding_filter *out, struct hf_why *why)
{
    const struct hf_api_match *match = &call->match;
    struct hf_account_row account;
    *out = (struct hf_finding_filter){.account_id = -1, .check = match->filters[1]};
    if (match->has_filter[0]) {
        HF_TRY(hf_account_find(tx->db, match->filters[0], &account, why));
        out->account_id = account.id;
    }
    if (match->has_filter[1] && hf_check_find(match->filters[1]) == NULL)
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT, "check: GET /v1/audits names them"));
    if (match->has_filter[2] && !hf_finding_state_parse(match->filters[2], &out->state))
        return hf_api_input(call,
                            hf_fail(why, HF_E_ARGUMENT, "state: expected open, muted or closed"));
    return HF_OK;
}

static enum hf_err add_finding(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_finding *row = data;
    return hf_api_page_add_take(ctx, row->id, hf_finding_json(row), why);
}

static enum hf_err list_findings(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_finding_filter filter;
    HF_TRY(read_filter(call, tx, &filter, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_finding_list(tx->db, &filter, tx->now_s, call->match.after, page.limit,
                                      add_finding, &page, why);
    return hf_api_page_end(&page, "findings", err, why);
}

static enum hf_err answer_finding(void *ctx, const void *data, struct hf_why *why)
{
    struct hf_api_call *call = ctx;
    const struct hf_finding *row = data;
    call->version = row->version;
    return hf_api_answer_take(call, 200, hf_finding_json(row), why);
}

static enum hf_err show_finding(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    int64_t id = 0;
    HF_TRY(hf_api_param_number(call, 0, &id, why));
    return hf_finding_get(tx->db, id, tx->now_s, answer_finding, call, why);
}

static enum hf_err mute(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    int64_t id = 0;
    HF_TRY(hf_api_param_number(call, 0, &id, why));
    HF_TRY(hf_finding_mute(tx, id, hf_body_text(call->body, "reason"),
                           hf_body_time(call->body, "until"), why));
    return hf_finding_get(tx->db, id, tx->now_s, answer_finding, call, why);
}

static enum hf_err unmute(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    int64_t id = 0;
    HF_TRY(hf_api_param_number(call, 0, &id, why));
    call->status = 204;
    return hf_finding_unmute(tx, id, call->if_version, why);
}

/* ---- audits ---------------------------------------------------------------------------------- */

static json_t *audit_json(struct hf_api_call *call, const struct hf_check *check,
                          const struct hf_check_run *run)
{
    struct hf_auditor *auditor = call->api->config.auditor;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:b}", "name", check->name, "kind",
                     check->kind, "what_to_do", check->what_to_do, "started",
                     hf_api_time_or_null(run->started_s), "ended",
                     hf_api_time_or_null(run->ended_s), "found", (json_int_t)run->found, "problem",
                     hf_api_text_or_null(run->problem), "is_running",
                     auditor != NULL && hf_auditor_is_busy(auditor, check));
}

static enum hf_err list_audits(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    json_t *list = json_array();
    for (size_t i = 0; i < hf_n_checks; i++) {
        struct hf_check_run run;
        enum hf_err err = hf_check_run_get(tx->db, hf_checks[i].name, &run, why);
        if (err != HF_OK) {
            json_decref(list);
            return err;
        }
        list = hf_json_append_take(list, audit_json(call, &hf_checks[i], &run));
    }
    return hf_api_answer_take(call, 200, json_pack("{s:o}", "audits", list), why);
}

static enum hf_err run_audit(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_check *check = hf_check_find(call->match.params[0]);
    struct hf_check_run run;
    if (check == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "there is no audit of this name");
    if (call->api->config.auditor == NULL)
        return hf_fail(why, HF_E_STATE, "this service runs no audits");
    HF_TRY(hf_check_run_get(tx->db, check->name, &run, why));
    hf_auditor_ask(call->api->config.auditor, check);
    return hf_api_answer_take(call, 202, audit_json(call, check, &run), why);
}

static const struct hf_body_field mute_body[] = {
    {"reason", HF_BODY_TEXT, .is_required = true, .max = HF_FLEET_REASON_MAX},
    {"until", HF_BODY_TIME, .is_required = true},
    {0},
};

const struct hf_api_route hf_finding_routes[] = {
    {HTTP_GET, "/v1/findings", HF_ADMIN_VIEWER, .filters = {"account", "check", "state"},
     .is_list = true, .steps = {{HF_API_READ, list_findings}}},
    {HTTP_GET, "/v1/findings/{id}", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show_finding}}},
    {HTTP_POST, "/v1/findings/{id}/mute", HF_ADMIN_OPERATOR, .body = mute_body,
     .steps = {{HF_API_WRITE, mute}}},
    {HTTP_DELETE, "/v1/findings/{id}/mute", HF_ADMIN_OPERATOR, .must_match = true,
     .steps = {{HF_API_WRITE, unmute}}},
    {HTTP_GET, "/v1/audits", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, list_audits}}},
    {HTTP_POST, "/v1/audits/{name}/run", HF_ADMIN_OPERATOR, .steps = {{HF_API_READ, run_audit}}},
    {0},
};
