#include "server/fleet/audit_log.h"

#include "common/json/json.h"

#include <inttypes.h>

enum { HEAD, INSERT, LIST, LIST_OF_ACCOUNT, AT, SEAL_INSERT, SEAL_LIST, SEAL_LAST };

const struct hf_sql hf_audit_log_sql[] = {
    [HEAD] = {"audit_log_head",
              "SELECT sequence, hash FROM audit_log ORDER BY sequence DESC LIMIT 1", "ib"},
    [INSERT] = {"audit_log_insert",
                "INSERT INTO audit_log (sequence, hash, account_id, entry) "
                "VALUES (:sequence, :hash, :account, :entry)",
                ""},
    [LIST] = {"audit_log_list",
              "SELECT sequence, hash, entry FROM audit_log WHERE sequence > :after "
              "ORDER BY sequence LIMIT :limit",
              "ibt"},
    [LIST_OF_ACCOUNT] = {"audit_log_list_of_account",
                         "SELECT sequence, hash, entry FROM audit_log WHERE account_id = :account "
                         "AND sequence > :after ORDER BY sequence LIMIT :limit",
                         "ibt"},
    [AT] = {"audit_log_at", "SELECT hash FROM audit_log WHERE sequence = :sequence", "b"},
    [SEAL_INSERT] = {"seal_insert",
                     "INSERT INTO seal (sequence, sealed_s, signature) "
                     "VALUES (:sequence, :sealed, :signature) ON CONFLICT (sequence) DO NOTHING",
                     ""},
    [SEAL_LIST] = {"seal_list",
                   "SELECT sequence, sealed_s, signature FROM seal WHERE sequence > :after "
                   "ORDER BY sequence LIMIT :limit",
                   "iib"},
    [SEAL_LAST] = {"seal_last",
                   "SELECT sequence, sealed_s, signature FROM seal ORDER BY sequence DESC LIMIT 1",
                   "iib"},
    {0},
};

/* ---- entries --------------------------------------------------------------------------------- */

enum hf_err hf_audit_log_head(struct hf_db *db, struct hf_audit_head *out, struct hf_why *why)
{
    struct hf_audit_head head = {0};
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_audit_log_sql[HEAD], HF_NO_PARAMS, &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        head.sequence = hf_col_int(&rows, 0);
        err = hf_col_copy_bytes(&rows, 1, head.hash, sizeof head.hash, why);
    } else if (err == HF_E_NOT_FOUND) {
        err = HF_OK;
    }
    hf_db_end(&rows);
    if (err == HF_OK)
        *out = head;
    return err;
}

static json_t *make_entry(const struct hf_tx *tx, const char *action, int64_t account_id,
                          json_t *details, int64_t sequence)
{
    json_t *entry = json_object();

    entry = hf_json_set_take(entry, "action", json_string(action));
    entry = hf_json_set_take(entry, "actor", json_string(tx->actor));
    entry = hf_json_set_take(entry, "details", details);
    entry = hf_json_set_take(entry, "sequence", json_integer(sequence));
    entry = hf_json_set_take(entry, "time", hf_json_time(tx->now_s));
    if (account_id != 0)
        entry = hf_json_set_take(entry, "account", json_integer(account_id));
    return entry;
}

enum hf_err hf_audit_append_take(struct hf_tx *tx, const char *action, int64_t account_id,
                                 json_t *details, struct hf_why *why)
{
    struct hf_audit_head head;
    struct hf_buf text = {0};
    json_t *entry = NULL;

    enum hf_err err = hf_audit_log_head(tx->db, &head, why);
    if (err != HF_OK)
        json_decref(details);
    else if ((entry = make_entry(tx, action, account_id, details, head.sequence + 1)) == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for an entry of the log");
    if (err == HF_OK)
        err = hf_audit_entry_text(entry, &text, why);
    if (err == HF_OK)
        err = hf_audit_extend(&head, entry, why);
    if (err == HF_OK)
        err = hf_db_execute(tx->db, &hf_audit_log_sql[INSERT],
                            HF_PARAMS(hf_p_int("sequence", head.sequence),
                                      hf_p_bytes("hash", head.hash, sizeof head.hash),
                                      hf_p_int_or_null("account", account_id, 0),
                                      hf_p_text("entry", (const char *)text.data)),
                            why);
    json_decref(entry);
    hf_buf_free(&text);
    return err;
}

static enum hf_err read_entry(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_audit_entry *entry = out;

    entry->sequence = hf_col_int(rows, 0);
    entry->text = hf_col_bytes(rows, 2);
    return hf_col_copy_bytes(rows, 1, entry->hash, sizeof entry->hash, why);
}

enum hf_err hf_audit_log_list(struct hf_db *db, int64_t account_id, int64_t after, size_t limit,
                              hf_db_each *each, void *ctx, struct hf_why *why)
{
    const struct hf_param from = hf_p_int("after", after);
    const struct hf_param most = hf_p_int("limit", (int64_t)limit);
    struct hf_audit_entry entry;

    if (account_id == 0)
        return hf_db_read_each(db, &hf_audit_log_sql[LIST], HF_PARAMS(from, most), read_entry,
                               &entry, each, ctx, why);
    return hf_db_read_each(db, &hf_audit_log_sql[LIST_OF_ACCOUNT],
                           HF_PARAMS(hf_p_int("account", account_id), from, most), read_entry,
                           &entry, each, ctx, why);
}

/* ---- seals ----------------------------------------------------------------------------------- */

static enum hf_err read_seal(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_seal *seal = out;

    seal->sequence = hf_col_int(rows, 0);
    seal->sealed_s = hf_col_int(rows, 1);
    return hf_col_copy_bytes(rows, 2, seal->signature, sizeof seal->signature, why);
}

enum hf_err hf_seal_list(struct hf_db *db, int64_t after, size_t limit, hf_db_each *each, void *ctx,
                         struct hf_why *why)
{
    struct hf_seal seal;

    return hf_db_read_each(db, &hf_audit_log_sql[SEAL_LIST],
                           HF_PARAMS(hf_p_int("after", after), hf_p_int("limit", (int64_t)limit)),
                           read_seal, &seal, each, ctx, why);
}

enum hf_err hf_seal_last(struct hf_db *db, struct hf_seal *out, struct hf_why *why)
{
    struct hf_seal seal = {0};
    enum hf_err err = hf_db_read_one(db, &hf_audit_log_sql[SEAL_LAST], HF_NO_PARAMS, read_seal,
                                     &seal, "", why);

    if (err == HF_OK || err == HF_E_NOT_FOUND)
        *out = seal;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* The chain at the entry that a seal covers. */
static enum hf_err find_covered(struct hf_db *db, int64_t sequence, struct hf_audit_head *out,
                                struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, &hf_audit_log_sql[AT], HF_PARAMS(hf_p_int("sequence", sequence)), &rows,
                     why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        err = hf_col_copy_bytes(&rows, 0, out->hash, sizeof out->hash, why);
    hf_db_end(&rows);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the signer sealed entry %" PRId64
                       " of the log, which this database does not have. It may be an old copy: "
                       "restore a newer backup",
                       sequence);
    out->sequence = sequence;
    return err;
}

enum hf_err hf_seal_save(struct hf_tx *tx, const struct hf_seal *seal, const uint8_t *key,
                         struct hf_why *why)
{
    struct hf_audit_head covered;
    struct hf_seal last;

    HF_TRY(find_covered(tx->db, seal->sequence, &covered, why));
    if (key != NULL)
        HF_TRY(hf_audit_seal_verify(&covered, seal->sealed_s, seal->signature, key, why));
    HF_TRY(hf_seal_last(tx->db, &last, why));
    if (seal->sequence < last.sequence)
        return hf_fail(why, HF_E_ROLLBACK,
                       "a seal is older than the newest one (expected entry %" PRId64
                       " or later, found %" PRId64 ")",
                       last.sequence, seal->sequence);
    return hf_db_execute(tx->db, &hf_audit_log_sql[SEAL_INSERT],
                         HF_PARAMS(hf_p_int("sequence", seal->sequence),
                                   hf_p_int("sealed", seal->sealed_s),
                                   hf_p_bytes("signature", seal->signature,
                                              sizeof seal->signature)),
                         why);
}

/* ---- verification ---------------------------------------------------------------------------- */

struct verification {
    struct hf_db *db;
    struct hf_audit_copy copy;
    struct hf_seal next; /* the seal behind the next sealed entry; sequence 0: none is left */
    struct hf_buf line;
};

static enum hf_err note_seal(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_seal *seal = data;
    struct verification *v = ctx;

    (void)why;
    v->next = *seal;
    return HF_OK;
}

static enum hf_err find_next_seal(struct verification *v, struct hf_why *why)
{
    int64_t after = v->next.sequence;

    v->next.sequence = 0;
    return hf_seal_list(v->db, after, 1, note_seal, v, why);
}

/* Without its line feed. */
static enum hf_err verify_line(struct verification *v, struct hf_why *why)
{
    return hf_audit_copy_line(&v->copy, (struct hf_bytes){v->line.data, v->line.len - 1}, why);
}

static enum hf_err verify_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct verification *v = ctx;

    v->line.len = 0;
    HF_TRY(hf_audit_entry_line(entry->text, entry->hash, &v->line, why));
    HF_TRY(verify_line(v, why));
    if (entry->sequence != v->next.sequence)
        return HF_OK;
    v->line.len = 0;
    HF_TRY(
        hf_audit_seal_line(v->next.sequence, v->next.sealed_s, v->next.signature, &v->line, why));
    HF_TRY(verify_line(v, why));
    return find_next_seal(v, why);
}

enum hf_err hf_audit_log_verify(struct hf_db *db, const uint8_t *key, struct hf_audit_copy *out,
                                struct hf_why *why)
{
    struct verification v = {.db = db, .copy = {.key = key}};

    enum hf_err err = find_next_seal(&v, why);
    if (err == HF_OK)
        err = hf_audit_log_list(db, 0, 0, INT64_MAX, verify_entry, &v, why);
    if (err == HF_OK && v.next.sequence != 0)
        err = hf_fail(why, HF_E_ROLLBACK, "entry %" PRId64 " of the log was sealed and is missing",
                      v.next.sequence);
    hf_buf_free(&v.line);
    if (err == HF_OK)
        *out = v.copy;
    return err;
}
