#include "server/fleet/restore_log.h"

#include "common/os/file_util.h"
#include "server/audit/copy_file.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/signature.h"

#include <inttypes.h>
#include <string.h>

enum { LOG_AT, LOG_INSERT, LOG_ACCOUNT, SEAL_INSERT };

const struct hf_sql hf_restore_log_sql[] = {
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
    {0},
};

/* ---- entries and seals of the copy ----------------------------------------------------------- */

static enum hf_err insert_entry(struct hf_db *to, const struct hf_audit_entry *entry,
                                int64_t account, struct hf_why *why)
{
    return hf_db_execute(to, &hf_restore_log_sql[LOG_INSERT],
                         HF_PARAMS(hf_p_int("sequence", entry->sequence),
                                   hf_p_bytes("hash", entry->hash, sizeof entry->hash),
                                   hf_p_int_or_null("account", account, 0),
                                   (struct hf_param){"entry", {HF_VALUE_TEXT, 0, entry->text}}),
                         why);
}

static enum hf_err insert_seal(struct hf_db *to, const struct hf_seal *seal, struct hf_why *why)
{
    return hf_db_execute(to, &hf_restore_log_sql[SEAL_INSERT],
                         HF_PARAMS(hf_p_int("sequence", seal->sequence),
                                   hf_p_int("sealed", seal->sealed_s),
                                   hf_p_bytes("signature", seal->signature,
                                              sizeof seal->signature)),
                         why);
}

static enum hf_err take_entry(struct hf_restore_log *log, const json_t *json,
                              const struct hf_audit_head *head, struct hf_why *why)
{
    struct hf_audit_entry entry = {.sequence = head->sequence};
    struct hf_buf text = {0};

    memcpy(entry.hash, head->hash, sizeof entry.hash);
    HF_TRY(hf_audit_entry_text(json, &text, why));
    entry.text = hf_buf_bytes(&text);
    enum hf_err err = insert_entry(log->to->db, &entry,
                                   json_integer_value(json_object_get(json, "account")), why);
    hf_buf_free(&text);
    log->restored->entries_of_copy++;
    return err == HF_OK ? hf_restore_redo(log, json, why) : err;
}

static enum hf_err take_seal(struct hf_restore_log *log, const json_t *line, struct hf_why *why)
{
    const json_t *json = json_object_get(line, "seal");
    struct hf_seal seal = {0};

    HF_TRY(hf_json_get_integer(json, "sequence", "seal of the log", 1, &seal.sequence, why));
    HF_TRY(hf_json_get_time(json, "time", "seal of the log", &seal.sealed_s, why));
    HF_TRY(hf_json_get_bytes(line, "signature", "line of the log", seal.signature,
                             sizeof seal.signature, why));
    return insert_seal(log->to->db, &seal, why);
}

static enum hf_err fail_other_log(const char *what, int64_t sequence, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "%s: their logs differ at entry %" PRId64
                   ". Stop the service and replace the file by hand if that is intended",
                   what, sequence);
}

/* One line of the copy, which is verified; what follows the backup is taken. */
static enum hf_err take_line(struct hf_restore_log *log, struct hf_audit_copy *copy,
                             const struct hf_audit_head *backup, struct hf_bytes text,
                             struct hf_why *why)
{
    json_t *line = NULL;

    HF_TRY(hf_audit_copy_line(copy, text, why));
    if (copy->head.sequence < backup->sequence)
        return HF_OK;
    if (copy->head.sequence == backup->sequence &&
        memcmp(copy->head.hash, backup->hash, sizeof backup->hash) != 0)
        return fail_other_log("the copy of the log is not of this backup", backup->sequence, why);
    HF_TRY(hf_json_parse_object(text, "line of the log", &line, why));
    const json_t *entry = json_object_get(line, "entry");
    enum hf_err err = HF_OK;
    if (entry == NULL)
        err = take_seal(log, line, why);
    else if (copy->head.sequence > backup->sequence)
        err = take_entry(log, entry, &copy->head, why);
    json_decref(line);
    return err;
}

static enum hf_err take_lines(struct hf_restore_log *log, FILE *in,
                              const struct hf_audit_head *backup, struct hf_why *why)
{
    struct hf_audit_copy copy = {0};
    struct hf_audit_line line;
    enum hf_err err;

    while ((err = hf_audit_line_read(in, &line, why)) == HF_OK)
        HF_TRY(take_line(log, &copy, backup,
                         (struct hf_bytes){(const uint8_t *)line.text, line.len}, why));
    if (err != HF_E_NOT_FOUND)
        return err;
    if (copy.head.sequence < backup->sequence)
        return hf_fail(why, HF_E_POLICY,
                       "it ends at entry %" PRId64 ", before the backup, which has %" PRId64
                       ". Leave it out, or name a newer one",
                       copy.head.sequence, backup->sequence);
    return HF_OK;
}

static enum hf_err take_copy(struct hf_restore_log *log, const char *path,
                             const struct hf_audit_head *backup, struct hf_why *why)
{
    FILE *in = NULL;

    HF_TRY(hf_file_open_stream(path, &in, why));
    enum hf_err err = take_lines(log, in, backup, why);
    (void)fclose(in);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "%s", path);
}

/* ---- entries and seals of the database as it is ---------------------------------------------- */

struct carry {
    struct hf_restore_log *log;
    int64_t same_to; /* up to here the log is that of the database */
    bool has_forked; /* from here on the copy of the log has other entries */
};

/* Does the log have an entry of that number (`*is_there`), and is it this one? */
static enum hf_err compare(struct hf_db *db, int64_t sequence,
                           const uint8_t hash[HF_AUDIT_HASH_LEN], bool *is_there, bool *is_same,
                           struct hf_why *why)
{
    uint8_t found[HF_AUDIT_HASH_LEN] = {0};
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_restore_log_sql[LOG_AT], HF_PARAMS(hf_p_int("sequence", sequence)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    *is_there = err == HF_OK;
    if (err == HF_OK)
        err = hf_col_copy_bytes(&rows, 0, found, sizeof found, why);
    hf_db_end(&rows);
    *is_same = err == HF_OK && memcmp(found, hash, sizeof found) == 0;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

static enum hf_err account_of(struct hf_db *db, int64_t sequence, int64_t *out, struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_restore_log_sql[LOG_ACCOUNT],
                     HF_PARAMS(hf_p_int("sequence", sequence)), &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        *out = hf_col_int_or(&rows, 0, 0);
    hf_db_end(&rows);
    return err;
}

/* What no row of the database says any more: that a CA was deleted, or the key of a device that was
 * deleted since. */
static bool is_of_deleted(const json_t *entry)
{
    const char *action = json_string_value(json_object_get(entry, "action"));
    return action != NULL &&
           (strcmp(action, "ca.delete") == 0 || strcmp(action, "report-key.revoke") == 0);
}

static enum hf_err carry_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct carry *carry = ctx;
    struct hf_restore_log *log = carry->log;
    int64_t account = 0;
    bool is_there = false, is_same = false;
    json_t *json = NULL;

    HF_TRY(compare(log->to->db, entry->sequence, entry->hash, &is_there, &is_same, why));
    carry->has_forked |= is_there && !is_same;
    if (!carry->has_forked)
        carry->same_to = entry->sequence;
    if (is_same && !carry->has_forked)
        return HF_OK;
    HF_TRY(account_of(log->from, entry->sequence, &account, why));
    HF_TRY(hf_json_parse_object(entry->text, "an entry of the log", &json, why));
    log->restored->entries_kept++;
    enum hf_err err = is_of_deleted(json) ? hf_restore_redo(log, json, why) : HF_OK;
    if (err == HF_OK && !carry->has_forked)
        err = insert_entry(log->to->db, entry, account, why);
    else if (err == HF_OK)
        err = hf_audit_append_take(log->to, "log.carried", account,
                                   json_pack("{s:O}", "entry", json), why);
    json_decref(json);
    return err;
}

static enum hf_err carry_seal(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_seal *seal = data;
    const struct carry *carry = ctx;
    return seal->sequence <= carry->same_to ? insert_seal(carry->log->to->db, seal, why) : HF_OK;
}

/* A new database has nothing to carry, and takes any backup. */
static enum hf_err carry_database(struct hf_restore_log *log, const struct hf_audit_head *backup,
                                  struct hf_why *why)
{
    struct carry carry = {.log = log, .same_to = backup->sequence};
    struct hf_audit_head head;
    bool is_there = false, is_same = backup->sequence == 0;

    HF_TRY(hf_audit_log_head(log->from, &head, why));
    if (head.sequence == 0)
        return HF_OK;
    if (backup->sequence > 0)
        HF_TRY(compare(log->from, backup->sequence, backup->hash, &is_there, &is_same, why));
    if (!is_same)
        return fail_other_log("it is not a backup of this database", backup->sequence, why);
    HF_TRY(hf_audit_log_list(log->from, 0, backup->sequence, INT64_MAX, carry_entry, &carry, why));
    return hf_seal_list(log->from, 0, INT64_MAX, carry_seal, &carry, why);
}

enum hf_err hf_restore_carry_log(struct hf_restore_log *log, const char *path, struct hf_why *why)
{
    struct hf_audit_copy backup;
    int64_t last = 0;

    HF_TRY(hf_audit_log_verify(log->to->db, NULL, &backup, why));
    log->restored->state_of_entry = backup.head.sequence;
    if (path != NULL)
        HF_TRY(take_copy(log, path, &backup.head, why));
    HF_TRY(carry_database(log, &backup.head, why));
    HF_TRY(hf_signature_last(log->from, &last, why));
    return hf_signature_set_last(log->to->db, last, why);
}
