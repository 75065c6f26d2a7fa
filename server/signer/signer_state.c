#include "server/signer/signer_state.h"

#include "common/os/file_util.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/signer/limits.h"

#include <inttypes.h>
#include <string.h>

extern const struct hf_migration hf_signer_migrations[];
extern const size_t hf_signer_migrations_len;

enum hf_err hf_signer_state_open(const char *dir, struct hf_signer_state *out, struct hf_why *why)
{
    struct hf_signer_state state = {0};
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/signer.db", dir));
    HF_TRY(hf_db_connect(&hf_db_sqlite, path.text, HF_DB_CREATE, &state.db, why));
    enum hf_err err = hf_db_lock(state.db, "signer", why);
    if (err == HF_E_BUSY)
        err = hf_fail(why, err, "another holdfast-signer uses the state folder %s; stop it first",
                      dir);
    if (err == HF_OK)
        err = hf_db_migrate(state.db, hf_signer_migrations, hf_signer_migrations_len, why);
    if (err == HF_OK)
        *out = state;
    else
        hf_signer_state_close(&state);
    return err;
}

void hf_signer_state_close(struct hf_signer_state *state)
{
    hf_db_close(state->db);
    *state = (struct hf_signer_state){0};
}

enum hf_err hf_signer_state_note(struct hf_signer_state *state,
                                 const struct hf_signature_note *note, struct hf_why *why)
{
    static const struct hf_sql insert =
        {"signature_insert",
         "INSERT INTO signature (at_s, kind, subject, version, sha256)"
         " VALUES (:at_s, :kind, :subject, :version, :sha256)",
         ""};
    uint8_t sha256[HF_SHA256_LEN];
    hf_sha256(note->what, sha256);
    return hf_db_execute(state->db, &insert,
                         HF_PARAMS(hf_p_int("at_s", note->now_s), hf_p_text("kind", note->kind),
                                   hf_p_text("subject", note->subject),
                                   hf_p_int("version", note->version),
                                   hf_p_bytes("sha256", sha256, sizeof sha256)),
                         why);
}

enum hf_err hf_signer_state_note_beside(const char *dir, const struct hf_signature_note *note,
                                        struct hf_why *why)
{
    struct hf_signer_state state = {0};
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/signer.db", dir));
    HF_TRY(hf_db_connect(&hf_db_sqlite, path.text, HF_DB_WRITE, &state.db, why));
    enum hf_err err = hf_db_migrate(state.db, hf_signer_migrations, hf_signer_migrations_len, why);
    if (err == HF_OK)
        err = hf_signer_state_note(&state, note, why);
    hf_signer_state_close(&state);
    return err;
}

/* Commit, or roll back what led to `err`. */
static enum hf_err end(struct hf_signer_state *state, enum hf_err err, struct hf_why *why)
{
    if (err == HF_OK)
        return hf_db_commit(state->db, why);
    hf_db_rollback(state->db);
    return err;
}

enum hf_err hf_signer_state_note_version(struct hf_signer_state *state,
                                         const struct hf_signature_note *note, struct hf_why *why)
{
    static const struct hf_sql newest =
        {"signature_newest", "SELECT COALESCE(MAX(version), 0) FROM signature WHERE kind = :kind",
         "i"};
    int64_t noted = 0;
    HF_TRY(hf_db_begin(state->db, why));
    enum hf_err err = hf_db_get_int(state->db, &newest, HF_PARAMS(hf_p_text("kind", note->kind)),
                                    &noted, why);
    if (err == HF_OK && note->version > noted)
        err = hf_signer_state_note(state, note, why);
    return end(state, err, why);
}

/* ---- the seal -------------------------------------------------------------------------------- */

enum hf_err hf_signer_state_seal_head(struct hf_signer_state *state, struct hf_seal_head *out,
                                      struct hf_why *why)
{
    static const struct hf_sql read = {"seal_read",
                                       "SELECT sequence, hash, sealed_s FROM seal WHERE id = 1",
                                       "ibi"};
    struct hf_seal_head head = {0};
    struct hf_rows rows;
    HF_TRY(hf_db_run(state->db, &read, HF_NO_PARAMS, &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        head.head.sequence = hf_col_int(&rows, 0);
        head.sealed_s = hf_col_int(&rows, 2);
        err = hf_col_copy_bytes(&rows, 1, head.head.hash, sizeof head.head.hash, why);
    } else if (err == HF_E_NOT_FOUND) {
        err = HF_OK;
    }
    hf_db_end(&rows);
    if (err == HF_OK)
        *out = head;
    return err;
}

enum hf_err hf_signer_state_set_seal_head(struct hf_signer_state *state,
                                          const struct hf_seal_head *head,
                                          const struct hf_signature_note *note, struct hf_why *why)
{
    static const struct hf_sql write =
        {"seal_write",
         "INSERT INTO seal (id, sequence, hash, sealed_s) VALUES (1, :sequence, :hash, :sealed_s)"
         " ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash,"
         " sealed_s = excluded.sealed_s",
         ""};
    static const struct hf_sql is_restarted = {"restart_count", "SELECT COUNT(*) FROM restart",
                                               "i"};
    static const struct hf_sql forget = {"restart_forget", "DELETE FROM restart", ""};
    struct hf_seal_head before;
    int64_t n_restarts = 0;
    HF_TRY(hf_db_begin(state->db, why));
    enum hf_err err = hf_signer_state_seal_head(state, &before, why);
    if (err == HF_OK)
        err = hf_db_get_int(state->db, &is_restarted, HF_NO_PARAMS, &n_restarts, why);
    if (err == HF_OK && n_restarts == 0 && head->head.sequence <= before.head.sequence)
        err = hf_fail(why, HF_E_ROLLBACK,
                      "the log is sealed up to entry %" PRId64 ": expected a later one, found "
                      "%" PRId64,
                      before.head.sequence, head->head.sequence);
    if (err == HF_OK)
        err = hf_db_execute(state->db, &write,
                            HF_PARAMS(hf_p_int("sequence", head->head.sequence),
                                      hf_p_bytes("hash", head->head.hash, sizeof head->head.hash),
                                      hf_p_int("sealed_s", head->sealed_s)),
                            why);
    if (err == HF_OK)
        err = hf_db_execute(state->db, &forget, HF_NO_PARAMS, why);
    if (err == HF_OK)
        err = hf_signer_state_note(state, note, why);
    return end(state, err, why);
}

/* ---- a restart of the log -------------------------------------------------------------------- */

enum hf_err hf_signer_state_restart(struct hf_signer_state *state, struct hf_log_restart *out,
                                    struct hf_why *why)
{
    static const struct hf_sql read = {"restart_read",
                                       "SELECT statement, sequence, hash FROM restart WHERE id = 1",
                                       "tib"};
    struct hf_log_restart restart = {0};
    struct hf_rows rows;
    HF_TRY(hf_db_run(state->db, &read, HF_NO_PARAMS, &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        restart.read.sequence = hf_col_int(&rows, 1);
        err = hf_col_copy_bytes(&rows, 2, restart.read.hash, sizeof restart.read.hash, why);
        if (err == HF_OK)
            err = hf_json_parse_object(hf_bytes_of_text(hf_col_text(&rows, 0)),
                                       "a restart of the log", &restart.statement, why);
    } else if (err == HF_E_NOT_FOUND) {
        err = HF_OK;
    }
    hf_db_end(&rows);
    if (err == HF_OK)
        *out = restart;
    return err;
}

enum hf_err hf_signer_state_begin_restart(struct hf_signer_state *state, const json_t *statement,
                                          const struct hf_signature_note *note, struct hf_why *why)
{
    static const struct hf_sql write =
        {"restart_write",
         "INSERT INTO restart (id, statement, sequence, hash) VALUES (1, :statement, -1, :hash)"
         " ON CONFLICT (id) DO UPDATE SET statement = excluded.statement, sequence = -1",
         ""};
    static const uint8_t none[HF_AUDIT_HASH_LEN];
    struct hf_buf text = {0};
    HF_TRY(hf_json_write(statement, &text, why));
    enum hf_err err = hf_db_begin(state->db, why);
    if (err == HF_OK) {
        err = hf_db_execute(state->db, &write,
                            HF_PARAMS(hf_p_text("statement", (const char *)text.data),
                                      hf_p_bytes("hash", none, sizeof none)),
                            why);
        if (err == HF_OK)
            err = hf_signer_state_note(state, note, why);
        err = end(state, err, why);
    }
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_signer_state_set_restart_read(struct hf_signer_state *state,
                                             const struct hf_audit_head *read, struct hf_why *why)
{
    static const struct hf_sql write = {"restart_set_read",
                                        "UPDATE restart SET sequence = :sequence, hash = :hash"
                                        " WHERE id = 1",
                                        ""};
    return hf_db_execute(state->db, &write,
                         HF_PARAMS(hf_p_int("sequence", read->sequence),
                                   hf_p_bytes("hash", read->hash, sizeof read->hash)),
                         why);
}

/* ---- what was signed ------------------------------------------------------------------------- */

enum hf_err hf_signer_state_newest(struct hf_signer_state *state, int64_t *out, struct hf_why *why)
{
    static const struct hf_sql newest = {"signature_newest_id",
                                         "SELECT COALESCE(MAX(id), 0) FROM signature", "i"};
    return hf_db_get_int(state->db, &newest, HF_NO_PARAMS, out, why);
}

enum hf_err hf_signer_state_signatures(struct hf_signer_state *state, int64_t after, json_t **out,
                                       struct hf_why *why)
{
    static const struct hf_sql list = {"signature_list",
                                       "SELECT id, at_s, kind, subject, sha256 FROM signature"
                                       " WHERE id > :after ORDER BY id LIMIT :n",
                                       "iittb"};
    struct hf_rows rows;
    enum hf_err err;
    HF_TRY(
        hf_db_run(state->db, &list,
                  HF_PARAMS(hf_p_int("after", after), hf_p_int("n", HF_SIGNER_SIGNATURES_AT_ONCE)),
                  &rows, why));
    json_t *found = json_array();
    while ((err = hf_db_next(&rows, why)) == HF_OK) {
        uint8_t sha256[HF_SHA256_LEN];
        err = hf_col_copy_bytes(&rows, 4, sha256, sizeof sha256, why);
        if (err != HF_OK)
            break;
        found = hf_json_append_take(found, json_pack("{s:I, s:o, s:s, s:s, s:o}", "id",
                                                     (json_int_t)hf_col_int(&rows, 0), "time",
                                                     hf_json_time(hf_col_int(&rows, 1)), "kind",
                                                     hf_col_text(&rows, 2), "subject",
                                                     hf_col_text(&rows, 3), "sha256",
                                                     hf_json_sha256(sha256)));
    }
    hf_db_end(&rows);
    if (err == HF_E_NOT_FOUND)
        err = found != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a list");
    if (err == HF_OK)
        *out = found;
    else
        json_decref(found);
    return err;
}
