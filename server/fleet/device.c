#include "server/fleet/device.h"

#include "server/fleet/audit_log.h"
#include "server/fleet/device_state.h"
#include "server/fleet/names.h"
#include "server/fleet/report_key.h"

#define COLUMNS "id, account_id, name, group_name, created_s, version"
#define TYPES "iittii"

enum { INSERT, GET, FIND, CHANGE, DELETE, COUNT_CREDENTIALS, LEAVE_CREDENTIALS };

const struct hf_sql hf_device_sql[] = {
    [INSERT] = {"device_insert",
                "INSERT INTO device (account_id, name, group_name, created_s, version) "
                "VALUES (:account, :name, :group, :now, 1) RETURNING " COLUMNS,
                TYPES},
    [GET] = {"device_get",
             "SELECT " COLUMNS " FROM device WHERE id = :id AND account_id = :account", TYPES},
    [FIND] = {"device_find",
              "SELECT " COLUMNS " FROM device WHERE account_id = :account AND name = :name", TYPES},
    [CHANGE] = {"device_change",
                "UPDATE device SET group_name = :group, version = version + 1 WHERE id = :id "
                "RETURNING " COLUMNS,
                TYPES},
    [DELETE] = {"device_delete", "DELETE FROM device WHERE id = :id", ""},
    [COUNT_CREDENTIALS] = {"device_count_credentials",
                           "SELECT count(*) FROM credential "
                           "WHERE device_id = :id AND status <> 'REVOKED'",
                           "i"},
    [LEAVE_CREDENTIALS] = {"device_leave_credentials",
                           "UPDATE credential SET device_id = NULL, version = version + 1 "
                           "WHERE device_id = :id",
                           ""},
    {0},
};

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_device row = {.id = hf_col_int(rows, 0),
                            .account_id = hf_col_int(rows, 1),
                            .created_s = hf_col_int(rows, 4),
                            .version = hf_col_int(rows, 5)};

    HF_TRY(hf_col_copy_text(rows, 2, row.name, sizeof row.name, why));
    HF_TRY(hf_col_copy_text(rows, 3, row.group, sizeof row.group, why));
    *(struct hf_device *)out = row;
    return HF_OK;
}

static enum hf_err read_one(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params, struct hf_device *out,
                            struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_row, out,
                          "this account has no such device", why);
}

enum hf_err hf_device_get(struct hf_db *db, int64_t account_id, int64_t id, struct hf_device *out,
                          struct hf_why *why)
{
    return read_one(db, &hf_device_sql[GET],
                    HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), out, why);
}

enum hf_err hf_device_find(struct hf_db *db, int64_t account_id, const char *name,
                           struct hf_device *out, struct hf_why *why)
{
    return read_one(db, &hf_device_sql[FIND],
                    HF_PARAMS(hf_p_int("account", account_id), hf_p_text("name", name)), out, why);
}

enum hf_err hf_device_ensure(struct hf_tx *tx, int64_t account_id, const char *name,
                             const char *group, struct hf_device *out, struct hf_why *why)
{
    struct hf_device row;

    HF_TRY(hf_name_check_device(name, why));
    HF_TRY(hf_name_check_group(group, why));
    enum hf_err err = hf_device_find(tx->db, account_id, name, out, why);
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(read_one(tx->db, &hf_device_sql[INSERT],
                    HF_PARAMS(hf_p_int("account", account_id), hf_p_text("name", name),
                              hf_p_text("group", group), hf_p_int("now", tx->now_s)),
                    &row, why));
    HF_TRY(hf_device_state_insert(tx, account_id, row.id, why));
    HF_TRY(hf_audit_append_take(tx, "device.create", account_id,
                                json_pack("{s:s,s:s}", "device", name, "group", group), why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_device_change_group(struct hf_tx *tx, int64_t account_id, int64_t id,
                                   int64_t if_version, const char *group, struct hf_device *out,
                                   struct hf_why *why)
{
    struct hf_device old, row;

    HF_TRY(hf_name_check_group(group, why));
    HF_TRY(hf_device_get(tx->db, account_id, id, &old, why));
    HF_TRY(hf_tx_check_version(if_version, old.version, why));
    HF_TRY(read_one(tx->db, &hf_device_sql[CHANGE],
                    HF_PARAMS(hf_p_int("id", id), hf_p_text("group", group)), &row, why));
    HF_TRY(hf_effects_add_device(tx->effects, id, why));
    HF_TRY(hf_audit_append_take(tx, "device.change", account_id,
                                json_pack("{s:s,s:s,s:s}", "device", row.name, "from", old.group,
                                          "to", group),
                                why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_device_delete(struct hf_tx *tx, int64_t account_id, int64_t id, int64_t if_version,
                             struct hf_why *why)
{
    struct hf_device row;
    int64_t n = 0;

    HF_TRY(hf_device_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(hf_db_get_int(tx->db, &hf_device_sql[COUNT_CREDENTIALS], HF_PARAMS(hf_p_int("id", id)),
                         &n, why));
    if (n > 0)
        return hf_fail(why, HF_E_STATE,
                       "device \"%s\" has certificates that are not revoked. Revoke them first",
                       row.name);
    HF_TRY(hf_db_execute(tx->db, &hf_device_sql[LEAVE_CREDENTIALS], HF_PARAMS(hf_p_int("id", id)),
                         why));
    enum hf_err err = hf_report_key_revoke(tx, &row, why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_device_state_delete(tx, id, why));
    HF_TRY(hf_effects_add_device(tx->effects, id, why));
    HF_TRY(hf_db_execute(tx->db, &hf_device_sql[DELETE], HF_PARAMS(hf_p_int("id", id)), why));
    return hf_audit_append_take(tx, "device.delete", account_id,
                                json_pack("{s:s}", "device", row.name), why);
}
