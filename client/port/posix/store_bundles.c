/* The store's bundles and revoked keys: transactions that move them, and the files that follow. */
#include "client/port/posix/sqlite_store.h"

#include "client/port/posix/bundle_files.h"

#include <string.h>

static const char *const slot_names[] = {
    [HF_SLOT_ACTIVE] = "active",
    [HF_SLOT_PREVIOUS] = "previous",
    [HF_SLOT_STAGED] = "staged",
};

/* ---- loading --------------------------------------------------------------------------------- */

static enum hf_err copy_name(sqlite3_stmt *stmt, int column, char out[65], struct hf_why *why)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory loading a bundle");
    if (strlen(text) > 64)
        return hf_fail(why, HF_E_STORAGE, "the database is damaged: a bundle's name has %zu bytes",
                       strlen(text));
    memcpy(out, text, strlen(text) + 1);
    return HF_OK;
}

static enum hf_err record_of_row(sqlite3_stmt *stmt, struct hf_bundle_record *out,
                                 struct hf_why *why)
{
    char found[HF_SHA256_HEX_LEN];

    HF_TRY(copy_name(stmt, 0, out->set, why));
    HF_TRY(copy_name(stmt, 1, out->profile, why));
    out->version = sqlite3_column_int64(stmt, 2);
    HF_TRY(copy_name(stmt, 3, out->sha256, why));
    HF_TRY(hf_db_column_append(stmt, 4, &out->pem, why));
    HF_TRY(hf_db_column_append(stmt, 5, &out->custom, why));
    hf_sha256_hex(hf_buf_bytes(&out->pem), found);
    if (strcmp(found, out->sha256) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "the database is damaged: the SHA-256 of a bundle should be %s, it is %s",
                       out->sha256, found);
    return HF_OK;
}

static enum hf_err load_row(struct hf_sqlite_store *store, enum hf_slot slot,
                            struct hf_bundle_record *out, struct hf_why *why)
{
    static const char action[] = "load a bundle";
    struct hf_bundle_record record = {0};
    sqlite3_stmt *stmt = NULL;
    enum hf_err err;

    HF_TRY(hf_store_prepare(store, HF_SQL_LOAD_BUNDLE, action, &stmt, why));
    hf_db_bind_text(stmt, 1, slot_names[slot]);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = record_of_row(stmt, &record, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "there is no %s bundle", slot_names[slot]);
    else
        err = hf_db_fail(store->db, action, why);
    (void)sqlite3_reset(stmt);
    if (err == HF_OK)
        *out = record;
    else
        hf_bundle_record_free(&record);
    return err;
}

/* A database that cannot be written may lack the newest part of its log, unless it has seen as many
 * changes as its copy. */
static bool has_newest_rows(const struct hf_sqlite_store *store)
{
    int64_t changes = 0;

    return store->db != NULL && store->copied_changes >= 0 &&
           hf_db_changes(store->db, &changes, NULL) == HF_OK && changes >= store->copied_changes;
}

/* The rows come first if they are the newest: after a power cut the files may be old or damaged.
 * The other one serves where the first cannot be used. */
enum hf_err hf_store_load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                                 struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    /* Nothing can be staged where the database cannot be written, and a staged bundle has no
     * link. */
    if (store->unusable.code != HF_OK && (slot == HF_SLOT_STAGED || !has_newest_rows(store))) {
        enum hf_err err = hf_bundle_files_load(store->state_dir, slot, out, why);
        bool is_in_row = err != HF_OK && slot != HF_SLOT_STAGED && store->db != NULL &&
                         load_row(store, slot, out, NULL) == HF_OK;
        return is_in_row ? HF_OK : err;
    }
    enum hf_err err = load_row(store, slot, out, why);
    if (err == HF_E_STORAGE && hf_bundle_files_load(store->state_dir, slot, out, NULL) == HF_OK)
        return HF_OK;
    return err;
}

/* ---- the files follow ------------------------------------------------------------------------ */

/* ?1 to ?6 */
static void bind_record(sqlite3_stmt *stmt, const struct hf_bundle_record *record)
{
    hf_db_bind_text(stmt, 1, record->set);
    hf_db_bind_text(stmt, 2, record->profile);
    (void)sqlite3_bind_int64(stmt, 3, record->version);
    hf_db_bind_text(stmt, 4, record->sha256);
    hf_db_bind_bytes(stmt, 5, hf_buf_bytes(&record->pem));
    hf_db_bind_bytes(stmt, 6, hf_buf_bytes(&record->custom));
}

/* The record of a row that is damaged, from its file, which then takes the row's place. */
static bool repair_row(struct hf_sqlite_store *store, enum hf_slot slot, const char *damage,
                       struct hf_bundle_record *out)
{
    static const char action[] = "repair a bundle";
    struct hf_bundle_record file = {0};
    struct hf_why text = {0};
    sqlite3_stmt *stmt = NULL;

    if (hf_bundle_files_load(store->state_dir, slot, &file, NULL) != HF_OK)
        return false;
    /* The link may be behind the row, after a power cut: a file of another version is not its
     * file. */
    enum hf_err err = hf_db_prepare(store->db,
                                    "UPDATE bundle SET set_name = ?1, profile = ?2, sha256 = ?4, "
                                    "pem = ?5, custom = ?6 WHERE slot = ?7 AND version = ?3",
                                    action, &stmt, NULL);
    if (err == HF_OK) {
        bind_record(stmt, &file);
        hf_db_bind_text(stmt, 7, slot_names[slot]);
        err = hf_db_finish(store->db, stmt, action, NULL);
    }
    if (err != HF_OK || sqlite3_changes(store->db) == 0) {
        hf_bundle_record_free(&file);
        return false;
    }
    (void)hf_fail(&text, HF_E_STORAGE, "%.400s; its file has taken its place", damage);
    hf_store_note(store, HF_LEVEL_ERROR, "restored", text.text);
    *out = file;
    return true;
}

/* Make STATE/bundles agree with the database, after `repairs` of rows that are damaged. What cannot
 * be done now is done by the next commit or open; until then the journal says so. */
static void make_files_follow(struct hf_sqlite_store *store, bool repairs)
{
    struct hf_bundle_record records[3] = {0};
    const struct hf_bundle_record *in[3] = {0};
    struct hf_buf revoked = {0};
    struct hf_why why = {0};
    enum hf_err err = HF_OK;

    /* A row that cannot be loaded ends it here: its file is the last copy and must stay. */
    for (enum hf_slot slot = HF_SLOT_ACTIVE; slot <= HF_SLOT_STAGED && err == HF_OK; slot++) {
        err = load_row(store, slot, &records[slot], &why);
        if (err == HF_E_STORAGE && repairs && repair_row(store, slot, why.text, &records[slot]))
            err = HF_OK;
        if (err == HF_OK)
            in[slot] = &records[slot];
        else if (err == HF_E_NOT_FOUND)
            err = HF_OK;
    }
    if (err == HF_OK) {
        /* A list that has rotted must not take its file with it. */
        bool has_list = hf_db_revoked_load(store->db, &revoked, NULL) == HF_OK;
        const struct hf_bundle_slots slots = {in[HF_SLOT_ACTIVE], in[HF_SLOT_PREVIOUS],
                                              in[HF_SLOT_STAGED], has_list ? &revoked : NULL};
        err = hf_bundle_files_follow(store->state_dir, &slots, &why);
    }
    if (err != HF_OK)
        hf_store_note(store, HF_LEVEL_WARNING, "bundle-files", why.text);
    for (size_t i = 0; i < 3; i++)
        hf_bundle_record_free(&records[i]);
    hf_buf_free(&revoked);
}

/* ---- transactions ---------------------------------------------------------------------------- */

enum hf_err hf_store_sync_log(struct hf_sqlite_store *store, struct hf_why *why)
{
    int64_t changes = -1;

    /* Counted before: what another process commits meanwhile is not synced for certain. */
    if (hf_db_changes(store->db, &changes, NULL) != HF_OK)
        changes = -1;
    HF_TRY(hf_db_sync(store->db, why));
    store->is_unsynced = false;
    store->synced_changes = changes;
    return HF_OK;
}

static enum hf_err begin_now(struct hf_sqlite_store *store, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_prepare(store, HF_SQL_BEGIN, "begin to write", &stmt, why));
    return hf_store_run(store, stmt, "begin to write", why);
}

void hf_store_abort(void *ctx)
{
    struct hf_sqlite_store *store = ctx;

    store->is_in_transaction = false;
    store->has_moved = false;
    /* SQLite may have done it by itself, after a full disk for instance. */
    if (store->db != NULL && sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* A failed commit is rolled back. */
static enum hf_err commit_now(struct hf_sqlite_store *store, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;

    enum hf_err err = hf_store_prepare(store, HF_SQL_COMMIT, "commit", &stmt, why);
    if (err == HF_OK)
        err = hf_store_run(store, stmt, "commit", why);
    store->is_in_transaction = false;
    if (err != HF_OK) {
        hf_store_abort(store);
        return err;
    }
    if (store->has_moved) {
        err = hf_store_sync_log(store, why); /* before links and trust store depend on it */
        store->has_moved = false;
        make_files_follow(store, false);
    }
    return err;
}

enum hf_err hf_store_begin(void *ctx, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    HF_TRY(hf_store_check_writable(store, why));
    if (store->is_in_transaction)
        return hf_fail(why, HF_E_STATE, "a transaction has begun already");
    HF_TRY(begin_now(store, why));
    store->is_in_transaction = true;
    return HF_OK;
}

enum hf_err hf_store_commit(void *ctx, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    if (!store->is_in_transaction)
        return hf_fail(why, HF_E_STATE, "no transaction has begun");
    return commit_now(store, why);
}

enum hf_err hf_store_write_begin(struct hf_sqlite_store *store, struct hf_why *why)
{
    HF_TRY(hf_store_check_writable(store, why));
    return store->is_in_transaction ? HF_OK : begin_now(store, why);
}

enum hf_err hf_store_write_end(struct hf_sqlite_store *store, enum hf_err err, struct hf_why *why)
{
    if (store->is_in_transaction)
        return err;
    if (err == HF_OK)
        return commit_now(store, why);
    hf_store_abort(store);
    return err;
}

/* ---- staging and activating ------------------------------------------------------------------ */

enum hf_err hf_store_stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                  struct hf_why *why)
{
    static const char action[] = "stage a bundle";
    struct hf_sqlite_store *store = ctx;
    char found[HF_SHA256_HEX_LEN];
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_store_check_writable(store, why));
    hf_sha256_hex(hf_buf_bytes(&record->pem), found);
    if (strcmp(found, record->sha256) != 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "the bundle to stage should have the SHA-256 %s, it has %s", record->sha256,
                       found);
    /* The files first: a full disk is noticed before anything is activated. */
    HF_TRY(hf_bundle_files_write(store->state_dir, record, why));
    HF_TRY(hf_db_prepare(store->db,
                         "INSERT OR REPLACE INTO bundle "
                         "(slot, set_name, profile, version, sha256, pem, custom) "
                         "VALUES ('staged', ?1, ?2, ?3, ?4, ?5, ?6)",
                         action, &stmt, why));
    bind_record(stmt, record);
    return hf_db_finish(store->db, stmt, action, why);
}

static enum hf_err count_bundles(struct hf_sqlite_store *store, const char *sql, int64_t *n,
                                 struct hf_why *why)
{
    return hf_db_query_int64(store->db, sql, "look for a bundle", n, why);
}

#define COUNT_PREVIOUS "SELECT count(*) FROM bundle WHERE slot = 'previous'"

enum hf_err hf_store_activate_staged(void *ctx, bool keeps_previous, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    int64_t n_staged = 0;
    int64_t n_previous = 0;

    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = count_bundles(store, "SELECT count(*) FROM bundle WHERE slot = 'staged'",
                                    &n_staged, why);
    if (err == HF_OK)
        err = count_bundles(store, COUNT_PREVIOUS, &n_previous, why);
    if (err == HF_OK && n_staged == 0)
        err = hf_fail(why, HF_E_STATE, "no bundle is staged that could be activated");
    if (err == HF_OK)
        err = hf_db_exec(store->db,
                         keeps_previous && n_previous > 0
                             ? "DELETE FROM bundle WHERE slot = 'active';"
                               "UPDATE bundle SET slot = 'active' WHERE slot = 'staged';"
                             : "DELETE FROM bundle WHERE slot = 'previous';"
                               "UPDATE bundle SET slot = 'previous' WHERE slot = 'active';"
                               "UPDATE bundle SET slot = 'active' WHERE slot = 'staged';",
                         "activate the staged bundle", why);
    if (err == HF_OK)
        store->has_moved = true;
    return hf_store_write_end(store, err, why);
}

enum hf_err hf_store_restore_previous(void *ctx, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    int64_t n_previous = 0;

    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = count_bundles(store, COUNT_PREVIOUS, &n_previous, why);
    if (err == HF_OK && n_previous == 0)
        err = hf_fail(why, HF_E_STATE, "there is no previous bundle to go back to");
    if (err == HF_OK)
        err = hf_db_exec(store->db,
                         "DELETE FROM bundle WHERE slot = 'active';"
                         "UPDATE bundle SET slot = 'active' WHERE slot = 'previous';",
                         "go back to the previous bundle", why);
    if (err == HF_OK)
        store->has_moved = true;
    return hf_store_write_end(store, err, why);
}

/* ---- revoked keys ---------------------------------------------------------------------------- */

/* The file comes first where the bundles come from their files. */
enum hf_err hf_store_load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    const struct hf_sqlite_store *store = ctx;
    struct hf_why damage = store->unusable;

    if (store->unusable.code != HF_OK && hf_revoked_file_load(store->state_dir, out, NULL) == HF_OK)
        return HF_OK;
    enum hf_err err = store->db != NULL ? hf_db_revoked_load(store->db, out, &damage)
                                        : HF_E_STORAGE;
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return HF_OK;
    if (store->unusable.code == HF_OK && hf_revoked_file_load(store->state_dir, out, NULL) == HF_OK)
        return HF_OK;
    return hf_fail(why, err == HF_E_MEMORY ? err : HF_E_STORAGE, "%s", damage.text);
}

enum hf_err hf_store_save_revoked(void *ctx, struct hf_bytes keys, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    if (keys.len % HF_SHA256_LEN != 0 || keys.len > HF_REVOKED_MAX * HF_SHA256_LEN)
        return hf_fail(why, HF_E_LIMIT,
                       "cannot save the list of revoked keys (expected at most %d of %d bytes "
                       "each, found %zu bytes)",
                       HF_REVOKED_MAX, HF_SHA256_LEN, keys.len);
    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = hf_db_revoked_save(store->db, keys, why);
    if (err == HF_OK)
        store->has_moved = true; /* the file follows the commit, as the links do */
    return hf_store_write_end(store, err, why);
}

void hf_store_adopt_revoked(struct hf_sqlite_store *store)
{
    struct hf_buf keys = {0};
    struct hf_why why = {0};

    if (store->unusable.code == HF_OK &&
        hf_revoked_file_load(store->state_dir, &keys, NULL) == HF_OK &&
        hf_db_revoked_save(store->db, hf_buf_bytes(&keys), &why) != HF_OK)
        hf_store_note(store, HF_LEVEL_ERROR, "bundle-files", why.text);
    hf_buf_free(&keys);
}

void hf_store_repair_files(struct hf_sqlite_store *store)
{
    struct hf_buf keys = {0};
    struct hf_why damage = {0};

    if (hf_db_revoked_check(store->db, &damage) == HF_E_FORMAT &&
        hf_revoked_file_load(store->state_dir, &keys, NULL) == HF_OK &&
        hf_db_revoked_save(store->db, hf_buf_bytes(&keys), NULL) == HF_OK) {
        (void)hf_fail_context(&damage, "the file beside the bundles has taken its place");
        hf_store_note(store, HF_LEVEL_ERROR, "restored", damage.text);
    }
    hf_buf_free(&keys);
    make_files_follow(store, true);
}
