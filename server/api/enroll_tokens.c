/* /v1/accounts/{account}/enroll-tokens: the right to enrol devices. */
#include "server/api/parts.h"

#include "common/base/timetext.h"
#include "server/fleet/enroll_token.h"

#include <sodium.h>
#include <string.h>

/* Without "expires" in the body: time to flash a batch of devices. */
#define TOKEN_LIFE_DEFAULT_S (7 * HF_DAY_S)

static json_t *token_json(const struct hf_enroll_token *row)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:s, s:b, s:o, s:s}", "id",
                     (json_int_t)row->id, "uses", (json_int_t)row->uses_max, "used",
                     (json_int_t)row->uses, "expires", hf_json_time(row->expires_s), "device",
                     hf_api_text_or_null(row->device), "group", hf_api_text_or_null(row->group),
                     "kind", hf_cert_kind_name(row->kind), "is_revoked", row->is_revoked, "created",
                     hf_json_time(row->created_s), "created_by", row->created_by);
}

static enum hf_err add_token(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_enroll_token *row = data;
    return hf_api_page_add_take(ctx, row->id, token_json(row), why);
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_enroll_token_list(tx->db, account.id, call->match.after, page.limit,
                                           add_token, &page, why);
    return hf_api_page_end(&page, "enroll_tokens", err, why);
}

static enum hf_err find(struct hf_api_call *call, struct hf_tx *tx, struct hf_enroll_token *out,
                        struct hf_why *why)
{
    struct hf_account_row account;
    int64_t id = 0;
    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(hf_api_param_number(call, 1, &id, why));
    enum hf_err err = hf_enroll_token_get(tx->db, account.id, id, out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "this account has no such token");
    return err;
}

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_enroll_token row;
    HF_TRY(find(call, tx, &row, why));
    call->version = row.version;
    return hf_api_answer_take(call, 200, token_json(&row), why);
}

static enum hf_err read_token(struct hf_api_call *call, int64_t now_s, struct hf_enroll_token *out,
                              struct hf_why *why)
{
    const char *kind = hf_body_text(call->body, "kind");
    const char *device = hf_body_text(call->body, "device");
    const char *group = hf_body_text(call->body, "group");
    out->kind = HF_CERT_DEVICE;
    if (kind != NULL && !hf_cert_kind_parse(kind, &out->kind))
        return hf_fail(why, HF_E_ARGUMENT, "\"kind\": expected device or claim");
    /* A script whose variable is empty must not make a token for any device. */
    if (device != NULL && device[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"device\": it is empty. Name the device, or leave it out for any");
    if (device != NULL)
        memcpy(out->device, device, strlen(device) + 1);
    if (group != NULL)
        memcpy(out->group, group, strlen(group) + 1);
    out->uses_max = hf_body_integer(call->body, "uses", 1);
    out->expires_s = hf_body_time(call->body, "expires");
    if (out->expires_s == HF_TIME_NONE)
        out->expires_s = now_s + TOKEN_LIFE_DEFAULT_S;
    return HF_OK;
}

static enum hf_err create(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_enroll_token wanted = {0}, made;
    char secret[HF_SECRET_TEXT_MAX];
    HF_TRY(hf_api_account(call, tx, &account, why));
    wanted.account_id = account.id;
    HF_TRY(read_token(call, tx->now_s, &wanted, why));
    HF_TRY(hf_enroll_token_create(tx, &wanted, secret, &made, why));
    json_t *value = hf_json_set_take(token_json(&made), "token", json_string(secret));
    sodium_memzero(secret, sizeof secret);
    call->version = made.version;
    return hf_api_answer_take(call, 201, value, why);
}

static enum hf_err erase(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_enroll_token row;
    HF_TRY(find(call, tx, &row, why));
    call->status = 204;
    return hf_enroll_token_revoke(tx, row.account_id, row.id, call->if_version, &row, why);
}

static const struct hf_body_field create_body[] = {
    {"uses", HF_BODY_INTEGER, .min = 1, .max = HF_FLEET_TOKEN_USES_MAX},
    {"expires", HF_BODY_TIME},
    {"device", HF_BODY_TEXT, .max = HF_DEVICE_ID_MAX},
    {"group", HF_BODY_TEXT, .max = HF_FLEET_GROUP_NAME_MAX},
    {"kind", HF_BODY_TEXT, .max = 16},
    {0},
};

#define TOKENS "/v1/accounts/{account}/enroll-tokens"

const struct hf_api_route hf_enroll_token_routes[] = {
    {HTTP_GET, TOKENS, HF_ADMIN_VIEWER, .is_list = true, .steps = {{HF_API_READ, list}}},
    {HTTP_POST, TOKENS, HF_ADMIN_REGISTRAR, .body = create_body, .has_secret = true,
     .steps = {{HF_API_WRITE, create}}},
    {HTTP_GET, TOKENS "/{id}", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show}}},
    {HTTP_DELETE, TOKENS "/{id}", HF_ADMIN_REGISTRAR, .must_match = true,
     .steps = {{HF_API_WRITE, erase}}},
    {0},
};
