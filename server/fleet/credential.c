/* Certificates: the statements, and reading. */
#include "server/fleet/credential_sql.h"

#include "common/base/digest.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "id, account_id, sha256, subject, serial, kind, mode, status, source, ca_id, device_id, "      \
    "not_before_s, not_after_s, created_s, transfer_account_id, replaces_id, is_confirmed, "       \
    "is_rotation_asked, retire_at_s, version"
#define TYPES "iibttttttIIiiiIIiiIi"

#define SELECT "SELECT " COLUMNS " FROM credential "
#define PAGE "AND id > :after ORDER BY id LIMIT :limit"

const struct hf_sql hf_credential_sql[] = {
    [HF_CRED_INSERT] =
        {"credential_insert",
         "INSERT INTO credential (account_id, sha256, subject, serial, kind, mode, status, "
         "source, ca_id, device_id, not_before_s, not_after_s, created_s, replaces_id, "
         "is_confirmed, is_rotation_asked, version) "
         "VALUES (:account, :sha256, :subject, :serial, :kind, :mode, :status, :source, :ca, "
         ":device, :not_before, :not_after, :now, :replaces, :confirmed, 0, 1) RETURNING " COLUMNS,
         TYPES},
    [HF_CRED_GET] = {"credential_get", SELECT "WHERE id = :id AND account_id = :account", TYPES},
    [HF_CRED_GET_OFFERED] = {"credential_get_offered",
                             SELECT "WHERE id = :id AND transfer_account_id = :account", TYPES},
    [HF_CRED_FIND] = {"credential_find", SELECT "WHERE account_id = :account AND sha256 = :sha256",
                      TYPES},
    [HF_CRED_FIND_OFFERED] = {"credential_find_offered",
                              SELECT "WHERE transfer_account_id = :account AND sha256 = :sha256 "
                                     "ORDER BY id LIMIT 1",
                              TYPES},
    [HF_CRED_FIND_OTHER] = {"credential_find_other",
                            "SELECT count(*) FROM credential WHERE sha256 = :sha256 "
                            "AND account_id <> :account "
                            "AND (mode = 'DEFAULT' OR :mode = 'DEFAULT')",
                            "i"},
    [HF_CRED_FIND_LOST] = {"credential_find_lost",
                           "SELECT COUNT(*) FROM lost_revocation "
                           "WHERE account_id = :account AND sha256 = :sha256",
                           "i"},
    [HF_CRED_DER] = {"credential_der",
                     "SELECT der FROM credential_der JOIN credential ON id = credential_id "
                     "WHERE id = :id AND account_id = :account",
                     "b"},
    [HF_CRED_DER_INSERT] = {"credential_der_insert",
                            "INSERT INTO credential_der (credential_id, der) VALUES (:id, :der)",
                            ""},
    [HF_CRED_LIST] = {"credential_list",
                      SELECT "WHERE account_id = :account "
                             "AND (:status = '' OR status = :status) " PAGE,
                      TYPES},
    [HF_CRED_LIST_OF_DEVICE] = {"credential_list_of_device",
                                SELECT "WHERE account_id = :account AND device_id = :device "
                                       "AND (:status = '' OR status = :status) " PAGE,
                                TYPES},
    [HF_CRED_LIST_REGISTERED] = {"credential_list_registered",
                                 "SELECT id, account_id, sha256, kind, mode, status, is_confirmed, "
                                 "is_rotation_asked FROM credential",
                                 "iibtttii"},
    [HF_CRED_COUNT] = {"credential_count", "SELECT count(*) FROM credential", "i"},
    [HF_CRED_SET_STATUS] = {"credential_set_status",
                            "UPDATE credential SET status = :status, "
                            "transfer_account_id = :transfer, retire_at_s = NULL, "
                            "version = version + 1 WHERE id = :id RETURNING " COLUMNS,
                            TYPES},
    [HF_CRED_MOVE] = {"credential_move",
                      "UPDATE credential SET account_id = :account, status = 'INACTIVE', "
                      "mode = 'SNI_ONLY', transfer_account_id = NULL, ca_id = NULL, "
                      "device_id = NULL, replaces_id = NULL, is_confirmed = 1, "
                      "is_rotation_asked = 0, retire_at_s = NULL, version = version + 1 "
                      "WHERE id = :id RETURNING " COLUMNS,
                      TYPES},
    [HF_CRED_ASK_ROTATION] = {"credential_ask_rotation",
                              "UPDATE credential SET is_rotation_asked = 1, version = version + 1 "
                              "WHERE id = :id RETURNING " COLUMNS,
                              TYPES},
    [HF_CRED_CONFIRM] = {"credential_confirm",
                         "UPDATE credential SET is_confirmed = 1, version = version + 1 "
                         "WHERE id = :id RETURNING " COLUMNS,
                         TYPES},
    [HF_CRED_RETIRE_LATER] = {"credential_retire_later",
                              "UPDATE credential SET retire_at_s = :at, is_rotation_asked = 0, "
                              "version = version + 1 WHERE id = :id RETURNING " COLUMNS,
                              TYPES},
    [HF_CRED_SUCCESSORS] = {"credential_successors",
                            SELECT "WHERE replaces_id = :id AND account_id = :account "
                                   "AND status = 'ACTIVE' AND is_confirmed = 0 "
                                   "ORDER BY id LIMIT 1",
                            TYPES},
    /* Also of successors; one that is offered to another account stays offered. */
    [HF_CRED_LIST_SUCCESSORS] =
        {"credential_list_successors",
         "WITH RECURSIVE later (id) AS (SELECT CAST(:id AS BIGINT) UNION SELECT credential.id "
         "FROM later JOIN credential ON replaces_id = later.id WHERE account_id = :account) "
         "SELECT id FROM credential WHERE id IN (SELECT id FROM later) AND id <> :id "
         "AND status IN ('ACTIVE', 'INACTIVE', 'PENDING_ACTIVATION') ORDER BY id",
         "i"},
    [HF_CRED_DUE] = {"credential_due",
                     SELECT "WHERE retire_at_s <= :now ORDER BY retire_at_s, id LIMIT 1", TYPES},
    [HF_CRED_HAS_SUCCESSOR] = {"credential_has_successor",
                               "SELECT count(*) FROM credential WHERE device_id = :device "
                               "AND id > :id AND status = 'ACTIVE' AND is_confirmed = 1",
                               "i"},
    [HF_CRED_ROTATED_AT] = {"credential_rotated_at",
                            "SELECT max(created_s) FROM credential WHERE device_id = :device "
                            "AND replaces_id IS NOT NULL "
                            "AND created_s > :since AND created_s <= :now",
                            "I"},
    {0},
};

/* ---- one row --------------------------------------------------------------------------------- */

const char *hf_credential_source_name(enum hf_credential_source source)
{
    switch (source) {
    case HF_SOURCE_REGISTERED:
        return "registered";
    case HF_SOURCE_ISSUED:
        return "issued";
    case HF_SOURCE_AUTO:
        return "auto";
    }
    return "none";
}

static bool parse_source(const char *text, enum hf_credential_source *out)
{
    for (int source = HF_SOURCE_REGISTERED; source <= HF_SOURCE_AUTO; source++) {
        if (strcmp(text, hf_credential_source_name((enum hf_credential_source)source)) == 0) {
            *out = (enum hf_credential_source)source;
            return true;
        }
    }
    return false;
}

static enum hf_err read_credential(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_credential row = {.id = hf_col_int(rows, 0),
                                .account_id = hf_col_int(rows, 1),
                                .ca_id = hf_col_int_or(rows, 9, 0),
                                .device_id = hf_col_int_or(rows, 10, 0),
                                .not_before_s = hf_col_int(rows, 11),
                                .not_after_s = hf_col_int(rows, 12),
                                .created_s = hf_col_int(rows, 13),
                                .transfer_account_id = hf_col_int_or(rows, 14, 0),
                                .replaces_id = hf_col_int_or(rows, 15, 0),
                                .is_confirmed = hf_col_int(rows, 16) != 0,
                                .is_rotation_asked = hf_col_int(rows, 17) != 0,
                                .retire_at_s = hf_col_int_or(rows, 18, 0),
                                .version = hf_col_int(rows, 19)};

    HF_TRY(hf_col_copy_bytes(rows, 2, row.sha256, sizeof row.sha256, why));
    HF_TRY(hf_col_copy_text(rows, 3, row.subject, sizeof row.subject, why));
    HF_TRY(hf_col_copy_text(rows, 4, row.serial, sizeof row.serial, why));
    if (!hf_cert_kind_parse(hf_col_text(rows, 5), &row.kind))
        return hf_col_fail_word(rows, 5, why);
    if (!hf_cert_mode_parse(hf_col_text(rows, 6), &row.mode))
        return hf_col_fail_word(rows, 6, why);
    if (!hf_cert_status_parse(hf_col_text(rows, 7), &row.status))
        return hf_col_fail_word(rows, 7, why);
    if (!parse_source(hf_col_text(rows, 8), &row.source))
        return hf_col_fail_word(rows, 8, why);
    *(struct hf_credential *)out = row;
    return HF_OK;
}

enum hf_err hf_credential_one(struct hf_db *db, const struct hf_sql *sql,
                              const struct hf_param *params, size_t n_params,
                              struct hf_credential *out, struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_credential, out,
                          "this account has no such certificate", why);
}

enum hf_err hf_credential_get(struct hf_db *db, int64_t account_id, int64_t id,
                              struct hf_credential *out, struct hf_why *why)
{
    return hf_credential_one(db, &hf_credential_sql[HF_CRED_GET],
                             HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), out,
                             why);
}

enum hf_err hf_credential_find(struct hf_db *db, int64_t account_id,
                               const uint8_t sha256[HF_SHA256_LEN], struct hf_credential *out,
                               struct hf_why *why)
{
    return hf_credential_one(db, &hf_credential_sql[HF_CRED_FIND],
                             HF_PARAMS(hf_p_int("account", account_id),
                                       hf_p_bytes("sha256", sha256, HF_SHA256_LEN)),
                             out, why);
}

enum hf_err hf_credential_find_offered(struct hf_db *db, int64_t to_account_id,
                                       const uint8_t sha256[HF_SHA256_LEN],
                                       struct hf_credential *out, struct hf_why *why)
{
    return hf_credential_one(db, &hf_credential_sql[HF_CRED_FIND_OFFERED],
                             HF_PARAMS(hf_p_int("account", to_account_id),
                                       hf_p_bytes("sha256", sha256, HF_SHA256_LEN)),
                             out, why);
}

enum hf_err hf_credential_der(struct hf_db *db, int64_t account_id, int64_t id, struct hf_buf *out,
                              struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_credential_sql[HF_CRED_DER],
                     HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_NOT_FOUND, "this account has no such certificate");
    else if (err == HF_OK &&
             hf_buf_append(out, hf_col_bytes(&rows, 0).data, hf_col_bytes(&rows, 0).len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a certificate");
    hf_db_end(&rows);
    return err;
}

/* ---- lists ----------------------------------------------------------------------------------- */

enum hf_err hf_credential_list(struct hf_db *db, const struct hf_credential_filter *filter,
                               int64_t after, size_t limit, hf_db_each *each, void *ctx,
                               struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", filter->account_id);
    const struct hf_param from = hf_p_int("after", after);
    const struct hf_param most = hf_p_int("limit", (int64_t)limit);
    const struct hf_param status = hf_p_text("status", filter->status == HF_CERT_NONE
                                                           ? ""
                                                           : hf_cert_status_name(filter->status));
    struct hf_credential row;

    if (filter->device_id != 0)
        return hf_db_read_each(db, &hf_credential_sql[HF_CRED_LIST_OF_DEVICE],
                               HF_PARAMS(account, from, most, status,
                                         hf_p_int("device", filter->device_id)),
                               read_credential, &row, each, ctx, why);
    return hf_db_read_each(db, &hf_credential_sql[HF_CRED_LIST],
                           HF_PARAMS(account, from, most, status), read_credential, &row, each, ctx,
                           why);
}

struct hf_registered hf_credential_registered(const struct hf_credential *credential)
{
    return (struct hf_registered){
        .credential = (uint64_t)credential->id,
        .account = (uint32_t)credential->account_id,
        .status = credential->status,
        .mode = credential->mode,
        .kind = credential->kind,
        .flags = (uint8_t)((credential->is_confirmed ? 0 : HF_CREDENTIAL_UNCONFIRMED) |
                           (credential->is_rotation_asked ? HF_CREDENTIAL_ROTATE : 0)),
    };
}

static enum hf_err read_registered(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_registered_row *listed = out;
    struct hf_credential row = {.id = hf_col_int(rows, 0),
                                .account_id = hf_col_int(rows, 1),
                                .is_confirmed = hf_col_int(rows, 6) != 0,
                                .is_rotation_asked = hf_col_int(rows, 7) != 0};

    HF_TRY(hf_col_copy_bytes(rows, 2, listed->sha256, sizeof listed->sha256, why));
    if (!hf_cert_kind_parse(hf_col_text(rows, 3), &row.kind))
        return hf_col_fail_word(rows, 3, why);
    if (!hf_cert_mode_parse(hf_col_text(rows, 4), &row.mode))
        return hf_col_fail_word(rows, 4, why);
    if (!hf_cert_status_parse(hf_col_text(rows, 5), &row.status))
        return hf_col_fail_word(rows, 5, why);
    listed->entry = hf_credential_registered(&row);
    return HF_OK;
}

enum hf_err hf_credential_list_registered(struct hf_db *db, hf_db_each *each, void *ctx,
                                          struct hf_why *why)
{
    struct hf_registered_row row;

    return hf_db_read_each(db, &hf_credential_sql[HF_CRED_LIST_REGISTERED], HF_NO_PARAMS,
                           read_registered, &row, each, ctx, why);
}

enum hf_err hf_credential_count(struct hf_db *db, int64_t *out, struct hf_why *why)
{
    return hf_db_get_int(db, &hf_credential_sql[HF_CRED_COUNT], HF_NO_PARAMS, out, why);
}
