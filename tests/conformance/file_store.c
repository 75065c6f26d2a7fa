#include "tests/conformance/file_store.h"

#include "common/os/file_util.h"
#include "common/base/limits.h"
#include "common/base/percent.h"

#include <stdlib.h>
#include <unistd.h>

#define FILE_MODE 0644

/* ---- files ----------------------------------------------------------------------------------- */

static enum hf_err file_path(const struct file_store *store, const char *name, const char *suffix,
                             struct hf_buf *out, struct hf_why *why)
{
    if (hf_buf_printf(out, "%s/", store->dir) != HF_OK ||
        hf_percent_encode(name, "", out) != HF_OK || hf_buf_append_text(out, suffix) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the name of a file");
    return HF_OK;
}

static enum hf_err load(const struct file_store *store, const char *name, const char *suffix,
                        struct hf_buf *out, struct hf_why *why)
{
    struct hf_buf path = {0};
    enum hf_err err = file_path(store, name, suffix, &path, why);
    if (err == HF_OK)
        err = hf_file_read((const char *)path.data, HF_TARGETS_BYTES_MAX, out, why);
    hf_buf_free(&path);
    return err;
}

static enum hf_err save(const struct file_store *store, const char *name, const char *suffix,
                        struct hf_bytes bytes, struct hf_why *why)
{
    struct hf_buf path = {0};
    enum hf_err err = file_path(store, name, suffix, &path, why);
    if (err == HF_OK)
        err = hf_file_place((const char *)path.data, bytes, FILE_MODE, why);
    hf_buf_free(&path);
    return err;
}

/* ---- metadata and values --------------------------------------------------------------------- */

static enum hf_err load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                 struct hf_why *why)
{
    return load(ctx, role, ".json", out, why);
}

static enum hf_err save_metadata(void *ctx, const char *role, int64_t version, struct hf_bytes file,
                                 struct hf_why *why)
{
    (void)version; /* it stands in the file */
    return save(ctx, role, ".json", file, why);
}

static enum hf_err remove_metadata(void *ctx, const char *role, struct hf_why *why)
{
    struct hf_buf path = {0};
    enum hf_err err = file_path(ctx, role, ".json", &path, why);
    if (err == HF_OK)
        (void)unlink((const char *)path.data); /* no fault if absent */
    hf_buf_free(&path);
    return err;
}

static enum hf_err load_value(void *ctx, const char *name, struct hf_buf *out, struct hf_why *why)
{
    return load(ctx, name, "", out, why);
}

static enum hf_err save_value(void *ctx, const char *name, const char *value, struct hf_why *why)
{
    return save(ctx, name, "", hf_bytes_of_text(value), why);
}

/* ---- what the suite has no use for ----------------------------------------------------------- */

static enum hf_err begin(void *ctx, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    return HF_OK;
}

static void abort_transaction(void *ctx)
{
    (void)ctx;
}

static enum hf_err load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                               struct hf_why *why)
{
    (void)ctx;
    (void)out;
    return hf_fail(why, HF_E_NOT_FOUND, "there is no bundle in slot %d", (int)slot);
}

static enum hf_err stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                struct hf_why *why)
{
    (void)ctx;
    return hf_fail(why, HF_E_STATE, "bundle %lld: bundles are not kept here",
                   (long long)record->version);
}

static enum hf_err activate_staged(void *ctx, bool keeps_previous, struct hf_why *why)
{
    (void)ctx;
    (void)keeps_previous;
    return hf_fail(why, HF_E_STATE, "nothing is staged");
}

static enum hf_err restore_previous(void *ctx, struct hf_why *why)
{
    (void)ctx;
    return hf_fail(why, HF_E_STATE, "there is no previous bundle");
}

static enum hf_err load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    (void)ctx;
    (void)out;
    (void)why;
    return HF_OK;
}

static enum hf_err save_revoked(void *ctx, struct hf_bytes keys, struct hf_why *why)
{
    (void)ctx;
    (void)keys;
    (void)why;
    return HF_OK;
}

/* The log has every line of the journal too. */
static enum hf_err append_event(void *ctx, const struct hf_event *event, struct hf_why *why)
{
    (void)ctx;
    (void)event;
    (void)why;
    return HF_OK;
}

struct hf_store_port file_store_port(struct file_store *store)
{
    return (struct hf_store_port){
        .ctx = store,
        .begin = begin,
        .commit = begin,
        .abort = abort_transaction,
        .load_metadata = load_metadata,
        .save_metadata = save_metadata,
        .remove_metadata = remove_metadata,
        .load_bundle = load_bundle,
        .stage_bundle = stage_bundle,
        .activate_staged = activate_staged,
        .restore_previous = restore_previous,
        .load_value = load_value,
        .save_value = save_value,
        .load_revoked = load_revoked,
        .save_revoked = save_revoked,
        .append_event = append_event,
    };
}
