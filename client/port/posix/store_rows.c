/* The store's statements, and the rows that are looked up by name: metadata, values, the
 * journal. */
#include "client/port/posix/sqlite_store.h"

#include "common/base/plaintext.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *text;
    bool is_write;
} statements[HF_SQL_COUNT] = {
    [HF_SQL_BEGIN] = {"BEGIN IMMEDIATE", true},
    [HF_SQL_COMMIT] = {"COMMIT", true},
    [HF_SQL_LOAD_METADATA] = {"SELECT bytes FROM metadata WHERE role = ?1", false},
    [HF_SQL_SAVE_METADATA] = {"INSERT OR REPLACE INTO metadata (role, version, bytes) "
                              "VALUES (?1, ?2, ?3)",
                              true},
    [HF_SQL_REMOVE_METADATA] = {"DELETE FROM metadata WHERE role = ?1", true},
    [HF_SQL_LOAD_VALUE] = {"SELECT value FROM value WHERE name = ?1", false},
    [HF_SQL_SAVE_VALUE] = {"INSERT OR REPLACE INTO value (name, value) VALUES (?1, ?2)", true},
    [HF_SQL_APPEND_EVENT] = {"INSERT INTO event (time_s, level, kind, text) "
                             "VALUES (?1, ?2, ?3, ?4)",
                             true},
    [HF_SQL_APPEND_REPORT] = {"INSERT INTO report (seq, json) VALUES (?1, ?2)", true},
    [HF_SQL_REMOVE_REPORT] = {"DELETE FROM report WHERE seq = ?1", true},
    [HF_SQL_LOAD_BUNDLE] = {"SELECT set_name, profile, version, sha256, pem, custom FROM bundle "
                            "WHERE slot = ?1",
                            false},
};

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

enum hf_err hf_store_prepare(struct hf_sqlite_store *store, enum hf_sql sql, const char *action,
                             sqlite3_stmt **out, struct hf_why *why)
{
    sqlite3_stmt **kept = &store->statements[sql];

    HF_TRY(statements[sql].is_write ? hf_store_check_writable(store, why)
                                    : hf_store_check_readable(store, why));
    if (*kept == NULL && sqlite3_prepare_v3(store->db, statements[sql].text, -1,
                                            SQLITE_PREPARE_PERSISTENT, kept, NULL) != SQLITE_OK)
        return hf_db_fail(store->db, action, why);
    *out = *kept;
    return HF_OK;
}

enum hf_err hf_store_run(struct hf_sqlite_store *store, sqlite3_stmt *stmt, const char *action,
                         struct hf_why *why)
{
    enum hf_err err = sqlite3_step(stmt) == SQLITE_DONE ? HF_OK
                                                        : hf_db_fail(store->db, action, why);

    (void)sqlite3_reset(stmt);
    return err;
}

#define VALUE_BYTES_MAX 4096 /* as schema/client.sql */

/* "save the metadata 'timestamp'": what the sentence about a fault begins with. */
struct action {
    char text[128];
};

static struct action action_on(const char *verb, const char *kind, const char *name)
{
    struct action out;

    (void)snprintf(out.text, sizeof out.text, "%s the %s \"%.64s\"", verb, kind, name);
    return out;
}

/* The one column of the one row for `name`. */
static enum hf_err load_named(struct hf_sqlite_store *store, enum hf_sql sql, const char *kind,
                              const char *name, struct hf_buf *out, struct hf_why *why)
{
    struct action action = action_on("read", kind, name);
    sqlite3_stmt *stmt = NULL;
    enum hf_err err;

    HF_TRY(hf_store_prepare(store, sql, action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, name);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, out, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "no %s \"%s\" is stored", kind, name);
    else
        err = hf_db_fail(store->db, action.text, why);
    (void)sqlite3_reset(stmt);
    return err;
}

enum hf_err hf_store_load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                   struct hf_why *why)
{
    const struct hf_sqlite_store *store = ctx;

    if (store->root_damage.code != HF_OK && strcmp(role, "root") == 0)
        return hf_fail(why, store->root_damage.code, "%s", store->root_damage.text);
    return load_named(ctx, HF_SQL_LOAD_METADATA, "metadata", role, out, why);
}

enum hf_err hf_store_save_metadata(void *ctx, const char *role, int64_t version,
                                   struct hf_bytes file, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    struct action action = action_on("save", "metadata", role);
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_prepare(store, HF_SQL_SAVE_METADATA, action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, role);
    (void)sqlite3_bind_int64(stmt, 2, version);
    hf_db_bind_bytes(stmt, 3, file);
    store->is_unsynced = true;
    return hf_store_run(store, stmt, action.text, why);
}

enum hf_err hf_store_remove_metadata(void *ctx, const char *role, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    struct action action = action_on("remove", "metadata", role);
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_prepare(store, HF_SQL_REMOVE_METADATA, action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, role);
    store->is_unsynced = true;
    return hf_store_run(store, stmt, action.text, why);
}

enum hf_err hf_store_load_value(void *ctx, const char *name, struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = load_named(ctx, HF_SQL_LOAD_VALUE, "value", name, out, why);

    if (err == HF_OK && out->len > 0) /* shown to people, and the folder may be another user's */
        hf_text_sanitize((char *)out->data);
    return err;
}

enum hf_err hf_store_save_value(void *ctx, const char *name, const char *value, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    struct action action = action_on("save", "value", name);
    sqlite3_stmt *stmt = NULL;

    if (strlen(value) > VALUE_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "cannot %s: it has %zu bytes, at most %d are kept",
                       action.text, strlen(value), VALUE_BYTES_MAX);
    HF_TRY(hf_store_prepare(store, HF_SQL_SAVE_VALUE, action.text, &stmt, why));
    hf_db_bind_text(stmt, 1, name);
    hf_db_bind_text(stmt, 2, value);
    return hf_store_run(store, stmt, action.text, why);
}

enum hf_err hf_store_append_event(void *ctx, const struct hf_event *event, struct hf_why *why)
{
    static const char action[] = "write to the journal";
    struct hf_sqlite_store *store = ctx;
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_prepare(store, HF_SQL_APPEND_EVENT, action, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, event->time_s);
    (void)sqlite3_bind_int(stmt, 2, (int)event->level);
    hf_db_bind_text(stmt, 3, event->kind);
    hf_db_bind_text(stmt, 4, event->text);
    return hf_store_run(store, stmt, action, why);
}

void hf_store_note(struct hf_sqlite_store *store, enum hf_level level, const char *kind,
                   const char *text)
{
    struct hf_event event = {(int64_t)time(NULL), level, kind, text};

    (void)hf_store_append_event(store, &event, NULL);
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
        int level = sqlite3_column_int(stmt, 1); /* of a damaged file it may be any number */
        bool is_level = level >= HF_LEVEL_DEBUG && level <= HF_LEVEL_ERROR;
        const char *kind = (const char *)sqlite3_column_text(stmt, 2);
        const char *text = (const char *)sqlite3_column_text(stmt, 3);
        struct hf_why plain_kind, plain_text; /* whatever another user wrote there */
        if (kind == NULL || text == NULL)
            continue;
        (void)hf_fail(&plain_kind, HF_OK, "%s", kind);
        (void)hf_fail(&plain_text, HF_OK, "%s", text);
        const struct hf_event event = {.time_s = sqlite3_column_int64(stmt, 0),
                                       .level = is_level ? (enum hf_level)level : HF_LEVEL_ERROR,
                                       .kind = plain_kind.text,
                                       .text = plain_text.text};
        each(ctx, &event);
    }
    if (rc != SQLITE_DONE)
        err = hf_db_fail(store->db, action, why);
    sqlite3_finalize(stmt);
    return err;
}
