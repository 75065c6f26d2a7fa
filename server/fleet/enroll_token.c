#include "server/fleet/enroll_token.h"

#include "common/json/json.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/names.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "id, account_id, group_name, device_name, uses_max, uses, expires_s, is_revoked, created_s, "  \
    "created_by, version, kind"
#define TYPES "iitTiiiiitit"

enum { INSERT, GET, FIND, LIST, REVOKE, TAKE_USE, USE_INSERT, USE_FIND, USE_ANSWER };

const struct hf_sql hf_enroll_token_sql[] = {
    [INSERT] = {"enroll_token_insert",
                "INSERT INTO enroll_token (account_id, hash, group_name, device_name, kind, "
                "uses_max, uses, expires_s, is_revoked, created_s, created_by, version) "
                "VALUES (:account, :hash, :group, :device, :kind, :uses_max, 0, :expires, 0, :now, "
                ":actor, 1) RETURNING " COLUMNS,
                TYPES},
    [GET] = {"enroll_token_get",
             "SELECT " COLUMNS " FROM enroll_token WHERE id = :id AND account_id = :account",
             TYPES},
    [FIND] = {"enroll_token_find",
              "SELECT " COLUMNS " FROM enroll_token WHERE hash = :hash AND account_id = :account",
              TYPES},
    [LIST] = {"enroll_token_list",
              "SELECT " COLUMNS " FROM enroll_token WHERE account_id = :account AND id > :after "
              "ORDER BY id LIMIT :limit",
              TYPES},
    [REVOKE] = {"enroll_token_revoke",
                "UPDATE enroll_token SET is_revoked = 1, version = version + 1 WHERE id = :id "
                "RETURNING " COLUMNS,
                TYPES},
    [TAKE_USE] = {"enroll_token_take_use",
                  "UPDATE enroll_token SET uses = uses + 1, version = version + 1 "
                  "WHERE id = :id AND uses < uses_max AND is_revoked = 0 AND expires_s > :now "
                  "RETURNING id",
                  "i"},
    [USE_INSERT] = {"enroll_use_insert",
                    "INSERT INTO enroll_use (token_id, csr_sha256, device_name, created_s) "
                    "VALUES (:token, :csr, :device, :now) RETURNING id",
                    "i"},
    [USE_FIND] = {"enroll_use_find",
                  "SELECT id, device_name, credential_id FROM enroll_use "
                  "WHERE token_id = :token AND csr_sha256 = :csr",
                  "itI"},
    [USE_ANSWER] = {"enroll_use_answer",
                    "UPDATE enroll_use SET credential_id = :credential "
                    "WHERE id = :id AND credential_id IS NULL RETURNING id",
                    "i"},
    {0},
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_enroll_token row = {.id = hf_col_int(rows, 0),
                                  .account_id = hf_col_int(rows, 1),
                                  .uses_max = hf_col_int(rows, 4),
                                  .uses = hf_col_int(rows, 5),
                                  .expires_s = hf_col_int(rows, 6),
                                  .is_revoked = hf_col_int(rows, 7) != 0,
                                  .created_s = hf_col_int(rows, 8),
                                  .version = hf_col_int(rows, 10)};

    HF_TRY(hf_col_copy_text(rows, 2, row.group, sizeof row.group, why));
    if (hf_col_text(rows, 3) != NULL)
        HF_TRY(hf_col_copy_text(rows, 3, row.device, sizeof row.device, why));
    HF_TRY(hf_col_copy_text(rows, 9, row.created_by, sizeof row.created_by, why));
    if (!hf_cert_kind_parse(hf_col_text(rows, 11), &row.kind))
        return hf_col_fail_word(rows, 11, why);
    *(struct hf_enroll_token *)out = row;
    return HF_OK;
}

static enum hf_err read_one(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params,
                            struct hf_enroll_token *out, struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_row, out,
                          "this account has no such token", why);
}

enum hf_err hf_enroll_token_get(struct hf_db *db, int64_t account_id, int64_t id,
                                struct hf_enroll_token *out, struct hf_why *why)
{
    return read_one(db, &hf_enroll_token_sql[GET],
                    HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)), out, why);
}

enum hf_err hf_enroll_token_list(struct hf_db *db, int64_t account_id, int64_t after, size_t limit,
                                 hf_db_each *each, void *ctx, struct hf_why *why)
{
    struct hf_enroll_token row;

    return hf_db_read_each(db, &hf_enroll_token_sql[LIST],
                           HF_PARAMS(hf_p_int("account", account_id), hf_p_int("after", after),
                                     hf_p_int("limit", (int64_t)limit)),
                           read_row, &row, each, ctx, why);
}

/* ---- changing -------------------------------------------------------------------------------- */

static enum hf_err check_wanted(const struct hf_tx *tx, const struct hf_enroll_token *wanted,
                                struct hf_why *why)
{
    HF_TRY(hf_name_check_group(wanted->group, why));
    if (wanted->kind != HF_CERT_DEVICE && wanted->kind != HF_CERT_CLAIM)
        return hf_fail(why, HF_E_ARGUMENT, "kind: expected device or claim");
    if (wanted->device[0] != '\0')
        HF_TRY(hf_name_check_device(wanted->device, why));
    if (wanted->uses_max < 1 || wanted->uses_max > HF_FLEET_TOKEN_USES_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "uses: expected 1 to %u", HF_FLEET_TOKEN_USES_MAX);
    if (wanted->expires_s <= tx->now_s || wanted->expires_s > tx->now_s + HF_FLEET_TOKEN_LIFE_MAX_S)
        return hf_fail(why, HF_E_ARGUMENT,
                       "expires: expected a time from now on, %lld days ahead at most",
                       HF_FLEET_TOKEN_LIFE_MAX_S / 86400);
    return HF_OK;
}

enum hf_err hf_enroll_token_create(struct hf_tx *tx, const struct hf_enroll_token *wanted,
                                   char secret[HF_SECRET_TEXT_MAX], struct hf_enroll_token *out,
                                   struct hf_why *why)
{
    const char *device = wanted->device[0] != '\0' ? wanted->device : NULL;
    uint8_t hash[HF_SHA256_LEN];
    char text[HF_SECRET_TEXT_MAX];
    struct hf_enroll_token row;

    HF_TRY(check_wanted(tx, wanted, why));
    hf_secret_make(HF_SECRET_ENROLL, text, hash);
    HF_TRY(read_one(tx->db, &hf_enroll_token_sql[INSERT],
                    HF_PARAMS(hf_p_int("account", wanted->account_id),
                              hf_p_bytes("hash", hash, sizeof hash),
                              hf_p_text("group", wanted->group), hf_p_text("device", device),
                              hf_p_text("kind", hf_cert_kind_name(wanted->kind)),
                              hf_p_int("uses_max", wanted->uses_max),
                              hf_p_int("expires", wanted->expires_s), hf_p_int("now", tx->now_s),
                              hf_p_text("actor", tx->actor)),
                    &row, why));
    HF_TRY(hf_audit_append_take(tx, "enroll-token.create", row.account_id,
                                json_pack("{s:I,s:s,s:s,s:s,s:I,s:o}", "token", (json_int_t)row.id,
                                          "group", row.group, "device", row.device, "kind",
                                          hf_cert_kind_name(row.kind), "uses",
                                          (json_int_t)row.uses_max, "expires",
                                          hf_json_time(row.expires_s)),
                                why));
    memcpy(secret, text, sizeof text);
    *out = row;
    return HF_OK;
}

enum hf_err hf_enroll_token_revoke(struct hf_tx *tx, int64_t account_id, int64_t id,
                                   int64_t if_version, struct hf_enroll_token *out,
                                   struct hf_why *why)
{
    struct hf_enroll_token row;

    HF_TRY(hf_enroll_token_get(tx->db, account_id, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    if (!row.is_revoked) {
        HF_TRY(read_one(tx->db, &hf_enroll_token_sql[REVOKE], HF_PARAMS(hf_p_int("id", id)), &row,
                        why));
        HF_TRY(hf_audit_append_take(tx, "enroll-token.revoke", account_id,
                                    json_pack("{s:I}", "token", (json_int_t)id), why));
    }
    *out = row;
    return HF_OK;
}

/* ---- using ----------------------------------------------------------------------------------- */

/* One sentence for all reasons: a token that is guessed or stolen learns nothing. */
static enum hf_err refuse(struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "the enrolment token is not valid here: unknown, used up, expired, revoked or "
                   "for another device. Ask the operator for a new one");
}

/* HF_E_NOT_FOUND when the token was not used for this request yet. */
static enum hf_err find_use(struct hf_tx *tx, int64_t token_id, const char *device,
                            const uint8_t csr_sha256[HF_SHA256_LEN], struct hf_enroll_use *use,
                            struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(tx->db, &hf_enroll_token_sql[USE_FIND],
                     HF_PARAMS(hf_p_int("token", token_id),
                               hf_p_bytes("csr", csr_sha256, HF_SHA256_LEN)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK && strcmp(hf_col_text(&rows, 1), device) != 0)
        err = refuse(why);
    if (err == HF_OK) {
        use->id = hf_col_int(&rows, 0);
        use->credential_id = hf_col_int_or(&rows, 2, 0);
    }
    hf_db_end(&rows);
    return err;
}

static enum hf_err take_use(struct hf_tx *tx, int64_t account_id, int64_t token_id,
                            const char *device, const uint8_t csr_sha256[HF_SHA256_LEN],
                            struct hf_enroll_use *use, struct hf_why *why)
{
    int64_t taken = 0;

    /* The condition is in the statement, so that two at the same moment take two uses or one
     * fails. */
    enum hf_err err = hf_db_get_int(tx->db, &hf_enroll_token_sql[TAKE_USE],
                                    HF_PARAMS(hf_p_int("id", token_id), hf_p_int("now", tx->now_s)),
                                    &taken, why);
    if (err == HF_E_NOT_FOUND)
        return refuse(why);
    HF_TRY(err);
    HF_TRY(hf_db_get_int(tx->db, &hf_enroll_token_sql[USE_INSERT],
                         HF_PARAMS(hf_p_int("token", token_id),
                                   hf_p_bytes("csr", csr_sha256, HF_SHA256_LEN),
                                   hf_p_text("device", device), hf_p_int("now", tx->now_s)),
                         &use->id, why));
    use->credential_id = 0;
    return hf_audit_append_take(tx, "enroll-token.use", account_id,
                                json_pack("{s:I,s:s}", "token", (json_int_t)token_id, "device",
                                          device),
                                why);
}

/* A token that this device may use now, or has used for this request: then `use->id` is not 0. */
static enum hf_err find_usable(struct hf_tx *tx, int64_t account_id, const char *secret,
                               const char *device, const uint8_t csr_sha256[HF_SHA256_LEN],
                               struct hf_enroll_token *token, struct hf_enroll_use *use,
                               struct hf_why *why)
{
    uint8_t hash[HF_SHA256_LEN];

    HF_TRY(hf_name_check_device(device, why));
    if (!hf_secret_hash(HF_SECRET_ENROLL, secret, hash))
        return refuse(why);
    enum hf_err err = read_one(tx->db, &hf_enroll_token_sql[FIND],
                               HF_PARAMS(hf_p_bytes("hash", hash, sizeof hash),
                                         hf_p_int("account", account_id)),
                               token, why);
    if (err == HF_E_NOT_FOUND)
        return refuse(why);
    HF_TRY(err);
    if (token->is_revoked || token->expires_s <= tx->now_s ||
        (token->device[0] != '\0' && strcmp(token->device, device) != 0))
        return refuse(why);
    err = find_use(tx, token->id, device, csr_sha256, use, why);
    if (err != HF_E_NOT_FOUND)
        return err;
    return token->uses < token->uses_max ? HF_OK : refuse(why);
}

enum hf_err hf_enroll_token_check(struct hf_tx *tx, int64_t account_id, const char *secret,
                                  const char *device, const uint8_t csr_sha256[HF_SHA256_LEN],
                                  struct hf_why *why)
{
    struct hf_enroll_token token;
    struct hf_enroll_use use = {0};

    return find_usable(tx, account_id, secret, device, csr_sha256, &token, &use, why);
}

enum hf_err hf_enroll_token_redeem(struct hf_tx *tx, int64_t account_id, const char *secret,
                                   const char *device, const uint8_t csr_sha256[HF_SHA256_LEN],
                                   struct hf_enroll_use *out, struct hf_why *why)
{
    struct hf_enroll_token token;
    struct hf_enroll_use use = {0};

    HF_TRY(find_usable(tx, account_id, secret, device, csr_sha256, &token, &use, why));
    if (use.id == 0)
        HF_TRY(take_use(tx, account_id, token.id, device, csr_sha256, &use, why));
    use.token_id = token.id;
    use.kind = token.kind;
    memcpy(use.group, token.group, sizeof use.group);
    *out = use;
    return HF_OK;
}

enum hf_err hf_enroll_use_answer(struct hf_tx *tx, int64_t use_id, int64_t credential_id,
                                 struct hf_why *why)
{
    int64_t id = 0;
    enum hf_err err = hf_db_get_int(tx->db, &hf_enroll_token_sql[USE_ANSWER],
                                    HF_PARAMS(hf_p_int("id", use_id),
                                              hf_p_int("credential", credential_id)),
                                    &id, why);

    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, HF_E_STATE,
                       "this request was answered with a certificate already. Ask again to get it");
    return err;
}
