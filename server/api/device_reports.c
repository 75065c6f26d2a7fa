/* /v1/accounts/{account}: the reports of a device, unverified ones, and the keys of signed ones. */
#include "server/api/parts.h"

#include "server/fleet/report_key.h"
#include "server/fleet/report_row.h"

/* ---- reports --------------------------------------------------------------------------------- */

static json_t *report_json(const struct hf_report_row *row)
{
    const struct hf_report *r = &row->report;
    return json_pack("{s:I, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "number", (json_int_t)row->number, "received", hf_json_time(row->received_s),
                     "clock", hf_json_time(r->clock_s), "kind", r->kind_name, "set", r->set,
                     "profile", r->profile, "from", hf_api_version_or_null(r->from), "to",
                     hf_api_version_or_null(r->to), "sha256", hf_api_text_or_null(r->sha256),
                     "outcome", hf_api_text_or_null(r->outcome), "text",
                     hf_api_text_or_null(r->text), "endpoint", hf_api_text_or_null(r->endpoint),
                     "root", hf_api_text_or_null(r->root), "root_name",
                     hf_api_text_or_null(r->root_name), "agent", hf_api_text_or_null(r->agent));
}

static enum hf_err add_report(void *page, const void *data, struct hf_why *why)
{
    const struct hf_report_row *row = data;
    return hf_api_page_add_take(page, row->number, report_json(row), why);
}

static enum hf_err add_unverified(void *page, const void *data, struct hf_why *why)
{
    const struct hf_report_row *row = data;
    json_t *report = report_json(row);
    report = hf_json_set_take(report, "device", json_string(row->report.device));
    report = hf_json_set_take(report, "installation", json_string(row->report.installation));
    return hf_api_page_add_take(page, row->number, report, why);
}

static enum hf_err list_of_device(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device device;
    HF_TRY(hf_api_device(call, tx, &device, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_report_row_list(tx->db, device.id, call->match.after, page.limit,
                                         add_report, &page, why);
    return hf_api_page_end(&page, "reports", err, why);
}

static enum hf_err list_unverified(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_report_row_list_unverified(tx->db, account.id, call->match.after,
                                                    page.limit, add_unverified, &page, why);
    return hf_api_page_end(&page, "reports", err, why);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum hf_err answer_key(struct hf_api_call *call, const struct hf_report_key *row,
                              struct hf_why *why)
{
    char text[HF_REPORT_KEY_TEXT_SIZE];
    hf_report_key_format(row->public_key, text);
    call->version = row->id;
    return hf_api_answer_take(call, 200,
                              json_pack("{s:s, s:o, s:s}", "key", text, "created",
                                        hf_json_time(row->created_s), "created_by",
                                        row->created_by),
                              why);
}

static enum hf_err show_key(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device device;
    struct hf_report_key row;
    HF_TRY(hf_api_device(call, tx, &device, why));
    HF_TRY(hf_report_key_find(tx->db, device.id, &row, why));
    return answer_key(call, &row, why);
}

static enum hf_err put_key(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device device;
    struct hf_report_key row;
    uint8_t key[HF_REPORT_KEY_LEN];
    HF_TRY(hf_api_device(call, tx, &device, why));
    HF_TRY(hf_api_input(call, hf_report_key_parse(hf_body_text(call->body, "key"), key, why)));
    HF_TRY(hf_report_key_register(tx, &device, key, &row, why));
    return answer_key(call, &row, why);
}

static enum hf_err revoke_key(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device device;
    struct hf_report_key row;
    HF_TRY(hf_api_device(call, tx, &device, why));
    HF_TRY(hf_report_key_find(tx->db, device.id, &row, why));
    HF_TRY(hf_tx_check_version(call->if_version, row.id, why));
    call->status = 204;
    return hf_report_key_revoke(tx, &device, why);
}

static const struct hf_body_field key_body[] = {
    {"key", HF_BODY_TEXT, .is_required = true, .max = HF_REPORT_KEY_TEXT_SIZE - 1},
    {0},
};

#define DEVICE "/v1/accounts/{account}/devices/{id}"

const struct hf_api_route hf_device_report_routes[] = {
    {HTTP_GET, DEVICE "/reports", HF_ADMIN_VIEWER, .is_list = true,
     .steps = {{HF_API_READ, list_of_device}}},
    {HTTP_GET, "/v1/accounts/{account}/unverified-reports", HF_ADMIN_VIEWER, .is_list = true,
     .steps = {{HF_API_READ, list_unverified}}},
    {HTTP_GET, DEVICE "/report-key", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show_key}}},
    {HTTP_PUT, DEVICE "/report-key", HF_ADMIN_REGISTRAR, .body = key_body,
     .steps = {{HF_API_WRITE, put_key}}},
    {HTTP_DELETE, DEVICE "/report-key", HF_ADMIN_REGISTRAR, .must_match = true,
     .steps = {{HF_API_WRITE, revoke_key}}},
    {0},
};
