/* /v1/tokens: who may call this API from elsewhere. */
#include "server/api/parts.h"

#include "common/base/timetext.h"
#include "server/fleet/admin_token.h"

#include <sodium.h>

static json_t *token_json(const struct hf_admin_token *row)
{
    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:b, s:o, s:s}", "id", (json_int_t)row->id, "name",
                     row->name, "role", hf_admin_role_name(row->role), "expires",
                     hf_api_time_or_null(row->expires_s), "last_used",
                     hf_api_time_or_null(row->last_use_s), "is_revoked", row->is_revoked, "created",
                     hf_json_time(row->created_s), "created_by", row->created_by);
}

static enum hf_err add_token(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_admin_token *row = data;
    return hf_api_page_add_take(ctx, row->id, token_json(row), why);
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_admin_token_list(tx->db, call->match.after, page.limit, add_token, &page,
                                          why);
    return hf_api_page_end(&page, "tokens", err, why);
}

static enum hf_err find(struct hf_api_call *call, struct hf_tx *tx, struct hf_admin_token *out,
                        struct hf_why *why)
{
    int64_t id = 0;
    HF_TRY(hf_api_param_number(call, 0, &id, why));
    enum hf_err err = hf_admin_token_get(tx->db, id, out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "there is no such token");
    return err;
}

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_admin_token row;
    HF_TRY(find(call, tx, &row, why));
    call->version = row.version;
    return hf_api_answer_take(call, 200, token_json(&row), why);
}

static enum hf_err create(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_admin_token made;
    enum hf_admin_role role = HF_ADMIN_NONE;
    char secret[HF_SECRET_TEXT_MAX];
    int64_t expires_s = hf_body_time(call->body, "expires");
    if (!hf_admin_role_parse(hf_body_text(call->body, "role"), &role) || role == HF_ADMIN_NONE)
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"role\": expected viewer, operator, registrar or admin");
    if (expires_s == HF_TIME_NONE)
        expires_s = 0;
    HF_TRY(hf_admin_token_create(tx, hf_body_text(call->body, "name"), role, expires_s, secret,
                                 &made, why));
    json_t *value = hf_json_set_take(token_json(&made), "token", json_string(secret));
    sodium_memzero(secret, sizeof secret);
    call->version = made.version;
    return hf_api_answer_take(call, 201, value, why);
}

static enum hf_err erase(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_admin_token row;
    HF_TRY(find(call, tx, &row, why));
    call->status = 204;
    return hf_admin_token_revoke(tx, row.id, call->if_version, &row, why);
}

static const struct hf_body_field create_body[] = {
    {"name", HF_BODY_TEXT, .is_required = true, .max = HF_FLEET_TOKEN_NAME_MAX},
    {"role", HF_BODY_TEXT, .is_required = true, .max = 16},
    {"expires", HF_BODY_TIME},
    {0},
};

const struct hf_api_route hf_token_routes[] = {
    {HTTP_GET, "/v1/tokens", HF_ADMIN_ADMIN, .is_list = true, .steps = {{HF_API_READ, list}}},
    {HTTP_POST, "/v1/tokens", HF_ADMIN_ADMIN, .body = create_body, .has_secret = true,
     .steps = {{HF_API_WRITE, create}}},
    {HTTP_GET, "/v1/tokens/{id}", HF_ADMIN_ADMIN, .steps = {{HF_API_READ, show}}},
    {HTTP_DELETE, "/v1/tokens/{id}", HF_ADMIN_ADMIN, .must_match = true,
     .steps = {{HF_API_WRITE, erase}}},
    {0},
};
