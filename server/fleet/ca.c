#include "server/fleet/ca.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/names.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "id, account_id, sha256, subject, mode, status, auto_registration, signer_name, "              \
    "not_before_s, not_after_s, created_s, version, der"
#define TYPES "iibttttTiiiib"
#define DER 12

enum { INSERT, GET, FIND, FIND_ISSUING, FIND_OTHER, LIST, LIST_ALL, CHANGE, DELETE, COUNT_ISSUED };

const struct hf_sql hf_ca_sql[] = {
    [INSERT] = {"ca_insert",
                "INSERT INTO ca (account_id, sha256, subject, mode, status, auto_registration, "
                "signer_name, not_before_s, not_after_s, created_s, version, der) "
                "VALUES (:account, :sha256, :subject, :mode, :status, :auto, :signer, :not_before, "
                ":not_after, :now, 1, :der) RETURNING " COLUMNS,
                TYPES},
    [GET] = {"ca_get", "SELECT " COLUMNS " FROM ca WHERE id = :id AND account_id = :account",
             TYPES},
    [FIND] = {"ca_find",
              "SELECT " COLUMNS " FROM ca WHERE account_id = :account AND sha256 = :sha256", TYPES},
    [FIND_ISSUING] = {"ca_find_issuing",
                      "SELECT " COLUMNS " FROM ca WHERE account_id = :account "
                      "AND signer_name = :signer ORDER BY id DESC LIMIT 1",
                      TYPES},
    [FIND_OTHER] = {"ca_find_other",
                    "SELECT count(*) FROM ca WHERE sha256 = :sha256 AND account_id <> :account "
                    "AND (mode = 'DEFAULT' OR :mode = 'DEFAULT')",
                    "i"},
    [LIST] = {"ca_list",
              "SELECT " COLUMNS " FROM ca WHERE account_id = :account AND id > :after "
              "ORDER BY id LIMIT :limit",
              TYPES},
    [LIST_ALL] = {"ca_list_all",
                  "SELECT " COLUMNS " FROM ca WHERE id > :after ORDER BY id LIMIT :limit", TYPES},
    [CHANGE] = {"ca_change",
                "UPDATE ca SET status = :status, auto_registration = :auto, "
                "version = version + 1 WHERE id = :id RETURNING " COLUMNS,
                TYPES},
    [DELETE] = {"ca_delete", "DELETE FROM ca WHERE id = :id", ""},
    [COUNT_ISSUED] = {"ca_count_issued", "SELECT count(*) FROM credential WHERE ca_id = :id", "i"},
    {0},
};

static const char *status_name(bool is_active)
{
    return is_active ? "ACTIVE" : "INACTIVE";
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_ca_row row = {.id = hf_col_int(rows, 0),
                            .account_id = hf_col_int(rows, 1),
                            .is_active = strcmp(hf_col_text(rows, 5), "ACTIVE") == 0,
                            .not_before_s = hf_col_int(rows, 8),
                            .not_after_s = hf_col_int(rows, 9),
                            .created_s = hf_col_int(rows, 10),
                            .version = hf_col_int(rows, 11)};

    HF_TRY(hf_col_copy_bytes(rows, 2, row.sha256, sizeof row.sha256, why));
    HF_TRY(hf_col_copy_text(rows, 3, row.subject, sizeof row.subject, why));
    if (!hf_cert_mode_parse(hf_col_text(rows, 4), &row.mode))
        return hf_col_fail_word(rows, 4, why);
    if (!hf_auto_registration_parse(hf_col_text(rows, 6), &row.auto_registration))
        return hf_col_fail_word(rows, 6, why);
    if (hf_col_text(rows, 7) != NULL)
        HF_TRY(hf_col_copy_text(rows, 7, row.signer_name, sizeof row.signer_name, why));
    *(struct hf_ca_row *)out = row;
    return HF_OK;
}

static enum hf_err read_one(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params, struct hf_ca_row *out,
                            struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_row, out, "this account has no such CA",
                          why);
}

enum hf_err hf_ca_get(struct hf_db *db, int64_t account_id, int64_t id, struct hf_ca_row *out,
                      struct hf_why *why)
{
    return read_one(db, &hf_ca_sql[GET],
                    HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), out, why);
}

enum hf_err hf_ca_find(struct hf_db *db, int64_t account_id, const uint8_t sha256[HF_SHA256_LEN],
                       struct hf_ca_row *out, struct hf_why *why)
{
    return read_one(db, &hf_ca_sql[FIND],
                    HF_PARAMS(hf_p_int("account", account_id),
                              hf_p_bytes("sha256", sha256, HF_SHA256_LEN)),
                    out, why);
}

enum hf_err hf_ca_find_issuing(struct hf_db *db, int64_t account_id, const char *signer_name,
                               struct hf_ca_row *out, struct hf_why *why)
{
    return read_one(db, &hf_ca_sql[FIND_ISSUING],
                    HF_PARAMS(hf_p_int("account", account_id), hf_p_text("signer", signer_name)),
                    out, why);
}

enum hf_err hf_ca_der(struct hf_db *db, int64_t account_id, int64_t id, struct hf_buf *out,
                      struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_ca_sql[GET],
                     HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_NOT_FOUND, "this account has no such CA");
    else if (err == HF_OK && hf_buf_append(out, hf_col_bytes(&rows, DER).data,
                                           hf_col_bytes(&rows, DER).len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a CA");
    hf_db_end(&rows);
    return err;
}

static enum hf_err read_listed(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_ca_listed *listed = out;

    listed->der = hf_col_bytes(rows, DER);
    return read_row(rows, &listed->ca, why);
}

enum hf_err hf_ca_list(struct hf_db *db, int64_t account_id, int64_t after, size_t limit,
                       hf_db_each *each, void *ctx, struct hf_why *why)
{
    const struct hf_param from = hf_p_int("after", after);
    const struct hf_param most = hf_p_int("limit", (int64_t)limit);
    struct hf_ca_listed listed;

    if (account_id == 0)
        return hf_db_read_each(db, &hf_ca_sql[LIST_ALL], HF_PARAMS(from, most), read_listed,
                               &listed, each, ctx, why);
    return hf_db_read_each(db, &hf_ca_sql[LIST],
                           HF_PARAMS(hf_p_int("account", account_id), from, most), read_listed,
                           &listed, each, ctx, why);
}

/* ---- changing -------------------------------------------------------------------------------- */

static enum hf_err note_directory(struct hf_tx *tx, struct hf_why *why)
{
    return hf_effects_add(tx->effects, &(struct hf_effect){.kind = HF_EFFECT_DIRECTORY}, why);
}

/* Mode DEFAULT means one account only: for this one and for those that have it already. */
static enum hf_err check_alone(struct hf_tx *tx, const struct hf_ca_row *wanted, struct hf_why *why)
{
    struct hf_ca_row here;
    int64_t n_others = 0;

    enum hf_err err = hf_ca_find(tx->db, wanted->account_id, wanted->sha256, &here, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "this account has the CA already");
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_db_get_int(tx->db, &hf_ca_sql[FIND_OTHER],
                         HF_PARAMS(hf_p_bytes("sha256", wanted->sha256, HF_SHA256_LEN),
                                   hf_p_int("account", wanted->account_id),
                                   hf_p_text("mode", hf_cert_mode_name(wanted->mode))),
                         &n_others, why));
    if (n_others > 0)
        return hf_fail(
            why, HF_E_STATE,
            "the CA is registered in another account, and mode DEFAULT means one account "
            "only. Use mode SNI_ONLY in each");
    return HF_OK;
}

/* A certificate that the signer issued and that is not registered is one that a crash left over, or
 * one that was asked for by an attacker in holdfastd. */
static enum hf_err check_automatic(const struct hf_ca_row *ca, enum hf_auto_registration wanted,
                                   struct hf_why *why)
{
    if (ca->signer_name[0] == '\0' || wanted == HF_AUTO_REGISTRATION_OFF)
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "certificates of the signer's own CA are never registered just in time");
}

enum hf_err hf_ca_register(struct hf_tx *tx, const struct hf_ca_row *wanted, struct hf_bytes der,
                           struct hf_ca_row *out, struct hf_why *why)
{
    const char *mode = hf_cert_mode_name(wanted->mode);
    const char *automatic = hf_auto_registration_name(wanted->auto_registration);
    const char *signer = wanted->signer_name[0] != '\0' ? wanted->signer_name : NULL;
    struct hf_ca_row row;

    HF_TRY(check_automatic(wanted, wanted->auto_registration, why));
    if (signer != NULL)
        HF_TRY(hf_name_check_ca(signer, why));
    if (der.len == 0 || der.len > HF_FLEET_DER_MAX)
        return hf_fail(why, HF_E_LIMIT, "a CA has at most %u bytes", HF_FLEET_DER_MAX);
    HF_TRY(hf_name_check_text("subject", wanted->subject, HF_FLEET_SUBJECT_MAX - 1, why));
    HF_TRY(check_alone(tx, wanted, why));
    HF_TRY(read_one(tx->db, &hf_ca_sql[INSERT],
                    HF_PARAMS(hf_p_int("account", wanted->account_id),
                              hf_p_bytes("sha256", wanted->sha256, HF_SHA256_LEN),
                              hf_p_text("subject", wanted->subject), hf_p_text("mode", mode),
                              hf_p_text("status", status_name(wanted->is_active)),
                              hf_p_text("auto", automatic), hf_p_text("signer", signer),
                              hf_p_int("not_before", wanted->not_before_s),
                              hf_p_int("not_after", wanted->not_after_s),
                              hf_p_int("now", tx->now_s), hf_p_bytes("der", der.data, der.len)),
                    &row, why));
    HF_TRY(
        hf_audit_append_take(tx, "ca.register", row.account_id,
                             json_pack("{s:o,s:s,s:s,s:s,s:s}", "ca", hf_json_sha256(row.sha256),
                                       "subject", row.subject, "mode", mode, "status",
                                       status_name(row.is_active), "auto_registration", automatic),
                             why));
    HF_TRY(note_directory(tx, why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_ca_change(struct hf_tx *tx, int64_t account_id, int64_t id, int64_t if_version,
                         bool is_active, enum hf_auto_registration auto_registration,
                         struct hf_ca_row *out, struct hf_why *why)
{
    const char *automatic = hf_auto_registration_name(auto_registration);
    struct hf_ca_row row;

    HF_TRY(hf_ca_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(check_automatic(&row, auto_registration, why));
    HF_TRY(read_one(tx->db, &hf_ca_sql[CHANGE],
                    HF_PARAMS(hf_p_int("id", id), hf_p_text("status", status_name(is_active)),
                              hf_p_text("auto", automatic)),
                    &row, why));
    HF_TRY(
        hf_audit_append_take(tx, "ca.change", account_id,
                             json_pack("{s:o,s:s,s:s}", "ca", hf_json_sha256(row.sha256), "status",
                                       status_name(is_active), "auto_registration", automatic),
                             why));
    HF_TRY(note_directory(tx, why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_ca_delete(struct hf_tx *tx, int64_t account_id, int64_t id, int64_t if_version,
                         struct hf_why *why)
{
    struct hf_ca_row row;
    int64_t n_issued = 0;

    HF_TRY(hf_ca_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(hf_db_get_int(tx->db, &hf_ca_sql[COUNT_ISSUED], HF_PARAMS(hf_p_int("id", id)), &n_issued,
                         why));
    if (n_issued > 0)
        return hf_fail(
            why, HF_E_STATE,
            "certificates are registered with this CA. Set it INACTIVE, and it registers "
            "no more");
    HF_TRY(hf_db_execute(tx->db, &hf_ca_sql[DELETE], HF_PARAMS(hf_p_int("id", id)), why));
    HF_TRY(hf_audit_append_take(tx, "ca.delete", account_id,
                                json_pack("{s:o}", "ca", hf_json_sha256(row.sha256)), why));
    return note_directory(tx, why);
}
