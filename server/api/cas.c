/* /v1/accounts/{account}/cas: whose certificates devices may have. */
#include "server/api/parts.h"

#include "server/identity/registration.h"

#include <openssl/x509.h>
#include <string.h>

static json_t *ca_json(const struct hf_ca_row *row)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "sha256",
                     hf_json_sha256(row->sha256), "subject", row->subject, "mode",
                     hf_cert_mode_name(row->mode), "status", row->is_active ? "ACTIVE" : "INACTIVE",
                     "auto_registration", hf_auto_registration_name(row->auto_registration),
                     "signer_ca", hf_api_text_or_null(row->signer_name), "not_before",
                     hf_json_time(row->not_before_s), "expires", hf_json_time(row->not_after_s),
                     "created", hf_json_time(row->created_s));
}

static enum hf_err answer_ca(struct hf_api_call *call, unsigned status, const struct hf_ca_row *row,
                             struct hf_why *why)
{
    call->version = row->version;
    return hf_api_answer_take(call, status, ca_json(row), why);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The account and the CA that the path names. */
static enum hf_err find(struct hf_api_call *call, struct hf_tx *tx, struct hf_ca_row *out,
                        struct hf_why *why)
{
    struct hf_account_row account;
    uint8_t sha256[HF_SHA256_LEN];
    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(hf_api_param_sha256(call, 1, sha256, why));
    enum hf_err err = hf_ca_find(tx->db, account.id, sha256, out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "this account has no such CA");
    return err;
}

static enum hf_err add_ca(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_ca_listed *listed = data;
    return hf_api_page_add_take(ctx, listed->ca.id, ca_json(&listed->ca), why);
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_ca_list(tx->db, account.id, call->match.after, page.limit, add_ca, &page,
                                 why);
    return hf_api_page_end(&page, "cas", err, why);
}

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_ca_row row;
    struct hf_buf der = {0};
    HF_TRY(find(call, tx, &row, why));
    HF_TRY(hf_ca_der(tx->db, row.account_id, row.id, &der, why));
    json_t *value = hf_json_set_take(ca_json(&row), "certificate", hf_api_pem(hf_buf_bytes(&der)));
    hf_buf_free(&der);
    call->version = row.version;
    return hf_api_answer_take(call, 200, value, why);
}

/* ---- registering ----------------------------------------------------------------------------- */

/* What the steps hand on. */
struct work {
    struct hf_buf der;                     /* of the signer's CA */
    char account[HF_ACCOUNT_NAME_MAX + 1]; /* that the signer has it for */
};

static void work_free(void *work)
{
    hf_buf_free(&((struct work *)work)->der);
}

/* First step: a CA of the signer comes from the signer, which has its key. */
static enum hf_err fetch_from_signer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const char *wanted = hf_body_text(call->body, "signer_ca");
    json_t *answer = NULL, *ca = NULL;
    size_t i = 0;
    (void)tx;
    if (wanted == NULL)
        return HF_OK;
    struct work *work = hf_api_work(call, sizeof *work, work_free);
    if (work == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a CA");
    HF_TRY(hf_api_ask_signer_take(call, json_pack("{s:s}", "verb", "cas"), -1, &answer, why));
    enum hf_err err = hf_fail(why, HF_E_NOT_FOUND,
                              "\"signer_ca\": the signer has no CA of this name. Make it with "
                              "`holdfast-signer ca new`");
    json_array_foreach(json_object_get(answer, "cas"), i, ca)
    {
        const char *name = json_string_value(json_object_get(ca, "name"));
        const char *account = json_string_value(json_object_get(ca, "account"));
        if (name == NULL || account == NULL || strcmp(name, wanted) != 0)
            continue;
        (void)snprintf(work->account, sizeof work->account, "%s", account);
        if (hf_json_get_base64(ca, "certificate", "the signer's answer", HF_CERT_DER_MAX,
                               &work->der, NULL) == HF_OK)
            err = HF_OK;
        else
            err = hf_fail(why, HF_E_STORAGE, "the signer's answer has no certificate");
    }
    json_decref(answer);
    return err;
}

/* What the body says of a CA besides its certificate. */
static enum hf_err read_terms(struct hf_api_call *call, struct hf_ca_row *row, struct hf_why *why)
{
    const char *status = hf_body_text(call->body, "status");
    const char *automatic = hf_body_text(call->body, "auto_registration");
    if (status != NULL && strcmp(status, "ACTIVE") != 0 && strcmp(status, "INACTIVE") != 0)
        return hf_fail(why, HF_E_ARGUMENT, "\"status\": expected ACTIVE or INACTIVE");
    if (status != NULL)
        row->is_active = strcmp(status, "ACTIVE") == 0;
    if (automatic != NULL && !hf_auto_registration_parse(automatic, &row->auto_registration))
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"auto_registration\": expected off, pending or active");
    return HF_OK;
}

/* One of the signer's: it was made for an account, and nothing has to be proved. */
static enum hf_err read_signer_ca(struct hf_api_call *call, const struct hf_account_row *account,
                                  struct hf_ca_row *row, X509 **ca, struct hf_why *why)
{
    const struct work *work = call->work;
    if (json_object_get(call->body, "certificate") != NULL ||
        json_object_get(call->body, "proof") != NULL || hf_body_text(call->body, "mode") != NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"signer_ca\" comes without \"certificate\", \"mode\" and \"proof\"");
    if (strcmp(work->account, account->name) != 0)
        return hf_fail(why, HF_E_POLICY, "the signer has this CA for another account");
    row->mode = HF_CERT_MODE_DEFAULT;
    (void)snprintf(row->signer_name, sizeof row->signer_name, "%s",
                   hf_body_text(call->body, "signer_ca"));
    return hf_client_cert_read_der(hf_buf_bytes(&work->der), ca, why);
}

static enum hf_err check_proof(struct hf_api_call *call, const struct hf_account_row *account,
                               X509 *ca, int64_t now_s, struct hf_why *why)
{
    const char *text = hf_body_text(call->body, "proof");
    X509 *proof = NULL;
    if (text == NULL)
        return hf_fail(
            why, HF_E_ARGUMENT,
            "\"proof\" is missing: mode DEFAULT needs a certificate that this CA signed and "
            "whose CN is the account's registration code");
    if (hf_client_cert_read(hf_bytes_of_text(text), &proof, why) != HF_OK)
        return hf_fail_context(why, "\"proof\"");
    enum hf_err err = hf_ca_check_proof(ca, proof, account->registration_code, now_s, why);
    X509_free(proof);
    return err;
}

/* An operator's own. */
static enum hf_err read_own_ca(struct hf_api_call *call, const struct hf_account_row *account,
                               int64_t now_s, struct hf_ca_row *row, X509 **ca, struct hf_why *why)
{
    const char *pem = hf_body_text(call->body, "certificate");
    const char *mode = hf_body_text(call->body, "mode");
    X509 *x509 = NULL;
    row->mode = HF_CERT_MODE_SNI_ONLY;
    if (pem == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "body: \"certificate\" or \"signer_ca\" is missing");
    if (mode == NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"mode\" is missing: DEFAULT, which needs a \"proof\", or SNI_ONLY");
    if (!hf_cert_mode_parse(mode, &row->mode))
        return hf_fail(why, HF_E_ARGUMENT, "\"mode\": expected DEFAULT or SNI_ONLY");
    if (row->mode == HF_CERT_MODE_SNI_ONLY && hf_body_text(call->body, "proof") != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "\"proof\": mode SNI_ONLY takes none");
    if (hf_client_cert_read(hf_bytes_of_text(pem), &x509, why) != HF_OK)
        return hf_fail_context(why, "\"certificate\"");
    enum hf_err err = HF_OK;
    if (row->mode == HF_CERT_MODE_DEFAULT)
        err = check_proof(call, account, x509, now_s, why);
    if (err == HF_OK)
        *ca = x509;
    else
        X509_free(x509);
    return err;
}

/* The CA is known: what the store wants to know of it. */
static enum hf_err describe(const X509 *ca, int64_t now_s, struct hf_ca_row *row,
                            struct hf_buf *der, struct hf_why *why)
{
    struct hf_client_cert cert;
    struct hf_client_cert_text text;
    HF_TRY(hf_ca_check(ca, now_s, &cert, why));
    HF_TRY(hf_client_cert_describe_text(ca, &text, why));
    memcpy(row->sha256, cert.sha256, sizeof row->sha256);
    (void)snprintf(row->subject, sizeof row->subject, "%s", text.subject);
    row->not_before_s = cert.not_before_s;
    row->not_after_s = cert.not_after_s;
    return hf_client_cert_der(ca, der, why);
}

static enum hf_err register_ca(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_ca_row wanted = {.is_active = true}, made;
    struct hf_buf der = {0};
    X509 *ca = NULL;
    bool is_signers = hf_body_text(call->body, "signer_ca") != NULL;

    HF_TRY(hf_api_account(call, tx, &account, why));
    wanted.account_id = account.id;
    HF_TRY(hf_api_input(call, read_terms(call, &wanted, why)));
    enum hf_err err = is_signers ? read_signer_ca(call, &account, &wanted, &ca, why)
                                 : read_own_ca(call, &account, tx->now_s, &wanted, &ca, why);
    if (err == HF_OK)
        err = describe(ca, tx->now_s, &wanted, &der, why);
    err = hf_api_input(call, err);
    if (err == HF_OK)
        err = hf_ca_register(tx, &wanted, hf_buf_bytes(&der), &made, why);
    if (err == HF_OK && is_signers) /* from now on this one issues */
        err = hf_account_change(tx, account.id, 0, account.anonymous, wanted.signer_name, &account,
                                why);
    if (err == HF_OK)
        err = answer_ca(call, 201, &made, why);
    hf_buf_free(&der);
    X509_free(ca);
    return err;
}

static enum hf_err change(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_ca_row row;
    HF_TRY(find(call, tx, &row, why));
    HF_TRY(read_terms(call, &row, why));
    HF_TRY(hf_ca_change(tx, row.account_id, row.id, call->if_version, row.is_active,
                        row.auto_registration, &row, why));
    return answer_ca(call, 200, &row, why);
}

static enum hf_err erase(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_ca_row row;
    HF_TRY(find(call, tx, &row, why));
    call->status = 204;
    return hf_ca_delete(tx, row.account_id, row.id, call->if_version, why);
}

#define TERMS                                                                                      \
    {"status", HF_BODY_TEXT, .max = 16}, {"auto_registration", HF_BODY_TEXT, .max = 16},           \
    {                                                                                              \
        0                                                                                          \
    }

static const struct hf_body_field register_body[] = {{"certificate", HF_BODY_TEXT},
                                                     {"signer_ca", HF_BODY_TEXT,
                                                      .max = HF_ACCOUNT_NAME_MAX},
                                                     {"mode", HF_BODY_TEXT, .max = 16},
                                                     {"proof", HF_BODY_TEXT},
                                                     TERMS};
static const struct hf_body_field change_body[] = {TERMS};

#define CAS "/v1/accounts/{account}/cas"

const struct hf_api_route hf_ca_routes[] = {
    {HTTP_GET, CAS, HF_ADMIN_VIEWER, .is_list = true, .steps = {{HF_API_READ, list}}},
    {HTTP_POST, CAS, HF_ADMIN_REGISTRAR, .body = register_body,
     .steps = {{HF_API_SIGNER, fetch_from_signer}, {HF_API_WRITE, register_ca}}},
    {HTTP_GET, CAS "/{sha256}", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show}}},
    {HTTP_PATCH, CAS "/{sha256}", HF_ADMIN_REGISTRAR, .body = change_body, .must_match = true,
     .steps = {{HF_API_WRITE, change}}},
    {HTTP_DELETE, CAS "/{sha256}", HF_ADMIN_REGISTRAR, .must_match = true,
     .steps = {{HF_API_WRITE, erase}}},
    {0},
};
