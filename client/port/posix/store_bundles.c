/* The store's bundles: rows that move from slot to slot, and the files that follow them. */
#include "client/port/posix/bundle_files.h"
#include "client/port/posix/db.h"
#include "client/port/posix/store_internal.h"

#include "common/base/digest.h"
#include "common/os/file_util.h"

#include <string.h>

static const char *slot_name(enum hf_slot slot)
{
    static const char *const names[] =
        {[HF_SLOT_ACTIVE] = "active", [HF_SLOT_PREVIOUS] = "previous", [HF_SLOT_STAGED] = "staged"};

    return names[slot];
}

/* ---- loading ----------------------------------------------------------------------------------- */

static enum hf_err copy_column(sqlite3_stmt *stmt, int column, char out[65], struct hf_why *why)
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

    HF_TRY(copy_column(stmt, 0, out->set, why));
    HF_TRY(copy_column(stmt, 1, out->profile, why));
    out->version = sqlite3_column_int64(stmt, 2);
    HF_TRY(copy_column(stmt, 3, out->sha256, why));
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
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(store->db,
                         "SELECT set_name, profile, version, sha256, pem, custom FROM bundle "
                         "WHERE slot = ?1",
                         action, &stmt, why));
    hf_db_bind_text(stmt, 1, slot_name(slot));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = record_of_row(stmt, &record, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "there is no %s bundle", slot_name(slot));
    else
        err = hf_db_fail(store->db, action, why);
    sqlite3_finalize(stmt);
    if (err == HF_OK)
        *out = record;
    else
        hf_bundle_record_free(&record);
    return err;
}

enum hf_err hf_store_load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                                 struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    if (store->unusable.code != HF_OK)
        return hf_bundle_files_load(store->state_dir, slot, out, why);
    enum hf_err err = load_row(store, slot, out, why);
    /* A row that rotted after the check at open: the file may still be whole. */
    if (err == HF_E_STORAGE && hf_bundle_files_load(store->state_dir, slot, out, NULL) == HF_OK)
        return HF_OK;
    return err;
}

/* ---- staging and activating -------------------------------------------------------------------- */

static enum hf_err insert_staged(struct hf_sqlite_store *store,
                                 const struct hf_bundle_record *record, struct hf_why *why)
{
    static const char action[] = "stage a bundle";
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_db_prepare(store->db,
                         "INSERT OR REPLACE INTO bundle "
                         "(slot, set_name, profile, version, sha256, pem, custom) "
                         "VALUES ('staged', ?1, ?2, ?3, ?4, ?5, ?6)",
                         action, &stmt, why));
    hf_db_bind_text(stmt, 1, record->set);
    hf_db_bind_text(stmt, 2, record->profile);
    (void)sqlite3_bind_int64(stmt, 3, record->version);
    hf_db_bind_text(stmt, 4, record->sha256);
    hf_db_bind_bytes(stmt, 5, hf_buf_bytes(&record->pem));
    hf_db_bind_bytes(stmt, 6, hf_buf_bytes(&record->custom));
    return hf_db_finish(store->db, stmt, action, why);
}

enum hf_err hf_store_stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                  struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;
    char found[HF_SHA256_HEX_LEN];

    HF_TRY(hf_store_check_writable(store, why));
    hf_sha256_hex(hf_buf_bytes(&record->pem), found);
    if (strcmp(found, record->sha256) != 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "the bundle to stage should have the SHA-256 %s, it has %s", record->sha256,
                       found);
    /* The files first: once a transaction activates this bundle, they must be there. */
    HF_TRY(hf_bundle_files_write(store->state_dir, record, why));
    return insert_staged(store, record, why);
}

/* In a transaction of the port, its commit moves the links. */
static enum hf_err end_move(struct hf_sqlite_store *store, enum hf_err err, struct hf_why *why)
{
    err = hf_store_write_end(store, err, why);
    if (!store->is_in_transaction)
        hf_store_follow_moved(store);
    return err;
}

static enum hf_err is_filled(struct hf_sqlite_store *store, enum hf_slot slot, bool *out,
                             struct hf_why *why)
{
    static const char action[] = "look for a bundle";
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_db_prepare(store->db, "SELECT 1 FROM bundle WHERE slot = ?1", action, &stmt, why));
    hf_db_bind_text(stmt, 1, slot_name(slot));
    int rc = sqlite3_step(stmt);
    enum hf_err err = rc == SQLITE_ROW || rc == SQLITE_DONE ? HF_OK
                                                            : hf_db_fail(store->db, action, why);
    sqlite3_finalize(stmt);
    if (err == HF_OK)
        *out = rc == SQLITE_ROW;
    return err;
}

static enum hf_err activate_row(struct hf_sqlite_store *store, bool keeps_previous,
                                struct hf_why *why)
{
    static const char action[] = "activate the staged bundle";
    bool is_staged = false;
    bool has_previous = false;

    HF_TRY(is_filled(store, HF_SLOT_STAGED, &is_staged, why));
    HF_TRY(is_filled(store, HF_SLOT_PREVIOUS, &has_previous, why));
    if (!is_staged)
        return hf_fail(why, HF_E_STATE, "no bundle is staged that could be activated");
    HF_TRY(hf_db_exec(store->db,
                      keeps_previous && has_previous
                          ? "DELETE FROM bundle WHERE slot = 'active';"
                          : "DELETE FROM bundle WHERE slot = 'previous';"
                            "UPDATE bundle SET slot = 'previous' WHERE slot = 'active';",
                      action, why));
    return hf_db_exec(store->db, "UPDATE bundle SET slot = 'active' WHERE slot = 'staged';", action,
                      why);
}

enum hf_err hf_store_activate_staged(void *ctx, bool keeps_previous, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = activate_row(store, keeps_previous, why);
    store->has_moved = err == HF_OK;
    return end_move(store, err, why);
}

static enum hf_err restore_row(struct hf_sqlite_store *store, struct hf_why *why)
{
    bool has_previous = false;

    HF_TRY(is_filled(store, HF_SLOT_PREVIOUS, &has_previous, why));
    if (!has_previous)
        return hf_fail(why, HF_E_STATE, "there is no previous bundle to go back to");
    return hf_db_exec(store->db,
                      "DELETE FROM bundle WHERE slot = 'active';"
                      "UPDATE bundle SET slot = 'active' WHERE slot = 'previous';",
                      "go back to the previous bundle", why);
}

enum hf_err hf_store_restore_previous(void *ctx, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = restore_row(store, why);
    store->has_moved = err == HF_OK;
    return end_move(store, err, why);
}

/* ---- rows that rot ----------------------------------------------------------------------------- */

/* The link may be behind the row, after a power cut: a file of another version is not its file. */
static enum hf_err mend_row(struct hf_sqlite_store *store, enum hf_slot slot,
                            const struct hf_bundle_record *file, struct hf_why *why)
{
    static const char action[] = "repair a bundle";
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_db_prepare(store->db,
                         "UPDATE bundle SET set_name = ?3, profile = ?4, sha256 = ?5, pem = ?6, "
                         "custom = ?7 WHERE slot = ?1 AND version = ?2",
                         action, &stmt, why));
    hf_db_bind_text(stmt, 1, slot_name(slot));
    (void)sqlite3_bind_int64(stmt, 2, file->version);
    hf_db_bind_text(stmt, 3, file->set);
    hf_db_bind_text(stmt, 4, file->profile);
    hf_db_bind_text(stmt, 5, file->sha256);
    hf_db_bind_bytes(stmt, 6, hf_buf_bytes(&file->pem));
    hf_db_bind_bytes(stmt, 7, hf_buf_bytes(&file->custom));
    return hf_db_finish(store->db, stmt, action, why);
}

static void heal_slot(struct hf_sqlite_store *store, enum hf_slot slot)
{
    struct hf_bundle_record record = {0};
    struct hf_why damage = {0};

    enum hf_err err = load_row(store, slot, &record, &damage);
    if (err == HF_E_STORAGE &&
        hf_bundle_files_load(store->state_dir, slot, &record, NULL) == HF_OK &&
        mend_row(store, slot, &record, NULL) == HF_OK && sqlite3_changes(store->db) > 0) {
        (void)hf_fail(&damage, err, "%.400s; its file has taken its place", damage.text);
        hf_store_note(store, HF_LEVEL_ERROR, "restored", damage.text);
    }
    hf_bundle_record_free(&record);
}

void hf_store_heal_bundles(struct hf_sqlite_store *store)
{
    heal_slot(store, HF_SLOT_ACTIVE);
    heal_slot(store, HF_SLOT_PREVIOUS);
}

/* ---- the files follow -------------------------------------------------------------------------- */

static enum hf_err load_if_any(struct hf_sqlite_store *store, enum hf_slot slot,
                               struct hf_bundle_record *record, const struct hf_bundle_record **out,
                               struct hf_why *why)
{
    enum hf_err err = load_row(store, slot, record, why);

    if (err == HF_OK)
        *out = record;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_store_follow(struct hf_sqlite_store *store, struct hf_why *why)
{
    struct hf_bundle_record active = {0};
    struct hf_bundle_record previous = {0};
    struct hf_bundle_record staged = {0};
    struct hf_bundle_slots slots = {0};
    struct hf_buf revoked = {0};

    /* A list that has rotted must not take its file with it. */
    if (hf_store_revoked_file(store, &revoked, NULL) == HF_OK)
        slots.revoked = &revoked;
    /* A row that cannot be loaded ends it here: its file is the last copy and must stay. */
    enum hf_err err = load_if_any(store, HF_SLOT_ACTIVE, &active, &slots.active, why);
    if (err == HF_OK)
        err = load_if_any(store, HF_SLOT_PREVIOUS, &previous, &slots.previous, why);
    if (err == HF_OK)
        err = load_if_any(store, HF_SLOT_STAGED, &staged, &slots.staged, why);
    if (err == HF_OK)
        err = hf_bundle_files_follow(store->state_dir, &slots, why);
    hf_bundle_record_free(&active);
    hf_bundle_record_free(&previous);
    hf_bundle_record_free(&staged);
    hf_buf_free(&revoked);
    return err;
}

/* The commit has happened and stands. Links that could not be moved are moved by the next commit or
 * open; until then the journal says so. */
void hf_store_follow_moved(struct hf_sqlite_store *store)
{
    struct hf_why why = {0};

    if (!store->has_moved)
        return;
    store->has_moved = false;
    if (hf_store_follow(store, &why) == HF_OK)
        return;
    hf_store_note(store, HF_LEVEL_WARNING, "bundle-files", why.text);
}

/* ---- revoked keys ---------------------------------------------------------------------------- */

/*
 * The keys that the publisher revoked: a row of the database (db_check.c) and, for the day it cannot be
 * used, the file STATE/bundles/revoked beside the bundles: the SHA-256 of its other lines, and these.
 */

/* ---- the file ------------------------------------------------------------------------------------ */

enum hf_err hf_store_revoked_file(struct hf_sqlite_store *store, struct hf_buf *out,
                                  struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];
    struct hf_buf lines = {0};

    enum hf_err err = hf_db_revoked_load(store->db, &lines, NULL, why);
    if (err == HF_OK) {
        hf_sha256_hex(hf_buf_bytes(&lines), sha256);
        err = hf_buf_printf(out, "%s\n", sha256);
        if (err == HF_OK)
            err = hf_buf_append(out, lines.data, lines.len);
        if (err != HF_OK)
            (void)hf_fail(why, err, "out of memory for the revoked keys");
    }
    hf_buf_free(&lines);
    return err;
}

static enum hf_err parse_file(struct hf_bytes file, const char *path, struct hf_buf *keys,
                              struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];

    if (file.len < HF_REVOKED_LINE_LEN || file.data[HF_REVOKED_LINE_LEN - 1] != '\n')
        return hf_fail(why, HF_E_STORAGE, "%s is damaged: it does not begin with a SHA-256", path);
    memcpy(sha256, file.data, HF_REVOKED_LINE_LEN - 1);
    sha256[HF_REVOKED_LINE_LEN - 1] = '\0';
    const struct hf_bytes lines = {file.data + HF_REVOKED_LINE_LEN, file.len - HF_REVOKED_LINE_LEN};
    return hf_revoked_parse(lines, sha256, path, keys, why);
}

/* `out` is written on HF_OK only. */
static enum hf_err load_from_file(const struct hf_sqlite_store *store, struct hf_buf *out,
                                  struct hf_why *why)
{
    struct hf_buf path = {0};
    struct hf_buf file = {0};
    struct hf_buf keys = {0};

    if (hf_buf_printf(&path, "%s/bundles/" HF_REVOKED_FILE, store->state_dir) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a path");
    const char *name = (const char *)path.data;
    enum hf_err err = hf_file_read(name, HF_REVOKED_LINE_LEN + HF_REVOKED_LINES_MAX, &file, why);
    if (err == HF_OK)
        err = parse_file(hf_buf_bytes(&file), name, &keys, why);
    if (err == HF_OK && hf_buf_append(out, keys.data, keys.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    hf_buf_free(&keys);
    hf_buf_free(&file);
    hf_buf_free(&path);
    return err;
}

/* ---- the port ------------------------------------------------------------------------------------ */

/* The file comes first where the bundles come from their files: a database that can only be read may be
 * without the newest part of its log. */
enum hf_err hf_store_load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    const struct hf_sqlite_store *store = ctx;
    struct hf_why damage = store->unusable;

    if (store->unusable.code != HF_OK && load_from_file(store, out, NULL) == HF_OK)
        return HF_OK;
    enum hf_err err = store->db != NULL ? hf_db_revoked_load(store->db, NULL, out, &damage)
                                        : HF_E_STORAGE;
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return HF_OK;
    if (store->unusable.code == HF_OK && load_from_file(store, out, NULL) == HF_OK)
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
    return end_move(store, err, why);
}

void hf_store_heal_revoked(struct hf_sqlite_store *store)
{
    struct hf_buf keys = {0};
    struct hf_why damage = {0};

    if (hf_db_revoked_check(store->db, &damage) == HF_E_FORMAT &&
        load_from_file(store, &keys, NULL) == HF_OK &&
        hf_db_revoked_save(store->db, hf_buf_bytes(&keys), NULL) == HF_OK) {
        (void)hf_fail_context(&damage, "the file beside the bundles has taken its place");
        hf_store_note(store, HF_LEVEL_ERROR, "restored", damage.text);
    }
    hf_buf_free(&keys);
}

void hf_store_adopt_revoked(struct hf_sqlite_store *store)
{
    struct hf_buf keys = {0};
    struct hf_why why = {0};

    if (store->unusable.code == HF_OK && load_from_file(store, &keys, NULL) == HF_OK &&
        hf_db_revoked_save(store->db, hf_buf_bytes(&keys), &why) != HF_OK)
        hf_store_note(store, HF_LEVEL_ERROR, "bundle-files", why.text);
    hf_buf_free(&keys);
}
