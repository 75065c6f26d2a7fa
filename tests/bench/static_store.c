#include "tests/bench/static_store.h"

#include <stdio.h>
#include <string.h>

#define ROW_BYTES_MAX (64u * 1024u)
#define ROWS_MAX 64

/* ---- rows ------------------------------------------------------------------------------------ */

struct row {
    char name[64];
    uint8_t bytes[ROW_BYTES_MAX];
    size_t len;
    bool is_there;
};

static struct row rows[ROWS_MAX]; /* "metadata/root", "value/check.time", "pem/1", … */

static void row_name(const char *kind, const char *name, char out[sizeof rows[0].name])
{
    (void)snprintf(out, sizeof rows[0].name, "%s/%s", kind, name);
}

static struct row *find_row(const char *kind, const char *name)
{
    char full[sizeof rows[0].name];
    row_name(kind, name, full);
    for (size_t i = 0; i < ROWS_MAX; i++) {
        if (strcmp(rows[i].name, full) == 0)
            return &rows[i];
    }
    return NULL;
}

/* NULL when there is no more room. A row that was once there keeps its place. */
static struct row *find_or_make_row(const char *kind, const char *name)
{
    struct row *row = find_row(kind, name);
    for (size_t i = 0; i < ROWS_MAX && row == NULL; i++) {
        if (rows[i].name[0] != '\0')
            continue;
        row = &rows[i];
        row_name(kind, name, row->name);
    }
    return row;
}

static enum hf_err load(const char *kind, const char *name, struct hf_buf *out, struct hf_why *why)
{
    const struct row *row = find_row(kind, name);
    if (row == NULL || !row->is_there)
        return hf_fail(why, HF_E_NOT_FOUND, "there is no %s", name);
    return hf_buf_append(out, row->bytes, row->len);
}

static enum hf_err save(const char *kind, const char *name, struct hf_bytes bytes,
                        struct hf_why *why)
{
    struct row *row = find_or_make_row(kind, name);
    if (row == NULL || bytes.len > sizeof row->bytes)
        return hf_fail(why, HF_E_STORAGE, "expected at most %d rows of %u bytes, found %s",
                       ROWS_MAX, ROW_BYTES_MAX, name);
    if (bytes.len > 0)
        memcpy(row->bytes, bytes.data, bytes.len);
    row->len = bytes.len;
    row->is_there = true;
    return HF_OK;
}

static enum hf_err load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                 struct hf_why *why)
{
    (void)ctx;
    return load("metadata", role, out, why);
}

static enum hf_err save_metadata(void *ctx, const char *role, int64_t version, struct hf_bytes file,
                                 struct hf_why *why)
{
    (void)ctx;
    (void)version;
    return save("metadata", role, file, why);
}

static enum hf_err remove_metadata(void *ctx, const char *role, struct hf_why *why)
{
    struct row *row = find_row("metadata", role);
    (void)ctx;
    (void)why;
    if (row != NULL)
        row->is_there = false;
    return HF_OK;
}

static enum hf_err load_value(void *ctx, const char *name, struct hf_buf *out, struct hf_why *why)
{
    (void)ctx;
    return load("value", name, out, why);
}

static enum hf_err save_value(void *ctx, const char *name, const char *value, struct hf_why *why)
{
    (void)ctx;
    return save("value", name, hf_bytes_of_text(value), why);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static struct hf_bundle_record slots[HF_SLOT_STAGED + 1]; /* without their bytes, which are rows */
static unsigned content_of[HF_SLOT_STAGED + 1];           /* number of those rows; 0: empty slot */

static void content_name(unsigned content, char out[16])
{
    (void)snprintf(out, 16, "%u", content);
}

static enum hf_err load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                               struct hf_why *why)
{
    struct hf_bundle_record record = slots[slot];
    char name[16];

    (void)ctx;
    content_name(content_of[slot], name);
    HF_TRY(load("pem", name, &record.pem, why));
    enum hf_err err = load("custom", name, &record.custom, why);
    if (err != HF_OK) {
        hf_bundle_record_free(&record);
        return err;
    }
    *out = record;
    return HF_OK;
}

static enum hf_err stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                struct hf_why *why)
{
    static unsigned n_contents;
    char name[16];

    (void)ctx;
    content_name(++n_contents, name);
    HF_TRY(save("pem", name, hf_buf_bytes(&record->pem), why));
    HF_TRY(save("custom", name, hf_buf_bytes(&record->custom), why));
    slots[HF_SLOT_STAGED] = *record;
    slots[HF_SLOT_STAGED].pem = slots[HF_SLOT_STAGED].custom = (struct hf_buf){0};
    content_of[HF_SLOT_STAGED] = n_contents;
    return HF_OK;
}

static void move(enum hf_slot from, enum hf_slot to)
{
    slots[to] = slots[from];
    content_of[to] = content_of[from];
    content_of[from] = 0;
}

static enum hf_err activate_staged(void *ctx, bool keeps_previous, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    if (!keeps_previous || content_of[HF_SLOT_PREVIOUS] == 0)
        move(HF_SLOT_ACTIVE, HF_SLOT_PREVIOUS);
    move(HF_SLOT_STAGED, HF_SLOT_ACTIVE);
    return HF_OK;
}

static enum hf_err restore_previous(void *ctx, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    move(HF_SLOT_PREVIOUS, HF_SLOT_ACTIVE);
    return HF_OK;
}

static enum hf_err load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    (void)ctx;
    enum hf_err err = load("revoked", "keys", out, why);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

static enum hf_err save_revoked(void *ctx, struct hf_bytes keys, struct hf_why *why)
{
    (void)ctx;
    return save("revoked", "keys", keys, why);
}

static enum hf_err append_event(void *ctx, const struct hf_event *event, struct hf_why *why)
{
    (void)ctx;
    (void)event;
    (void)why;
    return HF_OK;
}

/* ---- the port -------------------------------------------------------------------------------- */

/* Nothing is undone: a failure ends the program. */
static enum hf_err begin_or_commit(void *ctx, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    return HF_OK;
}

static void abort_writes(void *ctx)
{
    (void)ctx;
}

struct hf_store_port static_store_port(void)
{
    return (struct hf_store_port){
        .begin = begin_or_commit,
        .commit = begin_or_commit,
        .abort = abort_writes,
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
