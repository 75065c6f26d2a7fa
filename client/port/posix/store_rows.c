/* The store's transactions, and the rows that are looked up by name: metadata, values, the journal. */
#include "client/port/posix/db.h"
#include "client/port/posix/store_internal.h"
#include "client/port/posix/system.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- transactions ---------------------------------------------------------------------------- */

enum hf_err hf_store_check_readable(const struct hf_sqlite_store *store, struct hf_why *why)
{
    return store->db != NULL ? HF_OK
                             : hf_fail(why, store->unusable.code, "%s", store->unusable.text);
}

enum hf_err hf_store_check_writable(const struct hf_sqlite_store *store, struct hf_why *why)
{
    return store->unusable.code == HF_OK
               ? HF_OK
               : hf_fail(why, store->unusable.code, "%s", store->unusable.text);
}

enum hf_err hf_store_sync_log(struct hf_sqlite_store *store, struct hf_why *why)
{
    HF_TRY(hf_db_sync(store->db, why));
    store->is_unsynced = false;
    return HF_OK;
}

void hf_store_roll_back(struct hf_sqlite_store *store)
{
    store->has_moved = false;
    /* SQLite may have done it by itself, after a full disk for instance. */
    if (store->db != NULL && sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

enum hf_err hf_store_commit(struct hf_sqlite_store *store, struct hf_why *why)
{
    enum hf_err err = hf_db_exec(store->db, "COMMIT", "commit", why);

    if (err != HF_OK)
        hf_store_roll_back(store);
    else if (store->has_moved) /* on disk before links and trust store depend on it */
        err = hf_store_sync_log(store, why);
    return err;
}

enum hf_err hf_store_write_begin(struct hf_sqlite_store *store, struct hf_why *why)
{
    HF_TRY(hf_store_check_writable(store, why));
    if (store->is_in_transaction)
        return HF_OK;
    return hf_db_exec(store->db, "BEGIN IMMEDIATE", "begin to write", why);
}

enum hf_err hf_store_write_end(struct hf_sqlite_store *store, enum hf_err err, struct hf_why *why)
{
    if (store->is_in_transaction)
        return err;
    if (err == HF_OK)
        return hf_store_commit(store, why);
    hf_store_roll_back(store);
    return err;
}

/* ---- rows by name ---------------------------------------------------------------------------- */

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

    (void)snprintf(out.text, sizeof(out.text), "%s the %s \"%.64s\"", forms_of_action[action], kind,
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
        err = hf_fail(why, HF_E_NOT_FOUND, "no %s \"%s\" is stored", kind, name);
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

void hf_store_note(struct hf_sqlite_store *store, enum hf_level level, const char *kind,
                   const char *text)
{
    struct hf_event event = {(int64_t)time(NULL), level, kind, text};

    (void)hf_store_append_event(store, &event, NULL);
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

/* ---- root metadata that has rotted ----------------------------------------------------------- */

/* A store whose root metadata has rotted: it takes that, and nothing else, from the database's copy. */

struct restored {
    struct hf_buf file;
    int64_t version;
    const char *damage; /* what was wrong with the one it replaces */
};

static enum hf_err write_root(struct hf_sqlite_store *store, const struct restored *root,
                              struct hf_why *why)
{
    struct hf_why text = {0};

    HF_TRY(hf_store_save_metadata(store, "root", root->version, hf_buf_bytes(&root->file), why));
    (void)hf_fail(&text, HF_E_STORAGE,
                  "%.400s; version %" PRId64 " from its copy has taken its place", root->damage,
                  root->version);
    hf_store_note(store, HF_LEVEL_ERROR, "restored", text.text);
    return HF_OK;
}

/* The caller holds the lock. */
static enum hf_err restore_root_locked(struct hf_sqlite_store *store, struct hf_why *why)
{
    struct restored root = {0};
    struct hf_why damage = {0};

    /* The holder of the lock before us may have done it. */
    enum hf_err err = hf_db_root_check(store->db, &damage);
    if (err == HF_OK)
        return HF_OK;
    root.damage = damage.text;
    err = hf_db_copy_load_root(store->state_dir, &root.file, &root.version, why);
    if (err == HF_OK)
        err = hf_store_write_begin(store, why);
    if (err == HF_OK)
        err = hf_store_write_end(store, write_root(store, &root, why), why);
    hf_buf_free(&root.file);
    return err;
}

static enum hf_err restore_root(struct hf_sqlite_store *store, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_lock_take(store->state_dir, HF_STORE_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = restore_root_locked(store, why);
    hf_lock_release(lock);
    return err;
}

void hf_store_heal_root(struct hf_sqlite_store *store)
{
    struct hf_why damage = {0};
    struct hf_why reason = {0};

    store->root_damage = (struct hf_why){0};
    enum hf_err err = hf_db_root_check(store->db, &damage);
    bool is_lost = err == HF_E_NOT_FOUND && store->copied_changes >= 0;
    if ((err != HF_E_STORAGE && !is_lost) || restore_root(store, &reason) == HF_OK)
        return;
    (void)hf_fail(&store->root_damage, HF_E_STORAGE,
                  "%.300s, and its copy cannot take its place: %.300s; if this stays so, move %s "
                  "away and run holdfast init",
                  damage.text, reason.text, store->state_dir);
}
