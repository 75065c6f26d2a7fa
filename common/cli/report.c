#include "common/cli/report.h"

#include "common/base/plaintext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16

static const void *pointer_at(const void *record, size_t offset)
{
    const void *pointer;
    memcpy(&pointer, (const char *)record + offset, sizeof pointer);
    return pointer;
}

static size_t count_at(const void *record, size_t offset)
{
    return *(const size_t *)(const void *)((const char *)record + offset);
}

static json_t *value_of(const struct hf_field *f, const void *record, const void *ctx)
{
    const char *at = (const char *)record + f->at;
    const void *pointer;
    switch (f->kind) {
    case HF_FIELD_TEXT:
        pointer = pointer_at(record, f->at);
        return pointer == NULL ? json_null() : json_string(pointer);
    case HF_FIELD_CHARS:
        return json_string(at);
    case HF_FIELD_WORDS:
        return at[0] == '\0' ? json_null() : hf_json_plain(at);
    case HF_FIELD_PLAIN:
        pointer = pointer_at(record, f->at);
        return pointer == NULL ? json_null() : hf_json_plain(pointer);
    case HF_FIELD_NUMBER:
        return json_integer(*(const int64_t *)(const void *)at);
    case HF_FIELD_INT:
        return json_integer(*(const int *)(const void *)at);
    case HF_FIELD_COUNT:
        return json_integer((json_int_t)count_at(record, f->at));
    case HF_FIELD_ENUM:
        return json_string(f->names[*(const unsigned *)(const void *)at]);
    case HF_FIELD_FLAG:
        return json_boolean(*(const bool *)at);
    case HF_FIELD_TIME:
        return hf_json_time(*(const int64_t *)(const void *)at);
    case HF_FIELD_SHA256:
        return hf_json_sha256((const uint8_t *)at);
    case HF_FIELD_JSON:
        pointer = pointer_at(record, f->at);
        return pointer == NULL ? json_null() : json_incref((json_t *)(uintptr_t)pointer);
    case HF_FIELD_MADE:
        return f->make(at, ctx);
    case HF_FIELD_RECORD_IF:
        if (!*((const bool *)record + f->n_at))
            return json_null();
        return hf_report_object(f->fields, at, ctx);
    case HF_FIELD_RECORD:
        return hf_report_object(f->fields, at, ctx);
    case HF_FIELD_POINTER:
        pointer = pointer_at(record, f->at);
        return pointer == NULL ? json_null() : hf_report_object(f->fields, pointer, ctx);
    case HF_FIELD_LIST:
        return hf_report_list(f->fields, pointer_at(record, f->at), count_at(record, f->n_at),
                              f->size, ctx);
    case HF_FIELD_TEXTS:
        return hf_json_texts(pointer_at(record, f->at), count_at(record, f->n_at));
    case HF_FIELD_HASHES:
        return hf_json_hashes(pointer_at(record, f->at), count_at(record, f->n_at));
    case HF_FIELD_INCLUDE:
    case HF_FIELDS_END:
        break;
    }
    return NULL;
}

static json_t *add_members(json_t *object, const struct hf_field *fields, const void *record,
                           const void *ctx)
{
    for (const struct hf_field *f = fields; f->kind != HF_FIELDS_END; f++) {
        if (f->kind == HF_FIELD_INCLUDE) {
            object = add_members(object, f->fields, (const char *)record + f->at, ctx);
            continue;
        }
        json_t *value = f->key == NULL ? NULL : value_of(f, record, ctx);
        if (f->key != NULL && !(f->is_optional && json_is_null(value)))
            object = hf_json_set_take(object, f->key, value);
    }
    return object;
}

json_t *hf_report_object(const struct hf_field *fields, const void *record, const void *ctx)
{
    return add_members(json_object(), fields, record, ctx);
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

enum hf_err hf_report_print(const struct hf_field *fields, const void *record, const void *ctx,
                            FILE *out, struct hf_why *why)
{
    json_t *object = hf_json_set_take(json_object(), "format", json_integer(1));
    return hf_json_print_take(add_members(object, fields, record, ctx), out, why);
}

enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why)
{
    bool is_printed = object != NULL &&
                      json_dumpf(object, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0;
    json_decref(object);
    if (!is_printed && !ferror(out))
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    fputc('\n', out);
    return HF_OK;
}

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

/* Owned; NULL when memory is short. */
static char *json_cell(const json_t *value)
{
    char *cell = value == NULL || json_is_null(value) ? strdup("-")
                 : json_is_string(value)              ? strdup(json_string_value(value))
                                                      : json_dumps(value, JSON_ENCODE_ANY);
    if (cell != NULL)
        hf_text_sanitize(cell);
    return cell;
}

enum hf_err hf_report_json_table(const char *const *columns, const json_t *list, FILE *out,
                                 struct hf_why *why)
{
    size_t n_columns = 0, n_cells = 0, n = json_array_size(list);
    bool is_whole = true;
    while (n_columns < COLUMNS_MAX && columns[n_columns] != NULL)
        n_columns++;
    char **cells = calloc((n + 1) * n_columns, sizeof *cells);
    for (size_t i = 0; i < (n + 1) * n_columns && cells != NULL; i++) {
        const char *key = columns[i % n_columns];
        const json_t *record = i < n_columns ? NULL : json_array_get(list, i / n_columns - 1);
        cells[n_cells] = record == NULL ? strdup(key) : json_cell(json_object_get(record, key));
        is_whole = cells[n_cells++] != NULL && is_whole;
    }
    if (cells != NULL && is_whole)
        print_cells(cells, n_cells, n_columns, 0, out);
    for (size_t i = 0; i < n_cells; i++)
        free(cells[i]);
    free(cells);
    return cells != NULL && is_whole ? HF_OK
                                     : hf_fail(why, HF_E_MEMORY, "out of memory for a table");
}

enum hf_err hf_report_json_members(const char *const *columns, const json_t *object, FILE *out,
                                   struct hf_why *why)
{
    int width = 0;
    for (size_t i = 0; columns[i] != NULL; i++)
        if ((int)strlen(columns[i]) > width)
            width = (int)strlen(columns[i]);
    for (size_t i = 0; columns[i] != NULL; i++) {
        char *cell = json_cell(json_object_get(object, columns[i]));
        if (cell == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a report");
        fprintf(out, "%-*s  %s\n", width, columns[i], cell);
        free(cell);
    }
    return HF_OK;
}

#define OF(member) offsetof(struct hf_anchor, member)

const struct hf_field hf_anchor_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(cert.subject)},
    {"sha256", HF_FIELD_SHA256, OF(cert.sha256)},
    {"spki_sha256", HF_FIELD_SHA256, OF(cert.spki_sha256)},
    {"expires", HF_FIELD_TIME, OF(cert.not_after_s)},
    {"distrust_after", HF_FIELD_TIME, OF(distrust_after_s)},
    {"remove_after", HF_FIELD_TIME, OF(remove_after_s)},
    {0},
};

static json_t *use_of(const void *at, const void *ctx)
{
    (void)ctx;
    return json_string(hf_use_name(*(const enum hf_use *)at));
}

const struct hf_field hf_anchor_use_fields[] = {
    {NULL, HF_FIELD_INCLUDE, 0, .fields = hf_anchor_fields},
    {"use", HF_FIELD_MADE, OF(use), .make = use_of},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_unsupported_cert, member)

const struct hf_field hf_unsupported_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(subject)},
    {"sha256", HF_FIELD_SHA256, OF(sha256)},
    {"spki_sha256", HF_FIELD_SHA256, OF(spki_sha256)},
    {"unsupported", HF_FIELD_CHARS, OF(what)},
    {0},
};

json_t *hf_json_anchors(const struct hf_bundle *bundle)
{
    return hf_report_list(hf_anchor_use_fields, bundle->anchors, bundle->n_anchors,
                          sizeof *bundle->anchors, NULL);
}

json_t *hf_json_skipped(const struct hf_bundle *bundle)
{
    return hf_report_list(hf_unsupported_fields, bundle->skipped, bundle->n_skipped,
                          sizeof *bundle->skipped, NULL);
}
