/* What a device calls later: POST /v1/rotate for its next certificate, GET /v1/whoami. */
#include "server/api/order.h"

#include "common/base/timetext.h"

#include <openssl/x509.h>
#include <string.h>

static enum hf_err read_signature(struct hf_api_call *call, struct hf_order *order,
                                  struct hf_why *why)
{
    X509 *old = NULL;
    if (hf_json_get_base64(call->body, "signature", "the body", HF_API_DEVICE_BODY_MAX,
                           &order->signature, NULL) != HF_OK)
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT, "\"signature\": expected base64"));
    HF_TRY(hf_client_cert_read_der(hf_buf_bytes(&order->old_der), &old, why));
    enum hf_err err = hf_csr_check_renewal(&order->csr, old, hf_buf_bytes(&order->signature), why);
    X509_free(old);
    return err;
}

/* The signer renews what its CA issued, without counting it; another CA's certificate gets a new
 * one. */
static enum hf_err is_of_issuing_ca(struct hf_tx *tx, struct hf_order *order, struct hf_why *why)
{
    struct hf_ca_row ca;
    if (order->old.source != HF_SOURCE_ISSUED || order->old.ca_id == 0)
        return HF_OK;
    HF_TRY(hf_ca_get(tx->db, order->account.id, order->old.ca_id, &ca, why));
    order->is_renewal = ca.id == order->ca.id;
    return HF_OK;
}

/* A new certificate, unlike a renewal, counts against the day's quota: what one device takes of it
 * is bounded. */
static enum hf_err check_hour(struct hf_api_call *call, struct hf_tx *tx,
                              const struct hf_order *order, struct hf_why *why)
{
    int64_t last_s = HF_TIME_NONE;
    char next[HF_TIME_TEXT_MAX];
    if (order->is_renewal || order->answered_id != 0)
        return HF_OK;
    HF_TRY(hf_credential_rotated_at(tx->db, order->old.device_id, tx->now_s, &last_s, why));
    if (last_s == HF_TIME_NONE)
        return HF_OK;
    call->retry_after_s = last_s + HF_FLEET_ISSUE_WINDOW_S - tx->now_s;
    hf_time_format(last_s + HF_FLEET_ISSUE_WINDOW_S, next);
    return hf_api_limited(call, hf_fail(why, HF_E_LIMIT,
                                        "the device has rotated within the last hour, and once an "
                                        "hour is allowed. Try again at %s",
                                        next));
}

static enum hf_err check_rotation(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = NULL;
    struct hf_device device;
    HF_TRY(hf_order_new(call, &order, why));
    HF_TRY(hf_order_find_issuer(call, tx, order, why));
    order->kind = HF_CERT_DEVICE;
    HF_TRY(hf_credential_get(tx->db, order->account.id,
                             (int64_t)call->asker.identity.registered.credential, &order->old,
                             why));
    if (order->old.status != HF_CERT_ACTIVE)
        return hf_fail(why, HF_E_STATE, "the certificate is %s by now",
                       hf_cert_status_name(order->old.status));
    if (order->old.device_id == 0)
        return hf_fail(why, HF_E_STATE,
                       "the certificate belongs to no device. The operator registers it with one "
                       "(`holdfast-admin credential register --device`)");
    HF_TRY(hf_device_get(tx->db, order->account.id, order->old.device_id, &device, why));
    memcpy(order->device, device.name, sizeof device.name);
    HF_TRY(hf_credential_der(tx->db, order->account.id, order->old.id, &order->old_der, why));
    HF_TRY(hf_order_read_csr(call, order, why));
    HF_TRY(is_of_issuing_ca(tx, order, why));
    HF_TRY(hf_order_look_at_device(tx, order, why));
    HF_TRY(check_hour(call, tx, order, why));
    HF_TRY(hf_order_verify_csr(call, order, why));
    return read_signature(call, order, why);
}

static enum hf_err record_rotation(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = call->work;
    struct hf_credential_new wanted;
    struct hf_credential made;
    struct hf_client_cert_text text;
    if (order->answered_id != 0) {
        HF_TRY(hf_credential_get(tx->db, order->account.id, order->answered_id, &made, why));
        return hf_order_answer(call, tx, order, &made, why);
    }
    HF_TRY(hf_order_describe_made(call, tx, &wanted, &text, why));
    HF_TRY(hf_credential_rotate(tx, order->old.id, &wanted, &made, why));
    return hf_order_answer(call, tx, order, &made, why);
}

/* ---- who am I -------------------------------------------------------------------------------- */

static enum hf_err whoami(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_identity *identity = &call->asker.identity;
    struct hf_account_row account;
    struct hf_credential row;
    struct hf_device device = {0};
    HF_TRY(hf_account_get(tx->db, identity->account, &account, why));
    if (!identity->has_certificate)
        return hf_api_answer_take(call, 200,
                                  json_pack("{s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:b}", "account",
                                            account.name, "policy",
                                            hf_anonymous_name(identity->anonymous), "credential",
                                            "device", "kind", "status", "expires",
                                            "is_rotation_requested", 0),
                                  why);
    HF_TRY(
        hf_credential_get(tx->db, account.id, (int64_t)identity->registered.credential, &row, why));
    if (row.device_id != 0)
        HF_TRY(hf_device_get(tx->db, account.id, row.device_id, &device, why));
    return hf_api_answer_take(call, 200,
                              json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:b}", "account",
                                        account.name, "policy",
                                        hf_anonymous_name(account.anonymous), "credential",
                                        hf_json_sha256(row.sha256), "device",
                                        hf_api_text_or_null(device.name), "kind",
                                        hf_cert_kind_name(row.kind), "status",
                                        hf_cert_status_name(row.status), "expires",
                                        hf_json_time(row.not_after_s), "is_rotation_requested",
                                        row.is_rotation_asked),
                              why);
}

static const struct hf_body_field rotate_body[] = {
    {"csr", HF_BODY_TEXT, .is_required = true, .max = HF_CSR_BYTES_MAX},
    {"signature", HF_BODY_TEXT, .is_required = true, .max = 4096},
    {0},
};

const struct hf_api_route hf_rotation_routes[] = {
    {HTTP_POST, "/v1/rotate", HF_ADMIN_NONE, .body = rotate_body, .lets_in = true,
     .steps = {{HF_API_READ, check_rotation},
               {HF_API_SIGNER, hf_order_sign},
               {HF_API_WRITE, record_rotation}}},
    {HTTP_GET, "/v1/whoami", HF_ADMIN_NONE, .steps = {{HF_API_READ, whoami}}},
    {0},
};
