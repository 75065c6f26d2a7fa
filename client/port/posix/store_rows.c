/* The store's rows that are looked up by name: metadata, values, and the journal. */
#include "client/port/posix/store_internal.h"

#include <stdio.h>
#include <string.h>

#define VALUE_BYTES_MAX 4096 /* as schema/client.sql */

static const char *const forms_of_action[] = {"read", "save", "remove"};
enum action { READ, SAVE, REMOVE };

/* "save the timestamp metadata": what a fault's sentence begins with. */
struct action_text {
    char text[128];
};
static struct action_text action_on(enum action action, const char *kind, const char *name)
{
    struct action_text out;

    (void)snprintf(out.text, sizeof(out.text), "%s the %s '%.64s'", forms_of_action[action], kind,
                   name);
    return out;
}

/* The one column of the one row that `sql` gives for `name`. */
static enum hf_err load_named(struct hf_sqlite_store *store, const char *sql, const char *kind,
                              const char *name, struct hf_buf *out, struct hf_why *why)
{
    struct action_text action = action_on(READ, kind, name);
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_store_check_readable(store, why));
    HF_TRY(hf_db_prepare(store->db, sql, action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, name);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, out, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "no %s '%s' is stored", kind, name);
    else
        err = hf_db_fail(store->db, action.text, why);
    sqlite3_finalize(stmt);
    return err;
}

/* ---- metadata ---------------------------------------------------------------------------------- */

enum hf_err hf_store_load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                   struct hf_why *why)
{
    const struct hf_sqlite_store *store = ctx;

    if (store->root_damage.code != HF_OK && strcmp(role, "root") == 0)
        return hf_fail(why, store->root_damage.code, "%s", store->root_damage.text);
    return load_named(ctx, "SELECT bytes FROM metadata WHERE role = ?1", "metadata", role, out,
                      why);
}

enum hf_err hf_store_save_metadata(void *ctx, const char *role, int64_t version,
                                   struct hf_bytes file, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    struct action_text action = action_on(SAVE, "metadata", role);
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_check_writable(store, why));
    HF_TRY(hf_db_prepare(store->db,
                         "INSERT OR REPLACE INTO metadata (role, version, bytes) "
                         "VALUES (?1, ?2, ?3)",
                         action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, role);
    (void)sqlite3_bind_int64(stmt, 2, version);
    hf_db_bind_bytes(stmt, 3, file);
    store->is_unsynced = true;
    return hf_db_finish(store->db, stmt, action.text, why);
}

enum hf_err hf_store_remove_metadata(void *ctx, const char *role, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    struct action_text action = action_on(REMOVE, "metadata", role);
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_check_writable(store, why));
    HF_TRY(
        hf_db_prepare(store->db, "DELETE FROM metadata WHERE role = ?1", action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, role);
    store->is_unsynced = true;
    return hf_db_finish(store->db, stmt, action.text, why);
}

/* ---- values ------------------------------------------------------------------------------------ */

enum hf_err hf_store_load_value(void *ctx, const char *name, struct hf_buf *out, struct hf_why *why)
{
    return load_named(ctx, "SELECT value FROM value WHERE name = ?1", "value", name, out, why);
}

enum hf_err hf_store_save_value(void *ctx, const char *name, const char *value, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    struct action_text action = action_on(SAVE, "value", name);
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_check_writable(store, why));
    if (strlen(value) > VALUE_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "cannot %s: it has %zu bytes, at most %d are kept",
                       action.text, strlen(value), VALUE_BYTES_MAX);
    HF_TRY(hf_db_prepare(store->db, "INSERT OR REPLACE INTO value (name, value) VALUES (?1, ?2)",
                         action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, name);
    hf_db_bind_text(stmt, 2, value);
    return hf_db_finish(store->db, stmt, action.text, why);
}

/* ---- the journal ------------------------------------------------------------------------------- */

enum hf_err hf_store_append_event(void *ctx, const struct hf_event *event, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    sqlite3_stmt *stmt = NULL;
    static const char action[] = "write to the journal";

    HF_TRY(hf_store_check_writable(store, why));
    HF_TRY(hf_db_prepare(store->db,
                         "INSERT INTO event (time_s, level, kind, text) VALUES (?1, ?2, ?3, ?4)",
                         action, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, event->time_s);
    (void)sqlite3_bind_int(stmt, 2, (int)event->level);
    hf_db_bind_text(stmt, 3, event->kind);
    hf_db_bind_text(stmt, 4, event->text);
    return hf_db_finish(store->db, stmt, action, why);
}

static struct hf_event event_of_row(sqlite3_stmt *stmt)
{
    return (struct hf_event){
        .time_s = sqlite3_column_int64(stmt, 0),
        .level = (enum hf_level)sqlite3_column_int(stmt, 1),
        .kind = (const char *)sqlite3_column_text(stmt, 2),
        .text = (const char *)sqlite3_column_text(stmt, 3),
    };
}

enum hf_err hf_sqlite_store_events(struct hf_sqlite_store *store, size_t max,
                                   void (*each)(void *ctx, const struct hf_event *event), void *ctx,
                                   struct hf_why *why)
{
    static const char action[] = "read the journal";
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    int rc = SQLITE_DONE;

    HF_TRY(hf_store_check_readable(store, why));
    HF_TRY(hf_db_prepare(store->db,
                         "SELECT time_s, level, kind, text FROM event ORDER BY id DESC LIMIT ?1",
                         action, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)max);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct hf_event event = event_of_row(stmt);
        if (event.kind != NULL && event.text != NULL)
            each(ctx, &event);
    }
    if (rc != SQLITE_DONE)
        err = hf_db_fail(store->db, action, why);
    sqlite3_finalize(stmt);
    return err;
}
