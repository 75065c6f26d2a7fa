/* Factory reset of a STATE, and the root metadata as a file for firmware that has a reset of its own. */
#include "common/os/file_util.h"
#include "client/port/posix/lock.h"
#include "client/port/posix/owner.h"
#include "client/port/posix/posix_internal.h"

#include <stdlib.h>

static enum hf_err tell_followers(struct hf_posix *posix, struct hf_why *why)
{
    enum hf_err err = hf_followers_tell(posix, why);

    if (err != HF_OK)
        hf_posix_journal(posix, HF_LEVEL_ERROR, "followers", why->text);
    return err;
}

/* The device is reset from here on, whatever becomes of the followers, or of the copy of the database. */
static enum hf_err reset_locked(struct hf_posix *posix, struct hf_bytes factory_pem,
                                struct hf_why *why)
{
    struct hf_why told_why = {0};
    struct hf_why kept_why = {0};

    HF_TRY(hf_client_reset(posix->client, factory_pem, why));
    enum hf_err told = tell_followers(posix, &told_why);
    enum hf_err kept = hf_sqlite_store_sync(posix->store, &kept_why);
    if (told != HF_OK)
        return hf_fail(why, told, "this device is reset, but %s", told_why.text);
    if (kept != HF_OK)
        return hf_fail(why, kept, "this device is reset, but %s", kept_why.text);
    return HF_OK;
}

enum hf_err hf_posix_reset(struct hf_posix *posix, struct hf_bytes factory_pem, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = reset_locked(posix, factory_pem, why);
    hf_lock_release(lock);
    return err;
}

enum hf_err hf_posix_export_root(struct hf_posix *posix, const char *file, struct hf_why *why)
{
    struct hf_buf root = {0};
    char *path = NULL;

    HF_TRY(hf_file_absolute(file, &path, why));
    enum hf_err err = hf_owner_check_path(path, why);
    if (err == HF_OK)
        err = hf_client_export_root(posix->client, &root, why);
    if (err == HF_OK)
        err = hf_file_replace(path, hf_buf_bytes(&root), HF_EXPORT_MODE, why);
    hf_buf_free(&root);
    free(path);
    return err;
}
