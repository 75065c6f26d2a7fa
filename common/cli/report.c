#include "common/cli/report.h"

#include "common/base/hex.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 8

/* ---- JSON ------------------------------------------------------------------------------------- */

static json_t *value_of(const struct hf_field *f, const void *record, const void *ctx)
{
    const char *at = (const char *)record + f->at;
    const void *list;
    size_t n;
    switch (f->kind) {
    case HF_FIELD_TEXT:
        memcpy(&list, at, sizeof list);
        return list == NULL ? json_null() : json_string(list);
    case HF_FIELD_WORDS:
        return at[0] == '\0' ? json_null() : json_string(at);
    case HF_FIELD_CHARS:
        return json_string(at);
    case HF_FIELD_NUMBER:
        return json_integer(*(const int64_t *)(const void *)at);
    case HF_FIELD_INT:
        return json_integer(*(const int *)(const void *)at);
    case HF_FIELD_COUNT:
        return json_integer((json_int_t) * (const size_t *)(const void *)at);
    case HF_FIELD_FLAG:
        return json_boolean(*(const bool *)at);
    case HF_FIELD_TIME:
        return hf_json_time(*(const int64_t *)(const void *)at);
    case HF_FIELD_SHA256:
        return hf_json_sha256((const uint8_t *)at);
    case HF_FIELD_RECORD:
        return hf_report_object(f->fields, at, ctx);
    case HF_FIELD_LIST:
        memcpy(&list, at, sizeof list);
        memcpy(&n, (const char *)record + f->n_at, sizeof n);
        return hf_report_list(f->fields, list, n, f->size, ctx);
    case HF_FIELD_MADE:
        return f->make(at, ctx);
    case HF_FIELDS_END:
        break;
    }
    return NULL;
}

json_t *hf_report_object(const struct hf_field *fields, const void *record, const void *ctx)
{
    json_t *object = json_object();
    for (const struct hf_field *f = fields; f->kind != HF_FIELDS_END; f++) {
        if (f->key != NULL && json_object_set_new(object, f->key, value_of(f, record, ctx)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *hf_report_list(const struct hf_field *fields, const void *records, size_t n, size_t size,
                       const void *ctx)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        list = hf_json_append_take(list,
                                   hf_report_object(fields, (const char *)records + i * size, ctx));
    return list;
}

/* ---- text ------------------------------------------------------------------------------------- */

/* Owned; NULL when memory is short. */
static char *cell_of(const struct hf_field *f, const void *record, const void *ctx)
{
    char text[HF_TIME_TEXT_MAX];
    if (f->shown != HF_SHOWN_PLAIN) {
        int64_t time_s = *(const int64_t *)(const void *)((const char *)record + f->at);
        if (f->shown == HF_SHOWN_DAY)
            hf_time_format_day(time_s, text);
        else
            hf_time_format_last(time_s, text);
        return strdup(text);
    }
    json_t *value = value_of(f, record, ctx);
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    char *cell = value == NULL ? NULL
                               : strdup(json_is_string(value) ? json_string_value(value) : text);
    json_decref(value);
    return cell;
}

static void print_cells(char *const *cells, size_t n_cells, size_t n_columns, int indent, FILE *out)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < n_cells; i++) {
        size_t len = strlen(cells[i]);
        if (len > widths[i % n_columns])
            widths[i % n_columns] = len;
    }
    for (size_t i = 0; i < n_cells; i++) {
        if (i % n_columns == 0)
            fprintf(out, "%*s", indent, "");
        if ((i + 1) % n_columns != 0)
            fprintf(out, "%-*s  ", (int)widths[i % n_columns], cells[i]);
        else
            fprintf(out, "%s\n", cells[i]);
    }
}

enum hf_err hf_report_table(const struct hf_field *fields, const void *records, size_t n,
                            size_t size, const void *ctx, int indent, FILE *out, struct hf_why *why)
{
    const struct hf_field *columns[COLUMNS_MAX] = {0};
    size_t n_columns = 0, n_cells = 0;
    bool is_whole = true;
    for (const struct hf_field *f = fields; f->kind != HF_FIELDS_END; f++) {
        if (f->column > 0 && ++n_columns > 0)
            columns[f->column - 1] = f;
    }
    char **cells = calloc((n + 1) * n_columns, sizeof *cells);
    for (size_t i = 0; i < n_columns && cells != NULL && columns[0]->head != NULL; i++)
        is_whole = (cells[n_cells++] = strdup(columns[i]->head)) != NULL && is_whole;
    for (size_t i = 0; i < n * n_columns && cells != NULL; i++) {
        const void *record = (const char *)records + i / n_columns * size;
        cells[n_cells] = cell_of(columns[i % n_columns], record, ctx);
        is_whole = cells[n_cells++] != NULL && is_whole;
    }
    if (cells != NULL && is_whole)
        print_cells(cells, n_cells, n_columns, indent, out);
    for (size_t i = 0; i < n_cells; i++)
        free(cells[i]);
    free(cells);
    return cells != NULL && is_whole ? HF_OK
                                     : hf_fail(why, HF_E_MEMORY, "out of memory for a table");
}

/* ---- values ----------------------------------------------------------------------------------- */

json_t *hf_json_time(int64_t time_s)
{
    char text[HF_TIME_TEXT_MAX];
    if (time_s == HF_TIME_NONE)
        return json_null();
    hf_time_format(time_s, text);
    return json_string(text);
}

json_t *hf_json_sha256(const uint8_t sha256[HF_SHA256_LEN])
{
    char hex[HF_SHA256_HEX_LEN];
    hf_hex_encode(sha256, HF_SHA256_LEN, hex);
    return json_string(hex);
}

json_t *hf_json_plain(const char *text)
{
    char *plain = strdup(text);
    if (plain == NULL)
        return NULL;
    hf_text_disarm(plain);
    json_t *value = json_string(plain);
    free(plain);
    return value;
}

json_t *hf_json_texts(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        list = hf_json_append_take(list, json_string(texts[i]));
    return list;
}

int64_t hf_days_between(int64_t from_s, int64_t to_s)
{
    int64_t seconds = to_s - from_s;
    return seconds >= 0 ? seconds / HF_DAY_S : -((-seconds + HF_DAY_S - 1) / HF_DAY_S);
}

json_t *hf_json_anchor(const struct hf_anchor *anchor)
{
    static const struct hf_field fields[] = {
        {"subject", HF_FIELD_CHARS, offsetof(struct hf_anchor, cert.subject)},
        {"sha256", HF_FIELD_SHA256, offsetof(struct hf_anchor, cert.sha256)},
        {"spki_sha256", HF_FIELD_SHA256, offsetof(struct hf_anchor, cert.spki_sha256)},
        {"expires", HF_FIELD_TIME, offsetof(struct hf_anchor, cert.not_after_s)},
        {"distrust_after", HF_FIELD_TIME, offsetof(struct hf_anchor, distrust_after_s)},
        {"remove_after", HF_FIELD_TIME, offsetof(struct hf_anchor, remove_after_s)},
        {0},
    };
    return hf_report_object(fields, anchor, NULL);
}

json_t *hf_json_anchors(const struct hf_bundle *bundle)
{
    json_t *list = json_array();
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        json_t *anchor = hf_json_anchor(&bundle->anchors[i]);
        if (json_object_set_new(anchor, "use", json_string(hf_use_name(bundle->anchors[i].use))) !=
            0) {
            json_decref(anchor);
            anchor = NULL;
        }
        list = hf_json_append_take(list, anchor);
    }
    return list;
}

json_t *hf_json_skipped(const struct hf_bundle *bundle)
{
    json_t *list = json_array();
    for (size_t i = 0; i < bundle->n_skipped; i++) {
        const struct hf_unsupported_cert *cert = &bundle->skipped[i];
        list = hf_json_append_take(list, json_pack("{s:s, s:o, s:o, s:s}", "subject", cert->subject,
                                                   "sha256", hf_json_sha256(cert->sha256),
                                                   "spki_sha256", hf_json_sha256(cert->spki_sha256),
                                                   "unsupported", cert->what));
    }
    return list;
}

json_t *hf_json_append_take(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0)
        return list;
    json_decref(list);
    return NULL;
}

enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why)
{
    bool is_printed = object != NULL &&
                      json_dumpf(object, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0;
    json_decref(object);
    if (!is_printed)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    fputc('\n', out);
    return HF_OK;
}
