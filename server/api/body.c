#include "server/api/body.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "server/api/limits.h"

#include <stdio.h>
#include <string.h>

static const struct hf_body_field *find(const struct hf_body_field *fields, const char *name)
{
    for (; fields->kind != HF_BODY_END; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

static enum hf_err refuse_unknown(const struct hf_body_field *fields, const char *name,
                                  struct hf_why *why)
{
    char shown[41], known[256] = "";
    size_t at = 0;
    (void)snprintf(shown, sizeof shown, "%s", name);
    hf_text_sanitize(shown);
    for (; fields->kind != HF_BODY_END && at < sizeof known; fields++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s\"%s\"", at == 0 ? "" : ", ",
                               fields->name);
    return hf_fail(why, HF_E_ARGUMENT, "body: unknown member \"%s\" (expected %s)", shown,
                   known[0] != '\0' ? known : "none");
}

static enum hf_err check_text(const struct hf_body_field *field, const json_t *value,
                              struct hf_why *why)
{
    if (!json_is_string(value))
        return hf_fail(why, HF_E_ARGUMENT, "\"%s\": expected a text%s", field->name,
                       field->kind == HF_BODY_TEXT_OR_NULL ? " or null"
                       : field->kind == HF_BODY_TEXTS      ? " in each place of the array"
                                                           : "");
    if (field->max != 0 && json_string_length(value) > field->max)
        return hf_fail(why, HF_E_ARGUMENT, "\"%s\": expected at most %zu bytes, found %zu",
                       field->name, field->max, json_string_length(value));
    return HF_OK;
}

static enum hf_err check_texts(const struct hf_body_field *field, const json_t *value,
                               struct hf_why *why)
{
    if (!json_is_array(value) || json_array_size(value) > HF_API_LISTED_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "\"%s\": expected an array of at most %u texts",
                       field->name, HF_API_LISTED_MAX);
    for (size_t i = 0; i < json_array_size(value); i++)
        HF_TRY(check_text(field, json_array_get(value, i), why));
    return HF_OK;
}

static enum hf_err check_member(const struct hf_body_field *field, const json_t *value,
                                struct hf_why *why)
{
    int64_t time_s = 0;
    switch (field->kind) {
    case HF_BODY_TEXT_OR_NULL:
        if (json_is_null(value))
            return HF_OK;
        return check_text(field, value, why);
    case HF_BODY_TEXT:
        return check_text(field, value, why);
    case HF_BODY_TEXTS:
        return check_texts(field, value, why);
    case HF_BODY_INTEGER:
        if (json_is_integer(value) && json_integer_value(value) >= field->min &&
            json_integer_value(value) <= (json_int_t)field->max)
            return HF_OK;
        return hf_fail(why, HF_E_ARGUMENT, "\"%s\": expected a whole number from %lld to %zu",
                       field->name, (long long)field->min, field->max);
    case HF_BODY_TIME:
        /* The second 0 stands for "no end" in the store. */
        if (json_is_string(value) && hf_time_parse(json_string_value(value), &time_s) && time_s > 0)
            return HF_OK;
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"%s\": expected a time in UTC such as 2026-12-31T00:00:00Z", field->name);
    case HF_BODY_END:
        break;
    }
    return hf_fail(why, HF_E_ARGUMENT, "\"%s\": not expected", field->name);
}

static enum hf_err check(const struct hf_body_field *fields, const json_t *body, struct hf_why *why)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(hf_json_iterable(body), name, value)
    {
        const struct hf_body_field *field = find(fields, name);
        if (field == NULL)
            return refuse_unknown(fields, name, why);
        HF_TRY(check_member(field, value, why));
    }
    for (; fields->kind != HF_BODY_END; fields++)
        if (fields->is_required && json_object_get(body, fields->name) == NULL)
            return hf_fail(why, HF_E_ARGUMENT, "body: \"%s\" is missing", fields->name);
    return HF_OK;
}

static bool has_required(const struct hf_body_field *fields)
{
    for (; fields->kind != HF_BODY_END; fields++)
        if (fields->is_required)
            return true;
    return false;
}

enum hf_err hf_body_read(struct hf_bytes text, const struct hf_body_field *fields, json_t **out,
                         struct hf_why *why)
{
    json_t *body = NULL;
    if (fields == NULL && text.len != 0)
        return hf_fail(why, HF_E_ARGUMENT, "body: this request takes none. Send it without a body");
    if (fields == NULL || (text.len == 0 && !has_required(fields))) {
        *out = NULL;
        return HF_OK;
    }
    if (text.len == 0)
        return hf_fail(why, HF_E_ARGUMENT, "body: it is missing (expected a JSON object)");
    HF_TRY(hf_json_parse_object(text, "body", &body, why));
    enum hf_err err = check(fields, body, why);
    if (err != HF_OK) {
        json_decref(body);
        return err;
    }
    *out = body;
    return HF_OK;
}

const char *hf_body_text(const json_t *body, const char *name)
{
    return json_string_value(json_object_get(body, name));
}

int64_t hf_body_integer(const json_t *body, const char *name, int64_t none)
{
    const json_t *value = json_object_get(body, name);
    return json_is_integer(value) ? json_integer_value(value) : none;
}

int64_t hf_body_time(const json_t *body, const char *name)
{
    int64_t time_s = HF_TIME_NONE;
    const char *text = hf_body_text(body, name);
    if (text == NULL || !hf_time_parse(text, &time_s))
        return HF_TIME_NONE;
    return time_s;
}
