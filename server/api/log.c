/* /v1/log: every administrative act and every signature, and the signer's seals over them. */
#include "server/api/parts.h"

#include "server/fleet/audit_log.h"

static enum hf_err add_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *row = data;
    json_t *entry = NULL;
    HF_TRY(hf_json_parse_object(row->text, "an entry of the log", &entry, why));
    return hf_api_page_add_take(ctx, row->sequence,
                                json_pack("{s:o, s:o}", "entry", entry, "hash",
                                          hf_json_sha256(row->hash)),
                                why);
}

static enum hf_err list_entries(struct hf_api_call *call, struct hf_tx *tx, int64_t account_id,
                                struct hf_why *why)
{
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_audit_log_list(tx->db, account_id, call->match.after, page.limit,
                                        add_entry, &page, why);
    return hf_api_page_end(&page, "entries", err, why);
}

static enum hf_err list_all(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    return list_entries(call, tx, 0, why);
}

static enum hf_err list_of_account(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    return list_entries(call, tx, account.id, why);
}

static enum hf_err add_seal(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_seal *row = data;
    json_t *value = json_pack("{s:I, s:o, s:o}", "sequence", (json_int_t)row->sequence, "time",
                              hf_json_time(row->sealed_s), "signature",
                              hf_json_base64(
                                  (struct hf_bytes){row->signature, sizeof row->signature}));
    return hf_api_page_add_take(ctx, row->sequence, value, why);
}

static enum hf_err list_seals(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_page page = hf_api_page_begin(call, tx);
    enum hf_err err = hf_seal_list(tx->db, call->match.after, page.limit, add_seal, &page, why);
    return hf_api_page_end(&page, "seals", err, why);
}

const struct hf_api_route hf_log_routes[] = {
    {HTTP_GET, "/v1/log", HF_ADMIN_VIEWER, .is_list = true, .steps = {{HF_API_READ, list_all}}},
    {HTTP_GET, "/v1/log/seals", HF_ADMIN_VIEWER, .is_list = true,
     .steps = {{HF_API_READ, list_seals}}},
    {HTTP_GET, "/v1/accounts/{account}/log", HF_ADMIN_VIEWER, .is_list = true,
     .steps = {{HF_API_READ, list_of_account}}},
    {0},
};
