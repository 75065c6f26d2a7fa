/*
 * Programs that use the trust store without linking libholdfast: they read the export and are told
 * by the on-swap command.
 *
 * A power cut between the commit of a bundle and the end of the command must not lose the notice.
 * So the store remembers which bundle they were told of last, and that is written when the command
 * has succeeded, not when it is started: at least once, not at most once.
 */
#include "common/os/file_util.h"
#include "client/port/posix/on_swap.h"
#include "client/port/posix/posix_internal.h"
#include "common/base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_VALUE                                                                                 \
    "followers.told" /* "VERSION SHA256", or VERSION when they may have read another */

struct told {
    char version[24];
    char whole[24 + 65];
};

static struct told told_of(int64_t version, const char *sha256)
{
    struct told told;

    (void)snprintf(told.version, sizeof(told.version), "%" PRId64, version);
    (void)snprintf(told.whole, sizeof(told.whole), "%s %s", told.version, sha256);
    return told;
}

/* What they were told last; "none" the first time. */
static enum hf_err load_told(struct hf_posix *posix, struct told *out, struct hf_why *why)
{
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct hf_buf value = {0};

    enum hf_err err = store.load_value(store.ctx, TOLD_VALUE, &value, why);
    if (err == HF_OK) {
        const char *text = value.len > 0 ? (const char *)value.data : "";
        (void)snprintf(out->whole, sizeof(out->whole), "%s", text);
        (void)snprintf(out->version, sizeof(out->version), "%.*s", (int)strcspn(text, " "), text);
    } else if (err == HF_E_NOT_FOUND) {
        *out = (struct told){.version = "none"};
        err = HF_OK;
    }
    hf_buf_free(&value);
    return err;
}

/* The export as it should be, and whether the file is that. */
static enum hf_err look_at_export(struct hf_posix *posix, struct hf_buf *pem, bool *is_good,
                                  struct hf_why *why)
{
    const char *file = posix->config.view.export_file;

    *is_good = true;
    if (file == NULL)
        return HF_OK;
    HF_TRY(hf_client_export_pem(posix->client, pem, why));
    *is_good = hf_file_has_content(file, hf_buf_bytes(pem));
    return HF_OK;
}

/* Whoever read the file as it was has to be told, however often the command fails. Where that cannot
 * be remembered, the file can be put right all the same. */
static void forget_told(struct hf_posix *posix, const struct told *told)
{
    struct hf_store_port store = hf_sqlite_store_port(posix->store);

    (void)store.save_value(store.ctx, TOLD_VALUE, told->version, NULL);
}

static enum hf_err keep_export(struct hf_posix *posix, const struct told *told, bool *was_written,
                               struct hf_why *why)
{
    struct hf_buf pem = {0};
    bool is_good = false;

    enum hf_err err = look_at_export(posix, &pem, &is_good, why);
    if (err == HF_OK && !is_good) {
        forget_told(posix, told);
        err = hf_file_replace(posix->config.view.export_file, hf_buf_bytes(&pem), HF_EXPORT_MODE,
                              why);
        *was_written = err == HF_OK;
    }
    hf_buf_free(&pem);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "the export is not up to date");
}

static enum hf_err run_on_swap(struct hf_posix *posix, const char *old_version,
                               const char *new_version, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;
    struct hf_swap_notice notice = {
        .state = posix->state_dir,
        .set = config->client.set,
        .profile = config->client.profile,
        .old_version = old_version,
        .new_version = new_version,
        .export_file = config->export_file != NULL ? config->export_file : "",
    };
    struct hf_why reason = {0};

    enum hf_err err = hf_on_swap_run(config->on_swap, &notice, HF_ON_SWAP_TIMEOUT_MS, &reason);
    if (err == HF_OK) {
        hf_posix_journal(posix, HF_LEVEL_INFO, "on-swap",
                         "the on-swap command ended with exit status 0");
        return HF_OK;
    }
    hf_posix_journal(posix, HF_LEVEL_ERROR, "on-swap", reason.text);
    return hf_fail(why, err, "%s; it is run again by the next update", reason.text);
}

static enum hf_err tell_of(struct hf_posix *posix, const struct told *now, struct hf_why *why)
{
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct told before = {0};
    bool was_written = false;

    HF_TRY(load_told(posix, &before, why));
    HF_TRY(keep_export(posix, &before, &was_written, why));
    if (strcmp(before.whole, now->whole) == 0 && !was_written)
        return HF_OK;
    if (posix->config.view.on_swap != NULL)
        HF_TRY(run_on_swap(posix, before.version, now->version, why));
    return store.save_value(store.ctx, TOLD_VALUE, now->whole, why);
}

enum hf_err hf_followers_tell(struct hf_posix *posix, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct hf_bundle_record active = {0};

    if (config->export_file == NULL && config->on_swap == NULL)
        return HF_OK;
    enum hf_err err = store.load_bundle(store.ctx, HF_SLOT_ACTIVE, &active, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    struct told now = told_of(active.version, active.sha256);
    hf_bundle_record_free(&active);
    err = tell_of(posix, &now, why);
    if (err != HF_OK)
        return hf_fail_context(why, "bundle %s/%s %s is active, but other programs may not use it",
                               config->client.set, config->client.profile, now.version);
    return HF_OK;
}
