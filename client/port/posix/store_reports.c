/* Reports that wait to be sent: rows of the table `report`. */
#include "client/port/posix/sqlite_store.h"

#include "common/os/file_util.h"

#include <unistd.h>

/* Is there while the numbers of the database's reports are in doubt. */
#define DOUBT "reports.doubt"

enum hf_err hf_store_append_report(void *ctx, int64_t seq, struct hf_bytes json, struct hf_why *why)
{
    static const char action[] = "keep a report";
    struct hf_sqlite_store *store = ctx;
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_prepare(store, HF_SQL_APPEND_REPORT, action, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, seq);
    (void)sqlite3_bind_text64(stmt, 2, (const char *)json.data, json.len, SQLITE_TRANSIENT,
                              SQLITE_UTF8);
    return hf_store_run(store, stmt, action, why);
}

enum hf_err hf_store_remove_report(void *ctx, int64_t seq, struct hf_why *why)
{
    static const char action[] = "remove a report";
    struct hf_sqlite_store *store = ctx;
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_prepare(store, HF_SQL_REMOVE_REPORT, action, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, seq);
    return hf_store_run(store, stmt, action, why);
}

/* What a power cut could still take back must not be sent. Another process may have committed
 * it. */
static enum hf_err make_durable(struct hf_sqlite_store *store, struct hf_why *why)
{
    int64_t n = 0;

    if (store->is_in_transaction || store->unusable.code != HF_OK)
        return HF_OK;
    HF_TRY(
        hf_db_query_int64(store->db, "SELECT count(*) FROM report", "read the reports", &n, why));
    return n > 0 ? hf_store_sync_log(store, why) : HF_OK;
}

enum hf_err hf_store_load_reports(void *ctx,
                                  void (*each)(void *each_ctx, int64_t seq, struct hf_bytes json),
                                  void *each_ctx, struct hf_why *why)
{
    static const char action[] = "read the reports";
    struct hf_sqlite_store *store = ctx;
    sqlite3_stmt *stmt = NULL;
    int rc = SQLITE_DONE;

    HF_TRY(hf_store_check_readable(store, why));
    HF_TRY(make_durable(store, why));
    HF_TRY(
        hf_db_prepare(store->db, "SELECT seq, json FROM report ORDER BY seq", action, &stmt, why));
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint8_t *json = sqlite3_column_text(stmt, 1);
        const int len = sqlite3_column_bytes(stmt, 1);
        each(each_ctx, sqlite3_column_int64(stmt, 0),
             (struct hf_bytes){json, json != NULL ? (size_t)len : 0});
    }
    enum hf_err err = rc == SQLITE_DONE ? HF_OK : hf_db_fail(store->db, action, why);
    sqlite3_finalize(stmt);
    return err;
}

enum hf_err hf_store_doubt_reports(struct hf_sqlite_store *store, struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/" DOUBT, store->state_dir));
    return hf_file_replace(path.text, (struct hf_bytes){0}, 0600, why);
}

enum hf_err hf_store_settle_reports(struct hf_sqlite_store *store, struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/" DOUBT, store->state_dir));
    if (!hf_file_exists(path.text))
        return HF_OK;
    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = hf_db_exec(store->db,
                                 "DELETE FROM report; DELETE FROM value "
                                 "WHERE name IN ('report.installation', 'report.seq')",
                                 "begin a new installation for reports", why);
    HF_TRY(hf_store_write_end(store, err, why));
    HF_TRY(hf_store_sync_log(store, why));
    (void)unlink(path.text);
    return hf_file_sync_parent(path.text, why);
}
