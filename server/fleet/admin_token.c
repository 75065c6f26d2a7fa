#include "server/fleet/admin_token.h"

#include "server/fleet/audit_log.h"
#include "server/fleet/names.h"

#include <string.h>

#define COLUMNS "id, name, role, expires_s, is_revoked, created_s, created_by, version, last_use_s"
#define TYPES "ittIiitiI"

enum { INSERT, GET, FIND, FIND_NAME, LIST, REVOKE, NOTE_USE };

const struct hf_sql hf_admin_token_sql[] = {
    [INSERT] = {"admin_token_insert",
                "INSERT INTO admin_token (hash, name, role, expires_s, is_revoked, created_s, "
                "created_by, version) VALUES (:hash, :name, :role, :expires, 0, :now, :actor, 1) "
                "RETURNING " COLUMNS,
                TYPES},
    [GET] = {"admin_token_get", "SELECT " COLUMNS " FROM admin_token WHERE id = :id", TYPES},
    [FIND] = {"admin_token_find", "SELECT " COLUMNS " FROM admin_token WHERE hash = :hash", TYPES},
    [FIND_NAME] = {"admin_token_find_name",
                   "SELECT " COLUMNS " FROM admin_token WHERE name = :name", TYPES},
    [LIST] = {"admin_token_list",
              "SELECT " COLUMNS " FROM admin_token WHERE id > :after ORDER BY id LIMIT :limit",
              TYPES},
    [REVOKE] = {"admin_token_revoke",
                "UPDATE admin_token SET is_revoked = 1, version = version + 1 WHERE id = :id "
                "RETURNING " COLUMNS,
                TYPES},
    [NOTE_USE] = {"admin_token_note_use", "UPDATE admin_token SET last_use_s = :now WHERE id = :id",
                  ""},
    {0},
};

static const char *const role_names[] = {"none", "viewer", "operator", "registrar", "admin"};
#define N_ROLES (sizeof role_names / sizeof role_names[0])

const char *hf_admin_role_name(enum hf_admin_role role)
{
    return role_names[role < N_ROLES ? role : 0];
}

bool hf_admin_role_parse(const char *text, enum hf_admin_role *out)
{
    for (size_t i = 1; i < N_ROLES; i++) {
        if (strcmp(role_names[i], text) == 0) {
            *out = (enum hf_admin_role)i;
            return true;
        }
    }
    return false;
}

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_admin_token row = {.id = hf_col_int(rows, 0),
                                 .expires_s = hf_col_int_or(rows, 3, 0),
                                 .is_revoked = hf_col_int(rows, 4) != 0,
                                 .created_s = hf_col_int(rows, 5),
                                 .version = hf_col_int(rows, 7),
                                 .last_use_s = hf_col_int_or(rows, 8, 0)};

    HF_TRY(hf_col_copy_text(rows, 1, row.name, sizeof row.name, why));
    if (!hf_admin_role_parse(hf_col_text(rows, 2), &row.role))
        return hf_col_fail_word(rows, 2, why);
    HF_TRY(hf_col_copy_text(rows, 6, row.created_by, sizeof row.created_by, why));
    *(struct hf_admin_token *)out = row;
    return HF_OK;
}

static enum hf_err read_one(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params,
                            struct hf_admin_token *out, struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_row, out, "there is no such token", why);
}

enum hf_err hf_admin_token_get(struct hf_db *db, int64_t id, struct hf_admin_token *out,
                               struct hf_why *why)
{
    return read_one(db, &hf_admin_token_sql[GET], HF_PARAMS(hf_p_int("id", id)), out, why);
}

enum hf_err hf_admin_token_list(struct hf_db *db, int64_t after, size_t limit, hf_db_each *each,
                                void *ctx, struct hf_why *why)
{
    struct hf_admin_token row;

    return hf_db_read_each(db, &hf_admin_token_sql[LIST],
                           HF_PARAMS(hf_p_int("after", after), hf_p_int("limit", (int64_t)limit)),
                           read_row, &row, each, ctx, why);
}

enum hf_err hf_admin_token_create(struct hf_tx *tx, const char *name, enum hf_admin_role role,
                                  int64_t expires_s, char secret[HF_SECRET_TEXT_MAX],
                                  struct hf_admin_token *out, struct hf_why *why)
{
    uint8_t hash[HF_SHA256_LEN];
    char text[HF_SECRET_TEXT_MAX];
    struct hf_admin_token row;

    HF_TRY(hf_name_check_token(name, why));
    if (role == HF_ADMIN_NONE || role >= N_ROLES)
        return hf_fail(why, HF_E_ARGUMENT, "role: expected viewer, operator, registrar or admin");
    if (expires_s != 0 && expires_s <= tx->now_s)
        return hf_fail(why, HF_E_ARGUMENT, "expires: expected a time from now on");
    enum hf_err err = read_one(tx->db, &hf_admin_token_sql[FIND_NAME],
                               HF_PARAMS(hf_p_text("name", name)), &row, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "token \"%s\" exists already. Choose another name", name);
    if (err != HF_E_NOT_FOUND)
        return err;
    hf_secret_make(HF_SECRET_ADMIN, text, hash);
    HF_TRY(read_one(tx->db, &hf_admin_token_sql[INSERT],
                    HF_PARAMS(hf_p_bytes("hash", hash, sizeof hash), hf_p_text("name", name),
                              hf_p_text("role", hf_admin_role_name(role)),
                              hf_p_int_or_null("expires", expires_s, 0), hf_p_int("now", tx->now_s),
                              hf_p_text("actor", tx->actor)),
                    &row, why));
    HF_TRY(
        hf_audit_append_take(tx, "token.create", 0,
                             json_pack("{s:s,s:s}", "name", name, "role", hf_admin_role_name(role)),
                             why));
    memcpy(secret, text, sizeof text);
    *out = row;
    return HF_OK;
}

enum hf_err hf_admin_token_revoke(struct hf_tx *tx, int64_t id, int64_t if_version,
                                  struct hf_admin_token *out, struct hf_why *why)
{
    struct hf_admin_token row;

    HF_TRY(hf_admin_token_get(tx->db, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    if (!row.is_revoked) {
        HF_TRY(read_one(tx->db, &hf_admin_token_sql[REVOKE], HF_PARAMS(hf_p_int("id", id)), &row,
                        why));
        HF_TRY(
            hf_audit_append_take(tx, "token.revoke", 0, json_pack("{s:s}", "name", row.name), why));
    }
    *out = row;
    return HF_OK;
}

enum hf_err hf_admin_token_check(struct hf_db *db, const char *secret, int64_t now_s,
                                 struct hf_admin_token *out, struct hf_why *why)
{
    uint8_t hash[HF_SHA256_LEN];
    struct hf_admin_token row = {.is_revoked = true};
    enum hf_err err = HF_E_NOT_FOUND;

    if (hf_secret_hash(HF_SECRET_ADMIN, secret, hash))
        err = read_one(db, &hf_admin_token_sql[FIND],
                       HF_PARAMS(hf_p_bytes("hash", hash, sizeof hash)), &row, why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    if (row.is_revoked || (row.expires_s != 0 && row.expires_s <= now_s))
        return hf_fail(
            why, HF_E_POLICY,
            "the token is not valid: unknown, expired or revoked. Ask an admin for a new "
            "one");
    *out = row;
    return HF_OK;
}

bool hf_admin_token_use_is_due(const struct hf_admin_token *token, int64_t now_s)
{
    return now_s - token->last_use_s >= HF_FLEET_LAST_USE_S;
}

enum hf_err hf_admin_token_note_use(struct hf_tx *tx, int64_t id, struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_admin_token_sql[NOTE_USE],
                         HF_PARAMS(hf_p_int("id", id), hf_p_int("now", tx->now_s)), why);
}
