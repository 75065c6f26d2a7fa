#include "client/port/posix/db_root.h"

#include "client/core/refresh.h"
#include "client/port/posix/db.h"
#include "common/tuf/trusted_set.h"

/* The one column of the one row; empty without a row. */
static enum hf_err load_row(sqlite3 *db, const char *sql, struct hf_buf *out, struct hf_why *why)
{
    static const char action[] = "read the root metadata";
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(db, sql, action, &stmt, why));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, out, why);
    else if (rc != SQLITE_DONE)
        err = hf_db_fail(db, action, why);
    sqlite3_finalize(stmt);
    return err;
}

/* What cannot be read counts as none. */
static void load_receipts(sqlite3 *db, struct hf_receipts *out)
{
    struct hf_buf value = {0};

    *out = (struct hf_receipts){0};
    if (load_row(db, "SELECT value FROM value WHERE name = '" HF_VERIFIED_NAME "'", &value, NULL) ==
            HF_OK &&
        value.len > 0)
        hf_verified_parse((const char *)value.data, out);
    hf_buf_free(&value);
}

/* It was signed and verified before it was stored: whatever is wrong with it now is damage. */
static enum hf_err verify(sqlite3 *db, struct hf_bytes file, int64_t *version, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_receipts known;
    struct hf_why reason = {0};

    load_receipts(db, &known);
    enum hf_err err = hf_trusted_set_resume(&set, file, 0, &known, &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK)
        return hf_fail(why, HF_E_STORAGE, "the root metadata in %s is damaged (%.160s)",
                       sqlite3_db_filename(db, "main"),
                       err == HF_E_SIGNATURE ? "its own signatures do not verify" : reason.text);
    *version = set.root->env.version;
    hf_trusted_set_free(&set);
    return HF_OK;
}

enum hf_err hf_db_root_load(sqlite3 *db, struct hf_buf *out, int64_t *version, struct hf_why *why)
{
    struct hf_buf file = {0};

    enum hf_err err = load_row(db, "SELECT bytes FROM metadata WHERE role = 'root'", &file, why);
    if (err == HF_OK && file.len == 0)
        err = hf_fail(why, HF_E_NOT_FOUND, "there is no root metadata in %s",
                      sqlite3_db_filename(db, "main"));
    if (err == HF_OK)
        err = verify(db, hf_buf_bytes(&file), version, why);
    if (err == HF_OK && hf_buf_append(out, file.data, file.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory reading the root metadata");
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_db_root_check(sqlite3 *db, struct hf_why *why)
{
    struct hf_buf file = {0};
    int64_t version = 0;

    enum hf_err err = hf_db_root_load(db, &file, &version, why);
    hf_buf_free(&file);
    return err;
}
