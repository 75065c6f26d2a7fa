#include "server/api/parts.h"

#include "common/bundle/pem.h"

#include <string.h>

const struct hf_api_route *const hf_api_admin_routes[] = {
    hf_account_routes,       hf_ca_routes,      hf_credential_routes,  hf_transfer_routes,
    hf_enroll_token_routes,  hf_device_routes,  hf_token_routes,       hf_log_routes,
    hf_signer_routes,        hf_metrics_routes, hf_database_routes,    hf_health_routes,
    hf_device_report_routes, hf_finding_routes, hf_fleet_routes,       hf_readiness_routes,
    hf_event_routes,         hf_rollout_routes, hf_rollout_act_routes, NULL,
};

const struct hf_api_route *const hf_api_device_routes[] = {hf_enrolment_routes, hf_rotation_routes,
                                                           hf_report_routes, NULL};

enum hf_err hf_api_account(const struct hf_api_call *call, struct hf_tx *tx,
                           struct hf_account_row *out, struct hf_why *why)
{
    enum hf_err err = hf_account_find(tx->db, call->match.params[0], out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "there is no account of this name");
    return err;
}

json_t *hf_api_text_or_null(const char *text)
{
    return text[0] != '\0' ? hf_json_plain(text) : json_null();
}

json_t *hf_api_time_or_null(int64_t time_s)
{
    return time_s != 0 ? hf_json_time(time_s) : json_null();
}

json_t *hf_api_pem(struct hf_bytes der)
{
    struct hf_buf pem = {0};
    json_t *value = NULL;
    if (hf_pem_append(&pem, der) == HF_OK)
        value = json_stringn((const char *)pem.data, pem.len);
    hf_buf_free(&pem);
    return value;
}

/* The name of the device, or null. */
static enum hf_err device_json(struct hf_tx *tx, const struct hf_credential *row, json_t **out,
                               struct hf_why *why)
{
    struct hf_device device;
    if (row->device_id == 0) {
        *out = json_null();
        return HF_OK;
    }
    HF_TRY(hf_device_get(tx->db, row->account_id, row->device_id, &device, why));
    *out = json_string(device.name);
    return HF_OK;
}

static enum hf_err account_name_json(struct hf_tx *tx, int64_t id, json_t **out, struct hf_why *why)
{
    struct hf_account_row account;
    if (id == 0) {
        *out = json_null();
        return HF_OK;
    }
    HF_TRY(hf_account_get(tx->db, id, &account, why));
    *out = json_string(account.name);
    return HF_OK;
}

enum hf_err hf_api_credential_json(struct hf_tx *tx, const struct hf_credential *row, json_t **out,
                                   struct hf_why *why)
{
    json_t *device = NULL, *to = NULL;
    HF_TRY(device_json(tx, row, &device, why));
    enum hf_err err = account_name_json(tx, row->transfer_account_id, &to, why);
    if (err != HF_OK) {
        json_decref(device);
        return err;
    }
    *out = json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:o}",
                     "sha256", hf_json_sha256(row->sha256), "status",
                     hf_cert_status_name(row->status), "mode", hf_cert_mode_name(row->mode), "kind",
                     hf_cert_kind_name(row->kind), "source", hf_credential_source_name(row->source),
                     "device", device, "subject", row->subject, "serial", row->serial, "not_before",
                     hf_json_time(row->not_before_s), "expires", hf_json_time(row->not_after_s),
                     "created", hf_json_time(row->created_s), "transfer_to", to, "is_confirmed",
                     row->is_confirmed, "is_rotation_requested", row->is_rotation_asked, "retires",
                     hf_api_time_or_null(row->retire_at_s));
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

void hf_api_credential_of(const struct hf_client_cert *cert, const struct hf_client_cert_text *text,
                          struct hf_credential_new *out)
{
    memcpy(out->sha256, cert->sha256, sizeof out->sha256);
    out->subject = text->subject;
    out->serial = text->serial;
    out->not_before_s = cert->not_before_s;
    out->not_after_s = cert->not_after_s;
}
