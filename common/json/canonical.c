#include "common/json/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum hf_err write_value(const json_t *value, struct hf_buf *out, struct hf_why *why);

/* Only the two characters that would end or confuse a string are escaped; control characters
 * stand as they are. That is what other TUF implementations sign. */
static enum hf_err write_string(const char *text, size_t len, struct hf_buf *out)
{
    HF_TRY(hf_buf_append(out, "\"", 1));
    size_t run = 0; /* start of what has not been written yet */
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '"' && text[i] != '\\')
            continue;
        HF_TRY(hf_buf_append(out, text + run, i - run));
        HF_TRY(hf_buf_append(out, "\\", 1));
        run = i;
    }
    HF_TRY(hf_buf_append(out, text + run, len - run));
    return hf_buf_append(out, "\"", 1);
}

/* Byte order of UTF-8 is code point order. */
static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum hf_err write_object(json_t *object, struct hf_buf *out, struct hf_why *why)
{
    size_t n = json_object_size(object), n_keys = 0;
    const char *key;
    json_t *member;
    const char **keys = malloc((n == 0 ? 1 : n) * sizeof *keys);
    if (keys == NULL)
        return HF_E_MEMORY;
    json_object_foreach(object, key, member)
    {
        keys[n_keys++] = key;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    enum hf_err err = hf_buf_append(out, "{", 1);
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        if (i > 0)
            err = hf_buf_append(out, ",", 1);
        if (err == HF_OK)
            err = write_string(keys[i], strlen(keys[i]), out);
        if (err == HF_OK)
            err = hf_buf_append(out, ":", 1);
        if (err == HF_OK)
            err = write_value(json_object_get(object, keys[i]), out, why);
    }
    free(keys);
    return err == HF_OK ? hf_buf_append(out, "}", 1) : err;
}

static enum hf_err write_array(const json_t *array, struct hf_buf *out, struct hf_why *why)
{
    HF_TRY(hf_buf_append(out, "[", 1));
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            HF_TRY(hf_buf_append(out, ",", 1));
        HF_TRY(write_value(json_array_get(array, i), out, why));
    }
    return hf_buf_append(out, "]", 1);
}

static enum hf_err write_value(const json_t *value, struct hf_buf *out, struct hf_why *why)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(hf_json_iterable(value), out, why);
    case JSON_ARRAY:
        return write_array(value, out, why);
    case JSON_STRING:
        return write_string(json_string_value(value), json_string_length(value), out);
    case JSON_INTEGER:
        return hf_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_TRUE:
        return hf_buf_append_text(out, "true");
    case JSON_FALSE:
        return hf_buf_append_text(out, "false");
    case JSON_NULL:
        return hf_buf_append_text(out, "null");
    case JSON_REAL:
        return hf_fail(why, HF_E_FORMAT,
                       "a number with a fraction has no canonical form; write it as a string");
    }
    return hf_fail(why, HF_E_FORMAT, "a JSON value of unknown kind has no canonical form");
}

enum hf_err hf_json_canonical(const json_t *value, struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = write_value(value, out, why);
    if (err == HF_E_MEMORY)
        return hf_fail(why, HF_E_MEMORY, "out of memory while writing canonical JSON");
    return err;
}

struct sink {
    struct hf_buf *out;
    bool is_short; /* of memory: jansson (2.14) goes on without a key that was not taken */
};

static int append(const char *text, size_t len, void *ctx)
{
    struct sink *sink = ctx;
    sink->is_short = sink->is_short || hf_buf_append(sink->out, text, len) != HF_OK;
    return sink->is_short ? -1 : 0;
}

enum hf_err hf_json_dump(const json_t *value, size_t flags, struct hf_buf *out, struct hf_why *why)
{
    struct sink sink = {out, false};
    if (json_dump_callback(value, append, &sink, flags) != 0 || sink.is_short)
        return hf_fail(why, HF_E_MEMORY, "out of memory while writing JSON");
    return HF_OK;
}

enum hf_err hf_json_write(const json_t *value, struct hf_buf *out, struct hf_why *why)
{
    return hf_json_dump(value, JSON_COMPACT | JSON_SORT_KEYS, out, why);
}
