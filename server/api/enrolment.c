/* What a device calls first: POST /v1/enroll, with a token or over a claim certificate. */
#include "server/api/order.h"

#include "server/fleet/claim_use.h"
#include "server/fleet/enroll_token.h"

#include <string.h>

static enum hf_err check_enrolment(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = NULL;
    const char *device = hf_body_text(call->body, "device");
    const char *secret = hf_body_text(call->body, "token");
    bool has_certificate = call->asker.identity.has_certificate;
    HF_TRY(hf_order_new(call, &order, why));
    if (!has_certificate && secret == NULL)
        return hf_fail(
            why, HF_E_POLICY,
            "\"token\" is missing: a device enrols with a token or over a claim certificate");
    if (has_certificate && call->asker.identity.registered.kind != HF_CERT_CLAIM && secret == NULL)
        return hf_fail(why, HF_E_POLICY,
                       "the device has a certificate already. Rotate it with POST /v1/rotate");
    if (!hf_device_id_is_valid(device))
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT,
                                          "\"device\": expected 1 to %d of A-Z a-z 0-9 . _ : -",
                                          HF_DEVICE_ID_MAX));
    memcpy(order->device, device, strlen(device) + 1);
    order->kind = HF_CERT_DEVICE;
    HF_TRY(hf_order_read_csr(call, order, why));
    if (secret != NULL)
        HF_TRY(hf_enroll_token_check(tx, call->asker.identity.account, secret, order->device,
                                     order->csr_sha256, why));
    HF_TRY(hf_order_find_issuer(call, tx, order, why));
    HF_TRY(hf_order_look_at_device(tx, order, why));
    return hf_order_verify_csr(call, order, why);
}

/* ---- redeem ---------------------------------------------------------------------------------- */

/* What enrols many devices must not take over one that is in the field, nor let in one that was
 * shut out. */
static enum hf_err refuse_known_device(const struct hf_order *order, struct hf_why *why)
{
    if (!order->is_known || order->kind != HF_CERT_DEVICE)
        return HF_OK;
    return hf_fail(
        why, HF_E_STATE,
        "the device \"%s\" has another certificate, which may be REVOKED or INACTIVE. Rotate "
        "that one, or let the operator make a token for this very device",
        order->device);
}

/* A device that asks again for its answer takes no second use. */
static enum hf_err use_claim(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_order *order = call->work;
    HF_TRY(refuse_known_device(order, why));
    if (order->answered_id != 0)
        return HF_OK;
    return hf_api_limited(call,
                          hf_claim_use_take(tx, (int64_t)call->asker.identity.registered.credential,
                                            &call->retry_after_s, why));
}

static enum hf_err redeem(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = call->work;
    const char *secret = hf_body_text(call->body, "token");
    struct hf_enroll_use use;
    struct hf_enroll_token token;
    if (secret == NULL)
        return use_claim(call, tx, why);
    HF_TRY(hf_enroll_token_redeem(tx, order->account.id, secret, order->device, order->csr_sha256,
                                  &use, why));
    HF_TRY(hf_enroll_token_get(tx->db, order->account.id, use.token_id, &token, why));
    order->kind = use.kind;
    order->token_id = token.id;
    if (token.device[0] == '\0' && use.credential_id == 0)
        HF_TRY(refuse_known_device(order, why));
    memcpy(order->group, use.group, sizeof order->group);
    if (use.credential_id != 0)
        order->answered_id = use.credential_id;
    else
        order->use_id = use.id;
    return HF_OK;
}

/* ---- record ---------------------------------------------------------------------------------- */

/* What enrols the device, or the device itself, may have changed while the signer was asked. */
static enum hf_err check_again(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = call->work;
    struct hf_enroll_token token = {0};
    struct hf_credential claim;
    bool is_good = false;
    if (order->token_id != 0) {
        HF_TRY(hf_enroll_token_get(tx->db, order->account.id, order->token_id, &token, why));
        is_good = !token.is_revoked;
    } else {
        enum hf_err err = hf_credential_get(tx->db, order->account.id,
                                            (int64_t)call->asker.identity.registered.credential,
                                            &claim, why);
        if (err != HF_OK && err != HF_E_NOT_FOUND)
            return err;
        is_good = err == HF_OK && claim.kind == HF_CERT_CLAIM && claim.status == HF_CERT_ACTIVE;
    }
    if (!is_good)
        return hf_fail(why, HF_E_POLICY,
                       "the enrolment token or claim certificate is not valid any more");
    if (order->kind != HF_CERT_DEVICE)
        return HF_OK;
    HF_TRY(hf_order_look_at_device(tx, order, why));
    return token.device[0] == '\0' ? refuse_known_device(order, why) : HF_OK;
}

static enum hf_err record_enrolment(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_order *order = call->work;
    struct hf_credential_new wanted;
    struct hf_credential made;
    struct hf_client_cert_text text;
    if (order->made.len > 0)
        HF_TRY(check_again(call, tx, why));
    if (order->answered_id != 0) {
        HF_TRY(hf_credential_get(tx->db, order->account.id, order->answered_id, &made, why));
        if (order->use_id != 0)
            HF_TRY(hf_enroll_use_answer(tx, order->use_id, made.id, why));
        return hf_order_answer(call, tx, order, &made, why);
    }
    HF_TRY(hf_order_describe_made(call, tx, &wanted, &text, why));
    HF_TRY(hf_credential_register(tx, &wanted, &made, why));
    if (order->use_id != 0)
        HF_TRY(hf_enroll_use_answer(tx, order->use_id, made.id, why));
    return hf_order_answer(call, tx, order, &made, why);
}

static const struct hf_body_field enroll_body[] = {
    {"csr", HF_BODY_TEXT, .is_required = true, .max = HF_CSR_BYTES_MAX},
    {"device", HF_BODY_TEXT, .is_required = true, .max = HF_DEVICE_ID_MAX},
    {"token", HF_BODY_TEXT, .max = HF_API_BEARER_MAX},
    {0},
};
const struct hf_api_route hf_enrolment_routes[] = {
    {HTTP_POST, "/v1/enroll", HF_ADMIN_NONE, .body = enroll_body, .lets_in = true,
     .steps = {{HF_API_READ, check_enrolment},
               {HF_API_WRITE, redeem},
               {HF_API_SIGNER, hf_order_sign},
               {HF_API_WRITE, record_enrolment}}},
    {0},
};
