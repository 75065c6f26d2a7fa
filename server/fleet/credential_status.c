/* From one status to the next, and from one account to another. */
#include "server/fleet/credential_sql.h"

#include "common/json/json.h"
#include "server/fleet/account.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/names.h"

#include <string.h>

enum hf_err hf_credential_put_status(struct hf_tx *tx, const struct hf_credential *old,
                                     enum hf_cert_status status, int64_t to_account_id,
                                     const char *action, const char *reason,
                                     struct hf_credential *out, struct hf_why *why)
{
    struct hf_credential row;

    HF_TRY(hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_SET_STATUS],
                             HF_PARAMS(hf_p_int("id", old->id),
                                       hf_p_text("status", hf_cert_status_name(status)),
                                       hf_p_int_or_null("transfer", to_account_id, 0)),
                             &row, why));
    json_t *details = json_pack("{s:o,s:s,s:s}", "credential", hf_json_sha256(row.sha256), "from",
                                hf_cert_status_name(old->status), "to",
                                hf_cert_status_name(row.status));
    if (details != NULL && reason[0] != '\0')
        details = hf_json_set_take(details, "reason", json_string(reason));
    if (details != NULL && to_account_id != 0)
        details = hf_json_set_take(details, "to_account", json_integer(to_account_id));
    HF_TRY(hf_audit_append_take(tx, action, row.account_id, details, why));
    HF_TRY(hf_credential_tell(tx, &row, old, reason, why));
    HF_TRY(hf_credential_note(tx, &row, why));
    *out = row;
    return HF_OK;
}

/* The numbers of the certificates that were rotated from `id`, one int64_t after the other. */
static enum hf_err list_successors(struct hf_tx *tx, int64_t account_id, int64_t id,
                                   struct hf_buf *out, struct hf_why *why)
{
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(hf_db_run(tx->db, &hf_credential_sql[HF_CRED_LIST_SUCCESSORS],
                     HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK) {
        int64_t successor = hf_col_int(&rows, 0);
        if (hf_buf_append(out, &successor, sizeof successor) != HF_OK) {
            err = hf_fail(why, HF_E_MEMORY, "no memory for the successors of a certificate");
            break;
        }
    }
    hf_db_end(&rows);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* The device, or who has its key, may have rotated before the operator acts: then the successors
 * are as little to be trusted. */
static enum hf_err revoke_successors(struct hf_tx *tx, const struct hf_credential *first,
                                     const char *reason, struct hf_why *why)
{
    struct hf_credential row, revoked;
    struct hf_buf list = {0};
    enum hf_err err = list_successors(tx, first->account_id, first->id, &list, why);

    for (size_t at = 0; err == HF_OK && at < list.len; at += sizeof(int64_t)) {
        int64_t id;
        memcpy(&id, list.data + at, sizeof id);
        err = hf_credential_get(tx->db, first->account_id, id, &row, why);
        if (err == HF_OK)
            err = hf_credential_put_status(tx, &row, HF_CERT_REVOKED, 0, "credential.status",
                                           reason, &revoked, why);
    }
    hf_buf_free(&list);
    return err;
}

/* A device that is shut out must not come back with the certificate that only waits to retire. */
static enum hf_err stop_predecessor(struct hf_tx *tx, const struct hf_credential *row,
                                    struct hf_why *why)
{
    struct hf_credential old, stopped;
    enum hf_err err = row->replaces_id != 0
                          ? hf_credential_get(tx->db, row->account_id, row->replaces_id, &old, why)
                          : HF_E_NOT_FOUND;

    if (err == HF_E_NOT_FOUND ||
        (err == HF_OK && (old.status != HF_CERT_ACTIVE || old.retire_at_s == 0)))
        return HF_OK;
    HF_TRY(err);
    return hf_credential_put_status(tx, &old, HF_CERT_INACTIVE, 0, "credential.retire",
                                    "its successor was shut out", &stopped, why);
}

enum hf_err hf_credential_set_status(struct hf_tx *tx, int64_t account_id, int64_t id,
                                     int64_t if_version, enum hf_cert_status status,
                                     const char *reason, struct hf_credential *out,
                                     struct hf_why *why)
{
    struct hf_credential row, set;

    HF_TRY(hf_name_check_text("reason", reason, HF_FLEET_REASON_MAX, why));
    HF_TRY(hf_credential_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(hf_cert_status_check_set(row.status, status, why));
    if (row.status == status) {
        *out = row;
        return HF_OK;
    }
    HF_TRY(hf_credential_put_status(tx, &row, status, 0, "credential.status", reason, &set, why));
    if (status == HF_CERT_REVOKED)
        HF_TRY(revoke_successors(tx, &set, reason, why));
    if (status != HF_CERT_ACTIVE)
        HF_TRY(stop_predecessor(tx, &set, why));
    *out = set;
    return HF_OK;
}

/* ---- transfer -------------------------------------------------------------------------------- */

enum hf_err hf_credential_transfer(struct hf_tx *tx, int64_t account_id, int64_t id,
                                   int64_t if_version, int64_t to_account_id, const char *message,
                                   struct hf_credential *out, struct hf_why *why)
{
    struct hf_account_row to;
    struct hf_credential row, there;
    enum hf_cert_status status;

    HF_TRY(hf_name_check_text("message", message, HF_FLEET_REASON_MAX, why));
    HF_TRY(hf_credential_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(hf_cert_status_after(row.status, HF_CERT_ACT_TRANSFER, &status, why));
    if (to_account_id == account_id)
        return hf_fail(why, HF_E_ARGUMENT, "the certificate belongs to that account already");
    if (hf_account_get(tx->db, to_account_id, &to, why) != HF_OK)
        return hf_fail_context(why, "transfer");
    enum hf_err err = hf_credential_find(tx->db, to_account_id, row.sha256, &there, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "account \"%s\" has the certificate already", to.name);
    if (err != HF_E_NOT_FOUND)
        return err;
    return hf_credential_put_status(tx, &row, status, to_account_id, "credential.transfer", message,
                                    out, why);
}

enum hf_err hf_credential_cancel_transfer(struct hf_tx *tx, int64_t account_id, int64_t id,
                                          struct hf_credential *out, struct hf_why *why)
{
    struct hf_credential row;
    enum hf_cert_status status;

    HF_TRY(hf_credential_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_cert_status_after(row.status, HF_CERT_ACT_CANCEL, &status, why));
    return hf_credential_put_status(tx, &row, status, 0, "credential.cancel-transfer", "", out,
                                    why);
}

/* One that is not offered to this account is not there for it. */
static enum hf_err get_offered(struct hf_tx *tx, int64_t account_id, int64_t id,
                               struct hf_credential *out, struct hf_why *why)
{
    enum hf_err err = hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_GET_OFFERED],
                                        HF_PARAMS(hf_p_int("id", id),
                                                  hf_p_int("account", account_id)),
                                        out, why);

    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "no such certificate is offered to this account");
    return err;
}

enum hf_err hf_credential_reject_transfer(struct hf_tx *tx, int64_t account_id, int64_t id,
                                          const char *reason, struct hf_credential *out,
                                          struct hf_why *why)
{
    struct hf_credential row;
    enum hf_cert_status status;

    HF_TRY(hf_name_check_text("reason", reason, HF_FLEET_REASON_MAX, why));
    HF_TRY(get_offered(tx, account_id, id, &row, why));
    HF_TRY(hf_cert_status_after(row.status, HF_CERT_ACT_REJECT, &status, why));
    return hf_credential_put_status(tx, &row, status, 0, "credential.reject-transfer", reason, out,
                                    why);
}

enum hf_err hf_credential_accept_transfer(struct hf_tx *tx, int64_t account_id, int64_t id,
                                          struct hf_credential *out, struct hf_why *why)
{
    struct hf_effect gone = {.kind = HF_EFFECT_CREDENTIAL_GONE};
    struct hf_credential old, row, here;
    enum hf_cert_status status;

    HF_TRY(get_offered(tx, account_id, id, &old, why));
    HF_TRY(hf_cert_status_after(old.status, HF_CERT_ACT_ACCEPT, &status, why));
    enum hf_err err = hf_credential_find(tx->db, account_id, old.sha256, &here, why);
    if (err == HF_OK) /* registered here after it was offered */
        return hf_fail(why, HF_E_STATE, "this account has the certificate already. Reject it");
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_credential_check_lost(tx, account_id, old.sha256, why));
    HF_TRY(hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_MOVE],
                             HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), &row,
                             why));
    HF_TRY(hf_audit_append_take(tx, "credential.accept-transfer", account_id,
                                json_pack("{s:o,s:I,s:s}", "credential", hf_json_sha256(row.sha256),
                                          "from_account", (json_int_t)old.account_id, "to",
                                          hf_cert_status_name(row.status)),
                                why));
    gone.credential.account = (uint32_t)old.account_id;
    memcpy(gone.sha256, old.sha256, sizeof gone.sha256);
    HF_TRY(hf_effects_add(tx->effects, &gone, why));
    HF_TRY(hf_credential_tell(tx, &row, &old, "", why));
    HF_TRY(hf_credential_note(tx, &row, why));
    *out = row;
    return HF_OK;
}
