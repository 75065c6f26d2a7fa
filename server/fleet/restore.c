#include "server/fleet/restore.h"

#include "common/os/file_util.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/db/sqlite_copy.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/credential.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LOG_AT,
    LOG_INSERT,
    LOG_ACCOUNT,
    SEAL_INSERT,
    REVOKED,
    REVOKE,
    TOKENS,
    TOKEN_LIMIT,
    ADMIN_TOKENS,
    ADMIN_TOKEN_REVOKE,
};

const struct hf_sql hf_restore_sql[] = {
    [LOG_AT] = {"restore_log_at", "SELECT hash FROM audit_log WHERE sequence = :sequence", "b"},
    [LOG_INSERT] = {"restore_log_insert",
                    "INSERT INTO audit_log (sequence, hash, account_id, entry) "
                    "VALUES (:sequence, :hash, :account, :entry)",
                    ""},
    [LOG_ACCOUNT] = {"restore_log_account",
                     "SELECT account_id FROM audit_log WHERE sequence = :sequence", "I"},
    [SEAL_INSERT] = {"restore_seal_insert",
                     "INSERT INTO seal (sequence, sealed_s, signature) "
                     "VALUES (:sequence, :sealed, :signature) ON CONFLICT (sequence) DO NOTHING",
                     ""},
    [REVOKED] = {"restore_revoked",
                 "SELECT account_id, sha256 FROM credential WHERE status = 'REVOKED'", "ib"},
    [REVOKE] = {"restore_revoke",
                "UPDATE credential SET status = 'REVOKED', transfer_account_id = NULL, "
                "retire_at_s = NULL, version = version + 1 "
                "WHERE sha256 = :sha256 AND account_id = :account AND status <> 'REVOKED'",
                ""},
    [TOKENS] = {"restore_tokens",
                "SELECT hash, uses, is_revoked FROM enroll_token WHERE uses > 0 OR is_revoked = 1",
                "bii"},
    [TOKEN_LIMIT] = {"restore_token_limit",
                     "UPDATE enroll_token SET "
                     "uses = CASE WHEN uses < :uses THEN :uses ELSE uses END, "
                     "is_revoked = CASE WHEN :revoked = 1 THEN 1 ELSE is_revoked END, "
                     "version = version + 1 WHERE hash = :hash",
                     ""},
    [ADMIN_TOKENS] = {"restore_admin_tokens", "SELECT hash FROM admin_token WHERE is_revoked = 1",
                      "b"},
    [ADMIN_TOKEN_REVOKE] = {"restore_admin_token_revoke",
                            "UPDATE admin_token SET is_revoked = 1, version = version + 1 "
                            "WHERE hash = :hash",
                            ""},
    {0},
};

/* ---- the log goes on ----------------------------------------------------------------------------- */

struct carry {
    struct hf_db *from; /* the database as it is */
    struct hf_db *to;   /* the copy of the backup */
};

static enum hf_err carry_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct carry *carry = ctx;
    struct hf_rows rows;
    int64_t account = 0;

    HF_TRY(hf_db_run(carry->from, &hf_restore_sql[LOG_ACCOUNT],
                     HF_PARAMS(hf_p_int("sequence", entry->sequence)), &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        account = hf_col_int_or(&rows, 0, 0);
    hf_db_end(&rows);
    HF_TRY(err);
    return hf_db_execute(carry->to, &hf_restore_sql[LOG_INSERT],
                         HF_PARAMS(hf_p_int("sequence", entry->sequence),
                                   hf_p_bytes("hash", entry->hash, sizeof entry->hash),
                                   hf_p_int_or_null("account", account, 0),
                                   (struct hf_param){"entry", {HF_VALUE_TEXT, 0, entry->text}}),
                         why);
}

static enum hf_err carry_seal(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_seal *seal = data;
    struct carry *carry = ctx;

    return hf_db_execute(carry->to, &hf_restore_sql[SEAL_INSERT],
                         HF_PARAMS(hf_p_int("sequence", seal->sequence),
                                   hf_p_int("sealed", seal->sealed_s),
                                   hf_p_bytes("signature", seal->signature,
                                              sizeof seal->signature)),
                         why);
}

/* The backup's last entry has to be in our log, with the same hash. */
static enum hf_err check_same_log(struct hf_db *db, const struct hf_audit_head *head,
                                  struct hf_why *why)
{
    uint8_t hash[HF_AUDIT_HASH_LEN];
    struct hf_rows rows;

    if (head->sequence == 0)
        return HF_OK;
    HF_TRY(hf_db_run(db, &hf_restore_sql[LOG_AT], HF_PARAMS(hf_p_int("sequence", head->sequence)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        err = hf_col_copy_bytes(&rows, 0, hash, sizeof hash, why);
    hf_db_end(&rows);
    if (err == HF_E_NOT_FOUND || (err == HF_OK && memcmp(hash, head->hash, sizeof hash) != 0))
        return hf_fail(why, HF_E_POLICY,
                       "it is not a backup of this database: their logs differ at entry %" PRId64
                       ". Stop the service and replace the file by hand if that is intended",
                       head->sequence);
    return err;
}

static enum hf_err carry_log(struct carry *carry, struct hf_why *why)
{
    struct hf_audit_copy checked;
    struct hf_seal sealed;

    HF_TRY(hf_audit_log_verify(carry->to, NULL, &checked, why));
    HF_TRY(check_same_log(carry->from, &checked.head, why));
    HF_TRY(hf_seal_last(carry->to, &sealed, why));
    HF_TRY(hf_audit_log_list(carry->from, 0, checked.head.sequence, INT64_MAX, carry_entry, carry,
                             why));
    return hf_seal_list(carry->from, sealed.sequence, INT64_MAX, carry_seal, carry, why);
}

/* ---- what protects the fleet stays --------------------------------------------------------------- */

/* Run `change` on the copy for each row that `list` gives, with the parameters that `take` makes of it. */
static enum hf_err for_each(struct carry *carry, int list,
                            enum hf_err (*change)(struct hf_db *to, const struct hf_rows *row,
                                                  struct hf_why *why),
                            struct hf_why *why)
{
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(hf_db_run(carry->from, &hf_restore_sql[list], HF_NO_PARAMS, &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK)
        if ((err = change(carry->to, &rows, why)) != HF_OK)
            break;
    hf_db_end(&rows);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

static enum hf_err keep_revoked(struct hf_db *to, const struct hf_rows *row, struct hf_why *why)
{
    struct hf_bytes sha256 = hf_col_bytes(row, 1);

    return hf_db_execute(to, &hf_restore_sql[REVOKE],
                         HF_PARAMS(hf_p_int("account", hf_col_int(row, 0)),
                                   hf_p_bytes("sha256", sha256.data, sha256.len)),
                         why);
}

static enum hf_err keep_token(struct hf_db *to, const struct hf_rows *row, struct hf_why *why)
{
    struct hf_bytes hash = hf_col_bytes(row, 0);

    return hf_db_execute(to, &hf_restore_sql[TOKEN_LIMIT],
                         HF_PARAMS(hf_p_bytes("hash", hash.data, hash.len),
                                   hf_p_int("uses", hf_col_int(row, 1)),
                                   hf_p_int("revoked", hf_col_int(row, 2))),
                         why);
}

static enum hf_err keep_admin_token(struct hf_db *to, const struct hf_rows *row, struct hf_why *why)
{
    struct hf_bytes hash = hf_col_bytes(row, 0);

    return hf_db_execute(to, &hf_restore_sql[ADMIN_TOKEN_REVOKE],
                         HF_PARAMS(hf_p_bytes("hash", hash.data, hash.len)), why);
}

/* One transaction of the copy. */
static enum hf_err carry_over(const struct hf_tx *tx, struct hf_db *copy, struct hf_why *why)
{
    struct carry carry = {tx->db, copy};
    struct hf_effects ignored = {0};
    struct hf_tx log = {copy, tx->now_s, tx->actor, &ignored};
    struct hf_audit_head head;

    HF_TRY(hf_db_begin(copy, why));
    enum hf_err err = hf_audit_log_head(copy, &head, why);
    if (err == HF_OK)
        err = carry_log(&carry, why);
    if (err == HF_OK)
        err = for_each(&carry, REVOKED, keep_revoked, why);
    if (err == HF_OK)
        err = for_each(&carry, TOKENS, keep_token, why);
    if (err == HF_OK)
        err = for_each(&carry, ADMIN_TOKENS, keep_admin_token, why);
    if (err == HF_OK)
        err = hf_audit_append_take(&log, "database.restore", 0,
                                   json_pack("{s:I}", "state_of_entry", (json_int_t)head.sequence),
                                   why);
    if (err == HF_OK)
        return hf_db_commit(copy, why);
    hf_db_rollback(copy);
    return err;
}

/* ---- registry and directory ---------------------------------------------------------------------- */

struct difference {
    struct hf_db *copy;
    struct hf_effects *effects;
};

static enum hf_err note_gone(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_registered_row *gone = data;
    struct difference *d = ctx;
    struct hf_effect effect = {.kind = HF_EFFECT_CREDENTIAL_GONE, .credential = gone->entry};
    struct hf_credential row;

    enum hf_err err = hf_credential_find(d->copy, gone->entry.account, gone->sha256, &row, why);
    if (err != HF_E_NOT_FOUND)
        return err;
    memcpy(effect.sha256, gone->sha256, sizeof effect.sha256);
    return hf_effects_add(d->effects, &effect, why);
}

static enum hf_err note_present(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_registered_row *present = data;
    struct difference *d = ctx;
    struct hf_effect effect = {.kind = HF_EFFECT_CREDENTIAL, .credential = present->entry};

    memcpy(effect.sha256, present->sha256, sizeof effect.sha256);
    return hf_effects_add(d->effects, &effect, why);
}

static enum hf_err note_difference(struct hf_tx *tx, struct hf_db *copy, struct hf_why *why)
{
    struct difference d = {copy, tx->effects};

    HF_TRY(hf_credential_list_registered(tx->db, note_gone, &d, why));
    HF_TRY(hf_credential_list_registered(copy, note_present, &d, why));
    return hf_effects_add(tx->effects, &(struct hf_effect){.kind = HF_EFFECT_DIRECTORY}, why);
}

/* ---- the restore --------------------------------------------------------------------------------- */

/* A copy beside the database, complete, checked, and of today's schema. */
static enum hf_err make_copy(const char *backup, const char *path, struct hf_db **out,
                             struct hf_why *why)
{
    struct hf_db *source = NULL, *copy = NULL;

    HF_TRY(hf_db_connect(&hf_db_sqlite, backup, HF_DB_READ, &source, why));
    enum hf_err err = hf_db_backup(source, path, why);
    hf_db_close(source);
    if (err == HF_OK)
        err = hf_db_connect(&hf_db_sqlite, path, HF_DB_WRITE, &copy, why);
    if (err == HF_OK)
        err = hf_db_migrate(copy, hf_fleet_migrations, hf_fleet_migrations_len, why);
    if (err == HF_OK)
        *out = copy;
    else
        hf_db_close(copy);
    return err;
}

static void remove_copy(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".unfinished"};
    struct hf_path file;

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (hf_path_set(&file, NULL, "%s%s", path, suffixes[i]) == HF_OK)
            (void)unlink(file.text);
}

enum hf_err hf_fleet_restore(struct hf_tx *tx, const struct hf_effects_port *port,
                             const char *backup, struct hf_why *why)
{
    struct hf_db *copy = NULL;
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s.restore", hf_db_where(tx->db)));
    remove_copy(path.text); /* of a restore that was killed */
    enum hf_err err = make_copy(backup, path.text, &copy, why);
    if (err == HF_OK)
        err = carry_over(tx, copy, why);
    if (err == HF_OK)
        err = note_difference(tx, copy, why);
    if (err == HF_OK)
        err = port->prepare(port->ctx, copy, tx->effects, why);
    if (err == HF_OK)
        err = hf_db_replace(tx->db, copy, why);
    hf_db_close(copy);
    remove_copy(path.text);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "%s", backup);
}
