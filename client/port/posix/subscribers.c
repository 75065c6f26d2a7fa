/*
 * Programs that use the trust store without linking libholdfast: they read the export and are
 * notified by the on-swap command.
 *
 * A power cut between the commit of a bundle and the end of the command must not lose the notice.
 * So the store remembers the bundle of the last notice, and that is written when the command
 * has succeeded, not when it is started: at least once, not at most once.
 */
#include "client/port/posix/owner.h"
#include "client/port/posix/posix_internal.h"

#include "common/base/digest.h"
#include "common/os/file_util.h"
#include "common/os/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ON_SWAP_TIMEOUT_MS 60000

/* The stored value: "VERSION SHA256", or VERSION when they may have read another export; the
 * SHA-256 is that of the PEM text, since dates change it without a new version. */
#define NOTICE_VALUE "subscribers.notified"

struct notice {
    char version[24];
    char whole[24 + 65];
};

static bool has_subscribers(const struct hf_posix *posix)
{
    return posix->config.view.export_file != NULL || posix->config.view.on_swap != NULL;
}

/* The last notice; "none" the first time. */
static enum hf_err load_notice(struct hf_posix *posix, struct notice *out, struct hf_why *why)
{
    struct hf_buf value = {0};

    enum hf_err err = hf_store_load_value(posix->store, NOTICE_VALUE, &value, why);
    if (err == HF_OK) {
        const char *text = value.len > 0 ? (const char *)value.data : "";
        (void)snprintf(out->whole, sizeof out->whole, "%s", text);
        (void)snprintf(out->version, sizeof out->version, "%.*s", (int)strcspn(text, " "), text);
    } else if (err == HF_E_NOT_FOUND) {
        *out = (struct notice){.version = "none"};
        err = HF_OK;
    }
    hf_buf_free(&value);
    return err;
}

/* What other programs should use: the roots of now as PEM, and the notice of them. HF_E_NOT_FOUND
 * without a bundle. */
static enum hf_err make_notice(struct hf_posix *posix, struct notice *now, struct hf_buf *pem,
                               struct hf_why *why)
{
    struct hf_bundle_record active = {0};
    char sha256[HF_SHA256_HEX_LEN];

    HF_TRY(hf_store_load_bundle(posix->store, HF_SLOT_ACTIVE, &active, why));
    enum hf_err err = hf_client_export_pem(posix->client, pem, why);
    if (err == HF_OK) {
        hf_sha256_hex(hf_buf_bytes(pem), sha256);
        (void)snprintf(now->version, sizeof now->version, "%" PRId64, active.version);
        (void)snprintf(now->whole, sizeof now->whole, "%s %s", now->version, sha256);
    }
    hf_bundle_record_free(&active);
    return err;
}

static enum hf_err write_export(struct hf_posix *posix, struct hf_bytes pem,
                                const struct notice *before, bool *was_written, struct hf_why *why)
{
    const char *file = posix->config.view.export_file;

    if (file == NULL || hf_file_has_content(file, pem))
        return HF_OK;
    enum hf_err err = hf_owner_check_output(file, why);
    if (err == HF_OK) {
        /* Readers of the old file must be notified, however often the command fails. If that cannot
         * be stored, the file is replaced all the same. */
        (void)hf_store_save_value(posix->store, NOTICE_VALUE, before->version, NULL);
        err = hf_file_replace(file, pem, HF_EXPORT_MODE, why);
    }
    if (err != HF_OK)
        return hf_fail_context(why, "the export is not up to date");
    *was_written = true;
    return HF_OK;
}

enum hf_err hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                           unsigned timeout_ms, struct hf_why *why)
{
    const struct hf_variable variables[] = {
        {"HOLDFAST_STATE", notice->state},
        {"HOLDFAST_SET", notice->set},
        {"HOLDFAST_PROFILE", notice->profile},
        {"HOLDFAST_OLD_VERSION", notice->old_version},
        {"HOLDFAST_NEW_VERSION", notice->new_version},
        {"HOLDFAST_EXPORT", notice->export_file},
    };
    return hf_shell_run(command, "the on-swap command", variables,
                        sizeof variables / sizeof variables[0], timeout_ms, why);
}

static enum hf_err run_on_swap(struct hf_posix *posix, const char *old_version,
                               const char *new_version, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;
    const struct hf_swap_notice notice = {
        .state = posix->state_dir,
        .set = config->client.set,
        .profile = config->client.profile,
        .old_version = old_version,
        .new_version = new_version,
        .export_file = config->export_file != NULL ? config->export_file : "",
    };
    struct hf_why reason = {0};

    hf_posix_secure(posix); /* the command may take a minute */
    enum hf_err err = hf_owner_check_command(config->on_swap, &reason);
    if (err == HF_OK)
        err = hf_on_swap_run(config->on_swap, &notice, ON_SWAP_TIMEOUT_MS, &reason);
    if (err == HF_OK) {
        hf_posix_journal(posix, HF_LEVEL_INFO, "on-swap",
                         "the on-swap command ended with exit status 0");
        return HF_OK;
    }
    hf_posix_journal(posix, HF_LEVEL_ERROR, "on-swap", reason.text);
    return hf_fail(why, err, "%s; it is run again by the next update", reason.text);
}

static enum hf_err notify_of(struct hf_posix *posix, const struct notice *now, struct hf_bytes pem,
                             struct hf_why *why)
{
    const char *command = posix->config.view.on_swap;
    struct notice before = {0};
    struct hf_why reason = {0};
    bool was_written = false;

    HF_TRY(load_notice(posix, &before, why));
    enum hf_err err = write_export(posix, pem, &before, &was_written, &reason);
    if (err == HF_E_POLICY || (err != HF_OK && command == NULL))
        return hf_fail(why, err, "%s", reason.text);
    /* The command may take the roots from the state folder: it runs all the same, if that folder
     * can be written. */
    if (err != HF_OK) {
        const char *known = before.whole[0] != '\0' ? before.whole : before.version;
        HF_TRY(hf_store_save_value(posix->store, NOTICE_VALUE, known, why));
        hf_posix_journal(posix, HF_LEVEL_ERROR, "export", reason.text);
        posix->export_fault = reason;
    }
    if (strcmp(before.whole, now->whole) == 0 && !was_written)
        return HF_OK;
    if (command != NULL)
        HF_TRY(run_on_swap(posix, before.version, now->version, why));
    return hf_store_save_value(posix->store, NOTICE_VALUE, now->whole, why);
}

enum hf_err hf_subscribers_notify(struct hf_posix *posix, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;
    struct hf_buf pem = {0};
    struct hf_why reason = {0};
    struct notice now;

    posix->export_fault = (struct hf_why){0};
    if (!has_subscribers(posix))
        return HF_OK;
    hf_client_export_span(posix->client, &posix->notified_from_s, &posix->notified_until_s);
    enum hf_err err = make_notice(posix, &now, &pem, &reason);
    if (err == HF_E_NOT_FOUND)
        err = HF_OK;
    else if (err == HF_OK && notify_of(posix, &now, hf_buf_bytes(&pem), &reason) != HF_OK)
        err = hf_fail_context(&reason,
                              "bundle %s/%s %s is active, but other programs may not use it",
                              config->client.set, config->client.profile, now.version);
    hf_buf_free(&pem);
    if (err == HF_OK)
        return HF_OK;
    hf_posix_journal(posix, HF_LEVEL_ERROR, "subscribers", reason.text);
    return hf_fail(why, err, "%s", reason.text);
}

enum hf_err hf_posix_export_is_current(struct hf_posix *posix, struct hf_why *why)
{
    const char *file = posix->config.view.export_file;
    struct hf_buf pem = {0};
    struct notice now, before = {0};
    enum hf_err err = HF_OK;

    if (!has_subscribers(posix))
        return HF_OK;
    /* What cannot be read is another fault, which others report. */
    if (make_notice(posix, &now, &pem, NULL) == HF_OK &&
        load_notice(posix, &before, NULL) == HF_OK) {
        if (file != NULL && !hf_file_has_content(file, hf_buf_bytes(&pem)))
            err = hf_fail(why, HF_E_STATE, "the export %s is not up to date", file);
        else if (posix->config.view.on_swap != NULL && strcmp(before.whole, now.whole) != 0)
            err = hf_fail(why, HF_E_STATE,
                          "the on-swap command has not succeeded for the roots of now");
    }
    hf_buf_free(&pem);
    return err;
}

enum hf_err hf_posix_renew_export(struct hf_posix *posix, int64_t *wait_s, struct hf_why *why)
{
    int64_t now_s = hf_client_now_s(posix->client);
    enum hf_err err = HF_OK;
    int lock = -1;

    if (!has_subscribers(posix)) {
        *wait_s = INT64_MAX;
        return HF_OK;
    }
    /* In a state folder that another user can exchange, neither command nor file is trusted. */
    if (hf_posix_is_writable(posix, why) == HF_E_POLICY)
        return HF_E_POLICY;
    if (now_s < posix->notified_from_s || now_s >= posix->notified_until_s) {
        HF_TRY(hf_lock_take(posix->state_dir, 0, &lock, why));
        err = hf_subscribers_notify(posix, why);
        hf_posix_secure(posix);
        hf_file_unlock(lock);
    }
    *wait_s = posix->notified_until_s > now_s ? posix->notified_until_s - now_s : 0;
    return err;
}
