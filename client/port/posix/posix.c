/* What is done to an open state folder: updated, exported, confirmed, rejected, reset. */
#include "client/port/posix/owner.h"
#include "client/port/posix/posix_internal.h"

#include "common/os/file_util.h"

#include <stdlib.h>
#include <string.h>

#define REPORT_DECISION_MS 5000

enum hf_err hf_posix_update(struct hf_posix *posix, struct hf_update_result *out,
                            struct hf_why *why)
{
    struct hf_update_result result = {0};
    struct hf_why unnotified = {0};
    int lock = -1;

    HF_TRY(hf_sqlite_store_refresh(posix->store, why));
    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_posix_reload_config(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_update(posix->client, &result, why);
    enum hf_err notified = hf_subscribers_notify(posix, &unnotified);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    /* Last, and without the lock, so that it neither delays nor prevents an update. */
    if (err != HF_E_NETWORK && err != HF_E_TLS && err != HF_E_UNTRUSTED)
        hf_posix_report(posix, HF_REPORT_TIMEOUT_MS);
    hf_posix_maintain_identity(posix);
    hf_http_transport_idle(posix->transport);
    memcpy(result.export_fault, posix->export_fault.text, sizeof result.export_fault);
    *out = result;
    /* The update's own error comes first; that of the subscribers is in the journal. */
    if (err == HF_OK && notified != HF_OK)
        return hf_fail(why, notified, "%s", unnotified.text);
    return err;
}

static enum hf_err write_export(const char *path, const struct hf_buf *content, struct hf_why *why)
{
    HF_TRY(hf_owner_check_output(path, why));
    return hf_file_replace(path, hf_buf_bytes(content), HF_EXPORT_MODE, why);
}

enum hf_err hf_posix_export(struct hf_posix *posix, const char *file, bool keep_current,
                            struct hf_why *why)
{
    struct hf_buf pem = {0};
    char *path = NULL;

    if (keep_current)
        HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_file_absolute(file, &path, why));
    enum hf_err err = hf_client_export_pem(posix->client, &pem, why);
    if (err == HF_OK)
        err = write_export(path, &pem, why);
    hf_buf_free(&pem);
    if (err == HF_OK && keep_current) {
        struct hf_posix_config config = posix->config.view;
        config.export_file = path;
        err = hf_posix_configure(posix, &config, why);
    }
    free(path);
    return err;
}

enum hf_err hf_posix_export_root(struct hf_posix *posix, const char *file, struct hf_why *why)
{
    struct hf_buf root = {0};
    char *path = NULL;

    HF_TRY(hf_file_absolute(file, &path, why));
    enum hf_err err = hf_client_export_root(posix->client, &root, why);
    if (err == HF_OK)
        err = write_export(path, &root, why);
    hf_buf_free(&root);
    free(path);
    return err;
}

/* The next check may be a day away. The application waits for this. */
static void report_decision(struct hf_posix *posix)
{
    hf_posix_report(posix, REPORT_DECISION_MS);
    hf_http_transport_idle(posix->transport);
}

enum hf_err hf_posix_confirm(struct hf_posix *posix, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_confirm(posix->client, why);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    report_decision(posix);
    return err;
}

/* Once rejected the bundle before is active, also if the subscribers cannot be notified. */
enum hf_err hf_posix_reject(struct hf_posix *posix, const char *reason, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_reject(posix->client, reason, why);
    if (err == HF_OK)
        err = hf_subscribers_notify(posix, why);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    report_decision(posix);
    return err;
}

enum hf_err hf_posix_reset(struct hf_posix *posix, struct hf_bytes factory_pem, struct hf_why *why)
{
    struct hf_why unnotified = {0};
    struct hf_why unsynced = {0};
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_reset(posix->client, factory_pem, why);
    if (err == HF_OK) {
        enum hf_err notified = hf_subscribers_notify(posix, &unnotified);
        enum hf_err synced = hf_sqlite_store_sync(posix->store, &unsynced);
        if (notified != HF_OK)
            err = hf_fail(why, notified, "this device is reset, but %s", unnotified.text);
        else if (synced != HF_OK)
            err = hf_fail(why, synced, "this device is reset, but %s", unsynced.text);
    }
    hf_file_unlock(lock);
    return err;
}
