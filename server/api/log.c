/* /v1/log: every administrative act and every signature, and the signer's seals over them. */
#include "server/api/parts.h"

#include "server/fleet/audit_log.h"

struct page {
    struct hf_api_call *call;
    json_t *rows;
};

static enum hf_err add_entry(void *ctx, const struct hf_audit_entry *row, struct hf_why *why)
{
    struct page *page = ctx;
    json_t *entry = NULL;
    if (!hf_api_page_takes(page->call, page->rows, row->sequence))
        return HF_OK;
    HF_TRY(hf_json_parse_object(row->text, "an entry of the log", &entry, why));
    json_t *value = json_pack("{s:o, s:o}", "entry", entry, "hash", hf_json_sha256(row->hash));
    return json_array_append_new(page->rows, value) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err list_entries(struct hf_api_call *call, struct hf_tx *tx, int64_t account_id,
                                struct hf_why *why)
{
    struct page page = {call, json_array()};
    enum hf_err err = hf_audit_log_list(tx->db, account_id, call->match.after, hf_api_page(call),
                                        add_entry, &page, why);
    if (err != HF_OK) {
        json_decref(page.rows);
        return err;
    }
    return hf_api_answer_list_take(call, "entries", page.rows, why);
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

static enum hf_err add_seal(void *ctx, const struct hf_seal *row, struct hf_why *why)
{
    struct page *page = ctx;
    if (!hf_api_page_takes(page->call, page->rows, row->sequence))
        return HF_OK;
    json_t *value = json_pack("{s:I, s:o, s:o}", "sequence", (json_int_t)row->sequence, "time",
                              hf_json_time(row->sealed_s), "signature",
                              hf_json_base64(
                                  (struct hf_bytes){row->signature, sizeof row->signature}));
    return json_array_append_new(page->rows, value) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err list_seals(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct page page = {call, json_array()};
    enum hf_err err = hf_seal_list(tx->db, call->match.after, hf_api_page(call), add_seal, &page,
                                   why);
    if (err != HF_OK) {
        json_decref(page.rows);
        return err;
    }
    return hf_api_answer_list_take(call, "seals", page.rows, why);
}

const struct hf_api_route hf_log_routes[] = {
    {HTTP_GET, "/v1/log", HF_ADMIN_VIEWER, .is_list = true, .steps = {{HF_API_READ, list_all}}},
    {HTTP_GET, "/v1/log/seals", HF_ADMIN_VIEWER, .is_list = true,
     .steps = {{HF_API_READ, list_seals}}},
    {HTTP_GET, "/v1/accounts/{account}/log", HF_ADMIN_VIEWER, .is_list = true,
     .steps = {{HF_API_READ, list_of_account}}},
    {0},
};
