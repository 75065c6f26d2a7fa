#include "client/port/posix/sqlite_store.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/file_util.h"
#include "client/port/posix/lock.h"
#include "client/port/posix/migrate.h"
#include "client/port/posix/store_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- transactions ------------------------------------------------------------------------------ */

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

/* The commit has happened and stands. Links that could not be moved are moved by the next commit or
 * open; until then the journal says so. */
static void follow_after_commit(struct hf_sqlite_store *store)
{
    struct hf_why why = {0};

    if (!store->has_moved)
        return;
    store->has_moved = false;
    if (hf_store_follow(store, &why) == HF_OK)
        return;
    struct hf_event event = {(int64_t)time(NULL), HF_LEVEL_WARNING, "bundle-files", why.text};
    (void)hf_store_append_event(store, &event, NULL);
}

static enum hf_err sync_now(struct hf_sqlite_store *store, struct hf_why *why)
{
    HF_TRY(hf_db_sync(store->db, why));
    store->is_unsynced = false;
    return HF_OK;
}

static enum hf_err commit_now(struct hf_sqlite_store *store, struct hf_why *why)
{
    HF_TRY(hf_db_exec(store->db, "COMMIT", "commit", why));
    if (!store->has_moved)
        return HF_OK;
    /* On disk before anybody acts on it: the links, and the live trust store. */
    enum hf_err err = sync_now(store, why);
    follow_after_commit(store);
    return err;
}

static void roll_back(struct hf_sqlite_store *store)
{
    store->has_moved = false;
    /* SQLite may have done it by itself, after a full disk for instance. */
    if (store->db != NULL && sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

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
    enum hf_err err = commit_now(store, why);
    if (err != HF_OK)
        roll_back(store);
    store->is_in_transaction = false;
    return err;
}

static void abort_transaction(void *ctx)
{
    struct hf_sqlite_store *store = ctx;

    roll_back(store);
    store->is_in_transaction = false;
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
        err = commit_now(store, why);
    if (err != HF_OK)
        roll_back(store);
    return err;
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* What keeps us from the database is remembered and told to whoever needs it. */
static void set_unusable(struct hf_sqlite_store *store, const struct hf_why *why)
{
    sqlite3_close(store->db);
    store->db = NULL;
    (void)hf_fail(&store->unusable, why->code, "%s", why->text);
}

static enum hf_err migrate(sqlite3 *db, struct hf_why *why)
{
    return hf_schema_migrate(db, hf_client_migrations, hf_client_migrations_len, why);
}

static enum hf_err bring_up_to_date(struct hf_sqlite_store *store, struct hf_why *why)
{
    const int64_t newest = (int64_t)hf_client_migrations_len;
    int64_t version = 0;

    HF_TRY(hf_schema_check(store->db, newest, &version, why));
    if (version == newest)
        return HF_OK;
    if (store->unusable.code != HF_OK)
        return hf_fail(why, HF_E_STORAGE, "%s, and it is of an older schema", store->unusable.text);
    return migrate(store->db, why);
}

static enum hf_err open_existing(struct hf_sqlite_store *store, const char *path,
                                 struct hf_why *why)
{
    if (!hf_file_exists(path))
        return hf_fail(why, HF_E_STORAGE,
                       "the database %s is missing; its bundles are still in use: to update again, "
                       "move them away and run holdfast init",
                       path);
    HF_TRY(hf_db_open(path, &store->db, &store->unusable, why));
    return bring_up_to_date(store, why);
}

/* Files and links that a power cut, or somebody, has left behind. Whoever holds the lock is about
 * to do the same, and a store that only reads changes nothing. */
static void put_right(struct hf_sqlite_store *store)
{
    struct hf_why why = {0};
    int lock = -1;

    if (store->unusable.code != HF_OK || hf_lock_take(store->state_dir, 0, &lock, NULL) != HF_OK)
        return;
    if (hf_store_follow(store, &why) != HF_OK) {
        struct hf_event event = {(int64_t)time(NULL), HF_LEVEL_WARNING, "bundle-files", why.text};
        (void)hf_store_append_event(store, &event, NULL);
    }
    hf_lock_release(lock);
}

static enum hf_err open_usable_or_not(struct hf_sqlite_store *store, const char *path,
                                      struct hf_why *why)
{
    struct hf_why reason = {0};

    if (!hf_file_exists(path) && !hf_bundle_files_exist(store->state_dir))
        return hf_fail(why, HF_E_NOT_FOUND, "%s is not initialised: run holdfast init first",
                       store->state_dir);
    enum hf_err err = open_existing(store, path, &reason);
    if (err == HF_E_MEMORY || err == HF_E_BUSY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK)
        set_unusable(store, &reason);
    else
        put_right(store);
    return HF_OK;
}

static enum hf_err make_new(struct hf_sqlite_store *store, const char *path, struct hf_why *why)
{
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

enum hf_err hf_sqlite_store_sync(struct hf_sqlite_store *store, struct hf_why *why)
{
    if (!store->is_unsynced)
        return HF_OK;
    return sync_now(store, why);
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
        .append_event = hf_store_append_event,
    };
}
