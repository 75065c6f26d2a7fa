/* A store whose root metadata has rotted: it takes that, and nothing else, from the database's copy. */
#include "client/port/posix/db_copy.h"
#include "client/port/posix/db_root.h"
#include "client/port/posix/lock.h"
#include "client/port/posix/store_internal.h"

#include <inttypes.h>

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
static enum hf_err restore_locked(struct hf_sqlite_store *store, struct hf_why *why)
{
    struct restored root = {0};
    struct hf_why damage = {0};

    /* Whoever held the lock before us may have done it. */
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

static enum hf_err restore(struct hf_sqlite_store *store, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_lock_take(store->state_dir, HF_STORE_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = restore_locked(store, why);
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
    if ((err != HF_E_STORAGE && !is_lost) || restore(store, &reason) == HF_OK)
        return;
    (void)hf_fail(&store->root_damage, HF_E_STORAGE,
                  "%.300s, and its copy cannot take its place: %.300s; if this stays so, move %s "
                  "away and run holdfast init",
                  damage.text, reason.text, store->state_dir);
}
