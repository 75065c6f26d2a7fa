#include "tests/support/fake_store.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ------------------------------------------------------------------------------------ */

static const struct fake_row *find_row(const struct fake_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (strcmp(rows->rows[i].name, name) == 0)
            return &rows->rows[i];
    }
    return NULL;
}

static struct fake_row *add_row(struct fake_rows *rows, const char *name)
{
    assert_true(rows->n < FAKE_ROWS_MAX);
    struct fake_row *row = &rows->rows[rows->n++];
    *row = (struct fake_row){0};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static void put_row(struct fake_rows *rows, const char *name, struct hf_bytes bytes)
{
    struct fake_row *row = (struct fake_row *)(uintptr_t)find_row(rows, name);
    if (row == NULL)
        row = add_row(rows, name);
    hf_buf_free(&row->bytes);
    CHECK_OK(hf_buf_append(&row->bytes, bytes.data, bytes.len));
}

static void remove_row(struct fake_rows *rows, const char *name)
{
    struct fake_row *row = (struct fake_row *)(uintptr_t)find_row(rows, name);
    if (row == NULL)
        return;
    hf_buf_free(&row->bytes);
    *row = rows->rows[--rows->n];
}

static void free_rows(struct fake_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        hf_buf_free(&rows->rows[i].bytes);
    rows->n = 0;
}

static void copy_rows(struct fake_rows *to, const struct fake_rows *from)
{
    for (size_t i = 0; i < from->n; i++) {
        struct fake_row *row = add_row(to, from->rows[i].name);
        CHECK_OK(hf_buf_append(&row->bytes, from->rows[i].bytes.data, from->rows[i].bytes.len));
    }
}

/* ---- states ---------------------------------------------------------------------------------- */

static void copy_record(struct hf_bundle_record *to, const struct hf_bundle_record *from)
{
    *to = *from;
    to->pem = to->custom = (struct hf_buf){0};
    CHECK_OK(hf_buf_append(&to->pem, from->pem.data, from->pem.len));
    CHECK_OK(hf_buf_append(&to->custom, from->custom.data, from->custom.len));
}

void fake_state_copy(struct fake_state *to, const struct fake_state *from)
{
    fake_state_free(to);
    copy_rows(&to->metadata, &from->metadata);
    copy_rows(&to->values, &from->values);
    copy_rows(&to->events, &from->events);
    copy_rows(&to->reports, &from->reports);
    CHECK_OK(hf_buf_append(&to->revoked, from->revoked.data, from->revoked.len));
    for (int slot = 0; slot <= HF_SLOT_STAGED; slot++) {
        to->has_bundle[slot] = from->has_bundle[slot];
        copy_record(&to->bundles[slot], &from->bundles[slot]);
    }
}

void fake_state_free(struct fake_state *state)
{
    free_rows(&state->metadata);
    free_rows(&state->values);
    free_rows(&state->events);
    free_rows(&state->reports);
    hf_buf_free(&state->revoked);
    for (int slot = 0; slot <= HF_SLOT_STAGED; slot++) {
        hf_bundle_record_free(&state->bundles[slot]);
        state->has_bundle[slot] = false;
    }
}

static struct hf_bytes bytes_of(const struct fake_rows *rows, const char *name)
{
    const struct fake_row *row = find_row(rows, name);
    return row != NULL ? hf_buf_bytes(&row->bytes) : (struct hf_bytes){0};
}

bool fake_state_same_metadata(const struct fake_state *a, const struct fake_state *b,
                              const char *role)
{
    return hf_bytes_equal(bytes_of(&a->metadata, role), bytes_of(&b->metadata, role));
}

bool fake_state_same_bundles(const struct fake_state *a, const struct fake_state *b)
{
    for (int slot = 0; slot <= HF_SLOT_STAGED; slot++) {
        const struct hf_bundle_record *x = &a->bundles[slot], *y = &b->bundles[slot];
        if (a->has_bundle[slot] != b->has_bundle[slot] || x->version != y->version ||
            strcmp(x->sha256, y->sha256) != 0 ||
            !hf_bytes_equal(hf_buf_bytes(&x->pem), hf_buf_bytes(&y->pem)) ||
            !hf_bytes_equal(hf_buf_bytes(&x->custom), hf_buf_bytes(&y->custom)))
            return false;
    }
    return hf_bytes_equal(hf_buf_bytes(&a->revoked), hf_buf_bytes(&b->revoked));
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum hf_err check_power(const struct fake_store *s, struct hf_why *why)
{
    return s->is_power_off ? hf_fail(why, HF_E_STORAGE, "the power is off") : HF_OK;
}

/* Every write passes here before it takes effect. */
static enum hf_err begin_write(struct fake_store *s, const char *what, const char *name,
                               struct hf_why *why)
{
    char text[64];
    HF_TRY(check_power(s, why));
    if (s->refuse_writes != HF_OK)
        return hf_fail(why, s->refuse_writes, "this store only refuses to write");
    if (++s->n_writes == s->cut_at_write) {
        s->is_power_off = true;
        return check_power(s, why);
    }
    if (s->n_writes == s->fail_at_write)
        return hf_fail(why, HF_E_STORAGE, "the disk is full");
    snprintf(text, sizeof text, "%s%s%s", what, *name != '\0' ? " " : "", name);
    put_row(&s->writes, text, (struct hf_bytes){0});
    return HF_OK;
}

/* Outside a transaction a write is one of its own. */
static void end_write(struct fake_store *s)
{
    if (s->in_transaction)
        return;
    fake_state_copy(&s->at_rest, &s->state);
    s->n_transactions++;
}

/* ---- the port -------------------------------------------------------------------------------- */

static enum hf_err store_begin(void *ctx, struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(check_power(s, why));
    if (s->refuse_writes != HF_OK)
        return hf_fail(why, s->refuse_writes, "this store only refuses to write");
    if (s->fails_next_begin) {
        s->fails_next_begin = false;
        return hf_fail(why, HF_E_BUSY, "another process writes");
    }
    assert_false(s->in_transaction);
    s->in_transaction = true;
    return HF_OK;
}

static enum hf_err store_commit(void *ctx, struct hf_why *why)
{
    struct fake_store *s = ctx;
    assert_true(s->in_transaction);
    HF_TRY(begin_write(s, "commit", "", why));
    s->in_transaction = false;
    end_write(s);
    return HF_OK;
}

static void store_abort(void *ctx)
{
    struct fake_store *s = ctx;
    s->in_transaction = false;
    fake_state_copy(&s->state, &s->at_rest);
}

static enum hf_err load_row(struct fake_store *s, const struct fake_rows *rows, const char *name,
                            struct hf_buf *out, struct hf_why *why)
{
    HF_TRY(check_power(s, why));
    const struct fake_row *row = find_row(rows, name);
    if (row == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "there is no %s", name);
    return hf_buf_append(out, row->bytes.data, row->bytes.len);
}

static enum hf_err store_load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                       struct hf_why *why)
{
    struct fake_store *s = ctx;
    return load_row(s, &s->state.metadata, role, out, why);
}

static enum hf_err store_save_metadata(void *ctx, const char *role, int64_t version,
                                       struct hf_bytes file, struct hf_why *why)
{
    struct fake_store *s = ctx;
    assert_true(version > 0);
    HF_TRY(begin_write(s, "metadata", role, why));
    put_row(&s->state.metadata, role, file);
    end_write(s);
    return HF_OK;
}

static enum hf_err store_remove_metadata(void *ctx, const char *role, struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(begin_write(s, "remove", role, why));
    remove_row(&s->state.metadata, role);
    end_write(s);
    return HF_OK;
}

static enum hf_err store_load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                                     struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(check_power(s, why));
    if (!s->state.has_bundle[slot])
        return hf_fail(why, HF_E_NOT_FOUND, "there is no bundle in slot %d", (int)slot);
    copy_record(out, &s->state.bundles[slot]);
    return HF_OK;
}

static enum hf_err store_stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                      struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(begin_write(s, "stage", "", why));
    hf_bundle_record_free(&s->state.bundles[HF_SLOT_STAGED]);
    copy_record(&s->state.bundles[HF_SLOT_STAGED], record);
    s->state.has_bundle[HF_SLOT_STAGED] = true;
    end_write(s);
    return HF_OK;
}

static void move_bundle(struct fake_state *state, enum hf_slot from, enum hf_slot to)
{
    hf_bundle_record_free(&state->bundles[to]);
    state->bundles[to] = state->bundles[from];
    state->has_bundle[to] = state->has_bundle[from];
    state->bundles[from] = (struct hf_bundle_record){0};
    state->has_bundle[from] = false;
}

static enum hf_err store_activate_staged(void *ctx, bool keeps_previous, struct hf_why *why)
{
    struct fake_store *s = ctx;
    if (!s->state.has_bundle[HF_SLOT_STAGED])
        return hf_fail(why, HF_E_STATE, "nothing is staged");
    HF_TRY(begin_write(s, "activate", "", why));
    if (!keeps_previous || !s->state.has_bundle[HF_SLOT_PREVIOUS])
        move_bundle(&s->state, HF_SLOT_ACTIVE, HF_SLOT_PREVIOUS);
    move_bundle(&s->state, HF_SLOT_STAGED, HF_SLOT_ACTIVE);
    end_write(s);
    return HF_OK;
}

static enum hf_err store_restore_previous(void *ctx, struct hf_why *why)
{
    struct fake_store *s = ctx;
    if (!s->state.has_bundle[HF_SLOT_PREVIOUS])
        return hf_fail(why, HF_E_STATE, "there is no previous bundle");
    HF_TRY(begin_write(s, "restore", "", why));
    move_bundle(&s->state, HF_SLOT_PREVIOUS, HF_SLOT_ACTIVE);
    end_write(s);
    return HF_OK;
}

static enum hf_err store_load_value(void *ctx, const char *name, struct hf_buf *out,
                                    struct hf_why *why)
{
    struct fake_store *s = ctx;
    if (s->refuse_value != NULL && strcmp(s->refuse_value, name) == 0)
        return hf_fail(why, HF_E_STORAGE, "the value has rotted");
    return load_row(s, &s->state.values, name, out, why);
}

static enum hf_err store_save_value(void *ctx, const char *name, const char *value,
                                    struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(begin_write(s, "value", name, why));
    put_row(&s->state.values, name, hf_bytes_of_text(value));
    end_write(s);
    return HF_OK;
}

static enum hf_err store_load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(check_power(s, why));
    if (s->refuse_revoked != HF_OK)
        return hf_fail(why, s->refuse_revoked, "the list of revoked keys has rotted");
    return hf_buf_append(out, s->state.revoked.data, s->state.revoked.len);
}

static enum hf_err store_save_revoked(void *ctx, struct hf_bytes keys, struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(begin_write(s, "revoked", "", why));
    hf_buf_free(&s->state.revoked);
    CHECK_OK(hf_buf_append(&s->state.revoked, keys.data, keys.len));
    end_write(s);
    return HF_OK;
}

/* Bounded, as the port promises: old lines go. */
static void make_room_for_event(struct fake_rows *events)
{
    if (events->n < FAKE_ROWS_MAX)
        return;
    hf_buf_free(&events->rows[0].bytes);
    memmove(&events->rows[0], &events->rows[1], --events->n * sizeof events->rows[0]);
}

static enum hf_err store_append_event(void *ctx, const struct hf_event *event, struct hf_why *why)
{
    struct fake_store *s = ctx;
    HF_TRY(begin_write(s, "event", event->kind, why));
    make_room_for_event(&s->state.events);
    struct fake_row *row = add_row(&s->state.events, event->kind);
    CHECK_OK(hf_buf_append_text(&row->bytes, event->text));
    end_write(s);
    return HF_OK;
}

static enum hf_err store_append_report(void *ctx, int64_t seq, struct hf_bytes json,
                                       struct hf_why *why)
{
    struct fake_store *s = ctx;
    char name[24];

    (void)snprintf(name, sizeof name, "%lld", (long long)seq);
    if (s->refuses_reports)
        return hf_fail(why, HF_E_STORAGE, "this store takes no reports");
    HF_TRY(begin_write(s, "report", name, why));
    assert_null(find_row(&s->state.reports, name)); /* a number never comes again */
    struct fake_row *row = add_row(&s->state.reports, name);
    CHECK_OK(hf_buf_append(&row->bytes, json.data, json.len));
    end_write(s);
    return HF_OK;
}

static enum hf_err
store_load_reports(void *ctx, void (*each)(void *each_ctx, int64_t seq, struct hf_bytes json),
                   void *each_ctx, struct hf_why *why)
{
    struct fake_store *s = ctx;

    HF_TRY(check_power(s, why));
    for (size_t i = 0; i < s->state.reports.n; i++)
        each(each_ctx, strtoll(s->state.reports.rows[i].name, NULL, 10),
             hf_buf_bytes(&s->state.reports.rows[i].bytes));
    return HF_OK;
}

static enum hf_err store_remove_report(void *ctx, int64_t seq, struct hf_why *why)
{
    struct fake_store *s = ctx;
    struct fake_rows *rows = &s->state.reports;
    char name[24];

    (void)snprintf(name, sizeof name, "%lld", (long long)seq);
    HF_TRY(begin_write(s, "unreport", name, why));
    for (size_t i = 0; i < rows->n; i++) {
        if (strcmp(rows->rows[i].name, name) != 0)
            continue;
        hf_buf_free(&rows->rows[i].bytes);
        memmove(&rows->rows[i], &rows->rows[i + 1], (--rows->n - i) * sizeof rows->rows[0]);
        break;
    }
    end_write(s);
    return HF_OK;
}

struct hf_store_port fake_store_port(struct fake_store *store)
{
    return (struct hf_store_port){
        .ctx = store,
        .begin = store_begin,
        .commit = store_commit,
        .abort = store_abort,
        .load_metadata = store_load_metadata,
        .save_metadata = store_save_metadata,
        .remove_metadata = store_remove_metadata,
        .load_bundle = store_load_bundle,
        .stage_bundle = store_stage_bundle,
        .activate_staged = store_activate_staged,
        .restore_previous = store_restore_previous,
        .load_value = store_load_value,
        .save_value = store_save_value,
        .load_revoked = store_load_revoked,
        .save_revoked = store_save_revoked,
        .append_event = store_append_event,
        .append_report = store_append_report,
        .load_reports = store_load_reports,
        .remove_report = store_remove_report,
    };
}

/* ---- for the test ---------------------------------------------------------------------------- */

void fake_store_free(struct fake_store *store)
{
    fake_state_free(&store->state);
    fake_state_free(&store->at_rest);
    free_rows(&store->writes);
}

void fake_store_reboot(struct fake_store *store)
{
    store_abort(store);
    store->is_power_off = false;
    store->cut_at_write = 0;
    store->n_writes = 0;
}

void fake_store_forget_writes(struct fake_store *store)
{
    free_rows(&store->writes);
}

bool fake_store_has_written(const struct fake_store *store, const char *what)
{
    return find_row(&store->writes, what) != NULL;
}

struct hf_bytes fake_store_metadata(const struct fake_store *store, const char *role)
{
    return bytes_of(&store->state.metadata, role);
}

const char *fake_store_value(const struct fake_store *store, const char *name)
{
    struct hf_bytes value = bytes_of(&store->state.values, name);
    return value.data != NULL ? (const char *)value.data : "";
}

void fake_store_put_metadata(struct fake_store *store, const char *role, struct hf_bytes file)
{
    put_row(&store->state.metadata, role, file);
    end_write(store);
}

void fake_store_put_value(struct fake_store *store, const char *name, const char *value)
{
    put_row(&store->state.values, name, hf_bytes_of_text(value));
    end_write(store);
}

void fake_store_put_revoked(struct fake_store *store, const uint8_t spki_sha256[32])
{
    CHECK_OK(hf_buf_append(&store->state.revoked, spki_sha256, 32));
    end_write(store);
}

struct hf_bundle_record *fake_store_bundle(struct fake_store *store, enum hf_slot slot)
{
    return store->state.has_bundle[slot] ? &store->state.bundles[slot] : NULL;
}

size_t fake_store_count_events(const struct fake_store *store, const char *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < store->state.events.n; i++)
        n += strcmp(store->state.events.rows[i].name, kind) == 0;
    return n;
}
