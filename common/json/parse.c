#include "common/json/json.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <string.h>

/* Brackets nest no deeper than HF_JSON_DEPTH_MAX. Looked at before the parser runs, because the
 * parser recurses and its own limit is far beyond a device's stack. */
static bool depth_is_bounded(struct hf_bytes text)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (in_string) {
            if (c == '\\')
                i++; /* whatever is escaped, it does not end the string */
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > HF_JSON_DEPTH_MAX)
                return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* No fractions, and no integer that another reader would round. Depth is bounded by now. */
static bool numbers_are_exact(const json_t *value)
{
    size_t index;
    const char *key;
    json_t *member;
    switch (json_typeof(value)) {
    case JSON_REAL:
        return false;
    case JSON_INTEGER:
        return json_integer_value(value) <= HF_JSON_INTEGER_MAX &&
               json_integer_value(value) >= -HF_JSON_INTEGER_MAX;
    case JSON_OBJECT:
        /* jansson's iteration takes a plain pointer but changes nothing */
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            if (!numbers_are_exact(member))
                return false;
        }
        return true;
    case JSON_ARRAY:
        json_array_foreach(value, index, member)
        {
            if (!numbers_are_exact(member))
                return false;
        }
        return true;
    case JSON_STRING:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        return true;
    }
    return false;
}

enum hf_err hf_json_parse_object(struct hf_bytes text, const char *what, json_t **out,
                                 struct hf_why *why)
{
    if (!depth_is_bounded(text))
        return hf_fail(why, HF_E_LIMIT, "%s nests deeper than %d levels; it is refused unread",
                       what, HF_JSON_DEPTH_MAX);
    json_error_t at;
    json_t *value = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &at);
    if (value == NULL) {
        if (json_error_code(&at) == json_error_out_of_memory)
            return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", what);
        return hf_fail(why, HF_E_FORMAT, "%s is not valid JSON: %s (line %d, column %d)", what,
                       at.text, at.line, at.column);
    }
    enum hf_err err = HF_OK;
    if (!json_is_object(value))
        err = hf_fail(why, HF_E_FORMAT, "%s should be a JSON object", what);
    else if (!numbers_are_exact(value))
        err = hf_fail(why, HF_E_FORMAT,
                      "%s holds a number that is not whole or is beyond 2^53 - 1; "
                      "not every reader would read the same value",
                      what);
    if (err != HF_OK) {
        json_decref(value);
        return err;
    }
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_get_text(const json_t *object, const char *key, const char *what,
                             const char **out, struct hf_why *why)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL)
        return hf_fail(why, HF_E_FORMAT, "%s should have a string \"%s\"", what, key);
    *out = text;
    return HF_OK;
}

enum hf_err hf_json_get_object(const json_t *object, const char *key, const char *what,
                               json_t **out, struct hf_why *why)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_object(value))
        return hf_fail(why, HF_E_FORMAT, "%s should have an object \"%s\"", what, key);
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_get_array(const json_t *object, const char *key, const char *what, json_t **out,
                              struct hf_why *why)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_array(value))
        return hf_fail(why, HF_E_FORMAT, "%s should have a list \"%s\"", what, key);
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_get_integer(const json_t *object, const char *key, const char *what,
                                int64_t min, int64_t *out, struct hf_why *why)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return hf_fail(why, HF_E_FORMAT, "%s should have a whole number \"%s\"", what, key);
    int64_t number = json_integer_value(value);
    if (number < min)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s is %lld, at least %lld is expected", key,
                       what, (long long)number, (long long)min);
    if (number > HF_JSON_INTEGER_MAX)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s is beyond 2^53 - 1", key, what);
    *out = number;
    return HF_OK;
}

enum hf_err hf_json_get_time(const json_t *object, const char *key, const char *what,
                             int64_t *out_s, struct hf_why *why)
{
    const char *text = NULL;
    HF_TRY(hf_json_get_text(object, key, what, &text, why));
    if (!hf_time_parse(text, out_s))
        return hf_fail(why, HF_E_FORMAT,
                       "\"%s\" of %s should be a time like 2030-01-31T00:00:00Z, it is \"%.40s\"",
                       key, what, text);
    return HF_OK;
}
