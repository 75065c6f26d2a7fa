/* What an entry of the copy of the log says is done again. */
#include "server/fleet/restore_log.h"

#include "common/report/signature.h"
#include "server/fleet/credential.h"
#include "server/fleet/signature.h"

#include <string.h>

enum {
    LOST_INSERT,
    STATUS,
    CA,
    POLICY,
    TOKEN_USE,
    TOKEN_REVOKE,
    ADMIN_TOKEN_REVOKE,
    KEY_REVOKE,
    KEY_REPLACE
};

const struct hf_sql hf_restore_redo_sql[] = {
    [LOST_INSERT] = {"restore_lost_insert",
                     "INSERT INTO lost_revocation (account_id, sha256) VALUES (:account, :sha256) "
                     "ON CONFLICT (account_id, sha256) DO NOTHING",
                     ""},
    [STATUS] = {"restore_status",
                "UPDATE credential SET status = :status, transfer_account_id = NULL, "
                "retire_at_s = CASE WHEN :status = 'ACTIVE' THEN retire_at_s END, "
                "version = version + 1 "
                "WHERE sha256 = :sha256 AND account_id = :account AND status <> 'REVOKED'",
                ""},
    [CA] = {"restore_ca",
            "UPDATE ca SET status = :status, auto_registration = :automatic, "
            "version = version + 1 WHERE sha256 = :sha256 AND account_id = :account",
            ""},
    [POLICY] = {"restore_policy",
                "UPDATE account SET anonymous = :anonymous, version = version + 1 "
                "WHERE id = :account",
                ""},
    [TOKEN_USE] = {"restore_token_use",
                   "UPDATE enroll_token SET version = version + 1, "
                   "uses = CASE WHEN uses < uses_max THEN uses + 1 ELSE uses END WHERE id = :id",
                   ""},
    [TOKEN_REVOKE] = {"restore_token_revoke",
                      "UPDATE enroll_token SET is_revoked = 1, version = version + 1 "
                      "WHERE id = :id",
                      ""},
    [ADMIN_TOKEN_REVOKE] = {"restore_admin_token_revoke_name",
                            "UPDATE admin_token SET is_revoked = 1, version = version + 1 "
                            "WHERE name = :name",
                            ""},
    [KEY_REVOKE] = {"restore_key_revoke",
                    "UPDATE report_key SET revoked_s = :now WHERE account_id = :account "
                    "AND public_key = :key AND revoked_s IS NULL",
                    ""},
    [KEY_REPLACE] = {"restore_key_replace",
                     "UPDATE report_key SET revoked_s = :now WHERE device_id = (SELECT id "
                     "FROM device WHERE account_id = :account AND name = :device) "
                     "AND public_key <> :key AND revoked_s IS NULL",
                     ""},
    {0},
};

enum hf_err hf_restore_keep_lost(struct hf_db *to, int64_t account_id,
                                 const uint8_t sha256[HF_SHA256_LEN], struct hf_why *why)
{
    return hf_db_execute(to, &hf_restore_redo_sql[LOST_INSERT],
                         HF_PARAMS(hf_p_int("account", account_id),
                                   hf_p_bytes("sha256", sha256, HF_SHA256_LEN)),
                         why);
}

/* One entry of the copy, taken apart; members that it does not have are "" or 0. */
struct said {
    const json_t *details;
    int64_t account;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* A certificate is set to the status that the log says. An offer to another account has to be made
 * again, and one that was accepted is not moved: both are INACTIVE here. */
static enum hf_err redo_credential(struct hf_restore_log *log, const struct said *said,
                                   struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_credential row;
    const char *status = text_of(said->details, "to");
    const json_t *from_account = json_object_get(said->details, "from_account");
    int64_t account = from_account != NULL ? json_integer_value(from_account) : said->account;

    if (!hf_hex_decode(text_of(said->details, "credential"), sha256, sizeof sha256))
        return HF_OK;
    enum hf_err err = hf_credential_find(log->to->db, account, sha256, &row, why);
    if (err == HF_E_NOT_FOUND) {
        log->restored->unknown += status[0] == '\0' || from_account != NULL;
        return strcmp(status, "REVOKED") == 0
                   ? hf_restore_keep_lost(log->to->db, account, sha256, why)
                   : HF_OK;
    }
    HF_TRY(err);
    if (status[0] == '\0' || strcmp(status, hf_cert_status_name(row.status)) == 0)
        return HF_OK;
    if (strcmp(status, "ACTIVE") != 0 && strcmp(status, "REVOKED") != 0)
        status = "INACTIVE";
    log->restored->redone++;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[STATUS],
                         HF_PARAMS(hf_p_int("account", account), hf_p_text("status", status),
                                   hf_p_bytes("sha256", sha256, sizeof sha256)),
                         why);
}

static enum hf_err put_ca(struct hf_restore_log *log, const struct said *said, const char *status,
                          const char *automatic, struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];

    if (!hf_hex_decode(text_of(said->details, "ca"), sha256, sizeof sha256))
        return HF_OK;
    log->restored->redone++;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[CA],
                         HF_PARAMS(hf_p_int("account", said->account), hf_p_text("status", status),
                                   hf_p_text("automatic", automatic),
                                   hf_p_bytes("sha256", sha256, sizeof sha256)),
                         why);
}

static enum hf_err redo_ca(struct hf_restore_log *log, const struct said *said, struct hf_why *why)
{
    return put_ca(log, said, text_of(said->details, "status"),
                  text_of(said->details, "auto_registration"), why);
}

/* Its certificates are there again, so it is not deleted. */
static enum hf_err redo_ca_delete(struct hf_restore_log *log, const struct said *said,
                                  struct hf_why *why)
{
    return put_ca(log, said, "INACTIVE", "off", why);
}

static enum hf_err redo_policy(struct hf_restore_log *log, const struct said *said,
                               struct hf_why *why)
{
    log->restored->redone++;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[POLICY],
                         HF_PARAMS(hf_p_int("account", said->account),
                                   hf_p_text("anonymous", text_of(said->details, "anonymous"))),
                         why);
}

static enum hf_err put_token(struct hf_restore_log *log, const struct said *said, int statement,
                             struct hf_why *why)
{
    int64_t id = json_integer_value(json_object_get(said->details, "token"));
    log->restored->redone++;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[statement],
                         HF_PARAMS(hf_p_int("id", id)), why);
}

static enum hf_err redo_token_use(struct hf_restore_log *log, const struct said *said,
                                  struct hf_why *why)
{
    return put_token(log, said, TOKEN_USE, why);
}

static enum hf_err redo_token_revoke(struct hf_restore_log *log, const struct said *said,
                                     struct hf_why *why)
{
    return put_token(log, said, TOKEN_REVOKE, why);
}

static enum hf_err redo_admin_token(struct hf_restore_log *log, const struct said *said,
                                    struct hf_why *why)
{
    log->restored->redone++;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[ADMIN_TOKEN_REVOKE],
                         HF_PARAMS(hf_p_text("name", text_of(said->details, "name"))), why);
}

static enum hf_err redo_key_revoke(struct hf_restore_log *log, const struct said *said,
                                   struct hf_why *why)
{
    uint8_t key[HF_REPORT_KEY_LEN];

    if (hf_report_key_parse(text_of(said->details, "key"), key, NULL) != HF_OK)
        return HF_OK;
    log->restored->redone++;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[KEY_REVOKE],
                         HF_PARAMS(hf_p_int("account", said->account),
                                   hf_p_bytes("key", key, sizeof key),
                                   hf_p_int("now", log->to->now_s)),
                         why);
}

/* The key itself is registered again by the operator; the one that it replaced stays revoked. */
static enum hf_err redo_key_register(struct hf_restore_log *log, const struct said *said,
                                     struct hf_why *why)
{
    uint8_t key[HF_REPORT_KEY_LEN];

    if (hf_report_key_parse(text_of(said->details, "key"), key, NULL) != HF_OK)
        return HF_OK;
    return hf_db_execute(log->to->db, &hf_restore_redo_sql[KEY_REPLACE],
                         HF_PARAMS(hf_p_int("account", said->account),
                                   hf_p_text("device", text_of(said->details, "device")),
                                   hf_p_bytes("key", key, sizeof key),
                                   hf_p_int("now", log->to->now_s)),
                         why);
}

static enum hf_err redo_signature(struct hf_restore_log *log, const struct said *said,
                                  struct hf_why *why)
{
    return hf_signature_set_last(log->to->db,
                                 json_integer_value(json_object_get(said->details, "id")), why);
}

enum hf_err hf_restore_redo(struct hf_restore_log *log, const json_t *entry, struct hf_why *why)
{
    static const struct {
        const char *action;
        enum hf_err (*redo)(struct hf_restore_log *log, const struct said *said,
                            struct hf_why *why);
    } acts[] = {
        {"account.change", redo_policy},
        {"ca.change", redo_ca},
        {"ca.delete", redo_ca_delete},
        {"enroll-token.use", redo_token_use},
        {"enroll-token.revoke", redo_token_revoke},
        {"token.revoke", redo_admin_token},
        {"report-key.revoke", redo_key_revoke},
        {"report-key.register", redo_key_register},
        {"signer.signature", redo_signature},
    };
    const char *action = text_of(entry, "action");
    const struct said said = {json_object_get(entry, "details"),
                              json_integer_value(json_object_get(entry, "account"))};

    if (strcmp(action, "log.carried") == 0)
        return hf_restore_redo(log, json_object_get(said.details, "entry"), why);
    if (strcmp(action, "credential.register") == 0 || json_object_get(said.details, "to") != NULL)
        return redo_credential(log, &said, why);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(acts[i].action, action) == 0)
            return acts[i].redo(log, &said, why);
    return HF_OK;
}
