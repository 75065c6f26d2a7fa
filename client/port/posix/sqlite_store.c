/* Opening a store: the database or, where that is damaged, its copy; and what is damaged
 * repaired. */
#include "client/port/posix/sqlite_store.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/owner.h"
#include "client/port/posix/system.h"

#include "common/os/file_util.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void close_database(struct hf_sqlite_store *store)
{
    for (size_t i = 0; i < HF_SQL_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    sqlite3_close(store->db);
    store->db = NULL;
    store->unusable = (struct hf_why){0};
    store->root_damage = (struct hf_why){0};
    store->known_root[0] = '\0';
    store->synced_changes = -1;
}

/* HF_E_FORMAT or HF_E_ROLLBACK where the database is damaged, and maybe HF_E_FORMAT in
 * `unusable`. */
static enum hf_err open_existing(struct hf_sqlite_store *store, const char *path,
                                 struct hf_why *why)
{
    const int64_t newest = (int64_t)hf_client_migrations_len;
    struct hf_why damage = {0};
    int64_t version = 0;
    int64_t changes = 0;

    if (!hf_file_exists(path))
        return hf_fail(why, HF_E_FORMAT,
                       "the database %s is missing; its bundles are still in use: to update again, "
                       "move them away and run holdfast init",
                       path);
    hf_db_clear_index(store->state_dir);
    HF_TRY(hf_db_open(path, &store->db, &store->unusable, why));
    HF_TRY(hf_schema_check(store->db, newest, &version, why));
    enum hf_err err = hf_schema_compare(store->db, hf_client_migrations, version, &damage);
    if (err == HF_OK)
        err = hf_db_check_floors(store->db, &damage);
    /* Without a copy that could replace it, most of such a database works all the same, and the
     * rest fails with a reason; unless another process has just used the copy. */
    bool is_lived_with = err == HF_E_FORMAT &&
                         !hf_db_copy_is_whole(store->state_dir, store->known_root) &&
                         !hf_db_is_replaced(store->db);
    if (err != HF_OK && !is_lived_with)
        return hf_fail(why, err, "%s", damage.text);
    if (version != newest && store->unusable.code != HF_OK)
        return hf_fail(why, HF_E_STORAGE, "%s, and it is of an older schema", store->unusable.text);
    if (version != newest)
        HF_TRY(hf_schema_migrate(store->db, hf_client_migrations, hf_client_migrations_len, why));
    /* Without its log, as on some read-only disks, it may well know less. */
    if (store->unusable.code != HF_OK)
        return HF_OK;
    HF_TRY(hf_db_changes(store->db, &changes, why));
    if (changes >= store->copied_changes)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "%s is damaged: it has lost the newest %" PRId64 " changes, which its copy has",
                   path, store->copied_changes - changes);
}

/* Is this what the copy is there for, and is there one? What cannot be written may be damaged
 * too. */
static bool is_for_the_copy(const struct hf_sqlite_store *store, enum hf_err err)
{
    return store->copied_changes >= 0 && (err == HF_E_ROLLBACK || err == HF_E_FORMAT ||
                                          (err == HF_OK && store->unusable.code == HF_E_FORMAT));
}

/* `why` says what is wrong with the database; where the copy cannot help, that is added. */
static enum hf_err restore(struct hf_sqlite_store *store, const char *path, struct hf_why *why)
{
    struct hf_why damage = {0};
    struct hf_why reason = {0};
    int lock = -1;

    close_database(store);
    enum hf_err err = hf_lock_take(store->state_dir, HF_LOCK_WAIT_MS, &lock, &reason);
    if (err != HF_OK)
        goto out;
    /* The holder of the lock before us may have done it. */
    store->copied_changes = hf_db_copy_changes(store->state_dir);
    err = open_existing(store, path, &damage);
    if (!is_for_the_copy(store, err)) {
        reason = damage;
        goto out;
    }
    if (err == HF_OK)
        damage = store->unusable;
    close_database(store);
    err = hf_store_doubt_reports(store, &reason);
    if (err == HF_OK)
        err = hf_db_copy_restore(store->state_dir, &reason);
    if (err != HF_OK)
        goto out;
    store->copied_changes = -1;
    err = open_existing(store, path, &reason);
    if (err != HF_OK)
        goto out;
    hf_store_adopt_revoked(store);
    (void)hf_fail(&damage, HF_E_STORAGE,
                  "%.400s; its copy has taken its place, what was there is kept as %s", damage.text,
                  "holdfast.db.damaged");
    hf_store_note(store, HF_LEVEL_ERROR, "restored", damage.text);
out:
    hf_file_unlock(lock);
    return err == HF_OK ? HF_OK
                        : hf_fail(why, HF_E_STORAGE, "%s; its copy cannot take its place: %s",
                                  why->text, reason.text);
}

static enum hf_err open_or_restore(struct hf_sqlite_store *store, const char *path,
                                   struct hf_why *why)
{
    enum hf_err err = open_existing(store, path, why);

    if (is_for_the_copy(store, err)) {
        if (err == HF_OK)
            *why = store->unusable;
        return restore(store, path, why);
    }
    if (err != HF_E_STORAGE || store->copied_changes < 0)
        return err;
    /* Another process may have repaired it while we looked at it. */
    close_database(store);
    store->copied_changes = hf_db_copy_changes(store->state_dir);
    return open_existing(store, path, why);
}

/* Root metadata that is damaged, or lost, comes from the copy, with a line in the journal. Nothing
 * else is taken from there, so that an older copy lowers no floor. */
static void repair_root(struct hf_sqlite_store *store)
{
    struct hf_why damage = {0};
    struct hf_why reason = {0};
    struct hf_why text = {0};
    struct hf_buf file = {0};
    int64_t version = 0;
    int lock = -1;

    enum hf_err err = hf_db_root_check(store->db, store->known_root, &damage);
    bool is_lost = err == HF_E_NOT_FOUND && store->copied_changes >= 0;
    if (err != HF_E_STORAGE && !is_lost)
        return;
    err = hf_lock_take(store->state_dir, HF_LOCK_WAIT_MS, &lock, &reason);
    /* The holder of the lock before us may have done it. */
    if (err == HF_OK && hf_db_root_check(store->db, store->known_root, NULL) == HF_OK)
        goto out;
    if (err == HF_OK)
        err = hf_db_copy_load_root(store->state_dir, &file, &version, &reason);
    if (err == HF_OK)
        err = hf_store_write_begin(store, &reason);
    if (err == HF_OK) {
        err = hf_store_save_metadata(store, "root", version, hf_buf_bytes(&file), &reason);
        (void)hf_fail(&text, HF_E_STORAGE,
                      "%.400s; version %" PRId64 " from its copy has taken its place", damage.text,
                      version);
        if (err == HF_OK)
            hf_store_note(store, HF_LEVEL_ERROR, "restored", text.text);
        err = hf_store_write_end(store, err, &reason);
    }
    if (err != HF_OK)
        (void)hf_fail(&store->root_damage, HF_E_STORAGE,
                      "%.300s, and its copy cannot take its place: %.300s; if this stays so, move "
                      "%s away and run holdfast init",
                      damage.text, reason.text, store->state_dir);
out:
    hf_file_unlock(lock);
    hf_buf_free(&file);
}

/* For reading only: whatever were made or repaired there would be ours, in the folder of another
 * user, who in turn could have it written anywhere. */
static enum hf_err open_unsafe(struct hf_sqlite_store *store, const char *path,
                               const struct hf_why *unsafe)
{
    const int64_t newest = (int64_t)hf_client_migrations_len;
    struct hf_why reason = {0};
    int64_t version = 0;
    enum hf_err err = HF_OK;

    if (!hf_file_exists(path))
        err = hf_fail(&reason, HF_E_NOT_FOUND, "%s is not initialised", store->state_dir);
    else if (hf_file_is_something_else(path) || hf_file_is_link(path))
        err = hf_fail(&reason, HF_E_STORAGE, "%s is not a regular file", path);
    if (err == HF_OK)
        err = hf_owner_is_one(path) ? hf_db_open_for_reading(path, &store->db, &reason)
                                    : hf_db_open_immutable(path, &store->db, &reason);
    if (err == HF_OK)
        err = hf_schema_check(store->db, newest, &version, &reason);
    if (err == HF_OK && version < newest)
        err = hf_fail(&reason, HF_E_SCHEMA, "%s is of an older schema", path);
    if (err == HF_OK)
        err = hf_schema_compare(store->db, hf_client_migrations, version, &reason);
    if (err == HF_OK) {
        store->unusable = *unsafe;
        return HF_OK;
    }
    close_database(store);
    (void)hf_fail(&store->unusable, unsafe->code, "%s (%s)", unsafe->text, reason.text);
    return err == HF_E_MEMORY || err == HF_E_BUSY || err == HF_E_NOT_FOUND ? err : HF_OK;
}

/* HF_OK also where the database cannot be used, with the reason in `unusable`. */
static enum hf_err open_as_it_is(struct hf_sqlite_store *store, const char *path,
                                 struct hf_why *why)
{
    struct hf_why reason = {0};
    int lock = -1;

    HF_TRY(hf_owner_check_readable(store->state_dir, path, why));
    store->is_fresh = true;
    store->copied_changes = -1;
    /* Before anything there is opened: a pipe in place of a file would block this for ever. */
    if (hf_owner_check_state(store->state_dir, &reason) != HF_OK) {
        enum hf_err err = open_unsafe(store, path, &reason);
        return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", store->unusable.text);
    }
    store->copied_changes = hf_db_copy_changes(store->state_dir);
    if (!hf_file_exists(path) && !hf_bundle_files_exist(store->state_dir) &&
        store->copied_changes < 0)
        return hf_fail(why, HF_E_NOT_FOUND, "%s is not initialised: run holdfast init first",
                       store->state_dir);
    enum hf_err err = open_or_restore(store, path, &reason);
    if (err != HF_OK) {
        close_database(store);
        store->unusable = reason;
        /* On a read-only disk, for instance, the copy cannot take its place but be read. */
        if (err == HF_E_STORAGE && hf_db_copy_open(store->state_dir, &store->db, NULL) != HF_OK)
            store->db = NULL;
    }
    if (store->unusable.code == HF_E_FORMAT || store->unusable.code == HF_E_ROLLBACK)
        store->unusable.code = HF_E_STORAGE;
    if (store->unusable.code == HF_OK) {
        if (hf_store_settle_reports(store, &reason) != HF_OK)
            hf_store_note(store, HF_LEVEL_WARNING, "report", reason.text);
        repair_root(store);
        /* The holder of the lock is about to do the same to the files. */
        if (hf_lock_take(store->state_dir, 0, &lock, NULL) == HF_OK)
            hf_store_repair_files(store);
        hf_file_unlock(lock);
    }
    return err == HF_E_MEMORY || err == HF_E_BUSY ? hf_fail(why, err, "%s", reason.text) : HF_OK;
}

enum hf_err hf_sqlite_store_open(const char *state_dir, bool create, struct hf_sqlite_store **out,
                                 struct hf_why *why)
{
    struct hf_path path;

    struct hf_sqlite_store *store = calloc(1, sizeof *store);
    if (store == NULL || (store->state_dir = strdup(state_dir)) == NULL) {
        hf_sqlite_store_close(store);
        return hf_fail(why, HF_E_MEMORY, "out of memory opening %s", state_dir);
    }
    enum hf_err err = hf_path_set(&path, why, "%s/holdfast.db", state_dir);
    if (err == HF_OK && !create)
        err = open_as_it_is(store, path.text, why);
    if (err == HF_OK && create) {
        store->copied_changes = -1;
        err = hf_db_create(path.text, &store->db, why);
        if (err == HF_OK)
            err = hf_schema_migrate(store->db, hf_client_migrations, hf_client_migrations_len, why);
    }
    if (err == HF_OK)
        *out = store;
    else
        hf_sqlite_store_close(store);
    return err;
}

enum hf_err hf_sqlite_store_refresh(struct hf_sqlite_store *store, struct hf_why *why)
{
    struct hf_why reason = {0};
    struct hf_path path;

    /* Opened just now, unless that failed or the file is another one since. */
    if (store->is_fresh && store->unusable.code == HF_OK && store->root_damage.code == HF_OK &&
        !hf_db_is_replaced(store->db)) {
        store->is_fresh = false;
        return HF_OK;
    }
    HF_TRY(hf_path_set(&path, why, "%s/holdfast.db", store->state_dir));
    close_database(store);
    enum hf_err err = open_as_it_is(store, path.text, &reason);
    if (err == HF_OK)
        return HF_OK;
    /* Every later call fails with the reason. Not with HF_E_NOT_FOUND: a value without a row has
     * that. */
    if (store->unusable.code == HF_OK)
        (void)hf_fail(&store->unusable, HF_E_STORAGE, "%s", reason.text);
    return hf_fail(why, err, "%s", reason.text);
}

void hf_sqlite_store_close(struct hf_sqlite_store *store)
{
    if (store == NULL)
        return;
    close_database(store);
    free(store->state_dir);
    free(store);
}

enum hf_err hf_sqlite_store_try(struct hf_sqlite_store *store, struct hf_why *why)
{
    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = hf_db_exec(store->db, "UPDATE change SET count = count + 1",
                                 "try the database", why);
    HF_TRY(hf_store_write_end(store, err, why));
    return hf_store_sync_log(store, why);
}

enum hf_err hf_sqlite_store_sync(struct hf_sqlite_store *store, struct hf_why *why)
{
    int64_t changes = 0;

    if (store->unusable.code != HF_OK)
        return HF_OK;
    if (store->is_unsynced)
        HF_TRY(hf_store_sync_log(store, why));
    HF_TRY(hf_db_changes(store->db, &changes, why));
    /* One that was damaged since is noticed here, as long as there is something to copy. */
    if (changes == store->copied_changes &&
        hf_db_copy_is_whole(store->state_dir, store->known_root))
        return HF_OK;
    /* The copy may never have seen more changes than the database has after a power cut. */
    if (changes != store->synced_changes)
        HF_TRY(hf_store_sync_log(store, why));
    HF_TRY(hf_db_copy_write(store->state_dir, store->db, store->known_root, why));
    store->copied_changes = changes;
    return HF_OK;
}

struct hf_store_port hf_sqlite_store_port(struct hf_sqlite_store *store)
{
    return (struct hf_store_port){
        .ctx = store,
        .begin = hf_store_begin,
        .commit = hf_store_commit,
        .abort = hf_store_abort,
        .load_metadata = hf_store_load_metadata,
        .save_metadata = hf_store_save_metadata,
        .remove_metadata = hf_store_remove_metadata,
        .load_bundle = hf_store_load_bundle,
        .stage_bundle = hf_store_stage_bundle,
        .activate_staged = hf_store_activate_staged,
        .restore_previous = hf_store_restore_previous,
        .load_value = hf_store_load_value,
        .save_value = hf_store_save_value,
        .load_revoked = hf_store_load_revoked,
        .save_revoked = hf_store_save_revoked,
        .append_event = hf_store_append_event,
        .append_report = hf_store_append_report,
        .load_reports = hf_store_load_reports,
        .remove_report = hf_store_remove_report,
    };
}
