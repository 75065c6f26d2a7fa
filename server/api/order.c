#include "server/api/order.h"

#include "common/bundle/pem.h"
#include "common/os/service.h"
#include "server/identity/registration.h"

#include <openssl/x509.h>
#include <string.h>

static void order_free(void *work)
{
    struct hf_order *order = work;
    hf_csr_free(&order->csr);
    hf_buf_free(&order->old_der);
    hf_buf_free(&order->signature);
    hf_buf_free(&order->made);
}

enum hf_err hf_order_new(struct hf_api_call *call, struct hf_order **out, struct hf_why *why)
{
    *out = hf_api_work(call, sizeof **out, order_free);
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

/* ---- check ----------------------------------------------------------------------------------- */

enum hf_err hf_order_find_issuer(struct hf_api_call *call, struct hf_tx *tx, struct hf_order *order,
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

enum hf_err hf_order_read_csr(struct hf_api_call *call, struct hf_order *order, struct hf_why *why)
{
    const char *csr = hf_body_text(call->body, "csr");
    HF_TRY(hf_api_input(call, hf_csr_read(hf_bytes_of_text(csr), &order->csr, why)));
    hf_sha256(hf_buf_bytes(&order->csr.der), order->csr_sha256);
    return HF_OK;
}

enum hf_err hf_order_verify_csr(struct hf_api_call *call, const struct hf_order *order,
                                struct hf_why *why)
{
    return hf_api_input(call, hf_csr_verify(&order->csr, why));
}

struct search {
    struct hf_tx *tx;
    struct hf_order *order;
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

/* An ACTIVE certificate of the device: was this request answered with it? */
static enum hf_err look_for_answer(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_credential *row = data;
    struct search *search = ctx;
    struct hf_order *order = search->order;
    bool is_same = false;
    HF_TRY(has_key_of(search->tx, row, &order->csr, &is_same, why));
    bool is_of_old = order->old.id == 0 || row->replaces_id == order->old.id;
    if (is_same && is_of_old && row->source == HF_SOURCE_ISSUED)
        order->answered_id = row->id;
    return HF_OK;
}

static enum hf_err look_for_other(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_credential *row = data;
    struct hf_order *order = ctx;
    (void)why;
    if (row->id != order->answered_id)
        order->is_known = true;
    return HF_OK;
}

enum hf_err hf_order_look_at_device(struct hf_tx *tx, struct hf_order *order, struct hf_why *why)
{
    struct hf_device device;
    struct search search = {tx, order};
    order->device_id = order->answered_id = 0;
    order->is_known = false;
    enum hf_err err = hf_device_find(tx->db, order->account.id, order->device, &device, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    order->device_id = device.id;
    struct hf_credential_filter filter = {.account_id = order->account.id,
                                          .status = HF_CERT_ACTIVE,
                                          .device_id = device.id};
    HF_TRY(
        hf_credential_list(tx->db, &filter, 0, HF_FLEET_PAGE_MAX, look_for_answer, &search, why));
    filter.status = HF_CERT_NONE; /* any; of two, one is not the answer */
    return hf_credential_list(tx->db, &filter, 0, 2, look_for_other, order, why);
}

/* ---- sign ------------------------------------------------------------------------------------ */

/* Nothing is wrong with the request: the device keeps its key and asks again. */
static enum hf_err postpone(struct hf_api_call *call, struct hf_why *why)
{
    hf_service_log(HF_LOG_ERROR, "%s: %s", call->match.route->pattern, why->text);
    call->status = 503;
    return hf_fail(why, HF_E_POSTPONED,
                   "the service cannot issue certificates at the moment; try again later");
}

enum hf_err hf_order_sign(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = call->work;
    json_t *answer = NULL;
    (void)tx;
    if (order->answered_id != 0)
        return HF_OK;
    json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:o}", "verb",
                                order->is_renewal ? "renew" : "issue", "ca", order->ca.signer_name,
                                "account", order->account.name, "device", order->device, "csr",
                                hf_json_base64(hf_buf_bytes(&order->csr.der)));
    if (order->is_renewal) {
        request = hf_json_set_take(request, "old", hf_json_base64(hf_buf_bytes(&order->old_der)));
        request = hf_json_set_take(request, "signature",
                                   hf_json_base64(hf_buf_bytes(&order->signature)));
    }
    if (request == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a request");
    enum hf_err err = hf_api_ask_signer_take(call, request, -1, &answer, why);
    if (err != HF_OK)
        return err == HF_E_LIMIT ? err : postpone(call, why);
    err = hf_json_get_base64(answer, "certificate", "the signer's answer", HF_CERT_DER_MAX,
                             &order->made, why);
    json_decref(answer);
    return err == HF_OK ? HF_OK : postpone(call, why);
}

/* ---- record ---------------------------------------------------------------------------------- */

/* While the signer was asked, the operator may have stopped the CA. */
static enum hf_err check_issuer(struct hf_api_call *call, struct hf_tx *tx,
                                const struct hf_order *order, struct hf_why *why)
{
    struct hf_ca_row ca;
    enum hf_err err = hf_ca_get(tx->db, order->account.id, order->ca.id, &ca, why);
    if (err == HF_OK && !ca.is_active)
        err = hf_fail(why, HF_E_STATE, "the CA that issued the certificate is INACTIVE by now");
    return err == HF_E_STATE || err == HF_E_NOT_FOUND ? postpone(call, why) : err;
}

enum hf_err hf_order_describe_made(struct hf_api_call *call, struct hf_tx *tx,
                                   struct hf_credential_new *out, struct hf_client_cert_text *text,
                                   struct hf_why *why)
{
    struct hf_order *order = call->work;
    struct hf_client_cert cert;
    X509 *x509 = NULL;
    HF_TRY(check_issuer(call, tx, order, why));
    HF_TRY(hf_client_cert_read_der(hf_buf_bytes(&order->made), &x509, why));
    enum hf_err err = hf_client_cert_check(x509, NULL, tx->now_s, &cert, why);
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

enum hf_err hf_order_answer(struct hf_api_call *call, struct hf_tx *tx,
                            const struct hf_order *order, const struct hf_credential *row,
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
