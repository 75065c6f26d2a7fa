/*
 * What devices call: POST /v1/enroll for a first certificate, POST /v1/rotate for the next one, GET /v1/whoami.
 *
 *     check    reader   the request by itself, and whether it was answered before
 *     redeem   writer   one use of the token
 *     sign     signer   the certificate
 *     record   writer   registered; only then does the device get it
 *
 * A device that did not get its answer asks again with the same key and gets the same certificate. A crash between
 * `sign` and `record` leaves a certificate that is registered nowhere, and therefore refused.
 */
#include "server/api/parts.h"

#include "common/bundle/pem.h"
#include "server/fleet/enroll_token.h"
#include "server/identity/csr.h"
#include "server/identity/registration.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* What the steps hand on. */
struct order {
    struct hf_account_row account;
    struct hf_ca_row ca; /* that issues */
    struct hf_csr csr;
    char device[HF_DEVICE_ID_MAX + 1];
    char group[HF_FLEET_GROUP_NAME_MAX + 1];
    enum hf_cert_kind kind;
    int64_t device_id;   /* 0: there is no such device yet */
    bool has_active;     /* it has an ACTIVE certificate with another key */
    int64_t answered_id; /* the certificate that it was answered with before; 0: none */
    int64_t use_id;      /* of the token, to be answered; 0: none */
    bool is_renewal;     /* the signer verifies the old key's signature itself */

    /* Rotation. */
    struct hf_credential old;
    struct hf_buf old_der;
    struct hf_buf signature;

    struct hf_buf made; /* the new certificate */
};

static void order_free(void *work)
{
    struct order *order = work;
    hf_csr_free(&order->csr);
    hf_buf_free(&order->old_der);
    hf_buf_free(&order->signature);
    hf_buf_free(&order->made);
}

static enum hf_err new_order(struct hf_api_call *call, struct order **out, struct hf_why *why)
{
    *out = hf_api_work(call, sizeof **out, order_free);
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

/* ---- check -------------------------------------------------------------------------------------- */

/* The account, and the CA that issues for it. */
static enum hf_err find_issuer(struct hf_api_call *call, struct hf_tx *tx, struct order *order,
                               struct hf_why *why)
{
    HF_TRY(hf_account_get(tx->db, call->asker.identity.account, &order->account, why));
    enum hf_err err = HF_E_NOT_FOUND;
    if (order->account.issuing_ca[0] != '\0')
        err = hf_ca_find_issuing(tx->db, order->account.id, order->account.issuing_ca, &order->ca,
                                 why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(
            why, HF_E_STATE,
            "this account issues no certificates. The operator registers a CA of the signer "
            "for it first (`holdfast-admin ca register --signer-ca`)");
    if (err == HF_OK && !order->ca.is_active)
        return hf_fail(why, HF_E_STATE, "the CA that issues for this account is INACTIVE");
    return err;
}

static enum hf_err read_csr(struct hf_api_call *call, struct order *order, struct hf_why *why)
{
    const char *csr = hf_body_text(call->body, "csr");
    return hf_api_input(call, hf_csr_check(hf_bytes_of_text(csr), &order->csr, why));
}

struct search {
    struct hf_tx *tx;
    struct order *order;
};

/* Is the certificate one for the key of this request? */
static enum hf_err has_key_of(struct hf_tx *tx, const struct hf_credential *row,
                              const struct hf_csr *csr, bool *out, struct hf_why *why)
{
    struct hf_buf der = {0};
    struct hf_client_cert_text text;
    X509 *x509 = NULL;
    HF_TRY(hf_credential_der(tx->db, row->account_id, row->id, &der, why));
    enum hf_err err = hf_client_cert_read_der(hf_buf_bytes(&der), &x509, why);
    if (err == HF_OK)
        err = hf_client_cert_describe_text(x509, &text, why);
    if (err == HF_OK)
        *out = memcmp(text.spki_sha256, csr->spki_sha256, HF_SHA256_LEN) == 0;
    X509_free(x509);
    hf_buf_free(&der);
    return err;
}

/* A certificate of the device: was this request answered with it, or is it another one that is in use? */
static enum hf_err look_at(void *ctx, const struct hf_credential *row, struct hf_why *why)
{
    struct search *search = ctx;
    struct order *order = search->order;
    bool is_same = false;
    HF_TRY(has_key_of(search->tx, row, &order->csr, &is_same, why));
    bool is_of_old = order->old.id == 0 || row->replaces_id == order->old.id;
    if (is_same && is_of_old && row->source == HF_SOURCE_ISSUED)
        order->answered_id = row->id;
    else
        order->has_active = true;
    return HF_OK;
}

static enum hf_err look_at_device(struct hf_tx *tx, struct order *order, struct hf_why *why)
{
    struct hf_device device;
    struct search search = {tx, order};
    enum hf_err err = hf_device_find(tx->db, order->account.id, order->device, &device, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    order->device_id = device.id;
    return hf_credential_list(tx->db,
                              &(struct hf_credential_filter){.account_id = order->account.id,
                                                             .status = HF_CERT_ACTIVE,
                                                             .device_id = device.id},
                              0, HF_FLEET_PAGE_MAX, look_at, &search, why);
}

static enum hf_err check_enrolment(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct order *order = NULL;
    const char *device = hf_body_text(call->body, "device");
    bool is_claim = call->asker.identity.has_certificate;
    HF_TRY(new_order(call, &order, why));
    if (!is_claim && hf_body_text(call->body, "token") == NULL)
        return hf_fail(
            why, HF_E_POLICY,
            "\"token\" is missing: a device enrols with a token or over a claim certificate");
    if (is_claim && call->asker.identity.registered.kind != HF_CERT_CLAIM &&
        hf_body_text(call->body, "token") == NULL)
        return hf_fail(why, HF_E_POLICY,
                       "the device has a certificate already. Rotate it with POST /v1/rotate");
    if (!hf_device_id_is_valid(device))
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT,
                                          "\"device\": expected 1 to %d of A-Z a-z 0-9 . _ : -",
                                          HF_DEVICE_ID_MAX));
    memcpy(order->device, device, strlen(device) + 1);
    order->kind = HF_CERT_DEVICE;
    HF_TRY(read_csr(call, order, why));
    HF_TRY(find_issuer(call, tx, order, why));
    return look_at_device(tx, order, why);
}

/* ---- redeem ------------------------------------------------------------------------------------- */

static enum hf_err refuse_second_device(const struct order *order, struct hf_why *why)
{
    return hf_fail(
        why, HF_E_STATE,
        "the device \"%s\" has an ACTIVE certificate with another key. Rotate that one, or let "
        "the operator make a token for this very device, or set the certificate INACTIVE",
        order->device);
}

static enum hf_err redeem(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct order *order = call->work;
    const char *secret = hf_body_text(call->body, "token");
    struct hf_enroll_use use;
    struct hf_enroll_token token;
    uint8_t csr_sha256[HF_SHA256_LEN];
    if (secret == NULL)
        return order->has_active ? refuse_second_device(order, why) : HF_OK;
    hf_sha256(hf_buf_bytes(&order->csr.der), csr_sha256);
    HF_TRY(hf_enroll_token_redeem(tx, order->account.id, secret, order->device, csr_sha256, &use,
                                  why));
    HF_TRY(hf_enroll_token_get(tx->db, order->account.id, use.token_id, &token, why));
    /* One token for many devices must not take over one that is in the field. */
    if (order->has_active && use.kind == HF_CERT_DEVICE && token.device[0] == '\0' &&
        use.credential_id == 0)
        return refuse_second_device(order, why);
    order->kind = use.kind;
    memcpy(order->group, use.group, sizeof order->group);
    if (use.credential_id != 0)
        order->answered_id = use.credential_id;
    else
        order->use_id = use.id;
    return HF_OK;
}

/* ---- sign --------------------------------------------------------------------------------------- */

static enum hf_err sign(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct order *order = call->work;
    json_t *answer = NULL;
    (void)tx;
    if (order->answered_id != 0)
        return HF_OK;
    json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:o}", "verb",
                                order->is_renewal ? "renew" : "issue", "ca", order->ca.signer_name,
                                "account", order->account.name, "device", order->device, "csr",
                                hf_api_base64(hf_buf_bytes(&order->csr.der)));
    if (order->is_renewal) {
        request = hf_json_set_take(request, "old", hf_api_base64(hf_buf_bytes(&order->old_der)));
        request = hf_json_set_take(request, "signature",
                                   hf_api_base64(hf_buf_bytes(&order->signature)));
    }
    if (request == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a request");
    HF_TRY(hf_api_ask_signer_take(call, request, -1, &answer, why));
    const char *text = json_string_value(json_object_get(answer, "certificate"));
    bool is_read = text != NULL && hf_api_base64_decode(text, &order->made);
    json_decref(answer);
    return is_read ? HF_OK : hf_fail(why, HF_E_STORAGE, "the signer's answer has no certificate");
}

/* ---- record ------------------------------------------------------------------------------------- */

/* What the store wants of the certificate that was made, which must be for the key of the request. */
static enum hf_err describe_made(struct order *order, int64_t now_s, struct hf_credential_new *out,
                                 struct hf_client_cert_text *text, struct hf_why *why)
{
    struct hf_client_cert cert;
    X509 *x509 = NULL;
    HF_TRY(hf_client_cert_read_der(hf_buf_bytes(&order->made), &x509, why));
    enum hf_err err = hf_client_cert_check(x509, NULL, now_s, &cert, why);
    if (err == HF_OK)
        err = hf_client_cert_describe_text(x509, text, why);
    X509_free(x509);
    HF_TRY(err);
    if (memcmp(text->spki_sha256, order->csr.spki_sha256, HF_SHA256_LEN) != 0)
        return hf_fail(why, HF_E_STORAGE, "the signer made a certificate for another key");
    *out = (struct hf_credential_new){.account_id = order->account.id,
                                      .der = hf_buf_bytes(&order->made),
                                      .kind = order->kind,
                                      .source = HF_SOURCE_ISSUED,
                                      .status = HF_CERT_ACTIVE,
                                      .ca_id = order->ca.id,
                                      .device = order->kind == HF_CERT_DEVICE ? order->device
                                                                              : NULL,
                                      .group = order->group[0] != '\0' ? order->group : NULL};
    hf_api_credential_of(&cert, text, out);
    return HF_OK;
}

/* The certificate and the CA that issued it, and what it is. */
static enum hf_err answer_certificate(struct hf_api_call *call, struct hf_tx *tx,
                                      const struct order *order, const struct hf_credential *row,
                                      struct hf_why *why)
{
    struct hf_buf der = {0}, ca = {0}, chain = {0};
    enum hf_err err = hf_credential_der(tx->db, row->account_id, row->id, &der, why);
    if (err == HF_OK)
        err = hf_ca_der(tx->db, row->account_id, row->ca_id, &ca, why);
    if (err == HF_OK && (hf_pem_append(&chain, hf_buf_bytes(&der)) != HF_OK ||
                         hf_pem_append(&chain, hf_buf_bytes(&ca)) != HF_OK))
        err = hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    if (err == HF_OK)
        err = hf_api_answer_take(call, 201,
                                 json_pack("{s:s%, s:o, s:s, s:o}", "certificate",
                                           (const char *)chain.data, chain.len, "credential",
                                           hf_json_sha256(row->sha256), "device", order->device,
                                           "expires", hf_json_time(row->not_after_s)),
                                 why);
    hf_buf_free(&der);
    hf_buf_free(&ca);
    hf_buf_free(&chain);
    return err;
}

static enum hf_err record_enrolment(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct order *order = call->work;
    struct hf_credential_new wanted;
    struct hf_credential made;
    struct hf_client_cert_text text;
    if (order->answered_id != 0) {
        HF_TRY(hf_credential_get(tx->db, order->account.id, order->answered_id, &made, why));
        if (order->use_id != 0)
            HF_TRY(hf_enroll_use_answer(tx, order->use_id, made.id, why));
        return answer_certificate(call, tx, order, &made, why);
    }
    HF_TRY(describe_made(order, tx->now_s, &wanted, &text, why));
    HF_TRY(hf_credential_register(tx, &wanted, &made, why));
    if (order->use_id != 0)
        HF_TRY(hf_enroll_use_answer(tx, order->use_id, made.id, why));
    return answer_certificate(call, tx, order, &made, why);
}

/* ---- rotation ----------------------------------------------------------------------------------- */

static enum hf_err read_signature(struct hf_api_call *call, struct order *order, struct hf_why *why)
{
    X509 *old = NULL;
    if (!hf_api_base64_decode(hf_body_text(call->body, "signature"), &order->signature))
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT, "\"signature\": expected base64"));
    HF_TRY(hf_client_cert_read_der(hf_buf_bytes(&order->old_der), &old, why));
    enum hf_err err = hf_csr_check_renewal(&order->csr, old, hf_buf_bytes(&order->signature), why);
    X509_free(old);
    return err;
}

/* The signer renews what its CA issued, without counting it; another CA's certificate gets a new one. */
static enum hf_err is_of_issuing_ca(struct hf_tx *tx, struct order *order, struct hf_why *why)
{
    struct hf_ca_row ca;
    if (order->old.source != HF_SOURCE_ISSUED || order->old.ca_id == 0)
        return HF_OK;
    HF_TRY(hf_ca_get(tx->db, order->account.id, order->old.ca_id, &ca, why));
    order->is_renewal = ca.id == order->ca.id;
    return HF_OK;
}

static enum hf_err check_rotation(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct order *order = NULL;
    struct hf_device device;
    HF_TRY(new_order(call, &order, why));
    HF_TRY(read_csr(call, order, why));
    HF_TRY(find_issuer(call, tx, order, why));
    order->kind = HF_CERT_DEVICE;
    HF_TRY(hf_credential_get(tx->db, order->account.id,
                             (int64_t)call->asker.identity.registered.credential, &order->old,
                             why));
    if (order->old.device_id == 0)
        return hf_fail(why, HF_E_STATE,
                       "the certificate belongs to no device. The operator registers it with one "
                       "(`holdfast-admin credential register --device`)");
    HF_TRY(hf_device_get(tx->db, order->account.id, order->old.device_id, &device, why));
    memcpy(order->device, device.name, sizeof device.name);
    HF_TRY(hf_credential_der(tx->db, order->account.id, order->old.id, &order->old_der, why));
    HF_TRY(read_signature(call, order, why));
    HF_TRY(is_of_issuing_ca(tx, order, why));
    return look_at_device(tx, order, why);
}

static enum hf_err record_rotation(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct order *order = call->work;
    struct hf_credential_new wanted;
    struct hf_credential made;
    struct hf_client_cert_text text;
    if (order->answered_id != 0) {
        HF_TRY(hf_credential_get(tx->db, order->account.id, order->answered_id, &made, why));
        return answer_certificate(call, tx, order, &made, why);
    }
    HF_TRY(describe_made(order, tx->now_s, &wanted, &text, why));
    HF_TRY(hf_credential_rotate(tx, order->old.id, &wanted, &made, why));
    return answer_certificate(call, tx, order, &made, why);
}

/* ---- who am I ----------------------------------------------------------------------------------- */

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

static const struct hf_body_field enroll_body[] = {
    {"csr", HF_BODY_TEXT, .is_required = true, .max = HF_CSR_BYTES_MAX},
    {"device", HF_BODY_TEXT, .is_required = true, .max = HF_DEVICE_ID_MAX},
    {"token", HF_BODY_TEXT, .max = HF_API_BEARER_MAX},
    {0},
};
static const struct hf_body_field rotate_body[] = {
    {"csr", HF_BODY_TEXT, .is_required = true, .max = HF_CSR_BYTES_MAX},
    {"signature", HF_BODY_TEXT, .is_required = true, .max = 4096},
    {0},
};

const struct hf_route hf_enrolment_routes[] = {
    {HTTP_POST, "/v1/enroll", HF_ADMIN_NONE, enroll_body,
     .steps = {{HF_API_READ, check_enrolment},
               {HF_API_WRITE, redeem},
               {HF_API_SIGNER, sign},
               {HF_API_WRITE, record_enrolment}}},
    {HTTP_POST, "/v1/rotate", HF_ADMIN_NONE, rotate_body,
     .steps = {{HF_API_READ, check_rotation},
               {HF_API_SIGNER, sign},
               {HF_API_WRITE, record_rotation}}},
    {HTTP_GET, "/v1/whoami", HF_ADMIN_NONE, .steps = {{HF_API_READ, whoami}}},
    {0},
};
