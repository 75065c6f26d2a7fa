#include "client/port/posix/sqlite_store.h"

#include "client/port/posix/db_copy.h"
#include "client/port/posix/store_internal.h"

#include <time.h>

void hf_store_note(struct hf_sqlite_store *store, enum hf_level level, const char *kind,
                   const char *text)
{
    struct hf_event event = {(int64_t)time(NULL), level, kind, text};

    (void)hf_store_append_event(store, &event, NULL);
}

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
    hf_store_note(store, HF_LEVEL_WARNING, "bundle-files", why.text);
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

/* ---- what must survive ------------------------------------------------------------------------- */

/* The copy may never know more than the database does after a power cut. One that has rotted since is
 * noticed here, as long as there is something to copy. */
static enum hf_err keep_copy(struct hf_sqlite_store *store, struct hf_why *why)
{
    int64_t changes = 0;

    HF_TRY(hf_db_changes(store->db, &changes, why));
    if (changes == store->copied_changes && hf_db_copy_is_whole(store->state_dir))
        return HF_OK;
    HF_TRY(sync_now(store, why));
    HF_TRY(hf_db_copy_write(store->state_dir, store->db, why));
    store->copied_changes = changes;
    return HF_OK;
}

enum hf_err hf_sqlite_store_sync(struct hf_sqlite_store *store, struct hf_why *why)
{
    if (store->is_unsynced)
        HF_TRY(sync_now(store, why));
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
