#include "server/fleet/restore.h"

#include "common/os/file_util.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/db/sqlite_copy.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/credential.h"
#include "server/fleet/events.h"
#include "server/fleet/report_key.h"
#include "server/fleet/restore_log.h"

#include <string.h>
#include <unistd.h>

enum {
    REVOKED,
    REVOKE,
    LOST,
    CAS,
    CA_STOP,
    TOKENS,
    TOKEN_LIMIT,
    ADMIN_TOKENS,
    ADMIN_TOKEN_REVOKE,
    REVOKED_KEYS,
    REVOKE_KEY,
    ROLLOUTS,
    ROLLOUT_SEEN,
};

const struct hf_sql hf_restore_sql[] = {
    [REVOKED] = {"restore_revoked",
                 "SELECT account_id, sha256, id FROM credential WHERE status = 'REVOKED'", "ibi"},
    /* The number says that it is the same registration, before it went to another account. */
    [REVOKE] = {"restore_revoke",
                "UPDATE credential SET status = 'REVOKED', transfer_account_id = NULL, "
                "retire_at_s = NULL, version = version + 1 WHERE sha256 = :sha256 "
                "AND (account_id = :account OR id = :id) AND status <> 'REVOKED' RETURNING id",
                "i"},
    [LOST] = {"restore_lost", "SELECT account_id, sha256 FROM lost_revocation", "ib"},
    [CAS] = {"restore_cas", "SELECT account_id, sha256 FROM ca WHERE status = 'INACTIVE'", "ib"},
    [CA_STOP] = {"restore_ca_stop",
                 "UPDATE ca SET status = 'INACTIVE', version = version + 1 "
                 "WHERE sha256 = :sha256 AND account_id = :account AND status <> 'INACTIVE'",
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
    [REVOKED_KEYS] = {"restore_revoked_keys",
                      "SELECT account_id, public_key, revoked_s FROM report_key "
                      "WHERE revoked_s IS NOT NULL",
                      "ibi"},
    [REVOKE_KEY] = {"restore_revoke_key",
                    "UPDATE report_key SET revoked_s = :revoked "
                    "WHERE account_id = :account AND public_key = :key AND revoked_s IS NULL",
                    ""},
    [ROLLOUTS] = {"restore_rollouts",
                  "SELECT set_name, profile, bundle_version, sha256, seen_s FROM rollout", "ttibi"},
    [ROLLOUT_SEEN] = {"restore_rollout_seen",
                      "INSERT INTO rollout (set_name, profile, bundle_version, sha256, seen_s, "
                      "signed_version, version) VALUES (:set, :profile, :bundle, :sha256, :seen, "
                      "0, 1) ON CONFLICT (set_name, profile, bundle_version, sha256) DO UPDATE "
                      "SET seen_s = excluded.seen_s WHERE excluded.seen_s < rollout.seen_s",
                      ""},
    {0},
};

/* ---- what protects the fleet stays ----------------------------------------------------------- */

struct carry {
    struct hf_db *from; /* the database as it is */
    struct hf_db *to;   /* the copy of the backup */
    struct hf_restored *restored;
};

/* Run `change` on the copy for each row that `list` gives, with the parameters that `take` makes of
 * it. */
static enum hf_err for_each(struct carry *carry, int list,
                            enum hf_err (*change)(struct carry *carry, const struct hf_rows *row,
                                                  struct hf_why *why),
                            struct hf_why *why)
{
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(hf_db_run(carry->from, &hf_restore_sql[list], HF_NO_PARAMS, &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK)
        if ((err = change(carry, &rows, why)) != HF_OK)
            break;
    hf_db_end(&rows);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* Revoked in the copy too. Where the account does not have it in the copy, it is never to be
 * registered again there. */
static enum hf_err keep_revoked(struct carry *carry, const struct hf_rows *row, struct hf_why *why)
{
    const int64_t account = hf_col_int(row, 0);
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_credential there;
    int64_t id = hf_col_int(row, 2);

    HF_TRY(hf_col_copy_bytes(row, 1, sha256, sizeof sha256, why));
    enum hf_err err = hf_credential_find(carry->to, account, sha256, &there, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_restore_keep_lost(carry->to, account, sha256, why);
    HF_TRY(err);
    err = hf_db_get_int(carry->to, &hf_restore_sql[REVOKE],
                        HF_PARAMS(hf_p_int("account", account), hf_p_int("id", id),
                                  hf_p_bytes("sha256", sha256, sizeof sha256)),
                        &id, why);
    carry->restored->kept_revoked += err == HF_OK;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

static enum hf_err keep_lost(struct carry *carry, const struct hf_rows *row, struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];

    HF_TRY(hf_col_copy_bytes(row, 1, sha256, sizeof sha256, why));
    return hf_restore_keep_lost(carry->to, hf_col_int(row, 0), sha256, why);
}

static enum hf_err keep_ca_stopped(struct carry *carry, const struct hf_rows *row,
                                   struct hf_why *why)
{
    struct hf_bytes sha256 = hf_col_bytes(row, 1);

    return hf_db_execute(carry->to, &hf_restore_sql[CA_STOP],
                         HF_PARAMS(hf_p_int("account", hf_col_int(row, 0)),
                                   hf_p_bytes("sha256", sha256.data, sha256.len)),
                         why);
}

static enum hf_err keep_token(struct carry *carry, const struct hf_rows *row, struct hf_why *why)
{
    struct hf_bytes hash = hf_col_bytes(row, 0);

    return hf_db_execute(carry->to, &hf_restore_sql[TOKEN_LIMIT],
                         HF_PARAMS(hf_p_bytes("hash", hash.data, hash.len),
                                   hf_p_int("uses", hf_col_int(row, 1)),
                                   hf_p_int("revoked", hf_col_int(row, 2))),
                         why);
}

static enum hf_err keep_admin_token(struct carry *carry, const struct hf_rows *row,
                                    struct hf_why *why)
{
    struct hf_bytes hash = hf_col_bytes(row, 0);

    return hf_db_execute(carry->to, &hf_restore_sql[ADMIN_TOKEN_REVOKE],
                         HF_PARAMS(hf_p_bytes("hash", hash.data, hash.len)), why);
}

static enum hf_err keep_revoked_key(struct carry *carry, const struct hf_rows *row,
                                    struct hf_why *why)
{
    struct hf_bytes key = hf_col_bytes(row, 1);

    return hf_db_execute(carry->to, &hf_restore_sql[REVOKE_KEY],
                         HF_PARAMS(hf_p_int("account", hf_col_int(row, 0)),
                                   hf_p_bytes("key", key.data, key.len),
                                   hf_p_int("revoked", hf_col_int(row, 2))),
                         why);
}

/* Since when a bundle is known: devices that came later must not count in its rollout. */
static enum hf_err keep_rollout(struct carry *carry, const struct hf_rows *row, struct hf_why *why)
{
    struct hf_bytes sha256 = hf_col_bytes(row, 3);

    return hf_db_execute(carry->to, &hf_restore_sql[ROLLOUT_SEEN],
                         HF_PARAMS(hf_p_text("set", hf_col_text(row, 0)),
                                   hf_p_text("profile", hf_col_text(row, 1)),
                                   hf_p_int("bundle", hf_col_int(row, 2)),
                                   hf_p_bytes("sha256", sha256.data, sha256.len),
                                   hf_p_int("seen", hf_col_int(row, 4))),
                         why);
}

static enum hf_err keep_protection(struct carry *carry, struct hf_why *why)
{
    HF_TRY(for_each(carry, REVOKED, keep_revoked, why));
    HF_TRY(for_each(carry, LOST, keep_lost, why));
    HF_TRY(for_each(carry, CAS, keep_ca_stopped, why));
    HF_TRY(for_each(carry, TOKENS, keep_token, why));
    HF_TRY(for_each(carry, ADMIN_TOKENS, keep_admin_token, why));
    HF_TRY(for_each(carry, REVOKED_KEYS, keep_revoked_key, why));
    return for_each(carry, ROLLOUTS, keep_rollout, why);
}

/* That, and what of it, was restored. */
static enum hf_err log_restore(struct hf_tx *to, struct hf_restored *restored, struct hf_why *why)
{
    struct hf_audit_head head;

    HF_TRY(hf_audit_append_take(to, "database.restore", 0,
                                json_pack("{s:I,s:I,s:I}", "state_of_entry",
                                          (json_int_t)restored->state_of_entry, "entries_of_copy",
                                          (json_int_t)restored->entries_of_copy, "unknown",
                                          (json_int_t)restored->unknown),
                                why));
    HF_TRY(hf_audit_log_head(to->db, &head, why));
    restored->entries = head.sequence;
    return HF_OK;
}

/* One transaction of the copy. */
static enum hf_err carry_over(const struct hf_tx *tx, struct hf_db *copy, const char *log_path,
                              struct hf_restored *restored, struct hf_why *why)
{
    struct hf_effects ignored = {0};
    struct hf_tx to = {copy, tx->now_s, tx->actor, &ignored};
    struct carry carry = {tx->db, copy, restored};
    struct hf_restore_log log = {tx->db, &to, restored};

    HF_TRY(hf_db_begin(copy, why));
    enum hf_err err = hf_restore_carry_log(&log, log_path, why);
    if (err == HF_OK)
        err = keep_protection(&carry, why);
    if (err == HF_OK)
        err = log_restore(&to, restored, why);
    hf_effects_free(&ignored);
    if (err == HF_OK)
        return hf_db_commit(copy, why);
    hf_db_rollback(copy);
    return err;
}

/* ---- registry and directory ------------------------------------------------------------------ */

struct difference {
    struct hf_db *from, *copy;
    struct hf_effects *effects;
    struct hf_restored *restored;
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
    d->restored->gone++;
    return hf_effects_add(d->effects, &effect, why);
}

/* Of a certificate, or of a key for reports. */
static enum hf_err note_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_registered_row *present = data;
    const struct difference *d = ctx;
    struct hf_effect effect = {.kind = HF_EFFECT_CREDENTIAL, .credential = present->entry};

    memcpy(effect.sha256, present->sha256, sizeof effect.sha256);
    return hf_effects_add(d->effects, &effect, why);
}

static enum hf_err note_present(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_registered_row *present = data;
    struct difference *d = ctx;
    struct hf_credential row;

    enum hf_err err = hf_credential_find(d->from, present->entry.account, present->sha256, &row,
                                         why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    d->restored->back += err == HF_E_NOT_FOUND;
    d->restored->changed += err == HF_OK && row.status != present->entry.status;
    return note_entry(ctx, data, why);
}

static enum hf_err note_difference(struct hf_tx *tx, struct hf_db *copy,
                                   struct hf_restored *restored, struct hf_why *why)
{
    struct difference d = {tx->db, copy, tx->effects, restored};

    HF_TRY(hf_credential_list_registered(tx->db, note_gone, &d, why));
    HF_TRY(hf_report_key_note_gone(tx->db, copy, tx->effects, why));
    HF_TRY(hf_credential_list_registered(copy, note_present, &d, why));
    HF_TRY(hf_report_key_list_registered(copy, note_entry, &d, why));
    hf_event_note_take(tx, "restored", 0, json_object());
    HF_TRY(hf_effects_add_device(tx->effects, 0, why));
    return hf_effects_add(tx->effects, &(struct hf_effect){.kind = HF_EFFECT_DIRECTORY}, why);
}

/* ---- the restore ----------------------------------------------------------------------------- */

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
                             const struct hf_restore_from *from, struct hf_restored *out,
                             struct hf_why *why)
{
    struct hf_restored restored = {0};
    struct hf_db *copy = NULL;
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s.restore", hf_db_where(tx->db)));
    remove_copy(path.text); /* of a restore that was killed */
    enum hf_err err = make_copy(from->backup, path.text, &copy, why);
    if (err == HF_OK)
        err = carry_over(tx, copy, from->log, &restored, why);
    if (err == HF_OK)
        err = note_difference(tx, copy, &restored, why);
    if (err == HF_OK)
        err = port->prepare(port->ctx, copy, tx->effects, why);
    if (err == HF_OK)
        err = hf_db_replace(tx->db, copy, why);
    hf_db_close(copy);
    remove_copy(path.text);
    if (err != HF_OK) /* which may name the file already */
        return why != NULL && strstr(why->text, from->backup) != NULL
                   ? err
                   : hf_fail_context(why, "%s", from->backup);
    *out = restored;
    return HF_OK;
}
