/* /v1/accounts/{account}/credentials: the client certificates of devices. */
#include "server/api/parts.h"

#include "server/identity/registration.h"

#include <openssl/x509.h>

static enum hf_err answer_credential(struct hf_api_call *call, struct hf_tx *tx, unsigned status,
                                     const struct hf_credential *row, struct hf_why *why)
{
    json_t *value = NULL;
    HF_TRY(hf_api_credential_json(tx, row, &value, why));
    call->version = row->version;
    return hf_api_answer_take(call, status, value, why);
}

/* The certificate that the path names. */
static enum hf_err find(struct hf_api_call *call, struct hf_tx *tx, struct hf_account_row *account,
                        struct hf_credential *out, struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];
    HF_TRY(hf_api_account(call, tx, account, why));
    HF_TRY(hf_api_param_sha256(call, 1, sha256, why));
    enum hf_err err = hf_credential_find(tx->db, account->id, sha256, out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "this account has no such certificate");
    return err;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum hf_err add_credential(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_credential *row = data;
    struct hf_api_page *page = ctx;
    json_t *value = NULL;
    HF_TRY(hf_api_credential_json(page->tx, row, &value, why));
    return hf_api_page_add_take(page, row->id, value, why);
}

/* What the query asks for; `*is_empty`: of a device that is not there. */
static enum hf_err read_filter(struct hf_api_call *call, struct hf_tx *tx,
                               struct hf_credential_filter *out, bool *is_empty, struct hf_why *why)
{
    const struct hf_api_match *match = &call->match;
    struct hf_device device;
    *is_empty = false;
    if (match->has_filter[0] && !hf_cert_status_parse(match->filters[0], &out->status))
        return hf_fail(why, HF_E_ARGUMENT, "query: status: expected a status such as ACTIVE");
    if (!match->has_filter[1])
        return HF_OK;
    enum hf_err err = hf_device_find(tx->db, out->account_id, match->filters[1], &device, why);
    *is_empty = err == HF_E_NOT_FOUND;
    if (err == HF_OK)
        out->device_id = device.id;
    return *is_empty ? HF_OK : err;
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    bool is_empty = false;
    HF_TRY(hf_api_account(call, tx, &account, why));
    struct hf_credential_filter filter = {.account_id = account.id};
    HF_TRY(read_filter(call, tx, &filter, &is_empty, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = HF_OK;
    if (!is_empty)
        err = hf_credential_list(tx->db, &filter, call->match.after, page.limit, add_credential,
                                 &page, why);
    return hf_api_page_end(&page, "credentials", err, why);
}

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential row;
    struct hf_buf der = {0};
    HF_TRY(find(call, tx, &account, &row, why));
    HF_TRY(answer_credential(call, tx, 200, &row, why));
    HF_TRY(hf_credential_der(tx->db, account.id, row.id, &der, why));
    json_t *pem = hf_api_pem(hf_buf_bytes(&der));
    hf_buf_free(&der);
    if (pem == NULL || json_object_set_new(call->answer, "certificate", pem) != 0)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    return HF_OK;
}

/* ---- registering ----------------------------------------------------------------------------- */

/* The CA of this account that signed the certificate, or none. */
struct search {
    X509 *cert;
    int64_t found; /* 0: none */
    X509 *ca;
};

static enum hf_err try_ca(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_ca_listed *listed = data;
    struct search *search = ctx;
    X509 *ca = NULL;
    if (search->found != 0 || !listed->ca.is_active)
        return HF_OK;
    HF_TRY(hf_client_cert_read_der(listed->der, &ca, why));
    if (hf_ca_check_signed(ca, search->cert, NULL) != HF_OK) {
        X509_free(ca);
        return HF_OK;
    }
    search->found = listed->ca.id;
    search->ca = ca;
    return HF_OK;
}

/* What the body says of it besides the certificate. */
static enum hf_err read_terms(struct hf_api_call *call, struct hf_credential_new *wanted,
                              struct hf_why *why)
{
    const char *kind = hf_body_text(call->body, "kind");
    const char *status = hf_body_text(call->body, "status");
    wanted->kind = HF_CERT_DEVICE;
    wanted->status = HF_CERT_INACTIVE;
    wanted->source = HF_SOURCE_REGISTERED;
    wanted->device = hf_body_text(call->body, "device");
    if (kind != NULL && !hf_cert_kind_parse(kind, &wanted->kind))
        return hf_fail(why, HF_E_ARGUMENT, "\"kind\": expected device or claim");
    if (status != NULL &&
        (!hf_cert_status_parse(status, &wanted->status) ||
         (wanted->status != HF_CERT_ACTIVE && wanted->status != HF_CERT_INACTIVE)))
        return hf_fail(why, HF_E_ARGUMENT, "\"status\": expected ACTIVE or INACTIVE");
    return HF_OK;
}

static enum hf_err register_cert(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential_new wanted = {0};
    struct hf_credential made;
    struct hf_client_cert cert;
    struct hf_client_cert_text text;
    struct hf_buf der = {0};
    struct search search = {0};
    const char *pem = hf_body_text(call->body, "certificate");

    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(read_terms(call, &wanted, why));
    HF_TRY(hf_api_input(call, hf_client_cert_read(hf_bytes_of_text(pem), &search.cert, why)));
    enum hf_err err = hf_ca_list(tx->db, account.id, 0, HF_DIRECTORY_CAS_MAX, try_ca, &search, why);
    if (err == HF_OK)
        err = hf_api_input(call,
                           hf_client_cert_check(search.cert, search.ca, tx->now_s, &cert, why));
    if (err == HF_OK)
        err = hf_client_cert_describe_text(search.cert, &text, why);
    if (err == HF_OK)
        err = hf_client_cert_der(search.cert, &der, why);
    if (err == HF_OK) {
        wanted.account_id = account.id;
        wanted.ca_id = search.found;
        wanted.der = hf_buf_bytes(&der);
        hf_api_credential_of(&cert, &text, &wanted);
        err = hf_credential_register(tx, &wanted, &made, why);
    }
    if (err == HF_OK)
        err = answer_credential(call, tx, 201, &made, why);
    hf_buf_free(&der);
    X509_free(search.ca);
    X509_free(search.cert);
    return err;
}

/* ---- changing -------------------------------------------------------------------------------- */

static enum hf_err set_status(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential row;
    enum hf_cert_status status = HF_CERT_NONE;
    const char *reason = hf_body_text(call->body, "reason");
    if (!hf_cert_status_parse(hf_body_text(call->body, "status"), &status))
        return hf_fail(why, HF_E_ARGUMENT, "\"status\": expected ACTIVE, INACTIVE or REVOKED");
    HF_TRY(find(call, tx, &account, &row, why));
    HF_TRY(hf_credential_set_status(tx, account.id, row.id, call->if_version, status,
                                    reason != NULL ? reason : "", &row, why));
    return answer_credential(call, tx, 200, &row, why);
}

static enum hf_err request_rotation(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential row;
    HF_TRY(find(call, tx, &account, &row, why));
    HF_TRY(hf_credential_ask_rotation(tx, account.id, row.id, 0, &row, why));
    return answer_credential(call, tx, 200, &row, why);
}

/* ---- transfer to another account ------------------------------------------------------------- */

/* The other account is named in the path: it may know of the offer, and of nothing else there. */
static enum hf_err find_offered(struct hf_api_call *call, struct hf_tx *tx,
                                struct hf_account_row *account, struct hf_credential *out,
                                struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];
    HF_TRY(hf_api_account(call, tx, account, why));
    HF_TRY(hf_api_param_sha256(call, 1, sha256, why));
    enum hf_err err = hf_credential_find_offered(tx->db, account->id, sha256, out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "no such certificate is offered to this account");
    return err;
}

static enum hf_err transfer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account, to;
    struct hf_credential row;
    const char *message = hf_body_text(call->body, "message");
    HF_TRY(find(call, tx, &account, &row, why));
    enum hf_err err = hf_account_find(tx->db, hf_body_text(call->body, "to"), &to, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, HF_E_ARGUMENT, "\"to\": there is no account of this name");
    HF_TRY(err);
    HF_TRY(hf_credential_transfer(tx, account.id, row.id, 0, to.id, message != NULL ? message : "",
                                  &row, why));
    return answer_credential(call, tx, 200, &row, why);
}

static enum hf_err cancel(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential row;
    HF_TRY(find(call, tx, &account, &row, why));
    HF_TRY(hf_credential_cancel_transfer(tx, account.id, row.id, &row, why));
    return answer_credential(call, tx, 200, &row, why);
}

static enum hf_err accept_offer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential row;
    HF_TRY(find_offered(call, tx, &account, &row, why));
    HF_TRY(hf_credential_accept_transfer(tx, account.id, row.id, &row, why));
    return answer_credential(call, tx, 200, &row, why);
}

static enum hf_err reject_offer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_credential row;
    const char *reason = hf_body_text(call->body, "reason");
    HF_TRY(find_offered(call, tx, &account, &row, why));
    HF_TRY(hf_credential_reject_transfer(tx, account.id, row.id, reason != NULL ? reason : "", &row,
                                         why));
    call->status = 204; /* what it is from now on belongs to the other account */
    return HF_OK;
}

static const struct hf_body_field register_body[] = {
    {"certificate", HF_BODY_TEXT, .is_required = true},
    {"device", HF_BODY_TEXT, .max = HF_DEVICE_ID_MAX},
    {"kind", HF_BODY_TEXT, .max = 16},
    {"status", HF_BODY_TEXT, .max = 32},
    {0},
};
static const struct hf_body_field status_body[] = {
    {"status", HF_BODY_TEXT, .is_required = true, .max = 32},
    {"reason", HF_BODY_TEXT, .max = HF_FLEET_REASON_MAX},
    {0},
};
static const struct hf_body_field transfer_body[] = {
    {"to", HF_BODY_TEXT, .is_required = true, .max = HF_ACCOUNT_NAME_MAX},
    {"message", HF_BODY_TEXT, .max = HF_FLEET_REASON_MAX},
    {0},
};
static const struct hf_body_field reject_body[] = {
    {"reason", HF_BODY_TEXT, .max = HF_FLEET_REASON_MAX},
    {0},
};

#define CREDENTIALS "/v1/accounts/{account}/credentials"
#define CREDENTIAL CREDENTIALS "/{sha256}"

const struct hf_api_route hf_credential_routes[] = {
    {HTTP_GET, CREDENTIALS, HF_ADMIN_VIEWER, .filters = {"status", "device"}, .is_list = true,
     .steps = {{HF_API_READ, list}}},
    {HTTP_POST, CREDENTIALS, HF_ADMIN_REGISTRAR, .body = register_body,
     .steps = {{HF_API_WRITE, register_cert}}},
    {HTTP_GET, CREDENTIAL, HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show}}},
    {HTTP_PATCH, CREDENTIAL, HF_ADMIN_OPERATOR, .body = status_body, .must_match = true,
     .steps = {{HF_API_WRITE, set_status}}},
    {HTTP_POST, CREDENTIAL "/request-rotation", HF_ADMIN_OPERATOR,
     .steps = {{HF_API_WRITE, request_rotation}}},
    {0},
};

const struct hf_api_route hf_transfer_routes[] = {
    {HTTP_POST, CREDENTIAL "/transfer", HF_ADMIN_REGISTRAR, .body = transfer_body,
     .steps = {{HF_API_WRITE, transfer}}},
    {HTTP_POST, CREDENTIAL "/cancel", HF_ADMIN_REGISTRAR, .steps = {{HF_API_WRITE, cancel}}},
    {HTTP_POST, CREDENTIAL "/accept", HF_ADMIN_REGISTRAR, .steps = {{HF_API_WRITE, accept_offer}}},
    {HTTP_POST, CREDENTIAL "/reject", HF_ADMIN_REGISTRAR, .body = reject_body,
     .steps = {{HF_API_WRITE, reject_offer}}},
    {0},
};
