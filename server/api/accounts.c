/* /v1/accounts: who the devices belong to. */
#include "server/api/parts.h"

#include "server/fleet/ca.h"

#include <string.h>

static enum hf_err add_sni(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_sni *sni = data;
    json_t *list = ctx;
    if (json_array_append_new(list, json_string(sni->name)) != 0)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    return HF_OK;
}

static enum hf_err account_json(struct hf_tx *tx, const struct hf_account_row *row, json_t **out,
                                struct hf_why *why)
{
    json_t *snis = json_array();
    enum hf_err err = hf_sni_list(tx->db, row->id, add_sni, snis, why);
    if (err != HF_OK) {
        json_decref(snis);
        return err;
    }
    *out = json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", row->name, "policy",
                     hf_anonymous_name(row->anonymous), "snis", snis, "issuing_ca",
                     hf_api_text_or_null(row->issuing_ca), "created", hf_json_time(row->created_s));
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err answer_account(struct hf_api_call *call, struct hf_tx *tx, unsigned status,
                                  const struct hf_account_row *row, struct hf_why *why)
{
    json_t *value = NULL;
    HF_TRY(account_json(tx, row, &value, why));
    call->version = row->version;
    return hf_api_answer_take(call, status, value, why);
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum hf_err add_account(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_account_row *row = data;
    struct hf_api_page *page = ctx;
    json_t *value = NULL;
    HF_TRY(account_json(page->tx, row, &value, why));
    return hf_api_page_add_take(page, row->id, value, why);
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_account_list(tx->db, call->match.after, page.limit, add_account, &page,
                                      why);
    return hf_api_page_end(&page, "accounts", err, why);
}

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row row;
    HF_TRY(hf_api_account(call, tx, &row, why));
    return answer_account(call, tx, 200, &row, why);
}

static enum hf_err show_code(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row row;
    HF_TRY(hf_api_account(call, tx, &row, why));
    return hf_api_answer_take(call, 200,
                              json_pack("{s:s}", "registration_code", row.registration_code), why);
}

/* ---- changing -------------------------------------------------------------------------------- */

static enum hf_err read_policy(struct hf_api_call *call, enum hf_anonymous preset,
                               enum hf_anonymous *out, struct hf_why *why)
{
    const char *text = hf_body_text(call->body, "policy");
    *out = preset;
    if (text != NULL && !hf_anonymous_parse(text, out))
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"policy\": expected none, enroll, read or read+report");
    return HF_OK;
}

static bool is_listed(const json_t *list, const char *name)
{
    char wanted[HF_SNI_MAX + 1], listed[HF_SNI_MAX + 1];
    size_t i = 0;
    json_t *value = NULL;
    if (!hf_sni_normalize(name, strlen(name), wanted))
        return false;
    json_array_foreach((json_t *)(uintptr_t)list, i, value)
    {
        const char *text = json_string_value(value);
        if (hf_sni_normalize(text, strlen(text), listed) && strcmp(wanted, listed) == 0)
            return true;
    }
    return false;
}

/* Make the names of the account those of the body, if it has any. */
static enum hf_err set_snis(struct hf_api_call *call, struct hf_tx *tx, int64_t account_id,
                            struct hf_why *why)
{
    const json_t *wanted = json_object_get(call->body, "snis");
    size_t i = 0;
    json_t *value = NULL, *had = json_array();
    if (wanted == NULL) {
        json_decref(had);
        return HF_OK;
    }
    enum hf_err err = hf_sni_list(tx->db, account_id, add_sni, had, why);
    json_array_foreach(had, i, value)
    {
        if (err == HF_OK && !is_listed(wanted, json_string_value(value)))
            err = hf_account_remove_sni(tx, account_id, json_string_value(value), why);
    }
    json_array_foreach((json_t *)(uintptr_t)wanted, i, value)
    {
        if (err == HF_OK && !is_listed(had, json_string_value(value)))
            err = hf_account_add_sni(tx, account_id, json_string_value(value), why);
    }
    json_decref(had);
    return err;
}

static enum hf_err create(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row row;
    enum hf_anonymous policy = HF_ANONYMOUS_READ;
    const char *issuing_ca = hf_body_text(call->body, "issuing_ca");
    HF_TRY(read_policy(call, HF_ANONYMOUS_READ, &policy, why));
    HF_TRY(hf_account_create(tx, hf_body_text(call->body, "name"), policy, &row, why));
    if (issuing_ca != NULL)
        HF_TRY(hf_account_change(tx, row.id, 0, policy, issuing_ca, &row, why));
    HF_TRY(set_snis(call, tx, row.id, why));
    HF_TRY(hf_account_get(tx->db, row.id, &row, why));
    return answer_account(call, tx, 201, &row, why);
}

/* A typo would shut out the next device that enrols, long after this. */
static enum hf_err check_issuer(struct hf_api_call *call, struct hf_tx *tx, int64_t account_id,
                                const char *name, struct hf_why *why)
{
    struct hf_ca_row ca;
    enum hf_err err = hf_ca_find_issuing(tx->db, account_id, name, &ca, why);
    if (err == HF_E_NOT_FOUND)
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT,
                                          "\"issuing_ca\": this account has no CA of the signer "
                                          "with this name. Register it first (`holdfast-admin ca "
                                          "register --signer-ca`)"));
    return err;
}

static enum hf_err change(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row row;
    enum hf_anonymous policy = HF_ANONYMOUS_READ;
    HF_TRY(hf_api_account(call, tx, &row, why));
    HF_TRY(read_policy(call, row.anonymous, &policy, why));
    const json_t *issuing_ca = json_object_get(call->body, "issuing_ca");
    const char *name = issuing_ca == NULL         ? row.issuing_ca
                       : json_is_null(issuing_ca) ? ""
                                                  : json_string_value(issuing_ca);
    if (name[0] != '\0' && strcmp(name, row.issuing_ca) != 0)
        HF_TRY(check_issuer(call, tx, row.id, name, why));
    HF_TRY(hf_account_change(tx, row.id, call->if_version, policy, name, &row, why));
    HF_TRY(set_snis(call, tx, row.id, why));
    HF_TRY(hf_account_get(tx->db, row.id, &row, why));
    return answer_account(call, tx, 200, &row, why);
}

static enum hf_err erase(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row row;
    HF_TRY(hf_api_account(call, tx, &row, why));
    call->status = 204;
    return hf_account_delete(tx, row.id, call->if_version, why);
}

#define CHANGEABLE                                                                                 \
    {"policy", HF_BODY_TEXT, .max = 16}, {"snis", HF_BODY_TEXTS, .max = HF_FLEET_SNI_MAX},         \
        {"issuing_ca", HF_BODY_TEXT_OR_NULL, .max = HF_ACCOUNT_NAME_MAX},                          \
    {                                                                                              \
        0                                                                                          \
    }

static const struct hf_body_field create_body[] = {{"name", HF_BODY_TEXT, .is_required = true,
                                                    .max = HF_ACCOUNT_NAME_MAX},
                                                   CHANGEABLE};
static const struct hf_body_field change_body[] = {CHANGEABLE};

const struct hf_api_route hf_account_routes[] = {
    {HTTP_GET, "/v1/accounts", HF_ADMIN_VIEWER, .is_list = true, .steps = {{HF_API_READ, list}}},
    {HTTP_POST, "/v1/accounts", HF_ADMIN_REGISTRAR, .body = create_body,
     .steps = {{HF_API_WRITE, create}}},
    {HTTP_GET, "/v1/accounts/{account}", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show}}},
    {HTTP_PATCH, "/v1/accounts/{account}", HF_ADMIN_REGISTRAR, .body = change_body,
     .must_match = true, .steps = {{HF_API_WRITE, change}}},
    {HTTP_DELETE, "/v1/accounts/{account}", HF_ADMIN_REGISTRAR, .must_match = true,
     .steps = {{HF_API_WRITE, erase}}},
    {HTTP_GET, "/v1/accounts/{account}/registration-code", HF_ADMIN_REGISTRAR,
     .steps = {{HF_API_READ, show_code}}},
    {0},
};
