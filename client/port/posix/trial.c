/* What the application says of the bundle that is on trial, and who else must hear of it. */
#include "client/port/posix/lock.h"
#include "client/port/posix/posix_internal.h"

enum hf_err hf_posix_confirm(struct hf_posix *posix, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_confirm(posix->client, why);
    hf_posix_secure(posix);
    hf_lock_release(lock);
    return err;
}

/* The bundle before is active from here on, whatever becomes of the followers. */
static enum hf_err reject_locked(struct hf_posix *posix, const char *reason, struct hf_why *why)
{
    struct hf_why told_why = {0};

    HF_TRY(hf_client_reject(posix->client, reason, why));
    enum hf_err told = hf_followers_tell(posix, &told_why);
    if (told == HF_OK)
        return HF_OK;
    hf_posix_journal(posix, HF_LEVEL_ERROR, "followers", told_why.text);
    return hf_fail(why, told, "%s", told_why.text);
}

enum hf_err hf_posix_reject(struct hf_posix *posix, const char *reason, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = reject_locked(posix, reason, why);
    hf_posix_secure(posix);
    hf_lock_release(lock);
    return err;
}
