/* Opening a store: the database or, where that is damaged, its copy; and the files repaired. */
#include "client/port/posix/sqlite_store.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/db.h"
#include "client/port/posix/migrate.h"
#include "client/port/posix/owner.h"
#include "client/port/posix/store_internal.h"
#include "client/port/posix/system.h"

#include "common/os/file_util.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void close_database(struct hf_sqlite_store *store)
{
    sqlite3_close(store->db);
    store->db = NULL;
    store->unusable = (struct hf_why){0};
    store->root_damage = (struct hf_why){0};
}

/* Remember why the database is unusable, for later errors. */
static void set_unusable(struct hf_sqlite_store *store, enum hf_err code, const char *text)
{
    close_database(store);
    (void)hf_fail(&store->unusable, code, "%s", text);
}

static enum hf_err migrate(sqlite3 *db, struct hf_why *why)
{
    return hf_schema_migrate(db, hf_client_migrations, hf_client_migrations_len, why);
}

/* What has rotted without harm to SQLite, its schema and what it refuses, is the copy's to mend. Where
 * there is none, most of such a database works all the same, and what does not says so; unless another
 * process has just used the copy. HF_E_FORMAT. */
static enum hf_err check_content(struct hf_sqlite_store *store, int64_t version, struct hf_why *why)
{
    struct hf_why reason = {0};

    enum hf_err err = hf_schema_compare(store->db, hf_client_migrations, version, &reason);
    if (err == HF_OK)
        err = hf_db_check_floors(store->db, &reason);
    bool is_lived_with = err == HF_E_FORMAT && !hf_db_copy_is_whole(store->state_dir) &&
                         !hf_db_is_replaced(store->db);
    return err == HF_OK || is_lived_with ? HF_OK : hf_fail(why, err, "%s", reason.text);
}

static enum hf_err bring_up_to_date(struct hf_sqlite_store *store, struct hf_why *why)
{
    const int64_t newest = (int64_t)hf_client_migrations_len;
    int64_t version = 0;

    HF_TRY(hf_schema_check(store->db, newest, &version, why));
    HF_TRY(check_content(store, version, why));
    if (version == newest)
        return HF_OK;
    if (store->unusable.code != HF_OK)
        return hf_fail(why, HF_E_STORAGE, "%s, and it is of an older schema", store->unusable.text);
    return migrate(store->db, why);
}

/* Without its log, as on some read-only disks, it may well know less. HF_E_ROLLBACK. */
static enum hf_err check_not_behind_copy(struct hf_sqlite_store *store, const char *path,
                                         struct hf_why *why)
{
    int64_t changes = 0;

    if (store->unusable.code != HF_OK)
        return HF_OK;
    HF_TRY(hf_db_changes(store->db, &changes, why));
    if (changes >= store->copied_changes)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "%s is damaged: it has lost the newest %" PRId64 " changes, which its copy has",
                   path, store->copied_changes - changes);
}

static enum hf_err open_existing(struct hf_sqlite_store *store, const char *path,
                                 struct hf_why *why)
{
    if (!hf_file_exists(path))
        return hf_fail(why, HF_E_STORAGE,
                       "the database %s is missing; its bundles are still in use: to update again, "
                       "move them away and run holdfast init",
                       path);
    hf_db_clear_index(store->state_dir);
    HF_TRY(hf_db_open(path, &store->db, &store->unusable, why));
    HF_TRY(bring_up_to_date(store, why));
    return check_not_behind_copy(store, path, why);
}

/* Is this what the copy is there for, and is there one? What cannot be written may be damaged too. */
static bool is_for_the_copy(const struct hf_sqlite_store *store, enum hf_err err)
{
    bool is_suspect = err == HF_E_STORAGE || (err == HF_OK && store->unusable.code == HF_E_STORAGE);

    return store->copied_changes >= 0 && (err == HF_E_ROLLBACK || err == HF_E_FORMAT ||
                                          (is_suspect && hf_db_is_damaged(store->state_dir)));
}

/* Rows that rotted; files and links that a power cut, or another program, has left behind.
 * The holder of the lock is about to do the same to these. A store that only reads changes nothing. */
static void put_right(struct hf_sqlite_store *store)
{
    struct hf_why why = {0};
    int lock = -1;

    hf_store_heal_root(store);
    if (hf_lock_take(store->state_dir, 0, &lock, NULL) != HF_OK)
        return;
    hf_store_heal_bundles(store);
    hf_store_heal_revoked(store);
    if (hf_store_follow(store, &why) != HF_OK)
        hf_store_note(store, HF_LEVEL_WARNING, "bundle-files", why.text);
    hf_lock_release(lock);
}

/* The database or its copy, whichever can be used. The caller holds the lock. */
static enum hf_err restore_locked(struct hf_sqlite_store *store, const char *path,
                                  struct hf_why *why)
{
    struct hf_why damage = {0};

    /* The holder of the lock before us may have done it. */
    store->copied_changes = hf_db_copy_changes(store->state_dir);
    enum hf_err err = open_existing(store, path, &damage);
    if (!is_for_the_copy(store, err))
        return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", damage.text);
    if (err == HF_OK)
        damage = store->unusable;
    close_database(store);
    HF_TRY(hf_db_copy_restore(store->state_dir, why));
    store->copied_changes = -1;
    HF_TRY(open_existing(store, path, why));
    hf_store_adopt_revoked(store);
    (void)hf_fail(&damage, HF_E_STORAGE,
                  "%.400s; its copy has taken its place, what was there is kept as %s", damage.text,
                  "holdfast.db.damaged");
    hf_store_note(store, HF_LEVEL_ERROR, "restored", damage.text);
    return HF_OK;
}

/* `why` is what is wrong with the database; it stays, with a word on the copy, where nothing helps. */
static enum hf_err restore(struct hf_sqlite_store *store, const char *path, struct hf_why *why)
{
    struct hf_why reason = {0};
    int lock = -1;

    close_database(store);
    enum hf_err err = hf_lock_take(store->state_dir, HF_STORE_LOCK_WAIT_MS, &lock, &reason);
    if (err == HF_OK)
        err = restore_locked(store, path, &reason);
    hf_lock_release(lock);
    if (err == HF_OK)
        return HF_OK;
    char damage[HF_WHY_MAX];
    memcpy(damage, why->text, sizeof(damage));
    return hf_fail(why, HF_E_STORAGE, "%s; its copy cannot take its place: %s", damage,
                   reason.text);
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
    /* Another process may have put it right while we looked at it. */
    close_database(store);
    store->copied_changes = hf_db_copy_changes(store->state_dir);
    return open_existing(store, path, why);
}

/* To be read, and nothing else: whatever is made or mended there would be ours, in the folder of
 * another user, who in turn could have it written anywhere. */
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

static enum hf_err open_usable_or_not(struct hf_sqlite_store *store, const char *path,
                                      struct hf_why *why)
{
    struct hf_why reason = {0};

    HF_TRY(hf_owner_check_readable(store->state_dir, path, why));
    store->is_fresh = true;
    store->copied_changes = -1;
    /* Before anything there is opened: a pipe in place of a file would block this for ever. */
    if (hf_owner_check_state(store->state_dir, &reason) != HF_OK) {
        const struct hf_why unsafe = reason;
        enum hf_err read = open_unsafe(store, path, &unsafe);
        return read == HF_OK ? HF_OK : hf_fail(why, read, "%s", store->unusable.text);
    }
    store->copied_changes = hf_db_copy_changes(store->state_dir);
    if (!hf_file_exists(path) && !hf_bundle_files_exist(store->state_dir) &&
        store->copied_changes < 0)
        return hf_fail(why, HF_E_NOT_FOUND, "%s is not initialised: run holdfast init first",
                       store->state_dir);
    enum hf_err err = open_or_restore(store, path, &reason);
    if (err != HF_OK)
        set_unusable(store, err, reason.text);
    else if (store->unusable.code == HF_OK)
        put_right(store);
    return err == HF_E_MEMORY || err == HF_E_BUSY ? hf_fail(why, err, "%s", reason.text) : HF_OK;
}

enum hf_err hf_sqlite_store_try(struct hf_sqlite_store *store, struct hf_why *why)
{
    int64_t changes = 0;

    HF_TRY(hf_store_check_writable(store, why));
    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = hf_db_exec(store->db, "UPDATE change SET count = count", "try the database",
                                 why);
    HF_TRY(hf_store_write_end(store, err, why));
    HF_TRY(hf_db_sync(store->db, why));
    return hf_db_changes(store->db, &changes, why);
}

enum hf_err hf_sqlite_store_fold(struct hf_sqlite_store *store, struct hf_why *why)
{
    return hf_db_fold(store->db, why);
}

static enum hf_err make_new(struct hf_sqlite_store *store, const char *path, struct hf_why *why)
{
    store->copied_changes = -1;
    HF_TRY(hf_db_create(path, &store->db, why));
    HF_TRY(migrate(store->db, why));
    return hf_file_sync_dir(store->state_dir, why);
}

enum hf_err hf_sqlite_store_open(const char *state_dir, bool create, struct hf_sqlite_store **out,
                                 struct hf_why *why)
{
    char *path = NULL;
    enum hf_err err = HF_OK;

    struct hf_sqlite_store *store = calloc(1, sizeof(*store));
    if (store == NULL || (store->state_dir = strdup(state_dir)) == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory opening %s", state_dir);
    if (err == HF_OK)
        err = hf_file_join(state_dir, "holdfast.db", &path, why);
    if (err == HF_OK)
        err = create ? make_new(store, path, why) : open_usable_or_not(store, path, why);
    if (err == HF_OK)
        *out = store;
    else
        hf_sqlite_store_close(store);
    free(path);
    return err;
}

/* Opened just now, it need not be opened again, unless that failed or the file is another one since. */
static bool is_good_as_opened(const struct hf_sqlite_store *store)
{
    return store->is_fresh && store->unusable.code == HF_OK && store->root_damage.code == HF_OK &&
           !hf_db_is_replaced(store->db);
}

enum hf_err hf_sqlite_store_refresh(struct hf_sqlite_store *store, struct hf_why *why)
{
    char *path = NULL;

    if (is_good_as_opened(store)) {
        store->is_fresh = false;
        return HF_OK;
    }
    HF_TRY(hf_file_join(store->state_dir, "holdfast.db", &path, why));
    close_database(store);
    enum hf_err err = open_usable_or_not(store, path, why);
    free(path);
    return err;
}

void hf_sqlite_store_close(struct hf_sqlite_store *store)
{
    if (store == NULL)
        return;
    sqlite3_close(store->db);
    free(store->state_dir);
    free(store);
}

enum hf_err hf_sqlite_store_is_writable(const struct hf_sqlite_store *store, struct hf_why *why)
{
    return hf_store_check_writable(store, why);
}

/* ---- the port -------------------------------------------------------------------------------- */

/* ---- transactions ------------------------------------------------------------------------------ */

static enum hf_err begin(void *ctx, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    HF_TRY(hf_store_check_writable(store, why));
    if (store->is_in_transaction)
        return hf_fail(why, HF_E_STATE, "a transaction has begun already");
    HF_TRY(hf_db_exec(store->db, "BEGIN IMMEDIATE", "begin to write", why));
    store->is_in_transaction = true;
    return HF_OK;
}

static enum hf_err commit(void *ctx, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    if (!store->is_in_transaction)
        return hf_fail(why, HF_E_STATE, "no transaction has begun");
    enum hf_err err = hf_store_commit(store, why);
    store->is_in_transaction = false;
    hf_store_follow_moved(store);
    return err;
}

static void abort_transaction(void *ctx)
{
    struct hf_sqlite_store *store = ctx;

    hf_store_roll_back(store);
    store->is_in_transaction = false;
}

/* ---- what must survive ------------------------------------------------------------------------- */

/* The copy may never know more than the database does after a power cut. One that has rotted since is
 * noticed here, as long as there is something to copy. */
static enum hf_err keep_copy(struct hf_sqlite_store *store, struct hf_why *why)
{
    int64_t changes = 0;

    HF_TRY(hf_db_changes(store->db, &changes, why));
    if (changes == store->copied_changes && hf_db_copy_is_whole(store->state_dir))
        return HF_OK;
    HF_TRY(hf_store_sync_log(store, why));
    HF_TRY(hf_db_copy_write(store->state_dir, store->db, why));
    store->copied_changes = changes;
    return HF_OK;
}

enum hf_err hf_sqlite_store_sync(struct hf_sqlite_store *store, struct hf_why *why)
{
    if (store->is_unsynced)
        HF_TRY(hf_store_sync_log(store, why));
    return store->unusable.code == HF_OK ? keep_copy(store, why) : HF_OK;
}

struct hf_store_port hf_sqlite_store_port(struct hf_sqlite_store *store)
{
    return (struct hf_store_port){
        .ctx = store,
        .begin = begin,
        .commit = commit,
        .abort = abort_transaction,
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
    };
}
