#include "client/port/posix/migrate.h"

#include "client/port/posix/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char action[] = "bring the database's schema up to date";

static enum hf_err read_version(sqlite3 *db, int64_t *out, struct hf_why *why)
{
    return hf_db_query_int64(db, "PRAGMA user_version", "read the schema's version", out, why);
}

enum hf_err hf_schema_check(sqlite3 *db, int64_t newest, int64_t *out, struct hf_why *why)
{
    int64_t application = 0;
    int64_t version = 0;

    HF_TRY(hf_db_query_int64(db, "PRAGMA application_id", "read the database", &application, why));
    if (application != HF_CLIENT_APPLICATION_ID)
        return hf_fail(why, HF_E_STORAGE, "%s is empty or not a database of holdfast",
                       sqlite3_db_filename(db, "main"));
    HF_TRY(read_version(db, &version, why));
    if (version > newest)
        return hf_fail(why, HF_E_SCHEMA,
                       "%s was written by a newer holdfast: its schema is %" PRId64
                       ", this one writes %" PRId64 "; install the newer holdfast again",
                       sqlite3_db_filename(db, "main"), version, newest);
    *out = version;
    return HF_OK;
}

/* Inside a transaction. Looks at the version again: another process may have been quicker. */
static enum hf_err run_step(sqlite3 *db, const struct hf_migration *step, struct hf_why *why)
{
    int64_t version = 0;
    char pragmas[96];

    HF_TRY(read_version(db, &version, why));
    if (version >= step->number)
        return HF_OK;
    HF_TRY(hf_db_exec(db, step->sql, action, why));
    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA user_version = %" PRId64 "; PRAGMA application_id = %" PRId64,
                   step->number, HF_CLIENT_APPLICATION_ID);
    return hf_db_exec(db, pragmas, action, why);
}

enum hf_err hf_schema_migrate(sqlite3 *db, const struct hf_migration *steps, size_t n_steps,
                              struct hf_why *why)
{
    for (size_t i = 0; i < n_steps; i++) {
        HF_TRY(hf_db_exec(db, "BEGIN IMMEDIATE", action, why));
        enum hf_err err = run_step(db, &steps[i], why);
        if (err == HF_OK)
            err = hf_db_exec(db, "COMMIT", action, why);
        if (err != HF_OK) {
            (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return err;
        }
    }
    return HF_OK;
}

/* ---- what came of it ---------------------------------------------------------------------------- */

enum hf_err hf_schema_describe(sqlite3 *db, struct hf_buf *out, struct hf_why *why)
{
    static const char reading[] = "read the database's schema";
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    int rc = SQLITE_DONE;

    HF_TRY(hf_db_prepare(db,
                         "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, '') "
                         "FROM sqlite_schema ORDER BY name",
                         reading, &stmt, why));
    while (err == HF_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        err = hf_db_column_append(stmt, 0, out, why);
        if (err == HF_OK && hf_buf_append_text(out, ";") != HF_OK)
            err = hf_fail(why, HF_E_MEMORY, "out of memory reading the database's schema");
    }
    if (err == HF_OK && rc != SQLITE_DONE)
        err = hf_db_fail(db, reading, why);
    sqlite3_finalize(stmt);
    return err;
}

static enum hf_err describe_new(const struct hf_migration *steps, size_t n_steps,
                                struct hf_buf *out, struct hf_why *why)
{
    sqlite3 *db = NULL;
    enum hf_err err = HF_OK;

    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the schema of a new database");
    if (err == HF_OK)
        hf_db_harden(db);
    if (err == HF_OK)
        err = hf_schema_migrate(db, steps, n_steps, why);
    if (err == HF_OK)
        err = hf_schema_describe(db, out, why);
    sqlite3_close(db);
    return err;
}

/* Building a database costs more than the rest of an update without news, so it is built only if the
 * schema is not today's: to be judged after all, or to be brought up to date. */
const char hf_client_schema_sha256[] =
    "422f67e4dfdf1aac1c99850d63143d02e6cdef2bff4bbb05c51939fed3a65a81";

static bool is_todays(struct hf_bytes schema, const struct hf_migration *steps, int64_t version)
{
    char found[HF_SHA256_HEX_LEN];

    if (steps != hf_client_migrations || version != (int64_t)hf_client_migrations_len)
        return false;
    hf_sha256_hex(schema, found);
    return strcmp(found, hf_client_schema_sha256) == 0;
}

enum hf_err hf_schema_compare(sqlite3 *db, const struct hf_migration *steps, int64_t version,
                              struct hf_why *why)
{
    size_t n_steps = version > 0 ? (size_t)version : 0; /* below that it has rotted too */
    struct hf_buf is = {0};
    struct hf_buf should_be = {0};

    enum hf_err err = hf_schema_describe(db, &is, why);
    if (err != HF_OK || is_todays(hf_buf_bytes(&is), steps, version))
        goto out;
    err = describe_new(steps, n_steps, &should_be, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&is), hf_buf_bytes(&should_be)))
        err = hf_fail(why, HF_E_FORMAT, "%s is damaged: its schema is not that of version %" PRId64,
                      sqlite3_db_filename(db, "main"), version);
out:
    hf_buf_free(&is);
    hf_buf_free(&should_be);
    return err;
}
