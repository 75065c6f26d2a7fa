/* /v1/accounts/{account}/devices: what is out there. */
#include "server/api/parts.h"

#include <string.h>

static json_t *device_json(const struct hf_device *row)
{
    return json_pack("{s:s, s:o, s:o}", "id", row->name, "group", hf_api_text_or_null(row->group),
                     "created", hf_json_time(row->created_s));
}

static enum hf_err answer_device(struct hf_api_call *call, const struct hf_device *row,
                                 struct hf_why *why)
{
    call->version = row->version;
    return hf_api_answer_take(call, 200, device_json(row), why);
}

static enum hf_err find(struct hf_api_call *call, struct hf_tx *tx, struct hf_device *out,
                        struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    enum hf_err err = hf_device_find(tx->db, account.id, call->match.params[1], out, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "this account has no such device");
    return err;
}

static enum hf_err add_device(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_device *row = data;
    return hf_api_page_add_take(ctx, row->id, device_json(row), why);
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_device_list(tx->db, account.id, call->match.after, page.limit, add_device,
                                     &page, why);
    return hf_api_page_end(&page, "devices", err, why);
}

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device row;
    HF_TRY(find(call, tx, &row, why));
    return answer_device(call, &row, why);
}

static enum hf_err change(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device row;
    const char *group = hf_body_text(call->body, "group");
    HF_TRY(find(call, tx, &row, why));
    HF_TRY(hf_device_change_group(tx, row.account_id, row.id, call->if_version,
                                  group != NULL ? group : "", &row, why));
    return answer_device(call, &row, why);
}

static enum hf_err erase(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device row;
    HF_TRY(find(call, tx, &row, why));
    call->status = 204;
    return hf_device_delete(tx, row.account_id, row.id, call->if_version, why);
}

static const struct hf_body_field change_body[] = {
    {"group", HF_BODY_TEXT_OR_NULL, .is_required = true, .max = HF_FLEET_GROUP_NAME_MAX},
    {0},
};

#define DEVICES "/v1/accounts/{account}/devices"

const struct hf_api_route hf_device_routes[] = {
    {HTTP_GET, DEVICES, HF_ADMIN_VIEWER, .is_list = true, .steps = {{HF_API_READ, list}}},
    {HTTP_GET, DEVICES "/{id}", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show}}},
    {HTTP_PATCH, DEVICES "/{id}", HF_ADMIN_OPERATOR, change_body, .must_match = true,
     .steps = {{HF_API_WRITE, change}}},
    {HTTP_DELETE, DEVICES "/{id}", HF_ADMIN_REGISTRAR, .must_match = true,
     .steps = {{HF_API_WRITE, erase}}},
    {0},
};
