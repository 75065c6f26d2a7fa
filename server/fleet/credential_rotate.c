/*
 * Rotation: the new certificate is registered ACTIVE beside the old one; its first request confirms
 * it; a day later the old one becomes INACTIVE. At every moment the device has one that is
 * accepted.
 */
#include "server/fleet/credential_sql.h"

#include "common/base/timetext.h"
#include "common/json/json.h"
#include "server/fleet/audit_log.h"

enum hf_err hf_credential_ask_rotation(struct hf_tx *tx, int64_t account_id, int64_t id,
                                       int64_t if_version, struct hf_credential *out,
                                       struct hf_why *why)
{
    struct hf_credential row;

    HF_TRY(hf_credential_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    if (row.status != HF_CERT_ACTIVE || row.kind != HF_CERT_DEVICE)
        return hf_fail(why, HF_E_STATE,
                       "only an ACTIVE certificate of a device can be rotated (found %s, %s)",
                       hf_cert_status_name(row.status), hf_cert_kind_name(row.kind));
    if (!row.is_rotation_asked) {
        HF_TRY(hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_ASK_ROTATION],
                                 HF_PARAMS(hf_p_int("id", id)), &row, why));
        HF_TRY(hf_audit_append_take(tx, "credential.ask-rotation", account_id,
                                    json_pack("{s:o}", "credential", hf_json_sha256(row.sha256)),
                                    why));
        HF_TRY(hf_credential_note(tx, &row, why));
    }
    *out = row;
    return HF_OK;
}

/* Successors that were issued and never seen: the device has only one key at a time. */
static enum hf_err drop_unseen(struct hf_tx *tx, const struct hf_credential *old,
                               struct hf_why *why)
{
    struct hf_credential unseen, row;
    enum hf_err err;

    while ((err = hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_SUCCESSORS],
                                    HF_PARAMS(hf_p_int("id", old->id),
                                              hf_p_int("account", old->account_id)),
                                    &unseen, why)) == HF_OK)
        HF_TRY(hf_credential_put_status(tx, &unseen, HF_CERT_INACTIVE, 0, "credential.status",
                                        "the device asked for another one before it used this one",
                                        &row, why));
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_credential_rotate(struct hf_tx *tx, int64_t old_id,
                                 const struct hf_credential_new *wanted, struct hf_credential *out,
                                 struct hf_why *why)
{
    struct hf_credential old;

    HF_TRY(hf_credential_get(tx->db, wanted->account_id, old_id, &old, why));
    if (old.status != HF_CERT_ACTIVE || old.kind != HF_CERT_DEVICE || old.device_id == 0)
        return hf_fail(why, HF_E_STATE,
                       "only an ACTIVE certificate of a device can be rotated (found %s, %s)",
                       hf_cert_status_name(old.status), hf_cert_kind_name(old.kind));
    if (wanted->kind != HF_CERT_DEVICE || wanted->status != HF_CERT_ACTIVE)
        return hf_fail(why, HF_E_ARGUMENT, "a successor is an ACTIVE certificate of a device");
    HF_TRY(drop_unseen(tx, &old, why));
    return hf_credential_insert(tx, wanted, &old, out, why);
}

enum hf_err hf_credential_rotated_at(struct hf_db *db, int64_t device_id, int64_t now_s,
                                     int64_t *out, struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_credential_sql[HF_CRED_ROTATED_AT],
                     HF_PARAMS(hf_p_int("device", device_id),
                               hf_p_int("since", now_s - HF_FLEET_ISSUE_WINDOW_S),
                               hf_p_int("now", now_s)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        *out = hf_col_int_or(&rows, 0, HF_TIME_NONE);
    hf_db_end(&rows);
    return err;
}

enum hf_err hf_credential_confirm(struct hf_tx *tx, int64_t account_id, int64_t id,
                                  struct hf_why *why)
{
    struct hf_credential row, old;

    HF_TRY(hf_credential_get(tx->db, account_id, id, &row, why));
    if (row.is_confirmed)
        return HF_OK;
    HF_TRY(hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_CONFIRM],
                             HF_PARAMS(hf_p_int("id", id)), &row, why));
    HF_TRY(hf_audit_append_take(tx, "credential.confirm", account_id,
                                json_pack("{s:o}", "credential", hf_json_sha256(row.sha256)), why));
    HF_TRY(hf_credential_note(tx, &row, why));
    /* It may be in another account by now, or not ACTIVE: then there is nothing to retire. */
    enum hf_err err = hf_credential_get(tx->db, account_id, row.replaces_id, &old, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    if (old.status != HF_CERT_ACTIVE)
        return HF_OK;
    HF_TRY(hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_RETIRE_LATER],
                             HF_PARAMS(hf_p_int("id", old.id),
                                       hf_p_int("at", tx->now_s + HF_FLEET_RETIRE_AFTER_S)),
                             &old, why));
    return hf_credential_note(tx, &old, why);
}

/* It leaves the list of those that are due in any case. */
static enum hf_err retire(struct hf_tx *tx, const struct hf_credential *due, struct hf_why *why)
{
    struct hf_credential row;
    int64_t n_successors = 0;

    HF_TRY(hf_db_get_int(tx->db, &hf_credential_sql[HF_CRED_HAS_SUCCESSOR],
                         HF_PARAMS(hf_p_int("id", due->id), hf_p_int("device", due->device_id)),
                         &n_successors, why));
    if (due->status == HF_CERT_ACTIVE && n_successors > 0)
        return hf_credential_put_status(tx, due, HF_CERT_INACTIVE, 0, "credential.retire",
                                        "a newer certificate of the device is in use", &row, why);
    HF_TRY(hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_RETIRE_LATER],
                             HF_PARAMS(hf_p_int("id", due->id), (struct hf_param){.name = "at"}),
                             &row, why));
    HF_TRY(hf_credential_note(tx, &row, why));
    return hf_audit_append_take(tx, "credential.keep", due->account_id,
                                json_pack("{s:o,s:s}", "credential", hf_json_sha256(due->sha256),
                                          "reason", "no newer certificate of the device is ACTIVE"),
                                why);
}

enum hf_err hf_credential_retire_due(struct hf_tx *tx, size_t *n, struct hf_why *why)
{
    struct hf_credential due;
    size_t count = 0;
    enum hf_err err = HF_OK;

    while (count < HF_FLEET_RETIRE_AT_ONCE &&
           (err = hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_DUE],
                                    HF_PARAMS(hf_p_int("now", tx->now_s)), &due, why)) == HF_OK) {
        HF_TRY(retire(tx, &due, why));
        count++;
    }
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    *n = count;
    return HF_OK;
}
